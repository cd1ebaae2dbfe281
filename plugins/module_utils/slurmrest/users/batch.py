"""A batch script and its options, in the spellings of sbatch.

slurmctld does not read a script's ``#SBATCH`` lines: sbatch does, and slurmrestd does not either (seen on every release
run here). So they are read here, as sbatch reads them: from the top of the script to its first command. Options that
have no place here are named as ignored. Pure.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import InputError, SlurmrestError

_MEMORY = re.compile(r"([0-9]+)([KMGT]?)B?\Z", re.IGNORECASE)
_TO_MIB: Mapping[str, float] = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})\Z", re.ASCII)
_NODES = re.compile(r"\d+(?:-\d+)?\Z", re.ASCII)
_LARGEST = 2**31 - 1  # the API's numbers have 32 bits


class ScriptError(SlurmrestError):
    """The file is no batch script that could run."""


@dataclass(frozen=True)
class Option:
    """An option of sbatch that is understood: `name` is the long spelling, `read` turns its text into a value."""

    name: str
    short: str | None
    metavar: str
    help: str
    read: Callable[[str, str], Any]

    @property
    def key(self) -> str:
        """The name as Python writes it."""
        return self.name.replace("-", "_")


@dataclass(frozen=True)
class Script:
    """A batch script: its text, the options its ``#SBATCH`` lines give, and the lines that are ignored."""

    text: str
    options: Mapping[str, Any]
    ignored: tuple[str, ...]


def minutes(text: str, variable: str = "--time") -> int:
    """A time limit as sbatch takes it (M, M:S, H:M:S, D-H, D-H:M, D-H:M:S), in whole minutes, rounded up."""
    allowed = "MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]], more than 0"
    match = _TIME.match(text)
    if not match:
        raise InputError(variable, text, allowed)
    parts = [int(part) for part in match["rest"].split(":")]
    if match["days"] is not None:
        hours, minute, second = [*parts, 0, 0][:3]
        hours += 24 * int(match["days"])
    elif len(parts) == 3:
        hours, minute, second = parts
    else:
        hours, minute, second = 0, parts[0], parts[1] if len(parts) > 1 else 0
    total = hours * 60 + minute + math.ceil(second / 60)
    if not 0 < total <= _LARGEST:
        raise InputError(variable, text, allowed)
    return total


def mebibytes(text: str, variable: str = "--mem") -> int:
    """Memory as sbatch takes it: a number with K, M, G or T, megabytes without; 0 is all of a node. In MiB, up."""
    match = _MEMORY.match(text)
    value = math.ceil(int(match[1]) * _TO_MIB[match[2].upper()]) if match else -1
    if not match or value > _LARGEST:
        raise InputError(variable, text, "a number with K, M, G or T behind it; without, it is megabytes")
    return value


def _count(text: str, variable: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST:
        raise InputError(variable, text, "a whole number above 0")
    return int(text)


def _nodes(text: str, variable: str) -> str:
    if not _NODES.match(text):
        raise InputError(variable, text, "a number of nodes, or a range such as 2-4")
    return text


def _words(text: str, variable: str) -> str:
    if not text or not text.isprintable():
        raise InputError(variable, text, "printable characters")
    return text


def _hosts(text: str, variable: str) -> tuple[str, ...]:
    """Host names between commas; commas in brackets belong to a name such as ``n[1,3]``."""
    hosts = tuple(part for part in re.split(r",(?![^\[]*\])", _words(text, variable)) if part)
    if not hosts:
        raise InputError(variable, text, "names of nodes, such as n1,n[3-5]")
    return hosts


OPTIONS: tuple[Option, ...] = (
    Option("job-name", "J", "NAME", "name of the job (default: the script's file name)", _words),
    Option("partition", "p", "NAME", "partition (default: the cluster's)", _words),
    Option("account", "A", "NAME", "account to charge (default: the user's)", _words),
    Option("qos", "q", "NAME", "quality of service", _words),
    Option("ntasks", "n", "N", "tasks", _count),
    Option("nodes", "N", "N[-M]", "number of nodes, or a range", _nodes),
    Option("nodelist", "w", "NODES", "nodes that the job must have, such as n1,n[3-5]", _hosts),
    Option("cpus-per-task", "c", "N", "processors for each task", _count),
    Option("mem", None, "SIZE", "memory on each node: megabytes, or a number with K, M, G or T; 0 is all", mebibytes),
    Option("constraint", "C", "FEATURES", "features that the nodes must have", _words),
    Option("reservation", None, "NAME", "reservation to run in", _words),
    Option("dependency", "d", "LIST", "jobs to wait for, such as afterok:42", _words),
    Option("time", "t", "TIME", "time limit: minutes, H:M:S or D-H:M:S", minutes),
    Option("chdir", "D", "PATH", "working directory on the compute node (default: the current one)", _words),
    Option("input", "i", "FILE", "standard input of the job (default: /dev/null)", _words),
    Option("output", "o", "FILE", "standard output of the job (default: slurm-JOBID.out where it works)", _words),
    Option("error", "e", "FILE", "standard error of the job (default: with the output)", _words),
)


def read(text: str) -> Script:
    """Look at a script as sbatch does. Raises ScriptError, and InputError for a bad ``#SBATCH`` value."""
    if not text.startswith("#!"):
        raise ScriptError(
            "this is no batch script: its first line does not begin with #!.", "Begin it with a line such as #!/bin/sh."
        )
    if "\r\n" in text:
        raise ScriptError("the script has line ends of DOS (CR LF).", "Convert it: sed -i 's/\\r$//' SCRIPT")
    if "\0" in text:
        raise ScriptError("the script holds a zero byte, so it is no text")
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for number, words in _directives(text):
        for option, name, value in _options(words):
            place = f"#SBATCH {name} (line {number})"
            if option is None or value is None:
                ignored.append(f"{name if value is None else f'{name} {value}'} (line {number})")
            else:
                found[option.key] = option.read(value, place)
    return Script(text, found, tuple(ignored))


def _directives(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each ``#SBATCH`` line before the first command, with the number of the line."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#SBATCH"):
            try:
                yield number, shlex.split(line[len("#SBATCH") :], comments=True)
            except ValueError as error:
                raise ScriptError(f"line {number} of the script: {error} in {line!r}") from None
        elif line.strip() and not line.startswith("#"):
            return


def _options(words: Iterable[str]) -> Iterator[tuple[Option | None, str, str | None]]:
    """Options with their values in the forms of getopt: ``--name=value``, ``--name value``, ``-nvalue``, ``-n value``.

    An unknown option comes as None, and the words behind it that are no option belong to it.
    """
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            option = next((option for option in OPTIONS if f"--{option.name}" == name), None)
        else:
            name, value = word[:2], word[2:]
            equals = value
            option = next((option for option in OPTIONS if option.short and f"-{option.short}" == name), None)
        if not equals:
            takes = bool(rest) and (option is not None or not rest[0].startswith("-"))
            yield option, name, rest.pop(0) if takes else None
        else:
            yield option, name, value
