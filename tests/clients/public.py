"""What clients that people publish make of three releases. Run by hand, for it installs them.

    python tests/clients/public.py --release 24.11 --work /tmp/clients

starts a cluster, has each client submit a job as an ordinary user and wait until it has ended, with each API version
that it brings, and prints a table of docs/clients.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurmrest.rest.payloads import job_submission
from slurmrest.slurm.api_versions import api_version

import slurmrest_toolkit

SECONDS = 120.0
"""Within which a client has to have seen its job end."""

FIND = """
def first(api, *names):
    return next(getattr(api, name) for name in names if hasattr(api, name))

def words(state):
    states = state if isinstance(state, list) else [state]
    return [str(getattr(one, "value", one)) for one in states]
"""

GENERATED = """
import importlib, time

def submit_and_wait(task, version, body):
    number = version.replace(".", "")
    package = importlib.import_module(task["package"].replace("VERSION", number))
    place = package.Configuration(host=task["url"])
    place.api_key.update(user=task["user"], token=task["token"])
    api = package.SlurmApi(package.ApiClient(place))
    second = "_0" if number == "v0036" else ""
    submit = first(api, f"slurm_{number}_post_job_submit", f"slurm_{number}_submit_job", "post_job_submit",
                   f"slurmctld_submit_job{second}")
    ask = first(api, f"slurm_{number}_get_job", "get_job", f"slurmctld_get_job{second}")
    job = submit(body).job_id
    named = int(job) if number == "v0036" else str(job)  # as the document of that version says
    while "COMPLETED" not in words(ask(named).jobs[0].job_state):
        time.sleep(0.5)
"""
"""For what openapi-generator made: one class of operations, named by version, that take a body as a dictionary."""

GENERATED_ASYNC = """
import asyncio, importlib

def submit_and_wait(task, version, body):
    async def once():
        package = importlib.import_module(task["package"].replace("VERSION", version.replace(".", "")))
        place = package.Configuration(host=task["url"])
        place.api_key.update(user=task["user"], token=task["token"])
        async with package.ApiClient(place) as client:
            api = package.SlurmApi(client)
            job = (await api.post_job_submit(body)).job_id
            while "COMPLETED" not in words((await api.get_job(str(job))).jobs[0].job_state):
                await asyncio.sleep(0.5)
    asyncio.run(once())
"""

SLURM_REQUESTS = """
import asyncio
import slurm_requests

def submit_and_wait(task, version, body):
    async def once():
        slurm_requests.init_defaults(url=task["url"], api_version=version, user_name=task["user"],
                                     user_token=task["token"], environment=["PATH=/usr/bin:/bin"])
        job, _answer = await slurm_requests.job_submit(name="client", working_directory="/tmp", script=body["script"])
        while True:
            found = await slurm_requests.job_current_state_and_reason(job_id=job)
            if found and any(state.name == "COMPLETED" for state in found[0]):
                return
            await asyncio.sleep(0.5)
    asyncio.run(once())
"""

AIRFLOW = """
import importlib.util, sys, time, types

# Its requests alone: the package itself imports Airflow, which is large.
package = types.ModuleType("airflow_slurm_executor")
package.__path__ = importlib.util.find_spec("airflow_slurm_executor").submodule_search_locations
sys.modules[package.__name__] = package
from airflow_slurm_executor.slurm_api_client import SlurmAPIClient

def submit_and_wait(task, version, body):
    tokens = types.SimpleNamespace(get_token=lambda: task["token"], invalidate=lambda: None)
    client = SlurmAPIClient(task["url"], tokens, api_version=version)
    try:
        job = client.submit_job(body)["job_id"]
        while "COMPLETED" not in words(client.get_job(job)["job_state"]):
            time.sleep(0.5)
    except Exception as error:
        error.status = getattr(error, "status_code", None)
        raise
"""

AROUND = """
import json, signal, sys

def late(*_):
    raise TimeoutError

signal.signal(signal.SIGALRM, late)
task = json.load(sys.stdin)
told = {}
for version, body in task["bodies"].items():
    try:
        signal.alarm(int(task["seconds"]))  # whoever does not see the end by then is ended
        submit_and_wait(task, version, body)
        told[version] = "ends"
    except Exception as error:
        status = getattr(error, "status", None)
        told[version] = f"HTTP {status}" if status else type(error).__name__
        said = repr(error).replace(task["token"], "TOKEN")
        sys.stderr.write(f"{version} {said}"[:600] + chr(10))
