"""A token asked of scontrol."""

from __future__ import annotations

import re
from typing import Protocol

from ..errors import InputError, SlurmrestError
from ..host import programs
from ..host.programs import Done
from ..slurm.commands import Slurm
from . import bearer
from .token_line import token_in

PATIENCE = 30.0
"""Seconds that scontrol gets."""

_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$-]*\Z")


class AskScontrol(Protocol):
    """Runs scontrol with these words."""

    def __call__(self, *words: str) -> Done[str]:
        """As :func:`..host.programs.run`."""


class NoTokenError(SlurmrestError):
    """No token was to be had."""


def account(name: str) -> str:
    """The name of an account. InputError when it could mean something else to scontrol."""
    if not _ACCOUNT.match(name):
        raise InputError("--user", name, "the name of an account")
    return name


def made(user: str | None, lifespan: str, ask: AskScontrol) -> bearer.Token:
    """Ask slurmctld through scontrol, for oneself or (root and SlurmUser) for `user`.

    Args:
        user: whom the token is for.
        lifespan: seconds, or ``infinite`` where the release knows that.
        ask: runs scontrol with these words.

    Raises NoTokenError.
    """
    words = ["token", f"lifespan={lifespan}"]
    if user is not None:
        words.insert(1, f"username={account(user)}")
    done = answered(ask(*words))
    token = token_in(done)
    if not token:
        # Standard output may hold a token: only the error stream is shown.
        words_said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise NoTokenError(f"scontrol made no token: {words_said}.", _why_not(words_said, user))
    return bearer.Token(token)


def on_host(slurm: Slurm) -> AskScontrol:
    """How :func:`made` asks for one known cluster, whatever the login's environment says."""
    return lambda *words: slurm.ask("scontrol", *words, limit=PATIENCE)


def answered(done: Done[str]) -> Done[str]:
    """What scontrol gave. Raises NoTokenError where it is not there, or does not answer."""
    if done.returncode == programs.MISSING and not done.stdout:
        raise NoTokenError(
            "there is no scontrol on this host.",
            "Do this on a login host of the cluster, or give a token: --token-file FILE, SLURM_JWT, or one that "
            "slurmrest token --key-file FILE makes on the controller.",
        )
    if done.returncode == programs.TOO_SLOW:
        raise NoTokenError(
            f"scontrol did not answer within {PATIENCE:g} s.", "See whether slurmctld runs: scontrol ping"
        )
    return done


def _why_not(words: str, user: str | None) -> str:
    lower = words.lower()
    if "invalid user id" in lower or "permission denied" in lower:
        return (
            f"Only root and SlurmUser get a token for another user ({user})."
            if user
            else "The cluster may have disable_token_creation in AuthAltParameters: ask its staff for a token."
        )
    if "time limit" in lower:
        return "The cluster bounds the life of tokens (max_token_lifespan in AuthAltParameters): ask for fewer seconds."
    if "plugin" in lower or "fetching token" in lower:
        return "slurmctld has no AuthAltTypes=auth/jwt in slurm.conf, so there are no tokens on this cluster."
    return "See whether slurmctld runs: scontrol ping"
