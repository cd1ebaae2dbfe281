"""A report on its way from the host that asked to the controller that shows it (:mod:`.judgement`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .report import Report


def recorded(report: Report) -> dict[str, Any]:
    """A report as JSON-able data, all that a page or a table says of it; what requests sent is not kept."""
    record = {**vars(report), "checks": [{**vars(check), "exchanges": []} for check in report.checks]}
    for kept, check in zip(record["checks"], report.checks):
        kept["exchanges"] = [
            {**asdict(exchange), "target": exchange.target.url, "body": None} for exchange in check.exchanges
        ]
    return record
