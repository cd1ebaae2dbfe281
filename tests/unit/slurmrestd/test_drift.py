"""A process against our drop-in: each override of the quick start, and what no file shows."""

from __future__ import annotations

import grp
import json
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.redaction import REDACTED
from slurmrest.slurmrestd import drift, unit_places
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd.unit import effective
from slurmrest.slurmrestd.unit_places import order_dropins
from slurmrest.transaction.asking import probe_error
from slurmrest.transaction.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = Path(__file__).resolve().parents[2] / "render" / "units"
VENDORS = sorted(path.stem for path in UNITS.glob("*.service"))
FRAGMENT = "/usr/lib/systemd/system/slurmrestd.service"
DROPIN = unit_places.DROPIN
OVERRIDE = "/etc/systemd/system/slurmrestd.service.d/override.conf"
USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
OURS = f"""\
[Service]
User={USER}
Group={GROUP}
Environment=SLURM_JWT=daemon
Environment=SLURMRESTD_LISTEN=127.0.0.1:6820
ExecStart=
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS -a rest_auth/jwt -t 8
"""
COMMAND = "ExecStart=\nExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS"
BY_SEVERAL = {
    # rest_quickstart.html as it stands: 23.11 and earlier, and what it says of User and Group.
    "the command and a listener": (f"{COMMAND}\nEnvironment=SLURMRESTD_LISTEN=:6820\n", {"-a", "-t", "listeners"}),
    "the command alone": (f"{COMMAND}\n", {"-a", "-t"}),
    "listeners in the command": (f"{COMMAND} :6820\n", {"-a", "-t", "listeners"}),
    "a UNIX socket in the command": (f"{COMMAND} unix:/run/s/x.socket\n", {"-a", "-t", "listeners"}),
    "listeners": ("Environment=SLURMRESTD_LISTEN=0.0.0.0:6820,unix:/run/s/x.socket\n", {"listeners"}),
    "another account": ("User=root\nGroup=root\n", {"User", "Group"}),
    "the same account": (f"User={USER}\nGroup={GROUP}\n", set()),
    "no JWT": ("UnsetEnvironment=SLURM_JWT\n", {"SLURM_JWT"}),
    "another configuration": ("Environment=SLURM_CONF=/srv/other/slurm.conf\n", {"SLURM_CONF"}),
    "more words": ("Environment=SLURMRESTD_OPTIONS=-vv SLURM_DEBUG_FLAGS=net\n", set()),
    "an option that ours overrules": ("Environment='SLURMRESTD_OPTIONS=-a rest_auth/local'\n", set()),
}


def unit(files: dict[str, str]) -> units.EffectiveUnit:
    return effective(FRAGMENT, order_dropins(path for path in files if path != FRAGMENT), files.get)


