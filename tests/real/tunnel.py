"""A port of this host's loopback on that of a node."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.clusters import LiveCluster

PATIENCE = 60.0
"""Seconds for ssh to end."""


@contextmanager
def tunnel(live: LiveCluster, host: str, port: int) -> Iterator[None]:
    """Let a port of a host's loopback be the same port of this host's."""
    config = str(live.directory / "ssh_config")
    forward = f"127.0.0.1:{port}:127.0.0.1:{port}"
    options = ["-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"]
    command = ["ssh", "-F", config, *options, "-R", forward, host, "echo there; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=PATIENCE)
