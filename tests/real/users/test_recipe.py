"""A recipe that sites publish: sign a token with the PyPI package jwt, submit a body with v0.0.39 in mind.

It works here once its gaps are filled, which the page for users says, together with why not to do it.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import Token
from slurmrest.rest import answers, job_answers
from slurmrest.rest.client import Credentials, Response, request

from tests.real.users.conftest import CONTROLLER, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.users.conftest import LoginHost

SIGN = """
import sys, time
from jwt import JWT
from jwt.jwk import jwk_from_dict
from jwt.utils import b64encode
key = jwk_from_dict({"kty": "oct", "k": b64encode(sys.stdin.buffer.read())})
message = {"exp": int(time.time() + 60), "iat": int(time.time()), "sun": sys.argv[1]}
print(JWT().encode(message, key, alg="HS256"))
"""
SCRIPT = '#!/bin/bash\n\nsrun hostname\necho "hello world444"\n'


@pytest.fixture(scope="module")
def key(login: LoginHost) -> bytes:
    """The cluster's key, as only root can read it."""
    path = login.cluster.ssh(CONTROLLER, "sed -n 's/^AuthAltParameters=.*jwt_key=//p' /etc/slurm/slurm.conf").strip()
    return login.cluster.fetch(CONTROLLER, f"cat {path}")


def signed(packages: Path, key: bytes, user: str) -> Credentials:
    """Return a token that the recipe makes."""
    done = subprocess.run([packages, "-c", SIGN, user], input=key, capture_output=True, check=True)
    return Credentials(user, Token(done.stdout.decode().strip()))


def body(*, environment: Any, directory: str | None, memory: Any) -> dict[str, Any]:
    """Return the recipe's job, with its gaps filled as said."""
    job = {
        "partition": "main",
        "tasks": 1,
        "name": "test",
        "account": "users",
        "nodes": "1",
        "cpus_per_task": 2,
        "memory_per_node": memory,
        "standard_input": "/dev/null",
        "standard_output": f"/home/{USER}/recipe.out",
        "standard_error": f"/home/{USER}/recipe.err",
        "environment": environment,
        "current_working_directory": directory,
    }
    return {"script": SCRIPT, "job": {name: value for name, value in job.items() if value is not None}}


def submit(login: LoginHost, credentials: Credentials, content: dict[str, Any]) -> Response:
    """Send it from this host, as a program of the user would."""
    headers = {**credentials.headers(), "Content-Type": "application/json"}
    path = f"/slurm/{login.newest_api}/job/submit"
    return request(login.target, "POST", path, headers=headers, body=json.dumps(content).encode())


NOTHING_ASKED_FOR = {"number": 2048, "set": False, "infinite": True}


def test_recipe_works_with_its_gaps_filled(login: LoginHost, packages: Path, key: bytes) -> None:
    old = login.api.environment == "object"
    content = body(
        environment={"PATH": "/bin:/usr/bin"} if old else ["PATH=/bin:/usr/bin"],
        directory=f"/home/{USER}",
        memory=2048 if old else NOTHING_ASKED_FOR,
    )
    credentials = signed(packages, key, USER)
    answer = submit(login, credentials, content)
    job_id = answers.number(answer.json().get("job_id"))
    assert (answer.status, bool(job_id)) == (200, True), answer.text
    for _try in range(60):
        shown = request(login.target, "GET", f"/slurm/{login.newest_api}/job/{job_id}", headers=credentials.headers())
        if job_answers.job_status(shown.json()).completed:
            break
        time.sleep(0.5)
    assert login.run("cat recipe.out").stdout == "c1\nhello world444\n"


@pytest.mark.parametrize("gap", ["environment", "directory", "memory"])
def test_its_gaps_are_refused_as_the_page_says(login: LoginHost, packages: Path, key: bytes, gap: str) -> None:
    old = login.api.environment == "object"
    filled: dict[str, Any] = {
        "environment": {"PATH": "/bin"} if old else ["PATH=/bin"],
        "directory": f"/home/{USER}",
        "memory": 2048,
    }
    unfilled: dict[str, Any] = {"environment": [], "directory": None, "memory": NOTHING_ASKED_FOR}
    answer = submit(login, signed(packages, key, USER), body(**{**filled, gap: unfilled[gap]}))
    refused = {"environment": True, "directory": login.api.cwd_required, "memory": old}[gap]
    assert (answer.status >= 400) is refused, answer.text


def test_whoever_reads_the_key_is_root(login: LoginHost, packages: Path, key: bytes) -> None:
    diag = f"/slurmdb/{login.newest_api}/diag"  # for administrators only
    asked = {
        user: request(login.target, "GET", diag, headers=signed(packages, key, user).headers())
        for user in (USER, "root")
    }
    assert answers.errors_of(asked[USER].json()) != []
    assert (asked["root"].status, answers.errors_of(asked["root"].json())) == (200, [])


def test_here_no_user_reads_the_key(login: LoginHost) -> None:
    found = login.run("find / -xdev -name '*.key' -readable 2>/dev/null | grep jwt")
    assert found.stdout == ""
