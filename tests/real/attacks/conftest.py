"""A cluster to attack, and the means: the key that an attacker must not have, raw connections, a look at the daemon."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER
from slurmrest.rest import answers
from slurmrest.rest.client import Response, Target, request
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmrest.slurm.releases import Release

NODE = "node1"
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
ROOT, ORDINARY, SERVICE = "root", "alice", "slurmrestd"
PATIENCE = 10.0


@dataclass
class Attacked:
    """A running cluster on one node, where everything is within reach of everybody on it."""

    live: LiveCluster
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        cluster = load(self.live.name)
        assert cluster is not None
        self.target = Target.parse(cluster.base_url)
        self.release: Release = lookup(cluster.slurm_version).release
        self.api = cluster.api_versions[-1]
        self.key = jwt.Key(self.live.fetch(NODE, f"cat {KEY}"))

    def ssh(self, command: str, *, check: bool = True) -> str:
        """Run a command as root on the node."""
        return self.live.ssh(NODE, command, check=check)

    def as_user(self, user: str, command: str) -> str:
        """Run a shell command as a user there; what it prints, errors too, and its exit status on the last line."""
        script = command.replace("'", "'\\''")
        return self.ssh(f"cd /; runuser -u {user} -- sh -c '{script}' 2>&1; echo \"status $?\"")

    def token(self, user: str, **claims: Any) -> bearer.Token:
        """A rightly signed token; a claim that is None is left out."""
        made = {**jwt.claims_for(user, 600), **claims}
        return jwt.encode({name: value for name, value in made.items() if value is not None}, self.key)

    def ask(
        self,
        token: bearer.Token | None,
        path: str = "diag",
        *,
        user: str | None = None,
        family: str = "slurm",
        method: str = "GET",
        body: bytes | None = None,
    ) -> Response:
        """Ask as a client would; the user beside the token is the one in it unless another is given."""
        headers = {}
        if token is not None:
            headers = {USER_HEADER: user if user is not None else jwt.inspect(token).user, TOKEN_HEADER: token.reveal()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"/{family}/{self.api}/{path}"
        return request(self.target, method, url, headers=headers, body=body, timeout=PATIENCE)

    def connect(self) -> socket.socket:
        """A connection that has said nothing yet."""
        assert self.target.host
        return socket.create_connection((self.target.host, self.target.port or 80), timeout=PATIENCE)

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes as they are, and return what comes back until the end or a second of silence."""
        got = b""
        with contextlib.closing(self.connect()) as connection, contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            connection.settimeout(1.0)
            while piece := connection.recv(65536):
                got += piece
        return got

    def pid(self) -> str:
        """The daemon's process, and how often it was restarted."""
        return self.ssh("systemctl show -p MainPID,NRestarts --value slurmrestd").strip()

    def good_client(self) -> float:
        """Seconds until an honest administrator has his answer. Fails when there is none."""
        begin = time.monotonic()
        response = self.ask(self.token(ROOT))
        assert response.status == 200, response.text
        assert answers.mapping(response.json()).get("statistics")
        return time.monotonic() - begin


def refused(response: Response) -> bool:
    """Whether there is an error and nothing to read; some releases put errors into an answer of 200."""
    if response.status >= 400:
        return True
    payload = answers.mapping(response.json())
    data = any(payload.get(name) for name in ("statistics", "jobs", "clusters"))
    return bool(answers.errors_of(payload)) and not data


@pytest.fixture(scope="session")
def attacked(release: str) -> Iterator[Attacked]:
    """A cluster as it is deployed."""
    with live_cluster("real-attacks", release) as live:
        yield Attacked(live)
