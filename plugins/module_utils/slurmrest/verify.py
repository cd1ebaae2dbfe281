"""Proof, by request, that a slurmrestd works: reachable, answers filled, bad tokens refused, jobs run.

A check is a record (:class:`Check`) with a function that asks through a :class:`Session` and returns an
:class:`Outcome`; the engine adds the time, the requests made and the reason for skipping. :data:`CHECKS` is the list,
in the order of the report. What is not proven is ``skipped`` with the reason, never passed: ``ok`` is True, False, or
None for skipped.

Expectations that differ between releases come from the release table, by the version that the daemon itself reports.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import ssl
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable

from . import answers, payloads
from .client import DEFAULT_TIMEOUT, USER_HEADER, ClientError, Credentials, Response, Target, request
from .errors import InputError
from .jwt import Token, TokenError, inspect, looks_like_jwt, with_forged_signature
from .releases import RELEASES, ApiVersion, Row, Version, lookup

SCHEMA = 1  # of Report.as_dict(); rises when a key changes its meaning or goes
OPENAPI = "/openapi/v3"
NOT_ORDINARY = ("root", "slurm", "nobody")  # names that prove nothing about an ordinary user's job
GARBAGE = Token("not-a-token")

# Who a request is made as. Everything but TOKEN, JOB and NONE is made from the token on purpose to be refused.
TOKEN, JOB, NONE, BAD_GARBAGE, BAD_FORGED = "token", "job", "none", "garbage", "forged"

_API_VERSION = re.compile(r"v\d+\.\d+\.\d+\Z")
_MAX_WORDS = 400  # characters of a daemon's own words in a report
_MAX_OUTPUT = 4096  # bytes of a job's output
_BUSY = frozenset(("Resources", "Priority", "Licenses", "BeginTime"))  # state_reason of a job that only has to wait


@dataclass(frozen=True)
class JobOptions:
    """How to run the test job. `timeout` is in seconds; `directory` is absolute; the user may write there on a node."""

    timeout: float = 60.0
    directory: str = "/tmp"  # noqa: S108 - exists on every compute node; the file name in it is random
    partition: str | None = None
    account: str | None = None


@dataclass(frozen=True)
class Options:
    """What to verify. `accounting`: True demands slurmdbd, False skips it, None asks where it is served.

    `timeout` (seconds) bounds each request; `job` None means that no job is submitted. InputError for a bad value.
    """

    timeout: float = DEFAULT_TIMEOUT
    api_version: str | None = None
    accounting: bool | None = None
    job: JobOptions | None = None

    def __post_init__(self) -> None:
        if self.api_version is not None and not _API_VERSION.match(self.api_version):
            raise InputError("api_version", self.api_version, "a version such as v0.0.42")
        if not self.timeout > 0:
            raise InputError("timeout", self.timeout, "seconds, more than 0")
        if self.job and not self.job.timeout > 0:
            raise InputError("job timeout", self.job.timeout, "seconds, more than 0")
        if self.job and not os.path.isabs(self.job.directory):
            raise InputError("job directory", self.job.directory, "an absolute path on the compute nodes")


@dataclass(frozen=True)
class Exchange:
    """One request of a check: enough to do it again by hand. ``sent_as`` says with which credentials, not the token."""

    target: Target
    method: str
    path: str
    sent_as: str
    user: str
    body: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a check found. `cause` and `remedy` belong to a failure; `detail` is for every outcome."""

    ok: bool | None
    detail: str
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Result:
    """A check and its outcome. ``seconds`` is the time spent in its requests, and in waiting for the job."""

    id: str
    title: str
    ok: bool | None
    seconds: float
    detail: str
    cause: str
    remedy: str
    exchanges: tuple[Exchange, ...] = ()

    @property
    def method(self) -> str:
        """The method of the first request, or an empty string."""
        return self.exchanges[0].method if self.exchanges else ""

    @property
    def path(self) -> str:
        """The path of the first request, or an empty string."""
        return self.exchanges[0].path if self.exchanges else ""


