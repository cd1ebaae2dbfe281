"""The columns that a client has to know, of every release: for who has the release table."""

from __future__ import annotations

from ..slurm.releases import excerpt
from .answer_columns import COLUMNS, Table

EXCERPT = excerpt(*COLUMNS)
"""As it travels to a host."""

TABLE = Table(EXCERPT)
