"""How remedies are written, so that people and programs follow the same words. Pure.

What stands in backquotes is typed as it stands, in this order: ``variable: value`` goes into the inventory,
``ansible-playbook …`` runs with that inventory, and all else is for a shell of root on the hosts of the finding, or on
those that ``on HOST:`` has named before it. A remedy without backquotes is for people; its rule says why.

What configurations say is SlurmUser's word where the file is his, as slurmdbd.conf is, and root types it: so it stands
there as one word (:func:`word`), and what is given to an account is not what its link leads to (:func:`given`).
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

from ..redaction import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .model import Cluster, Host

TYPED = re.compile(r"`([^`]+)`")
_ADDRESSED = re.compile(r"\b[Oo]n [\w.-]+(?:(?:, | and )[\w.-]+)*: (?=`|[A-Z])")
DEPLOY = "`ansible-playbook playbooks/deploy.yml`"
DEPLOY_RESTARTING = "`ansible-playbook playbooks/deploy.yml -e slurmrest_allow_controller_restart=true`"
"""Where what it writes counts after a restart of slurmctld or slurmdbd, which a deployment wants consent for."""

_EDIT = "sed -i --follow-symlinks"
_NEVER_TYPED = re.compile(rf"[`\t\r\n]|{CONTROL.pattern}")


def word(value: object) -> str:
    """A path, or a value of a configuration, as a shell takes it for one word, whatever it holds."""
    return shlex.quote(_NEVER_TYPED.sub("?", str(value)))


def given(path: str, account: str, mode: str) -> str:
    """Give a file or a directory to an account, which then sets its mode.

    In a directory of that account's a link may have taken its place since it was looked at, and root would follow it.
    """
    return f"chown -h {word(account)}: {word(path)}; runuser -u {word(account)} -- chmod {mode} {word(path)}"


WHOSE = "others than root could lead the way there elsewhere"
"""Why something is not opened for them to type."""


def opened(places: Iterable[Mapping[str, str]], unit: str) -> str:
    """Give everybody the rights that are missing, each place as :func:`.closed.closed` has it, and start a unit.

    For people where another account than root could lead the way there elsewhere.
    """
    there = list(places)
    if any(entry.get("led") for entry in there):
        names = ", ".join(entry["path"] for entry in there)
        return f"See whose {names} is before anything is opened: the way there is not root's alone. Then start {unit}."
    commands = dict.fromkeys(f"chmod a+{entry['missing']} {word(entry['path'])}" for entry in there)
    return f"`{'; '.join(commands)}`, then {start_again([unit])}"


def for_people(remedy: str) -> bool:
    """Whether nothing of it can be typed."""
    return TYPED.search(remedy) is None


def addressed(remedy: str) -> bool:
    """Whether some of it is for hosts that it names itself."""
    return _ADDRESSED.search(remedy) is not None


def on(names: Iterable[str], command: str) -> str:
    """A command for other hosts than those of the finding."""
    return f"on {' and '.join(dict.fromkeys(names))}: `{command}`"


def join(parts: Iterable[str]) -> str:
    """One remedy of several, each once."""
    return "; ".join(dict.fromkeys(filter(None, parts)))


def restart(cluster: Cluster, *daemons: str) -> str:
    """Restart daemons on all of their hosts, in this order."""
    steps: list[tuple[list[str], list[str]]] = []
    for daemon in daemons:
        there = cluster.role(daemon)
        names = [host.name for host in there]
        if steps and steps[-1][0] == names:
            steps[-1][1].append(there[0].service(daemon))
        elif there:
            steps.append((names, [there[0].service(daemon)]))
    return join(on(names, f"systemctl restart {' '.join(units)}") for names, units in steps)


def state_mark(host: Host) -> str:
    """The file by which slurmctld tells whose state it has; its place is slurm.conf's word, not that of a log."""
    return f"{host.facts['slurm_conf']['state_save_location']}/clustername"


def start_again(units: Sequence[str]) -> str:
    """Start units that may have ended too often for systemd."""
    names = " ".join(units)
    return f"`systemctl reset-failed {names}; systemctl restart {names}`" if names else ""


def begin(host: Host, daemon: str, *, again: bool = False) -> str:
    """Enable and start a daemon, a masked one too; `again` restarts one that may run."""
    name = host.service(daemon)
    first = f"{unmasked(name)}, then " if host.masked(daemon) else ""
    return first + (
        f"`systemctl enable {name}; systemctl restart {name}`" if again else f"`systemctl enable --now {name}`"
    )


def unmasked(name: str) -> str:
    """Take away a mask, also one until the next boot."""
    return f"`systemctl unmask {name}; systemctl unmask --runtime {name}`"


def without(places: Iterable[str]) -> str:
    """Take lines out of files; each place is ``file:line``."""
    files: dict[str, list[int]] = {}
    for place in places:
        path, _, number = place.rpartition(":")
        files.setdefault(path, []).append(int(number))
    commands = (
        f"{_EDIT} '{';'.join(f'{line}d' for line in sorted(set(lines)))}' {word(path)}" for path, lines in files.items()
    )
    return "; ".join(f"`{command}`" for command in commands)


def everywhere(cluster: Cluster, host: Host, conf: str, key: str, line: str) -> str:
    """Have another line, or with an empty one none, in every copy of a configuration that says the same of a key."""
    before = host.entry(conf, key)
    commands: dict[str, list[str]] = {}
    for other in cluster.hosts:
        now = other.entry(conf, key)
        if other["confs"].get(conf) is None or (now and now[0]) != (before and before[0]):
            continue
        if now is not None:
            path, _, number = now[1].rpartition(":")
            # sed reads \n and the like in what it writes.
            what = "{}c {}".format(number, line.replace("\\", r"\\")) if line else f"{number}d"
            command = f"{_EDIT} {word(what)} {word(path)}"
        else:
            command = f"printf '%s\\n' {word(line)} >> {word(other.facts[conf]['path'])}"
        commands.setdefault(command, []).append(other.name)
    return join(on(names, command) for command, names in commands.items())


def variables(stated: Mapping[str, object]) -> str:
    """Variables of the inventory, each to be written as it stands."""
    return ", ".join(
        f"`{name}: {value if isinstance(value, str) else json.dumps(value)}`" for name, value in stated.items()
    )
