"""Under sudo, files belong to the account that called it: its next program, a pytest for instance, reads the tokens."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from pathlib import Path

from slurmrest.host import places
from slurmrest.host.reading import UnsafePath


def caller() -> pwd.struct_passwd | None:
    """Return the account that called sudo; None where root is not somebody else's, or that account is not known."""
    uid = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not uid.isascii() or not uid.isdigit() or int(uid) == 0:
        return None
    try:
        return pwd.getpwuid(int(uid))
    except KeyError:
        return None


def hand_over(path: Path, *, within: bool = True) -> None:
    """Give a file, or a directory and what is ``within`` it, to the account that called sudo, where there is one.

    Only what is root's is given away, and nothing by way of a link but one that root made: the caller could have it
    lead to something of root's. A file that has a second name may be one of root's elsewhere, and stays. Directories
    above it that are in that account's home are given, too: they were made on the way.
    """
    account = caller()
    if account is None or not path.exists():
        return
    home = Path(account.pw_dir)
    with contextlib.suppress(UnsafePath, FileNotFoundError):
        for above in [parent for parent in path.parents if home in parent.parents]:
            with places.parent(str(above), roots=True) as (place, name):
                _give(name, account, at=place.descriptor)
        with places.parent(str(path), roots=True) as (place, name):
            _give(name, account, at=place.descriptor)
            found = os.stat(name, dir_fd=place.descriptor, follow_symlinks=False)
            if not within or not stat.S_ISDIR(found.st_mode):
                return
            for _, directories, files, descriptor in os.fwalk(name, dir_fd=place.descriptor, follow_symlinks=False):
                for entry in (*directories, *files):
                    _give(entry, account, at=descriptor)


def _give(name: str, account: pwd.struct_passwd, *, at: int) -> None:
    """Change the owner of one entry of an open directory."""
    with contextlib.suppress(FileNotFoundError):  # a lock or a temporary file of another run, gone meanwhile
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
        if found.st_uid == 0 and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
            os.chown(name, account.pw_uid, account.pw_gid, dir_fd=at, follow_symlinks=False)
