"""How a command that works on a cluster tells of itself, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest.errors import InputError, SlurmrestError

from slurmrest_toolkit.command.codes import CANNOT_RUN, FAILED, INTERRUPTED
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def reporting(run: Callable[[argparse.Namespace, Progress], int]) -> Callable[[argparse.Namespace], int]:
    """Give a command its progress, and turn what it raises into words on standard error and an exit code."""

    def reported(options: argparse.Namespace) -> int:
        progress = Progress()
        try:
            return run(options, progress)
        except KeyboardInterrupt:
            progress.fail("interrupted")
            return INTERRUPTED
        except (CannotRunError, InputError) as error:
            progress.stop()
            progress.say(str(error))
            return CANNOT_RUN
        except SlurmrestError as error:
            progress.fail(str(error))
            return FAILED

    return reported
