"""A slurmrestd that runs already is kept as its clients know it: what it runs as and listens on becomes the default.

Read from the running process, since files may have changed behind its back; only while our drop-in is not there yet.
Afterwards the note in our drop-in remembers it, because the files it came from may be gone or overruled by then. What
the inventory says wins.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..host.numbers import whole
from . import address, spelling
from .unit import Option, argv_of

NOTE = "# slurmrest.toolkit keeps of the service that ran here before: "
"""Start of the line in our drop-in; variables of the roles as one JSON object follow."""

_PLUGIN_LISTS = {
    "slurmrestd_service_openapi_plugins": ("-s", "SLURMRESTD_OPENAPI_PLUGINS"),
    "slurmrestd_service_data_parsers": ("-d", "SLURMRESTD_DATA_PARSER_PLUGINS"),
}
NUMBERS = {
    "slurmrestd_service_threads": ("-t", "", ""),
    "slurmrestd_service_max_connections": ("--max-connections", "SLURMRESTD_MAX_CONNECTIONS", "max_connections_flag"),
}
"""Option, environment variable, and column of the release table."""


@dataclass(frozen=True)
class Process:
    """A running slurmrestd: command line, environment, and the names of its account and group."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    user: str
    group: str

    @property
    def options(self) -> list[Option]:
        """Its options."""
        return argv_of(self.argv)[0]

    @property
    def listeners(self) -> list[address.Listener]:
        """What it was told to bind, in the order in which it does that, each once."""
        words = [word.text for word in argv_of(self.argv)[1]]
        return bound([*self.environment.get("SLURMRESTD_LISTEN", "").split(","), *words])

    @property
    def auth(self) -> str:
        """How it knows its clients: the plugin it was told to load alone, else what SLURM_JWT makes of it.

        Without SLURM_JWT it serves nobody over TCP (rest_auth/local needs a UNIX socket): JWT must have been meant.
        """
        plugins = {name.rpartition("/")[2] for name in self.given("-a", "SLURMRESTD_AUTH_TYPES").split(",")}
        if plugins in ({"jwt"}, {"local"}):
            return plugins.pop()
        local = any(listener.path for listener in self.listeners)
        return "local" if local and "SLURM_JWT" not in self.environment else "jwt"

    def given(self, flag: str, name: str = "") -> str:
        """The value of an option; of a variable where there is no such option."""
        values = [option.value for option in self.options if option.flag == flag and option.value]
        return values[-1] if values else self.environment.get(name, "")


def bound(texts: Iterable[str]) -> list[address.Listener]:
    """What slurmrestd binds for these texts, each once; an empty host is the same as ``[::]`` on every release."""
    read = filter(None, (spelling.read(text) for text in texts))
    named = (replace(item, host="::") if item.kind == "tcp" and not item.host else item for item in read)
    return list(dict.fromkeys(named))


def remembered(dropin: str) -> dict[str, Any]:
    """The variables that our drop-in keeps; nothing where it has no such note."""
    for line in dropin.splitlines():
        if line.startswith(NOTE):
            try:
                kept = json.loads(line[len(NOTE) :])
            except ValueError:
                return {}
            return kept if isinstance(kept, dict) else {}
    return {}


def found(
    process: Process, slurm_user: str, directories: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to keep of a running service, by variable of the roles, and what it has that cannot be kept.

    Listeners are kept whatever they are: those that the service cannot have are refused before anything changes, since
    somebody may use them.

    Args:
        process: it.
        slurm_user: SlurmUser, under which slurmrestd must not go on to run, and neither as root.
        directories: owner, group and mode (as :func:`..host.access.describe`) of the directories of its UNIX sockets.
    """
    kept: dict[str, Any] = {}
    if process.listeners:
        kept["slurmrestd_service_listen"] = [str(item) for item in process.listeners]
    for variable, (flag, name) in _PLUGIN_LISTS.items():
        plugins = [item for item in process.given(flag, name).split(",") if item]
        if plugins:
            kept[variable] = plugins
    for variable, (flag, name, _) in NUMBERS.items():
        number = whole(process.given(flag, name))
        if number is not None:
            kept[variable] = number
    kept.update(_words(process))
    identity = {
        "slurm_common_slurmrestd_user": process.user,
        "slurm_common_slurmrestd_group": process.group,
        "slurmrestd_service_auth": process.auth,
    }
    if process.user in ("root", slurm_user):
        return kept, identity
    return {**kept, **identity, **dict(_sockets(process, directories or {}))}, {}


def _words(process: Process) -> Iterator[tuple[str, str]]:
    """How much it says, and where its slurm.conf is."""
    verbose = [option.flag for option in process.options if option.flag == "-v"]
    if verbose:
        yield "slurmrestd_service_extra_options", f"-{'v' * len(verbose)}"
    if process.environment.get("SLURMRESTD_DEBUG"):
        yield "slurmrestd_service_debug", process.environment["SLURMRESTD_DEBUG"]
    conf = process.given("-f", "SLURM_CONF")
    if posixpath.basename(conf) == "slurm.conf" and posixpath.dirname(conf) != "/etc/slurm":
        yield "slurm_common_config_dir", posixpath.dirname(conf)


def _sockets(process: Process, directories: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Who may enter the directory of the sockets: portals that do so today shall do so tomorrow."""
    facts = (directories.get(posixpath.dirname(item.path), {}) for item in process.listeners if item.path)
    existing = [item for item in facts if item.get("kind") == "directory"]
    if not existing:
        return
    mode = int(existing[0]["mode"], 8)
    if mode & 0o001:
        yield "slurmrestd_service_socket_everyone", True
    elif mode & 0o010 and existing[0]["group"] not in ("root", process.group):
        yield "slurmrestd_service_socket_group", existing[0]["group"]
