"""The first look at a host waits for daemons that were only just started, so that whoever asks them has an answer."""

from __future__ import annotations

import math
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.facts import patience
from slurmrest.facts.patience import wait
from slurmrest.host.programs import MISSING, Done
from slurmrest.slurm.daemons import STARTING_SECONDS
from slurmrest.slurm.starting import awaited
from slurmrest.systemd import show

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = os.uname().nodename.partition(".")[0]
DOWN = f"Slurmctld(primary) at {HOST} is DOWN\n"
UP = f"Slurmctld(primary) at {HOST} is UP\n"


class Site:
    """Plays a host whose slurmctld gives these answers, one after the other, and whose slurmdbd has this port."""

    def __init__(self, *pings: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pings = list(pings)
        self.asked = self.pauses = 0
        self.now = 1000.0
        self.code = 0
        self.begun: dict[str, float | None] = {"slurmctld": None, "slurmdbd": None}
        self.conf: dict[str, Any] = {"readable": True, "dbd_hosts": [], "dbd_port": "0"}
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(patience, "awaited", lambda there, age: awaited(there, age, self.pause))

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1

    def __call__(self, argv: Sequence[str], **_how: Any) -> Done[str]:
        if argv[0] == "systemctl":
            begun = next((when for name, when in self.begun.items() if name in argv), None)
            shown = "" if begun is None else f"ActiveState=active\nInactiveExitTimestampMonotonic={begun * 1e6:.0f}\n"
            return Done(list(argv), 0, shown, "")
        assert argv[-2:] == ("scontrol", "ping")
        self.asked += 1
        return Done(list(argv), self.code, self.pings.pop(0) if len(self.pings) > 1 else self.pings[0], "")

    def counts(self) -> tuple[bool, int, int]:
        """Whether one run waited, its questions and pauses."""
        self.asked = self.pauses = 0
        units = {
            name: {"starting": begun is not None and self.now - begun < STARTING_SECONDS}
            for name, begun in self.begun.items()
        }
        facts = {"units": units, "slurmdbd_conf": self.conf, "slurm_conf": {"path": "/no/slurm.conf"}, "prefix": None}
        return wait(facts, self), self.asked, self.pauses


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(DOWN, DOWN, UP, monkeypatch=monkeypatch)


def test_a_slurmctld_that_only_just_started_is_waited_for(site: Site) -> None:
    """After a power cut the accounting users could not be listed, and the playbook ended there."""
    site.begun["slurmctld"] = site.now - 5
    assert site.counts() == (True, 3, 2)
    assert site.counts() == (False, 1, 0)
    site.begun["slurmctld"] = site.now - STARTING_SECONDS
    assert site.counts() == (False, 0, 0)


def test_the_wait_has_an_end(site: Site) -> None:
    site.pings = [DOWN]
    site.begun["slurmctld"] = site.now
    assert site.counts() == (True, STARTING_SECONDS / 2, STARTING_SECONDS / 2)


@pytest.mark.parametrize(
    ("ping", "code", "waits"),
    [
        ("", MISSING, False),  # nobody can ask
        ("", 1, True),
        (f"Slurmctld(primary) at other is DOWN\nSlurmctld(backup) at {HOST}.example.org is UP\n", 0, False),
        (f"Slurmctld(primary) at other is UP\nSlurmctld(backup) at {HOST} is DOWN\n", 0, True),
        ("Slurmctld(primary) at 192.0.2.1 is UP\n", 0, False),
    ],
)
def test_of_several_controllers_this_host_s_has_to_answer(site: Site, ping: str, code: int, waits: bool) -> None:
    site.pings, site.code, site.begun["slurmctld"] = [ping], code, site.now
    assert (site.counts()[2] > 0) is waits


def test_slurmdbd_is_waited_for_until_it_listens(site: Site) -> None:
    site.begun["slurmdbd"] = site.now
    with socket.create_server(("127.0.0.1", 0)) as server:
        site.conf["dbd_port"] = str(server.getsockname()[1])
        assert site.counts() == (False, 0, 0)
        server.close()
        assert site.counts()[2] > 0
    site.begun["slurmdbd"] = site.now
    site.conf["dbd_hosts"] = ["other.example.org", HOST]
    assert site.counts() == (False, 0, 0)  # one that stands by listens when it takes over
    site.conf["dbd_hosts"].reverse()
    assert site.counts()[2] > 0
    site.begun["slurmdbd"], site.conf["readable"] = site.now, False
    assert site.counts() == (False, 0, 0)  # its port is not known


@pytest.mark.parametrize(
    ("state", "age"),
    [
        ({"ActiveState": "active", "SubState": "running"}, 993.0),
        ({"ActiveState": "activating", "SubState": "start"}, 993.0),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, math.inf),
        ({"ActiveState": "activating", "SubState": "auto-restart-queued"}, math.inf),
        ({"ActiveState": "inactive", "Job": "12"}, 0.0),  # behind its database, which is not up yet
        ({"ActiveState": "inactive", "Job": "0"}, math.inf),
        ({"ActiveState": "failed"}, math.inf),
        ({}, math.inf),
    ],
)
@pytest.mark.usefixtures("site")
def test_how_long_ago_a_start_began(state: dict[str, str], age: float) -> None:
    assert show.age({"InactiveExitTimestampMonotonic": "7000000", **state}) == age
