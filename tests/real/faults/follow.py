"""Do what a remedy says, word by word: what stands in backquotes, in the order of its words, and nothing else.

How remedies are written says :mod:`slurmrest.doctor.remedies`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.real.clusters import LiveCluster

HEALED, BY_HAND, NOT_HEALED = "healed", "by hand", "not healed"
_NAMES = r"[\w.-]+(?:(?:, | and )[\w.-]+)*"
_PART = re.compile(rf"\b[Oo]n (?P<hosts>{_NAMES}): (?=`|[A-Z])|`(?P<typed>[^`]+)`")
_VARIABLE = re.compile(r"(?P<name>[a-z]\w*): (?P<value>\S.*)")


@dataclass(frozen=True)
class Step:
    """What is typed: a ``variable``, a ``playbook``, or for the ``shell`` of root on ``hosts``."""

    kind: str
    text: str
    hosts: Sequence[str] = ()


def steps(remedy: str, hosts: Sequence[str], nodes: Sequence[str]) -> Iterator[Step]:
    """Read a remedy.

    Args:
        remedy: its words.
        hosts: those of the finding.
        nodes: all there are; other words after *on* are no hosts.
    """
    here = hosts
    for part in _PART.finditer(remedy):
        if part["hosts"]:
            named = re.split(r", | and ", part["hosts"])
            here = named if set(named) <= set(nodes) else here
        elif part["typed"].startswith("ansible-playbook "):
            yield Step("playbook", part["typed"])
        elif _VARIABLE.fullmatch(part["typed"]):
            yield Step("variable", part["typed"])
        else:
            yield Step("shell", part["typed"], here)


@dataclass
class Course:
    """What following a remedy came to; ``said`` is what went wrong on the way."""

    outcome: str
    remedy: str = ""
    said: str = ""


def follow(live: LiveCluster, finding: dict[str, Any], nodes: Sequence[str]) -> Course:
    """Do it. The outcome is open (empty) until the doctor has looked again, unless a step fails or there is none."""
    todo = list(steps(finding["remedy"], finding["host"].split(", "), nodes))
    if not todo:
        assert finding["by_hand"], f"neither anything to type nor a reason: {finding['remedy']}"
        return Course(BY_HAND, finding["remedy"])
    for step in todo:
        said = take(live, step)
        if said:
            return Course(NOT_HEALED, finding["remedy"], f"{step.text}\n{said}")
    return Course("", finding["remedy"])


def take(live: LiveCluster, step: Step) -> str:
    """Take one step, and return what it says where it fails."""
    if step.kind == "variable":
        state(live, step.text)
        return ""
    if step.kind == "playbook":
        done = live.playbook(*shlex.split(step.text)[1:])
        return "" if done.status == 0 else done.output
    return "".join(live.failure(host, step.text) for host in step.hosts)


def state(live: LiveCluster, variable: str) -> None:
    """Write a variable into the cluster's inventory."""
    file = live.directory / "inventory" / "hosts.yml"
    data = yaml.safe_load(file.read_text())
    data["all"]["vars"].update(yaml.safe_load(variable))
    file.write_text(yaml.safe_dump(data, sort_keys=False))


@contextmanager
def same_inventory(live: LiveCluster) -> Iterator[None]:
    """Have the cluster's inventory afterwards as it was."""
    file = live.directory / "inventory" / "hosts.yml"
    before = file.read_text()
    try:
        yield
    finally:
        file.write_text(before)
