"""What a host must have is one list, asked of the engine's own version, before anything is made."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.collection import ROOT
from slurmrest_toolkit.containers import find, prerequisites
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.containers.programs import ensure_programs
from slurmrest_toolkit.support import session
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER = Host(root=False, cgroups="v2", can_raise_limits=True, pids_controller=True)
PODMAN_4 = "podman version 4.3.1"
PODMAN_5 = "podman version 5.4.2"
CANDIDATE = "Package: podman\nVersion: {}+ds1-2+b1\n"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Have nothing on PATH but what is put there; call with a name and what it prints."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(prerequisites, "ELSEWHERE", ())
    (tmp_path / "bin").mkdir()

    def put(name: str, said: str = "") -> None:
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\n", encoding="utf-8")
        file.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("program", "said", "network"),
    [
        ("podman", PODMAN_4, {"iptables", "slirp4netns"}),
        ("podman", PODMAN_5, {"nft", "pasta"}),
        ("apt-cache", CANDIDATE.format("4.3.1"), {"iptables", "slirp4netns"}),
        ("apt-cache", CANDIDATE.format("5.4.2"), {"nft", "pasta"}),
        ("somewhat", "", {"nft", "pasta"}),
    ],
)
def test_the_network_of_containers_is_that_of_podmans_version(
    bare: Callable[[str, str], None], program: str, said: str, network: set[str]
) -> None:
    bare(program, said)
    assert set(prerequisites.for_podman(USER)) == {"podman", "newuidmap", *network}


def test_podman_4_takes_pasta_where_it_is_there(bare: Callable[[str, str], None]) -> None:
    bare("podman", PODMAN_4)
    bare("pasta", "")
    assert "pasta" in prerequisites.for_podman(USER)
    assert "slirp4netns" not in prerequisites.for_podman(USER)


def test_all_that_is_missing_is_said_at_once(bare: Callable[[str, str], None]) -> None:
    bare("apt-get", "")
    bare("apt-cache", CANDIDATE.format("5.4.2"))
    with pytest.raises(CannotRunError) as caught:
        find.find_engine(None, USER, Progress(quiet=True), install=True, soon=prerequisites.for_building(USER))
    assert caught.value.remedy == (
        "Run: sudo apt-get install --no-install-recommends podman netavark aardvark-dns nftables uidmap passt "
        "openssh-client curl mmdebstrap"
    )


def test_what_is_for_later_alone_is_not_asked_for(bare: Callable[[str, str], None]) -> None:
    bare("curl", "")
    ensure_programs(["curl"], USER, Progress(quiet=True), soon=["mmdebstrap"])


@pytest.mark.parametrize(
    ("users", "groups", "fine"),
    [
        ("ci:100000:65536\n", "ci:100000:65536\n", True),
        ("1000:100000:65536\n", "ci:100000:65536\n", True),
        ("ci:100000:65536\n", "", False),
        ("other:100000:65536\n", "other:100000:65536\n", False),
        ("ci:100000:1000\n", "ci:100000:65536\n", False),
        ("# nonsense\nci:x:y\n", "", False),
    ],
)
def test_subordinate_ids_are_looked_at_first(tmp_path: Path, users: str, groups: str, *, fine: bool) -> None:
    files = [tmp_path / "subuid", tmp_path / "subgid"]
    for file, text in zip(files, (users, groups), strict=True):
        file.write_text(text, encoding="utf-8")
    said = prerequisites.subordinates("ci", 1000, files)
    assert (said is None) == fine
    if said:
        first = 165536 if "65536" in users + groups else 101000 if "1000\n" in users else 100000
        assert f"usermod --add-subuids {first}-{first + 65535} --add-subgids {first}-{first + 65535} ci" in said[1]


def test_a_run_time_directory_of_somebody_else_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uid = os.geteuid()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "left by su"))
    assert session.directory(tmp_path) is None
    assert session.environment(tmp_path) == {}
    own = tmp_path / str(uid)
    own.mkdir()
    assert session.environment(tmp_path) == {"XDG_RUNTIME_DIR": str(own)}
    (own / "bus").touch()
    assert session.environment(tmp_path)["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={own}/bus"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
    assert session.environment(tmp_path) == {}


@pytest.mark.parametrize("lingers", [True, False])
def test_podman_of_an_account_without_a_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, lingers: bool
) -> None:
    monkeypatch.setattr(find, "refused", lambda: None)
    monkeypatch.setattr(find, "SYSTEMD", tmp_path)
    monkeypatch.setattr(session, "directory", lambda *_: tmp_path if lingers else None)
    monkeypatch.setattr(session, "environment", lambda: {"XDG_RUNTIME_DIR": str(tmp_path)})
    if lingers:
        assert find.own_podman().environ()["XDG_RUNTIME_DIR"] == str(tmp_path)
        return
    with pytest.raises(CannotRunError) as caught:
        find.own_podman()
    assert caught.value.remedy == f"Run: sudo loginctl enable-linger {os.geteuid()}"
    monkeypatch.setattr(find, "SYSTEMD", tmp_path / "no systemd")
    assert find.own_podman().name == "podman"


def test_podman_of_an_account_without_subordinate_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "refused", lambda: ("none", "Run: usermod"))
    with pytest.raises(CannotRunError, match="none"):
        find.own_podman()


def test_the_list_needs_no_library(tmp_path: Path) -> None:
    (tmp_path / "apt-get").symlink_to("/bin/true")
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-m", "slurmrest_toolkit.containers.prerequisites", "--packages", "cluster", "up"],
        env={"PATH": str(tmp_path), "PYTHONPATH": f"{ROOT}/src:{ROOT}/plugins/module_utils"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "curl" in done.stdout.split() or prerequisites.there("curl")
    assert "podman" in done.stdout.split() or prerequisites.there("podman")


@pytest.mark.parametrize(("mode", "remedy"), [(None, "modprobe tun"), (0o400, "chmod 666"), (0o666, "")])
def test_containers_without_root_take_a_device_for_their_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None, remedy: str
) -> None:
    device = tmp_path / "tun"
    monkeypatch.setattr(find, "TUNNEL", device)
    monkeypatch.setattr(os, "access", lambda path, _mode: path.exists() and path.stat().st_mode & 0o666 == 0o666)
    if mode is not None:
        device.touch(mode)
        device.chmod(mode)
    if not remedy:
        find.require_tunnel()
        return
    with pytest.raises(CannotRunError) as caught:
        find.require_tunnel()
    assert remedy in str(caught.value.remedy)
