"""Request bodies in the shape that an API version wants (columns of ``releases.API_VERSIONS``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InputError
from .releases import API_VERSIONS, ApiVersion


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
) -> dict[str, Any]:
    """Body of ``POST /slurm/<version>/job/submit`` for a batch job.

    `directory` is the job's working directory and `output` the file for its output, both absolute on the compute node;
    `minutes` is the time limit. The script stands beside ``job``: every API version accepts it there.

    Raises InputError when `environment` is empty, which every release refuses.
    """
    if not environment:
        raise InputError("environment", dict(environment), "at least one variable, such as PATH")
    job: dict[str, Any] = {
        "name": name,
        "current_working_directory": directory,
        "environment": dict(environment)
        if api.environment == "object"
        else [f"{key}={value}" for key, value in environment.items()],
    }
    if output is not None:
        job[api.stdout_key] = output
    if minutes is not None:
        job["time_limit"] = {"set": True, "infinite": False, "number": minutes} if api.number_struct else minutes
    if partition is not None:
        job["partition"] = partition
    if account is not None:
        job["account"] = account
    return {"script": script, "job": job}
