"""Reading the answers of every API version, and whatever else may come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.rest import answers, job_answers
from slurmrest.rest.contents import controllers, slurm_version
from slurmrest.slurm.api_versions import API_VERSIONS, api_version

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *("errors", "error", "error_number", "error_code", "errno", "description", "meta", "slurm", "Slurm", "release"),
    *("paths", "/slurm/v0.0.42/diag", "pings", "hostname", "responding", "pinged", "ping", "number", "set"),
    *("jobs", "job_id", "job_state", "state_reason", "exit_code", "return_code", "user_name", "statistics", "name"),
    *("nodes", "partitions"),
]
slurmish = st.recursive(
    any_json,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(slurmish)
def test_no_json_raises(payload: Any) -> None:
    assert all(isinstance(error.text, str) for error in answers.errors_of(payload))
    assert isinstance(slurm_version(payload), (str, type(None)))
    served = answers.served_versions(payload)
    assert all(name.startswith("v") for name in served.slurm + served.slurmdb)
    assert isinstance(str(job_answers.job_status(payload)), str)
    assert all(isinstance(name, str) for name, _states in job_answers.nodes(payload))
    for api in API_VERSIONS.values():
        assert all(isinstance(up, bool) for _host, up in controllers(payload, api))


@pytest.mark.parametrize(
    ("entry", "number", "text"),
    [
        ({"error": "Unspecified error", "errno": -1}, -1, "Unspecified error"),
        ({"error": "bad", "error_code": 2127}, 2127, "bad (2127)"),
        (
            {"description": "request failed", "error_number": -1, "error": "Unspecified error", "source": "f"},
            -1,
            "Unspecified error: request failed",
        ),
        ({"error": "Same", "description": "Same", "error_number": 7}, 7, "Same (7)"),
        ({"error_number": 7}, 7, "{'error_number': 7} (7)"),
        ("words", None, "'words'"),
        ({"error": None, "description": "d"}, None, "d"),
    ],
)
def test_errors_in_the_shapes_of_all_versions(entry: Any, number: int | None, text: str) -> None:
    (error,) = answers.errors_of({"errors": [entry]})
    assert (error.number, str(error)) == (number, text)


def test_errors_that_are_none_or_no_list() -> None:
    assert answers.errors_of({"errors": []}) == answers.errors_of({}) == answers.errors_of(None) == []
    assert answers.errors_of({"errors": "x"})[0].text == "errors is not a list: 'x'"


@pytest.mark.parametrize(
    ("payload", "version"),
    [
        ({"meta": {"Slurm": {"version": {"major": 22, "micro": 8, "minor": 5}, "release": "22.05.8"}}}, "22.05.8"),
        ({"meta": {"slurm": {"release": "24.11.5", "cluster": "c"}}}, "24.11.5"),
        ({"meta": {"slurm": {"release": "slurm-wlm 21.08.8-2"}}}, "21.08.8-2"),
        ({"meta": {"slurm": {"release": "new"}}}, None),
        ({"meta": {"slurm": {"release": ["24.11.5"]}}}, None),
        ({"meta": []}, None),
        ({"meta": {"slurm": {"release": "24.11.5-1~deb13+u1"}}}, "24.11.5-1~deb13+u1"),
        ({"meta": {"slurm": {"release": "24.11.5\x1b]0;x\x07"}}}, None),
        ({"meta": {"slurm": {"release": "24.11.5|time=1"}}}, None),
        ({"meta": {"slurm": {"release": "24.11." + "5" * 5000}}}, None),
    ],
)
def test_version(payload: Any, version: str | None) -> None:
    assert slurm_version(payload) == version


def test_served_versions_are_sorted_by_number() -> None:
    paths = [
        "/slurm/v0.0.9/diag/",
        "//slurm/v0.0.40/jobs",
        "/slurm/v0.0.40",
        "/slurm/v0.0.100/x",
        "/slurmdb/v0.0.40/diag",
    ]
    others = ["/openapi/v3", "/util/v0.0.44/hostlist", "/slurmx/v0.0.1/x", "/slurm/{data_parser}/x", "slurm/v0.0.1x/y"]
    others.append(f"/slurm/v0.0.{'1' * 5000}/x")  # more digits than Python makes a number of
    served = answers.served_versions({"paths": dict.fromkeys(paths + others)})
    assert served == answers.Served(("v0.0.9", "v0.0.40", "v0.0.100"), ("v0.0.40",))


@pytest.mark.parametrize(
    ("api", "up", "down"),
    [
        ("v0.0.38", {"ping": "UP"}, {"ping": "DOWN"}),
        ("v0.0.40", {"pinged": "UP"}, {"pinged": "DOWN"}),
        ("v0.0.42", {"pinged": "UP", "responding": True}, {"pinged": "DOWN", "responding": False}),
        ("v0.0.45", {"responding": True}, {"responding": False}),
        ("v0.0.45", {"responding": True}, {"responding": "true"}),
        ("v0.0.45", {"responding": True}, {}),
    ],
)
def test_ping(api: str, up: dict[str, Any], down: dict[str, Any]) -> None:
    payload = {"pings": [{"hostname": "a", **up}, {"hostname": "b", **down}, 7]}
    assert controllers(payload, api_version(api)) == (("a", True), ("b", False))


def test_a_number_is_one_that_slurm_could_have() -> None:
    nested: Any = 1
    for _level in range(5000):
        nested = {"number": nested}
    assert answers.number(nested) is None
    assert answers.number({"set": True, "number": 7}) == answers.number(7) == 7
    assert answers.number({"set": False, "number": 7}) is answers.number(10**400) is answers.number(True) is None


def test_nodes() -> None:
    old = {"name": "a", "state": "idle", "state_flags": ["DRAIN"]}
    payload = {"nodes": [old, {"name": "b", "state": ["MIXED", "CLOUD"]}, {}, 7]}
    assert job_answers.nodes(payload) == [("a", ("IDLE", "DRAIN")), ("b", ("MIXED", "CLOUD")), ("?", ())]


@pytest.mark.parametrize(
    ("job", "completed", "failed", "shown"),
    [
        ({"job_state": "COMPLETED", "exit_code": 0, "state_reason": "None"}, True, False, "COMPLETED"),
        ({"job_state": ["COMPLETED"], "exit_code": {"return_code": {"number": 0}}}, True, False, "COMPLETED"),
        ({"job_state": ["RUNNING", "CONFIGURING"]}, False, False, "RUNNING CONFIGURING"),
        ({"job_state": "PENDING", "state_reason": "Resources"}, False, False, "PENDING, Resources"),
        ({"job_state": "FAILED", "exit_code": 256, "state_reason": "Why"}, False, True, "FAILED, exit code 1, Why"),
        ({"job_state": "FAILED", "exit_code": {"return_code": 1, "status": "X"}}, False, True, "FAILED, exit code 1"),
        ({"job_state": ["TIMEOUT"], "exit_code": {"return_code": {"set": False}}}, False, True, "TIMEOUT"),
        ({}, False, False, "in no known state"),
    ],
)  # fmt: skip
def test_job(job: dict[str, Any], completed: bool, failed: bool, shown: str) -> None:
    status = job_answers.job_status({"jobs": [job]})
    assert (status.completed, status.failed, str(status)) == (completed, failed, shown)


@pytest.mark.parametrize(
    ("status", "payload", "good"),
    [
        (200, {"errors": [], "statistics": {}}, True),
        (200, {"errors": [{"error": "inside"}]}, False),
        (200, None, False),
        (200, [], False),
        (500, {"errors": []}, False),
        (204, {}, False),
    ],
)
def test_a_200_alone_is_no_good_answer(status: int, payload: Any, good: bool) -> None:
    assert answers.is_good(status, payload) is good
