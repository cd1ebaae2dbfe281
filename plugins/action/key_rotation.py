"""Lead the hosts through a rotation of the JWT key. Tokens pass through the memory of this process; keys do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.rotation.order import BAR_SECONDS, Conductor, RotationFailed, RotationOptions
from ..module_utils.slurmrest.slurm.releases import RELEASES
from ..module_utils.slurmrest.slurmrestd.listeners import parse
from ..module_utils.slurmrest.slurmrestd.unit_places import unit_names
from ..plugin_utils.action import Action, given
from ..plugin_utils.facts import looking
from ..plugin_utils.peer import result_on
from ..plugin_utils.restart_columns import RESTART_COLUMNS
from ..plugin_utils.standby import nobody_standing_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts

MODULE = "slurmrest.toolkit.key_rotation"
WATCH_MODULE = "slurmrest.toolkit.token_watch"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run C(look) on the task's own host, and lead from the primary controller otherwise."""
        if arguments.get("step") not in ("prepare", "rotate"):
            if arguments.get("step") == "look":
                arguments.update(self._known(self.here, arguments))
            return result_on(self, self.here, MODULE, arguments, self.variables)
        self._user = given(arguments, ["user"])
        self._rest_host = arguments.get("rest_host") or ""
        # The unit of an instance says where its slurm.conf is, which is not where the primary controller has it.
        self._asked = given(arguments, ["instance"]) or given(arguments, ["slurm_conf"])
        self._tokens: dict[str, str] = {}
        self._service: dict[str, Any] = {}
        self._primary = arguments.get("primary") or self.here
        if not self._rest_host:
            return {"failed": True, "msg": "The group slurmrestd is empty: without a REST host nothing can be proven."}
        without = arguments.get("without") or []
        left: list[str] = []
        conductor = Conductor(
            arguments["hosts"],
            self._primary,
            self._call,
            self._watch,
            Display().display,
            without=without,
            alone=lambda hosts: nobody_standing_by(self, hosts, self.variables, left),
        )
        return _with_what_is_left(self._led(conductor, arguments), left)

    def _led(self, conductor: Conductor, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            if arguments["step"] == "prepare":
                return self._prepare(conductor, arguments)
            if self._task.check_mode:
                return {"changed": True}
            return self._rotate(conductor)
        except RotationFailed as error:
            return {"failed": True, "changed": True, "msg": str(error)}
        except SlurmrestError as error:
            return {"failed": True, "msg": str(error)}

    def _prepare(self, conductor: Conductor, arguments: dict[str, Any]) -> dict[str, Any]:
        clusters = arguments.get("clusters") or []
        without = arguments.get("without") or []
        options = RotationOptions(bool(arguments.get("confirm")), bool(arguments.get("consent")), clusters, without)
        prepared = conductor.prepare(options, check=self._task.check_mode)
        return {"changed": prepared["repaired"] is not None, **prepared}

    def _rotate(self, conductor: Conductor) -> dict[str, Any]:
        done = conductor.rotate()
        result: dict[str, Any] = {"changed": True, "rotation": done}
        if done["changeover"] is None:
            result["warnings"] = ["The time during which requests failed could not be measured."]
            return result
        gaps = ", ".join(f"/{name} {seconds} s" for name, seconds in done["gap"].items())
        Display().display(
            f"From the last answer to the old key's token to the first to the new key's: {done['changeover']} s. "
            f"Longest time without an accepted token: {gaps} ({done['requests']} requests)."
        )
        if done["changeover"] > BAR_SECONDS:
            result["warnings"] = [f"The changeover took {done['changeover']} s, more than {BAR_SECONDS:.0f} s."]
        return result

    def _call(self, host: str, step: str, arguments: Any) -> dict[str, Any]:
        """Run a step of the rotation on a host, with what that host itself was looked at with."""
        look = self._task.args["hosts"][host]
        told = {
            **look["own"],
            **self._user,
            "components": look["components"],
            "ports": look["ports"],
            "whole": host == self._primary,
            **arguments,
            "step": step,
        }
        if "daemons" in arguments:
            told.update(daemons=look["own"]["daemons"], switch=arguments["daemons"])
        if step == "look":
            told.update(self._known(host, told))
        result = self._result(host, MODULE, told)
        found: dict[str, Any] = result.get("look", result)
        return found

    def _watch(self, step: str) -> dict[str, Any]:
        """Run a step of the proof on the REST host; C(sign) makes its tokens on the primary controller."""
        if step == "sign":
            self._tokens = self._call(self._primary, "sign", {})["tokens"]
            return {}
        self._service = self._service or self._seen()
        told = {**self._user, **self._service, **self._tokens, "step": step}
        result = self._result(self._rest_host, WATCH_MODULE, told)
        found: dict[str, Any] = result.get("measurement") or result.get("paths") or {}
        return found

    def _known(self, host: str, told: dict[str, Any]) -> dict[str, Any]:
        """What a host is told for its look besides: its facts as of now, and what decides about restarts."""
        return {"facts": self._facts(host, given(told, ["slurm_conf"])), **RESTART_COLUMNS}

    def _facts(self, host: str, where: dict[str, Any]) -> HostFacts:
        facts: HostFacts = _answer(host, lambda: looking(self, where, host))["ansible_facts"]["slurmrest"]
        return facts

    def _seen(self) -> dict[str, Any]:
        """What the REST host has of the service that is asked: where it listens, and whose it is."""
        facts = self._facts(self._rest_host, self._asked)
        listeners = facts["unit"]["listeners"]
        if not listeners:
            raise SlurmrestError(f"{self._rest_host}: the unit slurmrestd has no listener")
        return {
            "url": parse(listeners[0]["text"]).url,
            "unit": unit_names(self._asked.get("instance") or "")[0],
            "account": facts["unit"]["user"] or "",
            "accounting": bool(facts["slurm_conf"]["accounting"]),
            "lame": sorted({name for row in RELEASES for name in row.api_needs_accounting}),
        }

    def _result(self, host: str, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return _answer(host, lambda: result_on(self, host, module, arguments, self.variables))


def _answer(host: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a host answers. Raises SlurmrestError where it does not, or with its words where it fails."""
    try:
        result = ask()
    except AnsibleError as error:
        raise SlurmrestError(f"{host} cannot be reached: {error}") from error
    if result.get("failed"):
        raise SlurmrestError(f"{host}: {result.get('msg', 'failed without a message')}")
    return result


def _with_what_is_left(result: dict[str, Any], left: list[str]) -> dict[str, Any]:
    """A result that also says which controllers did not come back to stand by; it is a failure then."""
    if not left:
        return result
    words = result.get("msg") or "The new key is in force and proven."
    return {**result, "failed": True, "msg": "\n".join([words, *left])}
