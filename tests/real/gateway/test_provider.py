"""``cluster up --gateway --identity oidc``: the test provider in the gateway's node, with nothing of npm's."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.api import attach
from slurmrest_toolkit.clusters import describe, gateway, provider
from slurmrest_toolkit.support.errors import ClusterFailedError
from tests.real.clusters import live_cluster
from tests.real.gateway.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND = ("--gateway", "--identity", "oidc", "--user", "bob")
CSRF = 'import json, sys; print(json.load(sys.stdin)["csrf"])'


@pytest.fixture(scope="module")
def provided(release: str) -> Iterator[Gate]:
    with live_cluster("real-provider", release, *KIND) as live:
        cluster = attach(live.name)
        told = gateway.describe(cluster.record)
        assert told is not None
        node = cluster.record.rest_node.name
        yield Gate(live, told["url"], told["ca_file"], {}, cluster.api_versions[-1], node, (node,))


def test_a_login_with_curl_as_it_is_printed(provided: Gate) -> None:
    """The line of the summary, then the requests of docs/testcluster.md with the session that it keeps."""
    record = attach(provided.live.name).record
    (line,) = [line for line in describe.summary(record).splitlines() if "or with curl" in line]

    def type_in(words: str) -> Any:
        done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert type_in(line.partition("or with curl")[2])["user"] == "alice"
    curl = f"curl -sL --cacert {provided.ca_file} -b {record.directory}/cookies"
    assert type_in(f"{curl} {provided.url}{provided.path('diag')}")["statistics"]
    csrf = f'"X-CSRF-Token: $({curl} {provided.url}/auth/session | python3 -c {shlex.quote(CSRF)})"'
    job = shlex.quote(json.dumps(provided.job("curl")))
    submit = f"-H {csrf} --json {job} {provided.url}{provided.path('job/submit')}"
    assert provided.owner(type_in(f"{curl} {submit}")["job_id"]) == "alice"


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_a_job_belongs_to_who_logged_in(provided: Gate, user: str) -> None:
    shown, cookie = provider.log_in(attach(provided.live.name).record, user, Path(provided.ca_file))
    assert shown["user"] == user
    own = {"Cookie": cookie, "X-CSRF-Token": shown["csrf"]}
    answer = provided.submit(own, "provider")
    assert answer.status == 200, answer.body
    assert provided.owner(answer.json()["job_id"]) == user
    assert provided.ask("/auth/logout", own, "POST", b"").status == 200
    assert provided.ask(provided.path("diag"), own).status == 401


def test_machines_are_told_where_and_with_which_file(provided: Gate) -> None:
    told = gateway.describe(attach(provided.live.name).record)
    assert told is not None
    assert (told["identity"], told["provider"][:18]) == ("oidc", "https://127.0.0.1:")
    passwords = {user["name"]: Path(user["password"]).read_text().strip() for user in told["users"]}
    assert set(passwords) == {"alice", "bob"}
    words = "journalctl -o cat --no-pager; cat /var/log/nginx/*; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    said = provided.live.ssh(provided.node, f"{words}; true")
    assert not [name for name, password in passwords.items() if password in said]


def test_a_wrong_password_is_refused(provided: Gate) -> None:
    record = attach(provided.live.name).record
    file = record.directory / "password.alice"
    before = file.read_text()
    file.write_text("wrong\n")
    try:
        with pytest.raises(ClusterFailedError, match="alice cannot log in"):
            provider.log_in(record, "alice", Path(provided.ca_file))
    finally:
        file.write_text(before)
    assert json.loads(provided.ask("/auth/session").body)["identity"] == "oidc"
