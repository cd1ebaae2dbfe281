"""slurmrestd started by hand with one thing changed, and requests to the one that runs: what a release really does."""

from __future__ import annotations

import base64
import json
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmrest.rest.client import Target, request
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.clusters.state import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmrest.slurm.releases import Release

    from tests.real.clusters import LiveCluster

NODE = "node1"
SERVICE = "slurmrestd"
IN_A_CONTAINER = "disable_unshare_sysv,disable_unshare_files"
"""What SLURMRESTD_SECURITY needs where a process may not unshare."""

SECONDS = 2.0
"""A daemon that still runs after this long has taken what it was given: each fatal cause ends it within 0.3 s."""

TIMED_OUT, KILLED = 124, 137
"""What timeout(1) ends with where the program had not ended; 137 after SIGKILL."""

LISTENER = "127.0.0.1:6899"


@dataclass
class Asked:
    """The cluster, and what the table says of its release."""

    live: LiveCluster

    def __post_init__(self) -> None:
        state = load(self.live.name)
        assert state is not None
        self.state = state
        self.release: Release = lookup(state.slurm_version).release
        self.target = Target.parse(state.base_urls[0])
        self.headers = self.of("root")

    def of(self, user: str) -> dict[str, str]:
        """The headers of a user's token."""
        lines = tokens.header_file(self.state, user).read_text(encoding="ascii").splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def status(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> int:
        """The status of one request, with root's token unless other headers are given."""
        sent = self.headers if headers is None else headers
        return request(self.target, method, path, headers=sent, body=body, timeout=60).status

    def slurm(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """The status of a GET below ``/slurm``, of the newest API version."""
        return self.status(f"/slurm/{self.release.newest_api}/{path}", headers=headers)

    def slurmdb(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """The status of a GET below ``/slurmdb``."""
        return self.status(f"/slurmdb/{self.release.slurmdb_api_versions[-1]}/{path}", headers=headers)

    def starts(
        self,
        arguments: str = LISTENER,
        *,
        user: str = SERVICE,
        group: str = SERVICE,
        before: str = "true",
        after: str = "true",
        signal: str = "TERM",
        **environment: str,
    ) -> bool:
        """Whether slurmrestd stays with these arguments, as that user and group without supplementary ones.

        Args:
            arguments: of slurmrestd, as a shell reads them.
            user: a name or number.
            group: likewise.
            before: shell commands before it, as root.
            after: likewise, after it.
            signal: what ends it.
            environment: variables beside those that it needs in a container.
        """
        known = {"SLURM_JWT": "daemon"}
        if "disable_unshare_files" in self.release.security_values:
            known["SLURMRESTD_SECURITY"] = IN_A_CONTAINER
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in {**known, **environment}.items())
        run = f"setpriv --reuid={user} --regid={group} --clear-groups env {words} slurmrestd {arguments}"
        script = f"""{before}
            timeout --signal={signal} {SECONDS:g} {run} < /dev/null > /dev/null 2>&1
            echo $?
            {after}"""
        return int(self.live.ssh(NODE, script).split()[0]) in (TIMED_OUT, KILLED)

    def lasts(self, lifespan: str) -> int:
        """Seconds from now until a token ends that is asked for with this lifespan."""
        token = self.live.ssh(NODE, f"scontrol token lifespan={lifespan}").strip().partition("=")[2]
        claims = token.split(".")[1]
        return int(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"] - time.time())

    def shows(self, command: str) -> bool:
        """Whether a command of root on the node succeeds."""
        return not self.live.failure(NODE, command)
