"""Request bodies in the shape that an API version wants (columns of ``releases.API_VERSIONS``). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..slurm.releases import API_VERSIONS, ApiVersion


def api_version(name: str) -> ApiVersion:
    """The facts of an API version. One newer than the table is treated like the newest; InputError for an older one."""
    known = API_VERSIONS.get(name)
    if known is not None:
        return known
    newest = list(API_VERSIONS.values())[-1]
    number = name.rpartition(".")[2]
    if name.startswith("v0.0.") and number.isdigit() and int(number) > int(newest.name.rpartition(".")[2]):
        return newest
    raise InputError("API version", name, " ".join(API_VERSIONS))


@dataclass(frozen=True)
class Resources:
    """What a job asks for; None is left to the cluster. Paths are those of the compute node.

    `nodes` is a count or a range such as ``2-4``, `nodelist` names nodes that the job must have, `memory_per_node` is
    in MiB (0: all of it), `input` and `error` are files of the job's standard input and error.
    """

    tasks: int | None = None
    nodes: str | None = None
    nodelist: Sequence[str] = ()
    cpus_per_task: int | None = None
    memory_per_node: int | None = None
    input: str | None = None
    error: str | None = None
    qos: str | None = None
    constraints: str | None = None
    reservation: str | None = None
    dependency: str | None = None


def job_submission(
    api: ApiVersion,
    *,
    name: str,
    script: str,
    directory: str,
    environment: Mapping[str, str],
    output: str | None = None,
    minutes: int | None = None,
    partition: str | None = None,
    account: str | None = None,
    resources: Resources | None = None,
) -> dict[str, Any]:
    """Body of ``POST /slurm/<version>/job/submit`` for a batch job.

    `directory` is the job's working directory and `output` the file for its output, both absolute on the compute node;
    `minutes` is the time limit. The script stands beside ``job``: every API version accepts it there. ``nodes`` is
    always sent as a string: the list that old versions describe is read by them and has no effect (seen on v0.0.36).

    Raises InputError when `environment` is empty, which every release refuses.
    """
    if not environment:
        raise InputError("environment", dict(environment), "at least one variable, such as PATH")
    wanted = resources or Resources()
    job: dict[str, Any] = {
        "name": name,
        "current_working_directory": directory,
        "environment": dict(environment)
        if api.environment == "object"
        else [f"{key}={value}" for key, value in environment.items()],
        "partition": partition,
        "account": account,
        "time_limit": _number(api, minutes),
        "tasks": wanted.tasks,
        "nodes": wanted.nodes,
        "cpus_per_task": wanted.cpus_per_task,
        "memory_per_node": _number(api, wanted.memory_per_node),
        api.stdout_key: output,
        "standard_input": wanted.input,
        "standard_error": wanted.error,
        "qos": wanted.qos,
        "constraints": wanted.constraints,
        "reservation": wanted.reservation,
        "dependency": wanted.dependency,
    }
    if wanted.nodelist:
        job[api.nodelist_key] = (
            list(wanted.nodelist) if api.nodelist_key == "required_nodes" else ",".join(wanted.nodelist)
        )
    return {"script": script, "job": {key: value for key, value in job.items() if value is not None}}


def _number(api: ApiVersion, value: int | None) -> Any:
    """A number that can be unset or infinite, as the version writes it."""
    return {"set": True, "infinite": False, "number": value} if api.number_struct and value is not None else value
