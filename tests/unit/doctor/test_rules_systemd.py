"""What systemd demands for a daemon: units that it needs, signs of life, values that it takes, steps before it runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.doctor import endings, unit_evidence, unit_states
from slurmrest.host import proc, programs
from slurmrest.slurmrestd import unit_places

from tests.unit.doctor.test_doctor import evidence, ids, judge
from tests.unit.doctor.test_rules_confinement import SITE, broken, unheard
from tests.unit.doctor.test_rules_start import AGAIN, say

if TYPE_CHECKING:
    from pathlib import Path

DAEMONS = ["slurmrestd", "slurmctld", "slurmdbd"]
NEED = {"key": "Requires", "unit": "site-secrets.service", "LoadState": "loaded", "ActiveState": "failed"}


def stopped(daemon: str) -> dict[str, Any]:
    data = broken() if daemon == "slurmrestd" else evidence()
    host = data["hosts"]["node1"]
    host["units"][daemon].update(active="inactive", sub="dead", result="success", pid=0)
    host["token_refused"] = "slurm_load: Unable to contact slurm controller" if daemon == "slurmctld" else None
    return data


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_unit_that_a_daemon_needs_and_that_fails(daemon: str) -> None:
    data = stopped(daemon)
    host = data["hosts"]["node1"]
    host["needs_unmet"] = {daemon: [{**NEED, "Result": "exit-code"}, {**NEED, "ActiveState": "inactive", "Result": ""}]}
    say(data, f"Dependency failed for {daemon}.service - a daemon.", daemon=daemon)
    (finding,) = judge(data).findings
    assert finding.id == "unit-dependency-fails"
    assert f"The unit of {daemon} needs a unit that does not run: site-secrets.service is failed, exit-code." in (
        finding.cause
    )
    assert finding.evidence[0] == f"{daemon}: Requires=site-secrets.service (systemctl show)"
    assert "journalctl -u site-secrets.service" in finding.remedy
    assert finding.by_hand
    host["units"][daemon].update(active="active", sub="running", pid=7)
    assert "unit-dependency-fails" not in ids(judge(data))


def test_a_unit_that_is_needed_and_not_there() -> None:
    data = stopped("slurmrestd")
    need = {**NEED, "LoadState": "not-found", "ActiveState": "inactive", "Result": "success"}
    data["hosts"]["node1"]["needs_unmet"] = {"slurmrestd": [need]}
    assert "site-secrets.service is not found" in judge(data).findings[0].cause
    need["LoadState"] = "loaded"
    assert ids(judge(data)) == ["slurmrestd-stopped"], "one that is started with it, as a rule"


@pytest.mark.parametrize("unit", ["munge.service", "mariadb.service", "slurmctld.service"])
def test_of_what_has_rules_of_its_own_those_speak(unit: str) -> None:
    data = stopped("slurmrestd")
    data["hosts"]["node1"]["needs_unmet"] = {"slurmrestd": [{**NEED, "unit": unit, "Result": "exit-code"}]}
    say(data, "Dependency failed for slurmrestd.service - a daemon.")
    assert "unit-dependency-fails" not in ids(judge(data))


def test_a_daemon_that_ended_by_itself_needs_no_other_reason() -> None:
    data = broken(words="fatal: something else")
    data["hosts"]["node1"]["needs_unmet"] = {"slurmrestd": [{**NEED, "Result": "exit-code"}]}
    assert ids(judge(data)) == ["slurmrestd-failed"]


def test_what_units_need_is_asked_where_they_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        asked.append(command)
        shown = (
            "Id=a.service\nLoadState=loaded\nActiveState=failed\nResult=exit-code\n\n"
            "Id=sysinit.target\nLoadState=loaded\nActiveState=active\n"
        )
        return SimpleNamespace(stdout=shown)

    monkeypatch.setattr(programs, "run", run)
    fields = {"active": "inactive", "needs": {"Requires": ["sysinit.target"], "BindsTo": ["a.service"]}}
    assert unit_states.needs_unmet({"slurmctld": {**fields, "active": "active"}, "munge": fields}) == {}
    assert not asked
    unmet = {
        "key": "BindsTo",
        "unit": "a.service",
        "LoadState": "loaded",
        "ActiveState": "failed",
        "Result": "exit-code",
    }
    assert unit_states.needs_unmet({"slurmctld": fields, "slurmdbd": {"active": "failed"}}) == {"slurmctld": [unmet]}


def test_lines_that_demand_something_are_read_from_units(tmp_path: Path) -> None:
    unit = tmp_path / "slurmctld.service"
    unit.write_text("[Service]\nWatchdogSec=3\nNice=1\n")
    fields = {"fragment": str(unit), "dropins": []}
    assert unit_evidence.lines(unit_evidence.effective({"slurmctld": fields, "munge": fields})) == {
        "slurmctld": [{"key": "WatchdogSec", "value": "3", "origin": f"{unit}:2"}]
    }


def watched(daemon: str, origin: str = f"{SITE}:2", value: str = "3") -> dict[str, Any]:
    data = evidence()
    data["hosts"]["node1"]["unit_lines"] = {daemon: [{"key": "WatchdogSec", "value": value, "origin": origin}]}
    say(data, f"{daemon}.service: Watchdog timeout (limit 3s)!", daemon=daemon)
    return data


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_watchdog_that_nobody_feeds(daemon: str) -> None:
    data = watched(daemon)
    (finding,) = judge(data).findings
    assert finding.id == "unit-watchdog", "also where it runs just now"
    assert finding.evidence[0] == f"{SITE}:2: WatchdogSec=3"
    assert finding.remedy == (
        f"`sed -i --follow-symlinks '2d' {SITE}`, `systemctl daemon-reload`, then {AGAIN}"
    ).replace("slurmrestd;", f"{daemon};").replace("restart slurmrestd`", f"restart {daemon}`")
    host = data["hosts"]["node1"]
    if daemon == "slurmrestd":
        host["units"][daemon].update(active="activating", sub="auto-restart", result="watchdog", restarts=4)
        assert ids(judge(data)) == ["unit-watchdog"]
    host["unit_lines"] = {}
    assert "unit-watchdog" not in ids(judge(data))


def test_a_watchdog_of_others_and_none() -> None:
    assert judge(watched("slurmrestd", value="0")).healthy
    assert "slurmrestd_service_sandbox" in judge(watched("slurmrestd", f"{unit_places.DROPIN}:9")).findings[0].remedy
    data = watched("slurmctld", "/usr/lib/systemd/system/slurmctld.service:9")
    data["hosts"]["node1"]["units"]["slurmctld"]["fragment"] = "/usr/lib/systemd/system/slurmctld.service"
    (finding,) = judge(data).findings
    assert "State WatchdogSec=0 in a drop-in" in finding.remedy
    assert finding.by_hand


def test_sockets_that_the_unit_of_slurmctld_denies() -> None:
    data = stopped("slurmctld")
    host = data["hosts"]["node1"]
    host["units"]["slurmctld"].update(active="failed", sub="failed", result="exit-code")
    host["unit_lines"] = {
        "slurmctld": [{"key": "RestrictAddressFamilies", "value": "AF_UNIX", "origin": "/etc/x.conf:2"}]
    }
    say(data, "fatal: socket: Address family not supported by protocol", daemon="slurmctld")
    (finding,) = judge(data).findings
    assert finding.id == "unit-denies-sockets"
    assert finding.remedy.startswith("`sed -i --follow-symlinks '2d' /etc/x.conf`")


INVALID = "fatal: Invalid env SLURMRESTD_DEBUG: loud"


def invalid(origin: str = f"{SITE}:2") -> dict[str, Any]:
    data = broken(words=INVALID)
    unit = data["hosts"]["node1"]["facts"]["unit"]
    if origin:
        unit["environment"]["SLURMRESTD_DEBUG"] = "loud"
        unit["environment_origins"]["SLURMRESTD_DEBUG"] = origin
    return data


def test_a_variable_that_slurmrestd_does_not_take() -> None:
    data = invalid()
    (finding,) = judge(data).findings
    assert finding.id == "variable-invalid"
    assert finding.evidence == [f"{SITE}:2: SLURMRESTD_DEBUG=loud", f"journal of slurmrestd: {INVALID}"]
    assert finding.remedy == f"`sed -i --follow-symlinks '2d' {SITE}`, `systemctl daemon-reload`, then {AGAIN}"
    data["hosts"]["node1"]["facts"]["unit"]["environment_origins"]["OTHER"] = f"{SITE}:2"
    assert judge(data).findings[0].by_hand, "the line has another one, too"


def test_a_variable_of_other_places() -> None:
    assert "slurmrestd_service_environment" in judge(invalid(f"{unit_places.DROPIN}:9")).findings[0].remedy
    data = invalid("")
    assert "no file of the unit sets it" in judge(data).findings[0].evidence
    data["hosts"]["node1"]["manager"] = ["SLURMRESTD_DEBUG"]
    assert "`systemctl unset-environment SLURMRESTD_DEBUG`" in judge(data).findings[0].remedy


def test_a_drop_in_that_asks_for_what_only_root_may() -> None:
    data = broken(words="fatal: slurmrestd must run as root in become_user mode")
    host = data["hosts"]["node1"]
    host["facts"]["unit"]["dropins"] = [unit_places.DROPIN, SITE]
    setting = {"file": SITE, "line": 2, "setting": "SLURMRESTD_SECURITY", "value": "become_user"}
    host["facts"]["contradictions"] = [setting]
    (finding,) = judge(data).findings
    assert finding.id == "foreign-dropin"
    say(data, "fatal: something else")
    assert ids(judge(data)) == ["foreign-dropin", "slurmrestd-failed"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "CHDIR"),
        (208, "STDIN"),
        (209, "STDOUT"),
        (217, "USER"),
        (238, "STATE_DIRECTORY"),
        (243, "CREDENTIALS"),
    ],
)
def test_steps_of_systemd_before_a_program_runs(status: int, words: str) -> None:
    data = stopped("slurmctld")
    host = data["hosts"]["node1"]
    host["units"]["slurmctld"].update(active="failed", sub="failed", result="exit-code", exit_status=status)
    command = {"key": "ExecStartPre", "path": "/bin/true", "command": "/bin/true", "ended": f"exit code {status}"}
    host["commands_failed"] = {"slurmctld": [{**command, "origin": "/etc/x.conf:2"}]}
    said = f"slurmctld.service: Main process exited, code=exited, status={status}/{words}"
    say(data, said, "slurmctld.service: Failed with result 'exit-code'.", daemon="slurmctld")
    (finding,) = judge(data).findings
    assert finding.id == "slurmctld-failed"
    assert "systemd cannot" in finding.cause
    assert finding.evidence[0] == f"journal of slurmctld: {said}"
    assert "setpriv" not in finding.remedy


def test_a_terminal_is_no_help_where_systemd_gives_up() -> None:
    assert "setpriv" in endings.silent((), "slurmctld", "slurm", 1)[1]
    assert "setpriv" not in endings.silent((), "slurmctld", "slurm", 219)[1]
    assert endings.meaning(["x.service: Failed at step EXEC spawning /x: No"])[0].startswith("systemd cannot run")  # type: ignore[index]


@pytest.mark.parametrize("how", ["signal 15/TERM", "exit code 3"])
def test_a_command_that_systemd_cut_off(how: str) -> None:
    data = broken()
    host = data["hosts"]["node1"]
    command = {"key": "ExecStartPre", "path": "/bin/sleep", "command": "/bin/sleep 4", "ended": how}
    host["commands_failed"] = {"slurmrestd": [{**command, "origin": f"{SITE}:2"}]}
    host["units"]["slurmrestd"].update(result="timeout")
    say(data, "slurmrestd.service: start-pre operation timed out. Terminating.")
    (finding,) = judge(data).findings
    assert finding.id == "unit-command-fails"
    cut = how.startswith("signal")
    assert ("cut off by systemd, since TimeoutStartSec= was over" in finding.cause) is cut
    assert ("raise TimeoutStartSec=" in finding.remedy) is cut


@pytest.mark.parametrize("key", ["LimitAS", "LimitDATA", "MemoryMax"])
def test_too_little_memory(key: str) -> None:
    data = broken((key, "60M"), words="slurmrestd.service: Failed with result 'oom-kill'.")
    assert ids(judge(data)) == ["unit-confines"]
    data = broken((key, "60M"), words="fatal: malloc failed")
    assert ids(judge(data)) == ["unit-confines"]
    assert ids(judge(broken((key, "60M"), words="fatal: something else"))) == ["slurmrestd-failed"]
    assert "unit-confines" not in ids(judge(broken((key, "infinity"), words="fatal: malloc failed")))
    mute = ids(judge(broken((key, "60M"), down=False)))
    assert mute == (["not-listening"] if key == "MemoryMax" else ["unit-confines"])
    assert ids(judge(broken((key, "8G"), down=False))) == ["not-listening"]


def test_too_little_memory_to_answer() -> None:
    data = unheard(("LimitAS", "60M"), kind="refused")
    listeners = data["hosts"]["node1"]["http"]["listeners"]
    assert ids(judge(data)) == ["listener-silent"], "another listener answers"
    listeners[1]["status"] = None
    assert ids(judge(data)) == ["unit-confines"]


def test_the_unit_that_has_the_port_is_named() -> None:
    data = broken()
    host = data["hosts"]["node1"]
    taken = {"kind": "tcp", "host": "0.0.0.0", "port": 6820, "path": "", "uid": 0, "pid": 77, "program": "slurmrestd"}
    host["listening"] = [{**taken, "unit": "slurmrestd-test.service"}]
    (finding,) = (found for found in judge(data).findings if found.id == "port-taken")
    assert "slurmrestd (of slurmrestd-test.service) has port 6820" in finding.cause
    assert finding.remedy.startswith("Stop slurmrestd-test.service, or")
    host["listening"] = [taken]
    (finding,) = (found for found in judge(data).findings if found.id == "port-taken")
    assert finding.cause.startswith("slurmrestd has port 6820")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("9:name=systemd:/\n0::/system.slice/slurmrestd-test.service\n", "slurmrestd-test.service"),
        ("0::/system.slice/system-slurmrestd.slice/slurmrestd@a.service/sub\n", "slurmrestd@a.service"),
        ("0::/user.slice/session-1.scope\n", ""),
        (None, ""),
    ],
)
def test_the_unit_of_a_process(monkeypatch: pytest.MonkeyPatch, text: str | None, unit: str) -> None:
    monkeypatch.setattr(proc, "read_text", lambda _: text)
    assert proc.unit_of(7) == unit
