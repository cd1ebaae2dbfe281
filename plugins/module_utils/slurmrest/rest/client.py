"""A small HTTP client for slurmrestd: TCP, TLS and UNIX sockets, no proxies, no redirects, bounded time and size.

Every request uses a connection of its own: slurmrestd answers in milliseconds, and releases differ in what they do
with an idle connection. Failures below HTTP raise :class:`ClientError`, whose ``kind`` tells them apart; any HTTP
answer, good or bad, is a :class:`Response`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, ClassVar
from urllib.parse import urlsplit

from ..auth.bearer import TOKEN_HEADER, USER_HEADER, Token
from ..errors import InputError, SlurmrestError
from ..slurmrestd.address import KINDS, SUN_PATH_MAX, WRITTEN, Listener, scheme_of

DEFAULT_TIMEOUT = 15.0  # seconds for a whole request; slurmrestd itself tries a dead slurmctld for nine
MAX_BODY = 16 * 1024 * 1024  # bytes; the largest answer that is no list, an OpenAPI document, has two
MAX_LIST = 512 * 1024 * 1024  # 10,000 jobs were seen to be 82 MB, the nodes of a very large cluster some ten


_PIECE = 65536  # bytes
ALLOWED = f"http://host:port, {WRITTEN}"
_SCHEMES = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")
_USER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")


class ClientError(SlurmrestError):
    """No HTTP answer was had. ``kind`` is a key of :data:`FAILURES`, where ``cause`` and ``remedy`` come from."""

    def __init__(self, kind: str, message: str) -> None:
        cause, remedy = FAILURES[kind]
        super().__init__(message, remedy)
        self.kind = kind
        self.cause = cause


FAILURES: Mapping[str, tuple[str, str]] = {
    "refused": (
        "slurmrestd is not running, or listens elsewhere",
        "See whether slurmrestd runs and where it listens: systemctl status slurmrestd; ss -lntxp",
    ),
    "no-socket": (
        "slurmrestd is not running, or has another socket",
        "See whether slurmrestd runs and which socket it was given: systemctl cat slurmrestd; ss -lxp",
    ),
    "permission": (
        "the socket's directory is closed to this user",
        "Join the group of the socket's directory, or run this as a user who may enter it.",
    ),
    "timeout": (
        "packets are dropped on the way, or a daemon hangs",
        "See whether a firewall drops the packets, and whether a daemon hangs: journalctl -u slurmrestd",
    ),
    "closed": (
        "the daemon crashed or was stopped while it answered, or it expects TLS",
        "slurmrestd may have crashed while answering: journalctl -u slurmrestd; systemctl status slurmrestd",
    ),
    "not-http": (
        "another service, or a TLS listener, is behind this address",
        "Something other than slurmrestd listens there, or it expects TLS: check the port, or try https://.",
    ),
    "tls": (
        "no TLS there, or a certificate that this host does not trust",
        "Use http:// where slurmrestd has no certificate, or make its authority known to this host.",
    ),
    "name": (
        "the name is misspelt or unknown to this host",
        "Check the spelling of the host name and this host's name resolution.",
    ),
    "unreachable": (
        "there is no route to this address",
        "Check the address, the route and the firewall between this host and slurmrestd.",
    ),
    "too-large": (
        "the answer is bigger than accepted here",
        "Ask for less.",
    ),
}


@dataclass(frozen=True)
class Target(Listener):
    """Where a client asks. ``name`` is what its certificate must say, where that is not ``host``.

    ``watch`` raises SlurmrestError where somebody else would be told; it is asked before each connection.
    """

    name: str = ""
    watch: Callable[[Target], None] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, variable: str = "url") -> Target:
        """Read ``http://host:port``, ``https://host:port``, ``host:port`` or ``unix:/path``. Raises InputError."""
        scheme = scheme_of(text)
        if scheme == "unix":
            return cls(scheme, path=_socket_path(text, variable))
        kind = KINDS[scheme]
        if "@" in text:
            raise InputError(variable, "…@…", ALLOWED, "a user or password does not belong into it")
        if not _PRINTABLE.match(text):
            raise InputError(variable, text, ALLOWED, "it is empty or holds blanks or control characters")
        bare = text if kind.kernel == "tcp" else text[len(kind.prefix) :]
        has_scheme = "://" in bare
        try:
            parts = urlsplit(bare if has_scheme else f"http://{bare}")
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise InputError(variable, text, ALLOWED, str(error)) from None
        reason = ""
        if parts.scheme not in _SCHEMES:
            reason = f"the scheme {parts.scheme!r} is unknown"
        elif parts.path not in ("", "/") or parts.query or parts.fragment:
            reason = "a path does not belong into it"
        elif not has_scheme and port is None:
            reason = "the port is missing"
        elif not host and has_scheme:
            reason = "the host is missing"
        elif port == 0:
            reason = "port 0 is no port"
        if reason:
            raise InputError(variable, text, ALLOWED, reason)
        scheme = parts.scheme if kind.kernel == "tcp" else scheme
        return cls(scheme, host or "localhost", _SCHEMES[parts.scheme] if port is None else port)

    @property
    def url(self) -> str:
        """The target as it is written: ``http://127.0.0.1:6820``, ``unix:/run/slurmrestd/slurmrestd.socket``."""
        return f"{self.scheme}://{self.authority}" if self.kind == "tcp" else self.format()

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Credentials:
    """A user name and a token, sent together: old releases want both, and the name says for whom to act.

    Raises InputError when the name cannot be an HTTP header.
    """

    user: str
    token: Token

    kind: ClassVar[str] = "token"
    """``token``, or what a gateway knows somebody by: ``session`` or ``certificate``."""

    def __post_init__(self) -> None:
        if not _USER.match(self.user):
            raise InputError("user", self.user, "a user name of printable ASCII characters")

    def headers(self) -> dict[str, str]:
        """The two headers, with the token in clear."""
        return {USER_HEADER: self.user, TOKEN_HEADER: self.token.reveal()}


