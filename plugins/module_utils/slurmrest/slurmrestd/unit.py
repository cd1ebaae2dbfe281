"""A model of systemd units, enough to know what slurmrestd will really run as and listen on.

Several files make one unit: the vendor's fragment, then drop-ins. What a daemon gets out of them differs from what
each file says: lists add up, an empty assignment resets, a drop-in whose name sorts later wins, and an environment file
beats ``Environment=``. Everything here remembers the file and line that decided.

Sources: systemd.unit(5), systemd.syntax(7), systemd.service(5), systemd.exec(5) and the parsers they describe;
``src/slurmrestd/slurmrestd.c`` for the options that take a value and the order of listeners.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable

from ..errors import InputError
from ..redaction import REDACTED, redacted
from . import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

UNIT = "slurmrestd.service"
DROPIN = f"/etc/systemd/system/{UNIT}.d/50-slurmrest.conf"
"""Our drop-in. Its name sorts before ``override.conf``, which is what ``systemctl edit`` writes."""

OUR_COMMAND = "slurmrest-toolkit"
"""A word that stands in the pretended command of our drop-in, and in no command of a site."""

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

UNIT_PATHS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd looks for units, the first wins (systemd.unit(5))."""

_SECRET_NAME = re.compile(r"JWT|TOKEN|PASS|SECRET|KEY", re.IGNORECASE)
_NOT_SECRET = ("", "daemon")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECTION_LINE = re.compile(r"^[ \t]*\[[A-Za-z][\w-]*\][ \t]*$", re.MULTILINE)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)+""", re.DOTALL)
_PIECE = re.compile(
    r"""\\(?P<escape>x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|.)|(?P<quote>["'])|(?P<plain>[^\\"']+|\\)""", re.DOTALL
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
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
class Place:
    """The place that decided something: a file and a line, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Assignment:
    """One ``Key=Value`` of a unit file; the value as written, with continued lines joined."""

    section: str
    key: str
    value: str = field(repr=False)
    origin: Place


@dataclass(frozen=True)
class Setting:
    """What all files together say of one key: the values since the last reset, and where that reset was."""

    values: tuple[Assignment, ...] = ()
    reset: Place | None = None


@dataclass(frozen=True)
class Variable:
    """One variable of the daemon's environment. Values that may be secrets are never kept."""

    name: str
    value: str
    origin: Place


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


def parse_unit(text: str, path: str) -> list[Assignment]:
    """The assignments of one unit file, in order. What systemd ignores (with a warning in the journal) is left out."""
    found: list[Assignment] = []
    section = ""
    for number, line in _logical_lines(text):
        if line.startswith("["):
            section = line[1:-1] if line.endswith("]") else ""
            continue
        key, equals, value = line.partition("=")
        if equals and section and key.strip():
            found.append(Assignment(section, key.strip(), value.strip(), Place(path, number)))
    return found


def merge(assignments: Iterable[Assignment]) -> dict[tuple[str, str], Setting]:
    """Add up what several files say, in the order given: an empty value forgets all before it."""
    settings: dict[tuple[str, str], Setting] = {}
    for entry in assignments:
        key = (entry.section, entry.key)
        before = settings.get(key, Setting())
        if entry.value:
            settings[key] = Setting((*before.values, entry), before.reset)
        else:
            settings[key] = Setting((), entry.origin)
    return settings


def order_dropins(paths: Iterable[str]) -> list[str]:
    """The drop-ins that count, in the order they are applied.

    Sorted by file name whatever the directory; of equal names the one in the unit's own directory and the earlier place
    of :data:`UNIT_PATHS` hides the others.
    """
    best: dict[str, str] = {}
    for path in sorted(paths, key=_precedence):
        name = posixpath.basename(path)
        if name.endswith(".conf"):
            best.setdefault(name, path)
    return [best[name] for name in sorted(best, key=lambda name: name.encode(errors="surrogateescape"))]


def unit_names(instance: str = "") -> list[str]:
    """The unit that serves, and behind it the template that it comes from where it is one of several instances.

    Raises:
        InputError: an instance that cannot be part of a unit's name.
    """
    if not instance:
        return [UNIT]
    if not _INSTANCE.fullmatch(instance):
        raise InputError("slurm_common_slurmrestd_instance", instance, "letters, digits, '_', '.' and '-', at most 63")
    return [UNIT.replace(".", f"@{instance}.", 1), UNIT.replace(".", "@.", 1)]


def dropin_directories(names: Sequence[str] = (UNIT,)) -> list[str]:
    """Every directory that may hold drop-ins of a unit of these names (see :func:`unit_names`), by precedence."""
    return [f"{path}/{name}.d" for name in (*names, "service") for path in UNIT_PATHS]


def parse_environment_file(text: str, path: str) -> list[Variable]:
    """The variables of an environment file as systemd reads it: no expansion, later beats earlier.

    Lines without ``=``, comments (``#``, ``;``) and names that are none (``export A=b``) are ignored.
    """
    found: list[Variable] = []
    position = 0
    while position < len(text) and (match := _ENTRY.match(text, position)):  # which always matches
        position = match.end()
        key = match["key"]
        if key is None or match["equals"] is None:
            continue
        value, position = _environment_value(text, position)
        name = key.strip()
        if _NAME.fullmatch(name):
            found.append(_variable(name, value, Place(path, text.count("\n", 0, match.start("key")) + 1)))
    return found


def split_words(text: str) -> list[str]:
    """Split a value at white space; quotes hold words together and C escapes are resolved (systemd.syntax(7))."""
    return [_unquote(match.group()) for match in _WORD.finditer(text)]


def shown(name: str, value: str) -> str:
    """The value of a variable or option without what may be a secret."""
    hide = _SECRET_NAME.search(name) is not None and value not in _NOT_SECRET
    return REDACTED if hide else redacted(value)


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
        listeners=tuple(ListenerAt(word.text, address.read(word.text), word.origin) for word in told),
        options=tuple(options),
        unreadable=tuple(unreadable),
    )


# --- unit files ------------------------------------------------------------------------------------------------------


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number: continued ones joined by a space, comments (also inside them) and blanks dropped."""
    pending = ""
    first = 0
    for number, raw in enumerate(re.split(r"\r\n|[\r\n]", text), start=1):
        line = raw.lstrip(" \t")
        if line.startswith(("#", ";")):
            continue
        if not pending:
            first = number
        pending += line
        if re.search(r"(?<!\\)(?:\\\\)*\\$", line):
            pending = pending[:-1] + " "
            continue
        if pending.strip():
            yield first, pending.strip()
        pending = ""
    if pending.strip():
        yield first, pending.strip()


def _precedence(path: str) -> tuple[int, int, str]:
    directory = posixpath.dirname(path)
    name = posixpath.basename(directory)
    general = 2 if name == "service.d" else int(name.endswith("@.service.d"))
    place = posixpath.dirname(directory)
    return general, UNIT_PATHS.index(place) if place in UNIT_PATHS else len(UNIT_PATHS), path


def _unquote(word: str, *, c_escapes: bool = True) -> str:
    """Remove quotes and resolve escapes of one word."""
    result: list[str] = []
    quote = ""
    for match in _PIECE.finditer(word):
        mark, escape = match["quote"], match["escape"]
        if mark and (not quote or mark == quote):
            quote = "" if quote else mark
        elif escape is not None:
            result.append(_escaped(escape) if c_escapes else escape)
        else:
            result.append(match.group())
    return "".join(result)


def _escaped(escape: str) -> str:
    if len(escape) > 1:
        return chr(int(escape[1:], 16) if escape[0] in "xu" else int(escape, 8))
    return _ESCAPES.get(escape, escape if escape in "\\\"'" else f"\\{escape}")


# --- environment -----------------------------------------------------------------------------------------------------

_ENTRY = re.compile(r"[ \t\r\n]*(?:[#;][^\r\n]*|(?P<key>[^ \t\r\n][^=\r\n]*)(?P<equals>=)?)?")
_VALUE_PIECE = re.compile(
    r"""(?P<space>[ \t]+)|'(?P<single>[^']*)'?|"(?P<double>(?:[^"\\]|\\.)*)\\?"?|(?P<plain>(?:[^\\\r\n]|\\.|\\$)+)""",
    re.DOTALL,
)


