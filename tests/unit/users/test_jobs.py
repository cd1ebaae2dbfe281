"""Jobs over REST against a slurmrestd in the test process: submit, follow, show, list, cancel, and every ending."""

from __future__ import annotations

import io
import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.rest.client import ClientError, Credentials, Target
from slurmrest.rest.payloads import job_submission
from slurmrest.users import command as cli
from slurmrest.users import jobs
from slurmrest.users.access import Access, RefusedError

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

SCRIPT = "#!/bin/sh\n#SBATCH --job-name=named --mail-type=END\necho hello\n"


@pytest.fixture(params=STYLES)
def daemon(request: pytest.FixtureRequest) -> FakeSlurmrestd:
    return FakeSlurmrestd(STYLES[request.param], faults={"silent"})


@pytest.fixture
def target(daemon: FakeSlurmrestd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    monkeypatch.setattr(jobs, "_FIRST_PAUSE", 0.001)
    monkeypatch.setenv("SLURM_JWT", token("alice").reveal())
    with serving(daemon) as where:
        monkeypatch.setenv("SLURMREST_URL", where.url)
        yield where


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "job.sh"
    path.write_text(SCRIPT)
    return str(path)


def access(target: Target, **more: Any) -> Access:
    return Access(target, Credentials("alice", token("alice")), **more)


@pytest.mark.usefixtures("target")
def test_the_newest_version_and_its_payload(
    daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-n", "2", "--mem", "1G", "-D", "/work", "--env", "A=b=c", "-o", "out", "--time", "3"]
    assert cli.main(["submit", script, *options]) == cli.OK
    assert capsys.readouterr().out == "Submitted batch job 42\n"
    assert ("POST", f"/slurm/{daemon.style.apis[-1]}/job/submit") in [request[:2] for request in daemon.requests]
    job = daemon.jobs[42]
    assert (job["name"], job["tasks"], job["current_working_directory"], job["user"]) == ("named", 2, "/work", "alice")
    assert job["environment"] == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "USER": "alice",
        "LOGNAME": "alice",
        "A": "b=c",
    }
    assert job["script"] == SCRIPT


@pytest.mark.usefixtures("target")
def test_a_token_of_another_name_does_not_go_along_either(
    daemon: FakeSlurmrestd, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", token("alice").reveal())
    monkeypatch.setenv("OTHER", "x")
    assert cli.main(["submit", script, "--token-env", "MINE", "--export", "ALL"]) == cli.OK
    sent = daemon.jobs[42]["environment"]
    assert (sent["OTHER"], {"MINE", "SLURM_JWT"} & set(sent)) == ("x", set())


@pytest.mark.usefixtures("target")
def test_options_beat_the_script_and_what_is_ignored_is_named(
    daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["submit", script, "-J", "mine"]) == cli.OK
    assert daemon.jobs[42]["name"] == "mine"
    assert "ignored in the script: --mail-type END (line 2)" in capsys.readouterr().err


@pytest.mark.usefixtures("target")
def test_the_scripts_name_is_the_jobs_name(daemon: FakeSlurmrestd, tmp_path: Path) -> None:
    (tmp_path / "plain.sh").write_text("#!/bin/sh\n")
    assert cli.main(["submit", str(tmp_path / "plain.sh")]) == cli.OK
    assert daemon.jobs[42]["name"] == "plain.sh"


@pytest.mark.usefixtures("target")
def test_a_scripts_name_that_is_no_name_of_a_job(daemon: FakeSlurmrestd, tmp_path: Path) -> None:
    """It is held to what --job-name is held to, which helps."""
    script = tmp_path / "tab\there.sh"
    script.write_text("#!/bin/sh\n")
    assert cli.main(["submit", str(script)]) == cli.CANNOT_RUN
    assert daemon.jobs == {}
    assert cli.main(["submit", "--job-name", "here", str(script)]) == cli.OK


@pytest.mark.usefixtures("target")
def test_a_script_from_standard_input(daemon: FakeSlurmrestd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"#!/bin/sh\n")))
    assert cli.main(["submit", "-"]) == cli.OK
    assert daemon.jobs[42]["name"] == "sbatch"


