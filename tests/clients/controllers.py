"""Which ansible-core on which Python runs the playbooks. Run by hand, for it installs them.

    python -m tests.clients.controllers --release 24.11 --core 2.21 --work /tmp/controllers

starts a cluster, whose node is the controller, too, with the Python of its Debian and without SSH: it looks what would
change, has slurmrestd deployed with another port, then once more, and verified. Prints a table of docs/fleets.md.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import slurmrest_toolkit
from tests.real.clusters import ROOT, Play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmrest_toolkit.api import RunningCluster

RUNS: Mapping[str, tuple[str, ...]] = {
    "check": ("deploy.yml", "--check", "--diff"),
    "deploy": ("deploy.yml",),
    "again": ("deploy.yml",),
    "verify": ("verify.yml",),
}
"""In this order; the first finds a port to add, the third nothing to do."""

WARNED = re.compile(r"\[(?:WARNING|DEPRECATION WARNING)\]: (.{0,300}?)(?=\[|TASK|PLAY|ok:|changed:|$)", re.DOTALL)


class Controller:
    """The first node of a cluster as a machine that runs playbooks, in ``/root/tree`` of a copy of the working tree."""

    def __init__(self, cluster: RunningCluster) -> None:
        """Give it the tree, and an inventory that leads to itself."""
        self.cluster = cluster
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
        tar = ["tar", "-C", str(ROOT), "--null", "--ignore-failed-read", "-T", "-", "-c"]
        packed = subprocess.run(tar, input=listed, capture_output=True, check=True).stdout
        self.run("mkdir /root/tree && tar -C /root/tree -x --no-same-owner", packed)
        self.run("cat >/root/hosts.yml", self.inventory())

    def run(self, script: str, data: bytes = b"") -> str:
        """Run a script as root on the node, and return what it says.

        Raises:
            subprocess.CalledProcessError: it fails.
        """
        argv = ["ssh", "-F", str(self.cluster.directory / "ssh_config"), "node1", "sudo", "sh", "-c", f"'{script}'"]
        done = subprocess.run(argv, input=data, capture_output=True, check=False)
        if done.returncode:
            sys.stderr.write((done.stdout + done.stderr).decode(errors="replace")[-6000:])
            done.check_returncode()
        return done.stdout.decode(errors="replace")

    def inventory(self) -> bytes:
        """Return the cluster's own inventory, of the node for itself, and with a port that is new."""
        place = self.cluster.directory / "inventory" / "hosts.yml"
        told: dict[str, Any] = yaml.safe_load(place.read_text(encoding="utf-8"))
        told["all"]["hosts"]["node1"] = {"ansible_connection": "local"}
        told["all"]["vars"]["slurmrestd_service_listen"].append("127.0.0.1:6821")
        return yaml.safe_dump(told).encode()

    def play(self, core: str, *words: str) -> Play:
        """Run a playbook with an ansible-core of the node; its output, whatever came of it."""
        before = f"cd /root/tree && ANSIBLE_CONFIG=/root/tree/ansible.cfg PYTHONPATH=/root/{core} LC_ALL=C.UTF-8"
        line = (
            f"{before} python3 -m ansible playbook -i /root/hosts.yml playbooks/{' '.join(words)} 2>&1; echo status $?"
        )
        said, _, status = self.run(line).rpartition("status ")
        return Play(int(status), said)


def brought(core: str, python: str, folder: Path) -> bytes:
    """Return an ansible-core for a Python (``3.13``), with what it needs, packed; it is installed once."""
    place = folder / f"{core}-{python}"
    if not (place / "complete").exists():
        options = ["--quiet", "--only-binary=:all:", "--ignore-requires-python", f"--python-version={python}"]
        options.append(f"--target={place}")
        subprocess.run([sys.executable, "-m", "pip", "install", *options, f"ansible-core=={core}.*"], check=True)
        (place / "complete").touch()
    return subprocess.run(["tar", "-C", str(place), "-c", "."], capture_output=True, check=True).stdout


def tried(controller: Controller, core: str, folder: Path) -> list[str]:
    """Run the playbooks with an ansible-core; returns the cells of its row."""
    python = controller.run("python3 -V").split()[1]
    packed = brought(core, python.rpartition(".")[0], folder)
    controller.run(f"rm -rf /root/{core} && mkdir /root/{core} && tar -C /root/{core} -x --no-same-owner", packed)
    kept = folder / f"{core}-{python.rpartition('.')[0]}"
    (version,) = (place.name.split("-")[1].removesuffix(".dist") for place in kept.glob("ansible_core-*.dist-info"))
    cells, warned = [], set()
    for name, words in RUNS.items():
        begin = time.monotonic()
        done = controller.play(core, *words)
        told = f"{done.changed} changed" if done.status == 0 else f"exit code {done.status}"
        cells.append(f"{told}, {time.monotonic() - begin:.0f} s")
        warned |= {" ".join(found.split()) for found in WARNED.findall(done.output)}
        if done.status:
            sys.stderr.write(f"{core} on {python}, {name}:\n{done.output[-4000:]}\n")
    sys.stderr.write("".join(f"{core} on {python} warns: {words}\n" for words in sorted(warned)))
    # What was added goes again, for the next ansible-core.
    unset = json.dumps({"slurmrestd_service_listen": ["0.0.0.0:6820", "unix:/run/slurmrestd/slurmrestd.socket"]})
    controller.run("cat >/root/before.json", unset.encode())
    controller.play(core, "deploy.yml", "--extra-vars", "@/root/before.json")
    return [version, python, controller.cluster.version, *cells]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", required=True)
    parser.add_argument("--core", action="append", required=True, help="two numbers: 2.21")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is installed")
    options = parser.parse_args()
    folder = options.work.absolute()
    sys.stdout.write(f"| ansible-core | Python | Slurm | {' | '.join(RUNS)} |\n|{' --- |' * (3 + len(RUNS))}\n")
    for release in options.release:
        with slurmrest_toolkit.start(slurm=release, allow_stale_mirror=True, verify="none") as cluster:
            controller = Controller(cluster)
            for core in options.core:
                sys.stdout.write(f"| {' | '.join(tried(controller, core, folder))} |\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
