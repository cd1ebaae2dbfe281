"""What may stand in units, drop-ins and environment files.

Each judge returns why a value would say something else there, or None. Sources: systemd.syntax(7), systemd.exec(5) and
the parsers they describe. Paths that the roles write into units are :data:`..slurm.values.PATH`.
"""

from __future__ import annotations

import re

from ..slurm.values import no_line


def no_directive(value: object) -> str | None:
    """Why a value cannot stand behind ``Name=`` in a unit. ``%`` is the site's: ``50%`` and ``%t`` are good."""
    if isinstance(value, bool):
        return "systemd would read a word of Python"
    if not isinstance(value, (str, int, float)):
        return "it is no text"
    text = str(value)
    if text.endswith("\\"):
        return "it ends with a backslash, and the next line would be part of it"
    return no_line(text)


def no_environment_value(value: object) -> str | None:
    """Why a value cannot be that of a variable: systemd drops one with a control character without a word."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return "it is neither text nor a number"
    return no_line(str(value))


def quoted(value: object) -> str:
    """A value in double quotes, as in an environment file, where :func:`no_environment_value` has no reason."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", str(value)) + '"'
