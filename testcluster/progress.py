"""What the user sees while waiting: phases with elapsed time, on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status


class Progress:
    """Phases of one run: a spinner on a terminal, plain lines elsewhere.

    ``timings`` holds the seconds of each finished phase, ``current`` the phase that runs or failed last.
    """

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.started = time.monotonic()
        self.timings: dict[str, float] = {}
        self.current = ""
        self._status: Status | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        """Print one line that stays."""
        self.console.print(f"[dim]{self.elapsed:6.1f} s[/dim]  {escape(text)}")

    def update(self, text: str) -> None:
        """Tell what the current phase is busy with; shown on a terminal only."""
        if self._status is not None:
            self._status.update(f"[bold]{self.current}[/bold]  {escape(text)}")

    @contextmanager
    def phase(self, name: str, text: str) -> Iterator[None]:
        """Measure a phase called ``name`` and say when it begins and ends; a failing one keeps ``current``."""
        self.current = name
        begun = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"[bold]{name}[/bold]  {escape(text)}") as self._status:
                try:
                    yield
                finally:
                    self._status = None
        else:
            self.say(f"{name}: {text}")
            yield
        self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - begun
        self.say(f"{name}: done in {self.timings[name]:.1f} s")
