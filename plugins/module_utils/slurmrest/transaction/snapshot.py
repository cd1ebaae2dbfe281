"""What is seen of the files that the roles write, while a host is looked at; :mod:`.snapshot_comparison` judges."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, Any

from ..host.file_state import read_directory, read_present
from ..host.our_files import STATE_DIR
from ..host.reading import UnsafePath, names_in
from ..redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIGURATIONS = ("slurm.conf", "slurmdbd.conf", "cgroup.conf")


def sight(facts: Mapping[str, Any], service: str, state_dir: str = STATE_DIR) -> dict[str, Any]:
    """How these files, the directory of slurm.conf, the daemons' units and the journals of transactions are.

    Args:
        facts: what :func:`..facts.host.look` found.
        service: the unit of slurmrestd, without its suffix.
        state_dir: where the journals are.

    Returns:
        ``files`` by path: None where there is none, else owner, group, mode and ``digest``. A file that may hold a
        secret has none, for a short secret can be guessed by it; what cannot be read safely is left out.
        ``directories`` by path: None, or owner, group and mode. ``units`` by name: properties of
        systemd. ``unfinished``: names of transactions that were killed.
    """
    directory = facts["config_dir"]
    files: dict[str, Any] = {}
    directories: dict[str, Any] = {}
    for path in (*(posixpath.join(directory, name) for name in CONFIGURATIONS), *facts["written"]):
        with contextlib.suppress(OSError, UnsafePath):
            files[path] = _file(path)
    with contextlib.suppress(OSError, UnsafePath):
        directories[directory] = read_directory(directory)
    journals = (os.path.splitext(name) for name in names_in(state_dir) if name.startswith("journal-"))
    unfinished = [name[len("journal-") :] for name, suffix in journals if suffix == ".json"]
    units = {service if name == "slurmrestd" else name: _unit(fields) for name, fields in facts["units"].items()}
    return {"files": files, "directories": directories, "units": units, "unfinished": unfinished}


def _unit(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ActiveState": fields["active"],
        "UnitFileState": fields["unit_file_state"],
        "NeedDaemonReload": "yes" if fields["needs_reload"] else "no",
    }


def _file(path: str) -> dict[str, Any] | None:
    now = read_present(path)
    if now is None:
        return None
    text = now.content.decode("utf-8", "replace")
    digest = hashlib.sha256(now.content).hexdigest() if redacted(text) == text else ""
    return {"owner": now.owner, "group": now.group, "mode": now.mode, "digest": digest}
