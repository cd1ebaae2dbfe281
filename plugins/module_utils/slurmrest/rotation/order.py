"""The order of a key rotation over all hosts, and the way back: pure decisions, with the hosts behind two functions.

The primary controller carries the decision. Its journal is written first and removed last, and a killed run is finished
by the next one when that journal says *decided*, otherwise undone. So while any host has a journal, the primary has
one, and every interruption ends with one key everywhere.

The hosts' steps are in :mod:`.host`, those of the REST host in :mod:`.acceptance`.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..errors import SlurmrestError
from ..slurm.daemons import CONTROLLER, DATABASE

QUIET_SECONDS = 30.0
"""A run whose last step ended longer ago than this has been killed: between two steps no run takes so long."""

WAITS = 10
"""How often another run is given that time to come to an end."""

DECIDED = "decided"
"""Phase of a run in the journal of who led it, once the new key was proven."""

FINISHED, UNDONE, ENDED = "finished", "undone", "ended"

BAR_SECONDS = 5.0
"""What the changeover may take."""

CONFIRM = "slurm_jwt_key_rotate_confirm"
CONSENT = "slurmrest_allow_controller_restart"
CLUSTERS = "slurm_jwt_key_rotate_clusters"

Look = Mapping[str, Any]
Call = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
"""``call(host, step, arguments)``: run a step on a host; SlurmrestError when it fails or the host is not reached."""

Watch = Callable[[str], Mapping[str, Any]]
"""``watch(step)``: sign, start, prove-old, prove-new or stop on the REST host; SlurmrestError when it fails."""

Alone = Callable[[Sequence[str]], "contextlib.AbstractContextManager[None]"]
"""``alone(hosts)``: while it lasts, slurmctld is stopped on these hosts."""


@dataclass(frozen=True)
class Step:
    """On one host: put the key in place if it is not yet, then have these daemons load it."""

    host: str
    daemons: tuple[str, ...]
    reconfigure: bool = False

    def __str__(self) -> str:
        actions = ["replace the key by rename"]
        for name in self.daemons:
            gently = self.reconfigure and name == CONTROLLER
            actions.append(f"reconfigure {name}" if gently else f"restart {name}")
        return f"{self.host}: {', '.join(actions)}"


@dataclass(frozen=True)
class RotationOptions:
    """What the person who runs it has said."""

    confirmed: bool = False
    consent: bool = False
    clusters: Sequence[str] = ()
    without: Sequence[str] = ()


class Refused(SlurmrestError):
    """Nothing was changed."""


class RotationFailed(SlurmrestError):
    """The new key does not hold; the message says what is in force now."""


# --- pure -------------------------------------------------------------------------------------------------------------


def plan(looks: Mapping[str, Look], primary: str) -> list[Step]:
    """The steps in order: other controllers, slurmdbd hosts (the first of the inventory last), the primary.

    `looks` is in the order of the inventory. Other controllers load the key before they stand by, so they are canaries;
    and since slurmdbd and the primary follow each other, their keys differ for a short time only. Neighbouring steps on
    one host become one.
    """
    databases = [host for host, look in reversed(list(looks.items())) if DATABASE in look["components"]]
    others = [host for host, look in looks.items() if CONTROLLER in look["components"] and host != primary]
    order = [*((host, CONTROLLER) for host in others), *((host, DATABASE) for host in databases), (primary, CONTROLLER)]
    steps: list[Step] = []
    for host, daemon in order:
        daemons = (daemon,) if daemon in looks[host]["active"] else ()
        gently = bool(looks[host]["reconfigure"]) and host == primary
        if steps and steps[-1].host == host:
            steps[-1] = Step(host, steps[-1].daemons + daemons, gently)
        else:
            steps.append(Step(host, daemons, gently))
    return steps


def standing_by(looks: Mapping[str, Look], primary: str) -> list[str]:
    """Who is to be stopped while the primary restarts, as requests wait for them; nobody where it is reconfigured."""
    if looks[primary]["reconfigure"]:
        return []
    return [host for host, look in looks.items() if CONTROLLER in look["active"] and host != primary]


def until_loaded(steps: Sequence[Step], backups: Sequence[str]) -> int:
    """How many of the steps it takes until these controllers have shown that they run on the new key."""
    return max((n for n, step in enumerate(steps, 1) if step.host in backups and CONTROLLER in step.daemons), default=0)


def warning(steps: Sequence[Step]) -> str:
    """What a rotation means for people, and what it would do."""
    lines = [f"  {number}. {step}" for number, step in enumerate(steps, start=1)]
    return "\n".join(
        [
            "A new key ends every outstanding token at once, those of users, portals, exporters and scripts: HS256",
            "has no overlap. In this order:",
            *lines,
            "slurmrestd holds no key and is left alone. Then a token of the old key must be refused and one of the new",
            "key accepted over HTTP; otherwise the old key comes back on every host.",
        ]
    )


def pending(looks: Mapping[str, Look]) -> list[str]:
    """The hosts on which an interrupted run left something: a journal, or a key that waits."""
    return [host for host, look in looks.items() if look["pending"] or look["next"]["exists"]]


def decided(looks: Mapping[str, Look], primary: str) -> bool:
    """Whether an interrupted run had already been proven, so that it is finished instead of undone.

    Another controller than `primary` may have led that run.
    """
    records = [looks[primary]["pending"], *(look["pending"] for look in looks.values())]
    return any(record["phase"] == DECIDED for record in records if record)


def ours(looks: Mapping[str, Look]) -> bool:
    """Whether this toolkit wrote the configuration of every daemon that would be restarted."""
    return all(look["ours"] for look in looks.values())


def problems(looks: Mapping[str, Look], primary: str, options: RotationOptions) -> list[str]:
    """Every reason to change nothing, but for the missing confirmation."""
    found = [problem for host, look in looks.items() for problem in _host_problems(host, look)]
    present = {host: look["key"]["proof"] for host, look in looks.items() if look["key"]["exists"]}
    different = [host for host, proof in present.items() if proof != present.get(primary, proof)]
    if different:
        found.append(
            f"the keys differ: {', '.join(different)} has another one than {primary}. Run playbooks/deploy.yml first"
        )
    found += _missing_hosts(looks, len(options.without))
    found += _cluster_problems(looks, primary, options)
    found += _primary_problems(looks, primary, options)
    if not options.consent and not ours(looks):
        found.append(
            f"{CONSENT}: false is refused: the daemons of a cluster that this toolkit did not make would be restarted"
        )
    return found


def _host_problems(host: str, look: Look) -> list[str]:
    found = []
    if not look["key"]["exists"]:
        found.append(f"{host}: there is no key {look['path']}. Run playbooks/deploy.yml first")
    found += [f"{host}: {reason}" for reason in look["key"]["refusals"]]
    if look["shared_filesystem"]:
        found.append(
            f"{host}: {look['path']} is on {look['shared_filesystem']}, which other hosts may mount; the key belongs "
            "on a local path of each host"
        )
    if look["copy"] and not look["pending"]:
        found.append(f"{host}: another run left a rollback copy of {look['path']}. Run playbooks/deploy.yml first")
    for daemon, path in look["configured"].items():
        if path != look["path"]:
            found.append(f"{host}: {daemon} loads {path or 'no HS256 key'} by its configuration, not {look['path']}")
    found += [f"{host}: {reason}" for reason in look["restart"]]
    for daemon, edit in look["newer"].items():
        found.append(f"{host}: {edit}, and must not come into force by accident. Have {daemon} load it yourself first")
    return found


def _missing_hosts(looks: Mapping[str, Look], without: int = 0) -> list[str]:
    """Hosts that a configuration names and this run does not have, by number: their names may differ from ours.

    So many controllers may be missing, because it was said that they are down for good.
    """
    found = []
    for look in looks.values():
        for daemon, named in look["named"].items():
            ours = [
                host
                for host, other in looks.items()
                if daemon in other["components"] and (daemon == DATABASE or other["cluster"] == look["cluster"])
            ]
            allowed = without if daemon == CONTROLLER else 0
            if len(named) - allowed > len(ours) > 0 or (named and not ours and daemon == DATABASE):
                found.append(
                    f"{daemon} runs on {', '.join(named)} by the configuration, but of these only "
                    f"{', '.join(ours) or 'none'} is in the group {daemon}: the others would keep the old key"
                )
    return list(dict.fromkeys(found))


def _cluster_problems(looks: Mapping[str, Look], primary: str, options: RotationOptions) -> list[str]:
    """Clusters that share slurmdbd share its one HS256 key: rotated together, or not at all."""
    led = [str(look["cluster"]).lower() for look in looks.values() if CONTROLLER in look["components"]]
    own = str(looks[primary]["cluster"]).lower()
    others = {name: host for name, host in looks[primary]["clusters"].items() if name.lower() != own}
    unconfirmed = [name for name in others if name.lower() not in map(str.lower, options.clusters)]
    found = []
    if unconfirmed:
        found.append(
            f"slurmdbd also serves {', '.join(unconfirmed)}, which therefore use the same key. Have all their "
            f"controllers in the group slurmctld and name the clusters in {CLUSTERS}; name those, too, that are gone"
        )
    alive = [
        f"{name} (slurmctld on {host})"
        for name, host in others.items()
        if host and name not in unconfirmed and name.lower() not in led
    ]
    if alive:
        found.append(
            f"{', '.join(alive)} would be left with the old key: slurmdbd is connected to a controller there, and none "
            "of that cluster is in the group slurmctld"
        )
    return found


def _primary_problems(looks: Mapping[str, Look], primary: str, options: RotationOptions) -> list[str]:
    """Whether who leads is in charge: the first controller of the inventory, or another one while that is down."""
    states, first = looks[primary]["controllers"], next(host for host in looks if _controls(looks[host]))
    down = [who for who, state in states.items() if who.startswith("primary") and state != "UP"]
    if (
        CONTROLLER not in looks[primary]["active"]
        or (down and primary == first and not options.without)
        or "UP" not in states.values()
    ):
        return [f"{primary}: slurmctld does not answer as the one in charge (scontrol ping: {states or 'nothing'})"]
    return []


def _controls(look: Look) -> bool:
    return CONTROLLER in look["components"]


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass
class Conductor:
    """One run. `looks` are all hosts with the key, in the order of the inventory; `say` shows a line to people."""

    looks: dict[str, Look]
    primary: str
    call: Call
    watch: Watch
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    without: Sequence[str] = ()
    alone: Alone = lambda _stand_by: contextlib.nullcontext()
    rotation: str = field(default_factory=lambda: secrets.token_hex(8))
    switched: bool = False  # the slurmctld that leads

    def prepare(self, options: RotationOptions, *, check: bool) -> dict[str, Any]:
        """Repair what an interrupted run left, judge, and say what will happen.

        Returns ``repaired`` (None, or what :meth:`repair` says), ``plan``, and ``refused``: what a real run refuses.
        Raises Refused; with `check` only where no variable could help.
        """
        steps = plan(self.looks, self.primary)
        missing = [] if options.confirmed else [f"{CONFIRM}: false is refused.\n{warning(steps)}"]
        if missing and not check:
            raise Refused(missing[0], f"Say that you want this: {CONFIRM}=true.")
        repaired = None
        if pending(self.looks):
            if check:
                self.say(self._would_repair())
                return {"repaired": "would", "plan": list(map(str, steps)), "refused": missing}
            if not options.consent and not ours(self.looks):
                raise Refused(f"{CONSENT}: false is refused: an interrupted rotation has to be repaired by restarts.")
            repaired = self.repair()
        if repaired in (None, UNDONE):
            found = problems(self.looks, self.primary, options)
            if found:
                raise Refused("The rotation is refused, nothing was changed:\n- " + "\n- ".join(found))
            self.say(warning(steps) if options.confirmed else f"A real run refuses: {missing[0]}")
        return {"repaired": repaired, "plan": list(map(str, steps)), "refused": missing}

    def rotate(self) -> dict[str, Any]:
        """Switch every daemon to the waiting key, prove it, and keep it; or bring the old one back everywhere.

        Returns the measurement and the seconds of each step. Raises Refused when the waiting keys are not alike, and
        RotationFailed after a rollback.
        """
        self._judge_waiting()
        steps = plan(self.looks, self.primary)
        try:
            self.watch("sign")
            self.watch("start")
        except SlurmrestError as error:
            raise Refused(self._unstaged("The service does not answer as it should", [str(error)])) from error
        times: dict[str, float] = {}
        try:
            self.call(self.primary, "begin", {"rotation": self.rotation})
            backups = standing_by(self.looks, self.primary)
            first = until_loaded(steps, backups)
            for step in steps[:first]:
                times[str(step)] = self._switch(step)
            with self.alone(backups):
                for step in steps[first:]:
                    times[str(step)] = self._switch(step)
            self.say("Proving over HTTP that a token of the old key is refused and one of the new key accepted")
            proof = self.watch("prove-new")
        except SlurmrestError as error:
            raise self._rolled_back(error) from error
        measured = self._measured()
        try:
            self.call(self.primary, "decide", {"rotation": self.rotation})
        except SlurmrestError as error:
            # Whether it was noted is not known, so nothing may be undone that the next run would then call finished.
            raise RotationFailed(
                f"The new key is in force and proven, but {self.primary} could not note it: {error}",
                "Run this again when the cause is gone: it finishes, or goes back and says so.",
            ) from error
        self._keep()
        return {"proof": dict(proof), "steps": times, **measured}

    def _switch(self, step: Step) -> float:
        """Do one step; returns its seconds."""
        self.say(str(step))
        begin = time.monotonic()
        what = {"rotation": self.rotation, "daemons": list(step.daemons), "reconfigure": step.reconfigure}
        self.call(step.host, "switch", what)
        self.switched = self.switched or (step.host == self.primary and CONTROLLER in step.daemons)
        return round(time.monotonic() - begin, 3)

    # -- going back and forth -----------------------------------------------------------------------------------------

    def repair(self) -> str:
        """Finish or undo what an interrupted run left.

        Returns :data:`FINISHED`, :data:`UNDONE`, or :data:`ENDED` when that run came to its end while it was waited
        for: what a killed run had begun goes on on the hosts, and sometimes on the controller, too.
        """
        self._wait_for_quiet()
        if not pending(self.looks):
            self.say("The run that was at work has come to its end meanwhile: no new one is begun")
            self.watch("sign")
            self.watch("prove-old")
            return ENDED
        if decided(self.looks, self.primary):
            self.say("An interrupted rotation had been proven: finishing it, the new key stays")
            self._keep()
            self.watch("sign")
            self.watch("prove-old")  # the key in force is now the only one
            return FINISHED
        hosts = ", ".join(pending(self.looks))
        self.say(f"An interrupted rotation is undone first, the old key comes back (it had got to {hosts})")
        left = self._undo()
        if left:
            raise RotationFailed("An interrupted rotation could not be undone everywhere: " + "; ".join(left))
        self.watch("sign")
        self.watch("prove-old")
        self._look_again()
        return UNDONE

    def _would_repair(self) -> str:
        where = ", ".join(pending(self.looks))
        if decided(self.looks, self.primary):
            return f"An interrupted rotation would be finished first (left on {where}), and no new one begun"
        return f"An interrupted rotation would be undone first (left on {where}), then a new one begun"

    def _wait_for_quiet(self) -> None:
        """Return once the run that left the journals can no longer be alive. Raises Refused when it goes on."""
        for _ in range(WAITS):
            idle = self._idle()
            if idle is None or idle >= QUIET_SECONDS:
                return
            wait = QUIET_SECONDS - idle
            self.say(f"A rotation was at work {idle:.0f} s ago: waiting {wait:.0f} s to see whether it still is")
            self.sleep(wait)
            self._look_again()
        raise Refused("Another rotation of this key is under way.", "Wait for its end.")

    def _idle(self) -> float | None:
        """Seconds since the last step of the run that left the journals; None without one."""
        return min((look["idle"] for look in self.looks.values() if look["pending"]), default=None)

    def _look_again(self) -> None:
        nonce = secrets.token_hex(16)
        for host in self.looks:
            self.looks[host] = {**self.looks[host], **self.call(host, "look", {"nonce": nonce})}

    def _judge_waiting(self) -> None:
        proofs = {look["next"]["proof"] for look in self.looks.values()}
        reasons = [
            f"{host}: {reason}"
            for host, look in self.looks.items()
            for reason in look["next"]["refusals"] or ([] if look["next"]["exists"] else ["the new key is not there"])
        ]
        if len(proofs) > 1:
            reasons.append("the new keys differ between the hosts")
        if self.looks[self.primary]["next"]["proof"] == self.looks[self.primary]["key"]["proof"]:
            reasons.append("the new key is the old one (slurm_jwt_key_supplied: give another file)")
        if reasons:
            raise Refused(self._unstaged("The new key is refused", reasons))

    def _unstaged(self, what: str, reasons: Sequence[str]) -> str:
        """Remove the waiting keys; returns the message."""
        return f"{what}, and the old key stays:\n- " + "\n- ".join([*reasons, *self._undo()])

    def _rolled_back(self, error: SlurmrestError) -> RotationFailed:
        """Bring the old key back on every host, prove it, and say so."""
        self.say(f"{error}\nBringing the old key back everywhere")
        left = self._undo()
        try:
            proof = ", ".join(self.watch("prove-old"))
            now = f"proven over HTTP on {proof}: a token of the old key is accepted, one of the new key refused"
        except SlurmrestError as failure:
            left.append(str(failure))
            now = "NOT proven over HTTP"
        measured = self._measured()
        where = f"on every host ({now})" if not left else f"but not everywhere ({now}):\n- " + "\n- ".join(left)
        gaps = measured.get("gap") or {}
        return RotationFailed(
            f"The rotation failed: {error}\nThe old key is back {where}.\n"
            f"Longest time without an accepted token: {', '.join(f'{k} {v} s' for k, v in gaps.items()) or 'unknown'}."
            + ("\nRun this again when the cause is gone." if left else "")
        )

    def _undo(self) -> list[str]:
        """Undo on every host, the primary last; returns what did not work. Where nothing was begun it is a no-op."""
        left: list[str] = []
        for host in dict.fromkeys(step.host for step in plan(self.looks, self.primary) if step.host != self.primary):
            left += self._try(host, "undo", {"reconfigure": False})
        loaded = self.switched or CONTROLLER in (self.looks[self.primary]["pending"] or {}).get("touched", ())
        with self.alone(standing_by(self.looks, self.primary) if loaded else ()):
            left += self._try(self.primary, "undo", {"reconfigure": bool(self.looks[self.primary]["reconfigure"])})
        return left

    def _keep(self) -> None:
        """Forget the old key everywhere, on the primary last. RotationFailed names the hosts where it still is."""
        left: list[str] = []
        # Whose journal says that it was decided goes last, also where it led the run before this one.
        last = {host: None for host, look in self.looks.items() if (look["pending"] or {}).get("phase") == DECIDED}
        last[self.primary] = None
        for host in [*(host for host in self.looks if host not in last), *last]:
            if host not in last or not left:
                left += self._try(host, "keep", {"without": list(self.without)})
        if left:
            raise RotationFailed(
                "The new key is in force everywhere, but copies of the old one are left: " + "; ".join(left),
                "Run this again when the cause is gone: it finishes.",
            )

    def _try(self, host: str, step: str, arguments: Mapping[str, Any]) -> list[str]:
        """Run a step; the problem it had, if any."""
        try:
            self.call(host, step, arguments)
        except SlurmrestError as error:
            return [f"{host}: {error}"]
        return []

    def _measured(self) -> dict[str, Any]:
        """The measurement, or an empty one with the reason: losing it is no reason to fail."""
        try:
            return dict(self.watch("stop"))
        except SlurmrestError as error:
            self.say(f"Not measured: {error}")
            return {"gap": {}, "changeover": None, "requests": 0, "refused": 0}
