"""What daemons find on their host: file systems, directories of plugins, and who has their ports. Changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..host.sockets import listening_sockets
from ..slurm.ports import ports_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def look(
    facts: Mapping[str, Any],
    roles: Sequence[str],
    confs: Mapping[str, Mapping[str, Any] | None],
) -> dict[str, Any]:
    """All of it, by the names that the evidence has for it."""
    return {
        "held": held(facts, roles),
        "plugin_directories": plugin_directories(confs),
        "disks": disks(facts, roles),
    }


def held(facts: Mapping[str, Any], roles: Sequence[str]) -> list[dict[str, Any]]:
    """Who listens on the ports that slurmctld and slurmdbd are given here."""
    return listening_sockets({"tcp": _own_ports(facts, roles)})


def _own_ports(facts: Mapping[str, Any], roles: Sequence[str]) -> set[int]:
    """The ports that slurmctld and slurmdbd are given, where this host is there for them."""
    given = {"slurmctld": facts["slurm_conf"]["slurmctld_port"], "slurmdbd": facts["slurmdbd_conf"]["dbd_port"]}
    found: set[int] = set()
    for daemon in given.keys() & set(roles):
        found.update(ports_of(str(given[daemon])))
    return found


def plugin_directories(confs: Mapping[str, Mapping[str, Any] | None]) -> dict[str, bool]:
    """Whether the directories are there that PluginDir names, by path."""
    stated = [
        entry["value"]
        for conf in confs.values()
        for entry in (conf["entries"] if conf else ())
        if entry["key"] == "plugindir"
    ]
    return {path: os.path.isdir(path) for value in stated for path in value.split(":") if path}


def disks(facts: Mapping[str, Any], roles: Sequence[str]) -> list[dict[str, Any]]:
    """The file systems that a daemon of this host must be able to write to."""
    paths = ["/run", "/var/log", "/tmp", "/etc"]  # noqa: S108 - looked at, not used
    paths += [facts["slurm_conf"]["state_save_location"] or ""] if "slurmctld" in roles else []
    paths += ["/var/lib/mysql"] if "slurmdbd" in roles else []
    found: dict[int, dict[str, Any]] = {}
    for path in filter(os.path.isdir, paths):
        status = os.statvfs(path)
        entry = found.setdefault(os.stat(path).st_dev, {"paths": [], "bytes": status.f_bavail * status.f_frsize})
        entry["paths"].append(path)
        entry.update(total=status.f_blocks * status.f_frsize, inodes=status.f_favail if status.f_files else None)
    return list(found.values())