json.dump(told, sys.stdout)
"""


@dataclass(frozen=True)
class Client:
    """A published client: what pip installs, the module that it brings, its API versions, and how it is driven."""

    requirement: str
    package: str
    versions: tuple[str, ...]
    program: str = GENERATED
    besides: tuple[str, ...] = ()  # what it needs and does not declare
    note: str = ""


def numbers(first: int, last: int) -> tuple[str, ...]:
    """Return names of API versions in a row."""
    return tuple(f"v0.0.{number}" for number in range(first, last + 1))


CLIENTS = (
    Client("aind-hpc-client==0.0.5", "aind_hpc_client", numbers(36, 37)),
    Client("openapi-slurm-0-0-38-client==1.0.0", "openapi_client", numbers(38, 38)),
    Client("aind-slurm-rest==1.0.3", "aind_slurm_rest", numbers(39, 41)),
    Client("aind-slurm-rest-v2==0.0.3", "aind_slurm_rest_v2", numbers(39, 41)),
    Client("slurmrestpy==0.0.1", "slurmrestpy", numbers(40, 42)),
    Client("ebi-slurpy==0.1.1", "slurpy.VERSION", numbers(40, 42), besides=("urllib3",)),
    Client("ebi-slurpy==0.1.1", "slurpy.VERSION.asyncio", numbers(40, 42), GENERATED_ASYNC, ("urllib3",), "asyncio"),
    Client("slurmrestapi==25.11.4.0", "slurmrestapi", numbers(41, 44)),
    Client("slurm-requests==2.3.1", "slurm_requests", numbers(38, 45), SLURM_REQUESTS),
    Client(
        "airflow-provider-slurm==0.1.0",
        "airflow_slurm_executor",
        numbers(38, 45),
        AIRFLOW,
        ("requests",),
        "its requests",
    ),
)


def installed(client: Client, folder: Path) -> list[str]:
    """Install a client in an environment of its own, once; returns the command line of its program."""
    place = folder / client.requirement.partition("==")[0]
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        wanted = (client.requirement, *client.besides)
        subprocess.run([str(place / "bin/pip"), "install", "--quiet", *wanted], check=True)
        (place / "complete").touch()
    return [str(place / "bin/python"), "-c", FIND + client.program + AROUND]


def tried(client: Client, argv: list[str], task: dict[str, Any]) -> dict[str, str]:
    """Have one client submit and wait; returns what came of it by API version."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    text = json.dumps({**task, "package": client.package})
    try:
        done = subprocess.run(argv, env=environment, input=text, stdout=subprocess.PIPE, text=True, check=True)
    except subprocess.CalledProcessError as error:
        return {"all": type(error).__name__}
    return dict(json.loads(done.stdout))


def asked(release: str, commands: dict[Client, list[str]]) -> dict[Client, dict[str, str]]:
    """Return what came of each client on a release, by API version."""
    with slurmrest_toolkit.start(slurm=release, allow_stale_mirror=True, verify="none") as cluster:
        alice = cluster.users["alice"]
        task = {"url": cluster.url, "user": alice.name, "token": alice.token(), "seconds": SECONDS}
        return {
            client: tried(client, argv, {**task, "bodies": {version: body(version) for version in client.versions}})
            for client, argv in commands.items()
        }


def body(version: str) -> dict[str, Any]:
    """Return the submission of a small job in the shape of an API version."""
    return job_submission(
        api_version(version),
        name="client",
        script="#!/bin/sh\ntrue\n",
        directory="/tmp",
        environment={"PATH": "/usr/bin:/bin"},
    )


def in_words(told: dict[str, str]) -> str:
    """Return what a cell of the table says: versions with the same result together."""
    found: dict[str, list[str]] = {}
    for version, what in told.items():
        found.setdefault(what, []).append(version.removeprefix("v0.0."))
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in found.items())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the clients")
    names = sorted({client.requirement.partition("==")[0] for client in CLIENTS})
    parser.add_argument("--client", action="append", choices=names, help="these only; default: all")
    options = parser.parse_args()
    clients = [one for one in CLIENTS if one.requirement.partition("==")[0] in (options.client or names)]
    folder = options.work.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    commands = {client: installed(client, folder) for client in clients}
    found = {release: asked(release, commands) for release in options.release}
    sys.stdout.write(f"| Client | {' | '.join(options.release)} |\n| --- |{' --- |' * len(found)}\n")
    for client in clients:
        name = " ".join(filter(None, (client.requirement.replace("==", " "), client.note)))
        sys.stdout.write(f"| {name} | {' | '.join(in_words(row[client]) for row in found.values())} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
