"""The OpenAPI document of one version, and its repair: against documents with one fault each."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import OpenAPIV30SpecValidator
from slurmrest.errors import InputError
from slurmrest.rest import openapi

REF = "#/components/schemas/"


def document(**schemas: Any) -> dict[str, Any]:
    """A valid document of two versions."""
    answer = {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": f"{REF}v0.0.41_resp"}}}}}
    other = {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": f"{REF}v0.0.9_resp"}}}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Slurm", "version": "1"},
        "security": [{"token": []}],
        "paths": {
            "/slurm/v0.0.41/diag": {"get": {"operationId": "diag", "responses": answer}},
            "/slurmdb/v0.0.41/job/{job_id}": {
                "get": {
                    "operationId": "job",
                    "parameters": [{"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}],
                    "responses": copy.deepcopy(answer),
                }
            },
            "/slurm/v0.0.9/diag": {"get": {"operationId": "old", "responses": other}},
            "/openapi/v3": {"get": {"operationId": "itself", "responses": other}},
        },
        "components": {
            "schemas": {
                "v0.0.41_resp": {"type": "object", "properties": {"a": {"$ref": f"{REF}v0.0.41_part"}}},
                "v0.0.41_part": {"type": "string"},
                "v0.0.9_resp": {"type": "object"},
                **schemas,
            },
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X"}},
        },
    }


def errors(of: dict[str, Any]) -> list[str]:
    return [error.message for error in OpenAPIV30SpecValidator(of).iter_errors()]


def test_the_example_is_good_and_stays_as_it_is() -> None:
    given = document()
    assert errors(given) == []
    assert openapi.repaired(given) == (given, ())


def test_one_version_has_what_it_refers_to_and_nothing_else() -> None:
    given = document()
    longer = {**given, "paths": {**given["paths"], f"/slurm/v0.0.{'1' * 5000}/x": {}}}
    assert openapi.versions(longer) == openapi.versions(given) == ("v0.0.9", "v0.0.41")
    found = openapi.one_version(given, "v0.0.41")
    assert list(found["paths"]) == ["/slurm/v0.0.41/diag", "/slurmdb/v0.0.41/job/{job_id}"]
    assert list(found["components"]["schemas"]) == ["v0.0.41_resp", "v0.0.41_part"]
    assert found["components"]["securitySchemes"] == given["components"]["securitySchemes"]
    assert errors(found) == []
    assert given == document()
    with pytest.raises(InputError, match=r"'v0.0.40' is refused.*v0.0.9 v0.0.41"):
        openapi.one_version(given, "v0.0.40")


def spoilt(fault: str) -> dict[str, Any]:
    """Return the document with one fault."""
    given = document()
    diag = given["paths"]["/slurm/v0.0.41/diag"]
    job = given["paths"]["/slurmdb/v0.0.41/job/{job_id}"]["get"]
    part = given["components"]["schemas"]["v0.0.41_resp"]
    if fault == "stray-key":
        diag["dbv0.0.38_tres_update"] = {"a": 1}
    elif fault == "flag":
        job["parameters"].append({"name": "x", "in": "query", "required": "false", "schema": {"type": "string"}})
    elif fault == "empty-required":
        part["required"] = []
    elif fault == "required-path":
        part["required"] = ["a/b"]
    elif fault == "default":
        part["properties"]["b"] = {"type": "boolean", "default": 0}
    elif fault == "style":
        job["parameters"].append({"name": "x", "in": "query", "style": "simple", "schema": {"type": "string"}})
    elif fault == "operation-id":
        job["operationId"] = "diag"
    elif fault == "path-parameter":
        del job["parameters"]
    elif fault == "job-state":
        described = {"type": "object", "properties": {"jobs": {}, "last_backfill": {"type": "integer"}}}
        diag["get"]["responses"]["200"]["content"]["application/json"]["schema"] = described
        given["paths"]["/slurm/v0.0.41/jobs/state/"] = given["paths"].pop("/slurm/v0.0.41/diag")
    elif fault == "error-answer":
        content = {"application/json": {"schema": {"type": "array", "items": {}}}}
        diag["get"]["responses"]["default"] = {"description": "", "content": content}
    elif fault == "null":
        old = given["paths"].pop("/slurm/v0.0.9/diag")
        given["paths"]["/slurm/v0.0.38/diag"] = old
        schemas = given["components"]["schemas"]
        schemas["v0.0.9_resp"]["properties"] = {"job": {"$ref": f"{REF}v0.0.41_part"}}
        schemas["v0.0.41_resp"] = {"type": "object"}
    else:
        given["components"]["schemas"]["v0.0.41_job_info"] = {
            "type": "object",
            "properties": {"job_resources": {"$ref": f"{REF}v0.0.41_resp", "description": "x"}},
        }
    return given


@pytest.mark.parametrize("fault", openapi.REPAIRS)
def test_each_fault_is_mended_named_and_counted(fault: str) -> None:
    given = spoilt(fault)
    invalid = {"stray-key", "flag", "empty-required", "default", "style", "operation-id", "path-parameter"}
    assert bool(errors(given)) is (fault in invalid), errors(given)
    found, repairs = openapi.repaired(given)
    assert [(one.id, one.count) for one in repairs] == [(fault, 1)]
    assert repairs[0].first
    assert openapi.REPAIRS[fault][0] in str(repairs[0])
    assert errors(found) == []
    assert openapi.repaired(found) == (found, ())
    assert given == spoilt(fault)


@pytest.mark.parametrize(
    ("schema", "default"),
    [
        ({"type": "boolean", "default": "false"}, False),
        ({"type": "boolean", "default": 1}, True),
        ({"type": "boolean", "default": 0.0}, False),
        ({"type": "boolean", "default": 7}, None),
        ({"type": "integer", "default": "x"}, None),
        ({"type": "integer", "default": True}, None),
        ({"type": "integer", "default": 3}, 3),
        ({"type": "string", "nullable": True, "default": None}, None),
    ],
)
def test_a_default_has_the_type_of_its_schema(schema: dict[str, Any], default: object) -> None:
    found, _ = openapi.repaired(document(other=schema))
    assert found["components"]["schemas"]["other"].get("default") is default


def test_properties_may_be_called_like_keys_of_a_schema() -> None:
    schema = {"type": "object", "properties": {"required": {"type": "string"}, "default": {"type": "string"}}}
    schema["properties"]["type"] = {"type": "string"}  # type: ignore[index]
    given = document(other=schema)
    assert errors(given) == []
    assert openapi.repaired(given) == (given, ())


def test_what_may_be_null_is_valid_so() -> None:
    found, _ = openapi.repaired(spoilt("answer"))
    schemas = found["components"]["schemas"]
    described = schemas["v0.0.41_job_info"]["properties"]["job_resources"]
    assert described["anyOf"][0] == {"$ref": f"{REF}v0.0.41_resp"}
    schemas["v0.0.41_resp"] = {"type": "object", "required": ["a"]}
    given = {**described, "components": found["components"]}
    verdicts = [OAS30ReadValidator(given).is_valid(value) for value in (None, {"a": "b"}, {}, 1)]
    assert verdicts == [True, True, False, False]


def test_short_names_follow_their_references_and_stay_where_they_would_be_taken() -> None:
    given = document(**{"v0.0.41_list": {"type": "array", "items": {"$ref": f"{REF}list"}}, "list": {"type": "object"}})
    given["components"]["schemas"]["dbv0.0.41_x"] = {"$ref": f"{REF}v0.0.41_list"}
    found = openapi.short_names(given)
    assert set(found["components"]["schemas"]) == {
        "v0.0.41_resp",
        "v0.0.9_resp",
        "part",
        "v0.0.41_list",
        "list",
        "db_x",
    }
    assert errors(found) == []
    assert found["components"]["schemas"]["db_x"] == {"$ref": f"{REF}v0.0.41_list"}
    assert found["components"]["schemas"]["v0.0.41_resp"]["properties"]["a"] == {"$ref": f"{REF}part"}


def test_the_page_lists_the_repairs() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "clients.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, re.MULTILINE))
    assert list(rows) == list(openapi.REPAIRS)


def test_a_name_that_is_made_is_not_taken() -> None:
    given = document()
    for path in given["paths"].values():
        path["get"].pop("operationId")
    found, (repair,) = openapi.repaired(given)
    names = [path["get"]["operationId"] for path in found["paths"].values()]
    assert len(set(names)) == len(names) == repair.count == 4
    assert "get_slurmdb_v0_0_41_job_job_id" in names
