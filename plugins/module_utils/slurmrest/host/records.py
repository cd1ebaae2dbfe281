"""What :func:`.files.save_record` wrote."""

from __future__ import annotations

import json
from typing import Any

from .places import read


def load_record(path: str) -> dict[str, Any] | None:
    """Read what :func:`save_record` wrote; None where there is nothing."""
    try:
        content = read(path)
    except FileNotFoundError:
        return None
    record: dict[str, Any] = json.loads(content)
    return record
