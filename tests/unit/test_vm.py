"""The virtual machines of ``scripts/test vm``, as far as they need none: images, command lines, the table."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import run
from tests.vm import __main__ as cases
from tests.vm import image, machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> machine.Machine:
    """Return a machine that is off."""
    (tmp_path / "disk").touch()
    monkeypatch.setattr(image, "made", lambda _kind: tmp_path)
    monkeypatch.setattr(image, "run", lambda *_: None)
    return machine.Machine(image.Image("site"), tmp_path)


def test_a_machine_is_reached_by_loopback_with_its_own_key_alone(off: machine.Machine) -> None:
    line = " ".join(off.ssh("ci"))
    assert line.endswith(" 127.0.0.1")
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", f"IdentityFile={off.made / 'id_ed25519'}"):
        assert option in line
    assert "-F none" in line, "nothing of who runs the tests"


def test_a_machine_has_apparmor_and_lets_others_go_first(off: machine.Machine) -> None:
    argv = off.argv()
    assert argv[:3] == ["nice", "-n", "5"]
    assert {"apparmor=1", "security=apparmor", f"ubd0={off.folder / 'disk'}"} <= set(argv)


@pytest.mark.parametrize("changed", ["packages", "settings", "prepare"])
def test_an_image_is_called_by_what_goes_into_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str) -> None:
    before = image.Image("site").folder
    assert image.Image("site").folder == before
    if changed == "packages":
        monkeypatch.setattr(image, "PLAIN", (*image.PLAIN, "hello"))
    elif changed == "settings":
        monkeypatch.setenv("https_proxy", "http://192.0.2.1:3128")
    else:
        other = tmp_path / "prepare.sh"
        other.write_text("exit 0\n", encoding="utf-8")
        monkeypatch.setattr(image, "PREPARE", other)
    assert image.Image("site").folder != before


def test_a_machine_reaches_package_servers_as_this_host_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:3128")
    monkeypatch.setenv("PIP_INDEX_URL", "https://192.0.2.1/simple")
    given = image.settings()
    assert "https_proxy=http://192.0.2.1:3128" in given["/etc/environment"].splitlines()
    assert "index-url = https://192.0.2.1/simple" in given["/etc/pip.conf"].splitlines()


class Off:
    """A machine that does nothing."""

    def push(self) -> None:
        """Take nothing."""

    def run(self, command: str, *, user: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Answer what is asked after a case that failed."""
        assert (user, timeout) == ("root", 300)
        return subprocess.CompletedProcess(command, 0, "failed units\n", "")


def group(*made: Callable[[machine.Machine], str]) -> cases.Group:
    return cases.Group("site", "", made)


def works(_machine: machine.Machine) -> str:
    """It works."""
    return "seen"


def fails(_machine: machine.Machine) -> str:
    """It does not."""
    raise AssertionError("of the\nmachine")


def test_each_case_is_in_the_table_and_one_that_fails_is_not_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cases, "GROUPS", {"site": group(fails, works)})
    monkeypatch.setattr(cases, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(cases, "missing", list)
    monkeypatch.setattr(cases, "running", lambda _image: __import__("contextlib").nullcontext(Off()))
    assert cases.main([]) == 1
    table = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[:3] for line in table] == [
        ["site", "boot", "passed"],
        ["site", "fails", "FAILED"],
        ["site", "works", "passed"],
    ]
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [(one["case"], one["passed"], one["words"]) for one in kept[1:]] == [
        ("fails", False, "of the machine"),
        ("works", True, "seen"),
    ]
    assert cases.main(["--case", "works"]) == 0
    assert cases.main(["--case", "nosuch"]) == 1, "nothing to run proves nothing"


def test_what_the_host_lacks_is_said_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cases, "missing", lambda: ["user-mode-linux", "slirp4netns"])
    assert cases.main([]) == 2
    assert "apt-get install user-mode-linux slirp4netns" in capsys.readouterr().err


def test_machines_run_when_they_are_named() -> None:
    assert "vm" in run.STAGES
    assert "vm" in run.ON_REQUEST
