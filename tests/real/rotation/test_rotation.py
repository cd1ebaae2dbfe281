"""A new key, seen from outside: old tokens refused, new ones accepted, and the old key back when a host refuses."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.slurm.releases import lookup

from tests.real.clusters import slurmrest
from tests.real.rotation.rotating import CHANGING, KEY, MEASURED, STEP, SWITCHING, Rotating, rotating

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    assert "slurm_jwt_key_rotate_confirm: false is refused" in play.words
    assert "ends every outstanding token at once" in play.words
    assert "restart slurmdbd" in play.words
    check = cluster.rotate("--check", slurm_jwt_key_rotate_confirm=False).good()
    assert "A real run refuses: slurm_jwt_key_rotate_confirm: false" in check.words
    cluster.assert_in_force(key)
    assert cluster.pids() == pids


@pytest.mark.layouts("single", "split")
def test_check_mode_says_what_would_be_done_and_does_nothing(cluster: Rotating, release: str) -> None:
    key, pids = cluster.key(), cluster.pids()
    play = cluster.rotate("--check", "--diff").good()
    gently = lookup(f"{release}.0").release.reconfigure_rereads_key
    last = f"{'reconfigure' if gently else 'restart'} slurmctld"
    expected = {
        "single": [f"1. node1: replace the key by rename, restart slurmdbd, {last}"],
        "split": ["1. db: replace the key by rename, restart slurmdbd", f"2. ctl: replace the key by rename, {last}"],
    }[cluster.layout]
    assert [line for line in expected if line not in play.words] == []
    assert play.changed == len(cluster.hosts) + 1, play.output
    cluster.assert_in_force(key)
    assert cluster.pids() == pids


@pytest.mark.layouts("single", "split")
def test_the_new_key_is_in_force_everywhere_and_the_old_one_nowhere(cluster: Rotating) -> None:
    old, pids = cluster.key(), cluster.pids()
    play = cluster.rotate(whole=True).good()
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
    assert "all good" in play.words


# --- hosts that refuse ------------------------------------------------------------------------------------------------

REFUSE_TO_START = """
mkdir -p /etc/systemd/system/{unit}.service.d
cat > /etc/systemd/system/{unit}.service.d/99-refuse.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c 'test $$(stat -c %%i {key}) = {inode}'
END
systemctl daemon-reload
"""
START_WHEN_ANOTHER_RUN_WAITS = r"""
mkdir -p /etc/systemd/system/{unit}.service.d
cat > /etc/systemd/system/{unit}.service.d/99-slow.conf <<'END'
[Service]
ExecStartPre=+-/usr/bin/timeout 50 /bin/sh -c '\
    until [ $$(find /proc/[0-9]*/fd -lname {lock} 2>/dev/null | wc -l) -gt 1 ]; do sleep 0.1; done'
