"""Under sudo, files belong to the account that called it: its next program, a pytest for instance, reads the tokens."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


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

    Only what is root's is given away, and never what a link leads to. A file that has a second name may be one of
    root's elsewhere, and stays. Directories above it that are in that account's home are given, too: they were made
    on the way.
    """
    account = caller()
    if account is None or not path.exists():
        return
    home = Path(account.pw_dir)
    for parent in path.parents:
        if home in parent.parents:
            _give(parent.name, account, at=os.open(parent.parent, os.O_PATH | os.O_DIRECTORY))
    _give(path.name, account, at=os.open(path.parent, os.O_PATH | os.O_DIRECTORY))
    if not within or path.is_symlink() or not path.is_dir():
        return
    for _, directories, files, descriptor in os.fwalk(path, follow_symlinks=False):
        for name in (*directories, *files):
            _give(name, account, at=os.dup(descriptor))


def _give(name: str, account: pwd.struct_passwd, *, at: int) -> None:
    """Change the owner of one entry of a directory, whose descriptor is closed."""
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
        if found.st_uid == 0 and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
            os.chown(name, account.pw_uid, account.pw_gid, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        pass  # a lock or a temporary file of another run, gone meanwhile
    finally:
        os.close(at)
