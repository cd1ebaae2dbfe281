"""Rules for secret keys, above all the HS256 key of auth/jwt. Owner, mode and size are looked at, never the content.

Whoever has the JWT key can make tokens for any user, root included, and older releases accept one that everyone may
read. The daemons read it as SlurmUser. (Source: ``src/plugins/auth/jwt/auth_jwt.c``; key files of every kind given to
daemons.)
"""

from __future__ import annotations

import posixpath
import pwd
import secrets
import stat
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..host.access import may
from .key_files import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MINIMUM_BYTES = 32
"""HMAC-SHA256 wants a key as long as its result (RFC 7518, 3.2); Slurm itself would take a single byte."""

MAXIMUM_BYTES = 65536
ALLOWED = "at least 32 random bytes, SlurmUser 0400 or 0600 (or root with SlurmUser's group, 0440 or 0640)"


def generate(size: int = MINIMUM_BYTES) -> bytes:
    """A new key of ``size`` random bytes.

    Raises:
        InputError: a size under :data:`MINIMUM_BYTES` or over :data:`MAXIMUM_BYTES`.
    """
    if not MINIMUM_BYTES <= size <= MAXIMUM_BYTES:
        raise InputError("size of the JWT key", size, f"{MINIMUM_BYTES} to {MAXIMUM_BYTES} bytes")
    return secrets.token_bytes(size)


def handed_kept_or_new(handed: bytes | None, there: bytes | None, size: int = MINIMUM_BYTES) -> bytes:
    """The key that is to be in place: the one that was handed over, else the one that is there, else a new one.

    Raises:
        InputError: too short a key was handed over, or is there; as :func:`generate` does.
    """
    key = handed or there or generate(size)
    if len(key) < MINIMUM_BYTES:
        raise InputError("supplied", f"a key of {len(key)} bytes", f"{MINIMUM_BYTES} bytes or more")
    return key


def key_file_problems(path: str, reader: str) -> list[str]:
    """Look at a key file and say why it is unsafe or of no use to ``reader``, the account that has to read it.

    Raises:
        OSError: a directory above it may not be entered.
    """
    try:
        account = pwd.getpwnam(reader)
    except KeyError:
        return [f"there is no account {reader} that could read {path}"]
    return refusals(inspect(path), {"name": reader, "uid": account.pw_uid, "gid": account.pw_gid})


def refusals(facts: Mapping[str, Any], reader: Mapping[str, Any]) -> list[str]:
    """Every reason why this key is unsafe or cannot be used; a key that does not exist is judged by its directories.

    Args:
        facts: what :func:`inspect` found.
        reader: ``name``, ``uid`` and ``gid`` of the account that reads the key: SlurmUser for that of auth/jwt.
    """
    reasons = [reason for directory in facts["directories"] for reason in _directory_refusals(directory, facts, reader)]
    if facts["exists"]:
        reasons += _file_refusals(facts, reader)
    return reasons


def _real_mode(facts: Mapping[str, Any]) -> int:
    """The permission bits with those of the owning group: where there is a list, the mode has its mask there."""
    mode = int(facts["mode"])
    own = [entry["rights"] for entry in facts.get("acl", ()) if entry["id"] is None]
    return mode & ~0o070 | own[0] << 3 if own else mode


def _strangers(facts: Mapping[str, Any], reader: Mapping[str, Any], want: int) -> list[str]:
    """Whom an access control list gives one of the rights in ``want``, besides root and the reader."""
    known = {("user", 0), ("user", reader["uid"]), ("group", 0), ("group", reader["gid"])}
    return [
        f"{entry['kind']} {entry['id']}"
        for entry in facts.get("acl", ())
        if entry["id"] is not None and entry["rights"] & want and (entry["kind"], entry["id"]) not in known
    ]


def _file_refusals(facts: Mapping[str, Any], reader: Mapping[str, Any]) -> list[str]:
    path, mode, name = facts["real_path"], _real_mode(facts), reader["name"]
    if not facts["regular"]:
        return [f"{path} is no regular file"]
    reasons = []
    if facts["size"] < MINIMUM_BYTES:
        reasons.append(f"{path} has {facts['size']} bytes, and {MINIMUM_BYTES} are needed")
    if facts["uid"] not in (0, reader["uid"]):
        reasons.append(f"{path} belongs to uid {facts['uid']}, neither to root nor to {name}")
    if mode & 0o007:
        reasons.append(f"{path} has mode {mode:04o}: everyone on the host may use it")
    if mode & 0o030:
        reasons.append(f"{path} has mode {mode:04o}: its group may do more than read it")
    if mode & 0o040 and facts["gid"] not in (0, reader["gid"]):
        reasons.append(f"{path} has mode {mode:04o}: group {facts['gid']} may read it, which is not that of {name}")
    strangers = _strangers(facts, reader, 7)
    if strangers:
        reasons.append(
            f"{path} has an access control list that gives {', '.join(strangers)} rights (setfacl -b {path} removes it)"
        )
    if not may(facts, reader, 4):
        reasons.append(f"{path} cannot be read by {name}, as whom the daemons read it")
    return reasons


def _directory_refusals(
    directory: Mapping[str, Any], facts: Mapping[str, Any], reader: Mapping[str, Any]
) -> Sequence[str]:
    path, mode = directory["path"], _real_mode(directory)
    # In a sticky directory others cannot rename what is not theirs; beside the key even a new file is too much.
    open_to_write = path == posixpath.dirname(facts["real_path"]) or not mode & stat.S_ISVTX
    reasons = []
    if mode & 0o002 and open_to_write:
        reasons.append(f"{path} has mode {mode:04o}: everyone could replace the key")
    if mode & 0o020 and open_to_write and directory["gid"] not in (0, reader["gid"]):
        reasons.append(f"{path} has mode {mode:04o}: group {directory['gid']} could replace the key")
    strangers = _strangers(directory, reader, 2) if open_to_write else []
    if strangers:
        reasons.append(
            f"{path} has an access control list by which {', '.join(strangers)} could replace the key "
            f"(setfacl -b {path} removes it)"
        )
    if directory["uid"] not in (0, reader["uid"]):
        reasons.append(f"{path} belongs to uid {directory['uid']}, who could replace the key")
    if not may(directory, reader, 1):
        reasons.append(f"{path} cannot be entered by {reader['name']}")
    return reasons
