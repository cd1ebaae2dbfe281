"""An override of the wild on every vendor's unit, migrated to every other: what systemd makes of it is ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurmrest.slurmrestd import preflight
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd.contradictions import contradictions
from slurmrest.systemd import environment_files
from slurmrest.transaction.set_aside import without_lines
from slurmrest.upgrade.case import Case
from slurmrest.upgrade.judge import set_aside

from tests.render.test_service import DROPIN, LISTEN, UNITS, VENDOR_UNIT, VENDORS, Host

OVERRIDE = str(Path(DROPIN).with_name("override.conf"))
WILD = {
    "reset and listeners": "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd -d v0.0.38 0.0.0.0:6820\nNice=3\n",
    "no reset": "[Service]\nUser=slurmrestd\nExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS :6820\nNice=3\n",
    "listeners in both places": "[Service]\nEnvironment=SLURMRESTD_LISTEN=0.0.0.0:6820\nNice=3\n",
    "jwt off": "[Service]\nUnsetEnvironment=SLURM_JWT\nUser=root\nNice=3\n",
    "another environment file": "[Service]\nEnvironmentFile=/etc/site/rest\nNice=3\n",
}


def facts(host: Host) -> dict[str, Any]:
    """Return what detect says of a unit with foreign drop-ins, our drop-in being there or about to be."""
    vendor = units.effective(host.fragment, [], host.files.get)
    own = [file.path for file in vendor.environment_files][-1]
    ours = {DROPIN, own}
    text = host.files.get(own, "")
    return {
        **host.facts(),
        "dropin": DROPIN,
        "contradictions": [item.as_dict() for item in contradictions(host.unit(), ours)],
        "environment_file": {
            "path": own,
            "ours": "slurmrest.toolkit wrote this file" in text,
            "variables": [item.name for item in environment_files.parse_environment_file(text, own)],
        },
    }


@pytest.mark.parametrize("style", WILD)
@pytest.mark.parametrize("vendor", VENDORS)
def test_an_override_is_migrated_on_every_unit(vendor: str, style: str) -> None:
    host = Host("debian-22.05")
    host.apply()
    host.files.update({OVERRIDE: WILD[style], "/etc/site/rest": "SLURMRESTD_LISTEN=0.0.0.0:6820\nSLURM_JWT=x\n"})
    host.files[VENDOR_UNIT] = (UNITS / f"{vendor}.service").read_text()
    seen = facts(host)
    going = set_aside(Case("host", seen, {}, {}, host.files))
    assert [item.path for item in going] == [OVERRIDE]
    assert preflight.without(seen, [OVERRIDE])["contradictions"] == []
    for item in going:
        host.files[item.path] = without_lines(host.files[item.path], item.lines)
    unit = host.apply()
    assert sorted(entry.text for entry in unit.listeners) == sorted(LISTEN)
    assert (unit.user, unit.environment["SLURM_JWT"].value, len(unit.exec_start)) == ("slurmrestd", "daemon", 1)
    assert unit.last("Nice") == "3"
    assert set_aside(Case("host", facts(host), {}, {}, host.files)) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_unit_file_in_place_of_an_environment_file(vendor: str) -> None:
    host = Host(vendor)
    own = units.effective(host.fragment, [], host.files.get).environment_files[-1].path
    host.files[own] = "[Service]\nEnvironment=SLURM_JWT=x\nExecStart=/usr/sbin/slurmrestd :6820\n"
    assert [item.path for item in set_aside(Case("host", facts(host), {}, {}, host.files))] == [own]
    unit = host.apply()
    assert not any(file.sectioned for file in unit.environment_files)
    assert sorted(entry.text for entry in unit.listeners) == sorted(LISTEN)
