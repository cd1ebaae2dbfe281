"""The client of tests: against a slurmrestd that lives in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import SlurmrestError

from slurmrest_toolkit.client import Client
from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAPI = "/openapi/v3"


@pytest.fixture(name="daemon", params=sorted(STYLES))
def a_daemon(request: pytest.FixtureRequest) -> FakeSlurmrestd:
    return FakeSlurmrestd(STYLES[request.param])


@pytest.fixture(name="url")
def its_url(daemon: FakeSlurmrestd) -> Iterator[str]:
    with serving(daemon) as target:
        yield target.url


def client(url: str, daemon: FakeSlurmrestd | None = None) -> Client:
    return Client(url, "alice", token("alice").reveal, daemon.style.apis if daemon else ())


def test_versions_that_are_known_are_not_asked_for(daemon: FakeSlurmrestd, url: str) -> None:
    assert client(url, daemon).get("diag").json()["statistics"]
    assert [path for _, path, _ in daemon.requests] == [f"/slurm/{daemon.style.apis[-1]}/diag"]
    headers = daemon.requests[0][2]
    assert headers["x-slurm-user-name"] == "alice"
    assert "content-type" not in headers


def test_versions_are_asked_for_once(daemon: FakeSlurmrestd, url: str) -> None:
    asking = client(url)
    assert asking.api_versions == daemon.style.apis
    assert asking.get("/slurmdb/users").status == 200
    asking.wait(asking.submit("#!/bin/sh\n", standard_output="/dev/null"))
    assert [path for _, path, _ in daemon.requests].count(OPENAPI) == 1


def test_a_job_is_submitted_in_any_version_and_followed_to_its_end(daemon: FakeSlurmrestd, url: str) -> None:
    asking = client(url, daemon)
    for version in daemon.style.apis:
        daemon.faults = {"silent"}
        number = asking.submit("#!/bin/sh\ntrue\n", api_version=version, environment={"A": "1"}, comment="here")
        assert asking.wait(number).state == "COMPLETED"
        assert daemon.jobs[number]["environment"] == {"A": "1"}
        assert daemon.jobs[number]["comment"] == "here"


def test_patience_ends(daemon: FakeSlurmrestd, url: str) -> None:
    asking = client(url, daemon)
    number = asking.submit("#!/bin/sh\nsleep 600\n")
    with pytest.raises(TimeoutError, match=f"job {number} has not ended after 0.3 s: RUNNING"):
        asking.wait(number, timeout=0.3)


def test_jobs_that_have_not_ended_are_cancelled(daemon: FakeSlurmrestd, url: str) -> None:
    asking = client(url, daemon)
    own = asking.submit("#!/bin/sh\nsleep 600\n")
    states = {own: "RUNNING", 7: "PENDING", 8: "COMPLETED", 9: "RUNNING"}
    listed = [
        {"job_id": number, "user_name": "bob" if number == 9 else "alice", "job_state": state}
        for number, state in states.items()
    ]
    daemon.instead["jobs"] = (200, {"jobs": listed})
    assert {job.id for job in asking.jobs()} == {own, 7, 8}
    daemon.instead["job"] = (200, {"status": []})
    asking.cancel_jobs(only_own=True)
    deleted = [path.rpartition("/")[2] for method, path, _ in daemon.requests if method == "DELETE"]
    assert deleted == [str(own)]
    asking.cancel_jobs()
    deleted = [path.rpartition("/")[2] for method, path, _ in daemon.requests if method == "DELETE"]
    assert deleted == [str(own), str(own), "7"]


def test_a_refusal_is_an_error_where_a_job_is_wanted_and_an_answer_where_not(daemon: FakeSlurmrestd, url: str) -> None:
    daemon.instead["job/submit"] = (500, {"errors": [{"error_number": 2000, "error": "Invalid partition"}]})
    asking = client(url, daemon)
    with pytest.raises(SlurmrestError, match="no such partition"):
        asking.submit("#!/bin/sh\n")
    assert asking.post("job/submit", {}).status == 500
    assert asking.delete("/nothing").status == 404


def test_what_it_shows_of_itself_holds_no_token(url: str) -> None:
    asking = client(url)
    assert repr(asking) == f"<alice at {url}>"
    assert asking.token == asking.headers["X-SLURM-USER-TOKEN"]
    assert asking.token not in repr(vars(asking))
