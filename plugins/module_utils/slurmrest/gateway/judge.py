"""A gateway's settings against its host, before anything changes: certificate, ports, nginx, the way to slurmrestd."""

from __future__ import annotations

import itertools
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

from ..errors import InputError, SlurmrestError
from ..host import certificate, programs
from ..host.access import directories_above, may, ownership
from ..host.identity import account_facts, group_name
from ..host.programs import Run
from ..host.sockets import listening_sockets
from ..host.trust import roots_alone
from ..slurmrestd import address, listeners
from .logins import DIRECTORY as LOGINS_DIRECTORY
from .nginx import LOGS, Nginx, look
from .settings import CERTIFICATE, CERTIFICATE_KEY, LISTEN, NAME, PAGES, STATUS, UPSTREAMS, Settings

COUNTERS = "/etc/systemd/system/slurmrest-counters.service"
"""The unit that counts requests."""

MOST_PAGES = 10_000
"""Files and directories of the site's pages, which are looked at one by one."""

Sockets = Callable[[Mapping[str, Iterable[Any]]], list[dict[str, Any]]]


def judge(settings: Settings, run: Run = programs.run, sockets: Sockets = listening_sockets) -> dict[str, Any]:
    """Judge a gateway on this host, and return what its files have to know of the host.

    Raises:
        SlurmrestError: with one text for each thing that cannot work.
    """
    nginx = look(run)
    problems = [str(problem) for problem in _problems(settings, nginx, sockets)]
    if problems:
        raise SlurmrestError(" ".join(problems))
    return {
        "nginx": None if nginx is None else _facts(nginx, settings),
        "logins_left": os.path.exists(LOGINS_DIRECTORY),
        "counters_left": os.path.exists(COUNTERS),
    }


def _facts(nginx: Nginx, settings: Settings) -> dict[str, Any]:
    return {
        "version": ".".join(map(str, nginx.version)),
        "user": nginx.user,
        "group": account_facts(nginx.user)["group"],
        "site": nginx.site,
        "workers": nginx.workers,
        "http2_directive": nginx.has_http2_directive,
        "alone": not any(server.address in settings.listen for server in nginx.servers),
    }


def log_group() -> str:
    """The group that reads nginx' logs."""
    try:
        return group_name(os.stat(LOGS).st_gid)
    except OSError:
        return "root"


def _problems(settings: Settings, nginx: Nginx | None, sockets: Sockets) -> Iterator[InputError]:
    yield from _certificate_problems(settings)
    yield from _port_problems(settings, sockets)
    yield from _page_problems(settings)
    if nginx is not None:
        yield from _neighbour_problems(settings, nginx)
        yield from _limit_problems(nginx)
        yield from _socket_problems(settings, nginx)
        yield from _counter_problems(settings)


def _certificate_problems(settings: Settings) -> Iterator[InputError]:
    try:
        status = os.stat(settings.certificate_key)
        others = stat.S_IMODE(status.st_mode) & 0o077 & ~0o040
        if others:
            reason = f"mode {stat.S_IMODE(status.st_mode):04o} lets others at the key"
            yield InputError(CERTIFICATE_KEY, settings.certificate_key, "a file of mode 0600 or 0640", reason)
    except OSError:
        pass  # reading it, below, says why
    try:
        certificate.judge(
            settings.certificate, settings.certificate_key, settings.name, (CERTIFICATE, CERTIFICATE_KEY, NAME)
        )
    except InputError as error:
        yield error


def _page_problems(settings: Settings) -> Iterator[InputError]:
    """Whoever can change a page can act for everybody who opens it."""
    if not settings.pages:
        return
    reason = "it is none"
    if os.path.isdir(settings.pages):
        places = list(itertools.islice(_served(settings.pages), MOST_PAGES + 1))
        changeable = next((place for place in places if not roots_alone(place)), "")
        reason = f"others can change {changeable}, or what it is in" if changeable else ""
        reason = reason or (f"it has more than {MOST_PAGES} files" if len(places) > MOST_PAGES else "")
    if reason:
        yield InputError(
            PAGES, settings.pages, "a directory that root alone can change, with all that is in it", reason
        )


