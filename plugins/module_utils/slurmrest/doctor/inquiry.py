"""What slurmrestd answers, asked on its own host: the part of a doctor's evidence that is HTTP. Changes nothing.

Only GET requests whose handlers read are sent. Of a client's own request URL and method are looked up in the OpenAPI
document, and its token is tried on a URL that is known to work; it is repeated where it is a GET that the document has.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

from ..errors import InputError
from ..redaction import redacted
from ..rest import answers
from ..rest.client import MAX_BODY, MAX_LIST, ClientError, Credentials, Response, request
from ..rest.effect import changes
from ..rest.tls import Tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ..auth.bearer import Token

OPENAPI = "/openapi/v3"
ADMINISTRATOR = "root"
TIMEOUT = 20.0
"""Seconds; slurmrestd's true answer takes nine where slurmctld does not run, and longer where packets get lost."""

PAUSE = 1.0

_FINAL = (401, 403, 404)
_MAX_WORDS = 200


def inquire(
    urls: Sequence[str],
    token: Token | None,
    *,
    accounting: bool,
    patience: float = 0.0,
    client: Mapping[str, Any] | None = None,
    client_token: Token | None = None,
    tls: Tls | None = None,
    held: Callable[[], Collection[str]] = tuple,
    pause: Callable[[float], object] = time.sleep,
) -> dict[str, Any]:
    """Ask every listener whether it answers, and the first that does whether it answers well.

    Args:
        urls: listeners as :class:`Target` reads them.
        token: a good token of root; without one, only the listeners are asked.
        accounting: whether slurmdbd has to answer, too.
        patience: seconds during which a bad answer is asked for again: daemons that have just started need them.
        client: a request that does not work for a client: ``method``, ``path``, ``user`` (the user header), and
            ``told``, which is what it says by itself (:func:`.request.told_of`).
        client_token: the token it came with; None where it came without.
        tls: how to speak https: a token goes only to whom the certificate is for.
        held: looks which of the addresses somebody else holds (:mod:`..slurmrestd.strangers`): no token goes there.
        pause: waits for some seconds before the next attempt.
    """
    deadline = time.monotonic() + patience
    way = _Way(tls or Tls())
    while True:
        found = _ask_all(way, urls, token, accounting=accounting, held=held())
        if _settled(found, token) or time.monotonic() > deadline:
            break
        pause(PAUSE)
    document = found.pop("document", None)
    if client:
        seen = {**found, "url": None} if found["url"] in held() else found
        found["client"] = _client(way, seen, client, client_token, document)
    return found


