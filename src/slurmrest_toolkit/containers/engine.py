"""A thin layer over the command line of Podman or Docker: argument lists in, text or JSON out.

What was run on which host is in ``docs/testcluster.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SSH_PORT = 22
REST_PORT = 6820
TLS_PORT = 443
PROVIDER_PORT = 8443
"""Of the test provider beside a gateway."""

UNCONFINED = "--security-opt=apparmor=unconfined"
"""AppArmor's profile for containers (of Podman as root, of Docker) lets nobody make a namespace for users, which the
sandboxes of units do: where they ask for one, their daemons do not start."""

BOOT_FLAGS = {
    "podman": ("--systemd=always", UNCONFINED),
    # What Podman's systemd mode does by itself: own cgroups, writable run-time directories, a word for systemd.
    "docker": (
        UNCONFINED,
        "--cgroupns=private",
        "--tmpfs=/run:exec",
        "--tmpfs=/run/lock",
        "--tmpfs=/tmp:exec",
        "--env=container=docker",
    ),
}

INIT = "/sbin/init"

WRITABLE = ("--security-opt=writable-cgroups=true",)
"""Of Docker 28 and later. Otherwise its containers cannot write to their cgroups, which systemd has to."""

REMOUNT_FLAGS = ("--cap-add=SYS_ADMIN",)
REMOUNT = "mount -o remount,rw /sys/fs/cgroup && exec "
REMOUNTED = f"setpriv --bounding-set=-sys_admin {INIT}"
"""With an older Docker the first process has them mounted anew, for which it takes a capability; that profile of
AppArmor would forbid it, too. systemd and all that it starts do not have that capability."""


PORT_ATTEMPTS = 3
PORT_TAKEN = ("address already in use", "port is already allocated")
"""How the engines say that somebody took a port after they had found it free, before they listened on it."""


CALL_SECONDS = 1800.0
"""After which a call of the engine is given up: ten times what keeping an image takes on a slow virtual machine."""

GIVEN_UP = 124
"""Exit code of a call that was given up, as timeout(1) has it."""


class EngineError(ClusterFailedError):
    """A command of the container engine failed; the message has its words."""


@dataclass(frozen=True)
class Container:
    """One container as the engine lists it; ``running`` is whether its first process is really there."""

    name: str
    running: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Engine:
    """One way of calling Podman or Docker.

    ``prefix`` goes before the program (a namespace to enter), ``environment`` is added to ours. ``remounts`` is whether
    it is a Docker that has no option for writable cgroups.
    """

    name: str
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    remounts: bool = False

    def argv(self, *arguments: str) -> list[str]:
        """Return the whole command line, for callers that run it themselves."""
        return [*self.prefix, self.name, *arguments]

    def environ(self) -> dict[str, str]:
        """Return the environment in which the command line works."""
        return {**os.environ, **self.environment}

    def run(
        self, *arguments: str, text: str | None = None, limit: float = CALL_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run one engine command with ``text`` as its standard input, and return whatever came of it.

        One that does not end within ``limit`` seconds has the exit code :data:`GIVEN_UP`.
        """
        try:
            return subprocess.run(
                self.argv(*arguments),
                env=self.environ(),
                input=text if text is not None else "",
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=limit,
            )
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(error.cmd, GIVEN_UP, "", f"it did not end within {limit:.0f} s")

    def call(self, *arguments: str, text: str | None = None, limit: float = CALL_SECONDS) -> str:
        """Run one engine command and return its standard output.

        Raises:
            EngineError: it failed.
        """
        done = self.run(*arguments, text=text, limit=limit)
        if done.returncode:
            words = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            raise EngineError(f"{self.name} {' '.join(arguments[:2])} failed: {words}")
        return done.stdout

    def try_call(self, *arguments: str) -> str | None:
        """Run one engine command; its standard output, or None where it failed."""
        done = self.run(*arguments)
        return None if done.returncode else done.stdout

    def boot(
        self,
        image: str,
        *,
        name: str,
        hostname: str,
        network: str,
        ports: Sequence[int],
        labels: Mapping[str, str],
        capabilities: Sequence[str] = (),
        volumes: Mapping[str, str] | None = None,
    ) -> None:
        """Start a container with systemd as its first process, its ports on loopback only.

        It is unprivileged, but for the capabilities that are named. ``volumes`` maps volumes to paths inside. The
        engine chooses the ports, and again where one was taken meanwhile.
        """
        arguments = (
            "run",
            "--detach",
            f"--name={name}",
            f"--hostname={hostname}",
            f"--network={network}",
            f"--network-alias={hostname}",
            *(f"--publish=127.0.0.1::{port}" for port in ports),
            *(f"--label={key}={value}" for key, value in labels.items()),
            *(f"--volume={volume}:{path}" for volume, path in (volumes or {}).items()),
            *(f"--cap-add={capability}" for capability in capabilities),
            *self.boot_flags(),
            image,
            *self.first_process(capabilities),
        )
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                self.call(*arguments)
            except EngineError as error:
                if not any(words in str(error) for words in PORT_TAKEN):
                    raise
                self.remove_containers([name])
            else:
                return
        self.call(*arguments)

    def boot_flags(self) -> tuple[str, ...]:
        """Return the options with which systemd can be a container's first process."""
        if self.name == "docker":
            return (*BOOT_FLAGS["docker"], *(REMOUNT_FLAGS if self.remounts else WRITABLE))
        return BOOT_FLAGS[self.name]

    def first_process(self, capabilities: Sequence[str]) -> tuple[str, ...]:
        """Return the command that becomes systemd; it has no capability that was not asked for."""
        if not self.remounts:
            return (INIT,)
        return ("sh", "-c", REMOUNT + (INIT if "SYS_ADMIN" in capabilities else REMOUNTED))

    def execute(self, container: str, *command: str, text: str | None = None, limit: float = CALL_SECONDS) -> str:
        """Run a command as root in a container and return its standard output.

        Raises:
            EngineError: it failed.
        """
        return self.call("exec", "--interactive", container, *command, text=text, limit=limit)

    def ports(self, container: str) -> dict[int, int]:
        """Map each published TCP port of a running container to its port on loopback."""
        ports = {}
        for line in self.call("port", container).splitlines():
            inside, _, outside = line.partition(" -> ")
            number, _, protocol = inside.partition("/")
            if protocol == "tcp" and outside.startswith("127."):
                ports[int(number)] = int(outside.rpartition(":")[2])
        return ports

    def containers(self, label: str) -> list[Container]:
        """List all containers, running or not, that carry a label (``key`` or ``key=value``)."""
        # Docker's word for it came with version 23; the template was there before.
        form = "{{json .}}" if self.name == "docker" else "json"
        text = self.call("ps", "--all", "--no-trunc", f"--filter=label={label}", f"--format={form}")
        found = []
        for entry in json_documents(text):
            names, labels = entry["Names"], entry["Labels"] or {}
            found.append(
                Container(
                    name=names[0] if isinstance(names, list) else names,
                    # After a reboot or a killed monitor, Podman can go on calling a container running.
                    running=entry["State"] == "running" and ("Pid" not in entry or is_container_init(entry["Pid"])),
                    # Docker writes labels as one string; ours never contain commas.
                    labels=dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
                    if isinstance(labels, str)
                    else labels,
                )
            )
        return found

    def remove_containers(self, names: Sequence[str]) -> None:
        """Remove containers with their anonymous volumes, in whatever state they are."""
        stop = ("--time=0",) if self.name == "podman" else ()
        # The first attempt at a container whose processes are gone only teaches Podman that they are.
        if names and self.try_call("rm", "--force", "--volumes", *stop, *names) is None:
            left = set(names) & set(self.call("ps", "--all", "--format={{.Names}}").split())
            if left:
                self.call("rm", "--force", "--volumes", *stop, *left)

    def networks(self, label: str) -> list[str]:
        """Names of the networks that carry a label."""
        return self.call("network", "ls", f"--filter=label={label}", "--format={{.Name}}").split()

    def labelled(self, kind: str, name: str, key: str) -> str:
        """Value of a label of a ``network`` or ``volume``; empty where it has none, or is gone."""
        return (self.try_call(kind, "inspect", f'--format={{{{index .Labels "{key}"}}}}', name) or "").strip()

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a bridge network on which containers find each other by host name."""
        self.call("network", "create", *(f"--label={key}={value}" for key, value in labels.items()), name)

    def volumes(self, label: str) -> list[str]:
        """Names of the volumes that carry a label."""
        return self.call("volume", "ls", f"--filter=label={label}", "--format={{.Name}}").split()

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Create an empty volume."""
        self.call("volume", "create", *(f"--label={key}={value}" for key, value in labels.items()), name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container has any longer."""
        self.call("volume", "rm", name)

    def image_labels(self, image: str) -> dict[str, str] | None:
        """Labels of an image, or None where there is no such image."""
        found = self.labels_of([image])
        return found[0] if found else None

    def labels_of(self, images: Sequence[str]) -> list[dict[str, str]] | None:
        """Labels of several images in their order, or None where one of them is missing."""
        text = self.try_call("image", "inspect", "--format={{json .Config.Labels}}", *images)
        return None if text is None else [json.loads(line) or {} for line in text.splitlines()]

    def tags(self, repository: str) -> list[str]:
        """Tags of the images of one repository, newest first."""
        return self.call("images", "--format={{.Tag}}", f"--filter=reference={repository}").split()

    def import_image(self, archive: Path, image: str, labels: Mapping[str, str]) -> None:
        """Make an image that boots systemd out of a root file system archive."""
        self.call("import", *image_changes(labels), str(archive), image)

    def commit(self, container: str, image: str, labels: Mapping[str, str]) -> None:
        """Make an image that boots systemd out of a container."""
        self.call("commit", *image_changes(labels), container, image)

    def remove_image(self, image: str) -> bool:
        """Remove an image unless a container uses it; whether it went."""
        return self.try_call("rmi", image) is not None


def image_changes(labels: Mapping[str, str]) -> list[str]:
    """Options of ``import`` and ``commit``: our labels, and what makes the image boot and stop systemd."""
    changes = [f"LABEL {key}={value}" for key, value in labels.items()]
    return [f"--change={change}" for change in (*changes, 'CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3")]


def is_container_init(pid: int) -> bool:
    """Is this process alive, and the first one of some PID namespace below ours (proc(5), State and NSpid)?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = {key: words.split() for key, _, words in (line.partition(":") for line in status.splitlines())}
    numbers = fields.get("NSpid", [])
    return fields["State"][0] not in {"Z", "X"} and len(numbers) > 1 and numbers[-1] == "1"


def json_documents(text: str) -> list[dict[str, Any]]:
    """Read a listing: Podman writes one JSON array, Docker one object a line."""
    if text.lstrip().startswith("["):
        return json.loads(text)  # type: ignore[no-any-return]
    return [json.loads(line) for line in text.splitlines() if line.strip()]
