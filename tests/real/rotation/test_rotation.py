"""A new key, seen from outside: old tokens refused, new ones accepted, and the old key back when a host refuses."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from slurmrest.releases import lookup

from tests.real.clusters import slurmrest
from tests.real.rotation.rotating import KEY, MEASURED, Rotating, rotating

if TYPE_CHECKING:
    from collections.abc import Iterator

BAR_SECONDS = 5.0


@pytest.fixture(scope="module")
def cluster(layout: str, release: str) -> Iterator[Rotating]:
    with rotating(release, layout) as one:
        yield one


def bar() -> float:
    """Seconds that a changeover may take here and now: more where others keep the processors busy."""
    return BAR_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def say(words: str) -> None:
    """Show a line to whoever watches the tests (pytest --capture=no)."""
    sys.stdout.write(f"\n{words}\n")


def test_without_confirmation_nothing_happens(cluster: Rotating) -> None:
    key, pids = cluster.key(), cluster.pids()
    play = cluster.rotate(slurm_jwt_key_rotate_confirm=False)
    assert play.status != 0
    assert "slurm_jwt_key_rotate_confirm: false is refused" in play.output
    assert "ends every outstanding token at once" in play.output
    assert "restart slurmdbd" in play.output
    cluster.assert_in_force(key)
    assert cluster.pids() == pids


@pytest.mark.each_layout
def test_check_mode_says_what_would_be_done_and_does_nothing(cluster: Rotating, release: str) -> None:
    key, pids = cluster.key(), cluster.pids()
    play = cluster.rotate("--check", "--diff").good()
    gently = lookup(f"{release}.0").release.reconfigure_rereads_key
    last = f"{'reconfigure' if gently else 'restart'} slurmctld"
    expected = {
        "single": [f"1. node1: replace the key by rename, restart slurmdbd, {last}"],
        "split": ["1. db: replace the key by rename, restart slurmdbd", f"2. ctl: replace the key by rename, {last}"],
    }[cluster.layout]
    assert [line for line in expected if line not in play.output] == []
    assert play.changed == len(cluster.hosts) + 1, play.output
    cluster.assert_in_force(key)
    assert cluster.pids() == pids
    unconfirmed = cluster.rotate("--check", slurm_jwt_key_rotate_confirm=False).good()
    assert "A real run refuses: slurm_jwt_key_rotate_confirm: false" in unconfirmed.output


@pytest.mark.each_layout
def test_the_new_key_is_in_force_everywhere_and_the_old_one_nowhere(cluster: Rotating) -> None:
    old, pids = cluster.key(), cluster.pids()
    play = cluster.rotate().good()
    new = cluster.key()
    assert new != old
    assert len(new) == 32
    cluster.assert_in_force(new, old)
    after = cluster.pids()
    assert [name for name in pids if name.endswith("slurmrestd") and after[name] != pids[name]] == []
    match = MEASURED.search(play.output)
    assert match, play.output
    say(f"measured on {cluster.live.release} {cluster.layout}: {match[0]}")
    assert 0 < float(match[1]) <= bar()
    assert "all good" in play.output


def test_owner_and_mode_of_the_site_stay(cluster: Rotating) -> None:
    for host in cluster.hosts:
        cluster.live.ssh(host, f"chown root:slurm {KEY}; chmod 0440 {KEY}")
    cluster.rotate().good()
    for host in cluster.hosts:
        assert cluster.live.ssh(host, f"stat -c '%U %G %a' {KEY}").split() == ["root", "slurm", "440"]
        cluster.live.ssh(host, f"chown slurm:slurm {KEY}; chmod 0600 {KEY}")


def test_a_key_of_the_site_is_used_once(cluster: Rotating, tmp_path_factory: pytest.TempPathFactory) -> None:
    old = cluster.key()
    file = tmp_path_factory.mktemp("vault") / "key"
    file.write_bytes(b"from the vault, more than 32 bytes")
    cluster.rotate(slurm_jwt_key_supplied=str(file)).good()
    cluster.assert_in_force(file.read_bytes(), old)
    again = cluster.rotate(slurm_jwt_key_supplied=str(file))
    assert again.status != 0
    assert "the new key is the old one (slurm_jwt_key_supplied" in again.output
    cluster.assert_in_force(file.read_bytes(), old)


# --- hosts that refuse ------------------------------------------------------------------------------------------------

REFUSE_TO_START = """
mkdir -p /etc/systemd/system/{unit}.service.d
cat > /etc/systemd/system/{unit}.service.d/99-refuse.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c 'test $$(stat -c %%i {key}) = {inode}'
END
systemctl daemon-reload
"""
BE_GOOD = """
rm -rf /etc/systemd/system/{unit}.service.d /usr/local/bin/scontrol
systemctl daemon-reload
"""
SPOIL_BEFORE_RECONFIGURE = """
cat > /usr/local/bin/scontrol <<'END'
#!/bin/sh
[ "$1" = reconfigure ] && [ "$(stat -c %i {key})" != {inode} ] && chmod 0644 {key}
exec /usr/bin/scontrol "$@"
END
chmod 0755 /usr/local/bin/scontrol
"""


@pytest.mark.each_layout
@pytest.mark.parametrize("unit", ["slurmdbd", "slurmctld"])
def test_a_daemon_that_refuses_the_new_key_brings_the_old_one_back_everywhere(
    cluster: Rotating, release: str, unit: str
) -> None:
    old = cluster.key()
    gently = unit == "slurmctld" and lookup(f"{release}.0").release.reconfigure_rereads_key
    host = {"slurmdbd": cluster.hosts[-1], "slurmctld": cluster.primary}[unit]
    inode = cluster.live.ssh(host, f"stat -c %i {KEY}").strip()
    trouble = SPOIL_BEFORE_RECONFIGURE if gently else REFUSE_TO_START
    cluster.live.ssh(host, trouble.format(unit=unit, key=KEY, inode=inode))
    try:
        play = cluster.rotate()
        assert play.status != 0
        assert "The rotation failed" in play.output
        assert "The old key is back on every host (proven over HTTP on /slurm" in play.output
        assert "PLAY [Verify" not in play.output
        cluster.assert_in_force(old)
    finally:
        cluster.live.ssh(host, BE_GOOD.format(unit=unit))
    cluster.rotate().good()
    cluster.assert_in_force(cluster.key(), old)


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(cluster: Rotating, *words: str, **variables: object) -> None:
    """Run, and see that it is refused with these words and that nothing has changed."""
    key, pids = cluster.key(), cluster.pids()
    play = cluster.rotate(**variables)
    assert play.status != 0
    assert [word for word in words if word not in play.output] == [], play.output
    cluster.assert_in_force(key)
    assert cluster.pids() == pids


def test_an_edit_that_nobody_has_loaded_does_not_come_into_force(cluster: Rotating) -> None:
    conf = "/etc/slurm/slurm.conf"
    cluster.live.ssh(cluster.primary, f"stat -c %Y {conf} > /root/when; touch {conf}")
    try:
        refused(cluster, f"{conf} changed after slurmctld began")
    finally:
        cluster.live.ssh(cluster.primary, f"touch -d @$(cat /root/when) {conf}")


def test_a_cluster_of_the_same_slurmdbd_has_to_be_named(cluster: Rotating) -> None:
    cluster.live.ssh(cluster.primary, "sacctmgr -i add cluster elsewhere")
    try:
        refused(cluster, "slurmdbd also serves elsewhere", "slurm_jwt_key_rotate_clusters")
        old = cluster.key()
        cluster.rotate(slurm_jwt_key_rotate_clusters=["elsewhere"]).good()
        cluster.assert_in_force(cluster.key(), old)
    finally:
        cluster.live.ssh(cluster.primary, "sacctmgr -i delete cluster elsewhere")


def test_a_cluster_that_is_connected_and_not_in_the_run_is_no_matter_of_naming(cluster: Rotating) -> None:
    database = "mysql slurm_acct_db -e \"update cluster_table set control_host='{}' where name='elsewhere'\""
    cluster.live.ssh(cluster.primary, "sacctmgr -i add cluster elsewhere")
    cluster.live.ssh(cluster.hosts[-1], database.format("192.0.2.9"))
    try:
        words = "elsewhere (slurmctld on 192.0.2.9) would be left with the old key"
        refused(cluster, words, slurm_jwt_key_rotate_clusters=["elsewhere"])
    finally:
        cluster.live.ssh(cluster.hosts[-1], database.format(""))
        cluster.live.ssh(cluster.primary, "sacctmgr -i delete cluster elsewhere")


def test_a_cluster_of_others_is_restarted_with_consent_only(cluster: Rotating) -> None:
    mark = "slurmrest.toolkit wrote"
    quietly = (
        "for f in /etc/slurm/slurm*.conf; do cp -p $f /root/was; sed -i 's/{0}/{1}/' $f; touch -r /root/was $f; done"
    )
    for host in cluster.hosts:
        cluster.live.ssh(host, quietly.format(mark, "the site wrote"))
    try:
        refused(cluster, "slurmrest_allow_controller_restart: false is refused")
        old = cluster.key()
        cluster.rotate(slurmrest_allow_controller_restart=True).good()
        cluster.assert_in_force(cluster.key(), old)
    finally:
        for host in cluster.hosts:
            cluster.live.ssh(host, quietly.format("the site wrote", mark))


def test_a_service_that_does_not_answer_is_left_alone(cluster: Rotating) -> None:
    cluster.live.ssh(cluster.rest, "systemctl stop slurmrestd")
    try:
        play = cluster.rotate()
        assert play.status != 0
        assert "The service does not answer as it should, and the old key stays" in play.output
    finally:
        cluster.live.ssh(cluster.rest, "systemctl start slurmrestd")
    cluster.assert_in_force(cluster.key())


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_rotates_and_renews_the_tokens_of_the_cluster(cluster: Rotating) -> None:
    name, old = cluster.live.name, cluster.key()
    asked = slurmrest("cluster", "rotate-key", "--name", name)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    cluster.assert_in_force(old)
    done = slurmrest("cluster", "rotate-key", "--name", name, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert 0 < said["changeover"] <= bar()
    assert set(said["gap"]) == {"slurm", "slurmdb"}
    cluster.assert_in_force(cluster.key(), old)
    for user in ("root", "alice"):
        answer = slurmrest("cluster", "curl", "--name", name, "--user", user, "diag")
        assert answer.returncode == 0, answer.stdout


# --- kills ------------------------------------------------------------------------------------------------------------


@pytest.mark.each_layout
def test_a_killed_run_is_waited_for_and_then_repaired(cluster: Rotating) -> None:
    old = cluster.key()
    with cluster.process() as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ": replace the key by rename, " in line and not line.startswith("  "):
                break
        time.sleep(0.3)
    second = cluster.rotate().good()
    assert "A rotation was at work" in second.output
    assert "An interrupted rotation is undone first, the old key comes back" in second.output
    cluster.assert_in_force(cluster.key(), old)


def test_a_run_whose_workers_outlive_it_comes_to_its_end(cluster: Rotating) -> None:
    old = cluster.key()
    with cluster.process() as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ": replace the key by rename, " in line and not line.startswith("  "):
                break
        process.kill()
        second = cluster.rotate().good()
    assert "A rotation was at work" in second.output
    told = [words for words in ("has come to its end meanwhile", "is undone first") if words in second.output]
    assert len(told) == 1, second.output
    cluster.assert_in_force(cluster.key(), old)


@pytest.mark.each_layout
def test_killed_at_any_step_the_second_run_repairs(cluster: Rotating, full: bool) -> None:
    """Kill at each announcement of a task or a step, at once and a little later; a subset unless all is asked for."""
    told = set()
    boundary, step = (1, 1) if full else (9, 4)
    while True:
        old = cluster.key()
        began = cluster.kill_at(boundary, 0.0 if boundary % 2 else 0.4)
        if not began:
            break
        cluster.age()
        second = cluster.rotate().good()
        new = cluster.key()
        finished = "finishing it, the new key stays" in second.output
        undone = "An interrupted rotation is undone first" in second.output
        assert not (finished and undone)
        told.add("finished" if finished else "undone" if undone else "nothing to repair")
        say(f"killed at {began!r}: finished {finished}, undone {undone}")
        assert new != old
        cluster.assert_in_force(new, old)
        boundary += step
    assert "undone" in told


@pytest.mark.each_layout
def test_no_process_is_left_behind(cluster: Rotating) -> None:
    watch = "/run/slurmrest-watch"
    left = cluster.live.ssh(cluster.rest, f"ls -A {watch}; flock --nonblock {watch}/lock echo free")
    assert left.split() == ["lock", "free"]