class _Way:
    """How addresses are asked; the context of TLS is made when it is needed."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._context: ssl.SSLContext | None = None

    def request(
        self, url: str, path: str, credentials: Credentials | None = None, max_body: int = MAX_BODY
    ) -> Response:
        """Raises ClientError."""
        target = self._tls.target(url)
        if target.is_tls and self._context is None:
            self._context = self._tls.context()
        headers = credentials.headers() if credentials else {}
        return request(target, "GET", path, headers=headers, timeout=TIMEOUT, max_body=max_body, context=self._context)


def _ask_all(
    way: _Way, urls: Sequence[str], token: Token | None, *, accounting: bool, held: Collection[str]
) -> dict[str, Any]:
    listeners = [{"url": url, **_ask(way, url, OPENAPI)} for url in dict.fromkeys(urls)]
    answering = (entry["url"] for entry in listeners if entry["status"] is not None)
    main = next((url for url in answering if url not in held), None)
    found: dict[str, Any] = {"listeners": listeners, "url": main, "served": None, "diag": None, "clusters": None}
    if main is None or token is None:
        return found
    credentials = Credentials(ADMINISTRATOR, token)
    try:
        response = way.request(main, OPENAPI, credentials)
        document = response.json() if response.status == 200 else None
    except (ClientError, ValueError):
        document = None
    if document is None:
        return {**found, "diag": _ask(way, main, OPENAPI, credentials)}
    served = answers.served_versions(document)
    found["served"] = {"slurm": list(served.slurm), "slurmdb": list(served.slurmdb)}
    if served.slurm:
        found["diag"] = _ask(way, main, f"/slurm/{served.slurm[-1]}/diag", credentials)
    if served.slurmdb and accounting:
        found["clusters"] = _ask(way, main, f"/slurmdb/{served.slurmdb[-1]}/clusters", credentials)
    found["document"] = document
    return found


def _settled(found: Mapping[str, Any], token: Token | None) -> bool:
    """Whether asking again would change nothing: all is good, or slurmrestd itself refuses."""
    asked = [found[name] for name in ("diag", "clusters") if found[name] is not None]
    if token is None or any(entry["status"] in _FINAL for entry in asked):
        return all(entry["status"] is not None for entry in found["listeners"])
    return bool(asked) and all(entry["good"] for entry in asked)


def _ask(
    way: _Way, url: str, path: str, credentials: Credentials | None = None, max_body: int = MAX_BODY
) -> dict[str, Any]:
    """One answer: status None and a kind of error where there was none; ``good`` is 200 without errors inside."""
    record: dict[str, Any] = {"path": path, "status": None, "good": False, "kind": None, "words": "", "names": []}
    record["as"] = credentials.user if credentials else ""
    try:
        response = way.request(url, path, credentials, max_body)
    except ClientError as error:
        return {**record, "kind": error.kind, "words": error.message}
    payload = _json(response)
    errors = answers.errors_of(payload)
    text = response.text.strip()
    said = "a page in HTML, and slurmrestd has none" if text.startswith("<") else text
    words = "; ".join(map(str, errors)) if errors else "" if payload is not None else said
    names = [answers.text(entry.get("name")) for entry in answers.objects(answers.mapping(payload).get("clusters"))]
    good = answers.is_good(response.status, payload)
    # Whatever listens there was shown a token, and can say it again.
    words, names = redacted(words[: 64 * _MAX_WORDS])[:_MAX_WORDS], [redacted(name) for name in names]
    return {**record, "status": response.status, "good": good, "words": words, "names": names}


def _json(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


# --- a client's request ----------------------------------------------------------------------------------------------


def _client(
    way: _Way, found: Mapping[str, Any], client: Mapping[str, Any], token: Token | None, document: Any
) -> dict[str, Any]:
    """What is to be said about a client's request: its token, its user header, its URL and its method."""
    method, path, user = client["method"].upper(), client["path"], client.get("user") or ""
    told = client["told"]
    record: dict[str, Any] = {"method": method, "path": path, "user": user, "answer": None}
    record.update(token=_with_seconds_left(told["token"]), bad_characters=told["bad_characters"])
    if document is not None:
        record["methods"] = _methods(document, path)
        record["twin"] = _twin(document, path)
        record["version"] = told["version"]
    if token is not None and found["url"] is not None and found["diag"] is not None:
        name = user or (record["token"] or {}).get("user") or "nobody"
        try:
            credentials = Credentials(name, token)
            record["answer"] = _ask(way, found["url"], found["diag"]["path"], credentials)
            if "GET" in (record.get("methods") or ()) and not changes(method, path):
                record["repeated"] = _ask(way, found["url"], path, credentials, _most(path))
        except InputError as error:
            record["answer"] = {"status": None, "good": False, "kind": "user", "words": str(error)}
    return record


_LISTS = ("associations", "jobs", "nodes", "partitions", "users")


def _most(path: str) -> int:
    """Bytes that an answer may have: lists are large."""
    return MAX_LIST if path.partition("?")[0].rstrip("/").rpartition("/")[2] in _LISTS else MAX_BODY


def _with_seconds_left(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a token says about itself, its time by the clock of this host."""
    if told is None or "expires" not in told:
        return dict(told) if told else None
    expires = told["expires"]
    left = None if expires is None else round(expires - time.time(), 1)
    return {**{name: value for name, value in told.items() if name != "expires"}, "seconds_left": left}


def _methods(document: Any, path: str) -> list[str]:
    """The methods that the OpenAPI document has for a URL; empty where it does not know it."""
    wanted = path.partition("?")[0].rstrip("/").split("/")
    for template, operations in _paths(document):
        if _fits(template.rstrip("/").split("/"), wanted):
            return sorted(name.upper() for name in operations)
    return []


def _fits(template: Sequence[str], path: Sequence[str]) -> bool:
    """Whether each part of a path is that of a template, which stands for any where it is a parameter.

    Without an expression made of it: the document is slurmrestd's, and could have one look for ever.
    """
    return len(template) == len(path) and all(
        bool(there) if part.startswith("{") and part.endswith("}") else part == there
        for part, there in zip(template, path)
    )


def _paths(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Fixed URLs before those with parameters: /jobs/state is not a job called state."""
    paths = answers.mapping(answers.mapping(document).get("paths"))
    for template in sorted(paths, key=lambda name: "{" in name):
        yield template, answers.mapping(paths[template])


def _twin(document: Any, path: str) -> str | None:
    """The same URL in the other family (slurm, slurmdb) where that one exists."""
    family, other = ("/slurmdb/", "/slurm/") if path.startswith("/slurmdb/") else ("/slurm/", "/slurmdb/")
    if not path.startswith(family):
        return None
    twin = other + path[len(family) :]
    return twin if _methods(document, twin) else None