@dataclass(frozen=True)
class Report:
    """The results of one run. ``seconds`` is the whole run, ``requests`` the number of requests sent."""

    url: str
    slurm_version: str | None
    api_versions: tuple[str, ...]
    api_version: str | None
    checks: tuple[Result, ...]
    seconds: float
    requests: int

    @property
    def ok(self) -> bool:
        """No check failed."""
        return all(check.ok is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The report for machines: its keys are documented in docs/verify.md and do not change within a schema."""
        keys = ("id", "ok", "seconds", "detail", "cause", "remedy")
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "url": self.url,
            "slurm_version": self.slurm_version,
            "api_versions": list(self.api_versions),
            "checks": [{key: getattr(check, key) for key in keys} for check in self.checks],
        }


@dataclass(frozen=True)
class Check:
    """One thing to prove.

    `needs_api`: it asks below /slurm/<version>. `needs_token`: it proves nothing while slurm-diag fails, and is skipped
    then. `every_listener`: it is done on each target.
    """

    id: str
    title: str
    run: Callable[[Session], Outcome]
    needs_api: bool = True
    needs_token: bool = False
    every_listener: bool = False


class Failed(Exception):
    """Ends a check with a failure."""

    def __init__(self, detail: str, cause: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.outcome = Outcome(False, detail, cause, remedy)


@dataclass
class Session:
    """What the checks share: where to ask, as whom, and what is already known. Answers to GET are kept for the run."""

    target: Target
    credentials: Credentials
    job_credentials: Credentials
    options: Options
    context: ssl.SSLContext | None = None
    api_version: str | None = None
    served: answers.Served = field(default_factory=lambda: answers.Served((), ()))
    row: Row = field(default_factory=lambda: _assumed_row(()))
    slurm_version: str | None = None
    outcomes: dict[tuple[str, Target], bool | None] = field(default_factory=dict)
    requests: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    waited: float = 0.0
    job_output: tuple[str, str] | None = None
    read_output: Callable[[str], str] | None = None
    _kept: dict[tuple[Target, str, str], tuple[Exchange, Response | ClientError]] = field(default_factory=dict)

    @property
    def api(self) -> ApiVersion:
        """Facts of the API version in use."""
        return payloads.api_version(self.api_version or self.row.release.newest_api)

    def ask(
        self, path: str, sent_as: str = TOKEN, method: str = "GET", body: Any | None = None, fresh: bool = False
    ) -> Response:
        """Send a request, or return the answer of the same GET before. Raises ClientError."""
        key = (self.target, path, sent_as)
        known = self._kept.get(key) if method == "GET" and not fresh else None
        if known is None:
            known = self._send(path, sent_as, method, body)
            if method == "GET":
                self._kept[key] = known
        exchange, result = known
        self.exchanges.append(exchange)
        if isinstance(result, ClientError):
            raise result
        self.waited += result.seconds
        return result

    def _send(self, path: str, sent_as: str, method: str, body: Any | None) -> tuple[Exchange, Response | ClientError]:
        text = None if body is None else json.dumps(body)
        headers = self._headers(sent_as)
        exchange = Exchange(self.target, method, path, sent_as, headers.get(USER_HEADER, ""), text)
        if text is not None:
            headers["Content-Type"] = "application/json"
        self.requests += 1
        try:
            response = request(
                self.target,
                method,
                path,
                headers=headers,
                body=None if text is None else text.encode("utf-8"),
                timeout=self.options.timeout,
                context=self.context,
            )
        except ClientError as error:
            return exchange, error
        return replace(exchange, status=response.status), response

    def good(self, path: str, daemon: str = "slurmctld", **how: Any) -> Mapping[str, Any]:
        """Ask and demand a good answer: 200 (204: nothing there), JSON, no errors. Raises Failed, ClientError."""
        response = self.ask(path, **how)
        if response.status == 204:
            return {}
        payload = _payload(response)
        if response.status == 200 and payload is not None and not answers.errors_of(payload):
            return payload
        raise self.refusal(response, daemon)

    def refusal(self, response: Response, daemon: str = "slurmctld") -> Failed:
        """An answer that is not good, as a failure with cause and remedy."""
        payload = _payload(response)
        errors = answers.errors_of(payload)
        if response.status == 200 and payload is None:
            return Failed(
                f"200, but the body is not a JSON object ({len(response.body)} bytes)",
                "something other than slurmrestd answers, or the answer was cut",
                "See what it sends, with the curl line of this check (--show-curl).",
            )
        words = "; ".join(map(str, errors)) or " ".join(response.text.split()) or "no text"
        known = answers.Circumstances(
            daemon,
            self.target.scheme == "unix",
            _expired(self.credentials.token),
            response.seconds,
            self.passed("slurm-diag") if daemon == "slurmdbd" else self._slurmdbd_accepts(),
        )
        cause, remedy = answers.explain(response.status, errors, self.row.release, known)
        return Failed(f"{response.status}: {_short(words)}", cause, remedy)

    def _slurmdbd_accepts(self) -> bool:
        """Whether slurmdbd takes the token that slurmctld did not: then the token is not to blame."""
        if self.options.accounting is False or not self.served.slurmdb:
            return False
        with self.aside(), contextlib.suppress(ClientError):
            response = self.ask(self.url("clusters", "slurmdb"))
            payload = _payload(response)
            return response.status == 200 and payload is not None and not answers.errors_of(payload)
        return False

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Ask something that does not belong to the check at hand: neither its time nor its curl lines."""
        exchanges, waited = list(self.exchanges), self.waited
        try:
            yield
        finally:
            self.exchanges, self.waited = exchanges, waited

    def url(self, endpoint: str, family: str = "slurm") -> str:
        """The path of an endpoint in the API version in use."""
        return f"/{family}/{self.api_version}/{endpoint}"

    def passed(self, check_id: str) -> bool:
        """Whether a check of this target passed."""
        return self.outcomes.get((check_id, self.target)) is True

    def learn_version(self, payload: Any) -> None:
        """Take the Slurm version from an answer, once, and with it the row of the release table."""
        version = answers.slurm_version(payload)
        if self.slurm_version is None and version is not None:
            self.slurm_version = version
            with contextlib.suppress(InputError):
                self.row = lookup(version)

    def secret_values(self) -> list[str]:
        """What must not appear in a report, should a daemon echo it."""
        return [self.credentials.token.reveal(), self.job_credentials.token.reveal()]

    def _headers(self, sent_as: str) -> dict[str, str]:
        if sent_as == NONE:
            return {}
        if sent_as == JOB:
            return self.job_credentials.headers()
        token = {
            TOKEN: lambda: self.credentials.token,
            BAD_GARBAGE: lambda: GARBAGE,
            BAD_FORGED: lambda: with_forged_signature(self.credentials.token),
        }[sent_as]()
        return Credentials(self.credentials.user, token).headers()


# --- the checks -------------------------------------------------------------------------------------------------------


def _reach(session: Session) -> Outcome:
    response = session.ask(OPENAPI, NONE)
    server = "" if session.target.scheme == "unix" else f" at {session.target.host} port {session.target.port}"
    return Outcome(True, f"HTTP answers{server} (status {response.status})")


def _api_versions(session: Session) -> Outcome:
    """Which versions the daemon's own document lists; also settles which one the other checks use."""
    wanted = session.options.api_version
    session.api_version = wanted
    session.served = answers.served_versions(session.good(OPENAPI))
    served = session.served.slurm
    if not served:
        raise Failed(
            "the OpenAPI document lists no path below /slurm/",
            "the plugin for slurmctld is not loaded, or something other than slurmrestd answers",
            "See -s in the options of slurmrestd (openapi/slurmctld, or openapi/v0.0.NN on old releases).",
        )
    if wanted is not None and wanted not in served:
        session.api_version = None
        raise Failed(
            f"{wanted} is not served; served: {' '.join(served)}",
            "this release does not know the version, or -s or -d in the options of slurmrestd leaves it out",
            f"Use one of {' '.join(served)}.",
        )
    session.api_version = wanted or served[-1]
    session.row = _assumed_row(served)
    with session.aside(), contextlib.suppress(ClientError):
        session.learn_version(_payload(session.ask(session.url("diag"))))
    return Outcome(True, _versions_detail(session))


def _slurm_diag(session: Session) -> Outcome:
    payload = session.good(session.url("diag"))
    return Outcome(True, f"200, no errors, {_statistics(payload, 'slurmctld')} statistics")


def _slurmdb_diag(session: Session) -> Outcome:
    if session.options.accounting is False:
        return Outcome(None, "skipped as asked: no accounting")
    if not session.served.slurmdb:
        if session.options.accounting is None:
            return Outcome(None, "slurmrestd serves nothing below /slurmdb/: no accounting")
        raise Failed(
            "slurmrestd serves nothing below /slurmdb/",
            "the plugin for slurmdbd is not loaded",
            "See AccountingStorageType in slurm.conf, and -s in the options of slurmrestd.",
        )
    try:
        payload = session.good(session.url("diag", "slurmdb"), "slurmdbd")
    except Failed as failure:
        last = session.exchanges[-1].status
        if last == session.row.release.plain_user_dbd_diag_status and _privilege_may_be_the_cause(failure):
            session.good(session.url("clusters", "slurmdb"), "slurmdbd")
            return Outcome(
                None,
                "slurmdbd answers (clusters: 200), but only an administrator may see its statistics, "
                f"not {session.credentials.user}",
                remedy="Use a token of root, SlurmUser or a Slurm administrator.",
            )
        raise
    return Outcome(True, f"200, no errors, {_statistics(payload, 'slurmdbd')} statistics")


def _ping(session: Session) -> Outcome:
    found = answers.controllers(session.good(session.url("ping")), session.api)
    down = [host for host, up in found if not up]
    if not found or down:
        raise Failed(
            f"200, but no answer from slurmctld on {', '.join(down)}" if down else "200, but no controller is listed",
            "slurmctld is down, cannot be reached from the REST host, or refuses the token",
            "On the controller: systemctl status slurmctld; journalctl -u slurmctld.",
        )
    return Outcome(True, f"slurmctld answers on {', '.join(host for host, _up in found)}")


def _nodes(session: Session) -> Outcome:
    return _listed(session, "nodes", "node", "PrivateData=nodes")


def _partitions(session: Session) -> Outcome:
    return _listed(session, "partitions", "partition", "PrivateData=partitions")


def _no_token(session: Session) -> Outcome:
    return _refused(session, {"no token": NONE}, session.row.release.no_token_status)


def _bad_token(session: Session) -> Outcome:
    ways = {"garbage": BAD_GARBAGE}
    if looks_like_jwt(session.credentials.token):
        ways["forged signature"] = BAD_FORGED
    return _refused(session, ways, session.row.release.bad_token_status)


def _job(session: Session) -> Outcome:
    options = session.options.job
    user = session.job_credentials.user
    if options is None:
        return Outcome(None, "not asked for (--job)")
    if user in NOT_ORDINARY:
        return Outcome(
            None,
            f"{user} is not an ordinary user",
            remedy="Name one (--job-user), with a token of its own or an administrator's.",
        )
    word = secrets.token_hex(8)
    output = os.path.join(options.directory, f"slurmrest-verify-{word}.out")
    body = payloads.job_submission(
        session.api,
        name="slurmrest-verify",
        script=_SCRIPT,
        directory=options.directory,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "SLURMREST_VERIFY": word},
        output=output,
        minutes=1,
        partition=options.partition,
        account=options.account,
    )
    begin = time.monotonic()
    response = session.ask(session.url("job/submit"), JOB, "POST", body)
    job_id = answers.number(answers.mapping(_payload(response)).get("job_id"))
    if not job_id or response.status >= 300:
        raise session.refusal(response)
    deadline = begin + options.timeout
    status = answers.JobStatus((), "", None, "")
    finished = False
    try:
        for _pause in _pauses(deadline):
            status = answers.job_status(session.good(session.url(f"job/{job_id}"), sent_as=JOB, fresh=True))
            finished = status.completed or status.failed
            if finished:
                break
    finally:
        session.waited = time.monotonic() - begin
        if not finished:
            with contextlib.suppress(ClientError):
                session.ask(session.url(f"job/{job_id}"), JOB, "DELETE")
    if not finished:
        return _unfinished(job_id, status, options)
    if status.user not in ("", user):
        raise Failed(
            f"job {job_id} ran as {status.user} instead of {user}",
            f"slurmctld does not know the user {user}, or the token is another user's",
            f"On the controller: id {user}.",
        )
    if not status.completed or status.exit_code not in (None, 0):
        raise Failed(
            f"job {job_id} of {user}: {status}",
            "the job did not run to its end on the compute node",
            f"On the compute node: journalctl -u slurmd; id {user}; ls -ld {options.directory} (the job writes in it)",
        )
    session.job_output = (output, word)
    return Outcome(
        True, f"job {job_id} of {user}: COMPLETED, exit code 0, {time.monotonic() - begin:.1f} s after it was sent"
    )


