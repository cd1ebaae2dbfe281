"""How every Ansible module of this collection ends: with what it did, or with the words of what refused it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import SlurmrestError


def finish(module: Any, work: Callable[[], Mapping[str, Any]]) -> None:
    """Do the work of a module and hand its result to Ansible; does not return.

    Args:
        module: the AnsibleModule.
        work: returns the result, ``changed`` being false where it does not say, ``warnings`` being said to the user; a
            SlurmrestError that it raises fails the module with its words and its ``details``.
    """
    try:
        result = dict(work())
    except SlurmrestError as error:
        module.fail_json(msg=str(error), **error.details)
    else:
        for warning in result.pop("warnings", ()):
            module.warn(warning)
        module.exit_json(**{"changed": False, **result})
