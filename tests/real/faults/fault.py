"""What a fault is: a way to break a running cluster, and the one finding that the doctor must come to.

A script runs as root on ``on``, a role or a node. What it leaves behind is mended by restoring the files and
restarting ``restart`` and whatever does not run; ``undo`` is for anything else. Where the fault is
``privileged``, both go in through the container engine, with more rights than the node has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slurmrest_toolkit.images.suites import SUITES

ALL = tuple(SUITES)
BACKUP = "ctl2"
"""The backup controller in the layout of that name, which shares the primary's StateSaveLocation."""

PRELUDE = """
set -e
DROPINS=/etc/systemd/system/slurmrestd.service.d
DROPIN=$DROPINS/50-slurmrest.conf
DEFAULTS=/etc/default/slurmrestd
CONF=/etc/slurm/slurm.conf
DBD=/etc/slurm/slurmdbd.conf
KEY=/var/lib/slurm/jwt/jwt_hs256.key
again() { systemctl daemon-reload; for unit; do systemctl restart "$unit" || true; done; }
new_key() { head -c "$1" /dev/urandom > "$2.new"; chown slurm:slurm "$2.new"; chmod 0600 "$2.new"; mv "$2.new" "$2"; }
"""


@dataclass(frozen=True)
class Client:
    """A client's request that goes wrong; ``{api}`` in the path is the newest version that is served."""

    line: str = "GET /slurm/{api}/diag"
    user: str = "alice"
    token: str = "good"  # good, expired, forged, garbage or none
    owner: str = ""  # whose token it is where it is not the user's


@dataclass(frozen=True)
class Fault:
    """One fault. ``name`` is its test's id, ``text`` its line in the documentation."""

    name: str
    text: str
    expect: str  # empty: none, the cluster is sound
    script: str = ""
    also: tuple[str, ...] = ()  # findings of what else the script breaks
    on: str = "slurmrestd"  # several are separated by commas
    restart: tuple[str, ...] = ("slurmrestd",)
    undo: str = ""
    layout: str = "single"
    releases: tuple[str, ...] = ALL
    elsewhere: str = ""  # why it cannot happen on the other releases
    privileged: bool = False
    client: Client | None = field(default=None)
    in_log: bool = False  # the log of a daemon that runs tells it
    bounded: bool = False  # part of every test run

    def named_by(self, found: Sequence[str]) -> bool:
        """Whether these are its findings and no others."""
        return sorted(found) == sorted(filter(None, (self.expect, *self.also)))
