"""Arguments that no cluster can be made of are refused before anything is started."""

from __future__ import annotations

import pytest

from tests.real.clusters import slurmrest


@pytest.mark.parametrize(
    ("arguments", "value", "allowed"),
    [
        (("--slurm", "19.05"), "19.05", "24.11"),
        (("--name", "Bad_Name"), "Bad_Name", "lower-case"),
        (("--layout", "ring"), "ring", "split"),
        (("--nodes", "3"), "3", "1 with --layout single"),
        (("--layout", "split", "--nodes", "0"), "0", "1 to 64"),
        (("--engine", "lxc"), "lxc", "podman"),
    ],
)
def test_refused(arguments: tuple[str, ...], value: str, allowed: str) -> None:
    name = () if "--name" in arguments else ("--name", "refused")
    done = slurmrest("cluster", "up", *name, *arguments)
    assert done.returncode == 2
    assert value in done.stderr
    assert allowed in done.stderr
    assert "refused" not in slurmrest("cluster", "list", "--json").stdout
