"""Requests of one user to one slurmrestd: what tests need, with the standard library alone."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from slurmrest.auth.bearer import Token
from slurmrest.errors import InputError
from slurmrest.rest.client import DEFAULT_TIMEOUT, MAX_LIST, Credentials, Response, Target, request
from slurmrest.rest.payloads import job_submission
from slurmrest.users import jobs
from slurmrest.users.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slurmrest.users.jobs import Job

FAMILIES = ("slurm", "slurmdb")
PATH = "/usr/local/bin:/usr/bin:/bin"
"""Of a job's environment, where it is given none."""

_VERSION = re.compile(r"v\d+\.\d+\.\d+")


def complete_path(path: str, version: str) -> str:
    """Return the path of a request: ``diag`` and ``/slurm/diag`` become ``/slurm/<version>/diag``.

    Paths that name a version, and those outside ``/slurm`` and ``/slurmdb`` with a slash at their beginning, stay as
    they are.

    Raises:
        InputError: it is a URL, or holds blanks.
    """
    if "://" in path or any(character.isspace() for character in path) or not path.strip("/"):
        raise InputError("PATH", path, "a path such as diag, /slurmdb/diag or /openapi/v3")
    head, _, rest = path.lstrip("/").partition("/")
    if head in FAMILIES and rest:
        return f"/{head}/{rest}" if _VERSION.match(rest) else f"/{head}/{version}/{rest}"
    return path if path.startswith("/") else f"/slurm/{version}/{path}"


class Client:
    """A user's way to a slurmrestd. Paths are as in ``slurmrest cluster curl``: ``diag``, ``/slurmdb/users``, ….

    A request raises ClientError where there is no answer; every answer is a Response, with ``status``, ``headers``,
    ``json()`` and ``text``.
    """

    def __init__(self, url: str, user: str, token: Callable[[], str], api_versions: Sequence[str] = ()) -> None:
        """Ask nothing yet.

        Args:
            url: an address as in ``slurmrestd_service_listen``, or ``http://HOST:PORT``.
            user: who asks.
            token: returns a token of this user that is good now.
            api_versions: versions that it serves, oldest first; without them it is asked the first time.
        """
        self.url = url
        self.user = user
        self._token = token
        self._target = Target.parse(url)
        self._api_versions = tuple(api_versions)
        self._submitted: list[int] = []

    def __repr__(self) -> str:
        return f"<{self.user} at {self.url}>"

    @property
    def token(self) -> str:
        """A token that is good for a minute at least."""
        return self._token()

    @property
    def headers(self) -> dict[str, str]:
        """The two headers of a request."""
        return self._credentials().headers()

    @property
    def api_versions(self) -> tuple[str, ...]:
        """Versions of ``/slurm`` that it serves, oldest first.

        Raises:
            SlurmrestError: it does not tell.
        """
        if not self._api_versions:
            self._api_versions = self.access().known()
        return self._api_versions

    @property
    def api_version(self) -> str:
        """The newest of them."""
        return self.api_versions[-1]

    def request(self, method: str, path: str, body: Any | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> Response:
        """Send a request, with a body in JSON where there is one; seconds bound the whole of it.

        Raises:
            ClientError: there is no complete answer.
            InputError: the path is none.
        """
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        whole = complete_path(path, self.api_version)
        headers = {**self.headers, **kind}
        return request(self._target, method, whole, headers=headers, body=data, timeout=timeout, max_body=MAX_LIST)

    def get(self, path: str) -> Response:
        """Send a GET."""
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Response:
        """Send a POST."""
        return self.request("POST", path, body)

    def delete(self, path: str) -> Response:
        """Send a DELETE."""
        return self.request("DELETE", path)

    def submit(
        self,
        script: str,
        *,
        name: str = "test",
        directory: str = "/tmp",  # noqa: S108 - exists on every compute node
        environment: Mapping[str, str] | None = None,
        api_version: str | None = None,
        **job: Any,
    ) -> int:
        """Submit a batch script and return the job's number; the newest API version is spoken unless one is named.

        Args:
            script: its text, with a first line such as ``#!/bin/sh``.
            name: of the job.
            directory: where it runs, absolute.
            environment: its variables, instead of a PATH alone.
            api_version: the version to speak.
            job: more keys of ``job``, in the shape that this version wants.

        Raises:
            SlurmrestError: it is refused, in the daemon's words; or there is no answer.
        """
        access = self.access(api_version)
        variables = environment or {"PATH": PATH}
        body = job_submission(
            access.api, name=name, script=script, directory=directory, environment=variables, more=job
        )
        job_id = jobs.submit(access, body).id
        self._submitted.append(job_id)
        return job_id

    def job(self, job_id: int) -> Job:
        """Return a job as it is now: ``state``, ``over``, ``result`` and more.

        Raises:
            SlurmrestError: slurmctld does not know it, or there is no answer.
        """
        return jobs.show(self.access(), job_id)

    def wait(self, job_id: int, timeout: float = 60.0) -> Job:
        """Wait until a job has ended, and return it: ``state`` is ``COMPLETED`` where all went well.

        Raises:
            TimeoutError: it has not after so many seconds.
            SlurmrestError: slurmctld does not know it, or there is no answer.
        """
        deadline = time.monotonic() + timeout
        job: Job | None = None

        def pause(seconds: float) -> None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {job_id} has not ended after {timeout:g} s: {job or 'no answer'}")
            time.sleep(min(seconds, left))

        for job in jobs.follow(self.access(), job_id, pause=pause):
            last = job
        return last

    def jobs(self) -> list[Job]:
        """Return this user's jobs that slurmctld knows.

        Raises:
            SlurmrestError: it is refused, or there is no answer.
        """
        return [job for job in jobs.listing(self.access()) if job.user == self.user]

    def cancel(self, job_id: int) -> None:
        """Cancel a job.

        Raises:
            SlurmrestError: it is refused, or there is no answer.
        """
        jobs.cancel(self.access(), job_id)

    def cancel_jobs(self, *, only_own: bool = False) -> None:
        """Cancel all jobs of this user that have not ended, or those alone that were submitted here.

        Raises:
            SlurmrestError: it is refused, or there is no answer.
        """
        for job in self.jobs():
            if not job.over and (not only_own or job.id in self._submitted):
                self.cancel(job.array or job.id)

    def access(self, api_version: str | None = None) -> Access:
        """Return the engine's way to the daemon, in an API version; the newest without one."""
        return Access(self._target, self._credentials(), api_version, served=self._api_versions)

    def _credentials(self) -> Credentials:
        return Credentials(self.user, Token(self._token()))
