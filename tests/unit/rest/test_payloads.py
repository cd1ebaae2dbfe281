"""The body of a job submission, API version by API version, against what the daemons were seen to take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.rest.payloads import Resources, api_version, job_submission
from slurmrest.slurm.releases import API_VERSIONS

OLD = ("v0.0.35", "v0.0.36", "v0.0.37", "v0.0.38")

ALL = Resources(
    tasks=2,
    nodes="1-2",
    nodelist=("n1", "n[3,4]"),
    cpus_per_task=3,
    memory_per_node=2048,
    input="/d/in",
    error="/d/err",
    qos="q",
    constraints="fast",
    reservation="r",
    dependency="afterok:1",
)


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
def test_all_fields_in_every_version(name: str) -> None:
    job = submission(name, resources=ALL)["job"]
    old = name in OLD
    assert job["memory_per_node"] == (2048 if old else {"set": True, "infinite": False, "number": 2048})
    # Old versions refuse required_nodes as a disabled key, and read a list of nodes without effect.
    assert job.get("nodelist") == ("n1,n[3,4]" if old else None)
    assert job.get("required_nodes") == (None if old else ["n1", "n[3,4]"])
    assert job["nodes"] == "1-2"
    assert {key: job[key] for key in ("tasks", "cpus_per_task", "standard_input", "standard_error")} == {
        "tasks": 2,
        "cpus_per_task": 3,
        "standard_input": "/d/in",
        "standard_error": "/d/err",
    }
    assert [job[key] for key in ("qos", "constraints", "reservation", "dependency")] == ["q", "fast", "r", "afterok:1"]


def test_zero_memory_is_all_of_a_node_and_is_sent() -> None:
    assert submission("v0.0.38", resources=Resources(memory_per_node=0))["job"]["memory_per_node"] == 0
    assert submission("v0.0.42", resources=Resources(memory_per_node=0))["job"]["memory_per_node"]["number"] == 0


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert set(submission("v0.0.42")["job"]) == {"name", "current_working_directory", "environment"}
    more = submission("v0.0.42", partition="p", account="a")["job"]
    assert (more["partition"], more["account"]) == ("p", "a")


def test_an_empty_environment_is_refused() -> None:
    with pytest.raises(InputError, match="environment"):
        job_submission(api_version("v0.0.42"), name="n", script="s", directory="/", environment={})


def test_versions_outside_the_table() -> None:
    assert api_version("v0.0.99") is list(API_VERSIONS.values())[-1]
    for name in ("v0.0.34", "v1", "latest", "v0.0.x"):
        with pytest.raises(InputError, match=name):
            api_version(name)
