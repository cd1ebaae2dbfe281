"""The one way to run a program: with a time limit, and in an environment of its own.

What whoever logs in brings along (SLURM_CONF of another cluster, SLURM_JWT, a PATH with another Slurm in front) reaches
no program that is run here. What one needs beyond PATH and LC_ALL its caller states: by ``environment``, or, where a
command travels as data (a probe), by words before it as env(1) takes them: ``["env", "SLURM_CONF=FILE", "scontrol"]``.

A program that is too slow, or writes without end, is ended together with all that it started.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Union

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for: what root has of a system that nobody has touched."""

SECONDS = 60.0
"""Seconds that a program may take where nobody says otherwise."""

LOOKING_SECONDS = 10.0
"""The same, for programs that only look at the host."""

TOO_SLOW = 124
"""Exit code of a program that was ended at its limit; that of timeout(1)."""

TOO_MUCH = 125
"""Exit code of a program that was ended since it wrote more than :data:`MOST_BYTES`."""

MOST_BYTES = 128 << 20
"""Bytes that are kept of output, and of errors; the longest are lists of jobs, nodes and packages."""

MISSING = 127
"""Exit code of a program that is not there, or that cannot be run; that of a shell."""

NOBODY = 65534
"""The number of the account, and of the group, that owns nothing."""

_BECOME = """import _signal, os, sys
user, group, groups, *argv = sys.argv[1:]
name, why = argv[0], "No such file or directory"
try:
    for number in _signal.SIGPIPE, _signal.SIGXFSZ:
        _signal.signal(number, _signal.SIG_DFL)
    os.setgroups([int(number) for number in groups.split()])
    os.setregid(int(group), int(group))
    os.setreuid(int(user), int(user))
    for directory in [""] if "/" in name else os.environ["PATH"].split(":"):
        try:
            os.execv(os.path.join(directory, name), argv)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            why = error.strerror
except OSError as error:
    why = error.strerror
os.write(2, os.fsencode(f"{name} cannot be run: {why}"))
os._exit(127)
"""
"""Becomes an account, and then the program, with signals as Popen has them.

Nothing is imported any more as that account, to which Python may be closed; setpriv(1) would look names up for numbers.
"""

_CHUNK = 1 << 20
_LAST_SECONDS = 1.0  # for what a program that was ended had written already

Done = subprocess.CompletedProcess
"""What a program gave: ``args``, ``returncode``, and as text ``stdout`` and ``stderr``."""

Started = Union["subprocess.Popen[str]", "Done[str]"]
"""A program that runs, or why it does not."""


class Run(Protocol):
    """Runs a program: :func:`run`, or its like in a test."""

    def __call__(
        self, argv: Sequence[str], *, limit: float = ..., environment: Mapping[str, str] | None = ...
    ) -> Done[str]:
        """Run it to its end."""


