"""What the identity service answers: pure of sockets, so that each rule is a question with one answer.

Who asks is known by a session (a cookie of the gateway's own pages, or a bearer for all others) or by the certificate
that nginx has verified. A browser sends cookies and certificates by itself, so where one of them would change something
the page has to prove that it is the gateway's own.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlurmrestError
from ..host.logins import IDENTITY_KEY_PATH
from .oidc import CodeFlow, LoginError
from .sessions import LoginSession, Sessions
from .settings import MTLS, PAM, LoginSettings
from .tokens import UserTokens

COOKIE = "__Host-slurmrest"
STATE_COOKIE = "__Host-slurmrest-login"
STATE_SECONDS = 600
CSRF_HEADER = "X-CSRF-Token"
SAFE = ("GET", "HEAD", "OPTIONS")
OTHER_SITES = ("cross-site", "same-site")
"""What browsers say of a request that a page of another origin made."""

VERIFIED = "SUCCESS"
REFUSED = "The login is refused."
ENDED = "Nobody is logged in: see /auth/login."
_JSON = "application/json"
_PORT = re.compile(r":[0-9]+\Z")

Password = Callable[[str, str], bool]
Told = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """A question of nginx'. Names of ``headers`` are in lower case; ``path`` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    query: str = field(default="", repr=False)

    def header(self, name: str) -> str:
        """One header, or an empty text."""
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True)
class Reply:
    """An answer. ``headers`` may hold secrets."""

    status: int
    data: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Found:
    """Who asks: a user, by a session or without one; ``reason`` says why nobody is known."""

    user: str = ""
    reason: str = ""
    session: LoginSession | None = None
    secret: str = field(default="", repr=False)
    by_browser: bool = False


Door = Callable[[Asked], Reply]


class NotAllowed(Exception):
    """A question that gets no for an answer: a status, and words for the client."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words

    def reply(self) -> Reply:
        """The answer; nginx hands on the header's words where it asked for a client."""
        return Reply(self.status, error(self.words), {"X-Slurmrest-Reason": self.words})


def error(words: str) -> dict[str, Any]:
    """Words in the form of slurmrestd's own errors."""
    return {"errors": [{"description": words, "source": "gateway"}]}


