"""The checks, in the order of the report. Each asks through a session and says what it found; see :class:`Check`."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import answers, payloads
from .causes import Cause
from .client import ClientError
from .jwt import looks_like_jwt
from .session import (
    BAD_FORGED,
    BAD_GARBAGE,
    JOB,
    NONE,
    NOT_ORDINARY,
    Failed,
    JobOptions,
    Outcome,
    Session,
    assumed_row,
    payload_of,
    short,
)

OPENAPI = "/openapi/v3"

_MAX_OUTPUT = 4096  # bytes of a job's output
_QUEUED = frozenset(("Priority", "Licenses"))  # reasons of a job that only has to wait
_WORKING = frozenset(("ALLOCATED", "MIXED", "COMPLETING"))  # states of a node that runs something
_SCRIPT = '#!/bin/sh\necho "$SLURMREST_VERIFY"\ntest -n "$SLURMREST_VERIFY"\n'


_NO_PING = Cause(
    "slurmctld-down",
    "slurmctld is down there, or cannot be reached from the host of slurmrestd",
    "On the controller: systemctl status slurmctld; journalctl -u slurmctld",
)
_NOT_TAKEN = Cause(
    "job-refused", "slurmctld does not take the job", "See its words; --job-partition and --job-account may be needed."
)
_TRUSTS_PEER = Cause(
    "trusts-peer",
    "rest_auth/local is loaded and trusts the user of this process on the UNIX socket",
    "Give slurmrestd -a rest_auth/jwt.",
)
_OPEN = Cause(
    "open",
    "something in front of slurmrestd authenticates by itself, or this is not slurmrestd",
    "Ask slurmrestd itself, and see the configuration of the proxy.",
)


@dataclass(frozen=True)
class Check:
    """One thing to prove; `run` raises Failed or ClientError, or returns what it found.

    `needs_api`: it asks below /slurm/<version>. `needs_token`: it proves nothing while slurm-diag fails, and is skipped
    then. `every_listener`: it is done on each target.
    """

    id: str
    title: str
    run: Callable[[Session], Outcome]
    needs_api: bool = True
    needs_token: bool = False
    every_listener: bool = False


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
            Cause(
                "no-slurmctld-plugin",
                "the plugin for slurmctld is not loaded, or something other than slurmrestd answers",
                "See -s in the options of slurmrestd (openapi/slurmctld, or openapi/v0.0.NN on old releases).",
            ),
        )
    if wanted is not None and wanted not in served:
        session.api_version = None
        raise Failed(
            f"{wanted} is not served; served: {' '.join(served)}",
            Cause(
                "not-served",
                "this release does not know the version, or -s or -d in the options of slurmrestd leaves it out",
                f"Use one of {' '.join(served)}.",
            ),
        )
    session.api_version = wanted or served[-1]
    session.row = assumed_row(served)
    with session.aside(), contextlib.suppress(ClientError):
        session.learn_version(payload_of(session.ask(session.url("diag"))))
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
            Cause(
                "no-slurmdbd-plugin",
                "the plugin for slurmdbd is not loaded",
                "See AccountingStorageType in slurm.conf, and -s in the options of slurmrestd.",
            ),
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
            session.cause_of("slurm-diag", _NO_PING),
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
    job_id = answers.number(answers.mapping(payload_of(response)).get("job_id"))
    if not job_id or response.status >= 300:
        failure = session.refusal(response)
        raise failure if failure.outcome.cause else Failed(failure.outcome.detail, _NOT_TAKEN)
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
        return _unfinished(session, job_id, status, options)
    if status.user not in ("", user):
        raise Failed(
            f"job {job_id} ran as {status.user} instead of {user}",
            Cause(
                "unknown-user",
                f"slurmctld does not know the user {user}, or the token is another user's",
                f"On the controller: id {user}",
            ),
        )
    if not status.completed or status.exit_code not in (None, 0):
        raise Failed(
            f"job {job_id} of {user}: {status}",
            Cause(
                "job-failed",
                "the job did not run to its end on the compute node",
                f"There: journalctl -u slurmd; id {user}; ls -ld {options.directory} (the job writes in it)",
            ),
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
            f"{path} holds {short(found)!r} instead of {word!r}",
            Cause(
                "other-output",
                "script or environment of the job did not arrive as sent",
                "See whether a prolog, a job_submit plugin or a profile writes to the job's output.",
            ),
        )
    return Outcome(True, "the output is the word that went in through the job's environment")


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
            cause = _TRUSTS_PEER if session.target.scheme == "unix" else _OPEN
            raise Failed(f"{name}: answered with {status} instead of being refused", cause)
        seen[name] = status
    statuses = ", ".join(f"{name}: {status}" for name, status in seen.items())
    if not session.passed("slurm-diag"):
        return Outcome(None, f"{statuses}; proves nothing while a good token gets no good answer (see slurm-diag)")
    if any(status != expected for status in seen.values()):
        return Outcome(True, f"{statuses}; refused, though this release is known to answer {expected}")
    return Outcome(True, statuses)


def _unfinished(session: Session, job_id: int, status: answers.JobStatus, options: JobOptions) -> Outcome:
    """A job that has not ended in time: no fault where others are simply before it. Raises Failed."""
    detail = f"job {job_id} is {status} after {options.timeout:g} s; cancelled"
    remedy = (
        f"On the controller: scontrol show job {job_id}; sinfo -R. On the compute node: journalctl -u slurmd; "
        f"id {session.job_credentials.user}"
    )
    if "PENDING" not in status.states:
        raise Failed(detail, Cause("job-endless", "the job does not end", remedy))
    nodes: list[tuple[str, tuple[str, ...]]] = []
    with session.aside(), contextlib.suppress(ClientError):
        nodes = answers.nodes(payload_of(session.ask(session.url("nodes"), fresh=True)))
    busy = not nodes or any(_WORKING.intersection(states) for _name, states in nodes)
    if status.reason in _QUEUED or (status.reason == "Resources" and busy):
        more = "Allow more time (--job-timeout), or name another partition (--job-partition)."
        return Outcome(None, f"{detail}. The queue is too busy to tell", remedy=more)
    shown = ", ".join(f"{name} {' '.join(states)}" for name, states in nodes[:5])
    raise Failed(detail, Cause("job-pending", f"no node takes the job{f' ({shown})' if shown else ''}", remedy))


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


def _statistics(payload: Mapping[str, Any], daemon: str) -> int:
    statistics = payload.get("statistics")
    if not isinstance(statistics, dict) or not statistics:
        raise Failed(
            "200, but statistics is missing or empty",
            Cause(
                "no-statistics",
                f"slurmrestd did not get an answer from {daemon}, although it says 200",
                f"See what {daemon} says: journalctl -u {daemon} -u slurmrestd",
            ),
        )
    return len(statistics)


def _privilege_may_be_the_cause(failure: Failed) -> bool:
    """Whether the words say so, or say nothing that names another cause (old releases do not tell)."""
    words = failure.outcome.detail.lower()
    return "permission" in words or "privilege" in words or "unspecified" in words or "query" in words


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
