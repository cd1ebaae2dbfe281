"""Run the shipped playbooks against a cluster, as a sysadmin would run them against hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from slurmrest_toolkit.collection import ROOT
from slurmrest_toolkit.support import processes
from slurmrest_toolkit.support.errors import ClusterFailedError
from slurmrest_toolkit.support.locks import make_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass
class Run:
    """What became of a run: how many tasks changed something, what failed where, and what modules reported."""

    changed: int = 0
    failures: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    reported: dict[str, Any] = field(default_factory=dict)


class PlaybookFailedError(ClusterFailedError):
    """A playbook failed; ``hosts`` are those where it did."""

    def __init__(self, message: str, hosts: Sequence[str]) -> None:
        super().__init__(message)
        self.hosts = hosts


def environment(descriptor: int) -> dict[str, str]:
    """Return Ansible's environment: the collection's ansible.cfg and our events, none of the user's own settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {
        **inherited,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
        "ANSIBLE_CALLBACKS_ENABLED": "slurmrest_events",
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "SLURMREST_EVENTS_FD": str(descriptor),
    }


def command(inventory: Path, playbooks: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the command line of a run."""
    paths = [str(ROOT / "playbooks" / name) for name in playbooks]
    return [sys.executable, "-P", "-m", "ansible", "playbook", "-i", str(inventory), *arguments, *paths]


def run(
    inventory: Path,
    playbooks: Sequence[str],
    log: Path,
    *,
    arguments: Sequence[str] = (),
    on_playbook: Callable[[str], None],
    on_task: Callable[[str], None],
) -> Run:
    """Run playbooks in one go; Ansible's own output is appended to ``log``.

    Args:
        inventory: the inventory file.
        playbooks: file names in ``playbooks/``.
        log: where the output goes.
        arguments: more arguments of ansible-playbook.
        on_playbook: called with the file name of each playbook as it begins.
        on_task: called with the name of each task as it begins.

    Raises:
        PlaybookFailedError: a task failed or a host could not be reached.
        ClusterFailedError: ansible-playbook could not run; the message has its last lines.
    """
    make_private(log.parent)
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, encoding="utf-8", errors="replace") as events,
        os.fdopen(writer, "wb") as ours,
        log.open("ab") as output,
        processes.started(
            command(inventory, playbooks, arguments),
            cwd=ROOT,
            env=environment(writer),
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
        ) as process,
    ):
        ours.close()
        result = follow(events, on_playbook, on_task)
        code = process.wait()
    if code and result.failures:
        raise PlaybookFailedError("\n".join(result.failures), result.hosts)
    if code:
        raise ClusterFailedError(f"ansible-playbook ended with exit code {code}:\n{tail(log, 12)}")
    return result


def follow(events: IO[str] | Iterable[str], on_playbook: Callable[[str], None], on_task: Callable[[str], None]) -> Run:
    """Read the events of a run until it ends."""
    result = Run()
    for line in events:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "playbook":
            on_playbook(event["name"])
        elif event["event"] == "task":
            on_task(event["name"])
        elif event["event"] == "result":
            result.reported.update(event["values"])
        elif event["event"] == "stats":
            result.changed = event["changed"]
        else:
            result.failures.append(f"{event['host']}, task '{event['task']}': {event['message']}")
            result.hosts.append(event["host"])
    return result


def tail(path: Path, count: int) -> str:
    """Return the last lines of a text file."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
