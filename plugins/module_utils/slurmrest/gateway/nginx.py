"""nginx as it is on this host: its version, account and limits, and what its configuration holds besides ours."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

from ..errors import SlurmrestError
from ..host import failure, programs
from ..host.programs import Run
from ..host.reading import read_beginning
from ..systemd.show import number
from ..systemd.systemctl import Systemd

UNIT = "nginx.service"
SITE = "zz-slurmrest-gateway.conf"
"""Our file: it is read last, so that no server of the site loses its place as the first one of an address."""

RUN = "/run/slurmrest-gateway"
"""Where the sockets of the inner servers and the kept answers are."""

LOGS = "/var/log/nginx"
"""Where nginx' packages log and rotate, on every distribution."""

HTTP2_DIRECTIVE = (1, 25, 1)
"""First nginx with ``http2 on``; it warns of ``listen … http2`` (CHANGES of nginx)."""

_CONF = "/etc/nginx/nginx.conf"
_CONF_SIZE = 1 << 20
_VERSION = re.compile(r"nginx version: \S+?/(\d+)\.(\d+)\.(\d+)")
_ARGUMENT = re.compile(r"--(conf-path|user)=(\S+)")
_MARK = re.compile(r"^# configuration file (?P<path>.+):$", re.MULTILINE)
_COMMENT = re.compile(r"(?m)(?:^|(?<=[\s;{}]))#.*$")
_INCLUDE = re.compile(r"(?m)(?P<before>(?:^|(?<=[;{}]))\s*)include\s+(?P<pattern>[^;\s]+)\s*;")
_WORDS = re.compile(r"(?P<name>[a-z_0-9]+)\s+(?P<value>[^;{}]+);")


@dataclass(frozen=True)
class Server:
    """One ``listen`` of a server of the site, and the names that this server has."""

    file: str
    address: str
    default: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class Nginx:
    """What is known of the nginx of a host; ``workers`` times ``connections`` are its connections at most."""

    program: str
    version: tuple[int, ...]
    conf: str
    user: str
    directory: str
    workers: int = 1
    connections: int = 512
    descriptors: int = 0
    servers: tuple[Server, ...] = field(default=())

    @property
    def has_http2_directive(self) -> bool:
        """Whether HTTP/2 is a directive of its own."""
        return self.version >= HTTP2_DIRECTIVE

    @property
    def site(self) -> str:
        """The path of our file."""
        return posixpath.join(self.directory, SITE)


def look(run: Run = programs.run) -> Nginx | None:
    """Look at the nginx of this host; None where there is none.

    Raises:
        SlurmrestError: its configuration is broken already, or includes no directory that could take our file.
    """
    program = programs.find("nginx")
    if program is None:
        return None
    done = run([program, "-V"], limit=programs.LOOKING_SECONDS)
    built = failure.demand(done) + done.stderr
    version = _VERSION.search(built)
    arguments = dict(_ARGUMENT.findall(built))
    conf = arguments.get("conf-path", _CONF)
    dump = run([program, "-T", "-q"], limit=programs.LOOKING_SECONDS)
    if dump.returncode:
        raise SlurmrestError(
            f"nginx refuses the configuration that it has: {programs.words(dump)}", "Mend that first: nginx -t"
        )
    parts = dict(_parts(dump.stdout))
    main = _directives(parts.get(conf, ""))
    state = Systemd(run).show(UNIT, "LimitNOFILESoft,LimitNOFILE")
    return Nginx(
        program=program,
        version=tuple(int(word) for word in version.groups()) if version else (),
        conf=conf,
        user=(main.get("user") or arguments.get("user") or "nobody").split()[0],
        directory=_place(parts.get(conf, ""), conf),
        workers=_workers(main.get("worker_processes", "1")),
        connections=int(main.get("worker_connections", "512")),
        descriptors=int(main.get("worker_rlimit_nofile", "0")) or number(state, "LimitNOFILESoft"),
        servers=tuple(
            server
            for path, text in parts.items()
            if posixpath.basename(path) != SITE
            for server in servers(path, text, lambda pattern: _included(parts, conf, pattern))
        ),
    )


def demand(run: Run = programs.run) -> Nginx:
    """The nginx of this host. Raises SlurmrestError where there is none, or as :func:`look`."""
    found = look(run)
    if found is None:
        raise SlurmrestError("There is no nginx on this host.", "Install the distribution's package nginx.")
    return found


