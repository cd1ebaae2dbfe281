"""One cluster that accepts the tokens of a real OpenID provider, which its host reaches through a tunnel of SSH."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.client import Credentials, Response, Target, request
from slurmrest.jwt import Token
from slurmrest.releases import API_VERSIONS, lookup

from testcluster.state import load
from tests.real.clusters import LiveCluster, Play, live_cluster
from tests.real.jwks.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmrest.releases import ApiVersion, Release

NODE, USER = "node1", "alice"
AUTHORITY = "/etc/slurmrest-test-ca.pem"
JWKS = "/var/lib/slurm/jwks/jwks.json"
PATIENCE = 60.0
"""Seconds for what a daemon does at once when the machine is quiet."""


@dataclass
class Issued:
    """A cluster, the provider, and what the roles are told about it."""

    live: LiveCluster
    provider: Provider
    release: Release = field(init=False)
    variables: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        state = load(self.live.name)
        assert state is not None
        self.state = state
        self.release = lookup(state.slurm_version).release
        self.target = Target.parse(state.base_url)
        self.variables = {
            "slurm_jwks_issuers": [{"name": "login", "url": f"{self.provider.url}/jwks", "ca_file": AUTHORITY}],
            "slurm_jwks_acknowledged": True,
            **({"slurm_conf_userclaimfield": self.provider.claim} if self.release.userclaimfield else {}),
        }

    @property
    def api(self) -> ApiVersion:
        """Facts of the newest API version that is served."""
        return API_VERSIONS[self.state.api_versions[-1]]

    def deploy(self, *words: str, **variables: Any) -> Play:
        """Run the playbook with the issuer."""
        return self.live.playbook("deploy.yml", *words, variables={**self.variables, **variables})

    def ask(
        self, token: str, path: str, user: str = USER, body: bytes | None = None, family: str = "slurm"
    ) -> Response:
        """Ask slurmrestd with a token, from outside of the cluster."""
        headers = {**Credentials(user, Token(token)).headers(), "Content-Type": "application/json"}
        method = "POST" if body else "GET"
        return request(self.target, method, f"/{family}/{self.api.name}/{path}", headers=headers, body=body)

    def refresh(self, *, good: bool = True) -> str:
        """Run the service once as its timer does; returns what it said."""
        began = self.ssh("date +%s").strip()
        self.ssh("systemctl start slurmrest-jwks.service", check=good)
        result = self.ssh("systemctl show -p Result --value slurmrest-jwks.service").strip()
        words = self.ssh(
            f"journalctl --sync; journalctl --no-pager --output=cat --since=@{began} --unit=slurmrest-jwks.service"
        )
        assert (result == "success") is good, words
        return words

    def ssh(self, command: str, *, check: bool = True) -> str:
        """Run a command as root on the host."""
        return self.live.ssh(NODE, command, check=check)

    def pids(self) -> list[str]:
        """The main processes of both daemons."""
        return self.ssh("systemctl show -p MainPID --value slurmctld slurmdbd").split()

    def kids(self) -> list[str]:
        """The keys in place."""
        words = "import json, sys; print(*(key['kid'] for key in json.load(sys.stdin)['keys']))"
        return self.ssh(f'python3 -c "{words}" < {JWKS}').split()

    def logged(self, since: float) -> str:
        """What both daemons wrote about since a time (seconds since the epoch)."""
        daemons = "--unit=slurmctld --unit=slurmdbd"
        return self.ssh(f"journalctl --sync; journalctl --no-pager --output=cat --since=@{int(since)} {daemons}")


def eventually(question: Any, what: str) -> Any:
    """Ask until the answer is true; fails with ``what`` was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return answer


@contextmanager
def tunnel(live: LiveCluster, port: int) -> Iterator[None]:
    """Let a port of the node's loopback be the same port of this host's."""
    config = str(live.directory / "ssh_config")
    forward = f"127.0.0.1:{port}:127.0.0.1:{port}"
    options = ["-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"]
    command = ["ssh", "-F", config, *options, "-R", forward, NODE, "echo there; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=PATIENCE)


@pytest.fixture(scope="session")
def issued(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A cluster made as any, to which the issuer was added by deploy.yml."""
    knows_field = lookup(release).release.userclaimfield
    provider = Provider(tmp_path_factory.mktemp("provider"), "preferred_username" if knows_field else "username")
    with live_cluster("jwks", release) as live:
        provider.start()
        try:
            with tunnel(live, provider.port):
                live.ssh(NODE, f"cat > {AUTHORITY} <<'END'\n{provider.certificate.read_text()}END\n")
                one = Issued(live, provider)
                one.deploy().good()
                yield one
        finally:
            provider.stop()
