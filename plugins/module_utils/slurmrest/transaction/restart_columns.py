"""What decides, release by release, whether a daemon comes back from a restart: columns of the release table.

They are handed over, so that no host needs the table itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import InputError
from ..slurm.version import Excerpt, columns_of


@dataclass(frozen=True)
class RestartColumns:
    """One series, or a part of it; the columns are explained in :class:`..slurm.releases.Release`."""

    series: str
    include_beside_includer: bool
    cluster_id_checked: bool
    registers_own_cluster_id: bool
    nodes_need_address: bool
    part_state_kept: bool
    removed_plugins: tuple[str, ...]


COLUMNS = tuple(field.name for field in fields(RestartColumns))

ARGUMENT: dict[str, dict[str, Any]] = {"columns": {"type": "list", "elements": "list", "default": []}}
"""How a module is given them."""


def row_of(excerpt: Excerpt, version: str) -> RestartColumns | None:
    """The row of a version; None for none, and for one that the table does not reach back to.

    Args:
        excerpt: :data:`COLUMNS` of the release table, oldest first (:func:`..slurm.releases.excerpt`).
        version: as a program prints it; empty where it is not known.
    """
    try:
        columns: Mapping[str, Any] | None = columns_of(excerpt, version or None)
    except InputError:
        return None
    return RestartColumns(**{**columns, "removed_plugins": tuple(columns["removed_plugins"])}) if columns else None
