"""Run the stages of the test suite, and say what each part of them took."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from slurmrest_toolkit.images.suites import SUITES
from tests import parts

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".slurmrest" / "tests"
RELEASES = tuple(SUITES)
"""Slurm series that a distribution packages, each of them run for real."""

SHOWN_LINES = 3
"""Of the output of a command that passed, when several run side by side."""

MINUTES = 55
"""Of a run of everything that nobody bounded: hosted runners end theirs after 90."""

BOUNDED = "containers"
"""The stage of which no further part begins when the time is over."""

HEARTBEAT = 30.0
"""Seconds between two lines that say what is running."""


@dataclass(frozen=True)
class Options:
    """What the caller asked for."""

    releases: Sequence[str]
    scenarios: Sequence[str]  # empty: all of them
    keep: bool
    full: bool
    share: int | None = None  # which of the shares of what takes turns; None: none of them
    minutes: float | None = None  # after which no further part of the containers begins; None: there is no bound


@dataclass(frozen=True)
class Command:
    """One program of a stage: what the table calls it, its arguments, and what its environment has besides ours."""

    title: str
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, log: Path | None) -> int:
        """Run the program and return its exit status; its output goes to the terminal, or to a file.

        Its standard input is its own and empty: ssh makes one that does not block of what it is given, and Ansible
        refuses to run on what others have made so.
        """
        with log.open("wb") if log else contextlib.nullcontext() as output:
            done = subprocess.run(
                self.argv,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        return done.returncode


def python(title: str, *arguments: str, **environment: str) -> Command:
    """Return a command that runs a module or file with the Python of the test environment."""
    return Command(title, (sys.executable, *arguments), environment)


def lint(_: Options) -> Iterator[Command]:
    """Yield the linters, the check that generated documents are up to date, and that of the engine's floors."""
    yield python("yamllint", "-m", "yamllint", "--strict", ".")
    yield python("ruff check", "-m", "ruff", "check", "--output-format=concise")
    yield python("ruff format", "-m", "ruff", "format", "--diff")
    yield python("ansible-lint", "-m", "ansiblelint", "--strict")
    yield Command("changelog fragments", ("antsibull-changelog", "lint"))
    yield python("ansible-test sanity", "-m", "tests.sanity")
    yield python("generated documents", "scripts/render_docs.py", "--check")
    engine = {"PYTHONPATH": str(ROOT / "plugins" / "module_utils")}
    yield Command("rooms of the engine", ("lint-imports", "--no-cache"), engine)


def types(_: Options) -> Iterator[Command]:
    """Yield the type checks: the engine, once more as the oldest Python the checker knows, and what enters it."""
    engine = "plugins/module_utils/slurmrest"
    yield python("controller", "-m", "mypy", engine, "scripts", "src", "benchmarks", "tests")
    yield python("engine on hosts", "-m", "mypy", "--python-version", "3.10", engine)
    kinds = ("modules", "action", "filter", "lookup", "plugin_utils")
    yield python("plugins", "-m", "mypy", *(f"plugins/{kind}" for kind in kinds))


def unit(options: Options) -> Iterator[Command]:
    """Yield the tests of the Python, with the floor of what they cover, and of the rules this repository keeps."""
    profile = "thorough" if options.full else "quick"
    how = ("--numprocesses=auto", "--cov", "--cov-report=", f"--hypothesis-profile={profile}")
    yield python("unit", "-m", "pytest", "tests/unit", "tests/meta", *how)


def render(_: Options) -> Iterator[Command]:
    """Yield the rendering of every release and packaging, which needs no container."""
    yield python("render", "-m", "pytest", "tests/render")


def chosen(options: Options) -> list[parts.Part]:
    """Return the parts to run: those asked for, all of them, or what each run has and this run's share of the rest."""
    everything = parts.matrix(options.releases)
    if options.scenarios:
        return [part for part in everything if {part.name, part.folder} & set(options.scenarios)]
    if options.full:
        return everything
    number = options.share
    turns = [] if number is None else parts.share([part for part in everything if not part.every], number)
    return [part for part in everything if part.every or part in turns]


