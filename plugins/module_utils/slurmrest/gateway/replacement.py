"""The key of a gateway replaced: the cluster knows the new one before it signs, and the former until its tokens end.

How far that has come is told by the files of :mod:`.signing` alone, and the controllers are given the public half of
each of them: so a run goes on where another one ended, and a deployment meanwhile takes no key away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import SlurmrestError
from ..host import files, programs
from ..host.logins import IDENTITY_KEY_PATH, IDENTITY_SETTINGS, IDENTITY_SOCKET
from ..host.programs import Run
from ..login.settings import LoginSettings
from ..rest.client import ClientError, Target, request
from ..rest.key_trial import said_of
from . import signing
from .signing import Made

PATIENCE = 30.0
"""Seconds in which slurmctld has to be of another mind, and the identity service to sign with another key."""

_SERVE = "Run playbooks/deploy.yml and playbooks/gateway.yml, then this again."


@dataclass(frozen=True)
class KeyStanding:
    """How far it is: the kid that signs; whether a next key waits, or a former one is left.

    ``left`` is for how many seconds the last token of the former key is good, or of the one that still signs would be.
    """

    kid: str
    left: int
    waits: bool = False
    former: bool = False


def look() -> KeyStanding:
    """See how far it is. Raises SlurmrestError where the gateway does not sign with the key of its file."""
    key, kid = signing.present(), signing_kid()
    if key is None or key.public.kid != kid:
        held = f"holds {key.public.kid}" if key else "is missing"
        raise SlurmrestError(f"The identity service signs with {kid}, and {signing.KEY} {held}.", _SERVE)
    left, former = LoginSettings.load(IDENTITY_SETTINGS).token_seconds, os.path.exists(signing.FORMER)
    if former:
        # The change of its names: when the other one took its place.
        left = max(round(os.stat(signing.FORMER).st_ctime + left - time.time()), 0)
    return KeyStanding(kid, left, os.path.exists(signing.NEXT), former)


def signing_kid() -> str:
    """The key that the identity service signs with. Raises SlurmrestError where it does not say."""
    try:
        answer = request(Target.parse(f"unix:{IDENTITY_SOCKET}"), "GET", IDENTITY_KEY_PATH, headers={})
        if answer.status == 200:
            return str(answer.json()["kid"])
        words = f"status {answer.status}"
    except (ClientError, ValueError, KeyError, TypeError) as failure:
        words = str(failure)
    raise SlurmrestError(f"The identity service does not say which key it signs with: {words}", _SERVE)


def begin(account: str, *, check: bool = False, run: Run = programs.run) -> Made:
    """Have a next key, unless one waits or a former one is still left of another run."""
    if os.path.exists(signing.NEXT) or os.path.exists(signing.FORMER):
        return Made(changed=False, document=signing.document())
    if not check:
        signing.make(signing.NEXT, account, run)
    return Made(changed=True, document=signing.document())


def judge_next(hosts: Sequence[str], patience: float = PATIENCE) -> None:
    """Have slurmctld take the next key, where one waits. Raises SlurmrestError."""
    key = signing.present(signing.NEXT)
    if key is not None:
        _wait(lambda: said_of(key, hosts)[0], f"slurmctld does not take {key.public.kid}, the next key", patience)


def switch(patience: float = PATIENCE) -> bool:
    """Have the next key sign, where one waits. Raises SlurmrestError with the former one back in its place."""
    key = signing.present(signing.NEXT)
    if key is None:
        return False
    files.link_beside(signing.KEY, signing.FORMER)
    files.rename_beside(signing.NEXT, signing.KEY)
    try:
        _wait(lambda: _other_than(key.public.kid), "the identity service does not sign with the next key", patience)
    except SlurmrestError:
        back(switched=True)
        raise
    return True


def back(*, switched: bool) -> Made:
    """Have the key that signed before this run, and no other; ``switched`` says whether another one has its place."""
    if switched and os.path.exists(signing.FORMER):
        files.rename_beside(signing.FORMER, signing.KEY)
    files.remove(signing.NEXT, missing_ok=True)
    return Made(changed=True, document=signing.document())


def withdrawn() -> Made:
    """What controllers are to know from now on: all but the former key."""
    return Made(changed=False, document=signing.document(signing.FORMER))


def forget(hosts: Sequence[str], patience: float = PATIENCE) -> bool:
    """Remove the former key, once slurmctld refuses it and takes the other. Raises SlurmrestError."""
    former, key = signing.present(signing.FORMER), signing.present()
    if former is None or key is None:
        return False

    def problem() -> str:
        refused, answered = said_of(former, hosts)
        if answered and not refused:
            return f"{former.public.kid}, the former key, is still good"
        # A refusal counts where the same way leads to an acceptance.
        return said_of(key, hosts)[0]

    _wait(problem, "the former key is not withdrawn", patience)
    files.remove(signing.FORMER)
    return True


def _other_than(kid: str) -> str:
    found = signing_kid()
    return "" if found == kid else f"it signs with {found}"


def _wait(problem: Callable[[], str], what: str, patience: float) -> None:
    """Ask for a problem until there is none; SlurmrestError with its words at the end."""
    deadline = time.monotonic() + patience
    while True:
        words = problem()
        if not words:
            return
        if time.monotonic() > deadline:
            raise SlurmrestError(f"{what}: {words}")
        time.sleep(0.5)
