"""The checks of a gateway: what stands in front of slurmrestd does what that does not. All of them are harmless."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ..auth.bearer import TOKEN_HEADER, USER_HEADER
from ..auth.claims import with_forged_signature
from ..rest.causes import Cause
from ..rest.client import ClientError, Credentials, Response, Target, request
from ..rest.session import TOKEN, Failed, Outcome, Session, payload_of
from ..slurmrestd.address import DEFAULT_PORT
from .check import Check

CACHE_HEADER = "x-cache"
ASKED = ("MISS", "EXPIRED", "BYPASS")
"""What the header says of an answer for which slurmrestd was asked."""

CROWD = 20
CROWDED = "partitions"
"""What all of them ask for: nothing that a check has asked for just before."""

LARGE = 3 << 20
LOGIN_PATH, SESSION_PATH = "/auth/login", "/auth/session"
COOKIE = "__Host-slurmrest"
_UNSIGNED = "a.b.c"  # of the form of a token, and nobody's
FOREIGN = "https://foreign.example.com"

_REPAIR = "Run playbooks/gateway.yml again, and see what stands between this host and the gateway."
_OTHER = Cause("gateway-other", "something else than this toolkit's gateway answers there", _REPAIR)


def _fault(identifier: str, text: str) -> Cause:
    return Cause(f"gateway-{identifier}", text, _REPAIR)


def _ask(
    session: Session,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Response:
    """One request as it is given, on a connection of its own. Raises ClientError."""
    session.requests += 1
    how = {"timeout": session.options.timeout, "context": session.context}
    answer = request(session.target, method, path, headers=headers or {}, body=body, **how)  # type: ignore[arg-type]
    session.waited += answer.seconds
    return answer


def _expect(answer: Response, statuses: tuple[int, ...], what: str, cause: Cause) -> None:
    if answer.status not in statuses:
        raise Failed(f"{what}: {answer.status} instead of {' or '.join(map(str, statuses))}", cause)


def _tls(session: Session) -> Outcome:
    if session.target.scheme != "https":
        raise Failed(f"{session.target} is without TLS", _fault("clear", "tokens travel for everybody to read"))
    if session.context is not None and session.context.verify_mode != ssl.CERT_REQUIRED:
        return Outcome(None, "the certificate was not checked (--insecure)")
    answer = _ask(session, "/openapi/v3")
    return Outcome(True, answer.tls)


def _paths(session: Session) -> Outcome:
    """Only Slurm's paths and methods are there, and HEAD is answered rightly."""
    own = session.headers(TOKEN)
    cause = _fault("paths", "paths or methods pass that slurmrestd does not have, or answers wrongly")
    _expect(_ask(session, "/", headers=own), (404,), "GET /", cause)
    _expect(_ask(session, session.url("diag"), "HEAD", own), (405,), "HEAD", cause)
    _expect(_ask(session, session.url("diag"), "PATCH", own), (405,), "PATCH", cause)
    return Outcome(True, "other paths 404, other methods 405, HEAD too")


def _credentials(session: Session) -> Outcome:
    """What is no credential is refused, also while a good answer is kept, and both headers of tokens are one."""
    if session.credentials.kind != "token":
        return _login(session)
    path, own = session.url("diag"), session.headers(TOKEN)
    token = session.credentials.token
    leak = _fault("leak", "an answer was given to somebody who has no right to it")
    _expect(_ask(session, path, headers=own), (200,), "a good token", _OTHER)
    forged = Credentials(session.credentials.user, with_forged_signature(token)).headers()
    if _ask(session, path, headers=forged).status == 200:
        raise Failed("a forged token had the answer of the good one", leak)
    for what, headers in (("no credentials", {}), ("a name alone", {USER_HEADER: session.credentials.user})):
        _expect(_ask(session, path, headers=headers), (401,), what, leak)
    other = _fault("headers", "headers of clients are passed on as they come")
    bearer = {USER_HEADER: session.credentials.user, "Authorization": f"Bearer {token.reveal()}"}
    _expect(_ask(session, path, headers=bearer), (200,), "Authorization: Bearer", other)
    both = {**own, "Authorization": "Basic Og=="}
    _expect(_ask(session, path, headers=both), (200,), "a token beside another Authorization", other)
    return Outcome(True, "none or forged: refused, also while a good answer is kept; Bearer is taken")


def _login(session: Session) -> Outcome:
    """Whoever logged in is known by that alone: neither a name of Slurm's nor another session says who asks."""
    path, own, user = session.url("diag"), session.headers(TOKEN), session.credentials.user
    leak = _fault("leak", "an answer was given to somebody who has no right to it")
    _expect(_ask(session, path, headers=own), (200,), "the login", _OTHER)
    shown = _ask(session, SESSION_PATH, headers=own)
    if shown.status != 200 or (payload_of(shown) or {}).get("user") != user:
        raise Failed(f"{SESSION_PATH} does not name {user}", _OTHER)
    if session.credentials.kind == "certificate":
        return Outcome(True, f"{user}, by the client certificate")
    name = {USER_HEADER: user, TOKEN_HEADER: _UNSIGNED}
    for what, headers in (
        ("nobody", {}),
        ("a name of Slurm's", name),
        ("another session", {"Authorization": "Bearer " + "x" * 43}),
        ("another cookie", {"Cookie": f"{COOKIE}=" + "x" * 43}),
    ):
        _expect(_ask(session, path, headers=headers), (401,), what, leak)
    _expect(_ask(session, path, headers={**own, **name}), (200,), "a name of Slurm's beside the login", leak)
    return Outcome(True, f"{user}, by the login; nobody, names of Slurm's and other sessions: 401")