END
systemctl daemon-reload
"""
BE_GOOD = """
rm -rf /etc/systemd/system/{unit}.service.d
if [ -e /usr/bin/scontrol.real ]; then mv /usr/bin/scontrol.real /usr/bin/scontrol; fi
systemctl daemon-reload
"""
SPOIL_BEFORE_RECONFIGURE = """
mv /usr/bin/scontrol /usr/bin/scontrol.real
cat > /usr/bin/scontrol <<'END'
#!/bin/sh
[ "$1" = reconfigure ] && [ "$(stat -c %i {key})" != {inode} ] && chmod 0644 {key}
exec /usr/bin/scontrol.real "$@"
END
chmod 0755 /usr/bin/scontrol
"""


@pytest.mark.layouts("split")
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
        assert "The rotation failed" in play.words
        assert "The old key is back on every host (proven over HTTP on /slurm" in play.words
        assert "PLAY [Verify" not in play.words
        cluster.assert_in_force(old)
    finally:
        cluster.live.ssh(host, BE_GOOD.format(unit=unit))


# --- a site of its own ------------------------------------------------------------------------------------------------

CONF = "/etc/slurm/slurm.conf"
QUIETLY = "for f in /etc/slurm/slurm*.conf; do cp -p $f /root/was; sed -i 's/{0}/{1}/' $f; touch -r /root/was $f; done"
OTHER_CLUSTER = "mysql slurm_acct_db -e \"update cluster_table set control_host='{}' where name='elsewhere'\""


@pytest.fixture
def site(cluster: Rotating) -> Iterator[Rotating]:
    """Files that nobody's tool wrote, a key of another owner, and a second cluster in the database, gone long ago.

    slurmctld's checksum counts comments: it has to load the words, while slurmdbd is judged by the time of its file.
    """
    words = ["slurmrest.toolkit wrote", "the site wrote"]
    for host in cluster.hosts:
        cluster.live.ssh(host, f"{QUIETLY.format(*words)}; chown root:slurm {KEY}; chmod 0440 {KEY}")
    cluster.live.ssh(cluster.primary, "scontrol reconfigure; sacctmgr -i add cluster elsewhere")
    yield cluster
    cluster.live.ssh(cluster.primary, "sacctmgr -i delete cluster elsewhere")
    for host in cluster.hosts:
        cluster.live.ssh(host, f"{QUIETLY.format(*reversed(words))}; chown slurm:slurm {KEY}; chmod 0600 {KEY}")
    cluster.live.ssh(cluster.primary, "scontrol reconfigure")


def test_a_cluster_of_others(site: Rotating, tmp_path: Path) -> None:
    def refused(*words: str, **variables: Any) -> None:
        play = site.rotate(**variables)
        assert play.status != 0
        assert [word for word in words if word not in play.words] == [], play.output
        same = (site.found(site.primary), site.pids()) == before
        assert same, play.output

    before, old = (site.found(site.primary), site.pids()), site.key()
    file = tmp_path / "key"
    file.write_bytes(b"from the vault, more than 32 bytes")
    allowed: dict[str, Any] = {
        "slurmrest_allow_controller_restart": True,
        "slurm_jwt_key_rotate_clusters": ["elsewhere"],
        "slurm_jwt_key_supplied": str(file),
    }

    site.live.ssh(site.primary, f"cp -p {CONF} /root/before; echo '# somebody is at it' >> {CONF}")
    refused(
        f"{CONF} is not what slurmctld has loaded",
        "slurmrest_allow_controller_restart: false is refused",
        "slurmdbd also serves elsewhere",
        "slurm_jwt_key_rotate_clusters",
    )
    site.live.ssh(site.primary, f"cat /root/before > {CONF}")

    site.live.ssh(site.hosts[-1], OTHER_CLUSTER.format("192.0.2.9"))
    refused("elsewhere (slurmctld on 192.0.2.9) would be left with the old key", **allowed)
    site.live.ssh(site.hosts[-1], OTHER_CLUSTER.format(""))

    site.rotate(**allowed).good()
    for host in site.hosts:
        key, *seen = site.found(host)
        assert key == file.read_bytes()
        assert seen == [["root", "slurm", "440", "1"], []]
    site.assert_accepted(file.read_bytes(), old)

    before = site.found(site.primary), site.pids()
    refused("the new key is the old one (slurm_jwt_key_supplied", **allowed)


def test_a_service_that_does_not_answer_is_left_alone(cluster: Rotating) -> None:
    cluster.live.ssh(cluster.rest, "systemctl stop slurmrestd")
    try:
        play = cluster.rotate()
        assert play.status != 0
        assert "The service does not answer as it should, and the old key stays" in play.words
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


def test_a_run_whose_workers_outlive_it_comes_to_its_end(cluster: Rotating) -> None:
    old, host = cluster.key(), cluster.hosts[-1]
    cluster.live.ssh(host, START_WHEN_ANOTHER_RUN_WAITS.format(unit="slurmdbd", lock="/var/lib/slurmrest/lock"))
    try:
        with cluster.process(SWITCHING) as (process, said):
            assert said
            process.kill()
            second = cluster.rotate().good()
    finally:
        cluster.live.ssh(host, BE_GOOD.format(unit="slurmdbd"))
    assert "A rotation was at work" in second.words
    told = [words for words in ("has come to its end meanwhile", "is undone first") if words in second.words]
    assert len(told) == 1, second.output
    cluster.assert_in_force(cluster.key(), old)


@pytest.mark.layouts("split")
def test_killed_at_any_step_the_second_run_repairs(cluster: Rotating, full: bool) -> None:
    """Kill where daemons load the key and where it is proven; with --full at each task, too. At once or a bit later."""
    told: list[str] = []
    waited = False
    for times in itertools.count(1) if full else range(1, len(cluster.hosts) + 2):
        old = cluster.key()
        with cluster.process(STEP if full else CHANGING, times) as (_process, said):
            time.sleep(0.4 * (times % 2))
        if not said:
            break
        if waited:  # once is enough to see that a run which may still be alive is waited for
            cluster.age()
        second = cluster.rotate().good()
        finished = "finishing it, the new key stays" in second.output
        undone = "An interrupted rotation is undone first, the old key comes back" in second.output
        assert not (finished and undone)
        waited = waited or "A rotation was at work" in second.output
        told.append("finished" if finished else "undone" if undone else "nothing to repair")
        say(f"killed at {said!r}: {told[-1]}")
        new = cluster.key()
        assert new != old
        cluster.assert_in_force(new, old)
    assert len(told) > len(cluster.hosts)
    assert "undone" in told
    assert waited


@pytest.mark.layouts("single", "split")
def test_no_process_is_left_behind(cluster: Rotating) -> None:
    watch = "/run/slurmrest-watch"
    left = cluster.live.ssh(cluster.rest, f"ls -A {watch}; flock --nonblock {watch}/lock echo free")
    assert left.split() == ["lock", "free"]


# --- a backup controller, which has the key as well and is restarted before the primary -------------------------------

BACKUP = "c1"
PATIENCE_SECONDS = 60.0


def assert_both_up(cluster: Rotating) -> None:
    """The backup says that it has started before it answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (said := cluster.live.ssh(cluster.primary, "scontrol ping")).count(" is UP") != 2:
        journal = cluster.live.ssh(BACKUP, "journalctl --unit slurmctld --lines 30 --no-pager")
        assert time.monotonic() < deadline, said + journal
        time.sleep(0.5)


