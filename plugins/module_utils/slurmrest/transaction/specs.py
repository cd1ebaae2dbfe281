"""What a transaction is asked for: files, directories and services as they shall be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import InputError
from .probes import Probe

READY_SECONDS = 30.0  # for all probes of a service, where its role says nothing


@dataclass(frozen=True)
class FileSpec:
    """One file as it shall be. ``content`` is None only for ``state="absent"``; ``mode`` holds the permission bits.

    A ``sensitive`` one is a secret that nobody may copy or see; one that is not ``shown`` only stays out of a diff.
    """

    path: str
    content: bytes | None = None
    state: str = "present"
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    sensitive: bool = False
    shown: bool = True

    def __post_init__(self) -> None:
        if not os.path.isabs(self.path):
            raise InputError("path", self.path, "an absolute path")
        if self.state not in ("present", "absent"):
            raise InputError("state", self.state, "present or absent")
        if self.state == "present" and self.content is None:
            raise InputError("content", None, f"the text of the file {self.path!r}")


KEY_NAMES = "shared_key-"
"""How transactions are called that place a key: its file's name follows."""


@dataclass(frozen=True)
class DirectorySpec:
    """One directory as it shall be; parents are created like ``mkdir -p`` with mode 0755, root-owned."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


@dataclass(frozen=True)
class ServiceSpec:
    """One unit as it shall be.

    ``state`` is ``started`` (running, restarted on change of files or unit), ``if_running`` (restarted on change of
    files when it runs), ``restarted`` (in any case when it runs) or ``stopped``. ``enabled`` None leaves the enablement
    alone. ``timeout`` is the patience for all probes, in seconds. ``instead`` is a command by which the unit takes its
    new files without a restart; the previous ones always come back by a restart. With ``reload`` systemd has the unit
    take them, and the previous ones, too, and only where it then does not run is it started: others, who are served by
    the same daemon, notice nothing. With ``afresh`` a restart stops the unit before the files change, so that what the
    old unit made (RuntimeDirectory=) goes with it. ``steady`` is for a unit that nobody knows a question for: so many
    seconds it has to stay up. For slurmctld and slurmdbd, see :mod:`.restart_obstacles`:
    ``replacing`` says that another binary than the running one is what the restart is for, ``becomes`` which version
    that will have where it is not installed yet, ``allow_state_loss`` that what only the controller's memory has may
    go.
    """

    name: str
    state: str = "started"
    enabled: bool | None = None
    probes: tuple[Probe, ...] = ()
    timeout: float = READY_SECONDS
    restart: bool = True
    instead: tuple[str, ...] = ()
    reload: bool = False
    afresh: bool = False
    steady: float = 0.0
    replacing: bool = False
    becomes: str = ""
    allow_state_loss: bool = False

    def __post_init__(self) -> None:
        if self.state not in ("started", "if_running", "restarted", "stopped"):
            raise InputError("state", self.state, "started, if_running, restarted or stopped")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> ServiceSpec:
        """Read a unit from a module parameter; what is not given has its default. InputError for a bad value."""
        given = {name: value for name, value in data.items() if value is not None}
        given["probes"] = tuple(Probe.from_mapping(probe) for probe in given.get("probes", ()))
        unknown = set(given) - {entry.name for entry in fields(cls)}
        if unknown:
            raise InputError("services", ", ".join(sorted(unknown)), ", ".join(entry.name for entry in fields(cls)))
        return cls(**given)
