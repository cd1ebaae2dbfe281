"""Tokens from whichever controller answers; they stay in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ..module_utils.slurmrest.slurm.commands import stated
from .peer import result_on, slurm_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible.plugins.action import ActionBase

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts

TOKEN_MODULE = "slurmrest.toolkit.slurm_token"  # noqa: S105 - the name of a module

STATED = ("slurmctld_hosts", "slurmctld_addresses", "slurmctld_port", "slurmctld_timeout", "state_save_location")
"""What of slurm.conf tells who is in charge."""


class NoTokens(AnsibleError):
    """No controller makes tokens now. ``standing`` says who is in charge, where that is the reason.

    ``unreached`` is whether none of them could be asked.
    """

    def __init__(self, words: str, standing: Mapping[str, Any] | None = None, *, unreached: bool = False) -> None:
        super().__init__(words)
        self.standing, self.unreached = standing, unreached


def command(facts: HostFacts, user: str, lifespan: int) -> list[str]:
    """What makes a token on the host whose facts these are, where that is a controller."""
    conf = facts["slurm_conf"]
    path = conf["path"] if conf["exists"] or facts["slurmdbd_conf"]["exists"] else ""
    words = ("token", f"username={user}", f"lifespan={lifespan}")
    return list(stated(path, facts["prefix"] or "", "scontrol", *words))


def minted(
    action: ActionBase,
    controllers: Sequence[str],
    wanted: Mapping[str, Any],
    conf: Mapping[str, Any] | None,
    task_vars: dict[str, Any],
) -> dict[str, str]:
    """Return tokens by user, of the first controller that makes them.

    Args:
        action: the action that needs them.
        controllers: inventory names, the primary first.
        wanted: users and lifespan.
        conf: facts of a slurm.conf of this cluster, where somebody has looked at one.
        task_vars: the action's variables.

    Raises:
        NoTokens: none of them does.
    """
    several = {name: conf[name] for name in STATED if name in conf} if conf and len(controllers) > 1 else None
    words, reached = [], False
    for host in controllers:
        facts = (task_vars["hostvars"].get(host) or {}).get("ansible_facts", {}).get("slurmrest")
        arguments = {**wanted, **slurm_of(facts), "controllers": several}
        try:
            result = result_on(action, host, TOKEN_MODULE, arguments, task_vars)
        except AnsibleConnectionFailure as error:
            words.append(f"{host} cannot be reached: {' '.join(str(error).split())}")
            continue
        if not result.get("failed"):
            tokens: dict[str, str] = result["tokens"]
            return tokens
        reached = True
        words.append(f"{host}: {result.get('msg', 'failed without a message')}")
        if result.get("standing"):
            raise NoTokens(str(result["msg"]), result["standing"])
    raise NoTokens("; ".join(words), unreached=not reached)
