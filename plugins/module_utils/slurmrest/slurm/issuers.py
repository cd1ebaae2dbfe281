"""Who makes the tokens of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of_issuers_alone(conf: Mapping[str, Any]) -> bool:
    """Whether by the facts of a slurm.conf there is no key to make tokens with, and there are issuers who do."""
    return bool(conf["jwks"]) and not conf["jwt_key"]
