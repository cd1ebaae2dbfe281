"""The evidence of a host, on its way from one task to another: as text, since Ansible copies what is registered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def packed(evidence: Mapping[str, Any]) -> str:
    """The evidence as it is registered. Of a mapping Ansible would copy each part for each template that it renders."""
    return json.dumps(evidence)


def evidence_in(registered: Mapping[str, Any] | None) -> Any:
    """The evidence in what slurm_gather has registered; None where there is none."""
    text = (registered or {}).get("evidence")
    return json.loads(text) if text else None