def _job_output(session: Session) -> Outcome:
    if session.job_output is None:
        return Outcome(None, "no job has run")
    path, word = session.job_output
    try:
        found = (session.read_output or take_output)(path)
    except OSError as error:
        return Outcome(None, f"{path} cannot be read from here: {error.strerror or error}")
    if found.strip() != word:
        raise Failed(
            f"{path} holds {_short(found)!r} instead of {word!r}",
            "script or environment of the job did not arrive as sent",
            "See whether a prolog, a job_submit plugin or a profile writes to the job's output.",
        )
    return Outcome(True, "the output is the word that went in through the job's environment")


_SCRIPT = '#!/bin/sh\necho "$SLURMREST_VERIFY"\ntest -n "$SLURMREST_VERIFY"\n'

CHECKS: tuple[Check, ...] = (
    Check("reach", "the listener answers in HTTP", _reach, needs_api=False, every_listener=True),
    Check("api-versions", "the OpenAPI document lists API versions", _api_versions, needs_api=False),
    Check("slurm-diag", "a good token reaches slurmctld", _slurm_diag, every_listener=True),
    Check("slurmdb-diag", "a good token reaches slurmdbd", _slurmdb_diag),
    Check("ping", "every slurmctld answers", _ping),
    Check("nodes", "nodes can be listed", _nodes, needs_token=True),
    Check("partitions", "partitions can be listed", _partitions, needs_token=True),
    Check("no-token", "a request without a token is refused", _no_token, every_listener=True),
    Check("bad-token", "a garbage and a forged token are refused", _bad_token, needs_token=True, every_listener=True),
    Check("job", "an ordinary user's job runs to its end", _job, needs_token=True),
    Check("job-output", "the job's output is as expected", _job_output),
)