@pytest.mark.layouts("split", only=True)  # it stays as it is afterwards: the last test
def test_a_backup_is_rotated_too_and_cannot_be_forgotten(cluster: Rotating) -> None:
    without = cluster.inventory.read_text(encoding="utf-8")
    cluster.add_backup(BACKUP)
    both = cluster.inventory.read_text(encoding="utf-8")
    assert_both_up(cluster)
    old, pids = cluster.key(), cluster.pids()

    cluster.inventory.write_text(without, encoding="utf-8")
    forgotten = cluster.rotate()
    assert forgotten.status != 0
    assert f"slurmctld runs on {cluster.primary}, {BACKUP} by the configuration" in forgotten.words
    assert cluster.pids() == pids
    cluster.assert_in_force(old)

    cluster.inventory.write_text(both, encoding="utf-8")
    play = cluster.rotate(whole=True).good()
    assert f"1. {BACKUP}: replace the key by rename, restart slurmctld" in play.words
    match = MEASURED.search(play.output)
    assert match, play.output
    say(f"measured on {cluster.live.release} with a backup: {match[0]}")
    cluster.assert_in_force(cluster.key(), old)
    assert cluster.pids()[f"{BACKUP} slurmctld"] not in ("0", pids[f"{BACKUP} slurmctld"])
    assert_both_up(cluster)
