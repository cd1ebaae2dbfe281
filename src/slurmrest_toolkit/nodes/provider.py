"""A test provider of OpenID Connect, run in a node: python3 provider.py SETTINGS. For tests alone, and no other use.

It knows the authorization code flow with PKCE, one client, and users with passwords; Python's standard library and the
program ``openssl`` are all that it needs. Passwords are in a file in clear, and nobody counts how often somebody tries.
SETTINGS is JSON: ``issuer`` (its address for the gateway), ``public`` (for browsers), ``port``, ``client_id``,
``redirect``, ``certificate``, ``key``, and ``users``, the file with a name and a password on each line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

SECONDS = 60
KEPT = ("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge", "code_challenge_method")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Test provider</title>
<h1>Test provider</h1><p role="alert">{said}</p><form method="post" action="/authorize">{kept}
<p><label>User <input name="user" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p></form></html>
"""


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def fields(text: str) -> dict[str, str]:
    """Return the fields of a form or a query, of each the first."""
    return {name: values[0] for name, values in parse_qs(text).items()}


class Key:
    """A key of this run, which openssl holds in a file."""

    def __init__(self) -> None:
        """Make it."""
        self.directory = tempfile.TemporaryDirectory()
        self.path = f"{self.directory.name}/key.pem"
        self.openssl("genrsa", "-out", self.path, "2048")
        modulus = self.openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().partition("=")[2]
        self.jwk = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": secrets.token_hex(8),
            "n": encoded(bytes.fromhex(modulus)),
            "e": "AQAB",
        }

    def openssl(self, *words: str, data: bytes = b"") -> bytes:
        """Run openssl."""
        return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout

    def token(self, claims: dict[str, Any]) -> str:
        """Return a signed token."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.jwk["kid"]}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{encoded(self.openssl('dgst', '-sha256', '-sign', self.path, data=text.encode()))}"


class Provider(ThreadingHTTPServer):
    """The provider: its settings, its key, and the codes that nobody has used yet."""

    daemon_threads = True

    def __init__(self, settings: dict[str, Any]) -> None:
        """Listen with TLS."""
        super().__init__(("0.0.0.0", settings["port"]), Handler)  # noqa: S104 - in a node
        self.settings, self.signing = settings, Key()
        self.codes: dict[str, dict[str, str]] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_close(self) -> None:
        """Forget the key."""
        super().server_close()
        self.signing.directory.cleanup()

    def knows(self, user: str, password: str) -> bool:
        """Whether this is a user's password; the file is read anew, since users are made later, too."""
        known = dict(line.split(" ", 1) for line in Path(self.settings["users"]).read_text().splitlines())
        return user in known and hmac.compare_digest(known[user].encode(), password.encode())

    def fault(self, asked: dict[str, str]) -> str:
        """Why a request for a login is none; nothing where it is one."""
        wanted = {
            "client_id": self.settings["client_id"],
            "redirect_uri": self.settings["redirect"],
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        wrong = [name for name, value in wanted.items() if asked.get(name) != value]
        return f"refused: {', '.join(wrong)}" if wrong else "" if asked.get("code_challenge") else "no code_challenge"

    def redeem(self, form: dict[str, str]) -> dict[str, Any] | None:
        """The tokens for a code, once; None where it is none, or another client's."""
        found = self.codes.pop(form.get("code", ""), None)
        digest = encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if found is None or time.time() > float(found["until"]) or digest != found["code_challenge"]:
            return None
        if (form.get("client_id"), form.get("redirect_uri")) != (found["client_id"], found["redirect_uri"]):
            return None
        now = int(time.time())
        claims = {"iss": self.settings["issuer"], "sub": found["user"], "preferred_username": found["user"]}
        claims.update({"aud": found["client_id"], "iat": now, "exp": now + SECONDS, "nonce": found.get("nonce", "")})
        more = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": SECONDS}
        return {"id_token": self.signing.token(claims), **more}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Provider
    timeout = 15

    def do_GET(self) -> None:
        """Answer a GET."""
        parts, settings = urlsplit(self.path), self.server.settings
        if parts.path == "/.well-known/openid-configuration":
            found = {
                "issuer": settings["issuer"],
                "authorization_endpoint": f"{settings['public']}/authorize",
                "token_endpoint": f"{settings['issuer']}/token",
                "jwks_uri": f"{settings['issuer']}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
            self.say(200, found)
        elif parts.path == "/jwks":
            self.say(200, {"keys": [self.server.signing.jwk]})
        elif parts.path == "/authorize":
            self.show(fields(parts.query))
        else:
            self.say(404, {"error": "not_found"})

    def do_POST(self) -> None:
        """Answer a POST."""
        length = int(self.headers.get("Content-Length") or 0)
        form, parts = fields(self.rfile.read(min(length, 8192)).decode()), urlsplit(self.path)
        if parts.path == "/token":
            tokens = self.server.redeem(form)
            self.say(200, tokens) if tokens else self.say(400, {"error": "invalid_grant"})
        elif parts.path == "/authorize":
            # Scripts send the form to the address that they were sent to, and a password with the end of its file.
            self.log_in({**fields(parts.query), **form, "password": form.get("password", "").rstrip("\n")})
        else:
            self.say(404, {"error": "not_found"})

    def show(self, asked: dict[str, str], said: str = "") -> None:
        """Show the form, or why there is none."""
        fault = self.server.fault(asked)
        if fault:
            self.say(400, {"error": "invalid_request", "error_description": fault})
            return
        kept = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(asked[name])}">' for name in KEPT if name in asked
        )
        self.send(200, "text/html; charset=utf-8", PAGE.format(said=said, kept=kept).encode())

    def log_in(self, form: dict[str, str]) -> None:
        """Send the browser back with a code, or show the form again."""
        if self.server.fault(form) or not self.server.knows(form.get("user", ""), form.get("password", "")):
            self.show(form, "Wrong user or password.")
            return
        code = secrets.token_urlsafe(24)
        kept = {name: form[name] for name in KEPT if name in form}
        self.server.codes[code] = {**kept, "user": form["user"], "until": str(time.time() + SECONDS)}
        self.send_response(303)
        back = urlencode({"code": code, "state": form.get("state", "")})
        self.send_header("Location", f"{form['redirect_uri']}?{back}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def say(self, status: int, data: Any) -> None:
        """Answer with JSON."""
        self.send(status, "application/json", json.dumps(data).encode())

    def send(self, status: int, kind: str, body: bytes) -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing: addresses hold codes."""


def main() -> None:
    """Serve."""
    Provider(json.loads(Path(sys.argv[1]).read_text())).serve_forever()


if __name__ == "__main__":
    main()
