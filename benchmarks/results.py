"""What was measured, written to a file with every measurement: an interrupted run loses nothing, and goes on later."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
LISTEN_SECONDS = 0.3


class Record:
    """One part on one release: ``seconds`` under names, and whatever else the part keeps beside them."""

    def __init__(self, data: dict[str, Any], release: str, save: Callable[[], None], progress: Progress) -> None:
        self.data, self.release = data, release
        self._save, self._progress = save, progress

    def add(self, name: str, seconds: float) -> None:
        """Keep a measurement in seconds."""
        self.data["seconds"].setdefault(name, []).append(round(seconds, 3))
        self.say(f"{name}: {seconds:.2f} s")
        self._save()

    def pair(self, name: str, ours: float, theirs: float) -> None:
        """Keep what this checkout took and another one, in seconds, one after the other."""
        self.data.setdefault("pairs", {}).setdefault(name, []).append([round(ours, 3), round(theirs, 3)])
        self.say(f"{name}: {ours:.2f} s against {theirs:.2f} s, {ours / theirs:.2f} times" if theirs else name)
        self._save()

    def say(self, text: str) -> None:
        """Tell who waits what was measured."""
        self._progress.say(f"{self.release} {text}")

    def keep(self, name: str, value: Any) -> None:
        """Keep what is no series of seconds."""
        self.data[name] = value
        self._save()

    def listen(self) -> None:
        """Note how much of the processors others use, while this process waits."""
        before = _processor_times()
        time.sleep(LISTEN_SECONDS)
        after = _processor_times()
        busy, whole = after[0] - before[0], after[1] - before[1]
        self.data["others"].append(round(busy / whole, 3) if whole else 0.0)

    def finish(self) -> None:
        """Say that nothing is missing."""
        self.keep("complete", value=True)


class Results:
    """All records, as the file has them: ``{machine, parts: {part: {release: record}}}``."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path, self._progress = path, progress
        text = path.read_text(encoding="utf-8") if path.exists() else '{"machine": {}, "parts": {}}'
        self.data: dict[str, Any] = json.loads(text)

    def on(self, machine: dict[str, str]) -> None:
        """Say which machine measures from now on; what another one has measured does not stay beside it."""
        if self.data["machine"] != machine:
            if self.data["parts"]:
                self._progress.say("the results there are another machine's: beginning anew")
            self.data = {"machine": machine, "parts": {}}

    def complete(self, part: str, release: str, commit: str) -> bool:
        """Was this part measured to its end, at this commit?"""
        data = self.data["parts"].get(part, {}).get(release, {})
        return bool(data.get("complete")) and data.get("commit") == commit

    def begin(self, part: str, release: str, commit: str) -> Record:
        """Return an empty record, which takes the place of the one that was there with its first measurement."""
        data = {
            "commit": commit,
            "date": datetime.now(UTC).date().isoformat(),
            "complete": False,
            "others": [],
            "seconds": {},
        }

        def save() -> None:
            self.data["parts"].setdefault(part, {})[release] = data
            self.save()

        return Record(data, release, save, self._progress)

    def save(self) -> None:
        """Write the file, by rename."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)


def rounds(count: int, deadline: float, now: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """Yield the numbers of rounds: one at least, and no further one that would not end before the deadline.

    Args:
        count: the most rounds.
        deadline: by the clock ``now``, in seconds.
        now: the clock.
    """
    longest = 0.0
    for number in range(count):
        begin = now()
        if number and begin + longest > deadline:
            return
        yield number
        longest = max(longest, now() - begin)


def _processor_times() -> tuple[int, int]:
    """Return the jiffies that all processors have worked, and those that have passed (proc(5), /proc/stat)."""
    times = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def commit_of(root: Path = ROOT) -> str:
    """Return the commit of a clone; ``-dirty`` is behind it where files were changed that are not results."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)

    changed = git("diff", "--quiet", "HEAD", "--", ".", ":!docs/data/benchmarks.json", ":!docs/benchmarks.*")
    return git("rev-parse", "--short=12", "HEAD").stdout.strip() + ("-dirty" if changed.returncode else "")


def hardware() -> tuple[str, str, str]:
    """Model of the processors, memory, and version of the kernel; no name of the machine."""
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return model, f"{memory:.0f} GiB", platform.release().partition("-")[0]


def machine(engine: Engine) -> dict[str, str]:
    """Describe this machine, without its name."""
    model, memory, kernel = hardware()
    return {
        "processors": f"{os.cpu_count()}, {model}",
        "memory": memory,
        "kernel": kernel,
        "engine": engine.call("--version").strip(),
        "Python": platform.python_version(),
    }