def clean(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program: PATH, LC_ALL=C, and what is stated."""
    return {"PATH": PATH, "LC_ALL": "C", **(environment or {})}


def start(argv: Sequence[str], *, environment: Mapping[str, str] | None = None, **how: Any) -> Started:
    """Start a program that is read by :func:`finish`, so that several run side by side.

    Args:
        argv: the program and its arguments; nothing is on its standard input.
        environment: what it has besides PATH and LC_ALL.
        how: ``cwd``, ``user``, ``group`` and ``extra_groups``, as for :class:`subprocess.Popen`.
    """
    before: list[str] = []
    if "user" in how:
        # Popen would wait for a child that is the account's already, and which that may stop: here it waits for none.
        user, group, groups = how.pop("user"), how.pop("group"), how.pop("extra_groups")
        before = [sys.executable or "python3", "-ISc", _BECOME, str(user), str(group), " ".join(map(str, groups))]
    try:
        started = subprocess.Popen(
            [*before, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean(environment),
            encoding="utf-8",
            errors="replace",  # a daemon may say anything, also what is no UTF-8
            start_new_session=True,
            **how,
        )
    except (OSError, subprocess.SubprocessError) as error:
        words = f"{argv[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
        return Done(list(argv), MISSING, "", words)
    started.args = list(argv)  # what messages name
    return started


def finish(started: Started, limit: float = LOOKING_SECONDS) -> Done[str]:
    """What a started program gave, after `limit` seconds at most; never raises for what the program did."""
    if isinstance(started, Done):
        return started
    argv = [str(word) for word in started.args] if isinstance(started.args, (list, tuple)) else [str(started.args)]
    with contextlib.closing(_Said(started)) as said:
        ended: int | None
        try:
            said.listen(limit)
            ended = started.wait(max(0.0, said.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # Over where what it left behind holds its output; once waited for, its number may be another's.
            over = os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ended = over and over.si_status
            _end(started)
            with contextlib.suppress(subprocess.TimeoutExpired):  # a process of another session still holds it
                said.listen(_LAST_SECONDS)
            started.wait()
        except BaseException:
            _end(started)
            started.wait()
            raise
        output, errors = said.texts()
        if said.too_much or ended is None:
            code, why = (TOO_MUCH, f"wrote more than {MOST_BYTES} bytes") if said.too_much else (
                TOO_SLOW, f"gave no answer within {limit:g} s"
            )  # fmt: skip
            return Done(argv, code, output, "\n".join(filter(None, (errors.strip(), f"{named(argv)} {why}"))))
    return Done(argv, started.returncode, output, errors)


class _Said:
    """What a program writes, read side by side from both of its ends, and no more than is kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        # One array each: what comes byte by byte would be many times as large in pieces.
        self.kept = {stream: bytearray() for stream in self.streams}
        self.open = set(self.streams)
        self.too_much = False
        self.deadline = 0.0

    def close(self) -> None:
        """Let go of both ends."""
        for stream in self.streams:
            stream.close()

    def listen(self, seconds: float) -> None:
        """Read until both ends are closed. Raises subprocess.TimeoutExpired."""
        self.deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for stream in self.open:
                selector.register(stream, selectors.EVENT_READ)
            while self.open:
                ready = selector.select(max(0.0, self.deadline - time.monotonic()))
                if time.monotonic() >= self.deadline:  # also of one that never stops writing
                    raise subprocess.TimeoutExpired(self.process.args, seconds)
                for key, _events in ready:
                    if not self._read(key.fileobj):
                        selector.unregister(key.fileobj)

    def _read(self, stream: Any) -> bool:
        """Take what is there; false at its end."""
        chunk = os.read(stream.fileno(), _CHUNK)
        left = MOST_BYTES - len(self.kept[stream])
        self.kept[stream] += chunk[:left]
        if len(chunk) > left and not self.too_much:
            self.too_much = True
            _end(self.process)
        if chunk and len(chunk) <= left:
            return True
        self.open.discard(stream)
        return False

    def texts(self) -> tuple[str, str]:
        """Output and errors, lines ended as in texts."""
        output, errors = (
            self.kept[stream].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
            for stream in self.streams
        )
        return output, errors


def run(
    argv: Sequence[str], *, limit: float = SECONDS, environment: Mapping[str, str] | None = None, **how: Any
) -> Done[str]:
    """Run a program to its end, or to the end of `limit` seconds; see :func:`start` and :func:`finish`."""
    return finish(start(argv, environment=environment, **how), limit)


def whom(uid: int, gid: int, groups: Sequence[int] = ()) -> dict[str, Any]:
    """What :func:`start` and :func:`run` are told to run a program as another account, which only root can do."""
    return {"user": uid, "group": gid, "extra_groups": list(groups), "cwd": "/"}


def words(done: Done[str]) -> str:
    """What a program said: its errors, else its output, else its exit code."""
    return (done.stderr or done.stdout or "").strip() or f"exit {done.returncode}"


def bare(argv: Sequence[str]) -> list[str]:
    """A command without env(1) before it, its program without a directory."""
    words = list(argv)
    if posixpath.basename(words[0]) == "env":
        words = words[1:]
        while words and (words[0].startswith("-") or "=" in words[0]):
            words = words[1:]
    return [posixpath.basename(words[0]), *words[1:]] if words else []


def named(argv: Sequence[str]) -> str:
    """A command as messages call it."""
    return " ".join(bare(argv))


def find(name: str, first: Iterable[str] = ()) -> str | None:
    """The path of a program: in `first`, else in :data:`PATH`."""
    return shutil.which(name, path=os.pathsep.join([*first, PATH]))


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a program and all that it started: each has a session, and so a process group, of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
