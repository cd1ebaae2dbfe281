"""The files of a service token at both ends: what systemd, ssh and the fetching program make of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from slurmrest.bundle import bundle
from slurmrest.host.programs import PATH
from slurmrest.service_token.fetch import CONFIG, Controller, FetchSettings

from tests.render.exposure import exposure
from tests.render.roles import evaluate

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
VARIABLES: dict[str, Any] = {
    "inventory_hostname": "web",
    "slurmrest_token_user": "portal",
    "slurmrest_token_owner": "www-data",
    "slurm_common_controllers": ["ctl", "ctl2"],
    "groups": {"slurmrest_token": ["web", "mon", "far"]},
    "hostvars": {
        "ctl": {
            "__slurmrest_token_source": {
                "asked": {"name": "ctl", "address": "10.0.0.1", "port": 22},
                "host_keys": [KEY, "ssh-rsa AAAA"],
            }
        },
        "ctl2": {},
        "web": {
            "__slurmrest_token_consumer": {
                "name": "web",
                "user": "portal",
                "lifespan": 3600,
                "public_key": KEY,
                "from": ["192.0.2.0/24", "!192.0.2.9"],
            }
        },
        "mon": {
            "__slurmrest_token_consumer": {
                "name": "mon",
                "user": "exporter",
                "lifespan": 600,
                "public_key": KEY,
                "from": [],
            }
        },
        "far": {},
    },
}
SERVICE = "/etc/systemd/system/slurmrest-token.service"
TIMER = "/etc/systemd/system/slurmrest-token.timer"


def rendered(**variables: Any) -> dict[str, str]:
    facts: dict[str, Any] = {"slurm_conf": {}, "slurmdbd_conf": {}}
    entries = evaluate("slurmrest_token", "__slurmrest_token_files", {**VARIABLES, **variables}, facts)
    return {str(entry["path"]): str(entry["content"]) for entry in entries}


def authorized_keys(user: str, prefix: str = "/usr", **variables: Any) -> list[str]:
    known = {
        **VARIABLES,
        "__slurmrest_token_name": user,
        "__slurmrest_token_controller": {"kept": {"portal": [f'restrict,command="kept" {KEY} far']}},
        **variables,
    }
    text = evaluate(
        "slurmrest_token", "lookup('ansible.builtin.template', 'authorized_keys.j2')", known, {"prefix": prefix}
    )
    return [line for line in str(text).splitlines() if not line.startswith("#")]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: install the package systemd"
    files = rendered(slurmrest_token_sandbox={"ProtectProc": None, "TasksMax": "32"})
    for path in (SERVICE, TIMER):
        (tmp_path / path.rpartition("/")[2]).write_text(files[path])
    for needed in ("network-online.target", "sysinit.target", "timers.target", "time-set.target", "time-sync.target"):
        (tmp_path / needed).write_text("[Unit]\nDescription=x\n")
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", "slurmrest-token.timer", "slurmrest-token.service"],
        env={**os.environ, "SYSTEMD_UNIT_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr + done.stdout == ""
    lines = files[SERVICE].splitlines()
    assert "TasksMax=32" in lines
    assert not any(line.startswith("ProtectProc") for line in lines)
    assert "ReadWritePaths=/var/lib/slurmrest-token" in lines


def test_the_unit_is_no_less_confined_than_slurmrestd(tmp_path: Path) -> None:
    """All but what it is for: the network, and giving a file to its owner."""
    (tmp_path / "slurmrest-token.service").write_text(rendered()[SERVICE])
    assert exposure(tmp_path / "slurmrest-token.service") <= 2.0


def allowed_calls(lines: list[str]) -> set[str]:
    """System calls that are left by the lines of SystemCallFilter=, the first of which allows (systemd.exec(5))."""

    def calls(word: str) -> set[str]:
        if not word.startswith("@"):
            return {word}
        done = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
        members = [line.strip() for line in done.stdout.splitlines()[1:]]
        return {call for member in members if member and member[0] != "#" for call in calls(member)}

    left: set[str] = set()
    for line in lines:
        named = {call for word in line.lstrip("~").split() for call in calls(word)}
        left = left - named if line.startswith("~") else left | named
    return left


def test_systemd_starts_the_unit_without_cap_sys_admin() -> None:
    """It keeps that for a unit of another account whose filter lets it drop capabilities itself (systemd 255 on)."""
    lines = [
        line.partition("=")[2] for line in rendered()[SERVICE].splitlines() if line.startswith("SystemCallFilter=")
    ]
    left = allowed_calls(lines)
    assert "capset" not in left
    assert {"fchown", "connect", "rename", "prctl", "execve"} <= left
    assert not left & {"setuid", "setresuid", "setgroups", "chroot", "bpf"}


def test_a_directory_of_the_site_is_writable_too() -> None:
    text = rendered(slurmrest_token_path="/var/lib/portal-token/token")[SERVICE]
    assert "ReadWritePaths=/var/lib/slurmrest-token /var/lib/portal-token\n" in text


def test_the_installed_program_runs_by_itself_and_reads_its_settings(tmp_path: Path) -> None:
    """What the role installs imports nothing that is not installed with it."""
    files = rendered()
    program = tmp_path / "slurmrest-token.pyz"
    program.write_bytes(bundle("service_token.fetch"))
    (tmp_path / "settings.json").write_text(files[CONFIG])
    settings = FetchSettings.read(str(tmp_path / "settings.json"))
    assert settings.controllers == (Controller("ctl", "10.0.0.1", 22),), "one that was not prepared is not asked"
    assert (settings.user, settings.owner, settings.path) == ("portal", "www-data", "/var/lib/slurmrest-token/token")
    missing = str(tmp_path / "none.json")
    done = subprocess.run(
        [sys.executable, "-I", str(program), missing], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 2
    assert f"<4>{missing} cannot be used" in done.stderr


def test_host_keys_are_pinned_by_the_name_that_is_asked_for() -> None:
    text = rendered()["/etc/slurmrest-token.known_hosts"]
    assert [line for line in text.splitlines() if not line.startswith("#")] == [f"ctl {KEY}", "ctl ssh-rsa AAAA"]


def test_a_key_may_ask_for_the_token_of_its_account_only() -> None:
    environment = f"LC_ALL=C PATH=/usr/bin:/usr/sbin:{PATH} SLURM_CONF=/etc/slurm/slurm.conf"
    command = f"/usr/bin/env -i {environment} scontrol token lifespan="
    assert authorized_keys("portal") == [
        f'restrict,command="{command}3600",from="192.0.2.0/24,!192.0.2.9" {KEY} web',
        f'restrict,command="kept" {KEY} far',
    ]
    assert authorized_keys("exporter") == [f'restrict,command="{command}600" {KEY} mon']


def test_slurm_conf_elsewhere_is_named() -> None:
    assert (
        "SLURM_CONF=/opt/slurm/etc/slurm.conf scontrol token"
        in authorized_keys("exporter", slurm_common_config_dir="/opt/slurm/etc")[0]
    )
    built = f"PATH=/opt/slurm/bin:/opt/slurm/sbin:{PATH} "
    assert built in authorized_keys("exporter", "/opt/slurm")[0]
    assert f"PATH={PATH} " in authorized_keys("exporter", "")[0]


def test_ssh_reads_the_line_as_it_is_meant(tmp_path: Path) -> None:
    """ssh-keygen finds the key behind the options: the quotes are right."""
    path = tmp_path / "authorized_keys"
    path.write_text("\n".join(authorized_keys("portal")) + "\n")
    done = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], capture_output=True, text=True, check=True)
    assert [line.split()[2:] for line in done.stdout.splitlines()] == [["web", "(ED25519)"], ["far", "(ED25519)"]]
