"""From evidence of all hosts to causes: ``diagnose`` is pure, ``rules_*`` hold one small function for each cause."""

from __future__ import annotations

from .diagnosis import SCHEMA, Finding, Report, catalogue, diagnose
from .model import Cluster

__all__ = ["SCHEMA", "Cluster", "Finding", "Report", "catalogue", "diagnose"]
