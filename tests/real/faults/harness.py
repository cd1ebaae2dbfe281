"""Break a running cluster, ask the doctor, mend it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.auth import bearer, jwt

from slurmrest_toolkit.clusters.liveness import refresh
from slurmrest_toolkit.clusters.state import Cluster, choose
from slurmrest_toolkit.nodes.start import wait_for_ssh
from slurmrest_toolkit.support.progress import Progress
from tests.real.clusters import LiveCluster, slurmrest
from tests.real.faults.fault import PRELUDE, Client, Fault
from tests.real.faults.follow import HEALED, NOT_HEALED, Course, follow

if TYPE_CHECKING:
    from collections.abc import Iterable

SNAPSHOT = Path(__file__).with_name("snapshot.py")
KEPT = (
    "/etc/slurm",
    "/etc/systemd/system/slurm*",
    "/etc/default/slurm*",
    "/etc/slurmrest*",
    "/etc/nginx",
    "/etc/systemd/system/nginx*",
    "/etc/profile.d",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ld.so.preload",
    "/var/lib/slurm/jwt",
    "/var/lib/slurmrest-identity",
    "/var/lib/slurmrest-jwks",
    "/usr/lib/*/slurm-wlm/auth_jwt.so",
)
SLURM = ("slurmdbd", "slurmctld", "slurmrestd")
LOGINS = ("slurmrest-identity.socket", "slurmrest-identity")
ORDER = ("munge", "mariadb", "slurmdbd", "slurmctld", "slurmd", "slurmrestd", *LOGINS, "nginx")
HEALTHY_SECONDS = 40.0


@dataclass
class Patient:
    """A running cluster whose files are kept."""

    live: LiveCluster
    cluster: Cluster = field(init=False)
    healthy_evidence: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.cluster = choose(self.live.name)
        for node in self.cluster.nodes:
            self._snapshot(node.name, "keep")
        file = self.live.directory / "healthy.json"
        report = self.doctor(evidence=str(file))
        assert report["findings"] == [], report
        self.healthy_evidence = json.loads(file.read_text())

    def node(self, role: str) -> str:
        """Return the node that has a role, or that name."""
        return next(node.name for node in self.cluster.nodes if role in (node.name, *node.roles))

    def apply(self, fault: Fault) -> None:
        """Break it."""
        self._run(fault, fault.script)

    def _run(self, fault: Fault, script: str) -> None:
        nodes = dict.fromkeys(map(self.node, fault.on.split(",") if script else ()))
        for node in nodes:
            (self.live.privileged if fault.privileged else self.live.ssh)(node, PRELUDE + script)

    def follow(self, fault: Fault, report: dict[str, Any]) -> Course:
        """Do what the finding says, and nothing else, and ask the doctor again."""
        finding = next(finding for finding in report["findings"] if finding["id"] == fault.expect)
        course = follow(self.live, finding, [node.name for node in self.cluster.nodes])
        if course.outcome:
            return course
        after = self.healthy_again(fault.client)
        left = [found for found in after["findings"] if found["id"] not in fault.also]
        return Course(HEALED if not left else NOT_HEALED, course.remedy, json.dumps(left, indent=1))

    def mend(self, fault: Fault, *, followed: bool = False) -> None:
        """Make everything as it was, and have the daemons running; those that a remedy may have changed anew."""
        self._run(fault, fault.undo)
        for node in self.cluster.nodes:
            self._snapshot(node.name, "restore")
            there = " ".join(ORDER)
            here = " ".join(name for name in ORDER if name in fault.restart or (followed and name in SLURM))
            self.live.ssh(
                node.name,
                f"systemctl daemon-reload; wanted='{here}'\n"
                f"for unit in {there}; do systemctl is-enabled --quiet $unit 2>/dev/null || continue\n"
                "systemctl reset-failed $unit 2>/dev/null\n"
                'case " $wanted " in *" $unit "*) systemctl restart $unit;; *) systemctl start $unit;; esac; done\n'
                "true",
            )

    def doctor(self, client: Client | None = None, evidence: str = "") -> dict[str, Any]:
        """Return the doctor's report, as the command prints it."""
        words = ["doctor", "--name", self.live.name, "--json"]
        if client is not None:
            words += self._request(client)
        if evidence:
            words += ["--evidence", evidence]
        done = slurmrest(*words)
        assert done.returncode in (0, 1), f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        report: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) is report["healthy"]
        return report

    def healthy_again(self, client: Client | None = None) -> dict[str, Any]:
        """Ask the doctor until there is nothing to find; the last report otherwise."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            report = self.doctor(client)
            if report["healthy"] or time.monotonic() > deadline:
                return report
            time.sleep(1)

    def _request(self, client: Client) -> list[str]:
        words = ["--request", client.line.format(api=self.cluster.api_versions[-1])]
        words += ["--user", client.user] if client.user else []
        if client.token != "none":
            file = self.live.directory / "token.client"
            file.write_text(self._token(client) + "\n")
            words += ["--token-file", str(file)]
        return words

    def _token(self, client: Client) -> str:
        if client.token == "garbage":
            return "not.a-token"
        name = client.owner or (client.user if client.user not in ("", "root") else "alice")
        lifespan = 1 if client.token == "expired" else 600
        done = slurmrest("cluster", "token", "--name", self.live.name, "--user", name, f"--lifespan={lifespan}")
        assert done.returncode == 0, done.stderr
        token = bearer.Token(done.stdout.strip())
        if client.token == "forged":
            token = jwt.with_forged_signature(token)
        if client.token == "expired":
            time.sleep(2.1)
        return token.reveal()

    def _snapshot(self, node: str, action: str) -> None:
        self._python(node, SNAPSHOT.read_text(), [action, *KEPT])

    def _python(self, node: str, program: str, arguments: Iterable[str]) -> None:
        command = shlex.join(["sudo", "python3", "-", *arguments])
        ssh = ["ssh", "-F", str(self.live.directory / "ssh_config"), node, command]
        done = subprocess.run(ssh, input=program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def wait_for_ssh(self) -> None:
        """Wait until every node answers, after a reboot on other ports perhaps."""
        refresh(self.cluster, Progress())
        for node in self.cluster.nodes:
            wait_for_ssh(self.cluster, node)
