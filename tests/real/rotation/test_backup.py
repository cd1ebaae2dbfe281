"""A cluster with a backup controller, which has the key as well and is restarted before the primary."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.real.rotation.rotating import MEASURED, Rotating, rotating

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKUP = "c1"
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[Rotating]:
    with rotating(release, "split", "backup") as one:
        yield one


def assert_both_up(cluster: Rotating) -> None:
    """The backup says that it has started before it answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (said := cluster.live.ssh(cluster.primary, "scontrol ping")).count(" is UP") != 2:
        journal = cluster.live.ssh(BACKUP, "journalctl --unit slurmctld --lines 30 --no-pager")
        assert time.monotonic() < deadline, said + journal
        time.sleep(0.5)


def test_a_backup_is_rotated_too_and_cannot_be_forgotten(cluster: Rotating) -> None:
    without = cluster.inventory.read_text(encoding="utf-8")
    cluster.add_backup(BACKUP)
    both = cluster.inventory.read_text(encoding="utf-8")
    assert_both_up(cluster)
    old, pids = cluster.key(), cluster.pids()

    cluster.inventory.write_text(without, encoding="utf-8")
    forgotten = cluster.rotate()
    assert forgotten.status != 0
    assert f"slurmctld runs on {cluster.primary}, {BACKUP} by the configuration" in forgotten.output
    assert cluster.pids() == pids
    cluster.assert_in_force(old)

    cluster.inventory.write_text(both, encoding="utf-8")
    play = cluster.rotate().good()
    assert f"1. {BACKUP}: replace the key by rename, restart slurmctld" in play.output
    assert MEASURED.search(play.output)
    cluster.assert_in_force(cluster.key(), old)
    assert cluster.pids()[f"{BACKUP} slurmctld"] not in ("0", pids[f"{BACKUP} slurmctld"])
    assert_both_up(cluster)
