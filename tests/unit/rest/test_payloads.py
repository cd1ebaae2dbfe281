"""The body of a job submission, API version by API version, against what the daemons were seen to take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.rest.payloads import UNLIMITED, job_submission, number
from slurmrest.slurm.api_versions import API_VERSIONS, api_version
from slurmrest.users.batch import OPTIONS

OLD = ("v0.0.35", "v0.0.36", "v0.0.37", "v0.0.38")


def submission(name: str, **more: Any) -> dict[str, Any]:
    return job_submission(
        api_version(name),
        name="n",
        script="#!/bin/sh\n",
        directory="/d",
        environment={"PATH": "/bin", "X": "a=b"},
        **more,
    )


@pytest.mark.parametrize("name", API_VERSIONS)
def test_every_version_gets_what_it_wants(name: str) -> None:
    body = submission(name, output="/d/out", minutes=3)
    old = name in OLD
    assert body["script"] == "#!/bin/sh\n"
    assert body["job"]["current_working_directory"] == "/d"
    assert body["job"]["environment"] == ({"PATH": "/bin", "X": "a=b"} if old else ["PATH=/bin", "X=a=b"])
    assert body["job"]["time_limit"] == (3 if old else {"set": True, "infinite": False, "number": 3})
    assert body["job"]["standard_out" if name in ("v0.0.35", "v0.0.36") else "standard_output"] == "/d/out"
    json.dumps(body)


@pytest.mark.parametrize("name", API_VERSIONS)
def test_a_number_is_always_set(name: str) -> None:
    """Newer versions take ``{"number": 5}`` for none and say nothing (memory none, time without a limit)."""
    api = api_version(name)
    old = name in OLD
    assert number(api, 0) == (0 if old else {"set": True, "infinite": False, "number": 0})
    assert number(api, UNLIMITED) == (-1 if old else {"set": True, "infinite": True, "number": 0})


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert set(submission("v0.0.42")["job"]) == {"name", "current_working_directory", "environment"}
    more = submission("v0.0.42", partition="p", account="a")["job"]
    assert (more["partition"], more["account"]) == ("p", "a")
    assert submission("v0.0.42", more={"hold": True})["job"]["hold"] is True


def test_an_empty_environment_is_refused() -> None:
    with pytest.raises(InputError, match="environment"):
        job_submission(api_version("v0.0.42"), name="n", script="s", directory="/", environment={})


def test_versions_outside_the_table() -> None:
    assert api_version("v0.0.99") is list(API_VERSIONS.values())[-1]
    for name in ("v0.0.34", "v1", "latest", "v0.0.x"):
        with pytest.raises(InputError, match=name):
            api_version(name)


@pytest.mark.parametrize("name", API_VERSIONS)
def test_no_body_says_whose_the_job_is(name: str) -> None:
    """The header does: with a field of the body, root's token makes a job of another user in root's group."""
    made = submission(name)
    assert not {"user_id", "group_id", "user_name", "group_name", "users"} & {*made, *made["job"]}
    assert {"uid", "gid"}.isdisjoint(option.name for option in OPTIONS)
