"""What the user sees while waiting: phases with elapsed time, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.status import Status


class Progress:
    """Phases of one run, one after the other: a spinner on a terminal, plain lines elsewhere.

    ``timings`` holds the seconds of each finished phase, ``current`` the phase that runs or failed.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True, quiet=quiet)
        self.timings: dict[str, float] = {}
        self.current = ""
        self._started = self._begun = time.monotonic()
        self._text = ""
        self._status: Status | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line that stays, after the seconds since the run began."""
        self.console.print(f"[dim]{self.elapsed:6.1f} s[/dim]  {escape(text)}")

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines of somebody else's, indented."""
        for line in lines:
            self.console.print(f"          [dim]{escape(line)}[/dim]")

    def phase(self, name: str, text: str) -> None:
        """Begin a phase, and end the one before it."""
        self.finish()
        self.current, self._text, self._begun = name, text, time.monotonic()
        if self.console.is_terminal and not self.console.quiet:
            self._status = self.console.status("")
            self._status.start()
            self.update(text)
        else:
            self.say(f"{name}: {text}")

    def update(self, text: str) -> None:
        """Tell what the current phase is busy with; shown on a terminal only."""
        if self._status is not None:
            self._status.update(f"[bold]{self.current}[/bold]  {escape(text)}")

    def finish(self) -> None:
        """End the current phase and say how long it took."""
        if self.current:
            seconds = time.monotonic() - self._begun
            self.timings[self.current] = round(self.timings.get(self.current, 0.0) + seconds, 2)
            self.stop()
            text = self._text if self.console.is_terminal else "done"
            self.say(f"{self.current:<8} {seconds:6.1f} s  {text}")
            self.current = ""

    def stop(self) -> None:
        """Take the spinner away, leaving ``current`` as it is."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def fail(self, text: str) -> None:
        """Say why the run ends, and in which phase."""
        self.stop()
        self.say(f"{self.current} failed: {text}" if self.current else text)
