"""A virtual machine of an image: started, asked over SSH, rebooted, and cut off from its power.

Its kernel is Debian's ``user-mode-linux``: Linux as a program, which takes no rights and no support of the processor.
It has one processor, and no nftables for IPv4, so that container engines filter by iptables in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.vm import image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOOT_SECONDS = 1800.0
"""An idle host boots in half a minute, a very busy one was seen to take twelve."""

ADDRESS = "10.0.2.100"
"""Of the machine in its own network, behind slirp4netns; ``prepare.sh`` has it, too."""


class Machine:
    """One virtual machine with a copy of the image's disk, in ``folder``."""

    def __init__(self, kind: image.Image, folder: Path, *, memory: str = "4G") -> None:
        """Prepare a machine that is off."""
        self.made = image.made(kind)
        self.folder, self.memory = folder, memory
        self.port = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        image.run("cp", "--sparse=always", "--reflink=auto", str(self.made / "disk"), str(folder / "disk"))

    def argv(self) -> list[str]:
        """Return the command line of the machine."""
        return [
            *(
                "nice",
                "-n",
                "5",
                str(self.made / "kernel/linux.uml"),
                f"mem={self.memory}",
                f"ubd0={self.folder / 'disk'}",
            ),
            *("root=/dev/ubda", "rw", "apparmor=1", "security=apparmor", "con=null", "con0=null,fd:1", "ssl=null"),
            f"vec0:transport=bess,dst={self.folder / 'network'},depth=128,gro=1",
        ]

    def start(self) -> None:
        """Switch it on and wait for a login; its network leads out as this host's, and in by ports on loopback."""
        for name in ("network", "control"):
            (self.folder / name).unlink(missing_ok=True)
        network = ["slirp4netns", "--mtu=1500", "--api-socket", str(self.folder / "control")]
        self.begin("network.log", [*network, "--target-type=bess", str(self.folder / "network")])
        until((self.folder / "network").exists, 60, "slirp4netns has no socket")
        self.begin("console.log", self.argv())
        until(self.forwarded, BOOT_SECONDS, "the machine has no network")
        until(self.there, BOOT_SECONDS, "no login")

    def begin(self, log: str, argv: list[str]) -> None:
        """Start a process that ends with this machine; the machine's memory is a file."""
        with (self.folder / log).open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={**os.environ, "TMPDIR": "/dev/shm", "HOME": str(self.folder)},
                )
            )

    def forwarded(self) -> bool:
        """Lead a port of loopback to its SSH; whether its network is up for that."""
        self.port = self.forward(22)
        return self.port != 0

    def forward(self, inside: int) -> int:
        """Lead a port of loopback to one of the machine's, and return it; 0 where its network is not up."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        ends: dict[str, Any] = {
            "host_addr": "127.0.0.1",
            "host_port": port,
            "guest_addr": ADDRESS,
            "guest_port": inside,
        }
        words = {"execute": "add_hostfwd", "arguments": {"proto": "tcp", **ends}}
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(self.folder / "control"))
                control.sendall(json.dumps(words).encode())
                control.shutdown(socket.SHUT_WR)
                return port if b"return" in control.recv(4096) else 0
        except OSError:
            return 0

    def there(self) -> bool:
        """Whether it lets in and has finished booting."""
        if (ended := self.processes[-1].poll()) is not None:
            raise RuntimeError(f"the machine ended with {ended}: {self.folder / 'console.log'}")
        ask = "systemctl is-system-running --wait"
        return self.run(ask, user="root", timeout=300).stdout.strip() in {"running", "degraded"}

    def ssh(self, user: str) -> list[str]:
        """Return the start of a command line that runs something inside."""
        options = {
            "IdentityFile": self.made / "id_ed25519",
            "UserKnownHostsFile": self.made / "known_host",
            "HostKeyAlias": "vm",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": 240,
            "LogLevel": "ERROR",
        }
        return [
            *("ssh", "-F", "none", "-p", str(self.port), "-l", user),
            *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
            "127.0.0.1",
        ]

    def run(
        self, script: str, *, user: str = "ci", data: bytes = b"", timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside and return what came of it; the exit status is 255 where it did not end in time."""
        argv = [*self.ssh(user), script]
        try:
            done = subprocess.run(argv, input=data, capture_output=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode(errors="replace")
            return subprocess.CompletedProcess(argv, 255, said, f"no end after {timeout} s")
        out, error = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return subprocess.CompletedProcess(argv, done.returncode, out, error)

    def push(self, folder: str = "slurmrest-toolkit") -> None:
        """Give the user the tree that is under test, as it is here."""
        target = shlex.quote(f"/home/ci/{folder}")
        with tempfile.TemporaryDirectory() as temporary:
            image.clone(Path(temporary, "tree"))
            tar = Path(temporary, "tree.tar")
            subprocess.run(["tar", "-C", f"{temporary}/tree", "-cf", str(tar), "."], check=True)
            self.read(tar, f"mkdir -p {target} && tar -C {target} -x --no-same-owner")

    def read(self, file: Path, script: str) -> None:
        """Have the user run a script with a file of this host as its standard input, which the kernel reads by itself.

        Raises:
            RuntimeError: it fails.
        """
        shown = f"mount -t hostfs -o ro,hostfs={shlex.quote(str(file.parent))} none /mnt"
        done = self.run(shown, user="root")
        if done.returncode == 0:
            done = self.run(f"sudo cat /mnt/{shlex.quote(file.name)} | ({script})")
            self.run("umount /mnt", user="root")
        if done.returncode:
            raise RuntimeError(done.stderr)

    def reboot(self) -> None:
        """Have it shut down in order, and start it again."""
        self.run("systemctl poweroff", user="root", timeout=60)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.processes[-1].wait(BOOT_SECONDS)
        self.cut()
        self.start()

    def cut(self) -> None:
        """Take its power away at once: what it has not written to its disk by now is lost."""
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes = []


def until(true: Callable[[], bool], seconds: float, failure: str) -> None:
    """Ask until it is true.

    Raises:
        TimeoutError: it is not in time.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{failure} after {seconds:g} s")
        time.sleep(1)


@contextlib.contextmanager
def running(kind: image.Image) -> Iterator[Machine]:
    """Have a machine of an image that is on; nothing of it is left afterwards."""
    image.KEPT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir=image.KEPT))
    machine = None
    try:
        machine = Machine(kind, folder)
        machine.start()
        yield machine
    finally:
        if machine is not None:
            machine.cut()
        shutil.rmtree(folder, ignore_errors=True)
