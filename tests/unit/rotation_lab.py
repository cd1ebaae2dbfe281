"""A cluster for rotations: real keys and journals in folders, daemons that are played, a run that can be killed."""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slurmrest.auth import bearer, jwt
from slurmrest.errors import SlurmrestError
from slurmrest.host import programs
from slurmrest.rotation import members
from slurmrest.rotation.host import KeyOnHost
from slurmrest.rotation.order import Conductor, RotationOptions
from slurmrest.slurm.commands import Slurm
from slurmrest.transaction.specs import ServiceSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

ME = pwd.getpwuid(os.getuid()).pw_name
OLD = b"the old key, thirty-two bytes...."
NEW = b"the new key, thirty-two bytes...."
GOOD = RotationOptions(confirmed=True, consent=True)


class Killed(BaseException):
    """The process is gone: nothing of it goes on."""


@dataclass
class Host:
    """One host: its folder, its daemons with the key that each has in memory, and what goes wrong there."""

    directory: Path
    components: tuple[str, ...]
    rereads: bool = False
    foreground: bool = False
    refuses: set[bytes] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    loaded: dict[str, bytes | None] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    kill_at: int | None = None
    known_clusters: tuple[str, ...] = ("lab|ctl",)
    cluster: str = "lab"

    def __post_init__(self) -> None:
        self.directory.mkdir()
        self.path = self.directory / "jwt.key"
        self.path.write_bytes(OLD)
        self.path.chmod(0o600)
        self.loaded = dict.fromkeys(self.components, OLD)

    @property
    def next(self) -> Path:
        """The key that waits."""
        return self.path.with_name("jwt.key.slurmrest-next")

    @property
    def copy(self) -> Path:
        """The rollback copy."""
        return self.path.with_name("jwt.key.slurmrest-rollback")

    @property
    def journal(self) -> Path:
        """The journal of a rotation."""
        return self.directory / "state" / "rotation-jwt.key.json"

    def key(self) -> KeyOnHost:
        """The engine on this host."""
        services = [ServiceSpec(name, timeout=0.2) for name in self.components]
        return KeyOnHost(
            str(self.path),
            ME,
            services,
            state_dir=str(self.directory / "state"),
            run=self.run,
            ports={name: [1] for name in self.components},
            listening=lambda _ports: True,
        )

    def run(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        """Play systemctl, scontrol and the rest."""
        argv = programs.bare(argv)
        if argv[0] != "systemctl" or argv[1] not in ("show", "reset-failed"):
            self.calls.append(" ".join(argv))
            if self.kill_at is not None and len(self.calls) > self.kill_at:
                raise Killed
        output, code = "", 0
        if argv[0] == "journalctl":
            output = "fatal: I do not like this key"
        elif list(argv[:2]) == ["systemctl", "show"]:
            active = "active" if self.loaded.get(argv[-1]) is not None else "failed"
            output = f"ActiveState={active}\nResult=exit-code\nNRestarts=0\nMainPID=0\nConditionResult=yes\n"
        elif list(argv[:2]) == ["systemctl", "restart"]:
            self.load(argv[2])
        elif list(argv) == ["scontrol", "reconfigure"]:
            code = self.reconfigure()
        elif list(argv) == ["scontrol", "ping"]:
            state = "UP" if self.loaded.get("slurmctld") else "DOWN"
            output = f"Slurmctld(primary) at ctl is {state}\n"
        elif argv[0] == "sacctmgr":
            output = "\n".join(self.known_clusters) + "\n"
        return subprocess.CompletedProcess(list(argv), code, output, "")

    def load(self, name: str) -> None:
        """Start a daemon: it dies of a key that it does not like."""
        content = self.path.read_bytes()
        self.loaded[name] = None if content in self.refuses or name in self.broken else content

    def reconfigure(self) -> int:
        """As slurmctld does: a daemon in the foreground dies of a bad key, and scontrol says nothing."""
        if self.path.read_bytes() in self.refuses:
            if self.foreground:
                self.loaded["slurmctld"] = None
                return 0
            return 1
        if self.rereads:
            self.load("slurmctld")
        return 0


@dataclass
class Lab:
    """The hosts, the controller process that leads them, and a REST service that believes the daemons."""

    hosts: dict[str, Host]
    primary: str
    said: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    ticks: int = 0
    kill_before: int | None = None
    kill_after: int | None = None
    unreachable: set[str] = field(default_factory=set)
    slept: list[float] = field(default_factory=list)
    while_asleep: Callable[[], None] = lambda: None
    stopped: int = 0
    away: list[tuple[str, bytes | None]] = field(default_factory=list)
    timers: set[str] = field(default_factory=set)

    def tick(self, action: Callable[[], Any]) -> Any:
        """Do something that a killed controller would not have done, or have done as its last act."""
        self.ticks += 1
        if self.kill_before == self.ticks:
            raise Killed
        result = action()
        if self.kill_after == self.ticks:
            raise Killed
        return result

    def look(self, host: str) -> dict[str, Any]:
        """What the module returns for a host."""
        one = self.hosts[host]
        whole = host == self.primary
        return {
            **one.key().look("nonce"),
            "path": str(one.path),
            "components": list(one.components),
            "reconfigure": one.rereads,
            "configured": {name: str(one.path) for name in one.components},
            "newer": {},
            "restart": [],
            "ours": True,
            "cluster": one.cluster,
            "named": {},
            "ports": {},
            "controllers": members.controllers(Slurm(run=one.run)) if whole else {},
            "clusters": members.clusters(Slurm(run=one.run)) if whole else {},
        }

    def call(self, host: str, step: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a step on a host, as the action plugin does."""
        return dict(self.tick(lambda: self._call(host, step, arguments)) or {})

    def _call(self, host: str, step: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if host in self.unreachable:
            raise SlurmrestError(f"{host} cannot be reached")
        key = self.hosts[host].key()
        if step == "look":
            return self.look(host)
        if step == "switch":
            key.switch(arguments["rotation"], arguments["daemons"], reconfigure=arguments["reconfigure"])
        elif step == "undo":
            key.undo(reconfigure=arguments["reconfigure"])
        elif step in ("begin", "decide"):
            getattr(key, step)(arguments["rotation"])
        else:
            key.keep(arguments["without"])
        return None

    def watch(self, step: str) -> Mapping[str, Any]:
        """Play the REST host."""
        return dict(self.tick(lambda: self._watch(step)) or {})

    def _watch(self, step: str) -> Mapping[str, Any] | None:
        if step == "sign":
            self.tokens = self.hosts[self.primary].key().sign("root", 60)
        elif step == "stop":
            self.stopped += 1
            return {"gap": {"slurm": 0.1}, "changeover": 0.2, "requests": 9, "refused": 1}
        else:
            good, bad = ("new", "old") if step == "prove-new" else ("old", "new")
            if not self.accepts(self.tokens[good]) or (bad in self.tokens and self.accepts(self.tokens[bad])):
                raise SlurmrestError(f"{step}: not so")
            return {"/slurm": "accepted", "/slurmdb": "accepted"}
        return None

    def accepts(self, token: str) -> bool:
        """Whether every daemon that serves requests accepts a token."""
        keys = [self.hosts[self.primary].loaded["slurmctld"]]
        keys += [host.loaded["slurmdbd"] for host in self.hosts.values() if "slurmdbd" in host.components]
        for key in keys:
            if key is None:
                return False
            try:
                jwt.verify(bearer.Token(token), jwt.Key(key))
            except bearer.TokenError:
                return False
        return True

    def sleep(self, seconds: float) -> None:
        """Let time pass for the journals."""
        self.slept.append(seconds)
        for host in self.hosts.values():
            if host.journal.exists():
                then = host.journal.stat().st_mtime - seconds
                os.utime(host.journal, (then, then))
        self.while_asleep()

    @contextmanager
    def alone(self, hosts: Sequence[str]) -> Iterator[None]:
        """Stop slurmctld where it runs, as the action plugin does; ``away`` notes the key that it had."""
        hosts = [host for host in hosts if self.hosts[host].loaded["slurmctld"]]
        try:
            for host in hosts:
                self.away.append((host, self.hosts[host].loaded["slurmctld"]))
                self.tick(lambda host=host: self.hosts[host].loaded.update(slurmctld=None))  # type: ignore[misc]
            yield
        except Killed:
            self.timers.update(hosts)
            raise
        except SlurmrestError:
            self.back(hosts)
            raise
        self.back(hosts)

    def back(self, hosts: Sequence[str]) -> None:
        """Start it again."""
        for host in hosts:
            self.hosts[host].load("slurmctld")

    def conductor(self) -> Conductor:
        """The controller's part of one task."""
        looks = {name: self.tick(lambda name=name: self.look(name)) for name in self.hosts}  # type: ignore[misc]
        return Conductor(looks, self.primary, self.call, self.watch, self.said.append, self.sleep, alone=self.alone)

    def prepare(self, options: RotationOptions = GOOD, *, check: bool = False) -> dict[str, Any]:
        """The first task that leads."""
        return self.conductor().prepare(options, check=check)

    def stage(self, content: bytes = NEW) -> None:
        """What the module shared_key does."""
        for host in self.hosts.values():

            def place(host: Host = host) -> None:
                host.next.write_bytes(content)
                host.next.chmod(0o600)

            self.tick(place)

    def run(self, content: bytes = NEW, options: RotationOptions = GOOD) -> dict[str, Any]:
        """The whole playbook."""
        prepared = self.prepare(options)
        if prepared["repaired"] in ("finished", "ended"):
            return prepared
        self.stage(content)
        return {**prepared, **self.conductor().rotate()}

    def revive(self) -> None:
        """The next run begins: nothing kills it."""
        self.kill_before = self.kill_after = None
        for host in self.hosts.values():
            host.kill_at = None
        self.back(list(self.timers))  # by the timer of a killed run
        self.timers.clear()

    def assert_one_key(self, content: bytes) -> None:
        """One key in every file and every daemon, and no trace of a rotation."""
        for name, host in self.hosts.items():
            assert host.path.read_bytes() == content, name
            assert set(host.loaded.values()) == {content}, name
            assert not host.next.exists(), name
            assert not host.copy.exists(), name
            assert not host.journal.exists(), name
            assert host.path.stat().st_mode & 0o7777 == 0o600, name
