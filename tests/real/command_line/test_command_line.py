"""The command line on a real cluster, as people and programs use it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families
from slurmrest.slurm import releases

from slurmrest_toolkit.clusters import liveness, state
from slurmrest_toolkit.support.progress import Progress
from tests.real.clusters import ROOT, slurmrest

VERIFY = {
    "slurmrest verify": [str(ROOT / "scripts" / "slurmrest"), "verify"],
    "verify_slurmrestd.py": [sys.executable, str(ROOT / "scripts" / "verify_slurmrestd.py")],
}


ROLE_CONNECTIONS = 800
"""Default of slurmrestd_service_max_connections where the release has such a limit."""


def diag(cluster: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Ask for the controller's statistics, as root."""
    return slurmrest("cluster", "curl", "--name", cluster["name"], "diag")


def good(answer: str) -> bool:
    """Tell whether an answer to diag holds what it should."""
    document = json.loads(answer)
    return document["errors"] == [] and bool(document["statistics"])


def test_up_describes_the_cluster(cluster: dict[str, Any], release: str) -> None:
    assert cluster["slurm_version"].startswith(release)
    assert cluster["layout"] == "single"
    (node,) = cluster["nodes"]
    assert set(node["roles"]) == {"slurmctld", "slurmdbd", "slurmrestd", "slurmd"}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", cluster["base_url"])
    assert cluster["api_versions"]
    assert cluster["verify"]["ok"] is True
    assert sum(cluster["timings"].values()) > 0


def test_tokens_are_in_private_files_only(cluster: dict[str, Any]) -> None:
    for key in ("token", "user_token"):
        path = Path(cluster[key])
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().strip() not in json.dumps(cluster)


def test_status_and_list_know_it(cluster: dict[str, Any]) -> None:
    status = json.loads(slurmrest("cluster", "status", "--json", cluster["name"]).stdout)
    assert {key: status[key] for key in cluster} == cluster
    listed = json.loads(slurmrest("cluster", "list", "--json").stdout)
    assert ("running", cluster["base_url"]) in [
        (row["state"], row["base_url"]) for row in listed if row["name"] == cluster["name"]
    ]


def test_the_same_name_twice_is_refused(cluster: dict[str, Any]) -> None:
    again = slurmrest("cluster", "up", "--bare", "--name", cluster["name"])
    assert again.returncode == 2
    assert f"The cluster {cluster['name']} exists" in again.stderr


def test_curl_asks_with_version_and_token(cluster: dict[str, Any]) -> None:
    answer = diag(cluster)
    assert answer.returncode == 0
    assert good(answer.stdout)
    nodes = slurmrest("cluster", "curl", "--name", cluster["name"], "--user", "alice", "nodes")
    assert [node["name"] for node in json.loads(nodes.stdout)["nodes"]] == ["node1"]
    assert slurmrest("cluster", "curl", "--name", cluster["name"], "/slurm/nothing").returncode == 1


def test_the_curl_line_of_the_summary_works_when_pasted(cluster: dict[str, Any]) -> None:
    summary = slurmrest("cluster", "status", cluster["name"]).stdout
    (line,) = re.findall(r"curl -s .*", summary)
    answer = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert good(answer.stdout)


