"""A question asked as another account, which may stop the process that asks, and yet does not hold root up."""

from __future__ import annotations

import os
import pwd
import signal
import time
from typing import Callable

from .lock import POLL_SECONDS
from .programs import LOOKING_SECONDS

_YES, _NO, _UNKNOWN = range(3)  # exit statuses of the child


def holds_for(
    account: pwd.struct_passwd, question: Callable[[], bool], seconds: float = LOOKING_SECONDS
) -> bool | None:
    """The answer that an account gets, for whom access control lists count, too; None where nobody can tell.

    That is where it takes too long, or where root may not become that account, as in a sandbox. An OSError is a no.
    Without root there is nothing to switch to, and the question is asked as oneself.
    """
    child = os.fork()
    if child == 0:
        status = _UNKNOWN
        try:
            if os.geteuid() == 0:
                os.initgroups(account.pw_name, account.pw_gid)
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            status = _NO
            status = _YES if question() else _NO
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS / 50
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {_YES: True, _NO: False}.get(os.waitstatus_to_exitcode(status))
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
