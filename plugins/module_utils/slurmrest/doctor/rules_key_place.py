"""Causes in the place of the JWT key: others may replace it, its reader does not get there, or it is no file."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from .model import CONFS, Cluster, Rule, Sign
from .named_keys import ASKED, ROLE, UNKNOWN, mended, of_root, seen
from .remedies import given, join, start_again, word
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
                "read this one."
                if of_root(cluster, key)
                else UNKNOWN,
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
                join((_mended(key, problems), start_again(down))) if of_root(cluster, key) else UNKNOWN,
            )


def _mended(key: Key, problems: Sequence[str]) -> str:
    """What lets nobody but its reader in, from the top: its own directory stays the reader's, all else is root's.

    A directory that is not the reader's may have other things in it, which were not his.
    """
    own = {"path": posixpath.dirname(key["real_path"]), "uid": key["reader_uid"]}
    return join(
        f"`{given(one['path'], key['reader'], '0700')}`"
        if own.items() <= one.items()
        else f"`chown root: {word(one['path'])}; chmod {_entered(one['path'], problems)}go-w {word(one['path'])}`"
        for one in reversed(key["directories"])
        if _named(one["path"], problems)
    )


def _entered(path: str, problems: Sequence[str]) -> str:
    return "a+x," if _named(path, problems, _CLOSED) else ""


def _named(path: str, problems: Sequence[str], words: str = "") -> bool:
    return any(problem.startswith(f"{path} ") and words in problem for problem in problems)


def _no_file(cluster: Cluster) -> Iterator[Sign]:
    """A directory, a pipe or a device where the key should be, whatever else could be seen of it."""
    for host in cluster.hosts:
        for daemon, key in {key["path"]: (daemon, key) for daemon, key in host["keys"].items()}.values():
            if key.get("exists") and key.get("regular") is False:
                yield Sign(
                    host.name,
                    "What is in the place of the JWT key is no file (a directory, a pipe or a device), and the "
                    "daemons read none there.",
                    [f"{seen(key)}, no regular file", host.line(CONFS[daemon], "AuthAltParameters"), *key_words(host)],
                    mended(
                        cluster,
                        key,
                        f"`mv -T {{path}} {{path}}.no-key`, then {ROLE} makes or copies a key, then {{again}}; "
                        "where a key is in that directory, name that one in AuthAltParameters instead.",
                    ),
                )


RULES = (
    Rule(
        "jwt-key-no-file",
        "The JWT key is no file",
        JWT,
        _no_file,
        explains=(*REFUSALS, "jwt-key-open", "jwt-key-owner", "jwt-key-short", "jwt-key-empty", "jwt-key-not-loaded"),
        fatals=KEY_FATALS,
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-key-directory",
        "The JWT key can be replaced by others",
        JWT,
        _replaceable,
        explains=ANSWERS,
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-key-closed",
        "SlurmUser does not get to the JWT key",
        JWT,
        _closed,
        explains=(*REFUSALS, "jwt-key-missing", "jwt-key-owner"),
        fatals=KEY_FATALS,
        preflight=True,
        by_hand=ASKED,
    ),
)
