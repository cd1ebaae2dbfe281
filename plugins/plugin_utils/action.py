"""What every action plugin of this collection begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Action(ActionBase):
    """An action plugin; what it is for is its :meth:`act`.

    Attributes:
        variables: those of the task's host, with ``hostvars`` for all others.
    """

    _supports_check_mode = True
    variables: dict[str, Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Act, as Ansible calls it."""
        self.variables = task_vars or {}
        super().run(tmp, self.variables)
        return self.act(dict(self._task.args))

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the task, which may be a failure. ``arguments`` are the task's, a copy."""
        raise NotImplementedError

    @property
    def here(self) -> str:
        """The name of the task's host in the inventory."""
        return str(self.variables["inventory_hostname"])

    def validated(self, arguments: dict[str, Any], described: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as they are described. Raises AnsibleError with the names of those that are not."""
        self._task.args = arguments  # what it validates
        validate: Any = self.validate_argument_spec  # which has no types
        valid: dict[str, Any] = validate(argument_spec=described)[1]
        return valid

    def module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Run a module on the task's host and return its result, which may be a failure."""
        result: dict[str, Any] = self._execute_module(
            module_name=name, module_args=dict(arguments), task_vars=self.variables
        )
        return result


def given(arguments: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of some arguments that a task was given; one that is none or an empty text counts as not given."""
    return {name: arguments[name] for name in names if arguments.get(name) not in (None, "")}
