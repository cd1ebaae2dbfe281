"""The text of a gateway tried by nginx itself, with all that the site has, before it goes live."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from ..errors import SlurmrestError
from ..host import files, programs
from ..host.owners import gid_for, uid_for
from ..host.programs import Run
from .nginx import RUN, Nginx, main_text, with_candidate

MAIN = "slurmrest-gateway.trial"
CANDIDATE = "slurmrest-gateway.candidate"
"""Beside nginx.conf, since relative paths in it count from its directory. No pattern of a package reads them."""


LOG_MODE = 0o640
TRIAL = RUN + "-trial"
"""What stands for :data:`~.nginx.RUN` meanwhile: nginx makes there what it would make where the gateway runs."""


def have_logs(paths: Iterable[str], user: str, group: str) -> bool:
    """Have logs that not everybody can read, as nginx would make them; returns whether there was something to do.

    Their directory may be nginx' own: nothing there is followed, and what is root's is left as it is.

    Args:
        paths: of the logs.
        user: whose they become; root's are good, too.
        group: who may read them.

    Raises:
        UnsafePath: something else is in the place of one.
    """
    uid, gid = uid_for(user), gid_for(group)
    changed = False
    for path in paths:
        try:
            status = files.status(path)
        except FileNotFoundError:
            files.write(path, b"", uid, gid, LOG_MODE)
        else:
            if status.st_uid in (0, uid) and not status.st_mode & 0o007:
                continue
            files.take_over(path, uid, gid, LOG_MODE)
        changed = True
    return changed


def trial(nginx: Nginx, text: str, run: Run = programs.run) -> None:
    """Have nginx read its whole configuration with `text` in the place of our file.

    Raises:
        SlurmrestError: it refuses that, with its words. Nothing was changed.
    """
    directory = posixpath.dirname(nginx.conf)
    main, candidate = posixpath.join(directory, MAIN), posixpath.join(directory, CANDIDATE)
    whole = with_candidate(main_text(nginx.conf), nginx.conf, nginx.site, candidate)
    owner, group = os.geteuid(), os.getegid()
    try:
        files.make_directory(TRIAL, owner, group, 0o700)
        for path, content in ((candidate, text.replace(RUN + "/", TRIAL + "/")), (main, whole)):
            files.write(path, content.encode("utf-8", "surrogateescape"), owner, group, 0o600)
        done = run([nginx.program, "-t", "-q", "-c", main], limit=programs.LOOKING_SECONDS)
    finally:
        for path in (candidate, main):
            files.remove(path, missing_ok=True)
        for directory in (posixpath.join(TRIAL, "cache"), TRIAL):
            if os.path.isdir(directory):
                files.remove_directory(directory, sockets=True)
    if done.returncode:
        words = programs.words(done)
        for told, meant in ((candidate, nginx.site), (main, nginx.conf), (TRIAL, RUN)):
            words = words.replace(told, meant)
        raise SlurmrestError(f"nginx refuses the gateway's configuration: {words} Nothing was changed.")
