"""Controllers that stand by are away while the one in charge restarts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from .peer import result_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible.plugins.action import ActionBase


@contextmanager
def nobody_standing_by(
    action: ActionBase, hosts: Sequence[str], task_vars: dict[str, Any], left: list[str]
) -> Iterator[None]:
    """Have slurmctld stopped on these hosts: a request that meets one of them waits for half of SlurmctldTimeout.

    Args:
        action: one whose task has the two commands, ``aside`` and ``back``.
        hosts: who stands by; one that cannot be stopped goes on, and requests wait longer.
        task_vars: the action's variables.
        left: gets a line for each of them that does not come back.
    """
    away = [host for host in hosts if not _failure(action, host, "aside", task_vars)]
    try:
        yield
    finally:
        for host in away:
            words = _failure(action, host, "back", task_vars)
            if words:
                left.append(
                    f"slurmctld on {host}, which was stopped while the one in charge restarted, does not start again "
                    f"({words}). journalctl -u slurmctld on {host}"
                )


def _failure(action: ActionBase, host: str, name: str, task_vars: dict[str, Any]) -> str:
    """Run one of the two commands of the task; return what went wrong, or an empty string."""
    try:
        result = result_on(action, host, "ansible.builtin.command", {"argv": action._task.args[name]}, task_vars)
    except AnsibleError as error:
        return str(error)
    if result.get("rc", 1) == 0:
        return ""
    return str(result.get("stderr") or result.get("msg") or f"status {result.get('rc')}").strip()