def servers(path: str, text: str, included: Callable[[str], str] = lambda _pattern: "") -> Iterator[Server]:
    """The addresses of the servers in one file of a configuration, each with the names of its server.

    ``included`` is what an ``include`` brings, by its pattern: an address may stand there.
    """
    for block in _blocks(_COMMENT.sub("", text)):
        directives = _WORDS.finditer(_with_included(block, included))
        found = [(match["name"], match["value"].split()) for match in directives]
        names = tuple(name.lower() for key, words in found if key == "server_name" for name in words)
        for key, words in found:
            if key == "listen":
                yield Server(path, _address(words[0]), bool({"default_server", "default"} & set(words[1:])), names)


def _included(parts: Mapping[str, str], conf: str, pattern: str) -> str:
    """The text of the files of a configuration that an ``include`` reads."""
    wanted = posixpath.join(posixpath.dirname(conf), pattern.strip("'\""))
    return "\n".join(_COMMENT.sub("", text) for path, text in parts.items() if fnmatch(path, wanted))


def _with_included(block: str, included: Callable[[str], str], depth: int = 8) -> str:
    """A block with what it includes, and what that does; nginx itself refuses what includes itself."""
    if depth == 0:
        return block
    return _INCLUDE.sub(
        lambda match: match["before"] + _with_included(included(match["pattern"]), included, depth - 1), block
    )


def with_candidate(text: str, conf: str, site: str, candidate: str) -> str:
    """The main configuration with a candidate in the place of our file, for a trial of the whole tree.

    Args:
        text: of the main configuration.
        conf: its path, against which patterns are resolved.
        site: the path of our file, whether it is there or not.
        candidate: the path of what it shall become.
    """

    def listed(match: re.Match[str]) -> str:
        pattern = posixpath.join(posixpath.dirname(conf), match["pattern"])
        if not fnmatch(site, pattern):
            return match[0]
        directory, wildcard = posixpath.split(pattern)
        there = [posixpath.join(directory, name) for name in sorted(os.listdir(directory)) if fnmatch(name, wildcard)]
        kept = [path for path in there if path != site and not posixpath.basename(path).startswith(".")]
        return "".join(f"{match['before']}include {path};" for path in [*kept, candidate])

    return _INCLUDE.sub(listed, text)


def _parts(dump: str) -> Iterator[tuple[str, str]]:
    """The files of ``nginx -T``, in the order in which they are read."""
    marks = list(_MARK.finditer(dump))
    for mark, following in zip(marks, [*marks[1:], None]):
        yield mark["path"], dump[mark.end() : following.start() if following else len(dump)]


def _directives(text: str) -> dict[str, str]:
    """Simple directives of the main file; of one that stands there more than once the first."""
    found: dict[str, str] = {}
    for match in _WORDS.finditer(_COMMENT.sub("", text)):
        found.setdefault(match["name"], match["value"].strip())
    return found


def _blocks(text: str) -> Iterator[str]:
    """What stands between the braces of each ``server``."""
    for match in re.finditer(r"(?:^|[\s;{}])server\s*\{", text):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield text[match.end() : at]


def _address(word: str) -> str:
    """An address of ``listen`` as ``address:port``: nginx takes a bare port for all addresses of IPv4."""
    if word.startswith("unix:"):
        return word
    if word.isdigit():
        return f"0.0.0.0:{word}"
    word = word.replace("*:", "0.0.0.0:") if word.startswith("*:") else word
    return word if ":" in word.rpartition("]")[2] else f"{word}:80"


def _workers(word: str) -> int:
    return int(word) if word.isdigit() else os.cpu_count() or 1


def _place(text: str, conf: str) -> str:
    """The directory whose ``*.conf`` are read in the http block."""
    for match in _INCLUDE.finditer(_COMMENT.sub("", text)):
        directory, wildcard = posixpath.split(posixpath.join(posixpath.dirname(conf), match["pattern"]))
        if posixpath.basename(directory) == "conf.d" and fnmatch(SITE, wildcard):
            return directory
    raise SlurmrestError(
        f"{conf} includes no conf.d/*.conf, where the gateway's server would be read.",
        "Add it to its http block, as the packages have it: include /etc/nginx/conf.d/*.conf;",
    )


def main_text(conf: str) -> str:
    """The text of the main configuration. Raises SlurmrestError where it cannot be read."""
    content = read_beginning(conf, _CONF_SIZE)
    if content is None:
        raise SlurmrestError(f"{conf} cannot be read.", "See who owns it: ls -l")
    return content.decode("utf-8", "replace")
