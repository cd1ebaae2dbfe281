"""Jobs over REST: submit, look at, follow to the end, list, cancel."""

from __future__ import annotations

import contextlib
import posixpath
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import InputError
from ..rest import answers, job_answers
from ..rest.client import ClientError
from .access import Access, RefusedError, meaning

EXIT_TIMEOUT = 124
EXIT_NO_RESULT = 125
SIGNAL_BASE = 128
NOT_OPENED = 53
"""The signal that Slurm reports of a script whose output or working directory could not be opened: it never ran."""

PATIENCE = 120.0  # seconds without a good answer before following gives up: a daemon may be restarted meanwhile
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between two looks; slurmctld keeps ended jobs for minutes
_OVER_TIME = frozenset(["TIMEOUT", "DEADLINE"])
_ALREADY_ENDED = 2021
_INDICES = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([1-9][0-9]{0,8}))?)?\Z")
_NO_INDEX = "4294967294"
"""NO_VAL, which Slurm writes into a path for the index that a task has not got yet."""

_ID = re.compile(r"([1-9][0-9]*)(?:_([0-9]+))?\Z", re.ASCII)
_SIGNALS = (
    *("HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2"),
    *("URG", "CONT", "STOP", "TSTP", "TTIN", "TTOU"),
)


@dataclass(frozen=True)
class Job:
    """What there is to know of a job. ``states`` are the state and its flags; times are seconds of the epoch.

    ``exit_code`` and ``signal`` are the batch script's; both are None while it has not ended, or never ran.
    """

    id: int
    name: str
    user: str
    user_id: int | None
    states: tuple[str, ...]
    reason: str
    exit_code: int | None
    signal: int | None
    partition: str
    account: str
    nodes: str
    directory: str
    output: str
    submitted: int | None
    started: int | None
    ended: int | None
    time_limit: int | None  # minutes
    array: int | None = None  # the array that it belongs to
    task: int | None = None  # its index there; None also for the record of all tasks that have not started
    tasks: str = ""  # the indices of those, such as 1,3-5

    @property
    def label(self) -> str:
        """The number as Slurm writes it: ``42``, ``42_3``, ``42_[4-9]``."""
        if self.array is None:
            return str(self.id)
        return f"{self.array}_{self.task if self.task is not None else f'[{self.tasks}]'}"

    @property
    def state(self) -> str:
        """The state without its flags."""
        return self.states[0] if self.states else "UNKNOWN"

    @property
    def over(self) -> bool:
        """It has ended, however."""
        return is_over(self.states)

    @property
    def result(self) -> int:
        """The exit code that says how it ended.

        0 for COMPLETED, the script's own code, 128 and the number of the signal that ended it, 124 when its time was
        up, 125 for every other end (cancelled, node failure, out of memory, could not be launched).
        """
        if job_answers.COMPLETED in self.states:
            return 0
        if not _OVER_TIME.isdisjoint(self.states):
            return EXIT_TIMEOUT
        if "FAILED" in self.states and self.exit_code:
            return self.exit_code
        if "FAILED" in self.states and self.signal and self.signal != NOT_OPENED:
            return SIGNAL_BASE + self.signal
        return EXIT_NO_RESULT

    def __str__(self) -> str:
        words = [" ".join(self.states) or "UNKNOWN"]
        if self.reason not in ("", "None"):
            words.append(self.reason)
        if self.exit_code:
            words.append(f"exit code {self.exit_code}")
        if self.signal:
            words.append(f"signal {self.signal}")
        if self.signal == NOT_OPENED:
            where = f"{self.output or 'its output'} or {self.directory or 'its directory'}"
            words.append(f"with which Slurm says that {where} could not be opened")
        if self.nodes:
            words.append(f"on {self.nodes}")
        return ", ".join(words)

    def as_dict(self) -> dict[str, Any]:
        """The job for programs; keys are documented in docs/users.md."""
        return {
            "job_id": self.id,
            "array": self.array,
            "task": self.task,
            "tasks": self.tasks,
            "name": self.name,
            "user": self.user,
            "state": self.state,
            "flags": list(self.states[1:]),
            "reason": "" if self.reason == "None" else self.reason,
            "over": self.over,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "result": self.result if self.over else None,
            "partition": self.partition,
            "account": self.account,
            "nodes": self.nodes,
            "directory": self.directory,
            "output": self.output,
            "submitted": self.submitted,
            "started": self.started,
            "ended": self.ended,
            "time_limit": self.time_limit,
        }


@dataclass(frozen=True)
class Submitted:
    """An accepted submission: the job's number, and what slurmctld said besides."""

    id: int
    notes: tuple[str, ...]


def is_over(states: tuple[str, ...]) -> bool:
    """Whether these are the states of a job that has ended; one that is still cleaning up has not."""
    ended = job_answers.COMPLETED in states or not job_answers.TERMINAL_FAILURES.isdisjoint(states)
    return ended and "COMPLETING" not in states