# --- the engine -------------------------------------------------------------------------------------------------------


def verify(
    targets: Sequence[Target],
    credentials: Credentials,
    options: Options | None = None,
    *,
    job_credentials: Credentials | None = None,
    context: ssl.SSLContext | None = None,
    read_output: Callable[[str], str] | None = None,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """Run the checks against the listeners of one slurmrestd and report.

    Checks of the cluster behind it go to the first target that answers, checks of a listener to each; the id of a check
    on another than the first target ends in ``@`` and the target. `job_credentials` is the ordinary user who runs the
    test job (its token may be an administrator's, with the user's name beside it); without it `credentials` are used.
    `read_output` fetches the job's output from the compute node (text, or OSError); by default it is a local file.

    Raises InputError for no target or an API version older than the table. What the daemon does is never raised.
    """
    if not targets:
        raise InputError("url", "", "at least one target")
    options = options or Options()
    if options.api_version is not None:
        payloads.api_version(options.api_version)
    begin = time.monotonic()
    session = Session(
        targets[0], credentials, job_credentials or credentials, options, context, read_output=read_output
    )
    results: list[Result] = []

    def on(target: Target, chosen: Sequence[Check]) -> None:
        session.target = target
        suffix = "" if target == targets[0] else f"@{target}"
        for check in chosen:
            result = _run(session, check)
            session.outcomes[(check.id, target)] = result.ok
            results.append(replace(result, id=check.id + suffix))

    for target in targets:
        on(target, [check for check in checks if check.id == "reach"])
    main = next((target for target in targets if session.outcomes.get(("reach", target)) is not False), targets[0])
    rest = [check for check in checks if check.id != "reach"]
    on(main, rest)
    for target in targets:
        if target != main:
            on(target, [check for check in rest if check.every_listener])
    return Report(
        targets[0].url,
        session.slurm_version,
        session.served.slurm,
        session.api_version,
        tuple(results),
        time.monotonic() - begin,
        session.requests,
    )


def _run(session: Session, check: Check) -> Result:
    """One check: skip it when it cannot prove anything, run it, and keep what a report may say."""
    session.exchanges = []
    session.waited = 0.0
    if session.outcomes.get(("reach", session.target)) is False:
        outcome = Outcome(None, "nothing answers there (see reach)")
    elif check.needs_api and session.api_version is None:
        outcome = Outcome(None, "no API version is known (see api-versions)")
    elif check.needs_token and not session.passed("slurm-diag"):
        outcome = Outcome(None, "would prove nothing while a good token gets no good answer (see slurm-diag)")
    else:
        try:
            outcome = check.run(session)
        except Failed as failure:
            outcome = failure.outcome
        except ClientError as error:
            outcome = Outcome(False, error.message, _cause(error), error.remedy or "")
    return Result(
        check.id,
        check.title,
        outcome.ok,
        round(session.waited, 3),
        _clean(outcome.detail, session),
        _clean(outcome.cause, session),
        _clean(outcome.remedy, session),
        tuple(session.exchanges),
    )


def _listed(session: Session, endpoint: str, noun: str, private: str) -> Outcome:
    payload = session.good(session.url(endpoint))
    found = answers.objects(payload.get(endpoint))
    if not found:
        return Outcome(
            None, f"no {noun} is visible to {session.credentials.user}: none is defined, or {private} hides them"
        )
    names = [answers.text(item.get("name")) or "?" for item in found]
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return Outcome(True, f"{len(found)} {noun}{'' if len(found) == 1 else 's'}: {shown}")


def _refused(session: Session, ways: Mapping[str, str], expected: int) -> Outcome:
    """Each way must be refused; another status than the expected one is told, but no failure."""
    seen = {}
    for name, sent_as in ways.items():
        status = session.ask(session.url("diag"), sent_as).status
        if status < 300:
            local = session.target.scheme == "unix"
            raise Failed(
                f"{name}: answered with {status} instead of being refused",
                "rest_auth/local is loaded and trusts the user of this process on the UNIX socket"
                if local
                else "something in front of slurmrestd authenticates by itself, or this is not slurmrestd",
                "Give slurmrestd -a rest_auth/jwt."
                if local
                else "Ask slurmrestd itself, and see the configuration of the proxy.",
            )
        seen[name] = status
    statuses = ", ".join(f"{name}: {status}" for name, status in seen.items())
    if not session.passed("slurm-diag"):
        return Outcome(None, f"{statuses}; proves nothing while a good token gets no good answer (see slurm-diag)")
    if any(status != expected for status in seen.values()):
        return Outcome(True, f"{statuses}; refused, though this release is known to answer {expected}")
    return Outcome(True, statuses)


def _unfinished(job_id: int, status: answers.JobStatus, options: JobOptions) -> Outcome:
    detail = f"job {job_id} is {status} after {options.timeout:g} s; cancelled"
    if "PENDING" in status.states and status.reason in _BUSY:
        return Outcome(
            None,
            f"{detail}. The queue is too busy to tell",
            remedy="Allow more time (--job-timeout), or name a partition.",
        )
    return Outcome(
        False,
        detail,
        "no node takes the job" if "PENDING" in status.states else "the job does not end",
        f"On the controller: scontrol show job {job_id}; sinfo -R. On the compute node: journalctl -u slurmd.",
    )


def _pauses(deadline: float) -> Iterator[float]:
    """Polls until `deadline`: the first at once, then after pauses that grow from 50 ms to 1 s, the last at the end."""
    pause = 0.05
    while True:
        yield pause
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 1.0)


