"""A cluster with a backup controller, which has the key as well and is restarted before the primary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.rotation.rotating import MEASURED, Rotating, rotating

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKUP = "c1"


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[Rotating]:
    with rotating(release, "split", "backup") as one:
        yield one


def test_a_backup_is_rotated_too_and_cannot_be_forgotten(cluster: Rotating) -> None:
    without = cluster.inventory.read_text(encoding="utf-8")
    cluster.add_backup(BACKUP)
    both = cluster.inventory.read_text(encoding="utf-8")
    assert cluster.live.ssh(cluster.primary, "scontrol ping").count(" is UP") == 2
    old, pids = cluster.key(), cluster.pids()

    cluster.inventory.write_text(without, encoding="utf-8")
    forgotten = cluster.rotate()
    assert forgotten.status != 0
    assert f"slurmctld runs on {cluster.primary}, {BACKUP} by the configuration" in forgotten.output
    assert cluster.pids() == pids
    cluster.assert_in_force(old)

    cluster.inventory.write_text(both, encoding="utf-8")
    play = cluster.rotate().good()
    assert f"2. {BACKUP}: replace the key by rename, restart slurmctld" in play.output
    assert MEASURED.search(play.output)
    cluster.assert_in_force(cluster.key(), old)
    assert cluster.pids()[f"{BACKUP} slurmctld"] not in ("0", pids[f"{BACKUP} slurmctld"])
    assert cluster.live.ssh(cluster.primary, "scontrol ping").count(" is UP") == 2
