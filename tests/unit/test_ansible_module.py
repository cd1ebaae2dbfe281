"""How a module ends: Ansible is handed what was done, or the words of what refused it."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from slurmrest.ansible_module import finish
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.rotation.host import SwitchFailed
from slurmrest.transaction.transaction import TransactionFailed


class Ended(Exception):
    """What AnsibleModule does with SystemExit: nothing comes after it."""


class Module:
    """What of AnsibleModule a module ends with."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, warning: str) -> None:
        self.warned.append(warning)

    def exit_json(self, **result: Any) -> NoReturn:
        raise Ended(("good", result))

    def fail_json(self, **result: Any) -> NoReturn:
        raise Ended(("failed", result))


def end(outcome: dict[str, Any] | Exception) -> tuple[str, dict[str, Any]]:
    def work() -> dict[str, Any]:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(Ended) as ended:
        finish(Module(), work)
    found: tuple[str, dict[str, Any]] = ended.value.args[0]
    return found


def test_the_result_says_whether_something_changed() -> None:
    assert end({"look": 1}) == ("good", {"changed": False, "look": 1})
    assert end({"changed": True}) == ("good", {"changed": True})


def test_warnings_are_given_to_ansible_one_by_one() -> None:
    """As a key of the result they are deprecated."""
    module = Module()
    with pytest.raises(Ended) as ended:
        finish(module, lambda: {"warnings": ["a label is missing", "another"], "port": 22})
    assert ended.value.args[0] == ("good", {"changed": False, "port": 22})
    assert module.warned == ["a label is missing", "another"]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (SlurmrestError("No key.", "Make one."), {"msg": "No key. Make one."}),
        (InputError("user", "a b", "a name"), {"msg": "user: 'a b' is refused. Allowed: a name."}),
        (TransactionFailed("died", rolled_back=["/etc/x"], journal="{}"), {"msg": "died", "rolled_back": ["/etc/x"]}),
        (
            SwitchFailed("no answer", words="fatal: no", problems=["slurmdbd is down"]),
            {"msg": "no answer; slurmdbd is down\nThe daemon's own words:\nfatal: no"},
        ),
    ],
)
def test_what_refuses_it_is_said(error: Exception, result: dict[str, Any]) -> None:
    assert end(error) == ("failed", result)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        finish(Module(), lambda: dict[str, Any]()["missing"])
