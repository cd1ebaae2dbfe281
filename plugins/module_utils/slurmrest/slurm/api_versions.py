"""The API versions of slurmrestd: what each one's requests and answers look like, as data (:mod:`.releases`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import InputError
from ..host.numbers import whole


@dataclass(frozen=True)
class ApiVersion:
    """What a client has to know of one API version (``v0.0.NN``): the shape of requests and answers."""

    name: str
    slurmdb: bool  # /slurmdb/<version>/… exists
    slurmdb_ping: bool  # GET /slurmdb/<version>/ping exists: the unprivileged check of slurmdbd
    environment: str  # job.environment is an "object" {"PATH": "/bin"} or a "list" ["PATH=/bin"]; never empty
    job_script: str  # "top": only beside "job"; "both": there or inside "job"
    cwd_required: bool  # job.current_working_directory must be there
    number_struct: bool  # numbers that can be unset or infinite are {"set", "infinite", "number"} in answers
    stdout_key: str  # job.<key> of the file that takes the job's output
    nodelist_key: str  # job.<key> of the nodes a job must have: "nodelist" is a string, "required_nodes" a list
    exclusive_key: str  # job.<key> that asks for whole nodes
    gres_prefix: str | None  # of each entry of job.tres_per_node; None: job.gres takes them bare
    meta_key: str  # meta.<key> holds the release of the server
    error_number_keys: tuple[str, ...]  # keys of errors[] that hold the number, the usual one first
    ping_key: str  # pings[].<key> that says whether slurmctld answered
    ping_up: object  # its value when it did


_V35 = ApiVersion(
    name="v0.0.35",
    slurmdb=False,
    slurmdb_ping=False,
    environment="object",
    job_script="top",
    cwd_required=False,
    number_struct=False,
    stdout_key="standard_out",
    nodelist_key="nodelist",
    exclusive_key="exclusive",
    gres_prefix=None,
    meta_key="Slurm",
    error_number_keys=("errno", "error_code"),
    ping_key="ping",
    ping_up="UP",
)

_V36 = replace(_V35, name="v0.0.36", slurmdb=True)

_V37 = replace(
    _V36,
    name="v0.0.37",
    stdout_key="standard_output",
    error_number_keys=("error_number", "error_code", "errno"),
)

_V38 = replace(_V37, name="v0.0.38")

_V39 = replace(
    _V38,
    name="v0.0.39",
    environment="list",
    nodelist_key="required_nodes",
    job_script="both",
    gres_prefix="gres:",
    number_struct=True,
    error_number_keys=("error_number",),
    ping_key="pinged",
)

_V40 = replace(_V39, name="v0.0.40", cwd_required=True, meta_key="slurm", gres_prefix="gres/")

_V41 = replace(_V40, name="v0.0.41")

_V42 = replace(_V41, name="v0.0.42", slurmdb_ping=True, exclusive_key="shared", ping_key="responding", ping_up=True)

_V43 = replace(_V42, name="v0.0.43")

_V44 = replace(_V43, name="v0.0.44")

_V45 = replace(_V44, name="v0.0.45")

API_VERSIONS: dict[str, ApiVersion] = {
    api.name: api for api in (_V35, _V36, _V37, _V38, _V39, _V40, _V41, _V42, _V43, _V44, _V45)
}
"""Facts of each API version, oldest first. Source: submission, ping and errors, run on a release of every series."""


def api_version(name: str) -> ApiVersion:
    """The facts of an API version. One newer than the table is treated like the newest; InputError for an older one."""
    known = API_VERSIONS.get(name)
    if known is not None:
        return known
    newest = list(API_VERSIONS.values())[-1]
    number = whole(name.rpartition(".")[2])
    if name.startswith("v0.0.") and number is not None and number > int(newest.name.rpartition(".")[2]):
        return newest
    raise InputError("API version", name, " ".join(API_VERSIONS))
