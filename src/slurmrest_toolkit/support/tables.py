"""Tables for people, on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE = 1000
"""Columns where there is no terminal: what reads the lines finds each row on one."""


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a header, without lines between them."""
    table = Table(*header, box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False).print(table)
