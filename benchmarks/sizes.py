"""Memory of an idle cluster, images on disk, and what carrying them to another machine costs."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import commands
from benchmarks.commands import OURS, SINGLE
from benchmarks.results import ROOT
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.images import base, packages, recipes, warm
from slurmrest_toolkit.support.locks import state_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.containers.engine import Engine

SETTLE_SECONDS = 10.0
"""A cluster is idle when its last job, that of the verification, is over and its record with slurmdbd."""

MIB, MB = 2**20, 10**6


def measure(engine: Engine, records: Mapping[str, Record], _count: int, _deadline: float) -> None:
    """Measure once for each release; sizes do not vary."""
    for release, record in records.items():
        try:
            commands.down(engine)
            commands.up(release)
            time.sleep(SETTLE_SECONDS)
            init = int(engine.call("inspect", "--format={{.State.Pid}}", f"slurmrest-{OURS}-node1"))
            record.keep("memory", memory(init))
        finally:
            commands.down(engine)
        plain = base.suite_name(release)
        (node,) = plan_nodes(OURS, "single", 1)
        installed = packages.installed_name(recipes.Image(plain, release), SINGLE, ROOT)
        warm_image = warm.recipe(plain, "single", [node], ROOT).image(node)
        named = {"base image": plain, "with packages": installed, "warm, single": warm_image}
        record.keep("images", {kind: image_bytes(engine, name) for kind, name in named.items()})
        carry(engine, release, record)
        record.finish()


def memory(init: int, root: Path = Path("/proc")) -> dict[str, dict[str, int]]:
    """Return resident bytes of a container's processes by program: ``rss``, and ``pss`` with shared pages once.

    Args:
        init: the container's first process, as this host numbers it.
        root: where proc(5) is mounted.
    """
    space = (root / str(init) / "ns" / "pid").readlink()
    found: dict[str, dict[str, int]] = {}
    for folder in root.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (folder / "ns" / "pid").readlink() != space:
                continue
            lines = (folder / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
            sizes = {name: int(words.split()[0]) * 1024 for name, _, words in (line.partition(":") for line in lines)}
            entry = found.setdefault((folder / "comm").read_text(encoding="utf-8").strip(), {"rss": 0, "pss": 0})
            entry["rss"] += sizes["Rss"]
            entry["pss"] += sizes["Pss"]
    return dict(sorted(found.items(), key=lambda item: -item[1]["pss"]))


def image_bytes(engine: Engine, name: str) -> int:
    """Return the size of an image with all that it is built on."""
    return int(engine.call("image", "inspect", "--format={{.Size}}", name))


def carry(engine: Engine, release: str, record: Record) -> None:
    """Measure what a runner that is always cold pays: a file saved, and loaded where there are no images at all."""
    with tempfile.TemporaryDirectory(dir=state_directory()) as folder:
        archive = Path(folder) / "cache"
        seconds = commands.slurmrest("cluster", "cache", "save", "--slurm", release, str(archive))
        record.add("cache save, single", seconds)
        record.keep("archive", archive.stat().st_size)
        empty = (f"--root={folder}/root", f"--runroot={folder}/run") if engine.name == "podman" else ()
        begin = time.monotonic()
        engine.call(*empty, "load", f"--input={archive}")
        record.add("cache load, single", time.monotonic() - begin)
