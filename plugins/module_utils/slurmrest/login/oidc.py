"""OpenID Connect of one provider: the authorization code flow with PKCE (RFC 6749, 7636; OpenID Connect Core 1.0, 3.1).

What comes back from a browser counts only where this service began it, in that browser: ``state`` is in a cookie, too.
The provider's word is its ID token alone, signed with RS256 by a key of its set, for this client and this login.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from ..auth import jwks, rs256
from ..auth.bearer import Token, TokenError
from ..auth.claims import number
from ..auth.jwt import inspect, signed_parts
from ..errors import InputError, SlurmrestError
from ..host.https import is_https
from ..rest.client import ClientError, Target, request
from ..rest.tls import Tls

PENDING_SECONDS = 600.0
PENDING = 10_000
"""Logins that have begun and not ended, at most; the oldest goes for a new one."""

KNOWN_SECONDS = 3600.0
"""For which the provider's addresses and keys are kept; a key that is not among them is looked for at once."""

AGAIN_SECONDS = 30.0
"""Between two looks for keys that are not there."""

CLOCKS = 60.0
PATIENCE = 10.0
MAXIMUM_BYTES = 256 * 1024
_RETURN = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1000}\Z")


class LoginError(SlurmrestError):
    """A login that ends here. The message is for the journal: the browser is told that it is refused."""


@dataclass(frozen=True)
class Client:
    """The gateway as its provider knows it. ``claim`` of the ID token names the user; ``url`` is the gateway's own."""

    issuer: str
    client_id: str
    claim: str
    url: str
    ca_file: str = ""
    secret: str = field(default="", repr=False)

    @property
    def redirect(self) -> str:
        """Where the provider sends the browser back to."""
        return f"{self.url}/auth/callback"


