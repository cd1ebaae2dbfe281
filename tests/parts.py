"""What the container stage consists of, and which share of it a run takes."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE = HERE / "parts.toml"
SECONDS = HERE / "parts.json"
SHARES = 5
"""So many runs in a row have run everything."""

UNKNOWN_SECONDS = 300.0
"""What a part counts for that was never measured."""

RUN_NUMBER = ("SLURMREST_TEST_RUN", "GITHUB_RUN_NUMBER")
"""Variables that number the runs where somebody counts them; where nobody does, no share is taken unasked."""

MOLECULE = "molecule "


@dataclass(frozen=True, order=True)
class Part:
    """A scenario or topic on one release; ``seconds`` is wall-clock time with another part beside it."""

    name: str
    release: str
    seconds: float = UNKNOWN_SECONDS
    every: bool = False

    @property
    def title(self) -> str:
        """What tables and ``--scenario`` call it."""
        return f"{self.name} {self.release}"

    @property
    def folder(self) -> str:
        """Name of its folder below molecule/ or tests/real/."""
        return self.name.removeprefix(MOLECULE)

    @property
    def molecule(self) -> bool:
        """Whether it is a scenario of molecule/."""
        return self.name.startswith(MOLECULE)


def found() -> list[str]:
    """Return the names of all scenarios and topics that have a folder."""
    root = HERE.parent
    scenarios = {f"{MOLECULE}{path.parent.name}" for path in root.glob("molecule/*/molecule.yml")}
    return sorted(scenarios | {path.parent.name for path in root.glob("tests/real/*/test_*.py")})


def table() -> dict[str, dict[str, Any]]:
    """Return what the table says of each part."""
    return tomllib.loads(TABLE.read_text("utf-8"))


def matrix(releases: Sequence[str]) -> list[Part]:
    """Return all parts on the given releases, those that take longest first, so that none runs alone at the end."""
    seconds = json.loads(SECONDS.read_text("utf-8")) if SECONDS.exists() else {}
    parts = [
        Part(name, release, seconds.get(f"{name} {release}", UNKNOWN_SECONDS), release in row.get("every", ()))
        for name, row in table().items()
        for release in releases
        if release in row.get("releases", releases) and release == row.get("only", release)
    ]
    return sorted(parts, key=lambda part: (-part.seconds, part.release, part.name))


def share(parts: Iterable[Part], number: int) -> list[Part]:
    """Return what run ``number`` takes of the parts that take turns: one of about equally long shares."""
    shares: list[list[Part]] = [[] for _ in range(SHARES)]
    for part in parts:
        min(shares, key=lambda chosen: sum(other.seconds for other in chosen)).append(part)
    return shares[number % SHARES]


def run_number() -> int | None:
    """Return the number of this run as a variable says; None where none does."""
    given = (os.environ.get(name, "") for name in RUN_NUMBER)
    return next((int(number) for number in given if number.isdecimal()), None)


def record(measured: dict[str, float]) -> None:
    """Keep the seconds of parts that passed, by title."""
    known = json.loads(SECONDS.read_text("utf-8")) if SECONDS.exists() else {}
    known.update({title: round(seconds) for title, seconds in measured.items()})
    SECONDS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
