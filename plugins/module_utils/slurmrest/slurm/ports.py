"""Ports as slurm.conf states them."""

from __future__ import annotations

import re

from ..errors import InputError

_RANGE = re.compile(r"(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?")


def port_range(text: str, variable: str = "SlurmctldPort") -> range:
    """The ports of a SlurmctldPort value such as ``6817`` or ``6820-6829``.

    Raises:
        InputError: no port and no range.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is not None:
        low, high = int(match["low"]), int(match["high"] or match["low"])
        if 0 < low <= high <= 65535:
            return range(low, high + 1)
    raise InputError(variable, text, "a port or a range of ports, such as 6817 or 6820-6829")


def ports_of(text: str) -> range:
    """The same, and none where it is something else: a range in a file of SlurmUser's never becomes more numbers."""
    try:
        return port_range(text)
    except InputError:
        return range(0)