def test_token_is_for_whom_and_as_long_as_asked(cluster: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "token"
    asked = ("--name", cluster["name"], "--user", "alice", "--lifespan", "600", "--output", str(path))
    made = slurmrest("cluster", "token", *asked)
    assert (made.returncode, made.stdout) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    payload = path.read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sun"] == "alice"
    assert claims["exp"] - claims["iat"] == 600


def test_shell_passes_on_words_and_exit_code(cluster: dict[str, Any]) -> None:
    shell = ("cluster", "shell", "--name", cluster["name"], "node1", "--")
    assert slurmrest(*shell, "sh", "-c", "exit 7").returncode == 7
    assert slurmrest(*shell, "printf", "%s|", "a b", "$HOME", "'").stdout == "a b|$HOME|'|"


def test_logs_are_those_of_the_daemons(cluster: dict[str, Any]) -> None:
    logs = slurmrest("cluster", "logs", "--name", cluster["name"], "--unit", "slurmrestd")
    assert logs.returncode == 0
    assert "slurmrestd" in logs.stdout
    token = Path(cluster["token"]).read_text().strip()
    assert token.rsplit(".", 1)[1] not in slurmrest("cluster", "logs", "--name", cluster["name"]).stdout


def verify(command: str, cluster: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the two faces of the verification against the cluster."""
    argv = [*VERIFY[command], "--token-file", cluster["token"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", VERIFY)
def test_verification(command: str, cluster: dict[str, Any]) -> None:
    done = verify(command, cluster, "--url", cluster["base_url"], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


def test_verification_runs_a_job_as_an_ordinary_user(cluster: dict[str, Any]) -> None:
    job = ("--job", "--job-user", "alice", "--job-token-file", cluster["user_token"])
    done = verify("slurmrest verify", cluster, "--url", cluster["base_url"], *job, "--json")
    assert done.returncode == 0, done.stderr
    assert "job" in {check["id"] for check in json.loads(done.stdout)["checks"] if check["ok"]}


def signing_key(cluster: dict[str, Any], directory: Path) -> str:
    """Copy the cluster's signing key into a private file."""
    shell = ("cluster", "shell", "--name", cluster["name"], "node1", "--", "base64", "/var/lib/slurm/jwt/jwt_hs256.key")
    path = directory / "key"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(slurmrest(*shell).stdout))
    return str(path)


def test_verification_with_the_key_proves_everything_that_needs_no_job(cluster: dict[str, Any], tmp_path: Path) -> None:
    names = {"--html": "page.html", "--junit": "junit.xml", "--prometheus": "metrics.prom"}
    files = [word for option, name in names.items() for word in (option, str(tmp_path / name))]
    alice = ("--user", "root", "--job-user", "alice", "--job", "--job-timeout", "60", "--idle-clients", "20")
    argv = [*VERIFY["verify_slurmrestd.py"], "--url", cluster["base_url"]]
    key = signing_key(cluster, tmp_path)
    done = subprocess.run(
        [*argv, "--key-file", key, *alice, "--json", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["job-output"]  # it is on the node
    assert "though this release" not in done.stdout
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert {case.name for case in suite} == set(checks)
    metrics = {family.name for family in text_string_to_metric_families((tmp_path / "metrics.prom").read_text())}
    assert {"slurmrest_verify_ok", "slurmrest_verify_latency_seconds"} <= metrics
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_verification_is_quick_and_asks_little(cluster: dict[str, Any], tmp_path: Path) -> None:
    key = signing_key(cluster, tmp_path)
    argv = [*VERIFY["verify_slurmrestd.py"], "--url", cluster["base_url"], "--key-file", key, "--user", "root"]
    done = subprocess.run([*argv, "--nagios"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    figures = dict(word.split("=") for word in done.stdout.splitlines()[0].partition(" | ")[2].split())
    assert int(figures["requests"]) < 40
    assert float(figures["time"].rstrip("s")) < 3


def test_idle_clients_find_the_connection_limit_and_leave_the_daemon_well(
    cluster: dict[str, Any], release: str
) -> None:
    row = releases.lookup(release).release
    limit = ROLE_CONNECTIONS if row.max_connections_flag else row.default_max_connections
    asked = ["verify_slurmrestd.py", cluster, "--url", cluster["base_url"], "--json", "--idle-clients"]
    assert verify(*asked, str(limit * 5 // 8)).returncode == 0
    full = verify(*asked, str(limit + 100))
    assert full.returncode == 1
    (failed,) = (check for check in json.loads(full.stdout)["checks"] if check["ok"] is False)
    assert failed["id"] == "idle-clients"
    kept = re.match(r"the client after (\d+) idle ones was not served", failed["detail"])
    assert kept is not None
    assert abs(int(kept[1]) - limit) < 10
    assert verify("verify_slurmrestd.py", cluster, "--url", cluster["base_url"]).returncode == 0


def test_verification_fails_with_one_and_cannot_run_with_two(cluster: dict[str, Any]) -> None:
    nobody_there = verify("slurmrest verify", cluster, "--url", "http://127.0.0.1:9", "--timeout", "2")
    assert nobody_there.returncode == 1
    assert verify("slurmrest verify", cluster, "--url", "ftp://127.0.0.1").returncode == 2


def test_shown_curl_lines_work(cluster: dict[str, Any]) -> None:
    done = verify("slurmrest verify", cluster, "--url", cluster["base_url"], "--show-curl")
    block = done.stdout[done.stdout.index("# The token goes") :]
    pasted = subprocess.run(["bash", "-e", "-c", block], capture_output=True, text=True, check=False)
    assert pasted.returncode == 0, pasted.stderr
    statuses = re.findall(r"^(\d{3})$", pasted.stdout, re.MULTILINE)
    assert len(statuses) == len(re.findall(r"^curl ", block, re.MULTILINE))
    assert "200" in statuses
    assert "401" in statuses
    assert "000" not in statuses


def test_down_leaves_nothing(cluster: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--keep"):
        pytest.skip("the cluster shall stay")
    standing = state.choose(cluster["name"])
    engine = liveness.engine_of(standing, Progress())
    assert slurmrest("cluster", "down", cluster["name"]).returncode == 0
    label = f"{state.CLUSTER_LABEL}={cluster['name']}"
    assert engine.containers(label) == []
    assert engine.networks(label) == []
    assert not standing.directory.exists()
    assert cluster["name"] not in slurmrest("cluster", "list").stdout