def environment(scenario: str, release: str) -> dict[str, str]:
    """Return what tells molecule the release, and lets it run the same scenario on another one at the same time."""
    directory = ROOT / ".slurmrest" / "molecule" / f"{scenario}-{release}"
    return {"SLURMREST_RELEASE": release, "MOLECULE_EPHEMERAL_DIRECTORY": str(directory)}


def containers(options: Options) -> Iterator[Command]:
    """Yield scenarios and topics on their releases."""
    scenario = ("-m", "molecule", "test", "--no-command-borders", *(["--destroy=never"] if options.keep else []))
    flags = [flag for flag, given in (("--keep", options.keep), ("--full", options.full)) if given]
    for part in chosen(options):
        if part.molecule:
            yield python(
                part.title, *scenario, "--scenario-name", part.folder, **environment(part.folder, part.release)
            )
        else:
            topic = ("-m", "pytest", f"tests/real/{part.folder}", "--capture=no", f"--release={part.release}", *flags)
            yield python(part.title, *topic)


def faults(options: Options) -> Iterator[Command]:
    """Yield all faults of the doctor on each release; docs/data/doctor.json takes what became of them."""
    for release in options.releases:
        yield python(f"faults {release}", "-m", "pytest", "tests/real/faults", "--full", f"--release={release}")


def vm(_: Options) -> Iterator[Command]:
    """Yield the cases on virtual machines, which have a table of their own."""
    yield python("vm", "-m", "tests.vm")


STAGES: dict[str, Callable[[Options], Iterator[Command]]] = {
    "lint": lint,
    "types": types,
    "unit": unit,
    "render": render,
    "containers": containers,
    "faults": faults,
    "vm": vm,
}
ON_REQUEST = ("faults", "vm")
"""Stages that run when they are named: the containers have a bounded subset of faults, or with --full all of them, and
virtual machines take hours."""


@dataclass(frozen=True)
class Outcome:
    """What became of one command: wall-clock seconds, and its exit status, None where it did not begin."""

    stage: str
    title: str
    seconds: float
    status: int | None

    def __str__(self) -> str:
        """Return the line of the closing table."""
        verdict = {0: "passed", None: "NOT RUN (the time was over)"}.get(
            self.status, f"FAILED (exit status {self.status})"
        )
        return f"{self.stage:<12}{self.title:<28}{self.seconds:>8.1f} s  {verdict}"


class Progress:
    """What is running, what came of it, and how that is told: at once, or when it has ended."""

    def __init__(self, logs: Path | None, minutes: float | None = None) -> None:
        """Keep the output of each command in a file below ``logs``; None shows it as it comes.

        After so many ``minutes`` no further part of the bounded stage begins.
        """
        self.logs = logs
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        self.running: list[tuple[str, float]] = []
        self.lock = Lock()

    def run(self, stage: str, command: Command) -> Outcome:
        """Run one command, and show its output at the end: all of it when it failed, else its last lines."""
        start = time.monotonic()
        if stage == BOUNDED and self.end is not None and start > self.end:
            return Outcome(stage, command.title, 0, None)
        self.running.append((command.title, start))
        self.say(f"==> {stage}: {command.title}")
        log = self.logs / f"{stage}-{command.title}.log".replace(" ", "-") if self.logs else None
        status = command.run(log)
        self.running.remove((command.title, start))
        outcome = Outcome(stage, command.title, time.monotonic() - start, status)
        shown = log.read_text(errors="replace").splitlines()[0 if status else -SHOWN_LINES :] if log else []
        where = [f"    all of it: {log}"] if log else []
        self.say("\n".join((*shown, f"<== {outcome}", *where)))
        return outcome

    def say(self, text: str) -> None:
        """Print a block of lines that nothing else gets into."""
        with self.lock:
            print(f"\n{text}", flush=True)

    def wait(self, outcome: Future[Outcome]) -> Outcome:
        """Wait for an outcome, saying from time to time what is running."""
        while True:
            try:
                return outcome.result(timeout=HEARTBEAT)
            except TimeoutError:
                if self.logs:
                    now = time.monotonic()
                    names = (f"{title} ({now - since:.0f} s)" for title, since in self.running.copy())
                    self.say(f"... {', '.join(names)}")


