"""What HTTP libraries make of slurmrestd's answers, directly and through a gateway. Run by hand, for it installs them.

    python tests/clients/libraries.py --release 24.11 --work /tmp/libraries

starts a cluster with a gateway, and prints a table of docs/clients.md: for each library what went wrong, or "all".
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from slurmrest.rest.payloads import job_submission

import slurmrest_toolkit

PYTHON = ("aiohttp==3.14.5", "httpx==0.28.1", "requests==2.34.0", "urllib3==2.6.3")
NODE = ("axios@1",)

CASES = {
    "list": {"method": "GET", "path": "/slurm/VERSION/jobs", "status": 200},
    "close": {"method": "GET", "path": "/slurm/VERSION/ping", "headers": {"Connection": "close"}, "status": 200},
    "unknown": {"method": "GET", "path": "/slurm/v0.0.99/ping", "status": 404},
    "chunked": {"method": "POST", "path": "/slurm/VERSION/job/submit", "status": 200},
}
"""Requests by what is special about them; the last one's body comes in chunks."""

PROGRAMS = {
    "http.client": """
import http.client, ssl
from urllib.parse import urlsplit
def ask(case, url, headers, body, ca):
    place = urlsplit(url)
    if place.scheme == "https":
        link = http.client.HTTPSConnection(place.netloc, context=ssl.create_default_context(cafile=ca))
    else:
        link = http.client.HTTPConnection(place.netloc)
    data = iter(body) if body else None
    link.request(case["method"], place.path, body=data, headers=headers, encode_chunked=bool(body))
    answer = link.getresponse()
    answer.read()
    return answer.status
""",
    "requests": """
import requests
session = requests.Session()
def ask(case, url, headers, body, ca):
    data = iter(body) if body else None
    return session.request(case["method"], url, headers=headers, data=data, verify=ca).status_code
""",
    "urllib3": """
import urllib3
def ask(case, url, headers, body, ca):
    pool = urllib3.PoolManager(ca_certs=ca or None, retries=False)
    return pool.request(case["method"], url, headers=headers, body=iter(body) if body else None).status
""",
    "httpx": """
import httpx, ssl
def ask(case, url, headers, body, ca):
    verify = ssl.create_default_context(cafile=ca) if ca else True
    with httpx.Client(verify=verify) as client:
        return client.request(case["method"], url, headers=headers, content=iter(body) if body else None).status_code
""",
    "aiohttp": """
import aiohttp, asyncio, ssl
def ask(case, url, headers, body, ca):
    async def chunks():
        for part in body:
            yield part
    async def once():
        tls = ssl.create_default_context(cafile=ca) if ca else True
        async with aiohttp.ClientSession() as session:
            data = chunks() if body else None
            async with session.request(case["method"], url, headers=headers, data=data, ssl=tls) as answer:
                await answer.read()
                return answer.status
    return asyncio.run(once())
""",
}
"""By library, how it asks: Python that defines ``ask``, which returns the status."""

AROUND = """
import json, sys
task = json.load(sys.stdin)
told = {}
for name, case in task["cases"].items():
    headers = {**task["headers"], **case.get("headers", {})}
    body = [part.encode() for part in task["body"]] if name == "chunked" else None
    if body:
        headers["Content-Type"] = "application/json"
    try:
        status = ask(case, task["url"] + case["path"], headers, body, task["ca"])
        told[name] = "" if status == case["status"] else str(status)
    except Exception as error:
        told[name] = type(error).__name__
print(json.dumps(told))
"""

