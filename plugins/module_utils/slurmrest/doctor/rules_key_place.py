"""Causes in the directories above the JWT key: others may replace it, or its reader does not get there."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from .model import Cluster, Rule, Sign
from .remedies import join, start_again
from .rules_keys import ANSWERS, JWT, KEY_FATALS, REFUSALS, each_key, key_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Key = Mapping[str, Any]

_CLOSED = "cannot be entered"
_IN_ORDER = ("slurmdbd", "slurmctld")


def _replaceable(cluster: Cluster) -> Iterator[Sign]:
    for host, _daemon, key in each_key(cluster):
        problems = [problem for problem in key["directory_problems"] if _CLOSED not in problem]
        if problems:
            yield Sign(
                host.name,
                "Who may write a directory above the key may put another key in its place.",
                [*problems, *key_words(host)],
                f"{_mended(key, problems)}, and a new key (playbooks/rotate_jwt_key.yml) where strangers could have "
                "read this one.",
            )


def _closed(cluster: Cluster) -> Iterator[Sign]:
    for host, _daemon, key in each_key(cluster):
        problems = [problem for problem in key["directory_problems"] if _CLOSED in problem]
        if problems:
            down = [daemon for daemon in _IN_ORDER if daemon in host.roles and host.down(daemon)]
            yield Sign(
                host.name,
                f"{key['reader']} does not get to the key: a directory above it is closed.",
                [*problems, *key_words(host)],
                join((_mended(key, problems), start_again(down))),
            )


def _mended(key: Key, problems: Sequence[str]) -> str:
    """What lets nobody but its reader in: the key's own directory is the reader's, those above are root's."""
    wrong = [path for path in (one["path"] for one in key["directories"]) if _named(path, problems)]
    own, reader = posixpath.dirname(key["real_path"]), key["reader"]
    return join(
        f"`chown {reader}: {path}; chmod 0700 {path}`"
        if path == own
        else f"`chown root: {path}; chmod {'a+x,' if _named(path, problems, _CLOSED) else ''}go-w {path}`"
        for path in wrong
    )


def _named(path: str, problems: Sequence[str], words: str = "") -> bool:
    return any(problem.startswith(f"{path} ") and words in problem for problem in problems)


RULES = (
    Rule("jwt-key-directory", "The JWT key can be replaced by others", JWT, _replaceable, ANSWERS, preflight=True),
    Rule(
        "jwt-key-closed",
        "SlurmUser does not get to the JWT key",
        JWT,
        _closed,
        (*REFUSALS, "jwt-key-missing", "jwt-key-owner"),
        fatals=KEY_FATALS,
        preflight=True,
    ),
)