def job_of(fields: Mapping[str, Any]) -> Job:
    """Read a job from an answer, in the shape of any API version."""
    code, signal = _ended_with(fields.get("exit_code"))
    states = job_answers.states_of(fields.get("job_state"))
    over = is_over(
        states
    )  # before, Slurm says 0 for the exit code, and when the time limit will be reached for the end
    return Job(
        id=answers.number(fields.get("job_id")) or 0,
        name=answers.text(fields.get("name")),
        user=answers.text(fields.get("user_name")),
        user_id=answers.number(fields.get("user_id")),
        states=states,
        reason=answers.text(fields.get("state_reason")),
        exit_code=code if over else None,
        signal=signal if over else None,
        partition=answers.text(fields.get("partition")),
        account=answers.text(fields.get("account")),
        nodes=answers.text(fields.get("nodes")),
        directory=answers.text(fields.get("current_working_directory")),
        output=_output_of(fields),
        submitted=answers.number(fields.get("submit_time")) or None,
        started=answers.number(fields.get("start_time")) or None,
        ended=(answers.number(fields.get("end_time")) or None) if over else None,
        time_limit=answers.number(fields.get("time_limit")),
        array=answers.number(fields.get("array_job_id")) or None,
        task=answers.number(fields.get("array_task_id")),
        tasks=answers.text(fields.get("array_task_string")),
    )


def _output_of(fields: Mapping[str, Any]) -> str:
    """Where standard output goes: newer releases say what was asked for, a pattern, and beside it what became of it."""
    path = answers.text(fields.get("stdout_expanded")) or answers.text(fields.get("standard_output"))
    if answers.number(fields.get("array_job_id")) and answers.number(fields.get("array_task_id")) is None:
        path = path.replace(_NO_INDEX, "%a")  # the record of all tasks that have not started has none
    return path and posixpath.join(answers.text(fields.get("current_working_directory")), path)


def _ended_with(value: Any) -> tuple[int | None, int | None]:
    """Exit code and signal: old API versions give the status of wait(2), newer ones name both.

    slurmd also puts errors of its own into the status, which are neither.
    """
    if isinstance(value, dict):
        signal = answers.mapping(value.get("signal"))
        number = answers.number(signal.get("id")) or answers.number(signal.get("signal_id"))
        return answers.number(value.get("return_code")), number or None
    status = answers.number(value)
    if status is None or (status & 0x7F and status >> 8):
        return None, None
    return (None, status & 0x7F) if status & 0x7F else (status >> 8, None)


def submit(access: Access, body: Mapping[str, Any]) -> Submitted:
    """Submit a job. Raises RefusedError, ClientError."""
    response, payload = access.send("POST", "job/submit", body)
    job_id = answers.number(payload.get("job_id"))
    if not job_id or response.status >= 300:
        raise access.refusal(response)
    # With a job number, errors are not errors: old releases say there why the job has to wait.
    notes = [meaning(error) for error in answers.errors_of(payload)]
    notes += [
        ": ".join(filter(None, (answers.text(entry.get("source")), answers.text(entry.get("description")))))
        for entry in answers.objects(payload.get("warnings"))
    ]
    notes.append(answers.text(payload.get("job_submit_user_msg")).strip())
    notes.append(_whose(access, job_id))
    return Submitted(job_id, tuple(note for note in notes if note))


def _whose(access: Access, job_id: int) -> str:
    """What is to be said of a job that slurmctld took for nobody's, which some releases do instead of refusing it."""
    if access.release.unknown_user_submits is False:
        return ""
    try:
        found = answers.objects(access.get(f"job/{job_id}").get("jobs"))
    except (RefusedError, ClientError):
        return ""
    if not any(job_answers.job_status({"jobs": [job]}).of_nobody for job in found):
        return ""
    return (
        f"slurmctld does not know {access.user} and took the job for nobody (uid {job_answers.NOBODY}): it is held, or "
        "runs as nobody. Ask the staff: the controller must know every user."
    )


def records(access: Access, job: str) -> list[Job]:
    """What slurmctld says of a job (``42``), of a whole array (``42``) or of one task (``42_3``), now.

    slurmctld has one record for all tasks of an array that have not started, and one for each that has. A path
    with a task (``job/42_3``) is not asked: newer releases answer with the whole array, old ones with an error while
    the task waits. Raises RefusedError (also when slurmctld does not know it any more), ClientError.
    """
    number, task = _parts(job)
    found = [job_of(fields) for fields in answers.objects(access.get(f"job/{number}").get("jobs"))]
    if task is not None:
        found = [one for one in found if one.task == task] or [
            one for one in found if one.task is None and one.array == number and _holds(one.tasks, task)
        ]
    if not found:
        raise RefusedError(f"there is no job {job}", "Ask sacct -j for jobs that ended some minutes ago.")
    return found