NODE_AROUND = """
const http = require("http"), https = require("https"), fs = require("fs");
const task = JSON.parse(fs.readFileSync(0)), library = process.argv[2], ca = task.ca && fs.readFileSync(task.ca);
const plain = (url, method, headers, body) => new Promise((resolve, reject) => {
  const request = (url.startsWith("https") ? https : http).request(url, { method, headers, ca }, (answer) => {
    answer.on("error", reject).on("end", () => resolve(answer.statusCode)).resume();
  });
  request.on("error", reject);
  for (const part of body || []) request.write(part);
  request.end();
});
const viaFetch = async (url, method, headers, body) => {
  const { Connection, ...rest } = headers;
  const start = (out) => { body.forEach((part) => out.enqueue(Buffer.from(part))); out.close(); };
  const data = body && new ReadableStream({ start });
  const answer = await fetch(url, { method, headers: rest, body: data, duplex: data ? "half" : undefined });
  await answer.arrayBuffer();
  return answer.status;
};
const viaAxios = async (url, method, headers, body) => {
  const data = body && require("stream").Readable.from(body.map((part) => Buffer.from(part)));
  const agent = ca ? new https.Agent({ ca }) : undefined;
  return (await require("axios")({ url, method, headers, data, httpsAgent: agent, validateStatus: () => true })).status;
};
const ask = { http: plain, fetch: viaFetch, axios: viaAxios }[library];
(async () => {
  const told = {};
  for (const [name, one] of Object.entries(task.cases)) {
    const body = name === "chunked" ? task.body : null;
    const headers = { ...task.headers, ...one.headers, ...(body ? { "Content-Type": "application/json" } : {}) };
    try {
      const status = await ask(task.url + one.path, one.method, headers, body);
      told[name] = status === one.status ? "" : String(status);
    } catch (error) {
      told[name] = (error.cause || error).code || error.name;
    }
  }
  console.log(JSON.stringify(told));
})();
"""


def prepared(folder: Path) -> Path:
    """Install the libraries below a folder, once, and write the programs."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "venv").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        subprocess.run([str(folder / "venv/bin/pip"), "install", "--quiet", *PYTHON], check=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), *NODE], check=True)
    (folder / "ask.cjs").write_text(NODE_AROUND, encoding="utf-8")
    return folder


def programs(folder: Path) -> dict[str, list[str]]:
    """Return the command line of each library."""
    found = {name: [str(folder / "venv/bin/python"), "-c", text + AROUND] for name, text in PROGRAMS.items()}
    return found | {f"Node {name}": ["node", str(folder / "ask.cjs"), name] for name in ("http", "fetch", "axios")}


def tried(argv: list[str], task: dict[str, Any]) -> dict[str, str]:
    """Let one library ask all; returns what went wrong by request."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["NODE_EXTRA_CA_CERTS"] = task["ca"] or ""
    done = subprocess.run(argv, env=environment, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode:
        return dict.fromkeys(CASES, done.stderr.strip().splitlines()[-1])
    return dict(json.loads(done.stdout))


def asked(release: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Return by library what went wrong with the daemon itself, and through a gateway."""
    found = {}
    with slurmrest_toolkit.start(slurm=release, gateway=True, allow_stale_mirror=True, verify="quick") as cluster:
        assert cluster.gateway is not None
        url, authority = cluster.gateway
        version = cluster.api_versions[-1]
        cases = {name: {**case, "path": str(case["path"]).replace("VERSION", version)} for name, case in CASES.items()}
        alice = cluster.users["alice"]
        client = alice.client()
        job = job_submission(
            client.access().api,
            name="chunks",
            script="#!/bin/sh\ntrue\n",
            directory="/tmp",
            environment={"PATH": "/usr/bin:/bin"},
        )
        text = json.dumps(job)
        task = {"cases": cases, "headers": alice.headers(), "body": [text[: len(text) // 2], text[len(text) // 2 :]]}
        for name, argv in programs(folder).items():
            direct = tried(argv, {**task, "url": cluster.url, "ca": None})
            through = tried(argv, {**task, "url": url, "ca": str(authority)})
            found[name] = (in_words(direct), in_words(through))
    return found


def in_words(told: dict[str, str]) -> str:
    """Return what a cell of the table says."""
    return ", ".join(f"{name}: {what}" for name, what in told.items() if what) or "all"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the libraries")
    options = parser.parse_args()
    folder = prepared(options.work.absolute())
    sys.stdout.write("| Library | Slurm | slurmrestd | through the gateway |\n| --- | --- | --- | --- |\n")
    for release in options.release:
        for name, (direct, through) in asked(release, folder).items():
            sys.stdout.write(f"| {name} | {release} | {direct} | {through} |\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
