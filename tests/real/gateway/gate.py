"""A gateway of a test cluster as clients see it: over TLS from this host, on connections of their own."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real.clusters import LiveCluster

PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float

    def json(self) -> Any:
        """Return the body as data."""
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        """What the gateway says of its cache."""
        return self.headers.get("x-cache", "")


def in_pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers in their order, of which one may stand there more than once."""
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


@dataclass
class Gate:
    """One gateway, the users of its cluster, and the version of the API to ask by."""

    live: LiveCluster
    url: str
    ca_file: str
    tokens: dict[str, str]
    version: str
    controller: str
    hosts: tuple[str, ...]
    pair: tuple[str, str] | None = None
    """Certificate and key of a client."""

    @property
    def node(self) -> str:
        """Return the node that it is on, the first of the REST hosts."""
        return self.hosts[0]

    def path(self, endpoint: str, family: str = "slurm") -> str:
        """Return the path of an endpoint."""
        return f"/{family}/{self.version}/{endpoint}"

    def who(self, user: str) -> dict[str, str]:
        """Return a user's credentials."""
        return {USER_HEADER: user, TOKEN_HEADER: self.tokens[user]}

    def connect(self, name: str = "") -> http.client.HTTPConnection:
        """Connect over TLS; the certificate has to be of ``name``, or else of the address."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.pair is not None:
            context.load_cert_chain(*self.pair)
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
        connection.connect()
        connection.sock = context.wrap_socket(connection.sock, server_hostname=name or parts.hostname)
        return connection

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:
        """Send one request with just these headers, of which one may stand there more than once."""
        begin = time.monotonic()
        connection = self.connect()
        try:
            pairs = in_pairs(headers)
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value)
            names = {name.lower() for name, _value in pairs}
            if body is not None and "transfer-encoding" not in names:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, content, time.monotonic() - begin)

    def submit(
        self,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        name: str,
        script: str = "id",
        family: str = "slurm",
    ) -> Answer:
        """Submit a short job."""
        kind, body = ("Content-Type", "application/json"), json.dumps(self.job(name, script)).encode()
        return self.ask(self.path("job/submit", family), [*in_pairs(headers), kind], "POST", body)

    def job(self, name: str, script: str = "id") -> dict[str, Any]:
        """Return what a short job is submitted with."""
        job: dict[str, Any] = {
            "name": name,
            "current_working_directory": "/tmp",
            "environment": ["PATH=/bin:/usr/bin"],
            "script": f"#!/bin/sh\n{script}\n",
        }
        if re.search(r"v0\.0\.3[5-8]$", self.version):
            job["environment"] = {"PATH": "/bin:/usr/bin"}
            return {"job": job, "script": job.pop("script")}
        return {"job": job}

    def log_in(self, user: str, password: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """Log in by password."""
        kind = {"Content-Type": "application/json", **(headers or {})}
        body = json.dumps({"user": user, "password": password, **more}).encode()
        return self.ask("/auth/login", kind, "POST", body)

    def owner(self, job_id: int) -> str:
        """Return whose job it is, as the controller says."""
        shown = self.live.ssh(self.controller, f"scontrol show job {job_id}")
        return str(re.findall(r"UserId=([^(]+)\(", shown)[0])

    def rpcs(self, name: str) -> int:
        """Return how many RPCs of a kind slurmctld has had since its start."""
        found = re.findall(rf"{name}\s+\(\s*\d+\)\s+count:(\d+)", self.live.ssh(self.controller, "sdiag"))
        return int(found[0]) if found else 0

    def crowd(self, count: int, ask: Callable[[int], Answer]) -> list[Answer]:
        """Let as many clients ask at once."""
        ready = threading.Barrier(count)

        def one(number: int) -> Answer:
            ready.wait()
            return ask(number)

        with ThreadPoolExecutor(max_workers=count) as pool:
            return list(pool.map(one, range(count)))

    def play(self, *words: str, **variables: Any) -> Any:
        """Run playbooks/gateway.yml with variables, those of a number too."""
        return self._play("gateway.yml", words, variables)

    def deploy(self, *words: str, **variables: Any) -> Any:
        """Run playbooks/deploy.yml with variables of the gateway."""
        return self._play("deploy.yml", words, variables)

    def _play(self, playbook: str, words: Sequence[str], variables: Mapping[str, Any]) -> Any:
        whole = {f"slurmrest_gateway_{name}": value for name, value in variables.items()}
        return self.live.playbook(playbook, *words, variables=whole)
