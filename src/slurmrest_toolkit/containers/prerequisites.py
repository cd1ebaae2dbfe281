"""What this host must have before anything is made, as one list; asked without any library, before there are some.

python -m slurmrest_toolkit.containers.prerequisites [--packages] [the arguments of ``slurmrest``]
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.host import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = {
    "podman": ("podman", "netavark", "aardvark-dns"),
    "runc": ("runc",),
    "iptables": ("iptables",),
    "nft": ("nftables",),
    "mmdebstrap": ("mmdebstrap",),
    "newuidmap": ("uidmap",),
    "slirp4netns": ("slirp4netns",),
    "pasta": ("passt",),
    "ssh": ("openssh-client",),
    "curl": ("curl",),
}
"""Debian's packages for each program that may be missing; podman cannot connect containers without its companions."""

PURPOSES = {
    "podman": "to run containers",
    "runc": "because this host does not let crun raise limits",
    "iptables": "for the network of containers",
    "nft": "for the network of containers",
    "mmdebstrap": "to build base images",
    "newuidmap": "for containers without root",
    "slirp4netns": "for the network of containers without root",
    "pasta": "for the network of containers without root",
    "ssh": "to reach the nodes",
    "curl": "to talk to the REST API",
}

CLIENTS = ("ssh", "curl")

ELSEWHERE = ("/usr/sbin", "/sbin")
"""Where programs are for which an ordinary user's PATH does not look."""

NEWEST_PODMAN = 5
"""Taken for the major version where it cannot be known."""

RANGE = 65536
"""Subordinate ids that an account needs: as many as a system with ordinary users and ``nobody`` has."""

SUBORDINATES = (Path("/etc/subuid"), Path("/etc/subgid"))

ENGINES = ("podman", "docker")
CHOICE = "SLURMREST_ENGINE"
"""The variable of the environment that chooses one of them where nothing else does."""


def podman_major() -> int:
    """Return the major version of Podman: of the one that is here, or that the package manager would install."""
    asked = (("podman", "--version"), ("apt-cache", "show", "--no-all-versions", "podman"))
    for argv in asked:
        if shutil.which(argv[0]) is None:
            continue
        said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
        if found := re.search(r"version:? (?:\d+:)?(\d+)\.", said, re.IGNORECASE):
            return int(found[1])
    return NEWEST_PODMAN


def chosen(name: str | None = None) -> str | None:
    """Return the container engine that was asked for, by name or by the environment; None where any will do.

    Raises:
        ValueError: the environment names another; the message says so.
    """
    if name is None and (name := os.environ.get(CHOICE)) and name not in ENGINES:
        raise ValueError(f"{CHOICE}={name} (allowed: {', '.join(ENGINES)})")
    return name or None


def for_podman(host: Host) -> list[str]:
    """Return the programs with which Podman runs containers here.

    Podman 5 connects them by nftables, and those of a user by pasta; before it was iptables and slirp4netns.
    """
    modern = podman_major() >= NEWEST_PODMAN
    programs = ["podman", "nft" if modern else "iptables"]
    if host.awkward:
        programs.append("runc")
    elif not host.root:
        programs += ["newuidmap", "pasta" if modern or there("pasta") else "slirp4netns"]
    return programs


def for_building(host: Host) -> list[str]:
    """Return the programs with which base images are built here."""
    return ["mmdebstrap", *([] if host.root else ["newuidmap"])]


def there(program: str) -> bool:
    """Whether a program is on this host, also where an ordinary user does not look for it."""
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *ELSEWHERE))
    return shutil.which(program, path=search) is not None


def lacking(programs: Sequence[str]) -> list[str]:
    """Return which of some programs are not on this host, each once."""
    return [program for program in dict.fromkeys(programs) if not there(program)]


def packages_of(programs: Sequence[str]) -> list[str]:
    """Return Debian's packages of some programs."""
    return [package for program in programs for package in PACKAGES[program]]


def reasons(programs: Sequence[str]) -> str:
    """Return programs with what they are for."""
    return ", ".join(f"{program} ({PURPOSES[program]})" for program in programs)


def subordinates(name: str, uid: int, files: Sequence[Path] = SUBORDINATES) -> tuple[str, str] | None:
    """Say that an account has no subordinate ids, which containers and base images without root take, and what helps.

    Args:
        name: the account's.
        uid: its number, by which the files may call it, too.
        files: ranges of users and of groups: ``name:first:count``.
    """
    lines = [file.read_text(encoding="utf-8").splitlines() if file.exists() else [] for file in files]
    ranges = [[fields for line in text if len(fields := line.strip().split(":")) == 3] for text in lines]
    if all(
        any(owner in {name, str(uid)} and count.isdigit() and int(count) >= RANGE for owner, _, count in each)
        for each in ranges
    ):
        return None
    ends = [int(first) + int(count) for each in ranges for _, first, count in each if (first + count).isdigit()]
    first = max([100_000, *ends])
    span = f"{first}-{first + RANGE - 1}"
    return (
        f"The account {name} has no {RANGE} subordinate ids (/etc/subuid, /etc/subgid): only root has containers then.",
        f"Run: sudo usermod --add-subuids {span} --add-subgids {span} {name}",
    )


def refused() -> tuple[str, str] | None:
    """Say so of the account that this runs as, unless it is root or its ids are kept elsewhere than in files."""
    try:
        account = pwd.getpwuid(os.geteuid())
    except KeyError:  # a number without a name, as some containers have
        return None
    elsewhere = ["getsubids", account.pw_name]
    if account.pw_uid == 0 or (
        there(elsewhere[0]) and subprocess.run(elsewhere, capture_output=True, check=False).returncode == 0
    ):
        return None
    return subordinates(account.pw_name, account.pw_uid)


def wanted(argv: Sequence[str]) -> list[str]:
    """Return all programs that a first ``cluster up`` with these arguments takes on this host."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--engine", default=os.environ.get(CHOICE))
    parser.add_argument("--image")
    options, _ = parser.parse_known_args(argv)
    host = Host.detect()
    docker = options.engine == "docker" or (not options.engine and not there("podman") and there("docker"))
    building = [] if options.image else for_building(host)
    return [*([] if docker else for_podman(host)), *CLIENTS, *building]


def main(argv: Sequence[str]) -> int:
    """Say what is missing and cannot be installed from here; with ``--packages`` print the packages alone."""
    if argv[:1] == ["--packages"]:
        sys.stdout.write(" ".join(packages_of(lacking(wanted(argv[1:])))))
        return 0
    missing = lacking(wanted(argv))
    if os.geteuid() == 0:  # who is root has it installed, later on
        return 0
    words = []
    if missing:
        apt = shutil.which("apt-get") is not None
        command = f"    sudo {' '.join(install_command(missing))}" if apt else "    (the system's package manager)"
        words += [f"slurmrest: missing on this host: {reasons(missing)}; run this, then try again:", command]
    if ids := refused():
        words += [f"slurmrest: {ids[0]}", f"    {ids[1].removeprefix('Run: ')}"]
    sys.stderr.write("".join(f"{word}\n" for word in words))
    return 2 if words else 0


def install_command(programs: Sequence[str]) -> list[str]:
    """Return the command that installs the packages of some programs."""
    return ["apt-get", "install", "--no-install-recommends", *packages_of(programs)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
