"""Time limits as Slurm reads them."""

from __future__ import annotations

from ..host.numbers import whole


def minutes(text: str) -> str:
    """A time limit in minutes, as Slurm reads it: MM, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS."""
    if text.upper() in ("UNLIMITED", "INFINITE", "NONE", "-1", "(NULL)"):
        return ""
    days, dash, rest = text.rpartition("-")
    values = [number for number in map(whole, rest.split(":")) if number is not None]
    if len(values) != rest.count(":") + 1 or (dash and whole(days) is None) or len(values) > 3:
        return text
    if dash:
        hours, minute, seconds = [*values, 0, 0][:3]
    else:
        hours, minute, seconds = {1: [0, *values, 0], 2: [0, *values], 3: values}[len(values)]
    total = ((int(days or 0) * 24 + hours) * 60 + minute) * 60 + seconds
    return str(-(-total // 60))
