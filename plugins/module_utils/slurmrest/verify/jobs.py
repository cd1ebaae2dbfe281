"""The check of jobs: an ordinary user's job runs to its end, and another one can be cancelled."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..rest import answers, job_answers, payloads
from ..rest.causes import Cause
from ..rest.client import ClientError
from ..rest.session import JOB, NOT_ORDINARY, Failed, JobOptions, Outcome, Session, payload_of, short
from .check import Check

_MAX_OUTPUT = 4096  # bytes of a job's output
_QUEUED = frozenset(("Priority", "Licenses"))  # reasons of a job that only has to wait
_SLOW = {
    "BeginTime": "its begin time has not come: a job_submit plugin sets one, or it was requeued",
    "Prolog": "a prolog still runs",
}
"""Reasons of a job for which the cluster does what it is told to, however long that takes."""

_WORKING = frozenset(("ALLOCATED", "MIXED", "COMPLETING"))  # states of a node that runs something
_SCRIPT = '#!/bin/sh\necho "$SLURMREST_VERIFY"\ntest -n "$SLURMREST_VERIFY"\n'
_SLEEP = "#!/bin/sh\nexec sleep 60\n"
_CANCEL_PATIENCE = 20.0  # seconds

NOT_ASKED = Outcome(None, "not asked for (--job)")
NO_JOB = Outcome(None, "no job has run")

_NOT_CANCELLED = Cause(
    "not-cancelled",
    "slurmctld took the request, or says so, and the job goes on",
    "On the controller: scontrol show job; journalctl -u slurmctld. On the compute node: journalctl -u slurmd",
)
_NOT_TAKEN = Cause(
    "job-refused",
    "slurmctld does not take the job",
    "See its words. Where the defaults do not serve: --job-partition, --job-account; a playbook takes those of "
    "slurmrest_verify_job_user.",
)


def completed_job(session: Session) -> Outcome:
    """Submit a job and follow it to its end."""
    options = session.options.job
    user = session.job_credentials.user
    if options is None:
        return NOT_ASKED
    if user in NOT_ORDINARY:
        return Outcome(
            None,
            f"{user} is not an ordinary user",
            remedy="Name one (--job-user), with a token of its own or an administrator's.",
        )
    word = secrets.token_hex(8)
    output = os.path.join(options.directory, f"slurmrest-verify-{word}.out")
    begin = time.monotonic()
    job_id = _submit(session, options, _SCRIPT, output, word)
    deadline = begin + options.timeout
    status = job_answers.JobStatus((), "", None, "")
    finished = False
    try:
        for _pause in _pauses(deadline):
            status = job_answers.job_status(session.good(session.url(f"job/{job_id}"), sent_as=JOB, fresh=True))
            finished = status.completed or status.failed
            if finished or status.of_nobody:
                break
    finally:
        session.waited = time.monotonic() - begin
        if not finished:
            with contextlib.suppress(ClientError):
                session.ask(session.url(f"job/{job_id}"), JOB, "DELETE")
    if status.of_nobody or (finished and status.user not in ("", user)):
        known = f"slurmctld does not know the user {user}"
        raise Failed(
            f"job {job_id} ran as {status.user} instead of {user}"
            if finished
            else f"job {job_id} is nobody's (uid {status.user_id}) instead of {user}'s: {status}; cancelled",
            Cause(
                "unknown-user",
                known if status.of_nobody else f"{known}, or the token is another user's",
                f"On the controller: id {user}",
            ),
        )
    if not finished:
        return _unfinished(session, job_id, status, options)
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


def job_output(session: Session) -> Outcome:
    """Read what the job wrote, where this process can."""
    if session.job_output is None:
        return NO_JOB
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


def cancelled_job(session: Session) -> Outcome:
    """Submit a job that only sleeps, cancel it, and see that it ends as cancelled."""
    options = session.options.job
    if options is None or session.job_credentials.user in NOT_ORDINARY:
        return completed_job(session)
    if session.failed("job"):
        return Outcome(None, "would prove nothing while a job fails (see job)")
    begin = time.monotonic()
    job_id = _submit(session, options, _SLEEP, "/dev/null", "sleep")
    path = session.url(f"job/{job_id}")
    cancelled = session.ask(path, JOB, "DELETE")
    if cancelled.status >= 300 or answers.errors_of(payload_of(cancelled)):
        failure = session.refusal(cancelled)
        raise Failed(f"job {job_id} could not be cancelled: {failure.outcome.detail}", _NOT_CANCELLED)
    status = job_answers.JobStatus((), "", None, "")
    for _pause in _pauses(begin + min(options.timeout, _CANCEL_PATIENCE)):
        status = job_answers.job_status(session.good(path, sent_as=JOB, fresh=True))
        if "CANCELLED" in status.states:
            seconds = session.waited = time.monotonic() - begin
            return Outcome(True, f"job {job_id}: {cancelled.status} to DELETE, {status} after {seconds:.1f} s")
    session.waited = time.monotonic() - begin
    raise Failed(f"job {job_id} is {status} though DELETE was answered with {cancelled.status}", _NOT_CANCELLED)


def _submit(session: Session, options: JobOptions, script: str, output: str, word: str) -> int:
    """Submit a job of one minute at most and return its number. Raises Failed, ClientError."""
    body = payloads.job_submission(
        session.api,
        name="slurmrest-verify",
        script=script,
        directory=options.directory,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "SLURMREST_VERIFY": word},
        output=output,
        minutes=1,
        partition=options.partition,
        account=options.account,
    )
    response = session.ask(session.url("job/submit"), JOB, "POST", body)
    job_id = answers.number(answers.mapping(payload_of(response)).get("job_id"))
    if not job_id or response.status >= 300:
        failure = session.refusal(response)
        raise failure if failure.outcome.cause else Failed(failure.outcome.detail, _NOT_TAKEN)
    return job_id


def _unfinished(session: Session, job_id: int, status: job_answers.JobStatus, options: JobOptions) -> Outcome:
    """A job that has not ended in time: no fault where others are simply before it. Raises Failed."""
    detail = f"job {job_id} is {status} after {options.timeout:g} s; cancelled"
    remedy = (
        f"On the controller: scontrol show job {job_id}; sinfo -R. On the compute node: journalctl -u slurmd; "
        f"id {session.job_credentials.user}"
    )
    more = "Allow more time (--job-timeout), or name another partition (--job-partition)."
    slow = "its nodes are being made ready" if "CONFIGURING" in status.states else _SLOW.get(status.reason)
    if slow:
        return Outcome(None, f"{detail}. Slow on purpose: {slow}", remedy=more)
    if "PENDING" not in status.states:
        raise Failed(detail, Cause("job-endless", "the job does not end", remedy))
    nodes: list[tuple[str, tuple[str, ...]]] = []
    with session.aside(), contextlib.suppress(ClientError):
        nodes = job_answers.nodes(payload_of(session.ask(session.url("nodes"), fresh=True)))
    busy = not nodes or any(_WORKING.intersection(states) for _name, states in nodes)
    powering = [name for name, states in nodes if "POWERING_UP" in states]
    if powering and status.reason in ("", "None", "Resources"):
        return Outcome(None, f"{detail}. Slow on purpose: nodes are powered up ({powering[0]})", remedy=more)
    if status.reason in _QUEUED or (status.reason == "Resources" and busy):
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
        pause = min(pause * 1.25, 1.0)


def take_output(path: str) -> str:
    """Read a small file that the job left, and remove it where we may; no links, symbolic or hard. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise OSError(0, "not a regular file of one name")
        found = stream.read(_MAX_OUTPUT).decode("utf-8", "replace")
    with contextlib.suppress(OSError):
        Path(path).unlink()
    return found


CHECKS: tuple[Check, ...] = (
    Check("job", "an ordinary user's job runs to its end", completed_job, needs_token=True),
    Check("job-output", "the job's output is as expected", job_output),
    Check("job-cancel", "an ordinary user's job can be cancelled", cancelled_job, needs_token=True),
)
