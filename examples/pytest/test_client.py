"""What the author of a REST client tests, with the fixture as the client and at one place the standard library."""

import urllib.error
import urllib.request

import pytest


def test_the_controller_answers(slurmrestd):
    answer = slurmrestd.get("diag")
    assert answer.status == 200
    assert answer.json()["statistics"]


def test_a_job_runs_to_its_end(slurmrestd):
    job = slurmrestd.wait(slurmrestd.submit("#!/bin/sh\ntrue\n"))
    assert job.state == "COMPLETED"
    assert job.user == slurmrestd.user


def test_a_job_is_in_the_list(slurmrestd):
    before = {job.id for job in slurmrestd.jobs()}  # none; with --slurm-url those that the user of the token has
    held = slurmrestd.submit("#!/bin/sh\nsleep 600\n", hold=True)
    assert {job.id for job in slurmrestd.jobs()} - before == {held}  # cancelled when the test has ended


def test_a_bad_token_is_refused(slurmrestd):
    headers = {**slurmrestd.headers, "X-SLURM-USER-TOKEN": "not-a-token"}
    request = urllib.request.Request(f"{slurmrestd.url}/slurm/{slurmrestd.api_version}/diag", headers=headers)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.slurm(">=24.11")
def test_what_newer_releases_have(slurmrestd):
    assert slurmrestd.get("jobs/state").status == 200


def test_accounting(slurmrestd):
    answer = slurmrestd.get(f"/slurmdb/user/{slurmrestd.user}")
    assert answer.json()["users"][0]["name"] == slurmrestd.user
