"""One API version out of slurmrestd's OpenAPI document, and the repair of what validators trip over. Pure.

A repair is looked for, not assumed: what a release does not do wrong is left as it is and counted nowhere. Most of them
follow from the rules of OpenAPI 3.0. What real answers contradict is in :data:`FALSE`, seen on the releases that are
named there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import InputError
from ..slurm.api_versions import API_VERSIONS

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_OF_A_PATH = {*METHODS, "$ref", "summary", "description", "servers", "parameters"}
_STYLES = {
    "path": {"matrix", "label", "simple"},
    "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
    "header": {"simple"},
    "cookie": {"form"},
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}
_FLAGS = ("required", "deprecated", "nullable", "readOnly", "writeOnly", "uniqueItems", "allowEmptyValue")
_WORDS = {"true": True, "false": False}
_SCHEMAS = "#/components/schemas/"
_VERSIONED = re.compile(r"\A(db)?v\d+\.\d+\.\d+_")
_FAMILY = re.compile(r"/(slurm|slurmdb)/(v[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})(?:/|\Z)")


@dataclass(frozen=True)
class Repair:
    """One kind of fault that was mended: how often, and where the first one was."""

    id: str
    count: int
    first: str

    @property
    def text(self) -> str:
        """What was wrong, and what became of it."""
        return REPAIRS[self.id][0]

    def __str__(self) -> str:
        return f"{self.id}: {self.count} ({self.text}; first: {self.first})"


@dataclass(frozen=True)
class Falsehood:
    """What the document says of a property, and answers do not: ``schema`` is its name without the version."""

    schema: str
    name: str
    truth: str  # "null": it may be null; "absent": it may be missing; a type, otherwise
    seen: str


def versions(document: Mapping[str, Any]) -> tuple[str, ...]:
    """API versions that a document describes, oldest first."""
    found = {match[2] for path in document.get("paths", {}) if (match := _FAMILY.match(path))}
    return tuple(sorted(found, key=lambda name: [int(part) for part in name[1:].split(".")]))


def one_version(document: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A document with the paths of one API version, ``/slurm`` and ``/slurmdb``, and what these refer to.

    Raises InputError when it is not described.
    """
    served = versions(document)
    if version not in served:
        raise InputError("--api-version", version, f"what is served there: {' '.join(served) or 'nothing'}")
    found: dict[str, Any] = copy.deepcopy(dict(document))
    paths = document["paths"]
    found["paths"] = {
        path: found["paths"][path] for path in paths if (match := _FAMILY.match(path)) and match[2] == version
    }
    parts = found.get("components", {})
    used = _referred(found["paths"], parts)
    for kind, members in parts.items():
        if kind != "securitySchemes":
            parts[kind] = {name: member for name, member in members.items() if (kind, name) in used}
    found["components"] = {kind: members for kind, members in parts.items() if members}
    return found


def short_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of one version whose schemas are called ``job_info`` instead of ``v0.0.42_job_info``.

    Generators make folders of dots. A name that would be taken then stays.
    """
    found: dict[str, Any] = copy.deepcopy(dict(document))
    schemas = found.get("components", {}).get("schemas", {})
    short = {name: _VERSIONED.sub(lambda match: "db_" if match[1] else "", name) for name in schemas}
    taken = list(short.values())
    names = {name: new for name, new in short.items() if taken.count(new) == 1 and (new == name or new not in schemas)}
    found.setdefault("components", {})["schemas"] = {names.get(name, name): one for name, one in schemas.items()}
    for _place, node in _objects(found, ""):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(_SCHEMAS):
            name = target[len(_SCHEMAS) :]
            node["$ref"] = _SCHEMAS + names.get(name, name)
    return found


def _referred(start: Any, components: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Kind and name of every component that can be reached."""
    found: set[tuple[str, str]] = set()
    left = [start]
    while left:
        for _place, node in _objects(left.pop(), ""):
            target = node.get("$ref")
            if isinstance(target, str) and target.startswith("#/components/"):
                kind, _, name = target[len("#/components/") :].partition("/")
                if (kind, name) not in found and name in components.get(kind, {}):
                    found.add((kind, name))
                    left.append(components[kind][name])
    return found


def repaired(document: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Repair, ...]]:
    """A document that holds by the rules of OpenAPI 3.0 and by what the daemon answers, and what was mended."""
    found: dict[str, Any] = copy.deepcopy(dict(document))
    done = []
    for name, (_text, mend) in REPAIRS.items():
        places = list(mend(found))
        if places:
            done.append(Repair(name, len(places), places[0]))
    return found, tuple(done)


