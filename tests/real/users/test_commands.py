"""The users' commands on a real cluster: tokens, every way a job ends, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.users.conftest import CONTROLLER, URL, USER

if TYPE_CHECKING:
    from tests.real.users.conftest import LoginHost


@pytest.fixture(scope="module", autouse=True)
def scripts(login: LoginHost) -> None:
    """Scripts that end in different ways."""
    ends = {"good": "echo $WORD $SLURM_JOB_NAME $PWD", "seven": "exit 7", "killed": "kill -9 $$", "long": "sleep 300"}
    for name, command in ends.items():
        login.run(f"printf '#!/bin/sh\\n#SBATCH -t 5 -J {name} --mail-type=END\\n%s\\n' '{command}' > {name}.sh")


def submitted(login: LoginHost, words: str) -> tuple[int, dict[str, Any]]:
    """Submit and wait; returns the exit code and what was printed."""
    done = login.slurmrest(f"submit --json --wait {words}")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_every_option_reaches_slurmctld(login: LoginHost) -> None:
    options = "-J mine -p main -A users -n 1 -N 1-1 -w c1 -c 1 --mem 100 -t 7 -D /tmp -i /dev/null -o %j.out -e %j.err"
    done = login.slurmrest(f"submit good.sh --env WORD=hello {options} --json")
    job = json.loads(done.stdout)["job_id"]
    shown = login.run(f"scontrol show job {job}").stdout
    for words in ("JobName=mine", "Partition=main", "Account=users", "NumTasks=1", "ReqNodeList=c1", "CPUs/Task=1"):
        assert words in shown
    for words in ("MinMemoryNode=100M", "TimeLimit=00:07:00", "WorkDir=/tmp", "NumNodes=1"):
        assert words in shown
    for words in ("StdIn=/dev/null", "StdOut=/tmp/", "StdErr=/tmp/"):
        assert words in shown


def test_good_job(login: LoginHost) -> None:
    code, said = submitted(login, "good.sh --env WORD=hello -o good.out")
    assert code == 0
    assert (said["job"]["state"], said["job"]["exit_code"], said["job"]["result"]) == ("COMPLETED", 0, 0)
    assert said["api_version"] == login.newest_api
    assert said["ignored"] == ["--mail-type END (line 2)"]
    assert login.run("cat good.out").stdout == f"hello good /home/{USER}\n"


@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_each_served_version_takes_a_job(login: LoginHost, version: str) -> None:
    wanted = login.served[0 if version == "oldest" else -1]
    code, said = submitted(login, f"good.sh --api-version {wanted} -w c1 --mem 100M -n 1 -o /dev/null")
    assert (code, said["api_version"], said["job"]["time_limit"]) == (0, wanted, 5)


def test_exit_codes(login: LoginHost) -> None:
    assert submitted(login, "seven.sh -o /dev/null")[0] == 7
    assert submitted(login, "killed.sh -o /dev/null")[0] == 137


def test_a_job_that_is_cancelled_while_it_is_followed(login: LoginHost) -> None:
    done = login.run(
        "slurmrest submit long.sh -o /dev/null --wait > said & sleep 3;"
        "slurmrest job cancel $(awk '{print $4}' said); wait %1; echo code $?",
        SLURMREST_URL=URL,
    )
    assert "code 125" in done.stdout, done.stdout + done.stderr
    assert "CANCELLED" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [("-p nope", "no such partition"), ("--mem 900T", "no node of the partition"), ("-w c99", "no such node")],
)
def test_refusals_are_explained(login: LoginHost, options: str, words: str) -> None:
    done = login.slurmrest(f"submit good.sh {options}")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_jobs_of_others_and_unknown_jobs_cannot_be_cancelled(login: LoginHost) -> None:
    submit = "printf '#!/bin/sh\\nsleep 60\\n' | sbatch --parsable -o /dev/null"
    job = login.cluster.ssh(CONTROLLER, f"cd /tmp && {submit}").strip()
    try:
        foreign = login.slurmrest(f"job cancel {job}")
        assert foreign.returncode == 1, foreign.stderr
        assert "denied" in foreign.stderr
        assert login.slurmrest("job cancel 99999").returncode == 1
        assert login.slurmrest(f"job list | grep ' {job} '").stdout == ""
        assert "JobState=CANCELLED" not in login.run(f"scontrol show job {job}").stdout
    finally:
        login.cluster.ssh(CONTROLLER, f"scancel {job}")


def test_list_and_show(login: LoginHost) -> None:
    _code, said = submitted(login, "good.sh -J listed -o /dev/null")
    listed = json.loads(login.slurmrest("job list --json").stdout)
    assert [job["name"] for job in listed if job["job_id"] == said["job_id"]] == ["listed"]
    assert "COMPLETED" in login.slurmrest(f"job show {said['job_id']}").stdout
    assert login.slurmrest("job show 99999").returncode == 1


def test_an_expired_token_is_named(login: LoginHost) -> None:
    script = "slurmrest token --lifespan 1 --output old; sleep 3; slurmrest submit good.sh --token-file old; echo $?"
    done = login.run(script, SLURMREST_URL=URL)
    assert done.stdout == "1\n"
    assert "expired" in done.stderr
    assert login.run("slurmrest token inspect --token-file old").returncode == 1


def test_tokens_of_others_and_for_too_long_are_refused(login: LoginHost) -> None:
    assert "Only root and SlurmUser" in login.slurmrest("token --user root").stderr
    assert login.slurmrest("token --lifespan 86401").returncode == 2
    done = login.slurmrest(
        "token --lifespan infinite --long --output ever && slurmrest token inspect --token-file ever"
    )
    assert done.returncode == (0 if login.knows_infinite else 2), done.stderr


def test_an_old_token_in_the_environment_does_not_hinder(login: LoginHost) -> None:
    assert login.slurmrest("token --plain", SLURM_JWT="an.old.token").returncode == 0


def test_signing_where_the_key_is(login: LoginHost) -> None:
    login.install_command(CONTROLLER)
    key = login.cluster.ssh(CONTROLLER, "sed -n 's/^AuthAltParameters=.*jwt_key=//p' /etc/slurm/slurm.conf").strip()
    # The path of sudo need not have /usr/local/bin: 26.05's distribution leaves it out.
    command = "/usr/local/bin/slurmrest token"
    token = f"{command} --key-file {key} --user {USER}"
    looked = login.cluster.ssh(CONTROLLER, f"{token} | {command} inspect --token-file - --key-file {key} --json")
    assert (json.loads(looked)["user"], json.loads(looked)["signature"]) == (USER, "good")
    copy = f"cp {key} /root/copy.key; chmod 644 /root/copy.key"
    mode = login.cluster.ssh(CONTROLLER, f"{copy}; {token.replace(key, '/root/copy.key')} 2>&1 || echo code $?")
    assert "code 1" in mode
    assert "can be root on the cluster" in mode
    assert "eyJ" not in mode