def show(access: Access, job: str | int) -> Job:
    """A job as it is now; of an array, the record that matters most: one that is not over, or else a bad end.

    Raises as :func:`records` does.
    """
    return min(records(access, str(job)), key=lambda one: (one.over, one.over and one.result == 0))


def _parts(job: str) -> tuple[int, int | None]:
    match = _ID.match(job)
    if not match:
        raise InputError("job", job, "the number of a job, such as 42, or of a task of an array, such as 42_3")
    return int(match[1]), None if match[2] is None else int(match[2])


def _holds(tasks: str, task: int) -> bool:
    """Whether indices such as ``1,3-7:2%4`` hold one; Slurm cuts long ones short with dots."""
    for part in tasks.partition("%")[0].split(","):
        match = _INDICES.match(part)
        if match and task in range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1)):
            return True
    return "..." in tasks


def listing(access: Access) -> list[Job]:
    """All jobs that slurmctld knows and the user may see. Raises RefusedError, ClientError.

    The answer is read while it comes, for it may have hundreds of megabytes. An empty list is no jobs only when nothing
    else is said: "no changes" comes as one, too.
    """
    found: list[Job] = []
    try:
        payload = access.each("jobs", "jobs", lambda fields: found.append(job_of(fields)))
    except ClientError as error:
        if error.kind not in ("timeout", "too-large"):
            raise
        raise RefusedError(
            f"the list of all jobs did not come: {error.message}. "
            "With very many jobs it is large and slow, also where all is well.",
            "Give a longer --timeout, or ask for single jobs: slurmrest job show ID.",
        ) from None
    said = [answers.text(one.get("description")) for one in answers.objects(payload.get("warnings"))]
    if not isinstance(payload.get("jobs"), list) or any("No job changes" in words for words in said):
        raise RefusedError("the answer says nothing about jobs: there is no list, or only that nothing has changed")
    return found


def signal_name(text: str) -> str:
    """A signal that every release knows, as it is sent. InputError for another one.

    Newer releases answer 200 to a name that they do not know, and kill the job.
    """
    name = text.upper().removeprefix("SIG")
    if name in _SIGNALS or (text.isascii() and text.isdigit() and 1 <= int(text) < 64):
        return name
    raise InputError("--signal", text, f"{' '.join(_SIGNALS)}, or a number from 1 to 63")


def cancel(access: Access, job: str | int, signal: str | None = None) -> str:
    """Cancel a job, an array or a task, or send it a signal; returns what is worth saying, or an empty string.

    Releases differ: some answer 200 to a refusal and put it into ``status``; old ones say nothing when the job had
    ended before, so they are asked for the job. Raises RefusedError, ClientError.
    """
    _parts(str(job))
    query = f"?signal={signal_name(signal)}" if signal else ""
    response, payload = access.send("DELETE", f"job/{job}{query}")
    if response.status >= 300 or (not payload and response.status != 204) or answers.errors_of(payload):
        raise access.refusal(response)
    for entry in answers.objects(payload.get("status")):
        error = answers.mapping(entry.get("error"))
        number = answers.number(error.get("code"))
        if number == _ALREADY_ENDED:
            return "it had ended already"
        if number:
            said = answers.ApiError(number, answers.text(error.get("string")) or "refused")
            what = "signalled" if signal else "cancelled"
            raise RefusedError(f"job {job} was not {what}: {meaning(said)}", numbers=[number])
    if "status" not in payload:
        with contextlib.suppress(RefusedError, ClientError):
            now = show(access, job)
            if now.over and "CANCELLED" not in now.states:
                return f"it had ended already: {now}"
    return ""


def follow(
    access: Access,
    job_id: int | str,
    *,
    pause: Callable[[float], None] = time.sleep,
    trouble: Callable[[str], None] | None = None,
) -> Iterator[Job]:
    """Look at a job until it has ended, and yield it whenever its state changes; the last one is its end.

    Requests that fail are tried again for :data:`PATIENCE` seconds, and `trouble` is told of the first; then the
    RefusedError or ClientError is raised. A job that is gone is a RefusedError at once.
    """
    seen: tuple[Any, ...] = ()
    wait = _FIRST_PAUSE
    failing_since: float | None = None
    while True:
        try:
            job = show(access, job_id)
        except (RefusedError, ClientError) as error:
            now = time.monotonic()
            gone = isinstance(error, RefusedError) and 2017 in error.numbers
            if gone or (failing_since is not None and now - failing_since > PATIENCE):
                raise
            if failing_since is None:
                failing_since = now
                if trouble:
                    trouble(str(error))
        else:
            failing_since = None
            now_seen = (job.states, job.reason, job.nodes)
            if now_seen != seen:
                seen, wait = now_seen, _FIRST_PAUSE
                yield job
            if job.over:
                return
        pause(wait)
        wait = min(wait * 1.5, _LONGEST_PAUSE)
