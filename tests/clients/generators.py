"""What generators make of the repaired document. Run by hand, for it installs much; prints a table of docs/clients.md.

    python tests/clients/generators.py --release 24.11 --work /tmp/generators

starts a cluster with a pending, a running and a finished job, and asks each generator for a client of the newest
version. That client then reads the list of jobs, and each job, as the daemon answered.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from slurmrest.rest import openapi

import slurmrest_toolkit

PYTHON = ("openapi-python-client==0.29.1", "datamodel-code-generator==0.89.0")
NODE = ("openapi-typescript@7", "typescript@5")

READ_CLIENT = """
import importlib, json, pathlib, re, sys
import httpx
package, answers = pathlib.Path(sys.argv[1]), json.load(open(sys.argv[2]))
sys.path.insert(0, str(package.parent))
client = importlib.import_module(package.name).Client(base_url="http://localhost")
for path, answer in answers.items():
    for file in package.glob("api/*/*.py"):
        text = file.read_text()
        urls = re.findall(r'"url": "([^"]+)"', text)
        if '"method": "get"' in text and [re.sub("{[^}]+}", "{}", url) for url in urls] == [path]:
            module = importlib.import_module(".".join((package.name, *file.relative_to(package).with_suffix("").parts)))
            for body in answer:
                found = module._parse_response(client=client, response=httpx.Response(200, json=body))
                assert len(found.jobs) == len(body["jobs"]), path
            break
    else:
        sys.exit(f"no operation for {path}")
"""
READ_MODELS = """
import importlib.util, json, sys
import pydantic
spec = importlib.util.spec_from_file_location("models", sys.argv[1])
models = importlib.util.module_from_spec(spec)
sys.modules["models"] = models
spec.loader.exec_module(models)
model = getattr(models, sys.argv[3])
for answer in json.load(open(sys.argv[2])).values():
    for body in answer:
        jobs = model.model_validate(body).jobs
        assert len(getattr(jobs, "root", jobs) or []) == len(body["jobs"])
"""


def run(folder: Path, *words: str) -> str:
    """Run a program; returns nothing where it was good, else the last line of what it said."""
    environment = {**os.environ, "PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def prepared(folder: Path) -> Path:
    """Install the generators below a folder, once."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "venv").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        subprocess.run([str(folder / "venv/bin/pip"), "install", "--quiet", *PYTHON], check=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), *NODE], check=True)
    return folder


def asked(release: str) -> tuple[str, dict[str, Any], dict[str, list[Any]]]:
    """Return the newest version, its repaired document, and answers by path, of a cluster with jobs in three states."""
    with slurmrest_toolkit.start(slurm=release, allow_stale_mirror=True, verify="quick") as cluster:
        alice = cluster.users["alice"].client()
        numbers = [alice.submit("#!/bin/sh\ntrue\n")]
        alice.wait(numbers[0])
        numbers += [alice.submit("#!/bin/sh\nsleep 600\n", hold=hold) for hold in (True, False)]
        deadline = time.monotonic() + 60
        while (job := alice.job(numbers[-1])).state != "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job} does not start")
            time.sleep(0.2)
        version = cluster.api_versions[-1]
        document = openapi.one_version(alice.get("/openapi/v3").json(), version)
        paths = [path for path in document["paths"] if path.rstrip("/").endswith(f"/slurm/{version}/jobs")]
        single = f"/slurm/{version}/job/{{}}"
        answers = {paths[0]: [alice.get("jobs").json()], single: [alice.get(f"job/{one}").json() for one in numbers]}
        return f"{cluster.version} {version}", openapi.repaired(document)[0], answers


def tried(folder: Path, title: str, document: dict[str, Any], answers: dict[str, list[Any]]) -> dict[str, str]:
    """Return for each generator nothing where its client reads all answers, else what it says."""
    name = title.replace(" ", "-")
    short = openapi.short_names(document)
    files = {"document": document, "short": short, "answers": answers}
    for kind, content in files.items():
        (folder / f"{name}-{kind}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "read_client.py").write_text(READ_CLIENT, encoding="utf-8")
    (folder / "read_models.py").write_text(READ_MODELS, encoding="utf-8")
    target, python, said = f"client_{_identifier(name)}", "venv/bin/python", f"{name}-answers.json"
    how = ("generate", "--path", f"{name}-document.json", "--meta", "none", "--output-path", target, "--overwrite")
    found = {"openapi-python-client": run(folder, "venv/bin/openapi-python-client", *how)}
    found["openapi-python-client"] = found["openapi-python-client"] or run(
        folder, python, "read_client.py", target, said
    )
    models = f"models_{_identifier(name)}.py"
    words = ("--input", f"{name}-short.json", "--input-file-type", "openapi", "--output", models)
    pydantic = ("--output-model-type", "pydantic_v2.BaseModel")
    found["datamodel-code-generator"] = run(folder, "venv/bin/datamodel-codegen", *words, *pydantic)
    model = next(iter(name for name in ("OpenapiJobInfoResp", "JobsResponse") if name.lower() in _models(short)), "")
    read = run(folder, python, "read_models.py", models, said, model)
    found["datamodel-code-generator"] = found["datamodel-code-generator"] or read
    found["openapi-typescript, tsc"] = run(
        folder, "node_modules/.bin/openapi-typescript", f"{name}-document.json", "-o", f"{name}.ts"
    ) or run(folder, "node_modules/.bin/tsc", "--noEmit", "--strict", f"{name}.ts")
    return found


def _identifier(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def _models(document: dict[str, Any]) -> set[str]:
    return {name.replace("_", "").lower() for name in document["components"]["schemas"]}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the generators and what they make")
    options = parser.parse_args()
    folder = prepared(options.work.absolute())
    rows = {}
    for release in options.release:
        title, document, answers = asked(release)
        rows[title] = tried(folder, title, document, answers)
    names = list(next(iter(rows.values())))
    sys.stdout.write(f"| Slurm | {' | '.join(names)} |\n|{' --- |' * (len(names) + 1)}\n")
    for title, found in rows.items():
        sys.stdout.write(f"| {title} | {' | '.join(found[name] or 'reads all' for name in names)} |\n")
    return 1 if any(said for found in rows.values() for said in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
