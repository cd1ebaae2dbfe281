"""What a doctor sees of a host: units as systemctl shows them, lines of logs, files, keys; nothing secret among it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

import pytest
from slurmrest.auth import jwt
from slurmrest.doctor import evidence as module
from slurmrest.doctor import munge, thorough, unit_states
from slurmrest.doctor.judgement import judged
from slurmrest.facts import host
from slurmrest.host import programs
from slurmrest.redaction import REDACTED

from tests.unit.doctor.test_doctor import RECORDED, evidence, judge

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")
ME = pwd.getpwuid(os.geteuid()).pw_name
TOKEN = jwt.encode(jwt.claims_for("root"), jwt.Key(b"k" * 32)).reveal()
SHOW = """\
Id=slurmrestd.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
UnitFileState=enabled
Result=exit-code
NRestarts=4
MainPID=0
ExecMainStatus=1
InactiveEnterTimestampMonotonic=1000000
ConditionResult=yes
NeedDaemonReload=yes
Job=0

Id=slurmctld.service
LoadState=not-found
ActiveState=inactive
"""


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setattr(programs, "PATH", f"{directory}:/usr/bin:/bin")
    return directory


def test_units_are_read_as_systemctl_shows_them(tools: Path) -> None:
    program(tools / "systemctl", f"cat <<'END'\n{SHOW}END")
    shown = thorough.settled()
    assert shown["slurmrestd"]["sub"] == "auto-restart"
    assert shown["slurmrestd"]["restarts"] == 4
    assert shown["slurmrestd"]["age"] > 0
    assert shown["slurmrestd"]["needs_reload"]
    assert shown["slurmrestd"]["job"] == ""
    assert shown["slurmctld"]["load"] == "not-found"
    assert "munge" not in shown


@pytest.mark.parametrize(
    ("shown", "lets"),
    [("", True), ("read unshare write", True), ("read write", False), ("~unshare", False), ("~reboot", True)],
)
def test_filters_of_system_calls_allow_what_they_list_or_deny_it(shown: str, lets: bool) -> None:
    assert unit_states._lets_unshare(shown) is lets


def test_unshare_is_tried_and_the_refusal_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def unshare(self, flags: int) -> int:
            assert flags == 0x40000
            ctypes.set_errno(errno.EPERM)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    assert thorough._unshare() == "Operation not permitted"


@pytest.mark.parametrize(
    ("fields", "moving"),
    [
        ({"active": "active", "age": 60.0}, False),
        ({"active": "active", "age": 0.5}, True),
        ({"active": "active", "age": 60.0, "job": "123"}, True),
        ({"active": "activating", "age": 1.0}, True),
        ({"active": "activating", "sub": "auto-restart", "age": 1.0}, False),
        ({"active": "failed", "age": 0.5}, False),
    ],
)
def test_units_on_their_way_are_looked_at_again(fields: dict[str, Any], moving: bool) -> None:
    assert thorough._moving({"sub": "running", "job": "", **fields}) is moving


def test_it_waits_for_a_unit_that_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    still = {"slurmctld": {"active": "activating", "sub": "start", "job": "", "age": 1.0}}
    there = {"slurmctld": {"active": "active", "sub": "running", "job": "", "age": 9.0}}
    answers = iter([still, still, there])
    monkeypatch.setattr(unit_states, "look", lambda _slurmrestd: next(answers))
    assert thorough.settled() == there


@root_only
def test_a_file_that_another_account_may_not_read_is_in_no_configuration_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("user=root\npassword=hunter2\n")
    conf = tmp_path / "slurmdbd.conf"
    conf.write_text("DbdHost=db\nInclude secret\n")
    found = module._conf(str(conf))
    assert found is not None
    assert [entry["key"] for entry in found["entries"]] == ["dbdhost", "user", "password"]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        conf = conf.rename(f"{directory}/slurmdbd.conf")
        conf.write_text(f"DbdHost=db\nInclude {tmp_path}/secret\n")
        os.chown(conf, 65534, 65534)
        found = module._conf(str(conf))
    assert found is not None
    assert [entry["key"] for entry in found["entries"]] == ["dbdhost"]


def test_passwords_do_not_come_along_with_a_configuration(tmp_path: Path) -> None:
    conf = tmp_path / "slurmdbd.conf"
    conf.write_text("DbdHost=db\nStoragePass=hunter2\n")
    found = module._conf(str(conf))
    assert found is not None
    assert found["entries"][0]["origin"] == f"{conf}:1"
    assert "hunter2" not in json.dumps(found)
    assert REDACTED in json.dumps(found)
    assert module._conf(str(tmp_path / "none")) is None


def test_of_the_environment_only_what_is_known_to_be_harmless_is_shown() -> None:
    seen = module._safe({"PATH": "/bin", "SLURM_JWT": TOKEN, "SLURMRESTD_LISTEN": "0.0.0.0:6820", "SLURM_X": "y"})
    assert seen == {"SLURMRESTD_LISTEN": "0.0.0.0:6820", "SLURM_JWT": REDACTED, "SLURM_X": REDACTED}
    assert module._safe({"SLURM_JWT": "daemon"}) == {"SLURM_JWT": "daemon"}


def seen_key(path: Path, reader: str, salt: str) -> dict[str, Any]:
    """Return what is seen of a key, judged, with its fingerprint."""
    key = thorough._with_fingerprint(module._key(str(path), reader), salt)
    found: dict[str, Any] = judged({"keys": {"slurmctld": key}, "controllers": None})["keys"]["slurmctld"]
    return found


def test_keys_are_compared_without_being_shown(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    for path, content in ((one, b"a" * 32), (two, b"a" * 32), (other, b"b" * 32)):
        path.write_bytes(content)
        path.chmod(0o600)
    seen = {path.name: seen_key(path, ME, "salt") for path in (one, two, other)}
    assert seen["one"]["fingerprint"] == seen["two"]["fingerprint"] != seen["other"]["fingerprint"]
    assert seen_key(one, ME, "another salt")["fingerprint"] != seen["one"]["fingerprint"]
    assert seen_key(one, ME, "")["fingerprint"] is None
    assert seen["one"]["problems"] == []
    assert (seen["one"]["inode"], seen["one"]["size"]) == (one.stat().st_ino, 32)


def test_a_key_in_a_rotation_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rotation_record", lambda path: f"{path}.record")
    key = tmp_path / "key"
    key.write_bytes(b"a" * 32)
    assert seen_key(key, ME, "")["rotating"] is False
    (tmp_path / "key.record").touch()
    assert seen_key(key, ME, "")["rotating"] is True


@root_only
def test_a_key_of_another_account_in_a_directory_of_a_third_is_described_and_not_read(tmp_path: Path) -> None:
    key = tmp_path / "jwt" / "key"
    key.parent.mkdir()
    key.write_bytes(b"k" * 32)
    os.chown(key, 65534, 65534)
    os.chown(key.parent, 64999, 64999)
    facts = seen_key(key, ME, "salt")
    assert (facts["error"], facts["fingerprint"], facts["uid"]) == (None, None, 65534)
    assert facts["problems"]


def test_a_key_that_cannot_be_looked_at(tmp_path: Path) -> None:
    assert "no-such-account" in seen_key(tmp_path, "no-such-account", "")["error"]
    missing = seen_key(tmp_path / "missing", ME, "salt")
    assert (missing["exists"], missing["error"], missing["fingerprint"]) == (False, None, None)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("export SLURM_JWT=abc\n", [1]),
        ("# export SLURM_JWT=abc\nSLURM_JWT=abc\n", [2]),
        ('DefaultEnvironment="SLURM_JWT=abc"\n', [1]),
        ("export $(scontrol token)\n", [1]),
        ("unset SLURM_JWT\nexport OTHER=1\n", []),
        ("setenv SLURM_JWT abc\n", [1]),
    ],
)
def test_where_the_variable_is_exported(
    text: str, lines: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "profile"
    file.write_text(text)
    monkeypatch.setattr(thorough, "_EXPORTING_FILES", (str(tmp_path / "*"),))
    assert thorough._exported() == [f"{file}:{line}" for line in lines]


def test_the_environment_file_of_the_daemon_itself_is_no_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slurmrestd").write_text("SLURM_JWT=daemon\n")
    monkeypatch.setattr(thorough, "_EXPORTING_FILES", (str(tmp_path / "*"),))
    assert thorough._exported() == []


def test_who_may_change_a_file(tmp_path: Path) -> None:
    file = tmp_path / "50-slurmrest.conf"
    file.write_text("")
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    account = {"name": "x", "exists": True, "uid": 4242, "gid": 4242, "gids": []}
    seen = module._file(str(file), account)
    assert (seen["account_writes"], seen["account_replaces"]) == (False, False)
    file.chmod(0o646)
    assert module._file(str(file), account)["account_writes"]
    tmp_path.chmod(0o757)
    assert module._file(str(file), account)["account_replaces"]
    owner = {**account, "uid": file.stat().st_uid}
    assert module._file(str(file), owner)["account_writes"] is (owner["uid"] != 0)


def test_a_quick_look_neither_waits_nor_reads_journals(tools: Path, tmp_path: Path) -> None:
    program(
        tools / "systemctl",
        f"echo asked >> {tmp_path}/systemctl\ncat <<'END'\n{SHOW.replace('auto-restart', 'start')}END",
    )
    program(tools / "journalctl", f"touch {tmp_path}/journalctl")
    seen = module.gather({})
    assert seen["units"]["slurmrestd"]["active"] == "activating"
    assert seen["journal"] == {}
    assert not (tmp_path / "journalctl").exists()
    assert (tmp_path / "systemctl").read_text().count("asked") <= 3  # not until it has started


@pytest.mark.parametrize("release", sorted(RECORDED))
def test_a_quick_look_has_all_that_a_deployment_is_judged_by(release: str, tools: Path) -> None:
    """Of every fault that was recorded: before a deployment no verdict is by what only a thorough look sees."""
    program(tools / "systemctl", "exit 1")
    quick = {"asked", *module.gather({})}
    slow = {"http", "token_refused", "reach", "journal", "not_here", "manager"}
    for fault, recorded in RECORDED[release]["faults"].items():
        data = evidence(fault, release=release, layout=recorded["layout"])
        for own in data["hosts"].values():
            own.update(dict.fromkeys(slow & own.keys()), journal={})
        whole = judge(data, preflight=True)
        for name, own in data["hosts"].items():
            data["hosts"][name] = {key: value for key, value in own.items() if key in quick}
        assert judge(data, preflight=True) == whole, fault


def test_a_whole_host_gives_plain_data(tools: Path) -> None:
    """On whatever host the tests run: nothing fails where there is no Slurm and no systemd."""
    program(tools / "systemctl", "exit 1")
    program(tools / "journalctl", "exit 1")
    seen = thorough.gather({"users": ["root", "no-such-user"], "listen": ["127.0.0.1:1"], "salt": "x"})
    assert json.loads(json.dumps(seen)) == seen
    assert seen["users"] == {"root": {"exists": True, "uid": 0}, "no-such-user": {"exists": False, "uid": None}}
    assert seen["units"] == {}
    assert seen["roles"] == []


def test_one_look_serves_the_facts_and_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def look(options: dict[str, Any], columns: Any) -> dict[str, Any]:
        asked.append(options)
        return real(options, columns)

    real = host.look
    monkeypatch.setattr(host, "look", look)
    options = {"account": ME, "listen": ["127.0.0.1:6820", "unix:/run/a/b", "nonsense"], "groups": ["g"]}
    found = module.look(options)
    assert set(found["paths"]) == {"/run/a/b", "/run/a"}
    assert found["groups"] == {"g": None}
    kept = list(found["packages"])
    seen = module.gather(options, found)
    assert len(asked) == 1
    assert seen["facts"]["account"] == found["account"]
    assert found["packages"] == kept
    assert not [name for name in seen["facts"]["packages"] if "slurm" not in name and "munge" not in name]


def test_munge_of_a_host_without_slurm_conf_is_that_of_slurmdbd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such hosts are usual; their munge was not looked at, nor its key compared."""
    facts: dict[str, Any] = dict(host.look({}, ()))
    for name in ("slurm_conf", "slurmdbd_conf"):
        facts[name] = {**facts[name], "auth_type": "auth/munge", "path": f"/nowhere/{name}"}
    asked: list[str] = []

    def look(conf: dict[str, Any], _entries: object) -> dict[str, Any]:
        asked.append(conf["path"])
        return {}

    monkeypatch.setattr(munge, "look", look)
    for slurm, slurmdbd in ((False, True), (True, True), (False, False)):
        facts["slurm_conf"]["readable"], facts["slurmdbd_conf"]["readable"] = slurm, slurmdbd
        module.gather({"roles": ["slurmdbd"]}, facts)
    assert asked == ["/nowhere/slurmdbd_conf", "/nowhere/slurm_conf", "/nowhere/slurm_conf"]


@pytest.mark.parametrize(("uid", "seen"), [(0, True), (64030, True), (64031, True), (None, True), (1000, False)])
def test_a_socket_that_others_call_by_slurmrestd_s_path_is_not_slurmrestd_s(
    uid: int | None, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a mount namespace of one's own any path can be made; an address of TCP is taken, whoever has it."""
    entries = [{"kind": kind, "uid": uid, "program": "slurmrestd"} for kind in ("tcp", "unix")]
    monkeypatch.setattr(module, "listening_sockets", lambda _where: entries)
    found = module._listening({}, {"account": {"uid": 64030}}, {"uid": 64031})
    assert [entry["kind"] for entry in found] == ["tcp", "unix"][: 2 if seen else 1]
