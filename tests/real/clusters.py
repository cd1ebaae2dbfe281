"""A test cluster for tests that change it: started by the command line, asked over SSH, configured by the playbooks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from slurmrest_toolkit.clusters.liveness import engine_of, refresh
from slurmrest_toolkit.clusters.state import cluster_directory, load
from slurmrest_toolkit.nodes.start import wait_for_ssh
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Play:
    """A finished run of ansible-playbook."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks changed something, all hosts together."""
        return sum(int(match[2]) for match in _RECAP.finditer(self.output))

    @property
    def words(self) -> str:
        """The output on one line: Ansible breaks long messages where it likes."""
        return " ".join(self.output.split())

    def good(self) -> Play:
        """Return itself when the run was fine; fail the test with the output otherwise."""
        assert self.status == 0, self.output
        return self


@dataclass
class LiveCluster:
    """A running test cluster."""

    name: str
    release: str
    directory: Path = field(init=False)

    def __post_init__(self) -> None:
        self.directory = cluster_directory(self.name)

    def ssh(self, node: str, command: str, *, check: bool = True) -> str:
        """Run a shell command as root on a node and return what it prints."""
        done = subprocess.run(
            ["ssh", "-F", str(self.directory / "ssh_config"), node, "sudo", "sh", "-s"],
            input=command,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def failure(self, node: str, command: str) -> str:
        """Run a shell command as root on a node and return what it says where it fails; empty where it does not."""
        done = subprocess.run(
            ["ssh", "-F", str(self.directory / "ssh_config"), node, "sudo", "sh", "-s"],
            input=command,
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{node}: exit status {done.returncode}\n{done.stdout}{done.stderr}" if done.returncode else ""

    def fetch(self, node: str, command: str) -> bytes:
        """Run a shell command as root on a node and return the bytes it writes."""
        return subprocess.run(
            ["ssh", "-F", str(self.directory / "ssh_config"), node, "sudo", "sh", "-c", shlex.quote(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        ).stdout

    def playbook(
        self,
        *words: str,
        variables: Mapping[str, Any] | None = None,
        inventory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Play:
        """Run playbooks (and further arguments of ansible-playbook) with extra variables.

        Args:
            words: playbooks and arguments.
            variables: extra variables, which beat those of the inventory.
            inventory: another inventory than the cluster's.
            environment: more variables of Ansible's environment.
        """
        done = subprocess.run(**self._run(words, variables, inventory, environment), check=False)
        return Play(done.returncode, done.stdout)

    @contextmanager
    def running(
        self, *words: str, variables: Mapping[str, Any], inventory: Path | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Start what :meth:`playbook` runs, to read its output while it comes; all of it is killed at the end."""
        unbuffered = {"PYTHONUNBUFFERED": "1"}
        how = self._run(words, variables, inventory, unbuffered)
        with subprocess.Popen(**how, start_new_session=True) as process:
            try:
                yield process
            finally:
                kill_tree(process.pid)

    def _run(
        self,
        words: Sequence[str],
        variables: Mapping[str, Any] | None,
        inventory: Path | None,
        environment: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        """What subprocess is told to run playbooks."""
        extra = ["--extra-vars", json.dumps(variables)] if variables else []
        names = [f"playbooks/{word}" if re.fullmatch(r"\w+\.yml", word) else word for word in words]
        hosts = str(inventory or self.directory / "inventory" / "hosts.yml")
        return {
            "args": [str(Path(sys.executable).with_name("ansible-playbook")), "--inventory", hosts, *names, *extra],
            "cwd": ROOT,
            "env": {
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                **(environment or {}),
            },
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    def privileged(self, node: str, script: str) -> str:
        """Run a shell script as root on a node, with more rights than its container has, and return what it prints."""
        cluster = load(self.name)
        assert cluster is not None
        engine = engine_of(cluster, Progress())
        return engine.call("exec", "--privileged", cluster.node(node).container, "sh", "-c", script)

    def reboot(self, container: str) -> None:
        """Restart a container, which boots its systemd anew and empties /run, and wait until it answers over SSH."""
        cluster = load(self.name)
        assert cluster is not None
        engine_of(cluster, Progress()).call("restart", "--time=20", container)
        refresh(cluster, Progress())  # on other ports perhaps
        wait_for_ssh(cluster, next(node for node in cluster.nodes if node.container == container))

    def inventory(self) -> dict[str, Any]:
        """Return the inventory as data."""
        data: dict[str, Any] = yaml.safe_load((self.directory / "inventory" / "hosts.yml").read_text())
        return data


def kill_tree(pid: int) -> None:
    """Kill a process and all below it, by their numbers: Ansible's workers have sessions of their own."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    doomed = [pid]
    for one in doomed:
        doomed += children.get(one, [])
    for one in doomed:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def slurmrest(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command of this clone."""
    return subprocess.run(
        [str(ROOT / "scripts" / "slurmrest"), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def own_name(topic: str, release: str) -> str:
    """Return a cluster's name that tests of another release or of another clone do not use."""
    return f"{topic}-{release.replace('.', '')}-{hashlib.sha256(bytes(ROOT)).hexdigest()[:4]}"


@contextmanager
def live_cluster(topic: str, release: str, *arguments: str) -> Iterator[LiveCluster]:
    """Start a cluster (``--bare`` among the arguments gives plain nodes), and remove it afterwards."""
    name = own_name(topic, release)
    slurmrest("cluster", "down", name)
    started = slurmrest("cluster", "up", "--name", name, "--slurm", release, "--allow-stale-mirror", *arguments)
    assert started.returncode == 0, started.stderr
    try:
        yield LiveCluster(name, release)
    finally:
        slurmrest("cluster", "down", name)
