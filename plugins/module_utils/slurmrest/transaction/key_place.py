"""A key in its place: what is wanted, judged against what is there, before anything is written."""

from __future__ import annotations

import base64
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..auth.key_files import inspect, is_retired, rotation_record
from ..auth.keys import ALLOWED, MAXIMUM_BYTES, handed_kept_or_new, refusals
from ..errors import InputError, SlurmrestError
from ..host.places import read
from ..host.programs import run
from ..host.records import load_record
from ..systemd.state import state
from .comparison import Applied, octal
from .specs import KEY_NAMES, DirectorySpec, FileSpec, ServiceSpec

ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0600"},
    "directory_mode": {"type": "str", "default": "0700"},
    "size": {"type": "int", "default": 32},
    "named_by": {"type": "str", "default": ""},
    "content": {"type": "str", "no_log": True},
    "fetch": {"type": "bool", "default": False, "no_log": False},
    "allow_restart": {"type": "bool", "default": True},
    "remember": {"type": "bool", "default": True},
    "services": {"type": "list", "elements": "dict", "default": []},
}
"""Parameters of whoever places a key; plugins/doc_fragments/key.py says what each is."""


@dataclass(frozen=True)
class Placing:
    """What is to be in place. ``transaction`` is what a :class:`.comparison.Wanted` is made of."""

    content: bytes
    replaced: bool
    transaction: Mapping[str, Any]

    def result(self, outcome: Applied, *, fetch: bool) -> dict[str, Any]:
        """What a module returns; the key is in it where it is to be fetched."""
        found: dict[str, Any] = {
            "changed": outcome.changed,
            "diff": outcome.diff,
            "replaced": self.replaced,
            "restarted": outcome.restarted,
            "warnings": outcome.unseen,
        }
        return {**found, "content": base64.b64encode(self.content).decode()} if fetch else found


def placing(wanted: Mapping[str, Any], *, check: bool) -> Placing:
    """Judge. Raises SlurmrestError for a key, or a place for one, that is refused.

    Args:
        wanted: :data:`ARGUMENTS`.
        check: whether nothing is to be changed.
    """
    path: str = wanted["path"]
    if load_record(rotation_record(path)):
        raise SlurmrestError(
            f"A rotation of {path} was interrupted on this host.", "Run playbooks/rotate_jwt_key.yml again first."
        )
    _refuse_unsafe(path, wanted["owner"], check=check)
    now = _present(path)
    content = _content(wanted, now)
    back = is_retired(path, content) if now != content else []
    if back:
        raise SlurmrestError(
            f"The key that would be placed is the one that a rotation without {', '.join(back)} has ended: that "
            "host is back with it. Nothing was changed.",
            f"On {', '.join(back)}: systemctl stop slurmctld; rm {path}. Once a backup is in charge, "
            "playbooks/deploy.yml gives that host the new key.",
        )
    replaced = now is not None and now != content
    asked = map(ServiceSpec.from_mapping, wanted["services"])
    services = [service for service in asked if service.state == "started" or replaced]
    if replaced and not wanted["allow_restart"]:
        _refuse_restart(path, services)
    owned = wanted["owner"], wanted["group"]
    directory = DirectorySpec(os.path.dirname(path), *owned, octal(wanted["directory_mode"]))
    file = FileSpec(path, content, "present", *owned, octal(wanted["mode"]), sensitive=True)
    transaction = {
        "name": KEY_NAMES + os.path.basename(path),
        "files": [file] if now != content else [],
        "directories": [] if os.path.isdir(directory.path) else [directory],
        "services": services,
    }
    return Placing(content, replaced, transaction)


def _content(wanted: Mapping[str, Any], now: bytes | None) -> bytes:
    """The key; none is made where slurmdbd.conf alone names the place."""
    if now is None and wanted["named_by"]:
        raise InputError(
            "jwt_key in AuthAltParameters",
            wanted["path"],
            "a path that slurm.conf of the primary controller names, or one where the key is already",
            f"{wanted['named_by']} alone names it, a file of SlurmUser's, and nothing is there",
            f"Take jwt_key out there, or make the key yourself: {ALLOWED}.",
        )
    return handed_kept_or_new(base64.b64decode(wanted["content"] or ""), now, wanted["size"])


def _present(path: str) -> bytes | None:
    try:
        return read(path, MAXIMUM_BYTES)
    except FileNotFoundError:
        return None


def _refuse_unsafe(path: str, owner: str, *, check: bool) -> None:
    """Raise SlurmrestError for a key, or a place for one, that others may read or change."""
    try:
        account = pwd.getpwnam(owner)
    except KeyError:
        if check:  # the packages that bring the account are installed by the real run
            return
        raise InputError("owner", owner, "an account of this host") from None
    reasons = refusals(inspect(path), {"name": owner, "uid": account.pw_uid, "gid": account.pw_gid})
    if reasons:
        raise SlurmrestError("The key is refused: " + "; ".join(reasons))


def _refuse_restart(path: str, services: list[ServiceSpec]) -> None:
    """Raise SlurmrestError when a unit runs that has the key loaded, since replacing it means a restart."""
    running = [service.name for service in services if state(run, service.name).get("ActiveState") == "active"]
    if running:
        raise SlurmrestError(
            f"{path} differs from the key of the primary controller, and {', '.join(running)} has it loaded. Nothing "
            "was changed.",
            "Set slurmrest_allow_controller_restart to true to replace the key and restart.",
        )
