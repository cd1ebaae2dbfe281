"""Run the cases on virtual machines and print what became of them: scripts/test vm [GROUP…] [--case NAME…]."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.support.tables import print_table
from tests.vm import engines, site
from tests.vm.image import KEPT, Image, missing
from tests.vm.machine import running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vm.machine import Machine

    Case = Callable[[Machine], str]

RESULTS = KEPT / "results.json"

WHY = "systemctl --failed --no-legend --plain; journalctl -b --no-pager -n 60 -u 'slurm*' -u mariadb -u munge"
"""What is said of a machine on which a case failed, before the next one or its end."""


@dataclass(frozen=True)
class Group:
    """Cases that have one machine, in this order; of which image, and what they are about."""

    flavour: str
    words: str
    cases: Sequence[Case]


GROUPS = {
    "site": Group("site", "slurmrestd on a machine of its own", site.CASES),
    "rootless": Group("engines", "test clusters, Podman without root", engines.cases("rootless")),
    "root": Group("engines", "test clusters, Podman as root", engines.cases("root")),
    "docker": Group("engines", "test clusters, Docker as an ordinary user", engines.cases("docker")),
}


@dataclass(frozen=True)
class Result:
    """What became of one case: seconds of wall-clock time, and what it saw or why it failed."""

    group: str
    case: str
    passed: bool
    seconds: float
    words: str


def tried(group: str, case: Case, machine: Machine) -> Result:
    """Run one case; each is told as it ends, for the whole takes hours."""
    begin = time.monotonic()
    try:
        passed, words = True, case(machine)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others run
        traceback.print_exc()
        sys.stdout.write(machine.run(WHY, user="root", timeout=300).stdout)
        passed, words = False, " ".join(str(error).split())[-300:] or type(error).__name__
    result = Result(group, case.__name__, passed, round(time.monotonic() - begin, 1), words)
    sys.stdout.write(f"{group} {result.case}: {'passed' if passed else 'FAILED'} in {result.seconds:.0f} s: {words}\n")
    sys.stdout.flush()
    return result


def run(groups: Sequence[str], names: Sequence[str], archives: Sequence[Path]) -> list[Result]:
    """Run groups one after the other, all their cases or those that are named; what is known is kept after each.

    Archives of base images and of images with packages are loaded before the first case of an engine.
    """
    results: list[Result] = []
    for group in groups:
        cases = [case for case in GROUPS[group].cases if not names or case.__name__ in names]
        if not cases:
            continue
        begin = time.monotonic()
        with running(Image(GROUPS[group].flavour)) as machine:
            boot = round(time.monotonic() - begin, 1)
            results.append(Result(group, "boot", passed=True, seconds=boot, words="image, disk and boot"))
            if GROUPS[group].flavour == "engines":
                engines.prepare(machine, group, archives)
            for case in cases:
                results.append(tried(group, case, machine))
                RESULTS.write_text(
                    json.dumps([asdict(result) for result in results], indent=1) + "\n", encoding="utf-8"
                )
    return results


def main(argv: Sequence[str]) -> int:
    """Run what is asked for; returns 0 when all of it passed, 2 where this host lacks something."""
    parser = argparse.ArgumentParser(prog="scripts/test vm", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"these only: {', '.join(GROUPS)}")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="this case of them only; repeat it")
    words = "images for the engine, as podman save writes them, from which the first start has its base; repeat it"
    parser.add_argument("--load", action="append", default=[], type=Path, metavar="FILE", help=words)
    options = parser.parse_args(argv)
    for group in options.groups:
        if group not in GROUPS:
            parser.error(f"unknown group {group!r}: choose from {', '.join(GROUPS)}")
    if packages := missing():
        sys.stderr.write(f"missing on this host; run: apt-get install {' '.join(packages)}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no machine is left on
    results = run(options.groups or list(GROUPS), options.case, options.load)
    verdicts = {True: "passed", False: "FAILED"}
    rows = [(one.group, one.case, verdicts[one.passed], f"{one.seconds:.0f}", one.words) for one in results]
    print_table(("GROUP", "CASE", "RESULT", "SECONDS", "SEEN"), rows)
    return 0 if results and all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
