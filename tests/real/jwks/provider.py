"""A real OpenID provider (npm's oidc-provider) on loopback: keys, the login flow, and tokens spoilt on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.cookiejar
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.real.clusters import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ROOT / "tests" / "real" / "jwks" / "provider"
INSTALLED = ROOT / ".slurmrest" / "oidc-provider"
REDIRECT = "https://portal.example.org/callback"
PATIENCE = 30.0
"""Seconds for the provider to answer after its start."""


def install() -> Path:
    """Install the provider as its lock file says, unless that is done; returns its directory."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    stamp = INSTALLED / "lock.sha256"
    digest = hashlib.sha256(lock).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        INSTALLED.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, INSTALLED)
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(npm, cwd=INSTALLED, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        stamp.write_text(digest)
    shutil.copy(SOURCES / "provider.js", INSTALLED)
    return INSTALLED


@dataclass
class SigningKey:
    """A key pair of the provider."""

    kid: str
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)

    def jwk(self) -> dict[str, Any]:
        """The private key, for the provider."""
        return {**RSAAlgorithm.to_jwk(self.private, as_dict=True), "kid": self.kid, "use": "sig", "alg": "RS256"}

    def public_forms(self) -> dict[str, bytes]:
        """The public key in every form that somebody could take for an HMAC secret."""
        public = self.private.public_key()
        pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
        spki, pkcs1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
        text = public.public_bytes(pem, spki)
        modulus = public.public_numbers().n.to_bytes(256, "big")
        # As Slurm makes it of n and e: the base64 in one line.
        lines = text.decode().strip().splitlines()
        slurms = "\n".join([lines[0], "".join(lines[1:-1]), lines[-1], ""]).encode()
        return {
            "pem": text,
            "pem without its last line break": text.rstrip(),
            "pem in one line, as Slurm has it": slurms,
            "pkcs1 pem": public.public_bytes(pem, pkcs1),
            "der": public.public_bytes(der, spki),
            "modulus": modulus,
            "modulus as text": RSAAlgorithm.to_jwk(public, as_dict=True)["n"].encode(),
        }

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token of these claims, rightly signed whatever its header says; a member that is None is left out."""
        named = {name: value for name, value in {"kid": self.kid, **header}.items() if value is not None}
        return jwt.encode(claims, self.private, "RS256", headers=named)


def with_hmac(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    """A token that is signed with HS256 by a secret; by hand, since the library refuses public keys as secrets."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, claims]
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64url(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """The provider as a process of its own, on a port of loopback, behind TLS with a certificate of its own."""

    def __init__(self, directory: Path, claim: str, redirect: str = REDIRECT) -> None:
        """Prepare it; ``claim`` is that of its tokens which names the user, ``redirect`` where its client is."""
        self.directory = directory
        self.redirect = redirect
        self.claim = claim
        self.port = _free_port()
        self.seconds = 600
        self.typ = "at+jwt"  # of access tokens, RFC 9068
        self.keys = [SigningKey("first")]
        self.process: subprocess.Popen[bytes] | None = None
        self.certificate = directory / "ca.pem"
        words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=provider -addext subjectAltName=IP:127.0.0.1"
        files = ["-keyout", str(directory / "tls.pem"), "-out", str(self.certificate)]
        subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
        self.program = install() / "provider.js"

    @property
    def url(self) -> str:
        """Where it is, seen from this host and through a tunnel from others."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it with the keys, and return once it answers."""
        self.stop()
        settings = self.directory / "settings.json"
        settings.touch(mode=0o600)
        data = {
            "port": self.port,
            "redirect": self.redirect,
            "claim": self.claim,
            "typ": self.typ,
            "seconds": self.seconds,
            "cert": str(self.certificate),
            "key": str(self.directory / "tls.pem"),
            "keys": [key.jwk() for key in self.keys],
        }
        settings.write_text(json.dumps(data))
        log = (self.directory / "provider.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                ["node", str(self.program), str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = [key["kid"] for key in self.published()["keys"]]
            except OSError:
                assert self.process.poll() is None, (self.directory / "provider.log").read_text()
                assert time.monotonic() < deadline, "the provider does not answer"
                time.sleep(0.05)
            else:
                assert found == [key.kid for key in self.keys]
                return

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)
            self.process = None

    def published(self) -> dict[str, Any]:
        """Its key set, as its discovery document says where."""
        with self._browser() as browser:
            discovery = json.loads(browser.get(f"{self.url}/.well-known/openid-configuration").text)
            found: dict[str, Any] = json.loads(browser.get(discovery["jwks_uri"]).text)
        return found

    def _browser(self) -> Browser:
        return Browser(ssl.create_default_context(cafile=str(self.certificate)))

    def log_in(self, browser: Browser, url: str, user: str) -> Page:
        """Let a browser go from a page of the client's through the provider's forms back to the client."""
        page, prompts = browser.get(url), []
        while page.url.startswith(self.url):
            form = Form.of(page)
            prompts.append(form.fields["prompt"])
            page = browser.get(form.action, {**form.fields, "login": user, "password": "any"})
        assert prompts == ["login", "consent"]
        return page

    def login(self, user: str) -> str:
        """Authorization code flow with PKCE, as a portal and a browser do it; returns the access token."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(8)
        question = {
            "client_id": "portal",
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "openid jobs",
            "resource": "urn:slurm",
            "state": state,
            "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        with self._browser() as browser:
            page = self.log_in(browser, f"{self.url}/auth?{urlencode(question)}", user)
            answer = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
            assert answer["state"] == state
            fields = {
                "grant_type": "authorization_code",
                "client_id": "portal",
                "code": answer["code"],
                "redirect_uri": REDIRECT,
                "code_verifier": verifier,
            }
            found = json.loads(browser.get(f"{self.url}/token", fields).text)
        assert found["token_type"] == "Bearer", found
        return str(found["access_token"])


@dataclass(frozen=True)
class Page:
    """What a browser shows: where it ended up, and the text; a page outside of the provider is not asked for."""

    url: str
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Browser:
    """Keeps cookies and follows redirections, but to the portal, which is not there."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Trust what ``context`` trusts."""
        self.cookies = http.cookiejar.CookieJar()
        handler = urllib.request.HTTPCookieProcessor(self.cookies)
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), handler, _Stay())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opener.close()

    def get(self, url: str, fields: dict[str, str] | None = None) -> Page:
        """Ask for a page, with a form where there are fields."""
        data = urlencode(fields).encode() if fields else None
        while not url.startswith(REDIRECT):
            try:
                with self._opener.open(url, data, timeout=PATIENCE) as answer:
                    return Page(url, answer.read().decode())
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in {302, 303}:
                        raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None
                    url, data = urljoin(url, error.headers["Location"]), None
        return Page(url, "")


class Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    @classmethod
    def of(cls, page: Page) -> Form:
        """Read it; a page without one is shown by the failing test."""
        form = cls()
        form.feed(page.text)
        assert form.action, re.sub(r"\s+", " ", page.text)
        form.action = urljoin(page.url, form.action)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and not self.action:
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name") and found.get("value"):
            self.fields[str(found["name"])] = str(found["value"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
