"""Request bodies in the shape that an API version wants (:mod:`..slurm.api_versions`). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..slurm.api_versions import ApiVersion

UNLIMITED = -1  # a number that means without a limit


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
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Body of ``POST /slurm/<version>/job/submit`` for a batch job.

    `directory` is the job's working directory and `output` the file for its output, both absolute on the compute node;
    `minutes` is the time limit, `more` are keys of ``job`` in the version's shape already. The script stands beside
    ``job``: every API version accepts it there. ``nodes`` is always a string: the list that old versions describe is
    read by them and has no effect (seen on v0.0.36).

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
        "partition": partition,
        "account": account,
        "time_limit": None if minutes is None else number(api, minutes),
        api.stdout_key: output,
    }
    job = {key: value for key, value in job.items() if value is not None}
    return {"script": script, "job": {**job, **(more or {})}}


def number(api: ApiVersion, value: int) -> Any:
    """A number that can be unset or infinite, as the version writes it.

    Newer versions take a number without ``set`` for none, and say nothing; so it is always there.
    """
    if not api.number_struct:
        return value
    infinite = value == UNLIMITED
    return {"set": True, "infinite": infinite, "number": 0 if infinite else value}
