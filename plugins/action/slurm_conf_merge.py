"""Look what configurations lack; change all hosts as one, slurmdbd first and the primary controller last, or none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..plugin_utils.action import Action
from ..plugin_utils.peer import run_on
from ..plugin_utils.restart_columns import RESTART_COLUMNS
from ..plugin_utils.standby import nobody_standing_by

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

LOOK = "slurmrest.toolkit.slurm_conf_merge"
CHANGE = "slurmrest.toolkit.slurm_conf_merge_change"
OWN = ("plans", "leader", "aside", "back")
"""Parameters that are read here."""
ORDER = ("slurmdbd", "slurmctld", "copy")


class ActionModule(Action):
    """Without ``plans`` a look at the task's host, and what it found to be done; with them, each step on each host."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the module here, or the steps of the plans in their order."""
        plans = arguments.get("plans")
        if plans is None:
            others = {name: value for name, value in arguments.items() if name not in OWN}
            found = self.module(LOOK, others)
            return found if found.pop("settled", True) else self.module(CHANGE, {**others, **RESTART_COLUMNS})
        steps = in_order(plans)
        result: dict[str, Any] = {
            "changed": bool(steps),
            "diff": [self._named(host, entry) for host, plan in plans.items() for entry in plan["diff"]],
            "hosts": list(dict.fromkeys(host for host, _part in steps)),
            "restarted": [],
            "recovered": [],
        }
        if not self._task.check_mode:
            self._apply(steps, plans, result, arguments.get("leader", ""))
        return result

    @staticmethod
    def _named(host: str, entry: dict[str, str]) -> dict[str, str]:
        return {**entry, **{side: f"{host}:{entry[side]}" for side in ("before_header", "after_header")}}

    def _apply(
        self,
        steps: list[tuple[str, dict[str, Any]]],
        plans: dict[str, Any],
        result: dict[str, Any],
        leader: str = "",
    ) -> None:
        def call(host: str, part: dict[str, Any], **more: Any) -> dict[str, Any]:
            parts = [{"kind": part["kind"], "path": part["path"]}]
            told = {**plans[host]["request"], **RESTART_COLUMNS, "parts": parts, **more}
            return run_on(self, host, CHANGE, told, self.variables)

        def alone(host: str, part: dict[str, Any]) -> AbstractContextManager[None]:
            return nobody_standing_by(self, standing_by(plans, leader, host, part), self.variables, left)

        done: list[tuple[str, dict[str, Any]]] = []
        left: list[str] = []
        for host, part in steps:
            done.append((host, part))
            try:
                with alone(host, part):
                    outcome = call(
                        host,
                        part,
                        digests=part["digests"],
                        force=part["running"],
                        hold=len(steps) > 1,
                        wait=bool(part["obstacles"]),
                    )
            except AnsibleError as error:
                raise AnsibleError("\n".join([self._undone(str(error), done, call, alone), *left])) from None
            result["restarted"] += [f"{unit} on {host}" for unit in outcome["restarted"]]
            result["recovered"] += [f"{host}:{path}" for path in outcome["recovered"]]
        if len(steps) > 1:
            for host, part in done:
                call(host, part, step="commit")
        if left:
            result.update(failed=True, msg="\n".join(["The files are changed and in force.", *left]))

    @staticmethod
    def _undone(words: str, steps: list[tuple[str, dict[str, Any]]], call: Any, alone: Any) -> str:
        """Take back what the hosts before the one that failed have done; returns what is to be said.

        A daemon that did not run before is not started; of the one that failed nothing is left to restart.
        """
        back, left = [], []
        # Whoever wrote a file that others share goes first: the others' daemons then start on the former one.
        before = steps[:-1]
        before.reverse()
        before.sort(key=lambda step: bool(step[1]["obstacles"]))
        for host, part in [*before, steps[-1]]:
            try:
                with contextlib.nullcontext() if part is steps[-1][1] else alone(host, part):
                    call(host, part, step="undo", force=part["running"])
                back.append(host)
            except AnsibleError as error:
                left.append(f"{host}: {error}")
        others = [host for host, _part in steps[:-1] if host in back]
        if others:
            words += f"\nThe previous files are back on {', '.join(dict.fromkeys(others))} as well."
        return words + "".join(f"\nNot taken back: {line}" for line in left)


def standing_by(plans: dict[str, Any], leader: str, host: str, part: dict[str, Any]) -> list[str]:
    """Return who stands by while this step restarts the slurmctld that leads; nobody while another one does."""
    if host != leader or part["kind"] != "slurmctld" or not part["running"]:
        return []
    return [
        other
        for other, plan in plans.items()
        for own in plan["parts"]
        if other != host and own["kind"] == "slurmctld" and own["running"]
    ]


def in_order(plans: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what has to change as (host, part): slurmdbd, then controllers, then copies, hosts in the order given.

    Of each, hosts that cannot write their file come after those that can: a shared file may have been written for them.
    """
    return [
        (host, part)
        for kind in ORDER
        for shared in (False, True)
        for host, plan in plans.items()
        for part in plan["parts"]
        if part["kind"] == kind and part["changed"] and bool(part["obstacles"]) == shared
    ]
