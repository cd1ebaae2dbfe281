"""What kind of host this is, and what follows from it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.containers import find, host, programs
from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.containers.host import Host, cgroup_mode, has_capability
from slurmrest_toolkit.containers.namespace import containers_conf
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

PURE = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
HYBRID = """tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
OLD = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"

ORDINARY = Host(root=True, cgroups="v2", can_raise_limits=True, pids_controller=True)
AWKWARD = Host(root=True, cgroups="hybrid", can_raise_limits=False, pids_controller=False)
USER = Host(root=False, cgroups="v2", can_raise_limits=True, pids_controller=True)


def everything(name: str, path: str | None = None) -> str:
    return f"{path or '/usr/bin'}/{name}"


def nothing_but_apt(name: str, path: str | None = None) -> str | None:
    return everything(name, path) if name == "apt-get" else None


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [(PURE, ("v2", "/sys/fs/cgroup")), (HYBRID, ("hybrid", "/sys/fs/cgroup/unified")), (OLD, ("v1", None))],
)
def test_cgroup_layouts_are_told_apart(mounts: str, expected: tuple[str, str | None]) -> None:
    assert cgroup_mode(mounts) == expected


@pytest.mark.parametrize(("bits", "expected"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_capability_is_read_from_the_effective_set(bits: str, *, expected: bool) -> None:
    status = f"CapInh:\tffffffffffffffff\nCapEff:\t{bits}\nCapBnd:\tffffffffffffffff\n"
    assert has_capability(status, host.CAP_SYS_RESOURCE) is expected


def test_this_host_can_be_looked_at() -> None:
    assert Host.detect().cgroups in {"v2", "hybrid", "v1"}


def test_ordinary_hosts_are_not_awkward() -> None:
    assert not ORDINARY.awkward
    assert not USER.awkward
    assert AWKWARD.awkward
    assert Host(root=True, cgroups="v2", can_raise_limits=False, pids_controller=True).awkward


def test_containers_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    (tmp_path / "sys/fs/inotify").mkdir(parents=True)
    (tmp_path / "sys/fs/inotify/max_user_instances").write_text("10\n")
    for process, instances in (("1", 3), ("22", 4), ("self", 9)):
        folder = tmp_path / process / "fd"
        folder.mkdir(parents=True)
        for number in range(instances):
            (folder / str(number)).symlink_to("anon_inode:inotify")
        (folder / "9").symlink_to("/dev/null")
    assert host.too_many_containers(tmp_path) is None
    (tmp_path / "22/fd/8").symlink_to("anon_inode:inotify")
    cause, remedy = host.too_many_containers(tmp_path) or ("", "")
    assert "8 of this host's 10 inotify instances" in cause
    assert "fs.inotify.max_user_instances" in remedy


def test_only_what_the_host_lacks_is_switched_off() -> None:
    assert "default_ulimits" in containers_conf(AWKWARD)
    assert "pids_limit" in containers_conf(AWKWARD)
    limits_only = containers_conf(Host(root=True, cgroups="v2", can_raise_limits=False, pids_controller=True))
    assert "default_ulimits" in limits_only
    assert "pids_limit" not in limits_only


def test_missing_programs_are_not_installed_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", nothing_but_apt)
    with pytest.raises(CannotRunError) as caught:
        programs.ensure_programs(["mmdebstrap", "newuidmap"], USER, Progress())
    assert "mmdebstrap (to build base images)" in str(caught.value)
    assert "Run: sudo apt-get install --no-install-recommends mmdebstrap uidmap" in str(caught.value)


def test_engine_is_not_installed_for_commands_that_only_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(CannotRunError, match="no container engine"):
        find.find_engine(None, ORDINARY, Progress(), install=False)


def test_ordinary_host_gets_plain_podman(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", everything)
    engine = find.find_engine(None, ORDINARY, Progress(), install=True)
    assert (engine.name, engine.prefix, dict(engine.environment)) == ("podman", (), {})


def test_docker_needs_cgroup_v2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "docker_answers", lambda: True)
    monkeypatch.setattr(Engine, "call", lambda *_: '28.0.4 ["name=cgroupns"]')
    assert find.find_engine("docker", USER, Progress(), install=True).name == "docker"
    with pytest.raises(CannotRunError, match="cgroups hybrid"):
        find.find_engine("docker", AWKWARD, Progress(), install=True)


@pytest.mark.parametrize(("version", "remounts"), [("26.1.5+dfsg1", True), ("28.0.4", False), ("29.1.0", False)])
def test_docker_is_asked_whether_containers_can_have_cgroups_of_their_own(
    monkeypatch: pytest.MonkeyPatch, version: str, remounts: bool
) -> None:
    monkeypatch.setattr(find, "docker_answers", lambda: True)
    monkeypatch.setattr(Engine, "call", lambda *_: f'{version} ["name=apparmor","name=cgroupns"]\n')
    assert find.find_engine("docker", USER, Progress(), install=True).remounts == remounts


@pytest.mark.parametrize("kind", ["rootless", "userns"])
def test_a_docker_whose_containers_cannot_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(find, "docker_answers", lambda: True)
    monkeypatch.setattr(Engine, "call", lambda *_: f'28.0.4 ["name=seccomp,profile=builtin","name={kind}"]\n')
    with pytest.raises(CannotRunError, match=r"could not write to its cgroups[\s\S]*--engine podman"):
        find.find_engine("docker", USER, Progress(), install=True)


def test_the_environment_chooses_an_engine_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", everything)
    monkeypatch.setattr(find, "docker_answers", lambda: True)
    monkeypatch.setattr(Engine, "call", lambda *_: "28.0.4 []")
    monkeypatch.setenv("SLURMREST_ENGINE", "docker")
    assert find.find_engine(None, ORDINARY, Progress(), install=False).name == "docker"
    assert find.find_engine("podman", ORDINARY, Progress(), install=False).name == "podman"
    monkeypatch.setenv("SLURMREST_ENGINE", "rkt")
    with pytest.raises(CannotRunError, match=r"SLURMREST_ENGINE=rkt \(allowed: podman, docker\)"):
        find.find_engine(None, ORDINARY, Progress(), install=False)


def test_user_without_cgroup_v2_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", everything)
    host = Host(root=False, cgroups="hybrid", can_raise_limits=True, pids_controller=True)
    with pytest.raises(CannotRunError, match="Run as root"):
        find.find_engine("podman", host, Progress(), install=True)
