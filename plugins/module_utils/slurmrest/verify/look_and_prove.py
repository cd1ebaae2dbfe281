"""A verification on a host that nobody has looked at yet: its facts are read where it is asked, in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from ..facts.host import look
from ..slurm.commands import Slurm
from ..slurm.issuers import of_issuers_alone
from .host_request import told_of
from .proof import proof

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..slurm.version import Excerpt
    from ..slurmrestd.host_facts import LookFacts


class Known(TypedDict):
    """Of the release table what the host has to know: for its facts, and for answers."""

    facts: Excerpt
    table: Excerpt


def looked_and_proven(parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Look, make a token where this host is the controller, and ask.

    Args:
        parameters: those of the module slurmrestd_verify_unseen.
        check_mode: whether a service that does not run was to be started by this run, and is not asked.

    Returns:
        ``facts``, and what :func:`.proof.proof` returns; the facts alone where there is nothing to ask, or no token of
        scontrol is good.

    Raises:
        SlurmrestError: an instance that can be none, no listener, or no token.
    """
    known: Known = parameters["known"]
    instance = parameters["instance"] or ""
    facts = look({"instance": instance}, known["facts"])
    if check_mode and facts["units"]["slurmrestd"]["active"] != "active":
        return {"facts": facts}
    if parameters["lifespan"] and not scontrols(parameters["scontrol"], facts):
        return {"facts": facts}
    told = told_of(
        cast("LookFacts", facts),
        instance,
        parameters["urls"],
        parameters["accounting"],
        columns=known["facts"],
        table=known["table"],
    )
    words = ("token", f"username={parameters['user']}", f"lifespan={parameters['lifespan']}")
    mint = Slurm.of(facts).argv("scontrol", *words) if parameters["lifespan"] else None
    return {"facts": facts, **proof({**parameters, "told": told, "mint": mint})}


def scontrols(stated: bool | None, facts: Mapping[str, Any]) -> bool:
    """Whether tokens of scontrol are good, as is stated, or as this host's slurm.conf has it."""
    return not of_issuers_alone(facts["slurm_conf"]) if stated is None else stated
