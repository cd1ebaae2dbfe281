"""A model of slurmrestd's unit, enough to know what it will really run as and listen on.

Several files make one unit: the vendor's fragment, then drop-ins. What a daemon gets out of them differs from what
each file says: lists add up, an empty assignment resets, a drop-in whose name sorts later wins, and an environment file
beats ``Environment=``. Everything here remembers the file and line that decided.

Sources: systemd.service(5), systemd.exec(5) and the parsers they describe; ``src/slurmrestd/slurmrestd.c`` for the
options that take a value and the order of listeners.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable

from ..redaction import redacted
from ..systemd.environment_files import NAME, Variable, parse_environment_file, variable_of
from ..systemd.unit_files import WORD, Assignment, Place, Setting, merge, parse_unit, split_words, unquote
from . import address, spelling
from .unit_places import UNIT, order_dropins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SECTION_LINE = re.compile(r"^[ \t]*\[[A-Za-z][\w-]*\][ \t]*$", re.MULTILINE)

_SPECIFIERS = {
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "E": "/etc",
    "n": UNIT,
    "N": "slurmrestd",
    "p": "slurmrestd",
    "P": "slurmrestd",
    "i": "",
    "I": "",
    "%": "%",
}

_OPTIONS_WITH_VALUE = frozenset("adfgstu")

_LONG_OPTIONS_WITH_VALUE = frozenset({"max-connections", "autocomplete"})


@dataclass(frozen=True)
class EnvironmentFile:
    """One ``EnvironmentFile=`` of a unit."""

    path: str
    optional: bool  # written with '-': may be missing
    present: bool
    sectioned: bool  # it has a [Section]: somebody put a unit file where an environment file belongs
    origin: Place


@dataclass(frozen=True)
class Word:
    """One word of a command line."""

    text: str
    origin: Place


@dataclass(frozen=True)
class ListenerAt:
    """One address that the daemon is told to bind. ``listener`` is None where no release would take it."""

    text: str
    listener: address.Listener | None
    origin: Place


@dataclass(frozen=True)
class Option:
    """One option of slurmrestd's command line: ``-a`` with ``rest_auth/jwt``, or ``-v`` with nothing."""

    flag: str
    value: str | None
    origin: Place


