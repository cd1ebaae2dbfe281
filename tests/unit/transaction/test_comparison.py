"""The look before a transaction: most runs end there. And what a transaction refuses that knows no daemon of Slurm."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.transaction.comparison import Wanted
from slurmrest.transaction.probes import Probe
from slurmrest.transaction.services import Beyond
from slurmrest.transaction.specs import DirectorySpec, FileSpec, ServiceSpec
from slurmrest.transaction.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ME = pwd.getpwuid(os.geteuid()).pw_name
MINE = grp.getgrgid(os.getegid()).gr_name


class Host:
    """A systemd with one unit, and every command that was run."""

    def __init__(self, **state: str) -> None:
        self.state = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no", **state}
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(" ".join(argv))
        shown = "\n".join(f"{name}={value}" for name, value in self.state.items())
        return subprocess.CompletedProcess(list(argv), 0, shown, "")


def wanted(tmp_path: Path, host: Host, text: bytes = b"as it shall be\n", **more: Any) -> dict[str, Any]:
    file = tmp_path / "etc" / "daemon.conf"
    if not file.exists():
        file.parent.mkdir()
        file.write_bytes(b"as it shall be\n")
        file.chmod(0o644)
    return {
        "name": "test",
        "files": [FileSpec(str(file), text, owner=ME, group=MINE)],
        "services": [ServiceSpec("daemon", enabled=True)],
        "state_dir": str(tmp_path / "state"),
        "run": host,
        **more,
    }


def test_nothing_is_to_be_done_where_all_is_right(tmp_path: Path) -> None:
    host = Host()
    assert Wanted(**wanted(tmp_path, host)).settled()
    assert [line.split()[1] for line in host.ran] == ["show"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("state", "more"),
    [
        ({}, {"text": b"another\n"}),
        ({"ActiveState": "failed"}, {}),
        ({"UnitFileState": "disabled"}, {}),
        ({"NeedDaemonReload": "yes"}, {}),
        ({}, {"services": [ServiceSpec("daemon", "restarted")]}),
        ({}, {"directories": [DirectorySpec("/nonexistent/directory")]}),
    ],
)
def test_what_differs_is_to_be_done(tmp_path: Path, state: dict[str, str], more: dict[str, Any]) -> None:
    assert not Wanted(**wanted(tmp_path, Host(**state), **more)).settled()


def test_a_unit_that_is_not_loaded_is_for_who_brings_it_up(tmp_path: Path) -> None:
    """slurm.conf's role comes first: a restart by it would load a drop-in that slurmrestd's role is about to mend."""
    services = [ServiceSpec("daemon", "if_running")]
    assert Wanted(**wanted(tmp_path, Host(NeedDaemonReload="yes"), services=services)).settled()


def test_a_killed_run_is_to_be_undone_though_all_looks_right(tmp_path: Path) -> None:
    given = wanted(tmp_path, Host())
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal-test.json").write_text("{}")
    assert not Wanted(**given).settled()


@pytest.mark.parametrize(
    "service",
    [
        ServiceSpec("slurmctld"),
        ServiceSpec("slurmdbd.service", "if_running"),
        ServiceSpec("slurmrestd", probes=(Probe("listeners", ("127.0.0.1:1",)),)),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_without_judges_no_daemon_is_restarted_that_is_to_be_looked_at(
    tmp_path: Path, service: ServiceSpec, check: bool
) -> None:
    """A module that takes no judges along can never restart one by oversight."""
    host = Host()
    transaction = Transaction(**wanted(tmp_path, host, b"another\n", services=[service]))
    with pytest.raises(Beyond, match=service.name):
        transaction.apply(check=check)
    assert host.ran == []
    assert (tmp_path / "etc" / "daemon.conf").read_bytes() == b"as it shall be\n"


def test_any_other_daemon_needs_no_judges(tmp_path: Path) -> None:
    host = Host(NRestarts="0")
    probe = Probe("command", ("true",))
    services = [ServiceSpec("mariadb", probes=(probe,))]
    done = Transaction(**wanted(tmp_path, host, b"another\n", services=services)).apply()
    assert done.restarted == ["mariadb"]
    assert host.ran[-1] == "true"
