"""The identity service of a gateway: HTTP for nginx alone, on the socket that systemd hands over.

``main`` is its program. It keeps the sessions and the key that signs, under an account of its own; nginx asks it before
each request that goes to slurmrestd.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

from ..errors import SlurmrestError
from ..host.files import read
from ..host.numbers import whole
from ..host.reading import UnsafePath
from .judge import Asked, Identity, Reply, error
from .oidc import Client, CodeFlow
from .sessions import Sessions
from .settings import OIDC, LoginSettings
from .tokens import KeyFile, UserTokens

FIRST_HANDED = 3
"""The first descriptor that systemd hands over (sd_listen_fds(3))."""

MAXIMUM_BODY = 8192
IDLE_SECONDS = 75.0
PAM_SECONDS = 60.0
PAM_AT_ONCE = 12
"""Passwords that are tried at once, below MaxConnections= of slurmrest-pam.socket, which refuses what is beyond."""

PAM_QUEUE_SECONDS = 5.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred


class IdentityHandler(BaseHTTPRequestHandler):
    """One connection of nginx'."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: IdentityServer

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def _answer(self) -> None:
        # A path ends here where it ends for nginx, by which it limits logins: a blank is one for Python that is none
        # there, and what two slashes begin is the name of a host to others.
        if self.requestline != f"{self.command} {self.path} {self.request_version}" or not self.path.isascii():
            self.close_connection = True
            self._send(Reply(400, error("This is no path.")))
            return
        length = whole(self.headers.get("Content-Length", "0"))
        if length is None or length > MAXIMUM_BODY:
            self.close_connection = True
            self._send(Reply(413, error(f"A login has at most {MAXIMUM_BODY} bytes.")))
            return
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.identity.answer(Asked(self.command, path, headers, body, query)))

    def _send(self, reply: Reply) -> None:
        body = b"" if reply.data is None else json.dumps(reply.data).encode() + b"\n"
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Say nothing of Python."""
        return "slurmrest-identity"

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing of single requests: nginx does."""


class IdentityServer(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Takes connections of one account, and of root."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, identity: Identity, proxy: int) -> None:
        super().__init__("", IdentityHandler)
        self.socket, self.identity, self._proxies = listening, identity, {0, proxy}

    def fileno(self) -> int:
        """What to wait for."""
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, str]:
        """The next connection; all of them are of this host."""
        connection, _address = self.socket.accept()
        return connection, "nginx"

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as the base class calls it
        """Whether it is nginx that asks: whoever else could connect would be whom he says he is."""
        _pid, uid, _gid = _CREDENTIALS.unpack(request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return uid in self._proxies

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class calls it
        """Say what went wrong, in one line without what was asked; a connection that nginx ended is no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            tell(f"a request failed: {type(error).__name__}")

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        request.close()


def password_of_pam(path: str, at_once: int = PAM_AT_ONCE) -> Any:
    """What asks the program of :mod:`.pam` behind a socket, a connection for each question, and so many at once."""
    places = threading.BoundedSemaphore(at_once)

    def is_password(user: str, password: str) -> bool:
        if not places.acquire(timeout=PAM_QUEUE_SECONDS):
            tell("PAM is not asked: too many logins at once")
            return False
        try:
            return ask(user, password)
        finally:
            places.release()

    def ask(user: str, password: str) -> bool:
        line = json.dumps({"user": user, "password": password}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(PAM_SECONDS)
                asked.connect(path)
                asked.sendall(line)
                answer = asked.recv(8)
                if not answer:
                    tell("PAM gave no answer: see journalctl -u 'slurmrest-pam@*'")
                return answer == b"yes\n"
        except OSError as failure:
            tell(f"PAM cannot be asked: {failure}")
            return False

    return is_password


def tell(line: str) -> None:
    """A line for the journal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def identity(settings: LoginSettings) -> Identity:
    """The service as it is told. Raises SlurmrestError where its key cannot be used."""
    signer = UserTokens(KeyFile(settings.key, tell), settings.token_seconds, tell)
    password = password_of_pam(settings.pam_socket)
    flow = CodeFlow(_client(settings)) if settings.identity == OIDC else None
    return Identity(settings, Sessions(settings.session_seconds), signer, password, tell, flow)


def _client(settings: LoginSettings) -> Client:
    """The gateway as its provider knows it, with the secret where it has one."""
    words = dict(settings.provider)
    path = words.pop("secret_file", "")
    try:
        secret = read(path).decode("utf-8", "replace").strip() if path else ""
    except (OSError, UnsafePath) as failure:
        raise SlurmrestError(f"{path} cannot be read: {failure}", "Run playbooks/gateway.yml again.") from None
    return Client(**words, secret=secret)


def _ready() -> None:
    """Tell systemd that questions are answered from now on (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(b"READY=1", "\0" + path[1:] if path.startswith("@") else path)


def main(argv: Sequence[str]) -> int:
    """Serve on the socket of systemd's; ``argv`` is the file with the settings. Returns 1 where that cannot be."""
    try:
        if len(argv) != 1 or os.environ.get("LISTEN_FDS") != "1":
            raise SlurmrestError("systemd starts this, with one socket.", "systemctl start slurmrest-identity.socket")
        settings = LoginSettings.load(argv[0])
        served = identity(settings)
        proxy = pwd.getpwnam(settings.proxy).pw_uid
    except (SlurmrestError, KeyError) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    threading.stack_size(512 * 1024)
    with socket.socket(fileno=FIRST_HANDED) as listening:
        tell(f"identity {settings.identity}, key {served.signer.kid}")
        server = IdentityServer(listening, served, proxy)
        _ready()
        server.serve_forever(poll_interval=5)
    return 0
