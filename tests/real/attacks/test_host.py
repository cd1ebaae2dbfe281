"""On the node itself: what the service's account and an ordinary user can get at."""

from __future__ import annotations

import pytest

from tests.real.attacks.conftest import KEY, ORDINARY, SERVICE, Attacked

SOCKET = "/run/slurmrestd/slurmrestd.socket"
WATCHED = (
    "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf",
    "/etc/default/slurmrestd",
    "/usr/lib/systemd/system/slurmrestd.service",
    "/usr/sbin/slurmrestd",
    "/etc/slurm/slurm.conf",
    "/etc/slurm/slurmdbd.conf",
    KEY,
)
"""What root's systemd interprets, what the daemons read, and what makes tokens."""


def test_there_is_something_to_attack(attacked: Attacked) -> None:
    assert {*attacked.ssh(f"ls {' '.join(WATCHED)}").split()} == {*WATCHED}
    assert attacked.good_client() < 5


@pytest.mark.parametrize("user", [SERVICE, ORDINARY])
@pytest.mark.parametrize("path", WATCHED)
def test_nobody_changes_what_root_or_the_daemons_read(attacked: Attacked, user: str, path: str) -> None:
    before = attacked.ssh(f"sha256sum {path}; stat -c '%U %G %a %i' {path}")
    directory = path.rpartition("/")[0]
    for attempt in (
        f": >> {path}",
        f"rm -f {path}",
        f"mv {path} {path}.old",
        f"ln -sf /dev/null {path}",
        f"touch {directory}/zz-attack.conf",
        f"chmod 0666 {path}",
        f"mv {directory} {directory}.old",
    ):
        said = attacked.as_user(user, attempt)
        assert said.splitlines()[-1] != "status 0", f"{attempt}: {said}"
    assert attacked.ssh(f"sha256sum {path}; stat -c '%U %G %a %i' {path}") == before
    assert attacked.ssh(f"ls {directory}/zz-attack.conf 2>/dev/null || true") == ""


@pytest.mark.parametrize("user", [SERVICE, ORDINARY])
@pytest.mark.parametrize(
    "command",
    [
        f"cat {KEY}",
        f"ls {KEY.rpartition('/')[0]}",
        "cat /etc/slurm/slurmdbd.conf",
        "cat /etc/shadow",
        "scontrol token username=root",
        "scontrol reconfigure",
        "scontrol update PartitionName=main State=DOWN",
        "sacctmgr --immediate add user mallory account=users",
        "systemctl restart slurmrestd",
        "systemctl set-property --runtime slurmrestd CPUWeight=1",
        "systemctl set-environment SLURM_CONF=/tmp/x",
        "kill -TERM $(pidof slurmctld)",
        "cat /proc/$(pidof slurmctld | cut -d' ' -f1)/environ",
    ],
)
def test_nobody_gets_at_secrets_or_daemons(attacked: Attacked, user: str, command: str) -> None:
    said = attacked.as_user(user, command)
    assert "SLURM_JWT=ey" not in said
    assert said.splitlines()[-1] != "status 0", said


def test_an_ordinary_user_does_not_reach_the_socket_or_the_process(attacked: Attacked) -> None:
    assert attacked.ssh(f"test -S {SOCKET} && stat -c '%a %G' {SOCKET.rpartition('/')[0]}").split() == ["750", SERVICE]
    connect = f'import socket; socket.socket(socket.AF_UNIX).connect("{SOCKET}")'
    assert "PermissionError" in attacked.as_user(ORDINARY, f"python3 -c '{connect}'")
    assert "PermissionError" not in attacked.as_user(SERVICE, f"python3 -c '{connect}'"), (
        "it is the directory that bars"
    )
    for command in ("cat /proc/$(pidof slurmrestd)/environ", "kill -HUP $(pidof slurmrestd)", f"rm -f {SOCKET}"):
        assert attacked.as_user(ORDINARY, command).splitlines()[-1] != "status 0", command
    attacked.good_client()


def test_the_service_holds_no_key_and_no_munge(attacked: Attacked) -> None:
    """Whoever takes the daemon over has the tokens that pass through it, and nothing that makes others."""
    pid = "$(pidof slurmrestd | cut -d' ' -f1)"
    assert KEY not in attacked.ssh(f"cat /proc/{pid}/maps; ls -l /proc/{pid}/fd")
    status = attacked.ssh(f"cat /proc/{pid}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, f"{name}: {fields[name]}"
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert "0" not in fields["Uid"].split()
    limits = attacked.ssh(f"cat /proc/{pid}/limits")
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"], "tokens would lie in a core"


def test_whoever_owns_the_plugins_has_code_run_by_scontrol(attacked: Attacked) -> None:
    """What docs/security.md warns of, a fact about any root's scontrol: a release that refuses it shall be noticed."""
    said = attacked.ssh(
        "set -e; rm -rf /srv/theirs; mkdir -p /srv/theirs/plugins; cp /usr/lib/*/slurm-wlm/*.so /srv/theirs/plugins\n"
        "grep -v '^PluginDir' /etc/slurm/slurm.conf > /srv/theirs/slurm.conf\n"
        "echo PluginDir=/srv/theirs/plugins >> /srv/theirs/slurm.conf; chown -R slurm: /srv/theirs\n"
        "LD_DEBUG=files SLURM_CONF=/srv/theirs/slurm.conf scontrol ping 2>&1; rm -r /srv/theirs"
    )
    assert "calling init: /srv/theirs/plugins/auth_munge.so" in said
