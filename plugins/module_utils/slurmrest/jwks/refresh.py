"""Have the key set of this host be what the issuers publish, and have the daemons load it; or leave all as it is.

This is what the role does at first and a systemd timer from then on. The set in place stays whatever goes wrong: an
issuer that does not answer, a set that is refused, a daemon that does not come up on the new one. Nothing restarts
unless the keys themselves changed.

slurmdbd loads a set when it starts only. So does slurmctld, but for releases that load it on reconfigure, too (column
``reconfigure_rereads_key``); a backup controller always restarts, since a reconfigure goes to the one in charge.

Who refreshes is alone meanwhile (:func:`alone`), from its look at the settings to the answers of the daemons: a
run of the timer that began with the former issuers would put their keys back where a playbook has just placed others.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..auth.jwks import KeySet
from ..auth.key_files import inspect
from ..auth.keys import refusals
from ..errors import InputError, SlurmrestError
from ..facts.detection import detect
from ..host import programs
from ..host.file_state import read_present
from ..host.files import remove
from ..host.lock import host_lock
from ..host.our_files import STATE_DIR
from ..host.programs import Run
from ..slurm.commands import RECONFIGURE, Slurm
from ..slurm.daemons import CONTROLLER
from ..slurm.releases import excerpt
from ..systemd.loaded_conf import of_host
from ..systemd.show import running
from ..systemd.systemctl import Systemd
from ..transaction.baseline import Baseline
from ..transaction.comparison import Applied
from ..transaction.restart_columns import COLUMNS
from ..transaction.restart_wiring import judges
from ..transaction.specs import ServiceSpec
from ..transaction.transaction import Transaction
from .comparison import TIMER, FetchedSet, noted, wanted
from .settings import RefreshSettings

DATABASE = "slurmdbd"
SET = "slurm_jwks-set"
"""Under which it is remembered what was there before the first set."""
LOCK = "lock-jwks"
PATIENCE = 600.0
"""Seconds for who is at work: issuers, and daemons that load the set, or do not and go back."""


@dataclass(frozen=True)
class Refreshed:
    """What became of it: the keys that are wanted, what was done, and what stands against loading them (``held``)."""

    keys: KeySet
    outcome: Applied
    held: str = ""


@contextlib.contextmanager
def alone(state_dir: str = STATE_DIR) -> Iterator[None]:
    """Be the only one who refreshes this host's set. Raises SlurmrestError when another is at work for too long."""
    with host_lock(state_dir, PATIENCE, LOCK):
        try:
            yield
        finally:
            remove(posixpath.join(state_dir, LOCK), missing_ok=True)  # nobody would do so after the timer has gone


def place(
    settings: RefreshSettings, file: str, *, check: bool = False, run: Run = programs.run, **how: Any
) -> tuple[Refreshed, Applied]:
    """Refresh, and have the timer's command refresh by the same settings from then on; or leave both as they were.

    Args:
        settings: what to have.
        file: where that command finds its settings.
        check: change nothing; say what would change.
        run: runs a program.
        how: the rest is as for :func:`refresh`.

    Raises:
        SlurmrestError: as :func:`refresh` does, and when another one refreshes for too long.
    """
    state_dir = how.setdefault("state_dir", STATE_DIR)
    timer = Transaction(
        TIMER, files=[noted(settings, file)], run=run, state_dir=state_dir, origin=Baseline(state_dir, run)
    )
    if check:
        return refresh(settings, check=True, run=run, **how), timer.apply(check=True)
    with alone(state_dir):
        told = timer.apply(hold=True)
        try:
            done = refresh(settings, run=run, **how)
        except SlurmrestError:
            timer.undo()
            raise
        timer.commit()
    return done, told


