"""How a command that works on a cluster tells of itself, and ends."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from slurmrest.errors import InputError, SlurmrestError

from slurmrest_toolkit.command.codes import CANNOT_RUN, FAILED, INTERRUPTED, ended
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import hand_over_state
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
            return ended(options, INTERRUPTED, progress.current, "interrupted")
        except (CannotRunError, InputError) as error:
            progress.stop()
            progress.say(str(error))
            return ended(options, CANNOT_RUN, "", error.message, error.remedy)
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            phase = progress.current
            progress.fail(str(error))
            return ended(options, FAILED, phase, str(error))
        except SlurmrestError as error:
            phase = progress.current
            progress.fail(str(error))
            return ended(options, FAILED, phase, error.message, error.remedy)
        finally:
            hand_over_state()

    return reported