@dataclass(frozen=True)
class _Begun:
    """A login on its way: what ties the answers to it, where the browser goes then, and until when it holds."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    back: str
    expires: float


Fetch = Callable[[str, "Mapping[str, str] | None"], Any]


class CodeFlow:
    """The logins of one provider."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.time) -> None:
        self._client, self._clock = client, clock
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._provider: Mapping[str, Any] = {}
        self._provider_until = 0.0
        self._keys: tuple[jwks.PublicKey, ...] = ()
        self._keys_until = self._keys_looked = 0.0

    def begin(self, query: str) -> tuple[str, str]:
        """Where to send the browser, and the state that has to come back; it ends at ``return`` of the query.

        Raises:
            LoginError: the provider cannot be asked.
        """
        wanted = (parse_qs(query).get("return") or ["/"])[0]
        back = wanted if _RETURN.match(wanted) else "/"
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        endpoint = str(self._discovered()["authorization_endpoint"])
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        words = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": digest,
            "code_challenge_method": "S256",
        }
        with self._lock:
            now = self._clock()
            while self._begun and (next(iter(self._begun.values())).expires <= now or len(self._begun) >= PENDING):
                self._begun.popitem(last=False)
            self._begun[state] = _Begun(nonce, verifier, back, now + PENDING_SECONDS)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(words)}", state

    def finish(self, query: str, cookie: str) -> tuple[str, str]:
        """The user that the provider names, and where the browser goes.

        Args:
            query: what came back.
            cookie: the state that this browser has.

        Raises:
            LoginError: it is not the answer to a login that this browser began, or the provider names nobody.
        """
        said = {name: values[0] for name, values in parse_qs(query).items() if len(values) == 1}
        state = said.get("state", "")
        if not cookie or not hmac.compare_digest(cookie.encode("utf-8", "replace"), state.encode("utf-8", "replace")):
            raise LoginError("this browser did not begin the login")
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or begun.expires <= self._clock():
            raise LoginError("the login was begun too long ago, or used already")
        if said.get("iss", self._client.issuer) != self._client.issuer:
            raise LoginError("another issuer answers (iss)")
        if "code" not in said:
            raise LoginError(f"the provider refuses it: {said.get('error', 'no code')!a:.80}")
        return self._user(self._id_token(said["code"], begun), begun.nonce), begun.back

    def _id_token(self, code: str, begun: _Begun) -> Token:
        words = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect,
            "client_id": self._client.client_id,
            "code_verifier": begun.verifier,
        }
        found = self._fetch(str(self._discovered()["token_endpoint"]), words)
        try:
            return Token(str(found.get("id_token") or ""))
        except TokenError as error:
            raise LoginError(f"the provider gives no ID token: {error}") from None

    def _user(self, token: Token, nonce: str) -> str:
        """Judge an ID token (OpenID Connect Core 1.0, 3.1.3.7) and return whom it names."""
        try:
            found = inspect(token)
            message, signature = signed_parts(token)
        except TokenError as error:
            raise LoginError(f"the ID token is none: {error}") from None
        if found.algorithm != jwks.ALGORITHM:
            raise LoginError(f"the ID token is signed with {found.algorithm!a:.20}; allowed: {jwks.ALGORITHM}")
        if not rs256.verify(self._key(found.header.get("kid")), message, signature):
            raise LoginError("the signature of the ID token does not match")
        fault = self._fault(found.claims, nonce)
        if fault:
            raise LoginError(f"the ID token is refused: {fault}")
        user = found.claims.get(self._client.claim)
        if not isinstance(user, str) or not user or not user.isprintable():
            raise LoginError(f"the ID token has no claim {self._client.claim} that is a name")
        return user

    def _fault(self, claims: Mapping[str, Any], nonce: str) -> str:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        own, now = self._client.client_id, self._clock()
        expires, issued = number(claims.get("exp")), number(claims.get("iat"))
        if claims.get("iss") != self._client.issuer:
            return "it is of another issuer (iss)"
        if own not in audiences or ((len(audiences) > 1 or "azp" in claims) and claims.get("azp") != own):
            return "it is for another client (aud, azp)"
        if expires is None or expires + CLOCKS <= now:
            return "it has expired (exp)"
        if issued is None or issued - CLOCKS > now:
            return "it was issued in the future (iat)"
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            return "it is of another login (nonce)"
        return ""

    def _discovered(self) -> Mapping[str, Any]:
        """The provider's own description (OpenID Connect Discovery 1.0)."""
        now = self._clock()
        if self._provider_until <= now:
            found = self._fetch(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration", None)
            needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            said = found.get("issuer")
            if said != self._client.issuer:
                raise LoginError(f"the provider calls itself {said!a:.200}, and not {self._client.issuer}")
            if not all(is_https(str(found.get(name))) for name in needed):
                raise LoginError(f"the provider does not name {', '.join(needed)} as https:// addresses")
            self._provider, self._provider_until = found, now + KNOWN_SECONDS
        return self._provider

    def _key(self, kid: object) -> jwks.PublicKey:
        now = self._clock()
        known = [key for key in self._keys if key.kid == kid]
        if self._keys_until <= now or (not known and self._keys_looked + AGAIN_SECONDS <= now):
            self._keys_looked = now
            text = json.dumps(self._fetch(str(self._discovered()["jwks_uri"]), None)).encode()
            self._keys, self._keys_until = jwks.parse(text, "the provider's keys").keys, now + KNOWN_SECONDS
            known = [key for key in self._keys if key.kid == kid]
        if not known:
            raise LoginError(f"the provider has no key {kid!a:.80}")
        return known[0]

    def _fetch(self, url: str, form: Mapping[str, str] | None) -> Mapping[str, Any]:
        """An object of the provider's, by GET or by a form. Raises LoginError."""
        parts = urlsplit(url)
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            if self._client.secret:
                pair = f"{quote(self._client.client_id, safe='')}:{quote(self._client.secret, safe='')}"
                headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            answer = request(
                Target.parse(f"{parts.scheme}://{parts.netloc}"),
                "GET" if form is None else "POST",
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                headers=headers,
                body=None if form is None else urlencode(form).encode(),
                timeout=PATIENCE,
                max_body=MAXIMUM_BYTES,
                context=Tls(cacert=self._client.ca_file or None).context(),
            )
            found = answer.json()
        except (ClientError, InputError) as error:
            raise LoginError(f"{parts.netloc}: {error.message}") from None
        except ValueError:
            raise LoginError(f"{url} answers with what is not JSON") from None
        if answer.status != 200 or not isinstance(found, dict):
            why = found.get("error") if isinstance(found, dict) else None
            raise LoginError(f"{url} answers {answer.status}" + (f", {why!a:.80}" if why else ""))
        return found
