"""Answers of ``systemctl show`` and of a daemon that systemd gave up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.host import failure, programs
from slurmrest.systemd import show, systemctl
from slurmrest.systemd.systemctl import Systemd

if TYPE_CHECKING:
    from collections.abc import Sequence

TWO = """\
Id=slurmctld.service
ActiveState=active
MainPID=71
Description=a=b

ActiveState=failed
Id=slurmd.service
MainPID=

"""


def test_units_are_told_apart_and_values_keep_their_signs() -> None:
    shown = show.by_unit(TWO)
    assert list(shown) == ["slurmctld.service", "slurmd.service"]
    assert shown["slurmctld.service"]["Description"] == "a=b"
    assert [show.number(state, "MainPID") for state in shown.values()] == [71, 0]
    assert [show.running(state) for state in shown.values()] == [True, False]
    assert show.by_unit("") == show.by_unit("\n") == {}


@pytest.mark.parametrize(
    ("word", "is_enabled"), [("enabled", True), ("static", True), ("disabled", False), ("", False)]
)
def test_enabled(word: str, is_enabled: bool) -> None:
    assert show.enabled({"UnitFileState": word}) is is_enabled


def test_without_systemd_nothing_is_known() -> None:
    def run(argv: Sequence[str], **_how: Any) -> programs.Done[str]:
        return programs.Done(list(argv), programs.MISSING, "", "systemctl cannot be run: No such file or directory")

    assert Systemd(run).show("slurmrestd") == {}
    with pytest.raises(failure.ProgramFailed, match="systemctl restart x: systemctl cannot be run"):
        Systemd(run).command("restart", "x")


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("slurmrestd.service: Main process exited, code=exited, status=217/USER", "217/USER"),
        ("slurmrestd.service: Main process exited, code=exited, status=226/NAMESPACE", "226/NAMESPACE"),
        ("Failed to determine user credentials: No such process\nstatus=217/USER", ""),
        ("slurmrestd.service: Main process exited, code=exited, status=1/FAILURE", ""),
        ("", ""),
    ],
)
def test_what_systemd_could_not_set_up_is_told_from_what_the_daemon_did(words: str, step: str) -> None:
    said = systemctl.refusal(words)
    assert bool(said) == bool(step)
    assert step in said
    assert not step or "slurmrestd_service_sandbox" in said
