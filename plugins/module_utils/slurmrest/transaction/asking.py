"""Whether slurmrestd or a gateway answers, each probe of any kind."""

from __future__ import annotations

import time
from dataclasses import replace

from ..auth.bearer import TOKEN_HEADER, USER_HEADER
from ..errors import SlurmrestError
from ..host import programs
from ..host.programs import Run
from ..slurmrestd import drift, listeners, unit_places
from .ping import ping_error
from .probes import PROBE_TIMEOUT, Probe

REVISION_HEADER = "X-Slurmrest-Gateway"
"""In each answer of a gateway: the beginning of a hash of its configuration, which tells new workers from old ones."""

_UNSIGNED = "slurmrest.gateway.probe"
"""Of the form of a token, and nobody's: slurmrestd answers, and says no where it matters."""


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
        from ..rest.client import ClientError, Target, request  # noqa: PLC0415 - loading HTTP takes long, asking is rare
        from ..rest.tls import Tls  # noqa: PLC0415 - loading HTTP takes long, asking is rare

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
    return ping_error(probe, run, limit)


def _gateway_error(address: str, name: str, revision: str, *, limit: float) -> str | None:
    """None when a gateway's present configuration answers under its name, and a slurmrestd behind it."""
    from ..rest.client import ClientError, Target, request  # noqa: PLC0415 - as above
    from ..rest.tls import Tls  # noqa: PLC0415 - as above

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


def _left(deadline: float) -> float:
    return round(min(PROBE_TIMEOUT, max(deadline - time.monotonic(), 0.01)), 2)


def _running_error(unit: str, run: Run, limit: float) -> str | None:
    """None when the process is what our drop-in asks for; until systemd's child has become slurmrestd, not yet."""
    name, _, instance = unit.removesuffix(".service").partition("@")
    pid = run(["systemctl", "show", "-p", "MainPID", "--value", unit], limit=limit).stdout.strip()
    names, main = unit_places.unit_names(instance), int(pid) if pid.isdigit() else 0
    found = drift.look(names, main)
    if found and not any(item.setting == "program" for item in found):
        # The account may have been read before systemd's child became the daemon, and its command line after that.
        found = drift.look(names, main)
    if not found:
        return None
    words = f"{name} does not run as it should: {'; '.join(map(str, found))}"
    if any(item.setting == "program" for item in found):
        return words
    raise SlurmrestError(words, "Remove the lines that decide so (systemctl cat shows all), then deploy again.")
