"""Where the unit of slurmrestd and its drop-ins are, by name and precedence (systemd.unit(5)). Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNIT = "slurmrestd.service"

DROPIN = f"/etc/systemd/system/{UNIT}.d/50-slurmrest.conf"
"""Our drop-in. Its name sorts before ``override.conf``, which is what ``systemctl edit`` writes."""

OUR_COMMAND = "slurmrest-toolkit"
"""A word that stands in the pretended command of our drop-in, and in no command of a site."""

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

UNIT_PATHS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd looks for units, the first wins (systemd.unit(5))."""


def unit_names(instance: str = "") -> list[str]:
    """The unit that serves, and behind it the template that it comes from where it is one of several instances.

    Raises:
        InputError: an instance that cannot be part of a unit's name.
    """
    if not instance:
        return [UNIT]
    if not _INSTANCE.fullmatch(instance):
        raise InputError("slurm_common_slurmrestd_instance", instance, "letters, digits, '_', '.' and '-', at most 63")
    return [UNIT.replace(".", f"@{instance}.", 1), UNIT.replace(".", "@.", 1)]


def dropin_directories(names: Sequence[str] = (UNIT,)) -> list[str]:
    """Every directory that may hold drop-ins of a unit of these names (see :func:`unit_names`), by precedence."""
    return [f"{path}/{name}.d" for name in (*names, "service") for path in UNIT_PATHS]


def order_dropins(paths: Iterable[str]) -> list[str]:
    """The drop-ins that count, in the order they are applied.

    Sorted by file name whatever the directory; of equal names the one in the unit's own directory and the earlier place
    of :data:`UNIT_PATHS` hides the others.
    """
    best: dict[str, str] = {}
    for path in sorted(paths, key=_precedence):
        name = posixpath.basename(path)
        if name.endswith(".conf"):
            best.setdefault(name, path)
    return [best[name] for name in sorted(best, key=lambda name: name.encode(errors="surrogateescape"))]


def _precedence(path: str) -> tuple[int, int, str]:
    directory = posixpath.dirname(path)
    name = posixpath.basename(directory)
    general = 2 if name == "service.d" else int(name.endswith("@.service.d"))
    place = posixpath.dirname(directory)
    return general, UNIT_PATHS.index(place) if place in UNIT_PATHS else len(UNIT_PATHS), path
