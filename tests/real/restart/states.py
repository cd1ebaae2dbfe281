"""States in which a cluster works, and a restart or a reconfigure would take something away."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmrest_toolkit.images.suites import SUITES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.clusters import LiveCluster

NODE = "node1"
ALL = tuple(SUITES)
NEWER = ("24.11", "26.05")

WORKS = "for n in $(seq 100); do sacctmgr -n list cluster && scontrol ping && exit; sleep 0.2; done; exit 1"
ANEW = (
    "mariadb -e 'drop database slurm_acct_db; create database slurm_acct_db'; systemctl restart slurmdbd\n"
    "for n in $(seq 100); do sacctmgr -i add cluster slurmrest && exit; sleep 0.2; done; exit 1"
)
_BIN = "/usr/sbin/slurmctld"
_STATE = "/var/lib/slurm/slurmctld"
_PLUGIN = "$(find /usr/lib -name select_cons_tres.so*)"
_THIEF = "python3 -m http.server --bind 127.0.0.1 6899"


@dataclass(frozen=True)
class State:
    """One state: scripts of root that bring it about and mend it, and what a run says that stops for it.

    What is said is a pattern: a deployment's first look and the look before a restart have words of their own.
    """

    name: str
    script: str
    said: str
    undo: str
    releases: tuple[str, ...] = ALL

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


@contextmanager
def broken(live: LiveCluster, state: State) -> Iterator[None]:
    """Have a cluster in a state, and mend it afterwards."""
    live.ssh(NODE, f"set -e\n{state.script}")
    try:
        yield
    finally:
        live.ssh(NODE, f"{state.undo}\nsystemctl start slurmdbd slurmctld\n{WORKS}")


STATES = (
    State(
        "a pending job asks for a node that is gone",
        "scontrol create nodename=gone1 State=CLOUD CPUs=1 RealMemory=10 && "
        "sbatch --parsable --uid=alice --chdir=/tmp --output=/dev/null -w gone1 --wrap true && "
        "scontrol delete nodename=gone1",
        r"of alice \(asks for gone1\)",
        "scancel --user=alice",
    ),
    State(
        "a partition was changed with scontrol",
        "scontrol update partitionname=main MaxTime=60",
        "partition main has MaxTime=01:00:00",
        "scontrol update partitionname=main MaxTime=UNLIMITED",
    ),
    State(
        "a node was changed with scontrol",
        "scontrol update nodename=node1 Weight=7",
        "node node1 has Weight=7",
        "scontrol update nodename=node1 Weight=1",
    ),
    State(
        "a node of the cloud was created",
        "scontrol create nodename=cloud1 State=CLOUD CPUs=1 RealMemory=10",
        "node cloud1 was created",
        "scontrol delete nodename=cloud1",
        NEWER,  # 22.05 restores it without an address, too
    ),
    State(
        "a plugin is not there",
        f"mv {_PLUGIN} $(dirname {_PLUGIN})/select_cons_tres.so.away",
        "the plugin select/cons_tres is not there",
        f"file={_PLUGIN}; mv $file ${{file%.away}}",
    ),
    State(
        "a plugin that the release has no more is named",
        # Not with MaxNodeCount beside it, over which every command would end, and say so.
        "cp -p /etc/slurm/slurm.conf /root/\n"
        "sed -i 's#select/cons_tres#select/cons_res#; /^MaxNodeCount=/d' /etc/slurm/slurm.conf",
        "select/cons_res",
        "cp -p /root/slurm.conf /etc/slurm/",
        NEWER,
    ),
    State(
        "a script is not there",
        "cp -p /etc/slurm/slurm.conf /root/; echo JobSubmitPlugins=lua >> /etc/slurm/slurm.conf",
        "job_submit.lua is not there",
        "cp -p /root/slurm.conf /etc/slurm/",
    ),
    State(
        "a library is not there",
        "tar cPf /root/libjwt.tar /usr/lib/*/libjwt.so*; rm /usr/lib/*/libjwt.so*",
        "libjwt.so",
        "tar xPf /root/libjwt.tar",
    ),
    State("the program was renamed", f"mv {_BIN} {_BIN}.away", "removed", f"mv {_BIN}.away {_BIN}"),
    State(
        "the state may not be written",
        f"chown root {_STATE}; chmod 755 {_STATE}",
        "slurm may not write",
        f"chown slurm {_STATE}; chmod 700 {_STATE}",
    ),
    State(
        "the database lets slurmdbd in no more",
        "mariadb -e \"ALTER USER slurm@localhost IDENTIFIED BY 'another'\"",
        "database",
        'mariadb -e "ALTER USER slurm@localhost IDENTIFIED VIA unix_socket"',
    ),
    State(
        "another program has the port",
        f"cp -p /etc/slurm/slurmdbd.conf /root/; systemd-run --quiet --unit=port-thief {_THIEF}\n"
        "for n in $(seq 50); do ss -Hlnt 'sport = 6899' | grep -q . && break; sleep 0.1; done\n"
        "echo DbdPort=6899 >> /etc/slurm/slurmdbd.conf",
        "listens there|has port 6899, which is slurmdbd's",
        "cp -p /root/slurmdbd.conf /etc/slurm/; systemctl stop port-thief",
    ),
    State(
        "the database was made anew",
        "mariadb-dump --databases slurm_acct_db > /root/accounts.sql\n" + ANEW,
        "CLUSTER ID MISMATCH",
        "systemctl stop slurmdbd; mariadb < /root/accounts.sql; systemctl start slurmdbd",
        NEWER,
    ),
)