def started(of: units.EffectiveUnit, **more: Any) -> dict[str, Any]:
    """The process that systemd would make of a unit, of this test's account where it names root."""
    root = of.user == "root"
    return {
        "command": [word.text for word in of.exec_start[0]],
        "environment": {name: item.value for name, item in of.environment.items()},
        "uid": 0 if root else os.getuid(),
        "gid": 0 if root else os.getgid(),
        **more,
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_our_dropin_starts_is_what_was_asked(vendor: str) -> None:
    ours = unit({FRAGMENT: (UNITS / f"{vendor}.service").read_text(), DROPIN: OURS})
    assert drift.differences(started(ours), ours, ours) == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", BY_SEVERAL)
def test_an_override_that_sorts_later_is_seen_in_the_process(vendor: str, name: str) -> None:
    text, expected = BY_SEVERAL[name]
    if os.getuid() == 0 and name == "another account":
        text = text.replace("root", "daemon")
    files = {FRAGMENT: (UNITS / f"{vendor}.service").read_text(), DROPIN: OURS}
    ours = unit(files)
    both = unit({**files, OVERRIDE: f"[Service]\n{text}"})
    process = started(both)
    if both.user == "daemon":
        process.update(uid=pwd.getpwnam("daemon").pw_uid, gid=grp.getgrnam("daemon").gr_gid)
    found = drift.differences(process, ours, both)
    assert {item.setting for item in found} == expected
    assert {item.origin.rpartition(":")[0] for item in found} <= {OVERRIDE}
    assert json.dumps([item.as_dict() for item in found])


def test_a_process_that_is_older_than_its_files() -> None:
    ours = unit({FRAGMENT: (UNITS / "upstream-24.11.service").read_text(), DROPIN: OURS})
    old = started(ours, command=["/usr/sbin/slurmrestd", "-a", "rest_auth/jwt", "-t", "4"])
    (found,) = drift.differences(old, ours, ours)
    assert (found.setting, found.wanted, found.running, found.origin) == ("-t", "8", "4", drift.NOWHERE)


def test_what_the_manager_gives_to_all_services_is_no_file() -> None:
    ours = unit({FRAGMENT: (UNITS / "upstream-24.11.service").read_text(), DROPIN: OURS})
    process = started(ours)
    process["environment"] = {**process["environment"], "SLURM_CONF": "/srv/other/slurm.conf"}
    (found,) = drift.differences(process, ours, ours)
    assert str(found) == f"SLURM_CONF is /srv/other/slurm.conf, not left out ({drift.NOWHERE})"


def test_a_token_is_never_shown() -> None:
    ours = unit({FRAGMENT: (UNITS / "upstream-24.11.service").read_text(), DROPIN: OURS})
    process = started(ours)
    process["environment"] = {**process["environment"], "SLURM_JWT": "eyJhbGciOi.abc.def"}
    process["command"] = [*process["command"], "-s", "eyJhbGciOi.abc.def"]
    text = str([item.as_dict() for item in drift.differences(process, ours, ours)])
    assert "eyJ" not in text
    assert text.count(REDACTED) == 4  # twice each: the value, and the sentence


def test_without_the_environment_the_rest_is_compared() -> None:
    ours = unit({FRAGMENT: (UNITS / "upstream-24.11.service").read_text(), DROPIN: OURS})
    process = started(ours, environment=None, command=["/usr/sbin/slurmrestd"])
    assert {item.setting for item in drift.differences(process, ours, ours)} == {"-a", "-t"}


class Systemctl:
    """Answers with the process of the test."""

    def __init__(self, pid: int) -> None:
        self.stdout = f"{pid}\n"

    def __call__(self, argv: Sequence[str], **_how: Any) -> Any:
        assert argv[0] == "systemctl"
        return self


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose slurmrestd is this very test, and units in a directory."""
    monkeypatch.setattr(unit_places, "UNIT_PATHS", (str(tmp_path),))
    monkeypatch.setattr(unit_places, "DROPIN", f"{tmp_path}/slurmrestd.service.d/50-slurmrest.conf")
    (tmp_path / "slurmrestd.service.d").mkdir()
    (tmp_path / "slurmrestd.service").write_text("[Service]\nExecStart=/usr/sbin/slurmrestd\n")
    return tmp_path


def played(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    process = {"command": command.split(), "environment": {}, "uid": os.getuid(), "gid": os.getgid()}
    monkeypatch.setattr("slurmrest.host.process.process", lambda _pid: process)


def test_the_probe_after_a_start(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe.from_mapping({"running": "slurmrestd.service"})
    played(monkeypatch, "/usr/sbin/slurmrestd -a rest_auth/local")
    assert probe_error(probe, Systemctl(1)) is None, "nothing is asked for without our drop-in"
    text = "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt\n"
    (host / "slurmrestd.service.d/50-slurmrest.conf").write_text(text)
    (host / "slurmrestd.service.d/override.conf").write_text(text.replace("/jwt", "/local"))
    with pytest.raises(SlurmrestError, match=r"-a is rest_auth/local, not rest_auth/jwt \(.*override.conf:3\)"):
        probe_error(probe, Systemctl(1))
    played(monkeypatch, "/lib/systemd/systemd --system")
    assert "program is /lib/systemd/systemd" in str(probe_error(probe, Systemctl(1))), "it may yet become slurmrestd"
    played(monkeypatch, "/usr/sbin/slurmrestd -a rest_auth/jwt")
    assert probe_error(probe, Systemctl(1)) is None
    assert probe_error(probe, Systemctl(0)) is None


def test_a_look_into_the_moment_of_the_start_is_taken_again(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account read of systemd's child and the command line of the daemon that it became are no difference."""
    text = f"[Service]\nUser={USER}\nExecStart=\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt\n"
    (host / "slurmrestd.service.d/50-slurmrest.conf").write_text(text)
    accounts = iter((os.getuid() + 1, os.getuid()))
    process = {"command": ["/usr/sbin/slurmrestd", "-a", "rest_auth/jwt"], "environment": {}, "gid": os.getgid()}
    monkeypatch.setattr("slurmrest.host.process.process", lambda _pid: {**process, "uid": next(accounts)})
    assert probe_error(Probe.from_mapping({"running": "slurmrestd.service"}), Systemctl(1)) is None
    assert next(accounts, None) is None, "it was looked at twice"
    monkeypatch.setattr("slurmrest.host.process.process", lambda _pid: {**process, "uid": os.getuid() + 1})
    with pytest.raises(SlurmrestError, match="User is"):
        probe_error(Probe.from_mapping({"running": "slurmrestd.service"}), Systemctl(1))
