"""Runs on a node, beside a copy of the engine: Slurm's own parser reads every file of the corpus before and after."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from slurmrest.confmerge import Part, Request, read_text
from slurmrest.errors import SlurmrestError
from slurmrest.releases import lookup
from slurmrest.slurmconf import hash_values, read
from slurmrest.slurmconf_edit import Edit

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"


def main() -> None:
    """Write for each case what Slurm says before and after, and whether the checksums are its own."""
    beside_includer = lookup(sys.argv[2]).release.include_beside_includer
    verdicts: dict[str, dict[str, object]] = {}
    for case in sorted(Path(sys.argv[1]).iterdir()):
        path = next(file for file in (case / "slurm.conf", case / "slurmdbd.conf") if file.exists())
        kind = "slurmdbd" if path.name == "slurmdbd.conf" else "slurmctld"
        for file in case.rglob("*"):
            if kind == "slurmdbd":
                shutil.chown(file, "slurm", "slurm")
                file.chmod(0o600)
        part = Part(Request(kind, str(path), KEY, beside_includer=beside_includer))
        try:
            after = part._parse(part._edit())
        except SlurmrestError as error:
            verdicts[case.name] = {"refused": str(error)}
            continue
        verdicts[case.name] = {"before": part._parse(Edit()), "after": after, "checksum": checksum(kind, str(path))}
    sys.stdout.write(json.dumps(verdicts))


def checksum(kind: str, path: str) -> bool | None:
    """Tell whether our checksum of a file is the one that scontrol has; None where it has none."""
    shown = subprocess.run(
        ["scontrol", "show", "config"],
        env={**os.environ, "SLURM_CONF": path},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=30,
    ).stdout
    ours = re.search(r"Different Ours=0x([0-9a-f]+)", shown)
    conf = read(path, read_text)
    if kind == "slurmdbd" or ours is None or conf is None:
        return None
    return int(ours[1], 16) in hash_values(conf.raw)


main()
