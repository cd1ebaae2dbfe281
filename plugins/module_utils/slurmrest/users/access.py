"""A user's way to slurmrestd: which API version to speak, and answers that are good or say why not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ..errors import InputError, SlurmrestError
from ..rest import answers
from ..rest.answer_columns import Answering
from ..rest.causes import TOKEN_REFUSED
from ..rest.client import DEFAULT_TIMEOUT, MAX_LIST, Credentials, Response, Target
from ..rest.options import Options
from ..rest.session import Failed, Session, payload_of
from ..rest.stream import Records
from ..rest.whole_table import TABLE
from ..slurm.api_versions import ApiVersion

_OPENAPI = "/openapi/v3"

# What slurmctld's numbers mean for who submits, and what to do. Source: slurm/slurm_errno.h; those with a remedy that
# names an option were provoked on real clusters.
MEANINGS: Mapping[int, tuple[str, str]] = {
    2000: ("there is no such partition", "See which there are: GET …/partitions, or sinfo. Give --partition."),
    2001: ("the cluster has no default partition", "Give --partition."),
    2004: ("the nodes asked for are not in the partition", "Change --nodelist or --partition."),
    2005: ("more processors are asked for than the partition has", "Change --ntasks, --cpus-per-task or --partition."),
    2006: ("the number of nodes is not possible there", "Change --nodes."),
    2014: (
        "no node of the partition has what is asked for, now or ever",
        "Compare --mem, --cpus-per-task, --nodes and --nodelist with what the nodes have: GET …/nodes, or sinfo -Nl.",
    ),
    2015: ("the partition does not allow this job at present", "Compare with its limits: GET …/partitions."),
    2017: ("there is no such job: slurmctld forgets jobs some minutes after they end", "Ask sacct -j ID."),
    2018: ("there is no such node", "Correct --nodelist."),
    2021: ("the job has ended already", ""),
    2025: ("so many tasks do not go with so many nodes", "Change --ntasks or --nodes."),
    2045: ("the account is unknown, or you may not use it", "See yours: sacctmgr show association user=$USER"),
    2050: ("a limit of your account or quality of service is reached", "See sacctmgr show association; ask the staff."),
    2051: ("the time limit is more than the partition allows", "Give a shorter --time."),
    2053: ("there is no such reservation", "Correct --reservation."),
    2063: ("the job has no working directory", "Give --chdir."),
    2066: ("the quality of service is unknown, or you may not use it", "Correct --qos."),
    2068: ("the nodes asked for are down or reserved, so the job waits", "See sinfo -R."),
    2105: ("the administrators have stopped submissions", "Try again later."),
    6010: ("slurmctld does not know your account", "Ask the staff: the controller must know every user."),
}


_REMEDIES = {TOKEN_REFUSED: "Get a new one (slurmrest token --output FILE); where that is refused, too, ask the staff."}
"""What users can do, by cause; those of the causes themselves are for administrators."""


class RefusedError(SlurmrestError):
    """slurmrestd or slurmctld said no. ``numbers`` are Slurm's error numbers, where it gave any."""

    def __init__(self, message: str, remedy: str | None = None, numbers: Sequence[int] = ()) -> None:
        super().__init__(message, remedy)
        self.numbers = tuple(numbers)


