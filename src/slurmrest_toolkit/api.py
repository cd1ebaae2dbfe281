"""Clusters for programs: :func:`start` gives a handle. The command line and test suites use the same parts below it.

Importing this costs nothing: what starts clusters is imported by what is called, and needs the extra ``cluster``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from slurmrest_toolkit.client import Client
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress


@dataclass(frozen=True)
class User:
    """A user of a cluster: ``header_file`` has name and token as HTTP headers, for ``curl -H @FILE``."""

    name: str
    token_file: Path
    header_file: Path
    _cluster: RunningCluster

    def token(self) -> str:
        """Return a token that is good for a minute at least; a new one is made where the last is about to end.

        Raises:
            SlurmrestError: none could be made.
        """
        from slurmrest_toolkit.clusters import tokens

        if not tokens.usable(self._cluster.record, self.name):
            tokens.renew(self._cluster.engine(), self._cluster.record, self.name)
        return self.token_file.read_text(encoding="ascii").strip()

    def headers(self) -> dict[str, str]:
        """Return the two headers of a request."""
        from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER

        return {USER_HEADER: self.name, TOKEN_HEADER: self.token()}

    def client(self) -> Client:
        """Return what sends requests as this user."""
        from slurmrest_toolkit.client import Client

        cluster = self._cluster
        return Client(cluster.url, self.name, self.token, cluster.api_versions)


class RunningCluster:
    """A cluster that stands. As a context manager it is removed at the end."""

    def __init__(self, record: Cluster, progress: Progress) -> None:
        self.record = record
        self._progress = progress

    def __repr__(self) -> str:
        return f"<cluster {self.name}: Slurm {self.version} at {self.url}>"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the cluster."""
        self.stop()

    @property
    def name(self) -> str:
        """What it is called: the argument of ``slurmrest cluster …``."""
        return self.record.name

    @property
    def version(self) -> str:
        """The version of Slurm, with its third number."""
        return self.record.slurm_version

    @property
    def release(self) -> str:
        """The series of Slurm: the first two numbers of its version."""
        return ".".join(self.version.split(".")[:2])

    @property
    def url(self) -> str:
        """Where the REST API answers on this host: ``http://127.0.0.1:PORT``."""
        return self.record.base_url

    @property
    def urls(self) -> tuple[str, ...]:
        """The same for each REST host of the cluster."""
        return tuple(self.record.base_urls)

    @property
    def gateway(self) -> tuple[str, Path] | None:
        """Where the gateway answers on this host, and the authority of its certificate; None where there is none."""
        from slurmrest_toolkit.clusters.gateway import ca_file

        url = self.record.gateway_url
        return None if url is None else (url, ca_file(self.record))

    @property
    def api_versions(self) -> tuple[str, ...]:
        """Versions of ``/slurm`` that it serves, oldest first."""
        return tuple(self.record.api_versions)

    @property
    def directory(self) -> Path:
        """Its files: ``inventory/hosts.yml`` for Ansible, ``ssh_config``, logs."""
        return self.record.directory

    @property
    def users(self) -> Mapping[str, User]:
        """Its users by name: ``root``, who administrates Slurm, and ordinary ones."""
        from slurmrest_toolkit.clusters import tokens, users

        record = self.record
        return {
            name: User(name, tokens.token_file(record, name), tokens.header_file(record, name), self)
            for name in users.known(record)
        }

    def add_users(self, *names: str) -> tuple[User, ...]:
        """Make ordinary users: accounts on every node, with an account of the accounting database and a token.

        Raises:
            InputError: a name is none, or is taken.
            SlurmrestError: a node or the database refuses.
        """
        from slurmrest_toolkit.clusters import users

        users.add(self.engine(), self.record, names)
        there = self.users
        return tuple(there[name] for name in names)

    def remove_users(self, *names: str) -> None:
        """Remove users that :meth:`add_users` made, with their jobs and homes.

        Raises:
            InputError: a name is none of theirs.
            SlurmrestError: a node refuses.
        """
        from slurmrest_toolkit.clusters import users

        users.remove(self.engine(), self.record, names)

    def describe(self) -> dict[str, Any]:
        """Return what ``slurmrest cluster status --json`` prints; it holds no secret."""
        from slurmrest_toolkit.clusters.describe import describe

        return describe(self.record)

    def engine(self) -> Engine:
        """Return the container engine that runs it."""
        from slurmrest_toolkit.clusters.liveness import engine_of

        return engine_of(self.record, self._progress)

    def logs(self, node: str | None = None, units: Sequence[str] = (), *, since: float | None = None) -> str:
        """Return what Slurm's daemons logged.

        Args:
            node: the name of a node; all of them without it, one after the other.
            units: systemd's names of units; Slurm's own without them.
            since: seconds of the epoch; what was logged before is left out.

        Raises:
            InputError: there is no such node.
            SlurmrestError: the container engine is gone.
        """
        from slurmrest_toolkit.clusters.journals import UNITS, journal

        engine, nodes = self.engine(), [self.record.node(node)] if node else self.record.nodes
        return "".join(journal(engine, one, units or UNITS, since=since) for one in nodes)

    def stop(self) -> None:
        """Remove the cluster; nothing of it stays. Once it is gone, this does nothing.

        Raises:
            CannotRunError: another process is working on it.
            SlurmrestError: the container engine refuses.
        """
        from slurmrest_toolkit.clusters.remove import down

        if self.directory.exists():
            down([self.name], self._progress)


