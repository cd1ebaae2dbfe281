"""A batch script and its options, in the spellings of sbatch.

slurmctld does not read a script's ``#SBATCH`` lines: sbatch does, and slurmrestd does not either (seen on every release
run here). So they are read here, as sbatch reads them: the words of all ``#SBATCH`` lines from the top of the script to
its first command are one command line. :data:`OPTIONS` is the one table of what has a place here, and says which in
a request. An option that cannot change how a job runs is named as ignored; every other one is refused. Pure.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import InputError, SlurmrestError
from ..rest.payloads import UNLIMITED, number
from ..slurm.api_versions import ApiVersion

_MEMORY = re.compile(r"([0-9]+)([KMGT]?)B?\Z", re.IGNORECASE)
_TO_MIB: Mapping[str, float] = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})\Z", re.ASCII)
_NODES = re.compile(r"\d+(?:-\d+)?\Z", re.ASCII)
_ARRAY = re.compile(r"\d+(?:-\d+(?::\d+)?)?(?:,\d+(?:-\d+(?::\d+)?)?)*(?:%\d+)?\Z", re.ASCII)
_LATER = re.compile(
    r"now(?:\+(?P<count>\d+)(?:(?P<unit>[smhdw])(?:ec(?:ond)?s?|in(?:ute)?s?|(?:ou)?rs?|ays?|eeks?)?)?)?\Z", re.ASCII
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\Z", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T(\d{1,2}):(\d{2})(?::(\d{2}))?)?\Z", re.ASCII)
_BEGIN = (
    "now, now+COUNT[seconds|minutes|hours|days|weeks], HH:MM[:SS], YYYY-MM-DD[THH:MM[:SS]], tomorrow, midnight, noon"
)
_BLANKS = " \t\n\v\f\r"  # what isspace() says of bytes
_LARGEST = 2**31 - 1  # the API's numbers have 32 bits


class ScriptError(SlurmrestError):
    """The file is no batch script that could run."""


Put = Callable[[ApiVersion, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class BatchOption:
    """An option of sbatch that is understood: `name` is the long spelling, `read` turns its text into a value.

    `metavar` stands for its value; None is an option without one, ``[WORD]`` one whose value may be left out. `put`
    writes the value into the ``job`` of a request, in the shape of an API version (InputError where that has no place
    for it); None is an option that the command itself heeds.
    """

    name: str
    short: str | None
    metavar: str | None
    help: str
    read: Callable[[str, str], Any]
    put: Put | None = None

    @property
    def takes(self) -> str:
        """How the option takes a value, in the words of getopt: ``no``, ``optional`` or ``required``."""
        return "no" if self.metavar is None else "optional" if self.metavar.startswith("[") else "required"

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
    """A time limit as sbatch takes it (M, M:S, H:M:S, D-H, D-H:M, D-H:M:S), in whole minutes, rounded up.

    UNLIMITED for its words, -1 and 0, as with sbatch.
    """
    allowed = "MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]], 0 or UNLIMITED"
    if text.upper() in ("-1", "INFINITE", "UNLIMITED"):
        return UNLIMITED
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
    if total > _LARGEST:
        raise InputError(variable, text, allowed)
    return total or UNLIMITED


def instant(text: str, variable: str = "--begin", now: float | None = None) -> int:
    """A time to begin as sbatch takes it, in seconds of the epoch; clock times are those of this host.

    The spellings that have one meaning: now, now+COUNT[UNIT], HH:MM[:SS] (the next one), YYYY-MM-DD[THH:MM[:SS]], and
    today, tomorrow, midnight and noon. `now` is the present, None asks the clock.
    """
    present = time.time() if now is None else now
    word = text.lower()
    later = _LATER.match(word)
    if later:
        return int(present) + int(later["count"] or 0) * _SECONDS[later["unit"] or "s"]
    here = time.localtime(present)
    year, month, day = here[:3]
    clock = _CLOCK.match({"midnight": "00:00", "noon": "12:00"}.get(word, word))
    date = _DATE.match(text)
    if word in ("today", "tomorrow"):
        return int(present) if word == "today" else _local(text, variable, year, month, day + 1)
    if clock:
        parts = [int(part or 0) for part in clock.groups()]
        first = _local(text, variable, year, month, day, *parts)
        return first if first > present else _local(text, variable, year, month, day + 1, *parts)
    if not date:
        raise InputError(variable, text, _BEGIN)
    return _local(text, variable, *(int(part or 0) for part in date.groups()))


def _local(text: str, variable: str, *parts: int) -> int:
    year, month, day, hour, minute, second = [*parts, 0, 0, 0][:6]
    if not (1970 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 32 and hour < 24 and minute < 60 and second < 60):
        raise InputError(variable, text, _BEGIN)
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))


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


def printable(text: str, variable: str) -> str:
    """What Slurm takes for a name or a comment, as it is. Raises InputError for control characters, or nothing."""
    if not text or not text.isprintable():
        raise InputError(variable, text, "printable characters")
    return text


def _hosts(text: str, variable: str) -> tuple[str, ...]:
    """Host names between commas; commas in brackets belong to a name such as ``n[1,3]``."""
    hosts = tuple(part for part in re.split(r",(?![^\[]*\])", printable(text, variable)) if part)
    if not hosts:
        raise InputError(variable, text, "names of nodes, such as n1,n[3-5]")
    return hosts


def _array(text: str, variable: str) -> str:
    if not _ARRAY.match(text):
        raise InputError(variable, text, "indices such as 1-10, 1,3,5 or 0-15:4, and %N for so many at a time")
    return text


def _flag(_text: str, _variable: str) -> bool:
    return True


def _exclusive(text: str, variable: str) -> str:
    if text not in ("", "user", "mcs"):
        raise InputError(variable, text, "nothing, user or mcs")
    return text


def _plain(key: str) -> Put:
    return lambda _api, value: {key: value}


def _numeric(key: str) -> Put:
    return lambda api, value: {key: number(api, value)}


def _const(key: str, value: Any) -> Put:
    return lambda _api, _value: {key: value}


def _put_output(api: ApiVersion, path: str) -> Mapping[str, Any]:
    return {api.stdout_key: path}


def _put_nodelist(api: ApiVersion, hosts: Sequence[str]) -> Mapping[str, Any]:
    return {api.nodelist_key: list(hosts) if api.nodelist_key == "required_nodes" else ",".join(hosts)}


def _put_exclude(api: ApiVersion, hosts: Sequence[str]) -> Mapping[str, Any]:
    if api.nodelist_key != "required_nodes":
        raise InputError("--exclude", ",".join(hosts), f"nothing: API version {api.name} has no place for it")
    return {"excluded_nodes": list(hosts)}


def _put_begin(api: ApiVersion, when: int) -> Mapping[str, Any]:
    """Old versions read a time as sbatch does, and refuse seconds of the epoch; a distance has no time zone."""
    return {"begin_time": number(api, when) if api.number_struct else f"now+{max(0, when - int(time.time()))}"}


def _put_gres(api: ApiVersion, text: str) -> Mapping[str, Any]:
    """``gpu:2,license:1``; since v0.0.39 each begins with its kind."""
    if api.gres_prefix is None:
        return {"gres": text}
    return {"tres_per_node": ",".join(f"{api.gres_prefix}{part.removeprefix('gres/')}" for part in text.split(","))}


def _put_exclusive(api: ApiVersion, kind: str) -> Mapping[str, Any]:
    """Old versions want a word (and refuse true), the next ones a list."""
    if api.exclusive_key == "shared":
        return {"shared": [kind or "none"]}
    return {"exclusive": [kind or "true"] if api.number_struct else kind or "exclusive"}


OPTIONS: tuple[BatchOption, ...] = (
    BatchOption("job-name", "J", "NAME", "name of the job (default: the script's file name)", printable),
    BatchOption("partition", "p", "NAME", "partition (default: the cluster's)", printable, _plain("partition")),
    BatchOption("account", "A", "NAME", "account to charge (default: the user's)", printable, _plain("account")),
    BatchOption("qos", "q", "NAME", "quality of service", printable, _plain("qos")),
    BatchOption("array", "a", "INDICES", "an array of jobs, such as 1-10%%2", _array, _plain("array")),
    BatchOption("ntasks", "n", "N", "tasks", _count, _plain("tasks")),
    BatchOption("ntasks-per-node", None, "N", "tasks on each node", _count, _plain("tasks_per_node")),
    BatchOption("nodes", "N", "N[-M]", "number of nodes, or a range", _nodes, _plain("nodes")),
    BatchOption("nodelist", "w", "NODES", "nodes that the job must have, such as n1,n[3-5]", _hosts, _put_nodelist),
    BatchOption("exclude", "x", "NODES", "nodes that the job must not have", _hosts, _put_exclude),
    BatchOption("exclusive", None, "[KIND]", "whole nodes for the job; KIND: user, mcs", _exclusive, _put_exclusive),
    BatchOption("cpus-per-task", "c", "N", "processors for each task", _count, _plain("cpus_per_task")),
    BatchOption(
        "mem",
        None,
        "SIZE",
        "memory on each node: megabytes, or a number with K, M, G or T; 0 is all",
        mebibytes,
        _numeric("memory_per_node"),
    ),
    BatchOption("mem-per-cpu", None, "SIZE", "memory for each processor", mebibytes, _numeric("memory_per_cpu")),
    BatchOption("gres", None, "LIST", "generic resources on each node, such as gpu:1", printable, _put_gres),
    BatchOption("licenses", "L", "LIST", "licenses", printable, _plain("licenses")),
    BatchOption("constraint", "C", "FEATURES", "features that the nodes must have", printable, _plain("constraints")),
    BatchOption("reservation", None, "NAME", "reservation to run in", printable, _plain("reservation")),
    BatchOption("dependency", "d", "LIST", "jobs to wait for, such as afterok:42", printable, _plain("dependency")),
    BatchOption("hold", "H", None, "submit it held: scontrol release lets it go", _flag, _const("hold", value=True)),
    BatchOption(
        "begin", "b", "TIME", "do not start before, such as now+1hour or 2030-01-31T08:00", instant, _put_begin
    ),
    BatchOption(
        "time", "t", "TIME", "time limit: minutes, H:M:S or D-H:M:S; 0 is none", minutes, _numeric("time_limit")
    ),
    BatchOption("comment", None, "WORDS", "a comment", printable, _plain("comment")),
    BatchOption("requeue", None, None, "let it be requeued", _flag, _const("requeue", value=True)),
    BatchOption("no-requeue", None, None, "never requeue it", _flag, _const("requeue", value=False)),
    BatchOption("chdir", "D", "PATH", "working directory on the compute node (default: the current one)", printable),
    BatchOption(
        "input", "i", "FILE", "standard input of the job (default: /dev/null)", printable, _plain("standard_input")
    ),
    BatchOption(
        "output",
        "o",
        "FILE",
        "standard output of the job (default: slurm-JOBID.out where it works)",
        printable,
        _put_output,
    ),
    BatchOption("error", "e", "FILE", "standard error (default: with the output)", printable, _plain("standard_error")),
    BatchOption("ignore-pbs", None, None, "pass over #PBS lines of the script", _flag),
)
HARMLESS: Mapping[str, str] = {
    "mail-type": "required",
    "mail-user": "required",
    "parsable": "optional",
    "quiet": "no",
    "verbose": "no",
}
"""Options that say nothing about how a job runs: ignored, and named."""
_ELSEWHERE: Mapping[str, str] = {
    name: takes
    for takes, names in {
        "no": "contiguous consolidate-segments external help overcommit oversubscribe reboot spread-job "
        "spread-segments stepmgr test-only usage use-min-nodes version wait",
        "optional": "get-user-env nice no-kill oom-kill-step propagate resv-ports",
        "required": "acctg-freq autocomplete batch bb bbf cluster cluster-constraint clusters container container-id "
        "container-type context core-spec cores-per-socket cpu-freq cpus-per-gpu deadline delay-boot "
        "distribution export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus- "
        "per-socket gpus-per-task gres-flags hint kill-on-invalid-dep mcs-label mem-bind mem-per-gpu mem- "
        "update mincpus network nodefile ntasks-per-core ntasks-per-gpu ntasks-per-socket ntasks-per-tres "
        "open-mode power prefer priority profile resources segment signal sockets-per-node switches tasks- "
        "per-node thread-spec threads-per-core time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey "
        "wrap",
    }.items()
    for name in names.split()
}
"""What else sbatch knows (its oldest and newest release were asked): refused, the job would run in another way."""
_SHORT: Mapping[str, str] = {
    **{option.short: option.name for option in OPTIONS if option.short},
    "B": "extra-node-info",
    "F": "nodefile",
    "G": "gpus",
    "k": "no-kill",
    "M": "clusters",
    "m": "distribution",
    "O": "overcommit",
    "Q": "quiet",
    "S": "core-spec",
    "s": "oversubscribe",
    "V": "version",
    "v": "verbose",
    "W": "wait",
}
_BY_NAME: Mapping[str, BatchOption] = {option.name: option for option in OPTIONS}
_TAKES: Mapping[str, str] = {**_ELSEWHERE, **HARMLESS, **{option.name: option.takes for option in OPTIONS}}
_ONE_OF_THEM = (("mem", "mem_per_cpu"), ("requeue", "no_requeue"))


def merged(script: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a script and those `given` on the command line, which win, also over what excludes them."""
    beaten = {other for pair in _ONE_OF_THEM for other in pair if any(key in given for key in pair)}
    options = {**{key: value for key, value in script.items() if key not in beaten}, **given}
    if "mem" in options and "mem_per_cpu" in options:
        raise InputError("--mem-per-cpu", options["mem_per_cpu"], "one of --mem and --mem-per-cpu, as with sbatch")
    return options


