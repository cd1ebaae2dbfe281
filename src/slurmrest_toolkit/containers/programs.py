"""Programs that this host must have are installed where that is allowed; otherwise the command that does is named."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.prerequisites import install_command, lacking, packages_of, reasons
from slurmrest_toolkit.support import processes
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest_toolkit.containers.host import Host
    from slurmrest_toolkit.support.progress import Progress


def ensure_programs(programs: Sequence[str], host: Host, progress: Progress, *, soon: Sequence[str] = ()) -> None:
    """Make sure that the programs are there: install them as root, otherwise name the command that does.

    Args:
        programs: what is needed now.
        host: the host as detected.
        progress: told what is installed.
        soon: what a first start takes later: in the same list, where something is missing now.

    Raises:
        CannotRunError: they are missing and cannot be installed from here.
    """
    if not lacking(programs):
        return
    missing = lacking([*programs, *soon])
    why = reasons(missing)
    if shutil.which("apt-get") is None:
        raise CannotRunError(f"Missing on this host: {why}.", "Install them with the system's package manager.")
    command = install_command(missing)
    if not host.root:
        raise CannotRunError(f"Missing on this host: {why}.", f"Run: sudo {' '.join(command)}")
    progress.say(f"missing on this host: {why}; installing {' '.join(packages_of(missing))} with apt-get")
    with locked(runtime_directory() / "apt.lock", waiting=lambda: progress.say("waiting for another run's apt-get")):
        for arguments in (["apt-get", "-qq", "update"], [*command, "-qq", "-y"]):
            done = processes.run(arguments, environment={"DEBIAN_FRONTEND": "noninteractive"}, let_finish=True)
            # Old package lists may do, so a failing update alone is not the end.
            if done.returncode and "install" in arguments:
                last = "\n".join(done.stdout.splitlines()[-8:])
                raise CannotRunError(f"{' '.join(arguments)} failed:\n{last}")