def run(stages: Sequence[str], options: Options, jobs: int) -> list[Outcome]:
    """Run the stages, going on after a failure; a stage with nothing to run counts as failed.

    Args:
        stages: their names.
        options: what the caller asked for.
        jobs: how many commands run side by side; with one, or only one to run, its output is shown as it comes.
    """
    work = {stage: list(STAGES[stage](options)) for stage in stages}
    empty = [Outcome(stage, "nothing to run", 0, 1) for stage, commands in work.items() if not commands]
    logs = LOGS if min(jobs, sum(map(len, work.values()))) > 1 else None
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
    progress = Progress(logs, options.minutes)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        pending = [
            pool.submit(progress.run, stage, command) for stage, commands in work.items() for command in commands
        ]
        try:
            return [*empty, *map(progress.wait, pending)]
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # what runs was interrupted from the keyboard, too
            raise


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; a value that is not known ends the program with exit status 2."""
    names = sorted({*parts.table(), *(name.removeprefix(parts.MOLECULE) for name in parts.table())})
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"run these only: {', '.join(STAGES)}")
    parser.add_argument("--release", action="append", choices=RELEASES, help="Slurm series for the containers")
    parser.add_argument(
        "--scenario", action="append", choices=names, metavar="PART", help=f"one part of them: {', '.join(names)}"
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="side by side (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the containers of a scenario running")
    parser.add_argument("--full", action="store_true", help="run everything on every release, and what takes longer")
    parser.add_argument(
        "--share",
        type=int,
        choices=range(parts.SHARES),
        help=f"which of the {parts.SHARES} shares of the parts that take turns (default: by {parts.RUN_NUMBER[0]} or "
        f"{parts.RUN_NUMBER[1]})",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"begin no further container part after so many, and name what was not run (default: {MINUTES}; "
        "none with --full or --scenario); a run that came to no part at all has failed",
    )
    parser.add_argument("--record", action="store_true", help="keep the seconds of container parts that passed")
    arguments = parser.parse_args(argv)
    for stage in arguments.stages:
        if stage not in STAGES:
            parser.error(f"unknown stage {stage!r}: choose from {', '.join(STAGES)}")
    return arguments


def main(argv: Sequence[str]) -> int:
    """Run what the command line asks for; returns 0 when everything passed, else 1."""
    if argv[:1] == ["vm"] and len(argv) > 1:  # which groups and cases, it knows itself
        return subprocess.run([sys.executable, "-m", "tests.vm", *argv[1:]], cwd=ROOT, check=False).returncode
    arguments = parse(argv)
    stages = arguments.stages or [name for name in STAGES if name not in ON_REQUEST]
    number = parts.run_number() if arguments.share is None else arguments.share
    share = None if number is None else number % parts.SHARES
    releases, scenarios = arguments.release or RELEASES, arguments.scenario or ()
    minutes = arguments.minutes or (None if arguments.full or scenarios else MINUTES)
    options = Options(releases, scenarios, arguments.keep, arguments.full, share, minutes)
    if "containers" in stages:
        names = ", ".join(part.title for part in chosen(options) if not part.every) or "nothing"
        turn = "no share: this run has no number" if share is None else f"share {share} of 0 to {parts.SHARES - 1}"
        which = "what was asked for" if options.full or options.scenarios else turn
        print(f"Besides what each run has ({which}): {names}", flush=True)
    # The tools find each other on PATH, and Ansible its configuration by name, whatever the folder's mode.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    start = time.monotonic()
    try:
        outcomes = run(stages, options, max(1, arguments.jobs))
    except KeyboardInterrupt:
        return 130
    print("\n" + "\n".join(map(str, outcomes)))
    if arguments.record:
        parts.record({done.title: done.seconds for done in outcomes if done.stage == "containers" and done.status == 0})
    left = [outcome for outcome in outcomes if outcome.status is None]
    passed = sum(outcome.status == 0 for outcome in outcomes)
    failed = len(outcomes) - passed - len(left)
    skipped = f", {len(left)} skipped" if left else ""
    print(f"{passed} passed, {failed} failed{skipped} in {time.monotonic() - start:.0f} s")
    none_ran = bool(left) and len(left) == sum(outcome.stage == BOUNDED for outcome in outcomes)
    return 1 if failed or none_ran else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
