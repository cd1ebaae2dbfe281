"""Each override that decides over our drop-in is blamed by setting and line, on the unit of every distribution."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd import unit_places
from slurmrest.slurmrestd.contradictions import Contradiction, contradictions

from tests.real.adopt.overrides import ACCOUNT, OVERRIDE, REFUSED
from tests.unit.dropin import OURS

FRAGMENT = "/usr/lib/systemd/system/slurmrestd.service"
UNITS = sorted((Path(__file__).resolve().parents[2] / "render" / "units").glob("*.service"))


def blamed(vendor: Path, lines: str) -> list[Contradiction]:
    files = {FRAGMENT: vendor.read_text(), unit_places.DROPIN: OURS, OVERRIDE: f"[Service]\n{lines}\n"}
    unit = units.effective(FRAGMENT, [unit_places.DROPIN, OVERRIDE], files.get, lambda _pattern: [])
    return contradictions(unit, {unit_places.DROPIN})


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("vendor", UNITS, ids=lambda path: path.stem)
def test_what_decides_is_blamed(vendor: Path, name: str) -> None:
    lines, setting, line = REFUSED[name]
    assert (setting, f"{OVERRIDE}:{line}") in [(item.setting, str(item.origin)) for item in blamed(vendor, lines)]


@pytest.mark.parametrize("vendor", UNITS, ids=lambda path: path.stem)
@pytest.mark.parametrize("lines", [ACCOUNT, f"{ACCOUNT}\n[unit]\nUser=root", "Nice=3"])
def test_what_says_the_same_or_nothing_is_not(vendor: Path, lines: str) -> None:
    assert blamed(vendor, lines) == []
