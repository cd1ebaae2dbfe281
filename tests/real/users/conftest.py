"""One cluster whose compute node is the login host: an ordinary user, scontrol, the commands without packages."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from slurmrest.rest.client import Target
from slurmrest.slurm.api_versions import API_VERSIONS
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import ROOT, LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slurmrest.slurm.api_versions import ApiVersion

    from slurmrest_toolkit.clusters.state import Cluster

LOGIN, REST, CONTROLLER, USER = "c1", "rest", "ctl", "alice"
URL = f"http://{REST}:6820"
SHIPPED = ("scripts/slurmrest_user.py", "plugins/module_utils/slurmrest")
PACKAGES = ("requests", "jwt")
"""What the page and the recipe import: requests on the login host, the package that is called jwt on the controller."""


@dataclass
class LoginHost:
    """The host where users work."""

    cluster: LiveCluster

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a bash script as the ordinary user, in a login shell at home."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        command = f"su - {USER} -s /bin/bash -c {shlex.quote(f'{variables} timeout 180 bash -s')}"
        return subprocess.run(
            ["ssh", "-F", str(self.cluster.directory / "ssh_config"), f"root@{LOGIN}", command],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )

    def slurmrest(self, words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command with arguments as a shell reads them."""
        return self.run(f"slurmrest {words}", SLURMREST_URL=URL, **environment)

    @property
    def target(self) -> Target:
        """Slurmrestd as this host reaches it."""
        return Target.parse(self.state.base_url)

    @property
    def state(self) -> Cluster:
        """What the command line keeps about the cluster."""
        state = load(self.cluster.name)
        assert state is not None
        return state

    @property
    def served(self) -> tuple[str, ...]:
        """API versions, oldest first."""
        return tuple(self.state.api_versions)

    @property
    def newest_api(self) -> str:
        """The newest API version."""
        return self.served[-1]

    @property
    def api(self) -> ApiVersion:
        """Facts of the newest API version."""
        return API_VERSIONS[self.newest_api]

    @property
    def knows_infinite(self) -> bool:
        """Whether the release makes tokens without end."""
        return lookup(self.state.slurm_version).release.lifespan_infinite

    def install_command(self, node: str = LOGIN) -> None:
        """Install the users' command as from a bare clone."""
        self.install("/opt/slurmrest", {name: ROOT / name for name in SHIPPED}, node)
        self.cluster.ssh(node, "ln -sf /opt/slurmrest/scripts/slurmrest_user.py /usr/local/bin/slurmrest")

    def install(self, directory: str, paths: dict[str, Path], node: str = LOGIN) -> None:
        """Put files and folders of this host below a directory there, readable by all."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for name, path in paths.items():
                archive.add(path, name)
        unpack = f"mkdir -p {directory} && tar -C {directory} -x && chmod -R a+rX {directory}"
        subprocess.run(
            ["ssh", "-F", str(self.cluster.directory / "ssh_config"), f"root@{node}", unpack],
            input=data.getvalue(),
            check=True,
        )


@pytest.fixture(scope="session")
def login(release: str) -> Iterator[LoginHost]:
    """The login host of a cluster of hosts apart, with the command installed as from a bare clone."""
    with live_cluster("real-users", release, "--layout=split") as cluster:
        host = LoginHost(cluster)
        host.install_command()
        yield host


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throwaway environment with the packages that users' programs import; returns its Python."""
    directory = tmp_path_factory.mktemp("packages")
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    install = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *PACKAGES)
    subprocess.run(install, check=True, stdout=sys.stderr)
    return python