def fields(api: ApiVersion, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a request's ``job`` that the options ask for. InputError for what the version has no place for."""
    found: dict[str, Any] = {}
    for option in OPTIONS:
        if option.put and option.key in options:
            found.update(option.put(api, options[option.key]))
    return found


def read(text: str, *, ignore_pbs: bool = False) -> Script:
    """Look at a script as sbatch does. Raises ScriptError, and InputError for a bad ``#SBATCH`` value."""
    if text.startswith("\ufeff"):
        raise ScriptError(
            "the script begins with a byte order mark, which hides its #!.",
            "Remove it: sed -i '1s/^\\xef\\xbb\\xbf//' SCRIPT",
        )
    if not text.startswith("#!"):
        raise ScriptError(
            "this is no batch script: its first line does not begin with #!.", "Begin it with a line such as #!/bin/sh."
        )
    if "\r\n" in text:
        raise ScriptError("the script has line ends of DOS (CR LF).", "Convert it: sed -i 's/\\r$//' SCRIPT")
    if "\r" in text:
        line = text[: text.index("\r")].count("\n") + 1
        raise ScriptError(
            f"the script holds a carriage return (CR) in line {line}, which is no end of a line.",
            "Where it is meant as one: tr '\\r' '\\n' < SCRIPT > NEW",
        )
    if "\0" in text:
        raise ScriptError("the script holds a zero byte, so it is no text")
    words, foreign = _directives(text)
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value, line in _options(words):
        place = f"#SBATCH --{name} (line {line})"
        if name in _BY_NAME:
            found[_BY_NAME[name].key] = _BY_NAME[name].read(value, place)
        elif name in HARMLESS:
            ignored.append(f"--{name}{f' {value}' if value else ''} (line {line})")
        else:
            raise ScriptError(
                f"{place}: this has no place here, and the job would run in another way without it.",
                "Give --export to slurmrest submit." if name == "export" else "Take it out, or submit with sbatch.",
            )
    if foreign and not (ignore_pbs or found.pop("ignore_pbs", False)):
        raise ScriptError(
            f"line {foreign} is a #PBS line: sbatch heeds those, this does not.",
            "Say it with #SBATCH, or give --ignore-pbs.",
        )
    return Script(text, merged({}, found), tuple(ignored))


def _directives(text: str) -> tuple[list[tuple[str, int]], int | None]:
    """The words of all ``#SBATCH`` lines before the first command, with their lines; the first ``#PBS`` line."""
    found: list[tuple[str, int]] = []
    foreign = None
    for line_number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#SBATCH"):
            found += [(word, line_number) for word in _split(line[len("#SBATCH") :], line_number)]
        elif line.startswith("#PBS"):
            foreign = foreign or line_number
        elif line.strip(_BLANKS) and not line.lstrip(_BLANKS).startswith("#"):
            break
    return found, foreign


def _split(line: str, line_number: int) -> Iterator[str]:
    """The words of a line as sbatch sees them.

    Quotes of both kinds group, a backslash takes the next letter as it is (within both), ``#`` ends the line wherever
    it stands bare, and so does an empty word (all seen with ``sbatch -vvv --test-only``).
    """
    position = 0
    while position < len(line):
        if line[position] in _BLANKS:
            position += 1
            continue
        if line[position] == ":":
            raise ScriptError(f"line {line_number} of the script: a bare : in {line.strip()!r}; sbatch refuses it")
        word, quote = "", ""
        while position < len(line):
            letter = line[position]
            if letter == "\\":
                word += line[position + 1 : position + 2]
                position += 1
            elif quote:
                quote, word = ("", word) if letter == quote else (quote, word + letter)
            elif letter in "\"'":
                quote = letter
            elif letter == "#" or letter in _BLANKS:
                break
            else:
                word += letter
            position += 1
        if quote:
            raise ScriptError(f"line {line_number} of the script: no closing {quote} in {line.strip()!r}")
        if not word:
            return
        yield word


def _options(words: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    """Long name, value and line of each option, in the forms of getopt_long. ScriptError where sbatch refuses."""
    rest = list(words)
    while rest:
        word, line = rest.pop(0)
        if word in ("hetjob", "packjob"):
            raise ScriptError(f"line {line} of the script: jobs of several parts ({word}) have no place here")
        if word == "--" and not rest:
            return
        if word == "--" or not word.startswith("-") or word == "-":
            stray = rest[0][0] if word == "--" else word
            raise ScriptError(f"line {line} of the script: {stray!r} belongs to no option; sbatch refuses it")
        for name, inside in _spelled(word, line):
            takes = _TAKES[name]
            if takes == "no" and inside is not None:
                raise ScriptError(f"line {line} of the script: --{name} takes no value, here it has {inside!r}")
            if takes == "required" and inside is None and not rest:
                raise ScriptError(f"line {line} of the script: --{name} wants a value")
            value = rest.pop(0)[0] if takes == "required" and inside is None else inside
            yield name, value or "", line


def _spelled(word: str, line: int) -> Iterator[tuple[str, str | None]]:
    """The options of one word, with the value that stands in it: ``--name[=value]``, ``-nVALUE``, ``-Hn2``."""
    if word.startswith("--"):
        given, equals, value = word[2:].partition("=")
        yield _long(given, line), value if equals else None
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter)
        if name is None:
            raise ScriptError(f"line {line} of the script: sbatch has no option -{letter}")
        if _TAKES[name] == "required":
            yield name, letters or None
            return
        yield name, None


def _long(given: str, line: int) -> str:
    """The long name for a spelling that may be cut short."""
    if given in _TAKES:
        return given
    candidates = sorted(name for name in _TAKES if name.startswith(given))
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise ScriptError(f"line {line} of the script: --{given} may mean {', '.join(f'--{n}' for n in candidates)}")
    raise ScriptError(f"line {line} of the script: sbatch has no option --{given}")
