"""Lines of journals and of log files: which are kept, whose they are, and of which start."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from slurmrest.auth import jwt
from slurmrest.doctor import logs as module
from slurmrest.doctor.log_files import trouble_in

from tests.unit.doctor.test_evidence import program, tools

__all__ = ("tools",)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")
ME = pwd.getpwuid(os.geteuid()).pw_name
TOKEN = jwt.encode(jwt.claims_for("root"), jwt.Key(b"k" * 32)).reveal()
UNIT = "slurmctld.service"


def journal_line(age: float, message: object, invocation: str, now: float, **more: str) -> str:
    entry = {"MESSAGE": message, "_PID": "7", "__REALTIME_TIMESTAMP": str(int((now - age) * 1e6))}
    sent = {"_SYSTEMD_UNIT": UNIT, "_SYSTEMD_INVOCATION_ID": invocation} if invocation else {}
    return json.dumps({**entry, **sent, **more})


def read(unit: str = UNIT) -> list[dict[str, Any]]:
    return module.lines(module.ask(unit), unit)


def test_of_a_journal_the_trouble_is_kept_latest_run_first(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)  # type: ignore[attr-defined]
    lines = [
        journal_line(50, "slurmrestd: fatal: earlier", "one", now),
        journal_line(30, "slurmrestd: everything is fine", "two", now),
        journal_line(20, [1, 2, 3], "two", now),
        journal_line(10, f"error: refused {TOKEN}", "two", now),
        journal_line(10, f"slurmrestd: error: refused {TOKEN}", "two", now),
        journal_line(10, f"[2026-11-20T12:00:00.123] error: refused {TOKEN}", "two", now),
        "no JSON",
    ]
    program(tools / "journalctl", "cat <<'END'\n{}\nEND".format("\n".join(lines)))
    found = read()
    assert found == [
        {"age": 50.0, "run": 1, "text": "fatal: earlier"},
        {"age": 10.0, "run": 0, "text": "error: refused (redacted)"},
    ]


@pytest.mark.parametrize("field", ["UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT", "INVOCATION_ID"])
def test_a_daemon_cannot_have_the_look_end_by_what_it_sends(tools: Path, field: str) -> None:
    """A field that is sent twice is a list, and so is one with bytes that are no text."""
    now = 1_800_000_000.0
    sent = json.loads(journal_line(5, "error: and more", "one", now))
    lines = [journal_line(9, "error: refused", "one", now), json.dumps({**sent, field: ["a", "b"]})]
    program(tools / "journalctl", "cat <<'END'\n{}\nEND".format("\n".join(lines)))
    assert [line["text"] for line in read()] == ["error: refused", "error: and more"]


def test_a_fatal_of_several_lines_is_kept_whole(tools: Path) -> None:
    now = 1_800_000_000.0
    lines = [
        journal_line(9, "slurmctld: CLUSTER of an earlier run", "one", now),
        journal_line(8, "slurmctld: slurmctld version 24.11.5 started", "two", now),
        journal_line(7, "slurmctld: fatal: CLUSTER ID MISMATCH.", "two", now),
        journal_line(7, "started with ClusterID=2675 from StateSaveLocation", "two", now),
        journal_line(7, "this WILL CAUSE CORRUPTION: no such", "two", now),
        journal_line(6, "slurmctld.service: Main process exited, code=exited, status=1/FAILURE", "two", now),
        journal_line(5, "slurmctld: a word of the run after", "three", now),
    ]
    program(tools / "journalctl", "cat <<'END'\n{}\nEND".format("\n".join(lines)))
    assert [line["text"].partition(":")[0] for line in read()] == [
        "fatal",
        "started with ClusterID=2675 from StateSaveLocation",
        "this WILL CAUSE CORRUPTION",
        "slurmctld.service",
    ]


def systemds(age: float, message: str, invocation: str, now: float) -> str:
    """What systemd tells of the unit: it is the sender."""
    sent = {"_SYSTEMD_UNIT": "init.scope", "UNIT": UNIT, "INVOCATION_ID": invocation}
    return journal_line(age, message, "", now, **sent)


def test_lines_of_a_process_that_is_gone_are_of_the_run_that_systemd_tells_the_end_of(tools: Path) -> None:
    """Journald could not read their unit any more."""
    now = 1_800_000_000.0
    lines = [
        systemds(50, "Started slurmctld.service", "one", now),
        journal_line(49, "fatal: of the first", "", now),
        systemds(48, "slurmctld.service: Failed with result 'exit-code'.", "one", now),
        systemds(30, "Started slurmctld.service", "two", now),
        journal_line(29, "error: job_submit/lua: Unable to stat /etc/slurm/job_submit.lua", "", now),
        journal_line(29, "fatal: failed to initialize job_submit plugin", "", now),
        journal_line(28, "fatal: of another unit that calls itself so", "x", now, _SYSTEMD_UNIT="session-1.scope"),
        systemds(28, "slurmctld.service: Failed with result 'exit-code'.", "two", now),
    ]
    program(tools / "journalctl", "cat <<'END'\n{}\nEND".format("\n".join(lines)))
    assert [(line["run"], line["text"]) for line in read()] == [
        (1, "fatal: of the first"),
        (1, "slurmctld.service: Failed with result 'exit-code'."),
        (0, "error: job_submit/lua: Unable to stat /etc/slurm/job_submit.lua"),
        (0, "fatal: failed to initialize job_submit plugin"),
        (0, "slurmctld.service: Failed with result 'exit-code'."),
    ]


def test_what_comes_before_systemd_tells_the_end_is_of_the_latest_run(tools: Path) -> None:
    now = 1_800_000_000.0
    lines = [systemds(9, "Stopped slurmctld.service", "one", now), journal_line(8, "fatal: just now", "", now)]
    program(tools / "journalctl", "cat <<'END'\n{}\nEND".format("\n".join(lines)))
    assert [line["run"] for line in read()] == [0, 0]


def test_the_journal_is_asked_for_the_unit_and_for_the_accounts_of_the_daemon(tools: Path) -> None:
    program(tools / "journalctl", """printf '{"MESSAGE": "error: %s"}\\n' "$*\"""")
    (line,) = module.lines(module.ask(UNIT, "slurmctld", {64030, 0}), UNIT)
    asked = line["text"].rpartition("UNIT ")[2]
    assert asked == (
        f"_SYSTEMD_UNIT={UNIT} + _PID=1 UNIT={UNIT} + _UID=0 OBJECT_SYSTEMD_UNIT={UNIT} + _UID=0 COREDUMP_UNIT={UNIT} "
        "+ _UID=0 SYSLOG_IDENTIFIER=slurmctld + _UID=64030 SYSLOG_IDENTIFIER=slurmctld"
    )
    program(tools / "journalctl", """printf '{"MESSAGE": "error: %s"}\\n' "$*\"""")
    (line,) = module.lines(module.ask("slurmrestd@a.service", uids=[0]), "slurmrestd@a.service")
    assert "SYSLOG_IDENTIFIER" not in line["text"]


