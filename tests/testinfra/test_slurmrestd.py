"""The hosts that serve REST: account, unit, process, files and listeners as they really are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testinfra.conftest import Host

ACCOUNT = "slurmrestd"
DROPIN = "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf"


def unit(host: Host) -> dict[str, str]:
    """Return the effective properties of the unit."""
    lines = host.check_output("systemctl show slurmrestd.service").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def process(host: Host) -> dict[str, str]:
    """Return the status of the daemon's process."""
    lines = host.check_output("cat /proc/%s/status", unit(host)["MainPID"]).splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def environment(host: Host) -> dict[str, str]:
    """Return the environment that the daemon was started with."""
    lines = host.check_output("tr '\\0' '\\n' < /proc/%s/environ", unit(host)["MainPID"]).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_account_cannot_log_in(slurmrestd: Host) -> None:
    user = slurmrestd.user(ACCOUNT)
    assert user.exists
    assert 0 < user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    assert not slurmrestd.file(user.home).exists
    assert user.password.startswith(("!", "*"))


def test_account_is_in_its_own_group_only(slurmrestd: Host) -> None:
    assert slurmrestd.user(ACCOUNT).groups == [ACCOUNT]
    assert slurmrestd.group(ACCOUNT).members == []


def test_unit_is_up_and_stays_up(slurmrestd: Host) -> None:
    properties = unit(slurmrestd)
    assert properties["ActiveState"] == "active"
    assert properties["UnitFileState"] == "enabled"
    assert properties["NeedDaemonReload"] == "no"
    assert properties["NRestarts"] == "0"


def test_unit_starts_one_command_without_listeners(slurmrestd: Host) -> None:
    command = unit(slurmrestd)["ExecStart"]
    assert command.count("path=") == 1
    (argv,) = re.findall(r"argv\[\]=(.*?) ;", command)
    assert argv.startswith("/usr/sbin/slurmrestd ")
    assert " -a rest_auth/jwt" in argv
    assert re.findall(r"\S*:\S*", argv) == []


def test_unit_has_our_identity_and_cannot_reload(slurmrestd: Host) -> None:
    properties = unit(slurmrestd)
    assert (properties["User"], properties["Group"]) == (ACCOUNT, ACCOUNT)
    assert properties.get("ExecReload", "") == ""
    assert properties["DropInPaths"].split() == [DROPIN]


def test_process_is_unprivileged(slurmrestd: Host) -> None:
    status = process(slurmrestd)
    uid, gid = str(slurmrestd.user(ACCOUNT).uid), str(slurmrestd.user(ACCOUNT).gid)
    assert set(status["Uid"].split()) == {uid}
    assert set(status["Gid"].split()) == {gid}
    assert set(status["Groups"].split()) <= {gid}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_process_sees_what_was_asked_for(slurmrestd: Host, listeners: list[str]) -> None:
    variables = environment(slurmrestd)
    assert variables["SLURM_JWT"] == "daemon"
    assert variables["SLURMRESTD_LISTEN"].split(",") == listeners


def test_process_holds_these_listeners_and_no_other(slurmrestd: Host, listeners: list[str]) -> None:
    pid = unit(slurmrestd)["MainPID"]
    mine = [line.split() for line in slurmrestd.check_output("ss -Hlnptx").splitlines() if f"pid={pid}," in line]
    held = {f"unix:{line[4]}" if line[0].startswith("u_") else line[4] for line in mine}
    assert held == set(listeners)


def test_nothing_else_answers_for_slurm_rest(slurmrestd: Host, listeners: list[str]) -> None:
    pid = unit(slurmrestd)["MainPID"]
    ports = {listener.rsplit(":", 1)[1] for listener in listeners if not listener.startswith("unix:")}
    bound = [line.split() for line in slurmrestd.check_output("ss -Hlnpt").splitlines()]
    owners = {line[3].rsplit(":", 1)[1]: line[5] for line in bound if line[3].rsplit(":", 1)[1] in ports}
    assert set(owners) == ports
    assert all(f"pid={pid}," in owner for owner in owners.values())


def test_socket_is_behind_its_directory(slurmrestd: Host, listeners: list[str]) -> None:
    for listener in listeners:
        if listener.startswith("unix:"):
            path = listener.removeprefix("unix:")
            directory = slurmrestd.file(path.rsplit("/", 1)[0])
            assert (directory.user, directory.group, directory.mode) == (ACCOUNT, ACCOUNT, 0o750)
            assert slurmrestd.file(path).is_socket
            assert slurmrestd.file(path).user == ACCOUNT
            assert slurmrestd.run("runuser -u nobody -- test -S %s", path).rc == 1


def test_files_belong_to_root_and_no_one_else_writes_them(slurmrestd: Host) -> None:
    environment_file = unit(slurmrestd)["EnvironmentFiles"].split()[0]
    for path in (DROPIN, environment_file):
        file = slurmrestd.file(path)
        assert file.is_file, path
        assert (file.user, file.group) == ("root", "root"), path
        assert file.mode in ((0o644,) if path == DROPIN else (0o640, 0o644)), path
    directory = slurmrestd.file(DROPIN.rsplit("/", 1)[0])
    assert (directory.user, directory.mode) == ("root", 0o755)
    assert directory.listdir() == ["50-slurmrest.conf"]


def test_systemd_finds_nothing_to_complain_about(slurmrestd: Host) -> None:
    words = slurmrestd.run("systemd-analyze verify --man=no slurmrestd.service 2>&1").stdout.splitlines()
    assert [line for line in words if "slurmrestd" in line] == []


def test_vendor_unit_is_as_the_package_left_it(slurmrestd: Host) -> None:
    fragment = unit(slurmrestd)["FragmentPath"]
    assert not fragment.startswith("/etc/")
    assert fragment not in slurmrestd.run("dpkg --verify slurmrestd").stdout
