"""What confines a running slurmrestd: what the unit asks for, and what /proc shows of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from slurmrest.host import programs
from slurmrest.systemd import confinement, sandbox
from slurmrest.systemd.confinement import ConfinedProcess, Confinement, mounts
from slurmrest.systemd.security import HostSecurity

FIRST = """\
20 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a
21 20 0:21 / /proc rw,nosuid - proc proc rw
22 20 0:22 / /dev rw,nosuid - tmpfs tmpfs rw
23 20 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw
"""
CONFINED = """\
120 1 0:20 / / ro,relatime shared:1 - overlay overlay rw,lowerdir=/a
121 120 0:21 / /proc rw,nosuid - proc proc rw
122 120 0:22 / /dev rw,nosuid - tmpfs tmpfs rw
123 120 0:23 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
124 120 0:24 / /dev ro,nosuid - tmpfs tmpfs rw,size=4k
125 120 0:25 /tmp/systemd-private-1/tmp /tmp rw - overlay overlay rw
126 120 0:26 / /home ro - tmpfs tmpfs ro
127 120 0:27 / /proc rw,nosuid - proc proc rw,hidepid=invisible,subset=pid
"""
WANTED = {
    "CapabilityBoundingSet": "",
    "IPAddressDeny": "::/0 0.0.0.0/0",
    "MemoryMax": "8589934592",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateMounts": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProcSubset": "pid",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "SystemCallFilter": "read write",
    "TasksMax": "84",
}
POWERS = "000001ffffffffff"
INIT = ConfinedProcess(
    {"CapBnd": POWERS, "Seccomp": "0", "Seccomp_filters": "0"},
    {"mnt": "mnt:[1]", "user": "user:[1]", "uts": "uts:[1]"},
    mounts(FIRST),
)
GOOD = Confinement(
    WANTED,
    ConfinedProcess(
        {"CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "7"},
        {"mnt": "mnt:[2]", "user": "user:[2]", "uts": "uts:[2]"},
        mounts(CONFINED),
    ),
    INIT,
    {"MemoryMax": 8589934592, "TasksMax": 84},
    2,
)


def changed(**process: Any) -> Confinement:
    return replace(GOOD, process=replace(GOOD.process, **process))


def test_all_that_is_asked_for_is_in_force() -> None:
    assert dict.fromkeys(sandbox.verdicts(GOOD).values()) == {True: None}
    assert set(sandbox.verdicts(GOOD)) == set(WANTED)
    assert sandbox.warnings(GOOD) == []


@pytest.mark.parametrize(
    ("line", "directive"),
    [
        ("ro,relatime shared:1", "ProtectSystem"),
        ("ro,nosuid - cgroup2", "ProtectControlGroups"),
    ],
)
def test_a_mount_that_may_be_written_is_seen(line: str, directive: str) -> None:
    seen = changed(mounts=mounts(CONFINED.replace(line, line.replace("ro,", "rw,", 1))))
    assert [name for name, value in sandbox.verdicts(seen).items() if not value] == [directive]


@pytest.mark.parametrize(
    ("number", "directives"),
    [
        ("124", ["PrivateDevices"]),
        ("125", ["PrivateTmp"]),
        ("126", ["ProtectHome"]),
        ("127", ["ProcSubset", "ProtectKernelTunables", "ProtectProc"]),
    ],
)
def test_a_mount_that_is_not_there_is_seen(number: str, directives: list[str]) -> None:
    text = "".join(line for line in CONFINED.splitlines(keepends=True) if not line.startswith(number))
    assert [name for name, value in sandbox.verdicts(changed(mounts=mounts(text))).items() if not value] == directives


@pytest.mark.parametrize(("kind", "directive"), [("mnt", "PrivateMounts"), ("user", "PrivateUsers"),
                                                 ("uts", "ProtectHostname")])  # fmt: skip
def test_a_namespace_of_all_is_seen(kind: str, directive: str) -> None:
    seen = changed(namespaces={**GOOD.process.namespaces, kind: INIT.namespaces[kind]})
    assert [name for name, value in sandbox.verdicts(seen).items() if not value] == [directive]


@pytest.mark.parametrize(
    ("status", "directive"),
    [
        ({"CapBnd": POWERS}, "CapabilityBoundingSet"),
        ({"NoNewPrivs": "0"}, "NoNewPrivileges"),
        ({"Seccomp_filters": "0"}, "SystemCallFilter"),
    ],
)
def test_rights_that_are_left_are_seen(status: dict[str, str], directive: str) -> None:
    seen = changed(status={**GOOD.process.status, **status})
    assert [name for name, value in sandbox.verdicts(seen).items() if not value] == [directive]


def test_a_container_s_own_filter_of_system_calls_does_not_count() -> None:
    first = replace(INIT, status={**INIT.status, "Seccomp": "2", "Seccomp_filters": "1"})
    seen = replace(changed(status={**GOOD.process.status, "Seccomp_filters": "1"}), init=first)
    assert sandbox.verdicts(seen)["SystemCallFilter"] is False


def test_a_container_that_may_nothing_is_told_from_a_kernel_without_control_groups() -> None:
    first = replace(INIT, status={**INIT.status, "CapBnd": "00000000a80425fb"})
    seen = replace(changed(mounts=mounts(FIRST)), init=first, room={"MemoryMax": None, "TasksMax": 84}, filters=0)
    mounted, limits, packets = sandbox.warnings(seen)
    assert "ProtectSystem" in mounted
    assert "PrivateUsers" not in mounted
    assert "no CAP_SYS_ADMIN in this container" in mounted
    assert limits.startswith("The unit asks for MemoryMax, which is not in force here")
    assert "slurmrestd_service_clients keeps nobody away" in packets


def test_what_nobody_may_see_is_not_taken_for_good() -> None:
    seen = changed(mounts={}, namespaces={})
    (warning,) = sandbox.warnings(seen)
    assert "Nobody here may see" in warning
    assert "PrivateUsers" in warning
    assert "NoNewPrivileges" not in warning


def test_what_is_not_asked_for_is_not_missed() -> None:
    nothing = {
        "ProtectSystem": "no",
        "ProtectProc": "default",
        "MemoryMax": "infinity",
        "CapabilityBoundingSet": "cap_chown",
    }
    seen = Confinement(nothing, INIT, INIT)
    assert sandbox.verdicts(seen) == {}
    assert sandbox.warnings(seen) == []


@pytest.mark.parametrize(
    ("host", "label", "words"),
    [
        (HostSecurity(), "unconfined", None),
        (HostSecurity(fips=True), "", "FIPS mode"),
        (
            HostSecurity(selinux="enforcing"),
            "system_u:system_r:unconfined_service_t:s0",
            "has no policy for slurmrestd",
        ),
        (HostSecurity(selinux="permissive"), "system_u:system_r:slurmrestd_t:s0", "permissive and confines slurmrestd"),
        (HostSecurity(apparmor=True), "unconfined", "has no profile"),
        (HostSecurity(apparmor=True), "slurmrestd (enforce)", "confines slurmrestd: slurmrestd (enforce)."),
    ],
)
def test_security_modules_are_named(host: HostSecurity, label: str, words: str | None) -> None:
    notes = list(sandbox.notes(replace(changed(label=label), host=host)))
    assert [words in note for note in notes if words] == ([True] if words else notes)


def test_a_process_of_this_host_is_seen_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge, on this process: nothing of a sandbox is in force, and nothing else is claimed."""
    known = {name: value for name, value in WANTED.items() if name not in ("ProcSubset", "ProtectProc")}
    shown = "".join(f"{name}={value}\n" for name, value in known.items())
    cat = "# /lib/x\n[Service]\n" + "".join(f"{name}={value}\n" for name, value in WANTED.items())
    answers = {"show": f"{shown}MainPID={os.getpid()}\nControlGroup=/none\n", "cat": f"{cat}#ProtectNothing=yes\n"}
    monkeypatch.setattr(programs, "start", lambda words, **_: words[1] if words[0] == "systemctl" else "")
    monkeypatch.setattr(programs, "finish", lambda word, *_: programs.Done([], 0, answers.get(word, ""), ""))
    seen = confinement.look("slurmrestd.service")
    assert seen is not None
    assert seen.process.status["Pid"] == str(os.getpid())
    assert sandbox.verdicts(seen)["NoNewPrivileges"] is (seen.process.status["NoNewPrivs"] == "1")
    for name in ("ProtectSystem", "PrivateTmp", "PrivateDevices", "MemoryMax"):
        assert not sandbox.verdicts(seen)[name], name
    assert any(
        line.startswith("This systemd does not know ProcSubset, ProtectProc,") for line in sandbox.warnings(seen)
    )


def test_a_unit_that_does_not_run_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "start", lambda words, **_: programs.Done(words, programs.MISSING, "", ""))
    assert confinement.look("slurmrestd.service") is None