@dataclass(frozen=True)
class EffectiveUnit:
    """What systemd makes of a fragment and its drop-ins."""

    fragment: str | None
    dropins: tuple[str, ...]  # in the order they are applied
    assignments: tuple[Assignment, ...] = field(repr=False)
    settings: Mapping[tuple[str, str], Setting] = field(repr=False)
    exec_start: tuple[tuple[Word, ...], ...]
    environment: Mapping[str, Variable]
    environment_files: tuple[EnvironmentFile, ...]
    listeners: tuple[ListenerAt, ...]
    options: tuple[Option, ...]
    unreadable: tuple[str, ...]

    def setting(self, key: str, section: str = "Service") -> Setting:
        """All about one key."""
        return self.settings.get((section, key), Setting())

    def last(self, key: str, section: str = "Service") -> str | None:
        """The value that counts of a key that is no list; None when it is not set."""
        values = self.setting(key, section).values
        return specifiers(values[-1].value) if values else None

    def words(self, key: str, section: str = "Service") -> list[str]:
        """All words of a key that is a list."""
        return [word for entry in self.setting(key, section).values for word in words_of(entry)]

    @property
    def user(self) -> str | None:
        """``User=``; None means root."""
        return self.last("User")

    @property
    def group(self) -> str | None:
        """``Group=``; None means the user's own."""
        return self.last("Group")

    @property
    def conditions(self) -> list[str]:
        """``Condition…=`` lines as written: when one does not hold, the unit is skipped without an error."""
        return [
            f"{entry.key}={entry.value}"
            for (section, key), setting in self.settings.items()
            if section == "Unit" and key.startswith("Condition")
            for entry in setting.values
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; free of secrets."""
        return {
            "fragment": self.fragment,
            "dropins": list(self.dropins),
            "exec_start": [[redacted(word.text) for word in command] for command in self.exec_start],
            "exec_reload": [redacted(entry.value) for entry in self.setting("ExecReload").values],
            "user": self.user,
            "group": self.group,
            "dynamic_user": self.last("DynamicUser") in ("yes", "true", "on", "1"),
            "supplementary_groups": self.words("SupplementaryGroups"),
            "environment": {name: item.value for name, item in self.environment.items()},
            "environment_origins": {name: str(item.origin) for name, item in self.environment.items()},
            "environment_files": [{**vars(item), "origin": str(item.origin)} for item in self.environment_files],
            "conditions": self.conditions,
            "listeners": [
                {
                    "text": item.text,
                    "origin": str(item.origin),
                    "listener": item.listener.as_dict() if item.listener else None,
                }
                for item in self.listeners
            ],
            "options": [{"flag": item.flag, "value": item.value, "origin": str(item.origin)} for item in self.options],
            "unreadable": list(self.unreadable),
        }


def specifiers(text: str) -> str:
    """Resolve the specifiers that are the same on every host."""
    return re.sub(r"%(.)", lambda match: _SPECIFIERS.get(match[1], match[0]), text)


def command_line(words: Sequence[Word]) -> tuple[list[Option], list[Word]]:
    """Options and listeners of a slurmrestd command line, read as getopt_long(3) does, which lets them mix."""
    start = next((i for i, word in enumerate(words) if posixpath.basename(word.text) == "slurmrestd"), len(words))
    options: list[Option] = []
    positional: list[Word] = []
    rest = iter(words[start + 1 :])
    for word in rest:
        if word.text == "--":
            positional.extend(rest)
        elif word.text.startswith("--"):
            options.append(_long_option(word, rest))
        elif word.text.startswith("-") and word.text != "-":
            options.extend(_short_options(word, rest))
        else:
            positional.append(word)
    return options, positional


def argv_of(words: Iterable[str]) -> tuple[list[Option], list[Word]]:
    """The same of a process, whose words are in no file."""
    return command_line([Word(word, Place("", 0)) for word in words])


def effective(
    fragment: str | None,
    dropins: Iterable[str],
    read_file: Callable[[str], str | None],
    glob: Callable[[str], Sequence[str]] = lambda pattern: [pattern],
) -> EffectiveUnit:
    """What systemd makes of a unit.

    Args:
        fragment: path of the unit file, or None where there is none.
        dropins: paths of drop-ins in any order; see :func:`order_dropins`.
        read_file: gives the text of a path, None where there is no such file; may raise PermissionError.
        glob: resolves a pattern of ``EnvironmentFile=``.
    """
    unreadable: list[str] = []

    def read(path: str) -> str | None:
        try:
            return read_file(path)
        except PermissionError:
            unreadable.append(path)
            return None

    ordered = order_dropins(dropins)
    paths = [fragment, *ordered] if fragment else ordered
    assignments = tuple(entry for path in paths for entry in parse_unit(read(path) or "", path))
    unit = EffectiveUnit(fragment, tuple(ordered), assignments, merge(assignments), (), {}, (), (), (), ())
    environment, files = _environment(unit, read, glob)
    commands = tuple(
        tuple(_expand(command, environment))
        for entry in unit.setting("ExecStart").values
        for command in _commands(entry)
    )
    options: list[Option] = []
    told = _listen_variable(environment.get("SLURMRESTD_LISTEN"))
    for command in commands:
        given, positional = command_line(command)
        options.extend(given)
        told.extend(positional)
    return replace(
        unit,
        exec_start=commands,
        environment=environment,
        environment_files=tuple(files),
        listeners=tuple(ListenerAt(word.text, spelling.read(word.text), word.origin) for word in told),
        options=tuple(options),
        unreadable=tuple(unreadable),
    )


def _environment(
    unit: EffectiveUnit, read: Callable[[str], str | None], glob: Callable[[str], Sequence[str]]
) -> tuple[dict[str, Variable], list[EnvironmentFile]]:
    """``Environment=``, then each file, then ``UnsetEnvironment=``: the order in which systemd applies them."""
    variables: dict[str, Variable] = {}
    for entry in unit.setting("Environment").values:
        for word in words_of(entry):
            name, equals, value = word.partition("=")
            if equals and NAME.fullmatch(name):
                variables[name] = variable_of(name, value, entry.origin)
    files: list[EnvironmentFile] = []
    for entry in unit.setting("EnvironmentFile").values:
        optional = entry.value.startswith("-")
        for path in glob(specifiers(entry.value[1:] if optional else entry.value)):
            text = read(path)
            sectioned = text is not None and _SECTION_LINE.search(text) is not None
            files.append(EnvironmentFile(path, optional, text is not None, sectioned, entry.origin))
            variables.update((variable.name, variable) for variable in parse_environment_file(text or "", path))
    for word in unit.words("UnsetEnvironment"):
        name, equals, value = word.partition("=")
        if name in variables and (not equals or variables[name].value == value):
            del variables[name]
    return variables, files


def _commands(entry: Assignment) -> Iterator[list[Word]]:
    """The commands of one ``Exec…=``: a lone ';' separates several."""
    command: list[Word] = []
    for match in WORD.finditer(entry.value):
        if match.group() == ";":
            if command:
                yield command
            command = []
            continue
        text = ";" if match.group() == "\\;" else unquote(match.group())
        command.append(Word(specifiers(text), entry.origin))
    if command:
        yield command


def _expand(command: Sequence[Word], environment: Mapping[str, Variable]) -> Iterator[Word]:
    """Resolve ``$NAME`` (a word of its own, which is split) and ``${NAME}`` (anywhere, which is not)."""
    prefix = re.match(r"[-@:+!|]*", command[0].text)
    marks = prefix.group() if prefix else ""
    yield Word(command[0].text[len(marks) :], command[0].origin)
    for word in command[1:]:
        if ":" in marks:
            yield word
        elif re.match(r"\$[^{$]", word.text):
            variable = environment.get(word.text[1:])
            if variable is not None:
                for match in WORD.finditer(variable.value):
                    yield Word(unquote(match.group(), c_escapes=False), variable.origin)
        else:
            yield Word(re.sub(r"\$\$|\$\{(\w+)\}", lambda found: _braced(found, environment), word.text), word.origin)


def _braced(match: re.Match[str], environment: Mapping[str, Variable]) -> str:
    if match.group() == "$$":
        return "$"
    variable = environment.get(match[1])
    return variable.value if variable else ""


def _long_option(word: Word, rest: Iterator[Word]) -> Option:
    name, equals, value = word.text[2:].partition("=")
    if equals:
        return Option(f"--{name}", value, word.origin)
    if name in _LONG_OPTIONS_WITH_VALUE:
        following = next(rest, None)
        return Option(f"--{name}", following.text if following else None, word.origin)
    return Option(f"--{name}", None, word.origin)


def _short_options(word: Word, rest: Iterator[Word]) -> Iterator[Option]:
    for index, letter in enumerate(word.text[1:], start=1):
        if letter in _OPTIONS_WITH_VALUE:
            value = word.text[index + 1 :]
            following = None if value else next(rest, None)
            yield Option(f"-{letter}", value or (following.text if following else None), word.origin)
            return
        yield Option(f"-{letter}", None, word.origin)


def _listen_variable(variable: Variable | None) -> list[Word]:
    """The daemon splits the variable at commas and binds these before what is on the command line."""
    return [Word(text, variable.origin) for text in variable.value.split(",") if text] if variable else []


def words_of(entry: Assignment) -> list[str]:
    """The words of a value, specifiers resolved."""
    return [specifiers(word) for word in split_words(entry.value)]


def unset_by(unit: EffectiveUnit, name: str) -> Place:
    """Where a variable of ours was lost: an ``UnsetEnvironment=`` that names it, or an empty ``Environment=``."""
    for entry in unit.setting("UnsetEnvironment").values:
        if name in [word.partition("=")[0] for word in words_of(entry)]:
            return entry.origin
    return unit.setting("Environment").reset or Place("", 0)
