"""A slurmrestd that lives in the test process: real HTTP over TCP or a UNIX socket, answers as the releases give them.

What differs between releases is written out here once more, on purpose apart from the release table that it tests. A
test breaks the daemon by adding a name to `faults` or an answer to `instead`.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from slurmrest.auth import bearer, jwt
from slurmrest.rest.client import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = jwt.Key(b"the key of the fake slurmctld, 32+ bytes")


@dataclass(frozen=True)
class Style:
    """How one release answers."""

    version: str
    apis: tuple[str, ...]
    bad_token: tuple[int, dict[str, Any]]
    ctld_down: tuple[int, dict[str, Any]]
    no_alt_auth: tuple[int, dict[str, Any]]
    dbd_down_diag: tuple[int, dict[str, Any]]
    dbd_down: tuple[int, dict[str, Any]]
    dbd_bad_token: tuple[int, dict[str, Any]]
    plain_user_dbd_diag: int
    bad_url_char: int
    user_header_required: bool
    old: bool


def _error(number: int, error: str, source: str, description: str = "") -> dict[str, Any]:
    return {"description": description, "error_number": number, "error": error, "source": source}


_UNSPECIFIED = _error(-1, "Unspecified error", "slurm_get_statistics", "request failed")
_DBD_REFERENCE = _error(7008, "Database connection reference is invalid", "openapi_get_db_conn")
_DBD_OPEN = _error(7000, "Unable to connect to database", "openapi_get_db_conn", "Failed to open slurmdbd connection")
_DBD_AUTH = _error(7000, "Failed to open slurmdbd connection, authentication error", "openapi_get_db_conn")
_AUTH = _error(1007, "Protocol authentication error", "op_handler_diag")
_CTLD = _error(1800, "Unable to contact slurm controller (connect failure)", "op_handler_diag")
_ZERO = _error(5005, "Zero Bytes were transmitted or received", "op_handler_diag")

_NEW = Style(
    version="24.11.5",
    apis=("v0.0.40", "v0.0.41", "v0.0.42"),
    bad_token=(511, _AUTH),
    ctld_down=(502, _CTLD),
    no_alt_auth=(511, _AUTH),
    dbd_down_diag=(502, _DBD_OPEN),
    dbd_down=(502, _DBD_OPEN),
    dbd_bad_token=(502, _DBD_AUTH),
    plain_user_dbd_diag=500,
    bad_url_char=400,
    user_header_required=False,
    old=False,
)
STYLES = {
    "22.05": Style(
        version="22.05.8",
        apis=("v0.0.36", "v0.0.37", "v0.0.38"),
        bad_token=(500, _UNSPECIFIED),
        ctld_down=(500, _UNSPECIFIED),
        no_alt_auth=(500, _UNSPECIFIED),
        dbd_down_diag=(200, _DBD_REFERENCE),
        dbd_down=(500, _error(7000, "Failed connecting to slurmdbd", "slurmdb_clusters_get")),
        dbd_bad_token=(500, _AUTH),
        plain_user_dbd_diag=500,
        bad_url_char=400,
        user_header_required=True,
        old=True,
    ),
    "24.11": _NEW,
    "26.05": replace(
        _NEW,
        version="26.05.5",
        apis=("v0.0.42", "v0.0.43", "v0.0.44", "v0.0.45"),
        dbd_bad_token=(502, _DBD_OPEN),
        no_alt_auth=(502, _ZERO),
        plain_user_dbd_diag=422,
        bad_url_char=404,
    ),
}

Answer = tuple[int, Any]
_ENDPOINTS = ("diag", "ping", "nodes", "partitions", "users", "associations", "clusters", "submit")


@dataclass
class FakeSlurmrestd:
    """The daemon. `requests` is what it was asked: method, path, headers in lower case."""

    style: Style
    accounting: bool = True
    faults: set[str] = field(default_factory=set)
    instead: dict[str, Answer] = field(default_factory=dict)  # endpoint, such as "nodes" or "slurmdb/diag"
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[int] = field(default_factory=list)
    job_states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "COMPLETED"])
    job_reason: str = "None"
    job_user: str = ""
    max_connections: int = 124
    controllers: dict[str, bool] = field(default_factory=lambda: {"ctl": True})  # by name, whether it answers
    slurm_user: str = "slurm"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """The status and the body (text, or JSON) of one request."""
        self.requests.append((method, path, headers))
        token = headers.get("x-slurm-user-token")
        user = headers.get("x-slurm-user-name")
        local = "trusts-peer" in self.faults and not (token and "token-breaks" in self.faults)
        if not local and (
            token is None or (user is None and self.style.user_header_required) or "no-jwt" in self.faults
        ):
            return 401, "Authentication failure"
        if any(letter in path for letter in '"{}|<>') and "rewrites" not in self.faults:
            return self.style.bad_url_char, "Unable to parse URL path."
        path = path.partition("?")[0]
        if path in ("/openapi", "/openapi/v3"):
            return self.instead.get("openapi", (200, self._openapi()))
        parts = path.strip("/").split("/")
        if "answers-anything" in self.faults and parts[-1] not in _ENDPOINTS and parts[-2] not in ("node", "job"):
            return 200, "<html>welcome</html>"
        if len(parts) < 3 or parts[1] not in self.style.apis or parts[0] not in self._families():
            return 404, "Unable find requested URL. Please view /openapi/v3 for API reference."
        family, api, endpoint = parts[0], parts[1], "/".join(parts[2:])
        name = endpoint if family == "slurm" else f"slurmdb/{endpoint}"
        name = "job" if name.startswith("job/") and parts[-1].isdigit() else name
        if name in self.instead:
            return self.instead[name]
        actor = user or (jwt.inspect(bearer.Token(token)).user if token else "nobody")
        if family == "slurmdb":
            return self._slurmdb(endpoint, actor, accepted=local or self._accepts(token or "", user))
        refused = None if local else self._slurmctld_refuses(token or "", user)
        if name == "ping" and not self.style.old:
            return self._with_meta(200, pings=self._pings(api, refused=refused is not None))
        if refused:
            return self._with_meta(refused[0], errors=[refused[1]])
        return self._slurm(method, api, endpoint, actor, body)

    def _families(self) -> tuple[str, ...]:
        return ("slurm", "slurmdb") if self.accounting else ("slurm",)

    def _openapi(self) -> dict[str, Any]:
        paths: dict[str, Any] = {
            f"/{family}/{api}/diag/": {"get": {}} for family in self._families() for api in self.style.apis
        }
        return {"openapi": "3.0.3", "info": {"title": "Slurm REST API"}, "paths": {"/openapi/v3": {}, **paths}}

    def _accepts(self, token: str, user: str | None) -> bool:
        if "any-token" in self.faults:
            return True
        try:
            found = jwt.inspect(bearer.Token(token))
            if found.algorithm == "none":
                return "takes-alg-none" in self.faults
            instant = (found.expires or 0) - 1 if "ignores-expiry" in self.faults else None
            owner = jwt.verify(bearer.Token(token), KEY, instant).user
        except bearer.TokenError as error:
            return "takes-userless" in self.faults and "names no user" in error.message
        return user in (None, owner) or owner in ("root", self.slurm_user) or "any-name" in self.faults

    def _slurmctld_refuses(self, token: str, user: str | None) -> tuple[int, dict[str, Any]] | None:
        if "ctld-down" in self.faults:
            time.sleep(0.06)
            return self.style.ctld_down
        if "no-alt-auth" in self.faults:
            return self.style.no_alt_auth
        if "token-breaks" in self.faults or not self._accepts(token, user):
            return self.style.bad_token
        return None

    def _with_meta(self, status: int, **content: Any) -> Answer:
        if self.style.old:
            major, minor, micro = (int(part) for part in self.style.version.split("."))
            slurm = {"version": {"major": major, "minor": minor, "micro": micro}, "release": self.style.version}
            return status, {"meta": {"Slurm": slurm}, "errors": [], **content}
        slurm = {"release": self.style.version, "cluster": "test"}
        return status, {"meta": {"slurm": slurm}, "errors": [], "warnings": [], **content}

    def _slurmdb(self, endpoint: str, actor: str, *, accepted: bool) -> Answer:
        if "dbd-down" in self.faults:
            status, error = self.style.dbd_down_diag if endpoint == "diag" else self.style.dbd_down
            return self._with_meta(status, errors=[error])
        if not accepted:
            status, error = self.style.dbd_bad_token
            return self._with_meta(status, errors=[error])
        if endpoint == "diag" and actor not in ("root", self.slurm_user):
            denied = _error(2002, "Access/permission denied", "slurmdb_get_stats", "stats query failed")
            return self._with_meta(self.style.plain_user_dbd_diag, errors=[denied])
        if endpoint == "diag":
            return self._with_meta(200, statistics={"time_start": 1, "RPCs": [], "rollups": [], "users": []})
        if endpoint == "users":
            return self._with_meta(200, users=[{"name": "alice"}, {"name": "root"}])
        if endpoint == "associations":
            return self._with_meta(200, associations=[{"user": "alice", "account": "physics"}])
        return self._with_meta(200, clusters=[{"name": "test"}])

    def _slurm(self, method: str, api: str, endpoint: str, actor: str, body: bytes) -> Answer:
        if endpoint == "diag":
            time.sleep(0.5 if "diag-hangs" in self.faults else 0)
            return self._with_meta(200, statistics={"jobs_submitted": 0, "parts_packed": 1})
        if endpoint == "ping":
            return self._with_meta(200, pings=self._pings(api))
        if endpoint == "nodes":
            state: Any = "idle" if self.style.old else ["IDLE"]
            return self._with_meta(200, nodes=[{"name": "node1", "state": state}])
        if endpoint.startswith("node/"):
            return self._with_meta(500, errors=[_error(9501, "Failed to find node", "_dump_nodes")])
        if endpoint == "partitions":
            return self._with_meta(200, partitions=[{"name": "debug"}])
        if endpoint == "job/submit" and method == "POST":
            return self._submit(api, actor, json.loads(body))
        if endpoint.startswith("job/"):
            return self._job(method, int(endpoint.partition("/")[2]), api)
        return 404, "Unable find requested URL. Please view /openapi/v3 for API reference."

    def _pings(self, api: str, *, refused: bool = False) -> list[dict[str, Any]]:
        down = refused or "ping-down" in self.faults
        return [
            self._ping(api, host, mode="backup" if number else "primary", up=up and not down)
            for number, (host, up) in enumerate(self.controllers.items())
        ]

    @staticmethod
    def _ping(api: str, host: str, *, mode: str, up: bool) -> dict[str, Any]:
        word, number = "UP" if up else "DOWN", int(api.rpartition(".")[2])
        if number <= 38:
            return {"hostname": host, "ping": word, "status": 0, "mode": mode}
        new = {"responding": up, "primary": mode == "primary"} if number >= 42 else {}
        old = {"pinged": word, "mode": mode} if number <= 44 else {}
        return {"hostname": host, "latency": 100, **old, **new}

    def _submit(self, api: str, actor: str, body: dict[str, Any]) -> Answer:
        job, old = body["job"], int(api.rpartition(".")[2]) <= 38
        if not isinstance(job.get("environment"), dict if old else list) or not job["environment"]:
            return self._with_meta(400 if old else 500, errors=[_error(9200, "environment must be set", "submit")])
        if not old and "current_working_directory" not in job:
            return self._with_meta(500, errors=[_error(2063, "Job cannot be submitted without …", "submit")])
        if "time_limit" in job and isinstance(job["time_limit"], dict) is old:
            return self._with_meta(500, errors=[_error(9202, "time_limit has another type", "submit")])
        pairs = job["environment"].items() if old else (item.split("=", 1) for item in job["environment"])
        job_id = 42 + len(self.jobs)
        self.jobs[job_id] = {**job, "environment": dict(pairs), "script": body["script"], "user": actor, "polls": 0}
        pending = (
            [_error(2068, "Requested node configuration is not available", "submit")] if "note" in self.faults else []
        )
        answer = {"job_id": job_id, "step_id": "batch", "job_submit_user_msg": ""}
        return self._with_meta(200, **(answer | ({"errors": pending} if old else {"warnings": pending})))

    def _job(self, method: str, job_id: int, api: str) -> Answer:
        if method == "DELETE":
            self.cancelled.append(job_id)
            if "cancel-refused" in self.faults:
                return self._with_meta(500, errors=[_error(-1, "Unspecified error", "slurm_kill_job2")])
            return self._with_meta(200)
        job = self.jobs[job_id]
        gone = job_id in self.cancelled and "cancel-ignored" not in self.faults
        state = (
            "CANCELLED"
            if gone
            else "RUNNING"
            if "sleep" in job["script"]
            else self.job_states[min(job["polls"], len(self.job_states) - 1)]
        )
        job["polls"] += 1
        if state == "COMPLETED" and "silent" not in self.faults:
            done = subprocess.run(
                ["/bin/sh", "-s"],
                input=job["script"],
                env=job["environment"],
                capture_output=True,
                text=True,
                check=True,
            )
            with open(job["standard_output"], "w", encoding="utf-8") as stream:  # noqa: PTH123 - as slurmd would
                stream.write(done.stdout)
        number = int(api.rpartition(".")[2])
        code = 256 if state == "FAILED" else 0
        shown: dict[str, Any] = {
            "job_id": job_id,
            "user_name": self.job_user or job["user"],
            **({"user_id": int(self.job_user)} if self.job_user.isdigit() else {}),
            "state_reason": self.job_reason,
            "job_state": [state] if number >= 40 else state,
            "exit_code": code
            if number <= 38
            else {"return_code": {"set": True, "infinite": False, "number": code >> 8}},
        }
        return self._with_meta(200, jobs=[shown])


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        connection, _address = super().get_request()
        return connection, ("local", 0)


@contextlib.contextmanager
def serving(
    daemon: FakeSlurmrestd, socket_path: Path | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Target]:
    """Serve on a free TCP port of the loopback, with TLS or without, or on a UNIX socket, until the block ends."""
    places = threading.BoundedSemaphore(daemon.max_connections)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0" if "closes" in daemon.faults else "HTTP/1.1"

        def handle(self) -> None:
            with places:  # as many connections as there are places; others wait, connected and unanswered
                super().handle()

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content = daemon.answer(self.command, self.path, headers, body)
            text = isinstance(content, (str, bytes))
            data = content if isinstance(content, bytes) else (content if text else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if text else "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
            """Keep the terminal clean."""

    server: socketserver.BaseServer
    if socket_path is None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        port = cast("tuple[str, int]", server.server_address)[1]
        target = Target("http", "127.0.0.1", port) if tls is None else Target("https", "localhost", port)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
    else:
        server = _UnixServer(str(socket_path), Handler)
        target = Target("unix", path=str(socket_path))
    server.handle_error = lambda *_client: None  # type: ignore[method-assign]  # clients that leave are no news
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def token(user: str, lifespan: int = 86400, key: jwt.Key = KEY) -> bearer.Token:
    """A token as the fake slurmctld makes it."""
    return jwt.encode(jwt.claims_for(user, lifespan), key)
