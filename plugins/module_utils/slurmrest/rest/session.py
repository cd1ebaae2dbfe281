"""What the checks of one verification share: whom to ask, as whom, what is known already, and what an outcome is."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ..auth.bearer import USER_HEADER, Token, TokenError
from ..auth.claims import inspect
from ..auth.compact import Signer
from ..errors import InputError
from ..slurm.api_versions import ApiVersion, api_version
from . import answers, causes
from .answer_columns import Answering, Table
from .causes import Cause
from .client import DEFAULT_TIMEOUT, MAX_BODY, MAX_LIST, ClientError, Credentials, Response, Target, request
from .contents import slurm_version

OPENAPI = "/openapi/v3"
LISTS = ("associations", "jobs", "nodes", "partitions", "users")
"""Of the endpoints that are asked those whose answers are as long as a cluster is large."""
NOT_ORDINARY = ("root", "slurm", "nobody")  # names that prove nothing about an ordinary user's job
GARBAGE = Token("not-a-token")

# Who a request is made as. Everything but TOKEN, JOB and NONE is to be refused; the check that asks makes that token.
TOKEN, JOB, NONE, BAD_GARBAGE, BAD_FORGED = "token", "job", "none", "garbage", "forged"
ALG_NONE, EXPIRED, USERLESS = "alg-none", "expired", "userless"

_MAX_WORDS = 400  # characters of a daemon's own words in a report
TAKEOVER_TIMEOUT = 8.0
"""Seconds, more than slurmrestd takes to get from a controller that is gone to the one in charge."""


@dataclass(frozen=True)
class JobOptions:
    """How to run the test job. `timeout` is in seconds; `directory` is absolute; the user may write there on a node."""

    timeout: float = 60.0
    directory: str = "/tmp"  # noqa: S108 - exists on every compute node; the file name in it is random
    partition: str | None = None
    account: str | None = None


@dataclass(frozen=True)
class Wishes:
    """What to verify. `accounting`: True demands slurmdbd, False skips it, None asks where it is served.

    `timeout` (seconds) bounds each request; `job` None means that no job is submitted. `samples` is how many answers
    the latency is taken from, `idle_clients` how many connections are held open to see whether others are answered
    still (0: none). `unit` is the service that remedies name. :class:`.options.Options` are judged ones.
    """

    timeout: float = DEFAULT_TIMEOUT
    api_version: str | None = None
    accounting: bool | None = None
    job: JobOptions | None = None
    samples: int = 10
    idle_clients: int = 0
    unit: str = "slurmrestd"


@dataclass(frozen=True)
class Exchange:
    """One request of a check: enough to do it again by hand. ``sent_as`` says with which credentials, not the token."""

    target: Target
    method: str
    path: str
    sent_as: str
    user: str
    body: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a check found: True, False, or None when it could not prove anything; `detail` says what or why.

    `cause` and `remedy` belong to a failure (`cause_id` names the cause for programs); a remedy may also help a check
    that was skipped.
    """

    ok: bool | None
    detail: str
    cause: str = ""
    remedy: str = ""
    cause_id: str = ""


class Failed(Exception):
    """Ends a check with a failure."""

    def __init__(self, detail: str, cause: Cause) -> None:
        super().__init__(detail)
        self.outcome = Outcome(False, detail, cause.text, cause.remedy, cause.id)