def take_output(path: str) -> str:
    """Read a small file that the job left, and remove it where we may; no symbolic links. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        found = stream.read(_MAX_OUTPUT).decode("utf-8", "replace")
    with contextlib.suppress(OSError):
        Path(path).unlink()
    return found


def _payload(response: Response) -> Mapping[str, Any] | None:
    try:
        payload = response.json()
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _statistics(payload: Mapping[str, Any], daemon: str) -> int:
    statistics = payload.get("statistics")
    if not isinstance(statistics, dict) or not statistics:
        raise Failed(
            "200, but statistics is missing or empty",
            f"slurmrestd did not get an answer from {daemon}, although it says 200",
            f"See what {daemon} says: journalctl -u {daemon} -u slurmrestd.",
        )
    return len(statistics)


def _privilege_may_be_the_cause(failure: Failed) -> bool:
    """Whether the words say so, or say nothing that names another cause (old releases do not tell)."""
    words = failure.outcome.detail.lower()
    return "permission" in words or "privilege" in words or "unspecified" in words or "query" in words


def _assumed_row(served: tuple[str, ...]) -> Row:
    """The row of the release that serves these versions, or the newest: until the daemon has named its version."""
    same = [row for row in RELEASES if served and row.api_versions == served]
    release = (same or RELEASES)[-1]
    return Row(release.at(Version.parse(release.last_known)), release.last_known)


def _versions_detail(session: Session) -> str:
    served, release = session.served.slurm, session.row.release
    parts = [f"{' '.join(served)}; checked with {session.api_version}"]
    if session.slurm_version is None:
        parts.append("the daemon does not name its Slurm version")
    missing = [name for name in release.api_versions if name not in served]
    unknown = [name for name in served if name not in release.api_versions]
    going = [name for name in served if name in release.deprecated_api]
    if missing:
        parts.append(f"{' '.join(missing)} of {release.series} left out by the options of slurmrestd")
    if unknown:
        parts.append(f"{' '.join(unknown)} not known of {release.series}")
    if going:
        parts.append(f"{' '.join(going)} goes with the next upgrade")
    if session.row.warning:
        parts.append(session.row.warning)
    return "; ".join(parts)


def _expired(token: Token) -> str:
    """That the token has expired by this host's clock, or an empty string."""
    try:
        expires = inspect(token).expires
    except TokenError:
        return ""
    late = 0.0 if expires is None else time.time() - expires
    return f"the token expired {late:.0f} s ago by the clock of this host" if late > 0 else ""


def _cause(error: ClientError) -> str:
    return _CAUSES.get(error.kind, "")


_CAUSES: Mapping[str, str] = {
    "refused": "slurmrestd is not running, or listens elsewhere",
    "no-socket": "slurmrestd is not running, or has another socket",
    "permission": "the socket's directory is closed to this user",
    "timeout": "packets are dropped on the way, or the daemon hangs",
    "closed": "the daemon crashed or was stopped while it answered, or it expects TLS",
    "not-http": "another service, or a TLS listener, is behind this address",
    "tls": "no TLS there, or a certificate that this host does not trust",
    "name": "the name is misspelt or unknown to this host",
    "unreachable": "there is no route to this address",
}


def _short(words: str) -> str:
    return words if len(words) <= _MAX_WORDS else words[: _MAX_WORDS - 1] + "…"


def _clean(words: str, session: Session) -> str:
    """Words for a terminal: one line, no control characters, and no token even where a daemon repeats it."""
    for secret in session.secret_values():
        words = words.replace(secret, "<token>")
    return "".join(letter if letter.isprintable() else " " for letter in words)
