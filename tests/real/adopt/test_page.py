"""The page for sites: its commands are run in their order, and print what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from slurmrest.slurm.releases import lookup

from tests.real.adopt.sites import NO_REST, OWN_FILES, inventory
from tests.real.clusters import ROOT, LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "adopt.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST = 10
SHOWN = "24.11"
"""The release that the page shows."""

ELSEWHERE = "…"


def commands() -> list[tuple[str, list[str]]]:
    """Return each command of the page with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for language, text in FENCE.findall(PAGE.read_text()):
        for line in text.splitlines() if language == "console" else ():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line}", [])
            else:
                found[-1][1].append(line)
    return found


def alike(line: str) -> str:
    """Return a line without what differs from run to run: numbers but for those of changes, and rows of asterisks."""
    line = re.sub(r"0x[0-9a-f]+", "N", line)
    return re.sub(
        r"\*+", "*", re.sub(r"changed=[0-9]+|[0-9]+", lambda found: found[0] if "=" in found[0] else "N", line)
    ).rstrip()


def test_the_way_is_short() -> None:
    assert 0 < len(commands()) <= MOST


def typed(command: str, release: str) -> str:
    """Return a command as it is typed where another release is, whose API versions are others."""
    return re.sub(r"v0\.0\.\d+", lookup(release).release.newest_api, command)


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("adopt-page", release) as live:
        live.ssh("node1", OWN_FILES)
        live.ssh("node1", NO_REST)
        yield live


@pytest.fixture(scope="module")
def printed(cluster: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What the commands print, with the inventory of the clone, its groups as the page names them, and addresses."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "inventory", folder / "inventory")
    inventory(cluster, folder / "inventory")
    groups = next(text for language, text in FENCE.findall(PAGE.read_text()) if language == "yaml")
    addresses = yaml.safe_load((folder / "inventory" / "hosts.yml").read_text())
    del addresses["all"]["children"]
    (folder / "inventory" / "hosts.yml").write_text(groups)
    (folder / "inventory" / "addresses.yml").write_text(yaml.safe_dump(addresses))
    shims = folder / "bin"
    shims.mkdir()
    (shims / "python3").symlink_to(sys.executable)
    (shims / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {cluster.directory}/ssh_config "$@"\n')
    (shims / "ssh").chmod(0o755)
    lines = ["set -eu -o pipefail", "umask 077"]
    for command, _shown in commands():
        lines += ["echo ::command", typed(command, cluster.release)]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "VIRTUAL_ENV"))},
        "HOME": str(folder),
        "PATH": f"{shims}:{os.environ['PATH']}",
        "ANSIBLE_INVENTORY": str(folder / "inventory"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return [block.splitlines() for block in done.stdout.split("::command\n")[1:]]


@pytest.mark.parametrize("number", range(len(commands())), ids=lambda number: commands()[number][0].split("\n")[0])
def test_a_command_prints_what_the_page_shows(cluster: LiveCluster, printed: list[list[str]], number: int) -> None:
    _command, shown = commands()[number]
    if cluster.release != SHOWN:  # its commands work, too; what they print has other numbers, and one line in common
        shown = [line for line in shown if "pings" in line]
    rest = iter(map(alike, printed[number]))
    for line in shown:
        if line.strip() != ELSEWHERE:
            assert alike(line) in rest, f"{line!r} is not in, or not at its place in:\n" + "\n".join(printed[number])


def test_what_is_shown_is_most_of_what_matters(printed: list[list[str]]) -> None:
    text = "\n".join(line for block in printed for line in block)
    assert text.count("all good") >= 2
    assert '"pings"' in text or '"responding": true' in text or '"ping"' in text