def _served(directory: str) -> Iterator[str]:
    """A directory and all that nginx serves from it, by links, too; each directory once."""
    known: set[str] = set()
    yield directory
    for path, directories, names in os.walk(directory, followlinks=True):
        yield from (posixpath.join(path, name) for name in (*directories, *names))
        known.add(os.path.realpath(path))
        directories[:] = [name for name in directories if os.path.realpath(posixpath.join(path, name)) not in known]


def _counter_problems(settings: Settings) -> Iterator[InputError]:
    """Who counts is in the group that reads nginx' logs, and root's group reads more than that."""
    if settings.status and log_group() == "root":
        yield InputError(
            STATUS,
            settings.status,
            "nothing, as long as that is so",
            f"{LOGS} is of the group root, which the counters would have to be in",
            f"Give {LOGS} a group of its own, and its files by the create line of logrotate.d/nginx.",
        )


def _port_problems(settings: Settings, sockets: Sockets) -> Iterator[InputError]:
    wanted = [(LISTEN, listeners.parse(text, LISTEN)) for text in settings.listen]
    wanted += [(STATUS, listeners.parse(settings.status, STATUS))] if settings.status else []
    own = {LISTEN: ("nginx",), STATUS: ("python",)}
    for entry in sockets({"tcp": [one.port for _variable, one in wanted]}):
        theirs = address.Listener("http", entry["host"], entry["port"])
        for variable, one in wanted:
            if (entry["program"] or "").startswith(own[variable]) or entry["program"] is None:
                continue
            if listeners.conflicts([one, theirs]):
                reason = f"{entry['program']} (process {entry['pid']}) listens on {theirs} already"
                yield InputError(variable, str(one), "an address and port that nobody else has", reason)


def _neighbour_problems(settings: Settings, nginx: Nginx) -> Iterator[InputError]:
    """Servers of the site on the same address: they keep their names, and what was asked for by no name of theirs."""
    for listener in settings.listen:
        beside = [server for server in nginx.servers if server.address == listener]
        for server in beside:
            if settings.name in server.names:
                yield InputError(NAME, settings.name, "a name of its own", f"{server.file} serves it on {listener}")
        if beside and not any(server.default for server in beside):
            yield InputError(
                LISTEN,
                listener,
                "another listener, or one whose default server the site has named",
                f"{beside[0].file} has a server there, and requests for other names could become the gateway's",
                "Add default_server to the listen line of the server that shall have them.",
            )


def _limit_problems(nginx: Nginx) -> Iterator[InputError]:
    if 0 < nginx.descriptors < nginx.connections:
        reason = f"a worker may open {nginx.descriptors} files only, and fails where it would need more"
        remedy = "Set worker_rlimit_nofile in nginx.conf, or LimitNOFILE= for nginx.service."
        yield InputError("worker_connections", nginx.connections, f"at most {nginx.descriptors}", reason, remedy)


def _socket_problems(settings: Settings, nginx: Nginx) -> Iterator[InputError]:
    account = account_facts(nginx.user)
    for host in settings.all_hosts:
        if not host.startswith("unix:"):
            continue
        path = host[len("unix:") :]
        reason = _closed(path, account)
        if reason:
            group = "slurmrestd_service_socket_group"
            yield InputError(
                UPSTREAMS,
                host,
                f"a socket that {nginx.user} can use, or 127.0.0.1:{address.DEFAULT_PORT}",
                reason,
                f"On its host set {group}: {account['group']} and deploy slurmrestd again.",
            )


def _closed(path: str, account: Mapping[str, Any]) -> str:
    """Why an account cannot connect to a socket; empty where it can."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return "it is no socket"
        if all(may(above, account, 1) for above in directories_above(path)) and may(ownership(path), account, 2):
            return ""
    except OSError as error:
        return error.strerror or str(error)
    return f"{account['name']}, the account of nginx, may not enter {posixpath.dirname(path)}"