def start(
    name: str | None = None,
    *,
    slurm: str | None = None,
    layout: str = "single",
    nodes: int = 1,
    rest_hosts: int | None = None,
    gateway: bool = False,
    identity: str = "token",
    image: str | None = None,
    engine: str | None = None,
    cache: bool = True,
    allow_stale_mirror: bool = False,
    keep_on_failure: bool = False,
    capabilities: Sequence[str] = (),
    verify: str = "full",
    users: Sequence[str] = (),
    conf: Mapping[str, str] | None = None,
    reuse: bool = False,
    wait: bool = False,
    patience: float = 600.0,
    quiet: bool = True,
) -> RunningCluster:
    """Start a cluster, prove that it works, and return it: what ``slurmrest cluster up`` does.

    Args:
        name: what to call it; a name of its own without it.
        slurm: the series; without it the default, or what ``image`` offers.
        layout: ``single`` (everything on one node), ``split``, or ``ha`` (two controllers).
        nodes: compute nodes of the split layout.
        rest_hosts: hosts of slurmrestd in the layouts ``split`` and ``ha``; 1 and 2 without it.
        gateway: have a gateway with TLS in front of them, on the first; :attr:`RunningCluster.gateway` says where.
        identity: how the gateway's users show who they are: ``token``, or by a login, ``pam`` or ``oidc``.
        image: an ordinary image to start from, such as ``debian:12``.
        engine: ``podman`` or ``docker``; what works here without it.
        cache: start from images of converged nodes, and keep them.
        allow_stale_mirror: accept a package index past its Valid-Until date.
        keep_on_failure: leave what was started for a look at it.
        capabilities: what the containers get besides, such as ``SYS_ADMIN``.
        verify: ``full``, ``quick`` (without a job) or ``none`` (as soon as it answers).
        users: more ordinary users.
        conf: keys of slurm.conf and their values.
        reuse: take the cluster of that name where it stands already and is the same.
        wait: wait for another process that is at work on it.
        patience: seconds after which a node or daemon that makes progress is given up.
        quiet: say nothing on standard error.

    Raises:
        InputError: an argument is refused.
        CannotRunError: this host does not allow it, or the name is taken; nothing was started.
        SlurmrestError: it failed, and what was started is removed.
        ModuleNotFoundError: the libraries of the extra ``cluster`` are missing.
    """
    from slurmrest_toolkit.clusters.lifecycle import Request, up
    from slurmrest_toolkit.support.progress import Progress

    progress = Progress(quiet=quiet)
    request = Request(
        name=name or f"py-{secrets.token_hex(6)}",
        series=slurm,
        layout=layout,
        compute_nodes=nodes,
        rest_hosts=rest_hosts,
        gateway=gateway,
        identity=identity,
        engine=engine,
        image=image,
        allow_stale=allow_stale_mirror,
        keep_on_failure=keep_on_failure,
        cache=cache,
        capabilities=tuple(capabilities),
        verify=verify,
        users=tuple(users),
        conf=dict(conf or {}),
        reuse=reuse,
        wait=wait,
        patience=patience,
    )
    return RunningCluster(up(request, progress), progress)


def attach(name: str | None = None) -> RunningCluster:
    """Return a cluster that stands.

    Args:
        name: what it is called; the only one there is without it.

    Raises:
        CannotRunError: there is none, it has no REST API, or one of its nodes does not run.
        SlurmrestError: the container engine is gone.
    """
    from slurmrest_toolkit.clusters.liveness import require
    from slurmrest_toolkit.clusters.state import choose
    from slurmrest_toolkit.support.errors import CannotRunError
    from slurmrest_toolkit.support.progress import Progress

    progress = Progress(quiet=True)
    record = choose(name)
    if record.bare or not record.ready:
        raise CannotRunError(f"The cluster {record.name} has no REST API (it is bare, or was not finished).")
    require(record, progress)
    return RunningCluster(record, progress)
