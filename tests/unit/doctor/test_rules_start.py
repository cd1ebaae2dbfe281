"""How systemd is to start a daemon: what it waits for in vain, files that are not there, options of no release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurmrest.doctor import unit_evidence, unit_states
from slurmrest.slurmrestd import unit_places

from tests.unit.doctor.test_doctor import evidence, ids, judge
from tests.unit.doctor.test_rules_confinement import SITE, broken

TIMED_OUT = "slurmrestd.service: start operation timed out. Terminating."
FAILED = "slurmrestd.service: Failed with result 'timeout'."
AGAIN = "`systemctl reset-failed slurmrestd; systemctl restart slurmrestd`"


def typed(kind: str) -> dict[str, Any]:
    data = broken()
    host = data["hosts"]["node1"]
    host["type"], host["origins"]["Type"] = kind, [f"{SITE}:2"]
    return data


def say(data: dict[str, Any], *lines: str, daemon: str = "slurmrestd") -> None:
    data["hosts"]["node1"]["journal"][daemon] = [{"age": 1.0, "run": 0, "text": text} for text in lines]


@pytest.mark.parametrize("kind", ["forking", "notify", "notify-reload", "dbus"])
def test_a_start_that_systemd_waits_for_in_vain(kind: str) -> None:
    data = typed(kind)
    data["hosts"]["node1"]["units"]["slurmrestd"].update(result="timeout")
    say(data, TIMED_OUT, FAILED, "Failed to start slurmrestd.service - Slurm REST daemon.")
    (finding,) = judge(data).findings
    assert finding.id == "unit-type"
    assert finding.evidence == [f"{SITE}:2: Type={kind}", f"journal of slurmrestd: {TIMED_OUT}"]
    assert finding.remedy == f"`sed -i --follow-symlinks 2d {SITE}`, `systemctl daemon-reload`, then {AGAIN}".replace(
        " 2d ", " '2d' "
    )


def test_one_that_serves_meanwhile_is_told_before_it_is_ended() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["type"], host["origins"]["Type"] = "notify", [f"{SITE}:2"]
    assert judge(data).healthy, "something gave notice"
    host["units"]["slurmrestd"].update(active="activating", sub="start")
    assert ids(judge(data)) == ["unit-type"]
    host["type"] = "simple"
    assert judge(data).healthy


@pytest.mark.parametrize("fault", ["not-running", "account-root"])
def test_one_that_nobody_has_set_up_is_told_to_be_deployed(fault: str) -> None:
    """On a host from which REST was taken away it was said to run as root, as its package's unit says."""
    data = evidence(fault)
    host = data["hosts"]["node1"]
    stopped = {"active": "inactive", "sub": "dead", "result": "success", "restarts": 0, "enabled": False}
    host["units"]["slurmrestd"].update(stopped)
    assert "not-deployed" not in ids(judge(data)), "its drop-in is there"
    host["facts"]["unit"]["dropins"] = []
    (finding,) = judge(data).findings
    assert (finding.id, "deploy.yml" in finding.remedy) == ("not-deployed", True)
    host["units"]["slurmrestd"]["enabled"] = True
    assert "not-deployed" not in ids(judge(data)), "somebody wants it to run"


def test_oneshot_is_refused_with_a_restart() -> None:
    data = typed("oneshot")
    data["hosts"]["node1"]["units"]["slurmrestd"].update(load="bad-setting", active="inactive", result="success")
    assert ids(judge(data)) == ["unit-type"]


def test_a_type_is_no_reason_for_another_end() -> None:
    data = typed("forking")
    say(data, "fatal: something else")
    assert ids(judge(data)) == ["slurmrestd-failed"]


def test_a_start_that_timed_out_is_no_stop_that_did() -> None:
    data = broken()
    data["hosts"]["node1"]["units"]["slurmrestd"].update(result="timeout")
    say(data, TIMED_OUT, FAILED)
    (finding,) = judge(data).findings
    assert finding.id == "slurmrestd-failed"
    assert "waited in vain for its start" in finding.cause