def _cache(session: Session) -> Outcome:
    """Many who ask at once are one for slurmrestd, and answers are kept nowhere else."""
    path, own = session.url("diag"), session.headers(TOKEN)
    first = _ask(session, path, headers={**own, "Cache-Control": "no-cache"})
    if CACHE_HEADER not in first.headers:
        return Outcome(None, "the gateway keeps no answers (slurmrest_gateway_cache_seconds: 0)")
    cause = _fault("cache", "answers are kept where they should not be, or not where they should")
    if first.headers[CACHE_HEADER] != "BYPASS":
        raise Failed(f"Cache-Control: no-cache: {first.headers[CACHE_HEADER]} instead of BYPASS", cause)
    if "no-store" not in first.headers.get("cache-control", ""):
        raise Failed("answers leave without Cache-Control: no-store", cause)
    with ThreadPoolExecutor(max_workers=CROWD) as pool:
        answers = list(pool.map(lambda _turn: _ask(session, session.url(CROWDED), headers=own), range(CROWD)))
    bad = sorted({answer.status for answer in answers} - {200})
    if bad:
        raise Failed(f"{CROWD} clients at once: {', '.join(map(str, bad))}", cause)
    asked = sum(answer.headers.get(CACHE_HEADER) in ASKED for answer in answers)
    slowest = max(answer.seconds for answer in answers)
    # One for each second that they took, and one for the second in which they began.
    if asked > slowest + 2:
        raise Failed(f"slurmrestd was asked {asked} times for {CROWD} clients within {slowest:.1f} s", cause)
    return Outcome(True, f"{CROWD} clients at once: slurmrestd was asked {asked} time{'' if asked == 1 else 's'}")


def _framing(session: Session) -> Outcome:
    """Bodies of any framing and size reach slurmrestd, which refuses what these hold."""
    path, own = session.url("job/submit"), {**session.headers(TOKEN), "Content-Type": "application/json"}
    cause = _fault("framing", "requests are cut, or answered wrongly, on their way")
    chunked = _ask(session, path, "POST", {**own, "Transfer-Encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n")
    large = _ask(session, path, "POST", own, b'{"nothing": "' + b"x" * LARGE + b'"}')
    for what, answer in (("a chunked body", chunked), (f"a body of {LARGE >> 20} MB", large)):
        if answer.status in (200, 411, 413, 502, 504) or not answer.body:
            raise Failed(f"{what}: {answer.status}", cause)
    escaped = _ask(session, session.url("node/a%2Fb"), headers=session.headers(TOKEN))
    if b"/a/b" in escaped.body:
        raise Failed("%2F in a path was decoded on its way", cause)
    return Outcome(True, f"chunked, {LARGE >> 20} MB: slurmrestd's own refusal; %2F stays")


def _origins(session: Session) -> Outcome:
    """A page of another origin gets no permission, and an error is no exception."""
    cause = _fault("origin", "pages of any origin may use a token that a browser has")
    asked = {"Origin": FOREIGN, "Access-Control-Request-Method": "GET"}
    for what, answer in (
        ("the preflight", _ask(session, session.url("diag"), "OPTIONS", asked)),
        ("an error", _ask(session, session.url("diag"), headers={"Origin": FOREIGN})),
    ):
        allowed = answer.headers.get("access-control-allow-origin")
        if allowed is not None:
            raise Failed(f"{what} of a foreign origin is allowed: {allowed}", cause)
    return Outcome(True, "a foreign origin is not allowed")


def _behind(session: Session) -> Outcome:
    """The daemon itself is not reached where the gateway is."""
    target = Target("http", session.target.host, DEFAULT_PORT)
    if session.target.is_loopback:
        return Outcome(None, "the gateway is asked on loopback, where slurmrestd may be reached, too")
    try:
        answer = request(target, "GET", "/openapi/v3", timeout=min(session.options.timeout, 3.0))
    except ClientError as error:
        return Outcome(True, error.message)
    raise Failed(
        f"{target} answers ({answer.status}) without TLS",
        Cause(
            "gateway-bypassed",
            "slurmrestd can be asked beside its gateway",
            "Have it listen on loopback, or on a private address with slurmrestd_service_clients.",
        ),
    )


GATEWAY_CHECKS: tuple[Check, ...] = (
    Check("gateway-tls", "TLS, with a certificate of this name", _tls),
    Check("gateway-paths", "only paths and methods of Slurm are there", _paths, needs_token=True),
    Check("gateway-credentials", "credentials are judged anew each time", _credentials, needs_token=True),
    Check("gateway-cache", "many who ask at once are one for slurmrestd", _cache, needs_token=True),
    Check("gateway-framing", "bodies of any framing pass", _framing, needs_token=True),
    Check("gateway-origins", "pages of foreign origins get no permission", _origins),
    Check("gateway-alone", "slurmrestd is not reached beside it", _behind, minor=True),
)
