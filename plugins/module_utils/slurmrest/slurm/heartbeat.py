"""What a controller sees of the others, and of who is in charge: :mod:`.controllers` judges by it."""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..host import reading
from ..host.network import connect
from ..host.reading import UnsafePath
from .daemons import SLURMCTLD_TIMEOUT

HEARTBEAT = "heartbeat"
_LAYOUT = struct.Struct(">QQ")

Connect = Callable[[str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Heartbeat:
    """What the controller in charge last wrote: its place among the controllers, 0 the primary, and when."""

    index: int
    written: int  # seconds since 1970, by its clock


def read_heartbeat(state: str) -> Heartbeat | None:
    """The heartbeat in a StateSaveLocation; None where there is none, or none that can be read."""
    try:
        content = reading.read_site(posixpath.join(state, HEARTBEAT), _LAYOUT.size)
        written, index = _LAYOUT.unpack(content[: _LAYOUT.size])
    except (OSError, UnsafePath, struct.error):
        return None
    return Heartbeat(index, written)


def see(conf: Mapping[str, Any], reach: Connect = connect) -> dict[str, Any] | None:
    """``hosts``, those that are ``silent``, ``heartbeat`` (place, time) and ``timeout``; None for a single controller.

    Args:
        conf: facts of slurm.conf (:func:`..facts.conf.slurm_conf_facts`).
        reach: tells whether a port of a host takes connections.
    """
    hosts = list(conf["slurmctld_hosts"])
    if len(hosts) < 2:
        return None
    port = str(conf["slurmctld_port"]).partition("-")[0]
    places = conf.get("slurmctld_addresses") or hosts
    found = read_heartbeat(str(conf["state_save_location"]))
    return {
        "hosts": hosts,
        "silent": [host for host, place in zip(hosts, places) if reach(place, port)["error"]],
        "heartbeat": [found.index, found.written] if found else None,
        "timeout": int(conf.get("slurmctld_timeout") or SLURMCTLD_TIMEOUT),
    }
