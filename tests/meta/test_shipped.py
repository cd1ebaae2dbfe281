"""What each Ansible module ships to every host, whenever it runs: the bytes of the engine's files, and a limit.

A limit that is too low says: see what the new import brings along (scripts/render_architecture.py --shipped). Ansible
ships a file wholly, and follows an import wherever it stands, also in a function or under TYPE_CHECKING. Judge on the
controller, in the action plugin, or cut the file; raise the limit only for what the host itself has to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import render_architecture
from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path

MOST: dict[str, float] = {
    "gateway_gather": 136,
    "gateway_key": 135.3,
    "gateway_logins": 279.5,
    "host_change": 280.1,
    "host_former": 202,
    "host_origin": 70.3,
    "host_transaction": 65.6,
    "key_rotation": 253.8,
    "service_token": 170.1,
    "shared_key": 80.5,
    "shared_key_change": 217.8,
    "slurm_ask": 78.7,
    "slurm_conf_merge": 73.5,
    "slurm_conf_merge_change": 249.3,
    "slurm_facts": 143.6,
    "slurm_gather": 203.1,
    "slurm_gather_whole": 252.3,
    "slurm_jwks": 114.3,
    "slurm_jwks_change": 413.1,
    "slurm_packages": 103.3,
    "slurm_patience": 34.7,
    "slurm_token": 42.1,
    "slurm_upgrade": 226.8,
    "slurmrest_gateway": 141.4,
    "slurmrestd_job": 145.6,
    "slurmrestd_verify": 157.2,
    "slurmrestd_verify_unseen": 275.8,
    "token_watch": 101.6,
}
"""Kilobytes (1000 bytes) by module."""


@pytest.fixture(scope="module")
def shipped() -> dict[str, float]:
    """Kilobytes of the engine's files that go with each module."""
    return {name: sum(sizes.values()) / 1000 for name, sizes in render_architecture.shipped(tree.ROOT).items()}


def test_every_module_has_a_limit(shipped: dict[str, float]) -> None:
    assert set(shipped) == set(MOST)


@pytest.mark.parametrize("module", sorted(MOST))
def test_a_module_ships_no_more_than_its_limit(module: str, shipped: dict[str, float]) -> None:
    assert shipped[module] <= MOST[module]


def test_it_can_fail(tmp_path: Path) -> None:
    """What is imported is counted with its packages, also where only a function or a type checker imports it."""
    engine = tmp_path / render_architecture.ENGINE
    (engine / "deep").mkdir(parents=True)
    modules = tmp_path / "plugins" / "modules"
    modules.mkdir()
    (engine / "__init__.py").write_text("#" * 10)
    (engine / "deep" / "__init__.py").write_text("#" * 100)
    (engine / "deep" / "one.py").write_text("def f():\n    from . import two\n")
    (engine / "deep" / "two.py").write_text("#" * 1000)
    (engine / "three.py").write_text("#" * 10000)
    (modules / "some.py").write_text("from ..module_utils.slurmrest.deep.one import f\n")
    sizes = render_architecture.shipped(tmp_path)["some"]
    one = (engine / "deep" / "one.py").stat().st_size
    assert sizes == {"slurmrest": 10, "deep": 100, "deep.one": one, "deep.two": 1000}
