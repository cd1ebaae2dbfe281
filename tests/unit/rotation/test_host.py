"""A host's part in a rotation: the key file, the journal, the daemons, and what can go wrong with each of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.auth.key_files import is_retired, retired_record
from slurmrest.errors import SlurmrestError
from slurmrest.rotation import host as rotation
from slurmrest.rotation import members
from slurmrest.rotation.host import SwitchFailed
from slurmrest.slurm.commands import Slurm
from slurmrest.transaction.transaction import ROLLBACK_SUFFIX

from tests.unit.rotation_lab import ME, NEW, OLD, Host, Killed

BOTH = ("slurmdbd", "slurmctld")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host", BOTH)


def stage(host: Host, content: bytes = NEW) -> None:
    host.next.write_bytes(content)
    host.next.chmod(0o600)


def test_a_switch_renames_the_key_and_keeps_the_old_one_as_the_same_file(host: Host) -> None:
    inode = host.path.stat().st_ino
    stage(host)
    host.key().switch("r1", BOTH)
    assert host.path.read_bytes() == NEW
    assert host.path.stat().st_ino != inode
    assert host.copy.stat().st_ino == inode
    assert not host.next.exists()
    assert host.loaded == {"slurmdbd": NEW, "slurmctld": NEW}
    assert host.calls == ["systemctl restart slurmdbd", "systemctl restart slurmctld"]


def test_the_new_key_gets_owner_and_mode_of_the_old_one(host: Host) -> None:
    host.path.chmod(0o400)
    stage(host)
    host.key().switch("r1", BOTH)
    assert host.path.stat().st_mode & 0o7777 == 0o400


def test_keep_leaves_the_key_alone_on_the_host(host: Host) -> None:
    stage(host)
    key = host.key()
    key.switch("r1", BOTH)
    key.keep()
    assert {path.name for path in host.directory.iterdir()} == {"jwt.key", "state"}
    assert [path.name for path in (host.directory / "state").iterdir()] == ["lock"]


def test_undo_brings_the_same_file_back_and_the_daemons_with_it(host: Host) -> None:
    inode = host.path.stat().st_ino
    stage(host)
    key = host.key()
    key.switch("r1", ["slurmdbd"])
    assert key.undo() == ["slurmdbd"]
    assert host.path.stat().st_ino == inode
    assert host.loaded == {"slurmdbd": OLD, "slurmctld": OLD}
    assert host.calls == ["systemctl restart slurmdbd"] * 2
    assert not host.journal.exists()
    assert key.undo() == []


def test_undo_without_a_journal_removes_a_key_that_waits(host: Host) -> None:
    stage(host)
    host.key().undo()
    assert not host.next.exists()
    assert host.calls == []


def test_a_daemon_that_dies_of_the_new_key_runs_on_the_old_one_again(host: Host) -> None:
    host.refuses = {NEW}
    stage(host)
    with pytest.raises(SwitchFailed) as caught:
        host.key().switch("r1", BOTH)
    assert "slurmdbd does not stay up" in str(caught.value)
    assert caught.value.words == "fatal: I do not like this key\nfatal: I do not like this key"
    assert caught.value.problems == []
    assert host.path.read_bytes() == OLD
    assert host.loaded == {"slurmdbd": OLD, "slurmctld": OLD}
    assert host.key().undo() == []
    assert not host.journal.exists()


@pytest.mark.parametrize("foreground", [True, False])
def test_a_failed_reconfigure_is_found_though_scontrol_says_nothing(host: Host, foreground: bool) -> None:
    host.rereads, host.foreground, host.refuses = True, foreground, {NEW}
    stage(host)
    with pytest.raises(SwitchFailed):
        host.key().switch("r1", ["slurmctld"], reconfigure=True)
    assert host.loaded["slurmctld"] == OLD
    # One that is dead cannot be reconfigured back.
    assert ("systemctl restart slurmctld" in host.calls) is foreground


def test_reconfigure_is_for_slurmctld_only(host: Host) -> None:
    host.rereads = True
    stage(host)
    host.key().switch("r1", BOTH, reconfigure=True)
    assert host.calls == ["systemctl restart slurmdbd", "scontrol reconfigure"]


def test_what_does_not_come_back_is_told_and_tried_again(host: Host) -> None:
    host.broken = {"slurmctld"}
    stage(host)
    with pytest.raises(SwitchFailed) as caught:
        host.key().switch("r1", BOTH)
    assert ["on the old key: slurmctld" in problem for problem in caught.value.problems] == [True]
    with pytest.raises(SlurmrestError, match="on the old key: slurmctld"):
        host.key().undo()
    host.broken = set()
    host.key().undo()
    assert host.loaded == {"slurmdbd": OLD, "slurmctld": OLD}


def test_a_short_new_key_is_refused_before_anything_changes(host: Host) -> None:
    stage(host, b"short")
    with pytest.raises(SwitchFailed, match="has 5 bytes"):
        host.key().switch("r1", BOTH)
    assert host.path.read_bytes() == OLD
    assert [call for call in host.calls if call.startswith("systemctl")] == []


def test_a_new_key_that_is_a_link_is_not_given_to_anyone(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(NEW)
    host.next.symlink_to(other)
    with pytest.raises(SwitchFailed):
        host.key().switch("r1", BOTH)
    host.next.unlink()
    os.link(other, host.next)
    with pytest.raises(SwitchFailed, match="linked elsewhere"):
        host.key().switch("r1", BOTH)
    assert host.path.read_bytes() == OLD


def test_without_a_new_key_nothing_happens(host: Host) -> None:
    with pytest.raises(SwitchFailed):
        host.key().switch("r1", BOTH)
    assert host.loaded == {"slurmdbd": OLD, "slurmctld": OLD}


def test_another_rotation_is_not_continued(host: Host) -> None:
    host.key().begin("r1")
    stage(host)
    with pytest.raises(SlurmrestError, match="another rotation"):
        host.key().switch("r2", BOTH)
    with pytest.raises(SlurmrestError, match="interrupted"):
        host.key().begin("r2")
    with pytest.raises(SlurmrestError, match="not under way"):
        host.key().decide("r2")
    assert host.path.read_bytes() == OLD


def test_a_kill_between_link_and_rename_is_undone(host: Host) -> None:
    stage(host)
    key = host.key()
    key.begin("r1")
    record = json.loads(host.journal.read_text())
    host.journal.write_text(json.dumps({**record, "switched": True}))
    os.link(host.path, host.copy)
    key.undo()
    assert host.path.read_bytes() == OLD
    assert not host.copy.exists()


@pytest.mark.parametrize("calls", [0, 1])
def test_a_host_that_dies_in_the_middle_is_undone_afterwards(host: Host, calls: int) -> None:
    stage(host)
    host.kill_at = calls
    with pytest.raises(Killed):
        host.key().switch("r1", BOTH)
    host.kill_at = None
    host.key().undo()
    assert host.path.read_bytes() == OLD
    assert host.loaded == {"slurmdbd": OLD, "slurmctld": OLD}


def test_the_journal_holds_no_key(host: Host) -> None:
    stage(host)
    host.key().switch("r1", BOTH)
    text = host.journal.read_bytes()
    assert host.journal.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(text)) == {"rotation", "phase", "switched", "touched"}
    assert NEW not in text
    assert OLD not in text


def test_equal_keys_have_equal_proofs_for_one_nonce_only(host: Host, tmp_path: Path) -> None:
    other = Host(tmp_path / "other", BOTH)
    proof = host.key().look("n")["key"]["proof"]
    assert other.key().look("n")["key"]["proof"] == proof
    assert other.key().look("m")["key"]["proof"] != proof
    other.path.write_bytes(NEW)
    assert other.key().look("n")["key"]["proof"] != proof
    assert OLD.hex() not in json.dumps(host.key().look("n"))


def test_looking_changes_nothing(host: Host) -> None:
    look = host.key().look("n")
    assert [path.name for path in host.directory.iterdir()] == ["jwt.key"]
    assert look["pending"] is None
    assert look["idle"] is None
    assert look["active"] == list(BOTH)


def test_tokens_are_signed_by_both_keys(host: Host) -> None:
    assert set(host.key().sign("root", 60)) == {"old"}
    stage(host)
    tokens = host.key().sign("root", 60)
    for name, key in (("old", OLD), ("new", NEW)):
        found = jwt.verify(bearer.Token(tokens[name]), jwt.Key(key))
        assert found.user == "root"
        assert found.claims["exp"] - found.claims["iat"] == 60


def test_file_systems_that_hosts_share(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "22 21 0:40 / /shared rw - nfs4 server:/export rw\n"
        "23 22 8:2 / /shared/local\\040disk rw - xfs /dev/sdb rw\n"
    )
    kinds = [
        rotation.shared_filesystem(path, str(table))
        for path in ("/var/key", "/shared/key", "/shared/local disk/key", "/sharedness/key")
    ]
    assert kinds == ["", "nfs4", "", ""]
    assert rotation.shared_filesystem("/key", str(tmp_path / "none")) == ""


def test_listening_ports(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:1AA3 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:1AA1 0100007F:0001 01 00000000:00000000\n"
    )
    assert rotation.is_listening([6819], [str(table)])
    assert not rotation.is_listening([6817], [str(table)])
    assert not rotation.is_listening([6819], [str(tmp_path / "none")])


def test_the_key_that_each_daemon_loads() -> None:
    facts = {"slurm_conf": {"jwt_key_path": "/state/jwt_hs256.key"}, "slurmdbd_conf": {"jwt_key_path": ""}}
    assert rotation.expected_key(facts, "slurmctld") == "/state/jwt_hs256.key"
    assert rotation.expected_key(facts, "slurmdbd") == ""


def test_ports_of_the_daemons() -> None:
    facts = {"slurm_conf": {"slurmctld_port": "6817-6819"}, "slurmdbd_conf": {"dbd_port": "7000"}}
    assert rotation.daemon_ports(facts, "slurmctld") == [6817, 6818, 6819]
    assert rotation.daemon_ports(facts, "slurmdbd") == [7000]
    for odd in ("odd", "7000-", "0", "7001-7000", "²", "1-99999"):  # the last would be as many numbers
        facts["slurmdbd_conf"] = {"dbd_port": odd}
        assert rotation.daemon_ports(facts, "slurmdbd") == []


def test_keys_of_one_file_name_do_not_forget_for_each_other(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    held = {name: rotation.KeyOnHost(str(tmp_path / name / "jwt.key"), ME, state_dir=state) for name in ("a", "b")}
    old = {"a": b"a" * 32, "b": b"b" * 32}
    for name, key in held.items():
        Path(key.path).parent.mkdir()
        Path(key.path + ROLLBACK_SUFFIX).write_bytes(old[name])
        key.keep([f"gone-{name}"])
    for name, key in held.items():
        assert is_retired(key.path, old[name], state) == [f"gone-{name}"]
    held["a"].keep()
    assert is_retired(held["a"].path, old["a"], state) == []
    assert is_retired(held["b"].path, old["b"], state) == ["gone-b"]
    held["b"].keep()
    assert not Path(retired_record(held["b"].path, state)).exists()


def test_a_file_is_readable_as_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(NEW)
    assert rotation.readable_as(str(path), ME)
    assert not rotation.readable_as(str(tmp_path / "none"), ME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_in_a_closed_directory_is_not_readable_as_another(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "key"
    path.write_bytes(NEW)
    path.chmod(0o644)
    assert not rotation.readable_as(str(path), "nobody")


def test_controllers_as_scontrol_ping_lists_them(host: Host) -> None:
    assert members.controllers(Slurm(run=host.run)) == {"primary ctl": "UP"}


def test_clusters_as_sacctmgr_lists_them(host: Host) -> None:
    host.known_clusters = ("lab|10.0.0.1", "gone|")
    assert members.clusters(Slurm(run=host.run)) == {"gone": "", "lab": "10.0.0.1"}


@pytest.mark.parametrize(
    ("accounting", "said", "dbd", "names", "found"),
    [
        (True, [], [], ["slurmctld"], ["localhost"]),
        (True, ["db"], [], ["slurmctld"], ["db"]),
        (True, ["vip"], ["db", "db2"], ["slurmctld", "slurmdbd"], ["db", "db2"]),
        (True, ["vip"], ["db", "db2"], ["slurmctld"], ["vip"]),
        (False, ["db"], [], ["slurmctld"], []),
        (False, [], ["db"], ["slurmdbd"], ["db"]),
    ],
)
def test_the_hosts_that_the_configuration_names(
    accounting: bool, said: list[str], dbd: list[str], names: list[str], found: list[str]
) -> None:
    conf = {"accounting": accounting, "accounting_storage_hosts": said, "slurmctld_hosts": ["a", "b"]}
    facts = {"slurm_conf": conf, "slurmdbd_conf": {"dbd_hosts": dbd}}
    assert rotation.named_hosts(facts, names) == {"slurmctld": ["a", "b"], "slurmdbd": found}


@pytest.mark.parametrize(("ctl", "dbd", "both"), [(True, False, False), (False, True, False), (True, True, True)])
def test_a_host_is_ours_when_the_files_of_all_its_daemons_are(ctl: bool, dbd: bool, both: bool) -> None:
    facts = {"slurm_conf": {"ours": ctl}, "slurmdbd_conf": {"ours": dbd}}
    assert rotation.written_by_us(facts, ["slurmctld"]) is ctl
    assert rotation.written_by_us(facts, ["slurmdbd"]) is dbd
    assert rotation.written_by_us(facts, ["slurmdbd", "slurmctld"]) is both