def test_the_end_of_a_log_file(tmp_path: Path) -> None:
    log = tmp_path / "slurmctld.log"
    log.write_text("fine\n" * 3 + f"error: one {TOKEN}\n" + "fine\n" + "fatal: two\n")
    conf = {"entries": [{"key": "slurmctldlogfile", "value": str(log), "origin": f"{tmp_path}/conf:1"}]}
    assert trouble_in(conf, "slurmctldlogfile", ME) == ["error: one (redacted)", "fatal: two"]
    assert trouble_in(None, "slurmctldlogfile", ME) == []
    assert trouble_in({"entries": [{**conf["entries"][0], "key": "logfile", "value": "/no/such"}]}, "logfile", ME) == []


@root_only
@pytest.mark.parametrize("slurm_user", ["nobody", "root", "no-such-account"])
def test_a_log_file_that_another_account_names_is_its_own(tmp_path: Path, slurm_user: str) -> None:
    log, conf = tmp_path / "log", tmp_path / "slurmdbd.conf"
    log.write_text("fatal: roots\n")
    conf.write_text(f"LogFile={log}\n")
    entries = {"entries": [{"key": "logfile", "value": str(log), "origin": f"{conf}:1"}]}
    assert trouble_in(entries, "logfile", slurm_user) == ["fatal: roots"]
    os.chown(conf, 65534, 65534)
    assert trouble_in(entries, "logfile", slurm_user) == []
    os.chown(log, 65534, 65534)
    assert trouble_in(entries, "logfile", slurm_user) == ["fatal: roots"]


@root_only
def test_a_log_file_behind_a_link_of_another_account(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("fatal: roots\n")
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    os.lchown(tmp_path / "log", 65534, 65534)
    entry = {"key": "logfile", "value": f"{tmp_path}/log", "origin": f"{tmp_path}/conf:1"}
    assert trouble_in({"entries": [entry]}, "logfile", "nobody") == []


def test_what_systemd_passes_over_is_no_trouble(tools: Path) -> None:
    now = 1_800_000_000.0
    hostname = "ProtectHostname=yes is configured, but UTS namespace setup is prohibited (container manager?), "
    said = [
        f"{UNIT}: {hostname}ignoring namespace setup.",
        f"{UNIT}: Failed to set up network namespacing, ignoring: Operation not permitted",
        f"{UNIT}: unit configures an IP firewall, but the local system does not support BPF/cgroup firewalling.",
        "error: nodes: ignoring the duplicate",
        "Usage: slurmrestd [OPTIONS] [host:port]...",
        f"{UNIT}: start operation timed out. Terminating.",
        f"{UNIT}: State 'stop-sigterm' timed out. Killing.",
    ]
    lines = "\n".join(journal_line(9, text, "one", now) for text in said)
    program(tools / "journalctl", f"cat <<'END'\n{lines}\nEND")
    assert [line["text"] for line in read()] == said[3:]