@pytest.mark.usefixtures("target")
def test_an_older_version_when_asked_for(daemon: FakeSlurmrestd, script: str) -> None:
    assert cli.main(["submit", script, "--api-version", daemon.style.apis[0]]) == cli.OK
    assert cli.main(["submit", script, "--api-version", "v0.0.35"]) == cli.CANNOT_RUN
    assert len(daemon.jobs) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", None),
        ("empty", b""),
        ("binary", b"\x7fELF"),
        ("latin", b"#!/bin/sh\necho \xe4\n"),
        ("dos", b"#!/a\r\n"),
    ],
)
@pytest.mark.usefixtures("target")
def test_unusable_scripts_are_not_sent(daemon: FakeSlurmrestd, tmp_path: Path, name: str, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    assert cli.main(["submit", str(tmp_path / name)]) == cli.CANNOT_RUN
    assert daemon.requests == []


@pytest.mark.parametrize(
    "words",
    [("-n", "0"), ("--mem", "much"), ("-t", "soon"), ("--begin", "soon"), ("--env", "1=2"), ("--export", "NO_SUCH")],
)
@pytest.mark.usefixtures("target")
def test_bad_options_are_not_sent(
    daemon: FakeSlurmrestd, script: str, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["submit", script, *words]) == cli.CANNOT_RUN
    assert words[1] in capsys.readouterr().err
    assert daemon.jobs == {}


@pytest.mark.usefixtures("target")
def test_wait_follows_to_the_end(daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.job_states = ["PENDING", *daemon.job_states]  # whose it became is looked at before
    assert cli.main(["submit", script, "--wait"]) == cli.OK
    said = capsys.readouterr().err
    assert [word for word in ("PENDING", "RUNNING", "COMPLETED") if word in said] == ["PENDING", "RUNNING", "COMPLETED"]
    assert daemon.cancelled == []


@pytest.mark.usefixtures("target")
def test_wait_exits_with_the_scripts_code(
    daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job_states = ["RUNNING", "FAILED"]
    assert cli.main(["submit", script, "--wait", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["job_id"], said["api_version"], said["ignored"]) == (
        42,
        daemon.style.apis[-1],
        ["--mail-type END (line 2)"],
    )
    assert (said["job"]["state"], said["job"]["exit_code"], said["job"]["result"]) == ("FAILED", 1, 1)


@pytest.mark.usefixtures("target")
def test_why_a_job_waits_is_told(daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.faults.add("note")
    assert cli.main(["submit", script]) == cli.OK
    assert "job 42: " in capsys.readouterr().err


@pytest.mark.parametrize("daemon", ["24.11"], indirect=True)
@pytest.mark.usefixtures("target")
def test_a_job_that_became_nobodys_is_told_at_once(
    daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job_user = "99"
    daemon.job_states = ["PENDING"]
    assert cli.main(["submit", script]) == cli.OK
    said = capsys.readouterr()
    assert "job 42: slurmctld does not know alice and took the job for nobody (uid 99)" in said.err
    daemon.job_user = ""
    assert cli.main(["submit", script]) == cli.OK
    assert "nobody" not in capsys.readouterr().err


@pytest.mark.parametrize(("number", "words"), [(2000, "--partition"), (2014, "--nodelist"), (2051, "shorter --time")])
@pytest.mark.usefixtures("target")
def test_refusals_say_what_they_mean(
    daemon: FakeSlurmrestd, script: str, number: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"error": "As Slurm says it", "error_number": number}
    daemon.instead["job/submit"] = (500, {"errors": [error], "meta": {}})
    assert cli.main(["submit", script]) == cli.FAILED
    said = capsys.readouterr()
    assert "As Slurm says it" in said.err
    assert words in said.err
    assert said.out == ""


@pytest.mark.parametrize("daemon", ["22.05"], indirect=True)
@pytest.mark.usefixtures("target")
def test_an_expired_token_is_told_where_a_submission_is_refused_like_a_broken_line(
    daemon: FakeSlurmrestd, script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"error": "Zero Bytes were transmitted or received", "error_code": 5005}
    daemon.instead["job/submit"] = (500, {"errors": [error], "meta": {}})
    monkeypatch.setenv("SLURM_JWT", token("alice", -60).reveal())
    assert cli.main(["submit", script]) == cli.FAILED
    assert "the token expired" in capsys.readouterr().err


@pytest.mark.usefixtures("target")
def test_an_expired_token_is_told(
    daemon: FakeSlurmrestd,
    script: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = token("alice", -60)
    monkeypatch.setenv("SLURM_JWT", old.reveal())
    assert cli.main(["submit", script]) == cli.FAILED
    said = capsys.readouterr().err
    assert "expired" in said
    assert "slurmrest token --output" in said, "what a user can do"
    assert "restart slurmctld" not in said
    assert old.reveal() not in said
    assert daemon.jobs == {}


def test_no_answer_is_a_failure_with_a_remedy(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JWT", token("alice").reveal())
    assert cli.main(["submit", script, "--url", "unix:/nowhere/socket"]) == cli.FAILED
    assert "there is no socket /nowhere/socket" in capsys.readouterr().err


def test_following_outlives_a_restart_of_the_daemon(daemon: FakeSlurmrestd, target: Target) -> None:
    here = access(target)
    number = jobs.submit(here, job_submission(here.api, name="n", script=SCRIPT, directory="/", environment={"A": "b"}))
    troubles: list[str] = []
    broken = (500, {"errors": [{"error": "Unspecified error", "error_number": -1}]})

    def pause(_seconds: float) -> None:
        """Break the daemon in the first pause, mend it in the third."""
        pauses.append(_seconds)
        if len(pauses) == 1:
            daemon.instead["job"] = broken
        elif len(pauses) == 3:
            del daemon.instead["job"]

    pauses: list[float] = []
    seen = list(jobs.follow(here, number.id, pause=pause, trouble=troubles.append))
    assert seen[-1].state == "COMPLETED"
    assert len(troubles) == 1


def test_following_ends_when_the_job_is_gone_or_nothing_answers_for_long(
    daemon: FakeSlurmrestd, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", -1.0)
    daemon.instead["job"] = (500, {"errors": [{"error": "Invalid job id specified", "error_number": 2017}]})
    with pytest.raises(RefusedError, match="no such job"):
        list(jobs.follow(access(target), 7, pause=lambda _seconds: None))
    daemon.instead["job"] = (500, {"errors": [{"error": "Unspecified error", "error_number": -1}]})
    with pytest.raises(RefusedError):
        list(jobs.follow(access(target), 7, pause=lambda _seconds: None))


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"job_state": "COMPLETED", "exit_code": 0}, 0),
        ({"job_state": ["COMPLETED"], "exit_code": {"return_code": {"set": True, "number": 0}}}, 0),
        ({"job_state": "FAILED", "exit_code": 7 << 8}, 7),
        ({"job_state": ["FAILED"], "exit_code": {"return_code": {"set": True, "number": 7}}}, 7),
        ({"job_state": "FAILED", "exit_code": 9}, 137),
        ({"job_state": ["FAILED"], "exit_code": {"signal": {"id": {"set": True, "number": 9}}}}, 137),
        ({"job_state": "FAILED", "exit_code": {"return_code": 0, "signal": {"signal_id": 15}}}, 143),
        ({"job_state": "FAILED", "exit_code": 4021, "state_reason": "JobLaunchFailure"}, 125),
        ({"job_state": ["FAILED"], "exit_code": {"signal": {"id": {"set": True, "number": 53}}}}, 125),
        ({"job_state": "TIMEOUT", "exit_code": 15}, 124),
        ({"job_state": ["DEADLINE"], "exit_code": {}}, 124),
        ({"job_state": ["CANCELLED"], "exit_code": {"signal": {"id": {"set": True, "number": 15}}}}, 125),
        ({"job_state": ["OUT_OF_MEMORY"], "exit_code": {"return_code": {"set": True, "number": 125}}}, 125),
        ({"job_state": ["NODE_FAIL"], "exit_code": None}, 125),
    ],
)
def test_every_end_has_its_exit_code(fields: dict[str, Any], result: int) -> None:
    job = jobs.job_of({"job_id": 1, **fields})
    assert job.over
    assert job.result == result
    assert job.as_dict()["result"] == result


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"standard_output": "/d/slurm-7.out"}, "/d/slurm-7.out"),
        ({"standard_output": "slurm-%j.out", "stdout_expanded": "/d/slurm-7.out"}, "/d/slurm-7.out"),
        ({"standard_output": "out", "stdout_expanded": ""}, "/d/out"),
        ({"standard_output": "", "stdout_expanded": ""}, ""),
        ({"standard_output": "/d/7_4294967294.out", "array_job_id": 7, "array_task_id": None}, "/d/7_%a.out"),
        ({"standard_output": "/d/7_3.out", "array_job_id": 7, "array_task_id": 3}, "/d/7_3.out"),
        ({}, ""),
    ],
)
def test_where_the_output_is(fields: dict[str, Any], output: str) -> None:
    """Newer releases say what was asked for, which may be a pattern, and beside it the file."""
    assert jobs.job_of({"job_id": 7, "current_working_directory": "/d", **fields}).output == output


def test_a_job_that_runs_has_no_result() -> None:
    job = jobs.job_of({"job_id": 1, "job_state": ["RUNNING"], "exit_code": 0, "end_time": 9, "start_time": 5})
    assert (job.over, job.exit_code, job.ended, job.started) == (False, None, None, 5)
    assert job.as_dict()["result"] is None
    assert not jobs.job_of({"job_state": ["COMPLETED", "COMPLETING"]}).over
    assert not jobs.job_of({}).over


@pytest.mark.usefixtures("target")
def test_show(daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.job_states = ["COMPLETED"]
    assert cli.main(["submit", script]) == cli.OK
    capsys.readouterr()
    assert cli.main(["job", "show", "42"]) == cli.OK
    assert "state       COMPLETED" in capsys.readouterr().out
    assert cli.main(["job", "show", "42", "--json"]) == cli.OK
    assert json.loads(capsys.readouterr().out)[0]["job_id"] == 42


@pytest.mark.usefixtures("target")
def test_show_of_an_unknown_job_shows_the_others(daemon: FakeSlurmrestd, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.instead["job"] = (404, {"jobs": [], "errors": [{"error": "Invalid job id specified", "error_number": 2017}]})
    assert cli.main(["job", "show", "7"]) == cli.FAILED
    assert "job 7: " in capsys.readouterr().err


@pytest.mark.usefixtures("target")
def test_list_is_of_oneself(daemon: FakeSlurmrestd, capsys: pytest.CaptureFixture[str]) -> None:
    listed = [
        {"job_id": 1, "user_name": "alice", "job_state": ["RUNNING"], "name": "evil\033[2J\x9b2J"},
        {"job_id": 2, "user_name": "bob", "job_state": "RUNNING", "name": "bobs"},
    ]
    daemon.instead["jobs"] = (200, {"jobs": listed, "errors": []})
    assert cli.main(["job", "list"]) == cli.OK
    shown = capsys.readouterr().out
    assert "alice" in shown
    assert "bobs" not in shown
    assert "\033" not in shown
    assert cli.main(["job", "list", "--all", "--json"]) == cli.OK
    shown = capsys.readouterr().out
    assert "\x9b" not in shown, "begins a command of the terminal as well"
    assert [job["job_id"] for job in json.loads(shown)] == [1, 2]


@pytest.mark.usefixtures("target")
def test_cancel(
    daemon: FakeSlurmrestd,
) -> None:
    assert cli.main(["job", "cancel", "7", "8"]) == cli.OK
    assert daemon.cancelled == [7, 8]


@pytest.mark.parametrize(
    ("number", "code", "words"), [(2017, 1, "no such job"), (2002, 1, "denied"), (2021, 0, "had ended already")]
)
@pytest.mark.usefixtures("target")
def test_cancel_reads_what_stands_in_the_status_of_a_200(
    daemon: FakeSlurmrestd, number: int, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {2017: "Invalid job id specified", 2002: "Access/permission denied", 2021: "already completed"}[number]
    daemon.instead["job"] = (200, {"status": [{"error": {"string": said, "code": number}}], "errors": []})
    assert cli.main(["job", "cancel", "7", "--json"]) == code
    shown = capsys.readouterr()
    assert words in shown.err
    (told,) = json.loads(shown.out)
    assert (told["job_id"], told["cancelled"]) == (7, code == 0)
    assert shown.err.count("job 7") == 1, "which job it was is said once"
    assert told["note"] in shown.err


def array(daemon: FakeSlurmrestd, *started: tuple[int, int, str], waiting: str = "") -> None:
    """An array 14 as slurmctld tells of it: a record for each task that has started, and one for the others."""

    def number(value: int | None) -> Any:
        return value if daemon.style.old else {"set": value is not None, "infinite": False, "number": value or 0}

    def record(job_id: int, task: int | None, tasks: str, state: str) -> dict[str, Any]:
        fields = {"job_id": job_id, "array_job_id": number(14), "array_task_id": number(task), "user_name": "alice"}
        return {**fields, "array_task_string": tasks, "job_state": state if daemon.style.old else [state]}

    found = [record(job_id, task, "", state) for job_id, task, state in started]
    found += [record(14, None, waiting, "PENDING")] if waiting else []
    daemon.instead["job"] = (200, {"jobs": found, "errors": []})


def test_a_task_of_an_array_is_selected_here(daemon: FakeSlurmrestd, target: Target) -> None:
    """With ``job/14_2`` newer releases answer with the whole array, so the array is asked for."""
    array(daemon, (15, 1, "COMPLETED"), (16, 2, "RUNNING"), waiting="3,5-9:2%2")
    here = access(target)
    assert [job.label for job in jobs.records(here, "14_2")] == ["14_2"]
    assert [job.label for job in jobs.records(here, "14_7")] == ["14_[3,5-9:2%2]"]
    assert [job.label for job in jobs.records(here, "14")] == ["14_1", "14_2", "14_[3,5-9:2%2]"]
    for task in ("14_4", "14_6", "14_11"):
        with pytest.raises(RefusedError, match=f"no job {task}"):
            jobs.records(here, task)
    assert not any("_" in path.rpartition("/")[2] for _method, path, _headers in daemon.requests)


@pytest.mark.parametrize(
    ("tasks", "there"),
    [("1-9:2", True), ("1-9:0", False), ("9" * 5000, False), ("3", True), ("1-" + "9" * 5000, False), ("٣", False)],
)
def test_indices_that_are_none_hold_nothing(tasks: str, there: bool) -> None:
    """A step of nothing, or digits without end, ended the command with a traceback."""
    assert jobs._holds(tasks, 3) == there


def test_an_array_is_over_when_all_its_tasks_are(daemon: FakeSlurmrestd, target: Target) -> None:
    here = access(target)
    array(daemon, (15, 1, "COMPLETED"), waiting="2-3")
    assert not jobs.show(here, 14).over
    array(daemon, (15, 1, "COMPLETED"), (16, 2, "TIMEOUT"), (14, 3, "COMPLETED"))
    assert (jobs.show(here, 14).over, jobs.show(here, 14).result) == (True, jobs.EXIT_TIMEOUT)
    array(daemon, (15, 1, "COMPLETED"), (14, 3, "COMPLETED"))
    assert jobs.show(here, 14).result == 0


@pytest.mark.parametrize(
    "answer",
    [
        (304, ""),
        (200, {"jobs": [], "errors": [], "warnings": [{"description": "No job changes since update_time[1]=set"}]}),
        (200, {"errors": []}),
    ],
    ids=["304", "empty", "missing"],
)
@pytest.mark.usefixtures("target")
def test_nothing_changed_is_not_no_jobs(
    daemon: FakeSlurmrestd, answer: tuple[int, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.instead["jobs"] = answer
    assert cli.main(["job", "list"]) == cli.FAILED
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["timeout", "too-large"])
def test_a_list_that_is_too_much_is_no_fault_of_the_network(
    target: Target, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def each(_self: Access, *_what: Any) -> Any:
        raise ClientError(kind, f"no answer from {target}")

    monkeypatch.setattr(Access, "each", each)
    assert cli.main(["job", "list"]) == cli.FAILED
    said = capsys.readouterr().err
    assert "large and slow" in said
    assert "--timeout" in said
    assert "firewall" not in said
    assert "really is slurmrestd" not in said


@pytest.mark.usefixtures("target")
def test_a_list_that_is_refused_or_no_list_is_said_so(
    daemon: FakeSlurmrestd, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer, words in (
        ((200, "<html>welcome</html>"), "not a JSON object"),
        ((200, {"jobs": [], "errors": [{"error": "Access/permission denied", "error_number": 2002}]}), "denied (2002)"),
        ((500, {"errors": [{"error": "Access/permission denied", "error_number": 2002}]}), "500: Access"),
    ):
        daemon.instead["jobs"] = answer
        assert cli.main(["job", "list"]) == cli.FAILED
        shown = capsys.readouterr()
        assert (shown.out, words in shown.err) == ("", True), shown


@pytest.mark.usefixtures("target")
def test_cancelling_an_ended_job_is_told_where_the_answer_says_nothing(
    daemon: FakeSlurmrestd, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job_states = ["COMPLETED"]
    daemon.faults.add("cancel-ignored")
    assert cli.main(["submit", script]) == cli.OK
    assert cli.main(["job", "cancel", "42"]) == cli.OK
    assert "it had ended already: COMPLETED" in capsys.readouterr().err


@pytest.mark.usefixtures("target")
def test_a_signal_is_checked_before_it_is_sent(daemon: FakeSlurmrestd, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["job", "cancel", "7", "--signal", "USR3"]) == cli.CANNOT_RUN
    assert "USR3" in capsys.readouterr().err
    assert daemon.requests == []
    assert [jobs.signal_name(text) for text in ("term", "SIGUSR1", "9")] == ["TERM", "USR1", "9"]
    for text in ("0", "64", "", "SIG", "NONSENSE", "²"):
        with pytest.raises(InputError, match="--signal"):
            jobs.signal_name(text)


@pytest.mark.parametrize("text", ["0", "x", "-1", "1.5", "²", "1_", "_1", "1_x", "1_2_3", "0_1"])
def test_no_job_numbers(text: str) -> None:
    assert cli.main(["job", "show", "--", text]) == cli.CANNOT_RUN


def test_environment() -> None:
    own = {"LANG": "C", "SLURM_JWT": "secret", "BASH_FUNC_x%%": "() { :; }", "EMPTY": ""}
    assert cli.environment_of([], "", "alice", own) == {"PATH": cli.DEFAULT_PATH, "USER": "alice", "LOGNAME": "alice"}
    assert cli.environment_of([], "LANG,EMPTY", "alice", own)["LANG"] == "C"
    everything = cli.environment_of([], "ALL", "alice", own)
    assert "SLURM_JWT" not in everything
    assert "BASH_FUNC_x%%" not in everything
    assert everything["EMPTY"] == ""
    assert cli.environment_of(["PATH=/mine"], "", "alice", own)["PATH"] == "/mine"
    for pair in ("A", "=b", "A B=c", "A=\0"):
        with pytest.raises(InputError, match="--env"):
            cli.environment_of([pair], "", "alice", own)


def test_home_goes_along_for_the_same_account() -> None:
    me = pwd.getpwuid(os.geteuid())
    assert cli.environment_of([], "", me.pw_name, {})["HOME"] == me.pw_dir


@pytest.mark.usefixtures("target")
def test_without_a_token_scontrol_is_asked(
    daemon: FakeSlurmrestd, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\necho SLURM_JWT={token('bob').reveal()}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    monkeypatch.delenv("SLURM_JWT")
    assert cli.main(["submit", script]) == cli.OK
    assert daemon.jobs[42]["user"] == "bob"


@pytest.mark.usefixtures("target")
def test_interrupted(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:

    def interrupt(*_arguments: object, **_more: object) -> Iterator[jobs.Job]:
        """End as Ctrl-C would."""
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "follow", interrupt)
    assert cli.main(["submit", script, "--wait"]) == cli.INTERRUPTED
    assert "slurmrest job cancel 42" in capsys.readouterr().err