def _objects(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON object below a node, with its place."""
    left = [(place, node)]
    while left:
        where, one = left.pop()
        if isinstance(one, dict):
            yield where, one
            left += [(f"{where}/{key}", value) for key, value in reversed(list(one.items()))]
        elif isinstance(one, list):
            left += [(f"{where}/{number}", value) for number, value in reversed(list(enumerate(one)))]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if isinstance(item.get(method), dict):
                yield path, method, item[method]


def _stray_keys(document: dict[str, Any]) -> Iterator[str]:
    for path, item in document.get("paths", {}).items():
        for key in [key for key in item if key not in _OF_A_PATH and not key.startswith("x-")]:
            del item[key]
            yield f"{path}: {key}"


def _flags(document: dict[str, Any]) -> Iterator[str]:
    for place, node in _objects(document, ""):
        for key in _FLAGS:
            if isinstance(node.get(key), str) and node[key] in _WORDS and not place.endswith("/properties"):
                node[key] = _WORDS[node[key]]
                yield f"{place}/{key}"


def _empty_required(document: dict[str, Any]) -> Iterator[str]:
    for place, node in _objects(document, ""):
        if node.get("required") == [] and not place.endswith("/properties"):
            del node["required"]
            yield place


def _required_paths(document: dict[str, Any]) -> Iterator[str]:
    """``a/b`` in a list of names means the property b of the property a, which other tools do not know."""
    for place, node in _objects(document, ""):
        names, properties = node.get("required"), node.get("properties")
        if isinstance(names, list) and isinstance(properties, dict):
            paths = [name for name in names if isinstance(name, str) and "/" in name and name not in properties]
            if paths:
                node["required"] = [name for name in names if name not in paths]
                if not node["required"]:
                    del node["required"]
                yield from (f"{place}: {name}" for name in paths)


def _defaults(document: dict[str, Any]) -> Iterator[str]:
    for place, node in _objects(document, ""):
        kind = node.get("type")
        if not isinstance(kind, str) or kind not in _TYPES or "default" not in node or place.endswith("/properties"):
            continue
        value = node["default"]
        fits = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        if fits or (value is None and node.get("nullable")):
            continue
        if kind == "boolean" and value in (0, 1, *_WORDS):
            node["default"] = _WORDS[value] if isinstance(value, str) else bool(value)
        else:
            del node["default"]
        yield f"{place}: {value!r}"


def _styles(document: dict[str, Any]) -> Iterator[str]:
    for place, node in _objects(document, ""):
        where = node.get("in")
        if isinstance(where, str) and where in _STYLES and "style" in node and node["style"] not in _STYLES[where]:
            yield f"{place}: {node.pop('style')}"


def _operation_ids(document: dict[str, Any]) -> Iterator[str]:
    taken: set[str] = set()
    for path, method, operation in _operations(document):
        given = operation.get("operationId")
        if not isinstance(given, str) or given in taken:
            named = f"{method}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"
            wanted = name = named if not isinstance(given, str) else f"{given}_{named}"
            number = 1
            while name in taken:
                number += 1
                name = f"{wanted}_{number}"
            operation["operationId"] = name
            yield f"{method} {path}: {given or 'none'}"
        taken.add(operation["operationId"])


def _path_parameters(document: dict[str, Any]) -> Iterator[str]:
    """A parameter that the path does not have is dropped, one that nobody describes is described."""
    for path, method, operation in _operations(document):
        names = re.findall(r"{([^}]+)}", path)
        parameters = operation.setdefault("parameters", [])
        shared = document["paths"][path].get("parameters", [])
        for one in [one for one in parameters if one.get("in") == "path" and one.get("name") not in names]:
            parameters.remove(one)
            yield f"{method} {path}: {one.get('name')}"
        known = {one.get("name") for one in (*parameters, *shared) if one.get("in") == "path"}
        for name in names:
            if name not in known:
                parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
                yield f"{method} {path}: {name}"
        if not parameters:
            del operation["parameters"]


def _job_states(document: dict[str, Any]) -> Iterator[str]:
    """The answer of ``jobs/state`` is described as that of ``jobs``."""
    for path, method, operation in _operations(document):
        if not re.search(r"/jobs/state/?\Z", path) or method != "get":
            continue
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        for kind, media in content.items():
            described = _resolved(document, media.get("schema"))
            properties = described.get("properties", {})
            if "last_backfill" in properties:
                kept = {name: properties[name] for name in ("meta", "errors", "warnings") if name in properties}
                media["schema"] = {
                    "type": "object",
                    "properties": {"jobs": {"type": "array", "items": copy.deepcopy(_JOB_STATE)}, **kept},
                    "required": ["jobs"],
                }
                yield f"get {path}: {kind}"


def _error_answers(document: dict[str, Any]) -> Iterator[str]:
    """An answer with errors is an object that has them, also where it is described as the list itself."""
    for path, method, operation in _operations(document):
        for kind, media in operation.get("responses", {}).get("default", {}).get("content", {}).items():
            if _resolved(document, media.get("schema")).get("type") == "array":
                media["schema"] = {"type": "object", "properties": {"errors": media["schema"]}}
                yield f"{method} {path}: {kind}"


def _resolved(document: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """A schema, or what it refers to."""
    target = schema.get("$ref", "") if isinstance(schema, dict) else ""
    node: Any = document if target.startswith("#/") else schema
    for part in target[2:].split("/") if target else ():
        node = node.get(part, {})
    return node if isinstance(node, dict) else {}


def _nulls(document: dict[str, Any]) -> Iterator[str]:
    """Versions that have no form for a number that is unset answer with null wherever there is nothing to say."""
    if not any(name in API_VERSIONS and not API_VERSIONS[name].number_struct for name in versions(document)):
        return
    schemas = document.get("components", {}).get("schemas", {})
    answers = [operation.get("responses", {}) for _path, _method, operation in _operations(document)]
    used = {name for kind, name in _referred(answers, document.get("components", {})) if kind == "schemas"}
    for place, start in [("answers", answers), *((name, schemas[name]) for name in schemas if name in used)]:
        for where, node in list(_objects(start, place)):
            properties = node.get("properties")
            if isinstance(properties, dict) and not where.endswith("/properties"):
                for name, schema in properties.items():
                    if isinstance(schema, dict) and not schema.get("nullable"):
                        properties[name] = _nullable(schema)
                        yield f"{where}.{name}"


def _falsehoods(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        for false in FALSE:
            if _VERSIONED.sub("", name) == false.schema:
                yield from _mend(schema, false, name)


def _mend(schema: dict[str, Any], false: Falsehood, name: str) -> Iterator[str]:
    """Tell the truth about a property, of a schema or of what is below it."""
    for _place, node in list(_objects(schema, "")):
        properties = node.get("properties")
        if not isinstance(properties, dict) or not isinstance(properties.get(false.name), dict):
            continue
        there = properties[false.name]
        if false.truth == "absent":
            if false.name in node.get("required", []):
                node["required"] = [other for other in node["required"] if other != false.name]
                if not node["required"]:
                    del node["required"]
                yield f"{name}.{false.name} may be missing"
        elif false.truth == "null":
            if not there.get("nullable"):
                properties[false.name] = _nullable(there)
                yield f"{name}.{false.name} may be null"
        elif there.get("type") not in (None, false.truth):
            there["type"] = false.truth
            for bound in ("enum", "format", "pattern"):
                there.pop(bound, None)
            yield f"{name}.{false.name} is of type {false.truth}"


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that null is valid by, too. Beside a reference nothing counts, so that one becomes a choice of two."""
    if "$ref" not in schema:
        return {**schema, "nullable": True}
    null = {"type": "object", "nullable": True, "enum": [None]}
    return {"nullable": True, "anyOf": [{"$ref": schema["$ref"]}, null]}


_JOB_STATE = {
    "type": "object",
    "properties": {"job_id": {"type": "string"}, "state": {"type": "array", "items": {"type": "string"}}},
    "required": ["job_id", "state"],
}

FALSE: tuple[Falsehood, ...] = (
    *(Falsehood("meta", name, "integer", "any answer") for name in ("major", "micro", "minor")),
    Falsehood("job", "allocation_nodes", "integer", "a job of slurmdbd"),
    Falsehood("job_step", "task", "object", "a step of a job of slurmdbd"),
    Falsehood("job_info", "job_resources", "null", "a job that has not started"),
    Falsehood("openapi_job_info_resp", "job_resources", "null", "the same where schemas are written out"),
    Falsehood("openapi_instances_resp", "instances", "absent", "a cluster without any"),
    Falsehood("openapi_reservation_resp", "reservations", "absent", "a name that is unknown: status 200 with errors"),
    Falsehood("openapi_reservation_resp", "last_update", "absent", "the same"),
    Falsehood("openapi_nodes_resp", "nodes", "absent", "a name that is unknown: status 200 with errors"),
    Falsehood("openapi_nodes_resp", "last_update", "absent", "the same"),
    Falsehood("openapi_partition_resp", "partitions", "absent", "a name that is unknown: status 200 with a warning"),
    Falsehood("openapi_partition_resp", "last_update", "absent", "the same"),
)
"""What answers of real daemons contradicted; none of it depends on the release."""

REPAIRS: Mapping[str, tuple[str, Callable[[dict[str, Any]], Iterator[str]]]] = {
    "stray-key": ("a key of a path that is no method; removed", _stray_keys),
    "flag": ("true or false as a text; now a boolean", _flags),
    "empty-required": ("an empty list of required properties, which OpenAPI 3.0 forbids; removed", _empty_required),
    "required-path": ("a path where the name of a required property belongs; removed", _required_paths),
    "default": ("a default of another type than its schema; converted or removed", _defaults),
    "style": ("a style that a parameter of this kind cannot have; removed", _styles),
    "operation-id": ("an operationId that is missing or used twice; made of method and path", _operation_ids),
    "path-parameter": ("a path and its parameters that differ; the path counts", _path_parameters),
    "job-state": ("the answer of jobs/state, described as that of jobs; described as it is", _job_states),
    "error-answer": ("an answer with errors, described as their list alone; an object that has it", _error_answers),
    "null": ("a property of an answer of a version that says null for all that is unset; may be null", _nulls),
    "answer": ("a property that real answers contradict; described as it is", _falsehoods),
}
