"""Slurm's host lists, such as ``node[01-03,7],login1``, written out. Pure."""

from __future__ import annotations

import itertools
import math
import re

MOST_NAMES = 1 << 20
"""That lists are written out to. SlurmUser could name any number of hosts, and root would hold them all."""

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def expand(text: str, most: int = MOST_NAMES) -> list[str]:
    """The names of a host list; an item that is not understood, or has more than ``most`` leaves, stands for itself."""
    names: list[str] = []
    for item in re.findall(r"(?:\[[^\[\]]*\]|[^,\[\]])+", text):
        parts: list[list[str]] = []
        for fixed, bracket in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", item.strip()):
            parts.append([fixed] if fixed else _numbers(bracket, most))
        if 0 < math.prod(map(len, parts)) <= most - len(names):
            names += ["".join(words) for words in itertools.product(*parts)]
        else:
            names.append(item.strip())
    return [name for name in names if name and name != "(null)"]


def _numbers(text: str, most: int) -> list[str]:
    """What stands in brackets, one by one; nothing where that is more than ``most``."""
    found: list[str] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        if not (dash and _NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)):
            found.append(item)
        elif int(last) - int(first) < most - len(found):
            found += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        else:
            return []
    return found