def trusting(cacert: str | None) -> ssl.SSLContext:
    """A context for :func:`request` that trusts these authorities, those of the host where none are named.

    Raises InputError for a file that cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=cacert)
    except (OSError, ValueError) as error:
        raise InputError("--cacert", cacert, "a file of PEM certificates", why(error)) from None


def why(error: Exception) -> str:
    """What is wrong with a file of certificates."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "no certificate, or no key, in PEM"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


@dataclass(frozen=True)
class Response:
    """An HTTP answer. ``headers`` have lower-case names; ``seconds`` is from connecting to the last byte.

    ``tls`` says which TLS version and certificate were seen, and is empty without TLS.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float
    tls: str = ""

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is not."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


def request(
    target: Target,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    max_body: int = MAX_BODY,
    context: ssl.SSLContext | None = None,
    sink: Callable[[bytes], None] | None = None,
) -> Response:
    """Send one request and read the whole answer.

    `timeout` (seconds) bounds connecting, and then sending and reading together: a daemon that drips bytes does not
    prolong it. `max_body` (bytes) bounds the answer, which becomes many times as large where it is read. `context` is
    for https; without one the host's authorities count. `sink` is given the body of a 200 in pieces, then not kept.

    Raises ClientError when there is no complete HTTP answer.
    """
    begin = time.monotonic()
    connection = connection_to(target, timeout, context)
    try:
        connection.connect()
        tls = _tls_seen(connection.sock)
        with cut_off(connection.sock, timeout - (time.monotonic() - begin)) as cut:
            try:
                connection.request(
                    method, path, body, {"Accept": "application/json", "Connection": "close", **(headers or {})}
                )
                with contextlib.closing(connection.getresponse()) as answer:
                    data, size = read_answer(answer, max_body, sink if answer.status == 200 else None)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if cut.is_set():
                    raise TimeoutError(0, "cut off") from error
                raise
            if cut.is_set():
                raise TimeoutError(0, "cut off")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise client_error(error, target, timeout) from None
    finally:
        connection.close()
    if size > max_body:
        raise ClientError("too-large", f"{target} answered with more than {max_body} bytes")
    names = {name.lower(): value for name, value in answer.getheaders()}
    return Response(answer.status, names, data, time.monotonic() - begin, tls)


def _tls_seen(sock: socket.socket) -> str:
    """The version of TLS, and until when the certificate is valid; that is not known of one that was not checked."""
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    until = (sock.getpeercert() or {}).get("notAfter")
    return f"{sock.version()}, certificate {f'valid until {until}' if until else 'not checked'}"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket; the Host header says localhost."""

    def __init__(self, target: Target, timeout: float, _context: ssl.SSLContext | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = target.path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _TlsConnection(http.client.HTTPConnection):
    """HTTP over TLS with a server whose certificate may be for another name than the address that is asked."""

    default_port = 443

    def __init__(self, target: Target, timeout: float, context: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._name, self._context = target.name or target.host, context or ssl.create_default_context()

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)


CONNECTIONS: Mapping[str, Callable[[Target, float, ssl.SSLContext | None], http.client.HTTPConnection]] = {
    "http": lambda target, timeout, _: http.client.HTTPConnection(target.host, target.port, timeout=timeout),
    "https": _TlsConnection,
    "unix": _UnixConnection,
}


def connection_to(target: Target, timeout: float, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    """A connection that is still to be made. Raises what ``watch`` of the target does."""
    if target.watch is not None:
        target.watch(target)
    return CONNECTIONS[target.scheme](target, timeout, context)


@contextlib.contextmanager
def cut_off(sock: socket.socket, seconds: float) -> Any:
    """Shut the socket down after `seconds`; yields the event that is set then."""
    cut = threading.Event()

    def shut_down() -> None:
        cut.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket.shutdown: that one is not for another thread

    timer = threading.Timer(max(seconds, 0.001), shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
        timer.join()  # the caller closes the socket next, and its number will be another one's


def read_answer(
    answer: http.client.HTTPResponse, bound: int, sink: Callable[[bytes], None] | None = None
) -> tuple[bytes, int]:
    """The body, or a little more than `bound` bytes of it, and how many that were; nothing is kept with `sink`.

    In pieces: Python 3.9 clears as many as are asked for.
    """
    data, size = bytearray(), 0
    while size <= bound:
        piece = answer.read(_PIECE)
        if not piece:
            if answer.length:  # bytes announced that never came
                raise http.client.IncompleteRead(bytes(data))
            break
        size += len(piece)
        if sink is None:
            data += piece
        else:
            sink(piece)
    return bytes(data), size


def client_error(error: Exception, target: Target, timeout: float) -> ClientError:
    """What went wrong, told apart. The order matters: several of these are OSErrors."""
    if isinstance(error, (socket.timeout, TimeoutError)):
        return ClientError("timeout", f"no answer from {target} within {timeout:g} s")
    if isinstance(error, ssl.SSLError):
        return ClientError("tls", f"no TLS connection to {target}: {error.reason or error}")
    if isinstance(error, socket.gaierror):
        return ClientError("name", f"the host name {target.host!r} cannot be resolved: {error.strerror}")
    if isinstance(error, ConnectionRefusedError):
        why = "the socket is there, but nothing listens on it" if target.scheme == "unix" else "nothing listens there"
        return ClientError("refused", f"{target} refused the connection: {why}")
    if isinstance(error, FileNotFoundError):
        return ClientError("no-socket", f"there is no socket {target.path}")
    if isinstance(error, PermissionError) and target.scheme == "unix":
        return ClientError("permission", f"this user may not connect to {target}: permission denied")
    if isinstance(error, (ConnectionError, http.client.IncompleteRead)):  # RemoteDisconnected is a ConnectionError
        return ClientError("closed", f"{target} closed the connection before the answer was complete")
    if isinstance(error, OSError):
        return ClientError("unreachable", f"no connection to {target}: {error.strerror or error}")
    return ClientError("not-http", f"{target} does not answer in HTTP")


def _socket_path(text: str, variable: str) -> str:
    path = text[len("unix:") :]
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    allowed = f"unix: and an absolute path of at most {SUN_PATH_MAX} bytes"
    if not path.startswith("/") or path == "/":
        raise InputError(variable, text, allowed, "the path is not absolute")
    if not path.isprintable():
        raise InputError(variable, text, allowed, "the path holds control characters")
    if len(path.encode("utf-8")) > SUN_PATH_MAX:
        raise InputError(variable, text, allowed, f"the path has {len(path.encode('utf-8'))} bytes")
    return path
