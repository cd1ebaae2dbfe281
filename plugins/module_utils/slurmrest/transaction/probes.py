"""Questions that tell whether a daemon answers: asked after a restart, repeated until the answer is good.

A probe is data, so that it can travel as a module parameter: ``{"listeners": [ADDRESS, …]}``,
``{"running": UNIT}``, ``{"command": [ARGV]}``, ``{"controller": [ARGV]}``, ``{"tcp": "HOST:PORT"}`` or
``{"gateway": [ADDRESS, NAME, REVISION]}``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..auth.bearer import TOKEN_HEADER, USER_HEADER
from ..errors import InputError, SlurmrestError
from ..host import programs
from ..host.programs import Run
from ..slurm.commands import states
from ..slurmrestd import listeners, running
from ..slurmrestd import unit as units

PROBE_TIMEOUT = 5.0
KINDS = ("listeners", "running", "command", "controller", "tcp", "gateway")
_FORMS = (
    "{listeners: [ADDRESS, …]}, {running: UNIT}, {command: [ARGV]}, {controller: [ARGV]}, {tcp: HOST:PORT} or "
    "{gateway: [ADDRESS, NAME, REVISION]}"
)

REVISION_HEADER = "X-Slurmrest-Gateway"
"""In each answer of a gateway: the beginning of a hash of its configuration, which tells new workers from old ones."""

_UNSIGNED = "slurmrest.gateway.probe"
"""Of the form of a token, and nobody's: slurmrestd answers, and says no where it matters."""


@dataclass(frozen=True)
class Probe:
    """One question. ``listeners`` are slurmrestd's: each must give an HTTP answer, which is 401 without a token.

    ``running`` is its unit: the process must do what our drop-in says. ``gateway`` must answer over TLS under its name,
    from the configuration of that revision, and reach a slurmrestd. ``controller`` is ``scontrol ping`` where there are
    several: the slurmctld of this host must be among those that answer.
    """

    kind: str
    target: tuple[str, ...]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Probe:
        """Read a probe from a module parameter; InputError when it is none of these forms."""
        if len(data) != 1 or next(iter(data)) not in KINDS:
            raise InputError("probe", dict(data), _FORMS)
        kind, value = next(iter(data.items()))
        target = tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else (str(value),)
        return cls(kind, target)


def probe_error(probe: Probe, run: Run = programs.run, limit: float = PROBE_TIMEOUT) -> str | None:
    """Ask once. None when the answer is good, otherwise why not.

    Args:
        probe: the question.
        run: runs a program.
        limit: seconds that all of it may take; a single HTTP request or connection never gets more than
            :data:`PROBE_TIMEOUT`.

    Raises SlurmrestError for an answer that no patience will change.
    """
    deadline = time.monotonic() + limit
    if probe.kind == "listeners":
        from ..rest.client import ClientError, Target, Tls, request  # noqa: PLC0415 - loading HTTP takes long, asking is rare

        try:
            for listener in map(listeners.parse, probe.target):
                # No secret is sent: whose certificate it is, is for the verification to see.
                context = Tls(insecure=True).context() if listener.is_tls else None
                request(Target.parse(listener.url), "GET", "/openapi/v3", timeout=_left(deadline), context=context)
        except ClientError as error:
            return str(error)
        return None
    if probe.kind == "gateway":
        return _gateway_error(*probe.target, limit=_left(deadline))
    if probe.kind == "running":
        return _running_error(probe.target[0], run, limit)
    if probe.kind == "tcp":
        host, _separator, port = probe.target[0].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _left(deadline)).close()
        except OSError as error:
            return f"{probe.target[0]}: {error}"
        return None
    done = run(probe.target, limit=limit)
    if probe.kind == "controller" and done.returncode == 0:
        return _controller_error(done.stdout)
    return None if done.returncode == 0 else programs.words(done)


def _gateway_error(address: str, name: str, revision: str, *, limit: float) -> str | None:
    """None when a gateway's present configuration answers under its name, and a slurmrestd behind it."""
    from ..rest.client import ClientError, Target, Tls, request  # noqa: PLC0415 - as above

    target = replace(Target.parse(listeners.parse(f"https://{address}").url), name=name)
    headers = {USER_HEADER: "nobody", TOKEN_HEADER: _UNSIGNED, "Host": name}
    try:
        # Whose certificate it is was judged before; here it must only be this server that answers.
        answer = request(
            target, "GET", "/openapi/v3", headers=headers, timeout=limit, context=Tls(insecure=True).context()
        )
    except ClientError as error:
        return str(error)
    if answer.headers.get(REVISION_HEADER.lower()) != revision:
        return f"{target} answers ({answer.status}), but not from the new configuration"
    if answer.status in (502, 503, 504):
        return f"{target} answers {answer.status}: no slurmrestd behind it gave an answer"
    return None


def _controller_error(ping: str, host: str = "") -> str | None:
    """None when the controller of this host answers, or is not known by its name."""
    own = (host or socket.gethostname()).partition(".")[0]
    mine = {who: state for who, state in states(ping).items() if who.split()[-1].partition(".")[0] == own}
    return None if not mine or "UP" in mine.values() else f"scontrol ping: {mine}"


def _left(deadline: float) -> float:
    return round(min(PROBE_TIMEOUT, max(deadline - time.monotonic(), 0.01)), 2)


def _running_error(unit: str, run: Run, limit: float) -> str | None:
    """None when the process is what our drop-in asks for; until systemd's child has become slurmrestd, not yet."""
    name, _, instance = unit.removesuffix(".service").partition("@")
    pid = run(["systemctl", "show", "-p", "MainPID", "--value", unit], limit=limit).stdout.strip()
    names, main = units.unit_names(instance), int(pid) if pid.isdigit() else 0
    found = running.look(names, main)
    if found and not any(item.setting == "program" for item in found):
        # The account may have been read before systemd's child became the daemon, and its command line after that.
        found = running.look(names, main)
    if not found:
        return None
    words = f"{name} does not run as it should: {'; '.join(map(str, found))}"
    if any(item.setting == "program" for item in found):
        return words
    raise SlurmrestError(words, "Remove the lines that decide so (systemctl cat shows all), then deploy again.")
