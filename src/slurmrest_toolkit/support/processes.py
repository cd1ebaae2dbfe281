"""Long-running programs that are ended properly when this one is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_SECONDS = 10.0
"""How long a program may clean up after itself before it is killed."""


@contextmanager
def started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a session of its own, out of the terminal's Ctrl-C; end it when the block is left early."""
    process: subprocess.Popen[str] = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, start_new_session=True, text=True, errors="replace", **options
    )
    try:
        yield process
    except BaseException:
        stop(process)
        raise


def stop(process: subprocess.Popen[str]) -> None:
    """End a program and everything in its session: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return


def run(
    argv: Sequence[str], *, environment: Mapping[str, str] | None = None, let_finish: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its exit code and its output, errors included.

    Args:
        argv: the command line.
        environment: variables added to ours.
        let_finish: when interrupted, wait for it instead of ending it (a package manager at work).
    """
    with started(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            if let_finish:
                process.communicate()
            raise
    return subprocess.CompletedProcess(list(argv), process.returncode, output)
