"""Versions of Slurm as they are written, and their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

Excerpt = Sequence[tuple[str, Mapping[str, Any]]]
"""From each version on, oldest first, what some columns hold (:func:`.releases.excerpt`)."""

_VERSION = re.compile(
    r"(?P<major>\d{2})\.(?P<minor>\d{2})(?:\.(?P<patch>\d{1,3}))?(?:(?:[-+~]|rc|pre)[\w.+~-]*)?", re.ASCII
)


@dataclass(frozen=True, order=True)
class Version:
    """A Slurm version, ordered by year, month and patch level; suffixes of packages and candidates do not count."""

    major: int
    minor: int
    patch: int = 0

    @property
    def series(self) -> str:
        """The two leading parts as Slurm writes them, such as ``24.05``."""
        return f"{self.major:02d}.{self.minor:02d}"

    def __str__(self) -> str:
        return f"{self.series}.{self.patch}"

    @classmethod
    def parse(cls, text: str, variable: str = "slurm version") -> Version:
        """Read a version from ``22.05.8``, ``21.08.8-2``, ``22.05.8-4+deb12u3`` or the output of ``slurmrestd -V``.

        The last field counts: Debian prints ``slurm-wlm 22.05.8``, upstream ``slurm 23.11.11``. A bare series such as
        ``24.05`` means its first release.

        Raises:
            InputError: the last field is no version.
        """
        words = str(text).split()
        match = _VERSION.fullmatch(words[-1]) if words else None
        if match is None:
            raise InputError(variable, text, "a version such as 24.11.5, or what 'slurmrestd -V' prints")
        return cls(int(match["major"]), int(match["minor"]), int(match["patch"] or 0))


def columns_of(excerpt: Excerpt, version: str | None) -> Mapping[str, Any] | None:
    """What an excerpt says of a version; None where that is not known, or older than the table."""
    if version is None:
        return None
    wanted = Version.parse(version)
    return next((columns for since, columns in reversed(excerpt) if Version.parse(since) <= wanted), None)