@dataclass
class Access:
    """Requests of one user to one slurmrestd, in an API version that it serves.

    `timeout` (seconds) bounds each request. `wanted` is an API version; None is the newest one served that works
    without what the cluster lacks. `served` are versions that a cluster with accounting is known to serve, oldest first
    (it is not asked for them then). Methods raise ClientError when there is no answer and RefusedError for a refusal.
    """

    target: Target
    credentials: Credentials
    wanted: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    served: tuple[str, ...] = ()
    _session: Session = field(init=False)

    def __post_init__(self) -> None:
        options = Options(self.timeout, self.wanted)
        self._session = Session(self.target, self.credentials, self.credentials, options, TABLE, largest=MAX_LIST)

    @property
    def user(self) -> str:
        """The user's name."""
        return self.credentials.user

    @property
    def api(self) -> ApiVersion:
        """Facts of the API version in use; asks the daemon the first time. InputError when it is not served."""
        if self._session.api_version is None:
            self._discover()
        return self._session.api

    @property
    def version(self) -> str:
        """The API version in use, such as ``v0.0.42``."""
        return self.api.name if self._session.api_version is None else self._session.api_version

    def known(self) -> tuple[str, ...]:
        """The API versions it serves, oldest first; asks the daemon the first time."""
        if not self.served:
            self._discover()
        return self.served

    @property
    def release(self) -> Answering:
        """The row of the release table for the daemon, as far as it is known."""
        return self._session.release

    def _discover(self) -> None:
        session = self._session
        session.served = (
            answers.Served(self.served, self.served) if self.served else answers.served_versions(self.document())
        )
        self.served = served = session.served.slurm
        session.assume(served)
        if not served:
            raise RefusedError(f"{self.target} lists no path below /slurm/ in its OpenAPI document")
        if self.wanted is not None and self.wanted not in served:
            raise InputError("--api-version", self.wanted, f"what is served there: {' '.join(served)}")
        # One version of one release fails without a slurmdbd, and runs the job all the same.
        lame = () if session.served.slurmdb else self.release.api_needs_accounting
        session.api_version = self.wanted or next((name for name in reversed(served) if name not in lame), served[-1])

    def document(self) -> Mapping[str, Any]:
        """The daemon's OpenAPI document, of all versions that it serves."""
        try:
            return self._session.good(_OPENAPI)
        except Failed as failure:
            raise _refused(failure) from None

    def get(self, endpoint: str) -> Mapping[str, Any]:
        """A good answer to GET ``/slurm/<version>/<endpoint>``; never an old one."""
        return self._good(*self.send("GET", endpoint))

    def each(self, endpoint: str, name: str, take: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """The same for an answer whose list `name` may be very long: `take` is given each of its objects as it comes.

        In what is returned the list is empty.
        """
        records = Records(name, take)
        response, payload = self.send("GET", endpoint, sink=records.feed)
        if response.status == 200:
            payload = records.rest() or {}
            response = replace(response, body=json.dumps(payload).encode() if payload else b"?")
        return self._good(response, payload)

    def _good(self, response: Response, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if response.status == 204:
            return {}
        if response.status == 304:
            raise RefusedError("nothing has changed since the time asked for, which says nothing about what there is")
        if not payload or not answers.is_good(response.status, payload):
            raise self.refusal(response)
        return payload

    def send(
        self, method: str, endpoint: str, body: Any | None = None, sink: Callable[[bytes], None] | None = None
    ) -> tuple[Response, Mapping[str, Any]]:
        """The answer to a request, good or not, and its JSON object (empty when it has none)."""
        version = self.version
        self._session.exchanges.clear()
        response = self._session.ask(f"/slurm/{version}/{endpoint}", method=method, body=body, fresh=True, sink=sink)
        return response, payload_of(response) or {}

    def refusal(self, response: Response) -> RefusedError:
        """An answer that is not good, as an error that says what it means."""
        errors = answers.errors_of(payload_of(response))
        self._session.learn_version(payload_of(response))
        return _refused(self._session.refusal(response), errors)


def meaning(error: answers.ApiError) -> str:
    """An error of slurmctld in its own words, with what it means where that is known."""
    known = MEANINGS.get(error.number or 0)
    return f"{error}: {known[0]}" if known else str(error)


def _refused(failure: Failed, errors: Sequence[answers.ApiError] = ()) -> RefusedError:
    outcome = failure.outcome
    numbers = [error.number for error in errors if error.number is not None]
    known = next((MEANINGS[number] for number in numbers if number in MEANINGS), None)
    text, remedy = known or (outcome.cause, _REMEDIES.get(outcome.cause_id, outcome.remedy))
    message = f"{outcome.detail}: {text}." if text else f"{outcome.detail}."
    return RefusedError(message, remedy or None, numbers)