def _environment_value(text: str, position: int) -> tuple[str, int]:
    """The value that starts at ``position``, and where it ends."""
    parts: list[str] = []
    while True:
        match = _VALUE_PIECE.match(text, position)
        if match is None:
            return "".join(parts), position
        position = match.end()
        if match["single"] is not None:
            parts.append(match["single"])
        elif match["double"] is not None:
            parts.append(re.sub(r"\\(.)", _in_double_quotes, match["double"], flags=re.DOTALL))
        elif match["plain"] is not None:
            parts.append(re.sub(r"\\(.?)", _in_plain_value, _without_trailing_space(match["plain"]), flags=re.DOTALL))
            return "".join(parts), position


def _without_trailing_space(raw: str) -> str:
    """White space at the end does not count, unless it is escaped."""
    stripped = raw.rstrip(" \t")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return raw[: len(stripped) + backslashes % 2]


def _in_plain_value(match: re.Match[str]) -> str:
    """Any character may be escaped, an escaped line end is a continuation."""
    return match[1].strip("\n")


def _in_double_quotes(match: re.Match[str]) -> str:
    """As a shell: only these are escaped, an escaped line end is a continuation."""
    if match[1] in '"\\`$':
        return match[1]
    return "" if match[1] == "\n" else match[0]


def _variable(name: str, value: str, origin: Place) -> Variable:
    return Variable(name, shown(name, value), origin)


def _environment(
    unit: EffectiveUnit, read: Callable[[str], str | None], glob: Callable[[str], Sequence[str]]
) -> tuple[dict[str, Variable], list[EnvironmentFile]]:
    """``Environment=``, then each file, then ``UnsetEnvironment=``: the order in which systemd applies them."""
    variables: dict[str, Variable] = {}
    for entry in unit.setting("Environment").values:
        for word in words_of(entry):
            name, equals, value = word.partition("=")
            if equals and _NAME.fullmatch(name):
                variables[name] = _variable(name, value, entry.origin)
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


# --- command lines ---------------------------------------------------------------------------------------------------


def _commands(entry: Assignment) -> Iterator[list[Word]]:
    """The commands of one ``Exec…=``: a lone ';' separates several."""
    command: list[Word] = []
    for match in _WORD.finditer(entry.value):
        if match.group() == ";":
            if command:
                yield command
            command = []
            continue
        text = ";" if match.group() == "\\;" else _unquote(match.group())
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
                for match in _WORD.finditer(variable.value):
                    yield Word(_unquote(match.group(), c_escapes=False), variable.origin)
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