def test_the_vendors_type_is_changed_in_a_drop_in() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["type"], host["origins"]["Type"] = "notify", ["/usr/lib/systemd/system/slurmrestd.service:9"]
    host["facts"]["unit"]["fragment"] = "/usr/lib/systemd/system/slurmrestd.service"
    host["units"]["slurmrestd"].update(active="activating", sub="start")
    (finding,) = judge(data).findings
    assert finding.by_hand
    assert "Type=simple" in finding.remedy


@pytest.mark.parametrize("daemon", ["slurmrestd", "slurmctld", "slurmdbd"])
def test_an_environment_file_that_is_not_there(daemon: str) -> None:
    data = broken() if daemon == "slurmrestd" else evidence()
    host = data["hosts"]["node1"]
    host["units"][daemon].update(active="failed", sub="failed", result="resources", pid=0)
    host["token_refused"] = "slurm_load: Unable to contact slurm controller" if daemon == "slurmctld" else None
    host["environment_files_gone"] = {daemon: [{"path": "/etc/default/site", "origin": "/etc/x.conf:2"}]}
    said = f"{daemon}.service: Failed to spawn 'start' task: No such file or directory"
    say(data, said, daemon=daemon)
    (finding,) = judge(data).findings
    assert finding.id == "environment-file-missing"
    assert finding.evidence == ["/etc/x.conf:2: EnvironmentFile=/etc/default/site", f"journal of {daemon}: {said}"]
    assert "`sed -i --follow-symlinks s/=/=-/".replace("s/", "2s/") in finding.remedy.replace("'", "")
    host["units"][daemon].update(result="exit-code")
    assert "environment-file-missing" not in ids(judge(data))


def test_files_that_units_want_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("A=1\n")
    unit = tmp_path / "slurmctld.service"
    unit.write_text(
        f"[Service]\nEnvironmentFile={tmp_path}/there\nEnvironmentFile=-{tmp_path}/optional\n"
        f"EnvironmentFile={tmp_path}/gone\n"
    )
    fields = {"fragment": str(unit), "dropins": []}
    assert unit_evidence.environment_files_gone(unit_evidence.effective({"slurmctld": fields, "munge": fields})) == {
        "slurmctld": [{"path": f"{tmp_path}/gone", "origin": f"{unit}:4"}]
    }


SHOWN = """\
Id=slurmrestd.service
ExecStartPre={ path=/usr/bin/true ; argv[]=/usr/bin/true ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=7 ; code=exited ; status=0 }
ExecStartPre={ path=/bin/sh ; argv[]=/bin/sh -c exit 3 ; x ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=8 ; code=exited ; status=3 }
ExecStartPre={ path=/usr/bin/no ; argv[]=/usr/bin/no ; ignore_errors=yes ; start_time=[n/a] ; stop_time=[n/a] ; pid=9 ; code=exited ; status=1 }
ExecStartPre={ path=/usr/bin/id ; argv[]=/usr/bin/id ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
ExecStartPost={ path=/usr/bin/ps ; argv[]=/usr/bin/ps ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=8 ; code=killed ; status=9/KILL }
"""  # noqa: E501 - as systemctl has it


def test_commands_beside_a_daemon_that_failed_are_read_from_systemctl(tmp_path: Path) -> None:
    found = unit_states.commands_failed(SHOWN)
    assert [(one["key"], one["command"], one["ended"]) for one in found] == [
        ("ExecStartPre", "/bin/sh -c exit 3 ; x", "exit code 3"),
        ("ExecStartPost", "/usr/bin/ps", "signal 9/KILL"),
    ]
    unit = tmp_path / "slurmrestd.service"
    unit.write_text('[Service]\nExecStartPre=/usr/bin/true\nExecStartPre=+/bin/sh -c "exit 3 ; x"\n')
    fields = {"fragment": str(unit), "dropins": [], "commands_failed": found}
    states = {"slurmrestd": fields, "munge": fields, "slurmctld": {**fields, "commands_failed": []}}
    placed = unit_evidence.commands_failed(states, unit_evidence.effective(states))
    assert {daemon: [one["origin"] for one in entries] for daemon, entries in placed.items()} == {
        "slurmrestd": [f"{unit}:3", "ExecStartPost"]
    }


