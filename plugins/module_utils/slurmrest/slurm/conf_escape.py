"""How Slurm's parser of configuration files is told a text."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """A text as the parser gives it back: neither a comment nor an escape begins in it."""
    return re.sub(r"([\\#])", r"\\\1", text)
