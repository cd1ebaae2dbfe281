"""A container engine that is played: what it is told, it remembers; its nodes answer as nodes do."""

from __future__ import annotations

import base64
import json
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

from slurmrest.auth import jwt

from slurmrest_toolkit.containers.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST_KEY = "ssh-ed25519 AAAAC3Nz root@node\n"
KEY = b"k" * 32
AUTHORITY = "an authority\n"
SIZES = "/etc/munge/munge.key:1024\n/var/lib/slurm/jwt/jwt_hs256.key:32\n"
VERSION = "24.11.5"
ACCOUNTS = ("munge", "slurm")


class PlayedEngine(Engine):
    """Podman without containers: its command lines, what they read, images with their labels, containers started."""

    calls: list[tuple[str, ...]]
    inputs: list[str]
    images: dict[str, dict[str, str]]
    started: dict[str, str]
    networks_there: list[str]
    volumes_there: list[str]
    pings: list[str]
    failing: set[str]

    def __init__(self, name: str = "podman") -> None:
        super().__init__(name)
        kept: dict[str, object] = {"calls": [], "inputs": [], "images": {}, "started": {}, "networks_there": []}
        for key, value in {**kept, "volumes_there": [], "pings": [], "failing": set()}.items():
            object.__setattr__(self, key, value)

    def run(self, *arguments: str, text: str | None = None, **_limit: float) -> CompletedProcess[str]:
        """Answer a command line; those whose words hold one of ``failing`` fail."""
        self.calls.append(arguments)
        self.inputs.append(text or "")
        line = " ".join(arguments)
        if any(word in line for word in self.failing):
            return CompletedProcess(arguments, 125, "", "it was told to fail\n")
        answer = getattr(self, f"_{arguments[0]}")(arguments[1:], text or "")
        return CompletedProcess(
            arguments, 125 if answer is None else 0, answer or "", "" if answer else "no such thing\n"
        )

    def told(self, *words: str) -> list[tuple[str, ...]]:
        """Return the command lines that hold all of some words."""
        return [call for call in self.calls if set(words) <= set(call)]

    def _image(self, words: Sequence[str], _text: str) -> str | None:
        names = words[2:]
        if not set(names) <= self.images.keys():
            return None
        if "{{.Id}}" in words[1]:
            return "sha256:0123\n"
        return "".join(f"{json.dumps(self.images[name])}\n" for name in names)

    def _images(self, words: Sequence[str], _text: str) -> str:
        repository = words[1].rpartition("=")[2]
        tags = [name.rpartition(":")[2] for name in self.images if name.startswith(f"{repository}:")]
        return "\n".join(reversed(tags)) + "\n"

    def _commit(self, words: Sequence[str], _text: str) -> str:
        labels = [word.removeprefix("--change=LABEL ") for word in words if word.startswith("--change=LABEL ")]
        self.images[words[-1]] = dict(label.split("=", 1) for label in labels)
        return "sha256:4567\n"

    def _rmi(self, words: Sequence[str], _text: str) -> str | None:
        return None if self.images.pop(words[0], None) is None else "gone\n"

    def _pull(self, words: Sequence[str], _text: str) -> str:
        self.images[words[0]] = {}
        return "pulled\n"

    def _run(self, words: Sequence[str], _text: str) -> str:
        options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word)
        name = options.get("name", "build")
        self.started[name] = words[-2]
        return f"{name}\n"

    def _port(self, words: Sequence[str], _text: str) -> str:
        number = 41000 + 2 * list(self.started).index(words[0])
        ports = {22: number, 6820: number + 1, 443: number + 1000}
        return (
            "".join(f"{inside}/tcp -> 127.0.0.1:{here}\n" for inside, here in ports.items())
            + "6819/udp -> 127.0.0.1:9\n"
        )

    def _rm(self, words: Sequence[str], _text: str) -> str:
        for word in words:
            self.started.pop(word, None)
        return "gone\n"

    def _stop(self, _words: Sequence[str], _text: str) -> str:
        return "stopped\n"

    def _ps(self, _words: Sequence[str], _text: str) -> str:
        return "[]"

    def _network(self, words: Sequence[str], _text: str) -> str:
        if words[0] == "create":
            self.networks_there.append(words[-1])
        elif words[0] == "rm":
            self.networks_there.remove(words[-1])
        elif words[0] == "ls":
            return "\n".join(self.networks_there) + "\n"
        return "done\n"

    def _volume(self, words: Sequence[str], _text: str) -> str:
        if words[0] == "create":
            self.volumes_there.append(words[-1])
        elif words[0] == "rm":
            self.volumes_there.remove(words[-1])
        elif words[0] == "ls":
            return "\n".join(self.volumes_there) + "\n"
        return "done\n"

    def _exec(self, words: Sequence[str], text: str) -> str | None:
        command = [word for word in words if word != "--interactive"][1:]
        line = " ".join(command)
        if command[0] in {"slurmrest-enrol", "slurmrest-renew"}:
            return HOST_KEY
        if "getent" in line:
            return "".join(f"{name}\n" for name in (one.split()[0] for one in text.splitlines()) if name in ACCOUNTS)
        if "useradd" in line:
            made = [jwt.encode(jwt.claims_for(name.split()[0], 3600), jwt.Key(KEY)) for name in text.splitlines()]
            return "".join(f"SLURM_JWT={one.reveal()}\n" for one in made)
        if "scontrol token" in line:
            user = line.partition("username=")[2].split()[0]
            return f"SLURM_JWT={jwt.encode(jwt.claims_for(user, 3600), jwt.Key(KEY)).reveal()}\n"
        if "scontrol ping" in line:
            return self.pings.pop(0) if self.pings else None
        if command[:2] == ["sh", "-s"]:
            return SIZES if "gate slurmrest-renew" in text else "done\n"
        if command[:2] == ["id", "--user"]:
            return "".join(f"{2000 + number}\n" for number, _name in enumerate(command[2:]))
        if command[:2] == ["systemctl", "list-jobs"]:
            return ""
        if command[0] == "cat":
            return AUTHORITY if command[1].endswith("authority.pem") else None
        answers = {"slurmctld": f"slurm {VERSION}\n", "base64": base64.b64encode(KEY).decode(), "sh": "done\n"}
        answers["systemctl"] = answers["chpasswd"] = "done\n"
        answers["journalctl"] = "2026-01-01T00:00:00+00:00 node slurmctld[1]: error: it has troubles\nall is well\n"
        if command[0] == "apt-get":
            return "Inst slurmrestd (24.11.5-4 Debian:13/stable [amd64])\n" if "--simulate" in command else "done\n"
        return answers.get(command[0])
