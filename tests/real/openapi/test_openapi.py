"""The repaired OpenAPI document of each API version: valid by its own rules, and by what the daemon answers."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import OpenAPIV30SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from slurmrest.rest.effect import changes
from slurmrest.rest.payloads import job_submission
from slurmrest.slurm.api_versions import api_version

import slurmrest_toolkit
from tests.real.clusters import live_cluster, slurmrest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from slurmrest_toolkit.client import Client

RESERVATION = "scontrol create reservation starttime=now+1hour duration=10 users=root nodes=ALL reservationname=later"


@pytest.fixture(scope="module", name="cluster")
def a_cluster(release: str) -> Iterator[slurmrest_toolkit.RunningCluster]:
    """A cluster with jobs in each state of life, tasks of an array, a reservation, a second quality of service."""
    with live_cluster("openapi", release) as live:
        cluster = slurmrest_toolkit.attach(live.name)
        alice = cluster.users["alice"].client()
        alice.wait(alice.submit("#!/bin/sh\ntrue\n"))
        alice.submit("#!/bin/sh\nsleep 600\n", hold=True)
        running = alice.submit("#!/bin/sh\nsleep 600\n")
        live.ssh("node1", "runuser -u alice -- sbatch --hold --array=1-3%1 --chdir=/tmp --wrap='sleep 600'")
        deadline = time.monotonic() + 60
        while (job := alice.job(running)).state != "RUNNING":  # before the reservation, behind which it would wait
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
        live.ssh("node1", f"{RESERVATION}; sacctmgr --immediate add qos fast")
        yield cluster


@pytest.fixture(scope="module", name="documents")
def repaired_documents(cluster: slurmrest_toolkit.RunningCluster, tmp_path_factory: Any) -> dict[str, dict[str, Any]]:
    """What the command writes, for each version that is served."""
    found = {}
    for version in cluster.api_versions:
        file: Path = tmp_path_factory.mktemp("openapi") / "openapi.json"
        words = ("--name", cluster.name, "--api-version", version, "--repair", "--output", str(file))
        done = slurmrest("openapi", *words)
        assert done.returncode == 0, done.stderr
        found[version] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_documents_are_valid(documents: Mapping[str, dict[str, Any]]) -> None:
    assert len(documents) >= 3
    for version, document in documents.items():
        assert [error.message for error in OpenAPIV30SpecValidator(document).iter_errors()] == [], version


def test_the_daemons_own_document_is_not(cluster: slurmrest_toolkit.RunningCluster) -> None:
    """Otherwise there would be nothing to repair any more."""
    document = cluster.users["root"].client().get("/openapi/v3").json()
    assert any(OpenAPIV30SpecValidator(document).iter_errors())


def answers(root: Client, alice: Client, version: str, document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield path and method of the document, and an answer."""
    names: dict[str, list[Any]] = {
        "job_id": [job.id for job in alice.jobs()],
        "node_name": ["node1", "nosuch"],
        "partition_name": [root.get("partitions").json()["partitions"][0]["name"]],
        "reservation_name": ["later", "nosuch"],
        "account_name": ["users"],
        "user_name": ["alice"],
        "name": ["alice"],
        "cluster_name": ["slurmrest"],
        "qos": ["fast"],
    }
    for path, item in document["paths"].items():
        if "get" in item and not changes("GET", path):
            keys = re.findall(r"{(\w+)}", path)
            for value in names.get(keys[0], []) if len(keys) == 1 else [] if keys else [""]:
                yield path, "get", root.get(re.sub(r"{\w+}", str(value), path))
    prefix = f"/slurm/{version}/job"
    script = "#!/bin/sh\ntrue\n"
    body = job_submission(
        api_version(version), name="t", script=script, directory="/tmp", environment={"PATH": "/usr/bin:/bin"}
    )
    submitted = alice.post(f"{prefix}/submit", body)
    yield f"{prefix}/submit", "post", submitted
    yield f"{prefix}/{{job_id}}", "delete", alice.delete(f"{prefix}/{submitted.json()['job_id']}")


def absolute(node: Any) -> Any:
    """Return a schema whose references lead into the document, wherever it stands itself."""
    if isinstance(node, dict):
        return {
            key: f"urn:document{value}" if key == "$ref" and str(value).startswith("#") else absolute(value)
            for key, value in node.items()
        }
    return [absolute(one) for one in node] if isinstance(node, list) else node


def test_answers_are_as_the_documents_say(
    cluster: slurmrest_toolkit.RunningCluster, documents: Mapping[str, dict[str, Any]]
) -> None:
    root, alice = cluster.users["root"].client(), cluster.users["alice"].client()
    wrong: list[str] = []
    newest = list(documents)[-1]
    for version, document in documents.items():
        if version != newest and not api_version(version).number_struct:
            continue  # on their way out, and false at every turn: docs/clients.md
        registry = Registry().with_resource(
            "urn:document", Resource.from_contents(document, default_specification=DRAFT4)
        )
        judged = 0
        for path, method, answer in answers(root, alice, version, document):
            described = document["paths"].get(path, {}).get(method, {}).get("responses", {})
            response = described.get(str(answer.status), described.get("default", {}))
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            if schema is None:
                continue
            judged += 1
            validator = OAS30ReadValidator(absolute(schema), registry=registry)
            wrong += [
                f"{method} {path}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
                for error in validator.iter_errors(answer.json())
            ]
        assert judged >= 15
    assert wrong == []
