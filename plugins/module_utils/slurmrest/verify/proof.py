"""What is proven on the host of slurmrestd itself: answers, pages, and what confines it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from ..auth.starting import token_of
from ..host import programs
from ..slurm.starting import awaited, uptime
from ..systemd import confinement
from . import checks, keyless_checks, on_host, pages
from .record import recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENTS: dict[str, dict[str, Any]] = {
    **on_host.ARGUMENTS,
    "mint": {"type": "list", "elements": "str"},
    "tokenless": {"type": "str", "no_log": False},
}
"""Parameters; plugins/doc_fragments/verification.py and proof.py there say what each is."""

_PATIENCE = 60.0
"""Seconds that scontrol gets for a token."""

_NO_TOKEN = "none"  # noqa: S105 - stands where a token would, and goes nowhere


def proof(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Ask and look; SlurmrestError where nothing was asked, or no token was made.

    Args:
        parameters: :data:`ARGUMENTS`.
    """
    wanted = dict(parameters)  # a copy: what is in the parameters is shown with the result
    tokenless = wanted["tokenless"]
    if tokenless:
        wanted.update(token=_NO_TOKEN, job_user=None)
    elif wanted["mint"]:
        wanted["token"] = token_of(partial(programs.run, wanted["mint"], limit=_PATIENCE))
    if wanted["told"]["accounting"] and not tokenless:
        awaited(lambda: not on_host.unreached(wanted["told"]["slurmdbd"]), uptime)
    report = on_host.asked(wanted, checks.LISTENERS if tokenless else keyless_checks.CHECKS)
    seen = confinement.look(wanted["told"]["unit"])
    served = pages.look(wanted["told"]["daemons"])
    return {
        "record": recorded(report),
        "pages": [asdict(page) for page in served],
        "confinement": asdict(seen) if seen else None,
    }
