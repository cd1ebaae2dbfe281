"""One cluster that accepts the tokens of a real OpenID provider, which its host reaches through a tunnel of SSH."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import Token
from slurmrest.rest.client import Credentials, Response, Target, request
from slurmrest.slurm.api_versions import API_VERSIONS
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, Play, live_cluster
from tests.real.jwks.provider import Provider
from tests.real.tunnel import tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmrest.slurm.api_versions import ApiVersion
    from slurmrest.slurm.releases import Release

USER = "alice"
DAEMONS = ("slurmdbd", "slurmctld")
LAYOUTS = ("single", "split")
"""All on one host; controller, slurmdbd, REST host and compute node apart."""

AUTHORITY = "/etc/slurmrest-test-ca.pem"
JWKS = "/var/lib/slurmrest-jwks/jwks.json"
PATIENCE = 60.0
"""Seconds for what a daemon does at once when the machine is quiet."""


@dataclass
class Issued:
    """A cluster, the provider, and what the roles are told about it.

    ``hosts`` are those with keys, each with the daemons that read them.
    """

    live: LiveCluster
    provider: Provider
    release: Release = field(init=False)
    hosts: dict[str, list[str]] = field(init=False)
    variables: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        state = load(self.live.name)
        assert state is not None
        self.state = state
        self.release = lookup(state.slurm_version).release
        daemons = {node.name: [name for name in DAEMONS if name in node.roles] for node in state.nodes}
        self.hosts = {host: found for host, found in daemons.items() if found}
        self.target = Target.parse(state.base_url)
        self.variables = {
            "slurm_jwks_issuers": [{"name": "login", "url": f"{self.provider.url}/jwks", "ca_file": AUTHORITY}],
            "slurm_jwks_acknowledged": True,
            **({"slurm_conf_userclaimfield": self.provider.claim} if self.release.userclaimfield else {}),
        }

    def having(self, role: str) -> str:
        """The first host with a daemon."""
        return next(node.name for node in self.state.nodes if role in node.roles)

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

    def refresh(self, *, good: bool = True) -> dict[str, str]:
        """Run the service once as its timer does, on each host with keys; returns what it said there."""
        said = {}
        for host in self.hosts:
            began = self.ssh("date +%s", host).strip()
            # Its Result would be that of the timer's next run where that has begun by then.
            code = self.ssh("systemctl start slurmrest-jwks.service; echo $?", host).strip()
            journal = "journalctl --no-pager --output=cat --unit=slurmrest-jwks.service"
            said[host] = self.ssh(f"journalctl --sync; {journal} --since=@{began}", host)
            assert (code == "0") is good, said
        return said

    def loaded(self, keys: str) -> dict[str, str]:
        """Refresh, and insist that the daemons of each host load these keys; returns what was said."""
        said = self.refresh()
        for host, daemons in self.hosts.items():
            assert f"changed; loaded by {', '.join(daemons)}: {keys}\n" in said[host], said
        return said

    def unchanged(self, keys: str) -> None:
        """Refresh, and insist that these are the keys already."""
        for said in self.refresh().values():
            assert f"as before: {keys}\n" in said

    def ssh(self, command: str, host: str = "", *, check: bool = True) -> str:
        """Run a command as root on a host, the controller where none is named."""
        return self.live.ssh(host or self.having("slurmctld"), command, check=check)

    def everywhere(self, command: str) -> dict[str, str]:
        """Run a command as root on each host with keys."""
        return {host: self.ssh(command, host) for host in self.hosts}

    def pids(self) -> dict[str, str]:
        """The main processes of both daemons."""
        return self.everywhere("systemctl show -p MainPID --value slurmctld slurmdbd")

    def logged(self, since: float) -> str:
        """What both daemons wrote about since a time (seconds since the epoch)."""
        journal = f"journalctl --no-pager --output=cat --since=@{int(since)} --unit=slurmctld --unit=slurmdbd"
        return "".join(self.everywhere(f"journalctl --sync; {journal}").values())


def takes_any_type(issued: Issued) -> bool:
    """Tell whether the header of a token may name another type than JWT: libjwt refuses others before 1.12."""
    version = issued.ssh("dpkg-query --show --showformat='${Version}' 'libjwt*'")
    return tuple(map(int, version.partition("-")[0].split("."))) >= (1, 12)


def eventually(question: Any, what: str) -> Any:
    """Ask until the answer is true; fails with ``what`` was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return answer


@pytest.fixture(scope="session", params=LAYOUTS[:1])
def issued(request: pytest.FixtureRequest, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A cluster made as any, to which the issuer was added by deploy.yml."""
    knows_field = lookup(release).release.userclaimfield
    provider = Provider(tmp_path_factory.mktemp("provider"), "preferred_username" if knows_field else "username")
    with live_cluster(f"jwks-{request.param}", release, "--layout", request.param) as live, ExitStack() as stack:
        one = Issued(live, provider)
        provider.typ = "at+jwt" if takes_any_type(one) else "JWT"
        provider.start()
        stack.callback(provider.stop)
        for host in one.hosts:
            stack.enter_context(tunnel(live, host, provider.port))
            one.ssh(f"cat > {AUTHORITY} <<'END'\n{provider.certificate.read_text()}END\n", host)
        one.deploy().good()
        yield one
