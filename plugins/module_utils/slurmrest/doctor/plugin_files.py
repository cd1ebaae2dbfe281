"""The files of Slurm's plugins as each daemon of a host finds them: which it may not read, which are elsewhere.

Changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import struct
from typing import TYPE_CHECKING, Any

from ..facts.installation import plugins_of
from ..host.identity import account_facts
from ..host.reading import names_in, read_beginning
from ..slurm.conf import SlurmConf
from .closed import closed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENDING = ".so"
_HEAD, _BITS_64 = 64, 2  # bytes of the header of a library of 64 bits, and what says that it is one
OF_ALL = ("auth_jwt", "rest_auth_jwt", "rest_auth_local", "serializer_json")
"""Plugins that every build of every release has that can serve tokens."""


def look(
    facts: Mapping[str, Any], roles: Sequence[str], confs: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, dict[str, Any]]:
    """By daemon: ``directories`` that count, ``gone`` of :data:`OF_ALL`, ``elsewhere``, ``broken`` and ``closed``.

    ``elsewhere`` has the plugins that PluginDir leaves out and the directory has that Slurm was built with; ``closed``
    has by plugin what keeps the daemon's account from it.
    """
    users = {
        "slurmrestd": facts["unit"]["user"] or "root",
        "slurmctld": facts["slurm_conf"]["slurm_user"],
        "slurmdbd": facts["slurmdbd_conf"]["slurm_user"],
    }
    found = {}
    for daemon in users.keys() & set(roles):
        conf = confs["slurmdbd_conf" if daemon == "slurmdbd" else "slurm_conf"]
        stated = _stated(conf)
        built = plugins_of(SlurmConf("", (), (), (), ()), facts["prefix"])[0]
        directories = stated or [path for path in (facts["plugin_dir"],) if path]
        if directories:
            there = _plugins(directories)
            found[daemon] = {
                "directories": directories,
                "gone": [name for name in OF_ALL if name not in there],
                "elsewhere": sorted(_plugins([built] if built else []).keys() - there.keys()) if stated else [],
                "broken": {name: path for name, path in sorted(there.items()) if not _whole(path)},
                "closed": _closed(there, directories, account_facts(str(users[daemon]))),
            }
    return dict(sorted(found.items()))


def _stated(conf: Mapping[str, Any] | None) -> list[str]:
    values = [entry["value"] for entry in (conf["entries"] if conf else ()) if entry["key"] == "plugindir"]
    return [path for path in values[-1].split(":") if path] if values else []


def _plugins(directories: Sequence[str]) -> dict[str, str]:
    """Where each plugin is, by its name."""
    return {
        name[: -len(_ENDING)]: posixpath.join(directory, name)
        for directory in directories
        for name in names_in(directory)
        if name.endswith(_ENDING)
    }


def _whole(path: str) -> bool:
    """Whether a plugin has the beginning of a library, and is as long as that says; what cannot be read may be one.

    Its table of sections is the last thing in it, as linkers write it (elf(5)).
    """
    head, size = None, 0
    with contextlib.suppress(OSError):  # it may go just now
        if os.path.isfile(path):
            head, size = read_beginning(path, _HEAD), os.path.getsize(path)
    if head is None:
        return True
    if len(head) < _HEAD or not head.startswith(b"\x7fELF"):
        return False
    bits, order = head[4], "<" if head[5] == 1 else ">"
    at, length, count = (*_unpack(order, "Q", head, 40), *_unpack(order, "2H", head, 58))
    return bits != _BITS_64 or size >= at + length * count


def _unpack(order: str, form: str, head: bytes, at: int) -> tuple[int, ...]:
    return struct.unpack_from(order + form, head, at)


def _closed(
    there: Mapping[str, str], directories: Sequence[str], account: Mapping[str, Any]
) -> dict[str, list[dict[str, str]]]:
    """All plugins of a directory that the account may not list, else those that it may not read."""
    shut = {path: closed(path, account, 5) for path in directories}
    found = {name: shut[posixpath.dirname(path)] or closed(path, account) for name, path in there.items()}
    return {name: places for name, places in found.items() if places}
