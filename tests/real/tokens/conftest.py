"""A cluster of hosts apart, whose REST host also has a portal that needs a token."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PORTAL, CONTROLLER, DATABASE = "rest", "ctl", "db"
USER, OWNER = "portal", "webportal"
HOME = "/var/lib/slurmrest-token"
TOKEN = f"{HOME}/token"
UNIT = "slurmrest-token.service"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Check-Valid-Until=false"
INSTALL_SSH = f"{APT} update && {APT} install -y --no-install-recommends openssh-client"
VARIABLES = {"slurmrest_token_user": USER, "slurmrest_token_owner": OWNER, "slurmrest_token_interval": 30}


@dataclass
class Portal:
    """The host that uses the token, and the way to give it one."""

    live: LiveCluster
    group: Path

    def tokens(self, *words: str, playbook: str = "tokens.yml", **variables: Any) -> Play:
        """Run the playbook with the group of hosts that use tokens."""
        return self.live.playbook(
            playbook, "--inventory", str(self.group), *words, variables={**VARIABLES, **variables}
        )

    def ssh(self, command: str, node: str = PORTAL, *, check: bool = True) -> str:
        """Run a command as root."""
        return self.live.ssh(node, command, check=check)

    def ask(self, path: str, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        """Ask slurmrestd as the portal would, with the token from its file: status and answer."""
        said = self.ssh(
            f"runuser -u {OWNER} -- sh -c 'umask 077; f=$(mktemp); o=$(mktemp); "
            f'printf "X-SLURM-USER-NAME: {USER}\\nX-SLURM-USER-TOKEN: %s\\n" "$(cat {token})" > $f; '
            f'curl -s -o $o -w "%{{http_code}}\\n" -H @$f http://127.0.0.1:6820{path}; cat $o; rm $f $o\''
        )
        status, _newline, body = said.partition("\n")
        return int(status), json.loads(body) if body.startswith("{") else {}

    def diag(self, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        """Ask for /slurm diag."""
        return self.ask(f"/slurm/{self.newest_api}/diag", token)

    @property
    def newest_api(self) -> str:
        """The newest API version of the cluster."""
        cluster = load(self.live.name)
        assert cluster is not None
        return cluster.api_versions[-1]

    def metrics(self) -> Mapping[str, float]:
        """The Prometheus text file."""
        lines = self.ssh(f"cat {HOME}/slurmrest_token.prom").splitlines()
        return {
            line.partition("{")[0].removeprefix("slurmrest_token_"): float(line.split()[-1])
            for line in lines
            if not line.startswith("#")
        }

    def wait_for_timer(self, seconds: float, condition: str) -> None:
        """Wait until a shell condition holds on the portal's host, with nobody starting the unit."""
        deadline = time.monotonic() + seconds
        while not self.ssh(f"{condition} && echo yes || true").strip():
            assert time.monotonic() < deadline, self.ssh(f"systemctl status {UNIT} slurmrest-token.timer || true")
            time.sleep(0.5)

    def age(self, seconds: int) -> None:
        """Make the record of the token say that it was fetched earlier."""
        self.ssh(
            f"python3 - <<'END'\nimport json\np = '{HOME}/record.json'\nr = json.load(open(p))\n"
            f"r['issued'] -= {seconds}\nr['expires'] -= {seconds}\njson.dump(r, open(p, 'w'))\nEND"
        )


@pytest.fixture(scope="session")
def portal(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A cluster with a portal's account on its REST host, which has no token yet."""
    group = tmp_path_factory.mktemp("inventory") / "tokens.yaml"
    group.write_text(yaml.safe_dump({"slurmrest_token": {"hosts": {PORTAL: {}}}}))
    with live_cluster("real-tokens", release, "--layout=split") as live:
        one = Portal(live, group)
        one.ssh(f"useradd --system --user-group --shell /bin/sh {OWNER}; command -v curl")
        one.ssh(f"command -v ssh || {{ {INSTALL_SSH}; }}")  # sshd needs no client on every distribution
        yield one
