"""How slurmrestd answers, release by release: those columns of the release table that a client has to know.

They are handed over, so that no host needs the table itself (:mod:`.whole_table` has them all).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..slurm.unknown_release import unlisted
from ..slurm.version import Excerpt, Version


@dataclass(frozen=True)
class Answering:
    """One series, or a part of it; the columns are explained in :class:`..slurm.releases.Release`."""

    series: str
    api_versions: tuple[str, ...]
    deprecated_api: tuple[str, ...]
    api_needs_accounting: tuple[str, ...]
    unknown_user_submits: bool | None
    no_token_status: int
    bad_token_status: int
    auth_alt_missing_status: int
    ctld_down_status: int
    plain_user_dbd_diag_status: int
    unknown_url_status: int
    bad_url_char_status: int

    @property
    def newest_api(self) -> str:
        """The newest API version, such as ``v0.0.42``."""
        return self.api_versions[-1]


COLUMNS = tuple(field.name for field in fields(Answering))


class Table:
    """The rows of all releases.

    Args:
        excerpt: :data:`COLUMNS` of the release table, oldest first (:func:`..slurm.releases.excerpt`).
    """

    def __init__(self, excerpt: Excerpt) -> None:
        self._rows = [(Version.parse(since), _row(columns)) for since, columns in excerpt]

    def at(self, version: str) -> tuple[Answering, str | None]:
        """The row of a version, and what is to be said where that has none; the oldest row for what is older still."""
        wanted = Version.parse(version)
        below = [row for since, row in self._rows if since <= wanted]
        row = (below or [self._rows[0][1]])[-1]
        first, last = self._rows[0][1].series, self._rows[-1][1].series
        return row, None if row.series == wanted.series else unlisted(wanted, first, last, row.series)

    def serving(self, served: Sequence[str]) -> Answering:
        """The newest row that serves these API versions, else the newest: until the daemon has named its version."""
        rows = [row for _since, row in self._rows]
        return ([row for row in rows if served and row.api_versions == tuple(served)] or rows)[-1]


def _row(columns: Mapping[str, Any]) -> Answering:
    cells: dict[str, Any] = {name: tuple(cell) if isinstance(cell, list) else cell for name, cell in columns.items()}
    return Answering(**cells)