@pytest.mark.parametrize("daemon", ["slurmrestd", "slurmctld", "slurmdbd"])
@pytest.mark.parametrize(("key", "when"), [("ExecStartPre", "before it"), ("ExecStartPost", "after it")])
def test_a_command_beside_a_daemon_that_fails(daemon: str, key: str, when: str) -> None:
    data = broken() if daemon == "slurmrestd" else evidence()
    host = data["hosts"]["node1"]
    host["units"][daemon].update(active="failed", sub="failed", result="exit-code", pid=0)
    host["token_refused"] = "slurm_load: Unable to contact slurm controller" if daemon == "slurmctld" else None
    command = {"key": key, "path": "/bin/sh", "command": "/bin/sh -c exit 3", "ended": "exit code 3"}
    host["commands_failed"] = {daemon: [{**command, "origin": f"{SITE}:2"}]}
    say(data, f"{daemon}.service: Control process exited, code=exited, status=3/NOTIMPLEMENTED", daemon=daemon)
    (finding,) = judge(data).findings
    assert finding.id == "unit-command-fails"
    assert f"A command that the unit of {daemon} runs {when} fails ({key}, exit code 3)" in finding.cause
    assert finding.evidence[0] == f"{SITE}:2: /bin/sh -c exit 3: exit code 3"
    assert finding.by_hand
    host["units"][daemon].update(active="active", sub="running", result="success", pid=7)
    assert "unit-command-fails" not in ids(judge(data))


def given(flag: str, value: str | None = None, origin: str = "/etc/default/slurmrestd:5") -> dict[str, Any]:
    data = broken()
    data["hosts"]["node1"]["facts"]["unit"]["options"].append({"flag": flag, "value": value, "origin": origin})
    say(data, "Usage: slurmrestd [OPTIONS] [host:port]...", "slurmrestd.service: Failed with result 'exit-code'.")
    return data


@pytest.mark.parametrize(
    ("flag", "value", "edit"),
    [("--nosuch", None, "5s/--nosuch//"), ("--more", "1.5", "'5s/--more=1[.]5//'"), ("-q", None, "5s/-q//")],
)
def test_an_option_of_no_release_is_named(flag: str, value: str | None, edit: str) -> None:
    (finding,) = judge(given(flag, value)).findings
    assert finding.id == "option-unknown"
    assert finding.evidence == [
        f"/etc/default/slurmrestd:5: {flag}",
        "journal of slurmrestd: Usage: slurmrestd [OPTIONS] [host:port]...",
    ]
    assert finding.remedy == (
        f"`sed -i --follow-symlinks {edit} /etc/default/slurmrestd; systemctl daemon-reload`, then {AGAIN}"
    )


def test_an_option_in_other_places_is_taken_out_otherwise() -> None:
    assert "deploy.yml" in judge(given("--nosuch", origin=f"{unit_places.DROPIN}:9")).findings[0].remedy
    assert judge(given("--nosuch", "a b")).findings[0].by_hand


def test_options_that_the_release_has_are_none() -> None:
    assert ids(judge(given("-d", "v0.0.42"))) == ["slurmrestd-failed"]
    assert ids(judge(given("--max-connections", "8"))) == ["slurmrestd-failed"]


def test_the_programs_own_words_come_before_systemds() -> None:
    data = broken()
    say(data, "it cannot go on", "slurmrestd.service: Main process exited, code=exited, status=1/FAILURE", FAILED)
    (finding,) = judge(data).findings
    assert finding.evidence[0] == "journal of slurmrestd: it cannot go on"
