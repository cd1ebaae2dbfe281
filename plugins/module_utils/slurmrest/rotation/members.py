"""What Slurm's programs answer of a cluster: its controllers, and the clusters that share its slurmdbd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SlurmrestError
from ..host import programs
from ..slurm.controller_ping import states

if TYPE_CHECKING:
    from ..slurm.commands import Slurm


def controllers(slurm: Slurm) -> dict[str, str]:
    """What :func:`states` reads."""
    return states(slurm.ask("scontrol", "ping").stdout)


def clusters(slurm: Slurm) -> dict[str, str]:
    """The clusters that slurmdbd knows, each with the host of its slurmctld, empty while none is connected.

    Raises SlurmrestError when sacctmgr cannot tell.
    """
    done = slurm.ask("sacctmgr", "--noheader", "--parsable2", "show", "cluster", "format=cluster,controlhost")
    if done.returncode != 0:
        raise SlurmrestError(f"sacctmgr cannot tell which clusters share slurmdbd: {programs.words(done)}")
    lines = sorted(line.strip() for line in done.stdout.splitlines() if line.strip())
    return {name: host for name, _bar, host in (line.partition("|") for line in lines)}