@dataclass
class Session:
    """What the checks share: where to ask, as whom, and what is already known. Answers to GET are kept for the run.

    `key` signs tokens that must be refused, where the caller may read it; `made` are tokens that a check has made, by
    how they are sent. `table` has the rows of all releases, `release` that of the daemon, as far as it is known, and
    `unlisted` what is to be said where it has none. `reach_slurmdbd` says why slurmdbd cannot be
    connected to from the host of slurmrestd (empty: it can), where this runs there. `latency` is filled by its check,
    in seconds. `largest` is what an answer may have in bytes that is none of :data:`LISTS`.
    `controllers` are slurmctld's hosts, the primary first, each with whether it answers slurmrestd.
    """

    target: Target
    credentials: Credentials
    job_credentials: Credentials
    options: Wishes
    table: Table
    context: ssl.SSLContext | None = None
    key: Signer | None = None
    api_version: str | None = None
    served: answers.Served = field(default_factory=lambda: answers.Served((), ()))
    release: Answering = field(init=False)
    unlisted: str | None = None
    made: dict[str, Token] = field(default_factory=lambda: {BAD_GARBAGE: GARBAGE}, repr=False)
    slurm_version: str | None = None
    outcomes: dict[tuple[str, Target], Outcome] = field(default_factory=dict)
    requests: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    waited: float = 0.0
    latency: tuple[float, ...] = ()
    warnings: list[str] = field(default_factory=list)
    controllers: tuple[tuple[str, bool], ...] = ()
    job_output: tuple[str, str] | None = None
    read_output: Callable[[str], str] | None = None
    reach_slurmdbd: Callable[[], str] | None = None
    largest: int = MAX_BODY
    _sent: set[str] = field(default_factory=set, repr=False)
    _kept: dict[tuple[Target, str, str, str], tuple[Exchange, Response | ClientError]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.assume(())

    def assume(self, served: tuple[str, ...]) -> None:
        """Take the release for one that serves these API versions, until the daemon has named its own."""
        self.release, self.unlisted = self.table.serving(served), None

    @property
    def silent(self) -> list[str]:
        """Of several controllers those that do not answer, where at least one does."""
        down = [host for host, up in self.controllers if not up]
        return down if len(down) < len(self.controllers) else []

    @property
    def timeout(self) -> float:
        """Seconds that a request may take. While a backup has not taken over, slurmrestd waits for minutes."""
        return min(self.options.timeout, TAKEOVER_TIMEOUT) if self.silent else self.options.timeout

    @property
    def api(self) -> ApiVersion:
        """Facts of the API version in use."""
        return api_version(self.api_version or self.release.newest_api)

    def ask(
        self,
        path: str,
        sent_as: str = TOKEN,
        method: str = "GET",
        body: Any | None = None,
        *,
        fresh: bool = False,
        user: str = "",
        sink: Callable[[bytes], None] | None = None,
    ) -> Response:
        """Send a request, or return the answer of the same GET before; `user` replaces the name beside the token.

        `sink` is given the body of a 200 (see :func:`request`). Raises ClientError.
        """
        key = (self.target, path, sent_as, user)
        known = self._kept.get(key) if method == "GET" and not fresh else None
        if known is None:
            known = self._send(path, self.headers(sent_as, user), sent_as, method, body, sink=sink)
            if method == "GET":
                self._kept[key] = known
        exchange, result = known
        self.exchanges.append(exchange)
        if isinstance(result, ClientError):
            raise result
        self.waited += result.seconds
        return result

    def _send(
        self,
        path: str,
        headers: dict[str, str],
        sent_as: str,
        method: str,
        body: Any | None,
        *,
        sink: Callable[[bytes], None] | None = None,
    ) -> tuple[Exchange, Response | ClientError]:
        text = None if body is None else json.dumps(body)
        exchange = Exchange(self.target, method, path, sent_as, headers.get(USER_HEADER, ""), text)
        if text is not None:
            headers["Content-Type"] = "application/json"
        self.requests += 1
        try:
            response = request(
                self.target,
                method,
                path,
                headers=headers,
                body=None if text is None else text.encode("utf-8"),
                timeout=self.timeout,
                max_body=MAX_LIST if path.rpartition("/")[2] in LISTS else self.largest,
                context=self.context,
                sink=sink,
            )
        except ClientError as error:
            return exchange, error
        return replace(exchange, status=response.status), response

    def good(self, path: str, daemon: str = "slurmctld", **how: Any) -> Mapping[str, Any]:
        """Ask and demand a good answer: 200 (204: nothing there), JSON, no errors. Raises Failed, ClientError."""
        response = self.ask(path, **how)
        if response.status == 204:
            return {}
        payload = payload_of(response)
        if payload is not None and answers.is_good(response.status, payload):
            return payload
        raise self.refusal(response, daemon)

    def refusal(self, response: Response, daemon: str = "slurmctld") -> Failed:
        """An answer that is not good, as a failure with cause and remedy."""
        payload = payload_of(response)
        errors = answers.errors_of(payload)
        if any("slurmdb" in error.text.lower() for error in errors):
            daemon = "slurmdbd"  # some releases ask it for what slurmctld's answer leaves out
        if response.status == 200 and payload is None:
            return Failed(f"200, but the body is not a JSON object ({len(response.body)} bytes)", _NOT_JSON)
        if payload is not None and not errors:
            return Failed(f"{response.status}, but no errors in the answer", _NO_ERRORS)
        words = "; ".join(map(str, errors)) or " ".join(response.text.split()) or "no text"
        known = causes.Circumstances(
            daemon,
            self.target.scheme == "unix",
            _token_fault(self.job_credentials if self.exchanges[-1].sent_as == JOB else self.credentials),
            response.seconds,
            self._slurmctld_accepts() if daemon == "slurmdbd" else self._slurmdbd_accepts(),
            self.reach_slurmdbd() if self.reach_slurmdbd and daemon == "slurmdbd" else None,
        )
        cause = causes.explain(response.status, errors, self.release, known)
        return Failed(f"{response.status}: {short(words)}", cause)

    def _slurmctld_accepts(self) -> bool | None:
        """Whether slurmctld took the token; None when that is not known."""
        if self.passed("slurm-diag"):
            return True
        found = self.outcomes.get(("slurm-diag", self.target))
        return False if found is not None and found.cause_id == causes.TOKEN_REFUSED else None

    def _slurmdbd_accepts(self) -> bool | None:
        """Whether slurmdbd takes the token that slurmctld did not, so that it is not to blame; None when not known."""
        if self.options.accounting is False or not self.served.slurmdb:
            return None
        with self.aside(), contextlib.suppress(ClientError):
            response = self.ask(self.url("clusters", "slurmdb"))
            if answers.is_good(response.status, payload_of(response)):
                return True
        return None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Ask something that does not belong to the check at hand: neither its time nor its curl lines."""
        exchanges, waited = list(self.exchanges), self.waited
        try:
            yield
        finally:
            self.exchanges, self.waited = exchanges, waited

    def url(self, endpoint: str, family: str = "slurm") -> str:
        """The path of an endpoint in the API version in use."""
        return f"/{family}/{self.api_version}/{endpoint}"

    def passed(self, check_id: str) -> bool:
        """Whether a check of this target passed."""
        found = self.outcomes.get((check_id, self.target))
        return found is not None and found.ok is True

    def failed(self, check_id: str, target: Target | None = None) -> bool:
        """Whether a check of this target, or of another one, failed."""
        found = self.outcomes.get((check_id, target or self.target))
        return found is not None and found.ok is False

    def cause_of(self, check_id: str, otherwise: Cause) -> Cause:
        """The cause of a check that failed, since one fault should have one name; `otherwise` when it did not."""
        found = self.outcomes.get((check_id, self.target))
        if found is None or found.ok is not False:
            return otherwise
        return Cause(found.cause_id, found.cause, found.remedy)

    def learn_version(self, payload: Any) -> None:
        """Take the Slurm version from an answer, once, and with it the row of the release table."""
        version = slurm_version(payload)
        if self.slurm_version is None and version is not None:
            self.slurm_version = version
            with contextlib.suppress(InputError):
                self.release, self.unlisted = self.table.at(version)

    def clean(self, words: str) -> str:
        """Words for a terminal: one line, no control characters, and no token even where a daemon repeats it."""
        own = {credentials.token.reveal() for credentials in (self.credentials, self.job_credentials)}
        for secret in sorted(own | self._sent, key=len, reverse=True):
            words = words.replace(secret, "<token>")
        return "".join(letter if letter.isprintable() else " " for letter in words)

    def headers(self, sent_as: str, user: str = "") -> dict[str, str]:
        """The headers of a request: the token and the name of its user, or `user`, beside it."""
        if sent_as == NONE:
            return {}
        own = self.job_credentials if sent_as == JOB else self.credentials
        token = self._token(sent_as)
        if sent_as != BAD_GARBAGE:
            self._sent.add(token.reveal())
        return replace(own, user=user or own.user, token=token).headers()

    def _token(self, sent_as: str) -> Token:
        if sent_as in (TOKEN, JOB):
            return (self.job_credentials if sent_as == JOB else self.credentials).token
        return self.made[sent_as]


def payload_of(response: Response) -> Mapping[str, Any] | None:
    """The JSON object of an answer; None when it is none."""
    try:
        payload = response.json()
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def short(words: str) -> str:
    """A daemon's own words, cut to what a report can bear."""
    return words if len(words) <= _MAX_WORDS else words[: _MAX_WORDS - 1] + "…"


def _token_fault(credentials: Credentials) -> Cause | None:
    """What can be seen wrong with a token from here, where the daemon does not tell."""
    try:
        token = inspect(credentials.token)
    except TokenError:
        return None
    if token.expiry_fault:
        return causes.never_good(token.expiry_fault)
    late = token.late(time.time())
    if late > 0:
        return causes.expired(late)
    if token.user not in ("", credentials.user, *NOT_ORDINARY):
        return causes.another_user(token.user, credentials.user)
    return None


_NO_ERRORS = Cause(
    "no-errors",
    "slurmrestd reports a failure and names none: a fault of this API version or of what is in front of slurmrestd",
    "Ask with another API version (--api-version).",
)
_NOT_JSON = Cause(
    "not-json",
    "something other than slurmrestd answers, or the answer was cut",
    "See what it sends, with the curl line of this check (--show-curl).",
)
