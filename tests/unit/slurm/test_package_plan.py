"""Plans read from what package managers really said, and what of them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.slurm.package_plan import PackageChange, apt_plan, decide, refused

EVIDENCE = Path(__file__).parents[1] / "evidence" / "packages"
SMD = ["slurm-smd", *(f"slurm-smd-{part}" for part in ("client", "slurmctld", "slurmd", "slurmdbd", "slurmrestd"))]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("apt-install", {"install": 2}),
        ("apt-debian-over-smd", {"remove": 6, "install": 3}),
        ("apt-smd-over-debian", {"remove": 7, "install": 3}),
        ("apt-smd-upgrade", {"upgrade": 6}),
        ("apt-smd-upgrade-part", {"remove": 4, "upgrade": 2}),
        ("apt-smd-downgrade", {"downgrade": 6}),
        ("apt-smd-same", {}),
    ],
)
def test_plan_of_apt(name: str, counts: dict[str, int]) -> None:
    plan = apt_plan((EVIDENCE / f"{name}.txt").read_text())
    found: dict[str, int] = {}
    for change in plan.changes:
        found[change.action] = found.get(change.action, 0) + 1
    assert found == counts
    assert len(plan.lines()) == len(counts)
    assert bool(refused(plan, upgrade=True)) == bool({"remove", "downgrade"} & set(counts))


def test_versions_of_a_plan() -> None:
    plan = apt_plan((EVIDENCE / "apt-smd-downgrade.txt").read_text())
    assert plan.changes[-1] == PackageChange("downgrade", "slurm-smd", "25.05.9-1", "24.11.5-1")
    assert sorted(change.package for change in plan.changes) == SMD
    plan = apt_plan((EVIDENCE / "apt-smd-upgrade-part.txt").read_text())
    assert plan.changes[0] == PackageChange("remove", "slurm-smd-client", "24.11.5-1")


def test_slurm_is_renewed_when_asked_only() -> None:
    plan = apt_plan((EVIDENCE / "apt-smd-upgrade.txt").read_text())
    assert refused(plan, upgrade=True) == []
    (words,) = refused(plan)
    # By name, in whatever order apt tells them.
    assert words.startswith("would upgrade slurm-smd 24.11.5-1 -> 25.05.9-1, slurm-smd-client 24.11.5-1 -> ")


def test_a_library_may_be_renewed() -> None:
    assert refused(apt_plan("Inst libc6 [2.41-12] (2.41-13 Debian:13 [amd64])\n")) == []


def host(packaging: str, family: str = "Debian", *packages: str) -> dict[str, Any]:
    return {"packaging": packaging, "os": {"family": family, "id": family.lower()}, "packages": packages}


@pytest.mark.parametrize("packaging", ["debian", "none"])
def test_the_distribution_serves_itself_and_empty_hosts(packaging: str) -> None:
    decision = decide("auto", ["slurmrestd"], host(packaging, "Debian", "slurmrestd"), {"ctl": "debian", "dbd": "none"})
    assert decision.source == "distribution"
    assert decision.names == ("slurmrestd", "slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin")
    assert decision.missing == decision.names[1:]


@pytest.mark.parametrize("family", ["schedmd-deb", "rpm", "source"])
def test_another_family_is_not_mixed_with_the_distributions(family: str) -> None:
    own = decide("auto", ["slurmrestd"], host(family))
    assert (own.source, own.missing) == ("none", ())
    assert "this host has Slurm from" in own.why
    controllers = decide("auto", ["slurmrestd"], host("none"), {"ctl1": family})
    assert controllers.source == "none"
    assert "ctl1 has Slurm from" in controllers.why


def test_what_was_said_counts() -> None:
    assert decide("distribution", ["slurmd"], host("schedmd-deb")).names[0] == "slurmd"
    assert decide("repository", ["slurmrestd"], host("none")).names == ("slurm-smd-slurmrestd", "slurm-smd")
    assert decide("repository", ["slurmdbd", "mariadb"], host("none", "RedHat")).names == (
        "slurm-slurmdbd", "slurm", "mariadb-server",
    )  # fmt: skip
    assert decide("none", ["slurmrestd"], host("none")).missing == ()


def test_bad_sources() -> None:
    with pytest.raises(InputError, match=r"slurm_packages_source: 'debian' is refused\. Allowed: auto, distribution"):
        decide("debian", [], host("none"))
    with pytest.raises(InputError, match=r"'distribution' is refused: names of packages are not known for suse"):
        decide("auto", ["slurmrestd"], host("none", "Suse"))