def refresh(
    settings: RefreshSettings,
    *,
    check: bool = False,
    consent: bool = True,
    run: Run = programs.run,
    state_dir: str = STATE_DIR,
    look: Callable[[Mapping[str, Any]], Mapping[str, Any]] = detect,
    fetched: FetchedSet | None = None,
) -> Refreshed:
    """Fetch, judge, compare, and where the keys differ: write, let the daemons load them, and wait for their answers.

    Args:
        settings: what to have.
        check: change nothing; say what would change.
        consent: whether daemons that have the former set in memory may be made to load the new one. Without it such a
            change is not made, and ``held`` says so.
        run: runs a program.
        state_dir: where lock and journal of this host are.
        look: gives the facts of this host.
        fetched: what the issuers said a moment ago; they are asked again only where the set was replaced since.

    Raises:
        JwksError: an issuer does not answer, or with what is refused.
        InputError: others may write where the set is, or SlurmUser may not read there.
        SlurmrestError: a file that a daemon would load, too, was edited since it started.
        TransactionFailed: a daemon did not come up on the new set, and the former one is back.
    """
    if fetched is None or not fetched.still(settings):
        fetched = FetchedSet.now(settings)
    keys = fetched.keys
    # The facts cost more than all the rest, and are needed only when something changes.
    plan = _transaction(settings, keys, (), run, state_dir)
    if not plan.unfinished() and not plan.apply(check=True).changed:
        return Refreshed(keys, Applied())
    facts = look({"slurm_conf": settings.slurm_conf})
    _judge_place(settings.path, facts["slurm_user"])
    daemons = _concerned(settings, facts, run)
    names = [daemon.name for daemon in daemons]
    if daemons and not consent:
        return Refreshed(keys, Applied(), f"{' and '.join(names)} would have to load the new keys")
    edited = of_host(facts, names, slurm=Slurm.of(facts, run), systemd=Systemd(run))
    if edited:
        files = "; ".join(map(str, edited.values()))
        raise SlurmrestError(
            f"The keys changed, and the former set stays: {files}, and loading keys would bring that edit into force.",
            "Look at it, have the daemon load it, and the next refresh goes on.",
        )
    if not check:
        # Not the daemons: they are not to restart when the set goes, since nobody reads it then.
        with host_lock(state_dir):
            Baseline(state_dir, run).remember(SET, files={settings.path: read_present(settings.path)})
    return Refreshed(keys, _transaction(settings, keys, daemons, run, state_dir).apply(check=check))


def _transaction(
    settings: RefreshSettings, keys: KeySet, daemons: Sequence[ServiceSpec], run: Run, state_dir: str
) -> Transaction:
    return Transaction(
        **wanted(settings, keys), services=daemons, run=run, state_dir=state_dir, judges=judges(excerpt(*COLUMNS))
    )


def _judge_place(path: str, reader: Mapping[str, Any] | None) -> None:
    """Public keys may be read by anyone; whoever can write there can be any user of the cluster."""
    if reader is None or not reader["exists"]:
        return
    reasons = refusals({**inspect(path), "exists": False}, reader)
    if reasons:
        raise InputError(
            "slurm_common_jwks_path", path, "a path that root or SlurmUser alone can change", "; ".join(reasons)
        )


def _concerned(settings: RefreshSettings, facts: Mapping[str, Any], run: Run) -> list[ServiceSpec]:
    """The daemons of this host that run on the set, as they are to load it."""
    systemd, slurm = Systemd(run), Slurm.of(facts, run)
    confs = {CONTROLLER: facts["slurm_conf"], DATABASE: facts["slurmdbd_conf"]}
    rereads = bool((facts["release"] or {}).get("reconfigure_rereads_key"))
    found = []
    for daemon in settings.daemons:
        conf = confs.get(daemon.name)
        if conf is None:
            raise InputError("daemons", daemon.name, ", ".join(confs))
        if running(systemd.show(daemon.name)) and conf["jwt"] and conf["jwks"] == settings.path:
            gently = daemon.name == CONTROLLER and rereads and settings.primary
            found.append(replace(daemon, state="if_running", instead=slurm.argv(*RECONFIGURE) if gently else ()))
    return found
