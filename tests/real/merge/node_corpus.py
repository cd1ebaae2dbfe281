"""Runs on a node, beside a copy of the engine: Slurm's own parser reads every file of the corpus before and after."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from slurmrest.errors import SlurmrestError
from slurmrest.merge.host import CHECK_SECONDS, Part
from slurmrest.merge.request import MergeRequest
from slurmrest.slurm.conf import read
from slurmrest.slurm.conf_edit import Edit
from slurmrest.slurm.conf_hash import hash_values
from slurmrest.slurm.conf_text import read_text
from slurmrest.slurm.releases import lookup

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"


def main() -> None:
    """Write for each case what Slurm says before and after, and whether the checksums are its own."""
    cases = sorted(Path(sys.argv[1]).iterdir())
    # Not threads: the engine takes on another account's rights where a file is that one's, and those are a process's.
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        verdicts = zip(cases, pool.map(verdict, cases), strict=True)
        sys.stdout.write(json.dumps({case.name: said for case, said in verdicts}))


def verdict(case: Path) -> dict[str, object]:
    """What Slurm says of one case before and after, or why the engine refuses it."""
    path = next(file for file in (case / "slurm.conf", case / "slurmdbd.conf") if file.exists())
    kind = "slurmdbd" if path.name == "slurmdbd.conf" else "slurmctld"
    for file in case.rglob("*"):
        if kind == "slurmdbd":
            shutil.chown(file, "slurm", "slurm")
            file.chmod(0o600)
    beside_includer = lookup(sys.argv[2]).release.include_beside_includer
    part = Part(MergeRequest(kind, str(path), KEY, beside_includer=beside_includer))
    try:
        after = part._parse(part._edit())
    except SlurmrestError as error:
        return {"refused": str(error)}
    return {"before": part._parse(Edit()), "after": after, "checksum": checksum(part.request)}


def checksum(request: MergeRequest) -> bool | None:
    """Tell whether our checksum of a file is the one that scontrol has; None where it has none."""
    # Releases that take a pattern for a name look for such a file for a minute.
    shown = subprocess.run(
        ["timeout", str(CHECK_SECONDS), "scontrol", "show", "config"],
        env={**os.environ, "SLURM_CONF": request.path},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    ).stdout
    ours = re.search(r"Different Ours=0x([0-9a-f]+)", shown)
    conf = read(request.path, read_text, beside_includer=request.beside_includer)
    if request.kind == "slurmdbd" or ours is None or conf is None:
        return None
    return int(ours[1], 16) in hash_values(conf.raw)


main()
