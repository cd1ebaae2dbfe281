"""Keys and daemons: who holds what, and who must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testinfra.conftest import Host

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
SLURM_CONF = "/etc/slurm/slurm.conf"


def assert_key_is_safe(host: Host) -> None:
    """Assert what holds for the key on each host that needs it."""
    key = host.file(KEY)
    assert (key.user, key.mode) == ("slurm", 0o600)
    assert key.size >= 32
    directory = KEY.rsplit("/", 1)[0]
    while directory:
        assert not host.file(directory).mode & 0o022, directory
        directory = directory.rsplit("/", 1)[0]
    assert host.file(KEY.rsplit("/", 1)[0]).user in ("slurm", "root")
    assert host.run("runuser -u nobody -- cat %s", KEY).rc == 1


def test_controller_has_the_key(slurmctld: Host) -> None:
    assert_key_is_safe(slurmctld)


def test_slurmdbd_has_the_key(slurmdbd: Host) -> None:
    assert_key_is_safe(slurmdbd)


def test_controller_and_slurmdbd_have_the_same_key(slurmctld: Host, slurmdbd: Host) -> None:
    assert slurmctld.file(KEY).sha256sum == slurmdbd.file(KEY).sha256sum


def test_service_account_cannot_read_the_key(slurmctld: Host, slurmrestd: Host) -> None:
    if slurmctld is not slurmrestd:
        pytest.skip("the REST host has no key: another test")
    assert slurmrestd.run("runuser -u slurmrestd -- cat %s", KEY).rc == 1


def test_rest_host_has_no_key(rest_only: Host) -> None:
    found = (
        "find / -xdev \\( -name '*.key' -o -name 'jwt*' \\) -type f -size -64k -not -path '/usr/*' -not -path '/proc/*'"
    )
    assert rest_only.check_output(found) == ""
    assert not rest_only.file("/etc/munge").exists


def test_rest_host_runs_slurmrestd_only(rest_only: Host) -> None:
    for daemon in ("slurmctld", "slurmdbd", "slurmd", "munge"):
        assert not rest_only.service(daemon).is_running, daemon
        assert not rest_only.exists(daemon), daemon
    assert not rest_only.file("/etc/slurm/slurmdbd.conf").exists


def test_rest_host_has_the_cluster_s_configuration(rest_only: Host, slurmctld: Host) -> None:
    assert rest_only.file(SLURM_CONF).sha256sum == slurmctld.file(SLURM_CONF).sha256sum


def test_daemons_come_back_after_a_reboot(slurmctld: Host, slurmdbd: Host, slurmd: Host, slurmrestd: Host) -> None:
    pairs = ((slurmctld, "slurmctld"), (slurmdbd, "slurmdbd"), (slurmd, "slurmd"), (slurmrestd, "slurmrestd"))
    for host, name in pairs:
        assert host.service(name).is_running, name
        assert host.service(name).is_enabled, name


def test_database_password_is_not_for_everyone(slurmdbd: Host) -> None:
    conf = slurmdbd.file("/etc/slurm/slurmdbd.conf")
    assert (conf.user, conf.mode) == ("slurm", 0o600)


def test_no_rollback_copy_is_left(node: Host) -> None:
    assert node.check_output("find /etc /var/lib /run -xdev -name '*.slurmrest-rollback'") == ""


def test_no_unit_of_the_cluster_failed(node: Host) -> None:
    failed = "systemctl list-units --failed --no-legend --plain 'slurm*' 'munge*' 'mariadb*'"
    assert node.check_output(failed) == ""