@dataclass
class Identity:
    """The service. ``password`` says whether a password is a user's; ``told`` takes lines for the journal."""

    settings: LoginSettings
    sessions: Sessions
    signer: UserTokens
    password: Password
    told: Told
    code_flow: CodeFlow | None = None

    def answer(self, asked: Asked) -> Reply:
        """Answer one question."""
        doors: dict[tuple[str, str], Door] = {
            ("GET", "/check"): self.check,
            ("GET", IDENTITY_KEY_PATH): self.name_key,
            ("GET", "/auth/session"): self.show,
        }
        if self.settings.identity == PAM:
            doors[("POST", "/auth/login")] = self.log_in
        if self.code_flow is not None:
            doors[("GET", "/auth/login")] = self.begin
            doors[("GET", "/auth/callback")] = self.finish
            doors[("POST", "/auth/bearer")] = self.hand_out
        if self.settings.identity != MTLS:
            doors[("POST", "/auth/logout")] = self.log_out
            doors[("POST", "/auth/logout-everywhere")] = self.log_out_everywhere
        door = doors.get((asked.method, asked.path))
        if door is None:
            known = [method for method, path in doors if path == asked.path]
            return Reply(405, error(f"Allowed: {known[0]}.")) if known else Reply(404, error("There is no such path."))
        try:
            return door(asked)
        except NotAllowed as refusal:
            return refusal.reply()

    def check(self, asked: Asked) -> Reply:
        """Name and token of who asks for ``X-Method``, for nginx to send on; 401 for nobody, 403 for who may not."""
        found = self.demand(asked, asked.header("X-Method"))
        token = self.signer.token(found.user).reveal()
        return Reply(204, None, {"X-Slurm-User-Name": found.user, "X-Slurm-User-Token": token})

    def name_key(self, _asked: Asked) -> Reply:
        """The name of the key that signs, for who is on this host: nginx sends no client here."""
        return Reply(200, {"kid": self.signer.kid})

    def show(self, asked: Asked) -> Reply:
        """Who is logged in, for a page to say, and what it has to send where it changes something; or how to log in."""
        try:
            found = self.demand(asked, "GET")
        except NotAllowed as refused:
            return Reply(refused.status, {**error(refused.words), "identity": self.settings.identity})
        return Reply(200, self._described(found.user, found.session))

    def log_in(self, asked: Asked) -> Reply:
        """Begin a session by name and password: a cookie, or with ``"bearer": true`` a secret for the header."""
        self._same_origin(asked)
        user, password, bearer = self._credentials(asked)
        begin = time.monotonic()
        reason = self.settings.policy.refusal(user)
        if not reason and not self.password(user, password):
            reason = "PAM refuses the password or the account"
        client = asked.header("X-Client")
        if reason:
            self.told(f"login of {user!a} from {client} refused: {reason}")
            _wait_until(begin + REFUSAL_SECONDS)
            raise NotAllowed(401, REFUSED)
        self.told(f"login of {user} from {client}")
        secret, session = self.sessions.begin(user)
        described = self._described(user, session)
        if bearer:
            return Reply(200, {**described, "bearer": secret})
        return Reply(200, described, {"Set-Cookie": self._cookie(secret, self.settings.session_seconds)})

    def begin(self, asked: Asked) -> Reply:
        """Send the browser to the provider."""
        try:
            location, state = self._provider().begin(asked.query)
        except LoginError as failure:
            self.told(f"login from {asked.header('X-Client')} cannot begin: {failure}")
            raise NotAllowed(503, "The identity provider cannot be asked.") from None
        return Reply(302, {}, {"Location": location, "Set-Cookie": self._cookie(state, STATE_SECONDS, STATE_COOKIE)})

    def finish(self, asked: Asked) -> Reply:
        """Begin a session for whom the provider names."""
        client = asked.header("X-Client")
        try:
            user, back = self._provider().finish(asked.query, _cookie(asked.header("Cookie"), STATE_COOKIE))
        except SlurmrestError as failure:
            self.told(f"login from {client} refused: {failure}")
            raise NotAllowed(401, REFUSED) from None
        reason = self.settings.policy.refusal(user)
        if reason:
            self.told(f"login of {user!a} from {client} refused: {reason}")
            raise NotAllowed(401, REFUSED)
        self.told(f"login of {user} from {client}")
        secret, _session = self.sessions.begin(user)
        headers = {"Location": back, "Set-Cookie": self._cookie(secret, self.settings.session_seconds)}
        return Reply(303, {}, headers)

    def _provider(self) -> CodeFlow:
        """The provider, behind whose doors only who has one comes."""
        if self.code_flow is None:
            raise NotAllowed(404, "There is no such path.")
        return self.code_flow

    def hand_out(self, asked: Asked) -> Reply:
        """A session of its own for a program, asked for by the page of who is logged in.

        It lasts no longer than the login: otherwise each could be had anew before it ends, and the provider's word of
        once would be good for ever.
        """
        found = self.demand(asked, asked.method)
        made = self.sessions.begin_another(found.secret) if found.session else self.sessions.begin(found.user)
        if made is None:
            raise NotAllowed(401, ENDED)
        secret, session = made
        self.told(f"bearer for {found.user}")
        return Reply(200, {**self._described(found.user, session), "bearer": secret})

    def log_out(self, asked: Asked) -> Reply:
        """End the session that asks."""
        found = self.demand(asked, asked.method)
        if found.session is not None:
            self.sessions.end(found.secret)
            self.told(f"logout of {found.user}")
        return Reply(200, {}, {"Set-Cookie": self._cookie("", 0)})

    def log_out_everywhere(self, asked: Asked) -> Reply:
        """End all sessions of who asks, such as after a change of the password, which ends none."""
        found = self.demand(asked, asked.method)
        count = self.sessions.end_all(found.user)
        self.told(f"logout of {found.user} everywhere: {count} sessions")
        return Reply(200, {"sessions": count}, {"Set-Cookie": self._cookie("", 0)})

    def demand(self, asked: Asked, method: str) -> Found:
        """Who asks, where that may be; NotAllowed otherwise."""
        found = self._by_certificate(asked) if self.settings.identity == MTLS else self._by_session(asked)
        if not found.user:
            raise NotAllowed(401, found.reason)
        if found.by_browser and method not in SAFE:
            self._same_origin(asked)
            said = asked.header(CSRF_HEADER)
            if found.session is not None and not found.session.is_said(said):
                raise NotAllowed(403, f"{CSRF_HEADER} is missing or wrong: /auth/session has it.")
        reason = self.settings.policy.refusal(found.user)
        if reason:
            self.told(f"request of {found.user!a} refused: {reason}")
            raise NotAllowed(403, "This user may not use the gateway.")
        return found

    def _by_certificate(self, asked: Asked) -> Found:
        if asked.header("X-Client-Verify") != VERIFIED:
            return Found(reason="A client certificate is missing, or of an authority that counts nothing here.")
        user = self.settings.subjects.get(asked.header("X-Client-Subject"), "")
        return Found(user, "The client certificate's name is no user's here.", by_browser=True)

    def _by_session(self, asked: Asked) -> Found:
        kind, _, bearer = asked.header("Authorization").partition(" ")
        if kind.lower() == "bearer":
            secret, by_browser = bearer.strip(), False
        else:
            secret, by_browser = _cookie(asked.header("Cookie")), True
        session = self.sessions.find(secret) if secret else None
        if session is None:
            return Found(reason=ENDED)
        return Found(session.user, "", session, secret, by_browser)

    def _same_origin(self, asked: Asked) -> None:
        """Refuse a page of an origin that is neither the gateway's own nor listed; programs send none.

        Nor do browsers with a link or a picture: they say whether it stands on another site (Fetch Metadata).
        """
        origin, host = asked.header("Origin").lower(), asked.header("X-Own-Host").lower()
        own = {*self.settings.origins, self.settings.provider.get("url", "").lower()}
        if self._is_own(_PORT.sub("", host)):
            own.add(f"https://{host}")
        if origin not in own if origin else asked.header("Sec-Fetch-Site") in OTHER_SITES:
            raise NotAllowed(403, "Pages of this origin may not use the gateway.")

    def _is_own(self, name: str) -> bool:
        """Whether a browser that asked for this asked the gateway: others can give its address a name of theirs."""
        try:
            return name == self.settings.name or bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return False

    def _credentials(self, asked: Asked) -> tuple[str, str, bool]:
        """Name, password and kind of session. JSON only, which no form of another page can send."""
        allowed = f'Content-Type: {_JSON} and {{"user": …, "password": …, "bearer": true or false}} are expected.'
        if asked.header("Content-Type").partition(";")[0].strip().lower() != _JSON:
            raise NotAllowed(415, allowed)
        try:
            data = json.loads(asked.body)
        except (ValueError, RecursionError):
            raise NotAllowed(400, allowed) from None
        if not isinstance(data, dict) or not set(data) <= {"user", "password", "bearer"}:
            raise NotAllowed(400, allowed)
        user, password, bearer = data.get("user"), data.get("password"), data.get("bearer", False)
        texts = all(isinstance(text, str) and text and "\0" not in text for text in (user, password))
        if not texts or not isinstance(bearer, bool) or not str(user).isprintable():
            raise NotAllowed(400, allowed)
        return str(user), str(password), bearer

    def _described(self, user: str, session: LoginSession | None) -> dict[str, Any]:
        if session is None:
            return {"user": user}
        return {"user": user, "expires": int(session.expires), "csrf": session.csrf}

    def _cookie(self, secret: str, seconds: int, name: str = COOKIE) -> str:
        return f"{name}={secret}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"


REFUSAL_SECONDS = 4.0
"""After which a refused login is answered, whatever refused it: how long it took tells nobody which accounts are.

More than PAM takes for a wrong password: pam_unix waits for two seconds, and libpam varies that by half
(pam_fail_delay(3); 1.7 to 2.6 s were measured).
"""


def _wait_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0.0))


def _cookie(header: str, wanted: str = COOKIE) -> str:
    """The cookie of this name among all; none where there are two, of which somebody else set one."""
    pairs = [pair.strip().partition("=") for pair in header.split(";")]
    values = [value for name, _, value in pairs if name == wanted]
    return values[0] if len(values) == 1 else ""
