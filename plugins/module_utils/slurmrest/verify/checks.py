"""The checks of what is served. Each asks through a session and says what it found; see :class:`.check.Check`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..rest import answers
from ..rest.causes import Cause
from ..rest.client import ClientError
from ..rest.contents import controllers
from ..rest.session import NONE, OPENAPI, Failed, Outcome, Session, payload_of
from .check import Check

_NO_PING = Cause(
    "slurmctld-down",
    "slurmctld is down there, or cannot be reached from the host of slurmrestd",
    "On the controller: systemctl status slurmctld; journalctl -u slurmctld",
)


_UNKNOWN_VERSION = Cause(
    "no-slurmctld-plugin",
    "something other than a slurmrestd that is known answers, or only with versions of its API that are very old",
    "See what listens there, and -s and -d in the options of slurmrestd.",
)

TAKEOVER = "takeover"
"""Id of the cause that no controller is in charge while one of them answers."""


def _reach(session: Session) -> Outcome:
    response = session.ask(OPENAPI, NONE)
    server = "" if session.target.scheme == "unix" else f" at {session.target.host} port {session.target.port}"
    tls = f", {response.tls}" if response.tls else ""
    return Outcome(True, f"HTTP answers{server} (status {response.status}){tls}")


def _api_versions(session: Session) -> Outcome:
    """Which versions the daemon's own document lists; also settles which one the other checks use."""
    wanted = session.options.api_version
    session.api_version = wanted
    session.served = answers.served_versions(session.good(OPENAPI))
    served = session.served.slurm
    if not served:
        raise Failed(
            "the OpenAPI document lists no path below /slurm/",
            Cause(
                "no-slurmctld-plugin",
                "the plugin for slurmctld is not loaded, or something other than slurmrestd answers",
                "See -s in the options of slurmrestd (openapi/slurmctld, or openapi/v0.0.NN on old releases).",
            ),
        )
    if wanted is not None and wanted not in served:
        session.api_version = None
        raise Failed(
            f"{wanted} is not served; served: {' '.join(served)}",
            Cause(
                "not-served",
                "this release does not know the version, or -s or -d in the options of slurmrestd leaves it out",
                f"Use one of {' '.join(served)}.",
            ),
        )
    session.api_version = wanted or served[-1]
    try:
        session.assume(served)
        _ = session.api
    except InputError as error:
        session.api_version = None
        raise Failed(f"{served[-1]} is served, which nobody knows: {error.message}", _UNKNOWN_VERSION) from None
    with session.aside(), contextlib.suppress(ClientError):
        # First of all: as long as no controller is in charge, what needs one is waited for in vain.
        session.controllers = controllers(payload_of(session.ask(session.url("ping"))), session.api)
    with session.aside(), contextlib.suppress(ClientError):
        session.learn_version(payload_of(session.ask(session.url("diag"))))
    return Outcome(True, _versions_detail(session))


def _slurm_diag(session: Session) -> Outcome:
    if session.silent and any(found.cause_id == TAKEOVER for found in session.outcomes.values()):
        return Outcome(None, "no controller is in charge (see slurm-diag)")
    try:
        payload = session.good(session.url("diag"))
    except (ClientError, Failed) as error:
        if not session.silent:
            raise
        words = error.message if isinstance(error, ClientError) else error.outcome.detail
        raise Failed(words, _takeover(session)) from error
    return Outcome(True, f"200, no errors, {_statistics(payload, 'slurmctld')} statistics")


def _slurmdb_diag(session: Session) -> Outcome:
    if session.options.accounting is False:
        return Outcome(None, "skipped as asked: no accounting")
    if not session.served.slurmdb:
        if session.options.accounting is None:
            return Outcome(None, "slurmrestd serves nothing below /slurmdb/: no accounting")
        raise Failed(
            "slurmrestd serves nothing below /slurmdb/",
            Cause(
                "no-slurmdbd-plugin",
                "the plugin for slurmdbd is not loaded",
                "See AccountingStorageType in slurm.conf, and -s in the options of slurmrestd.",
            ),
        )
    try:
        payload = session.good(session.url("diag", "slurmdb"), "slurmdbd")
    except Failed as failure:
        last = session.exchanges[-1].status
        if last == session.release.plain_user_dbd_diag_status and _privilege_may_be_the_cause(failure):
            session.good(session.url("clusters", "slurmdb"), "slurmdbd")
            return Outcome(
                None,
                "slurmdbd answers (clusters: 200), but only an administrator may see its statistics, "
                f"not {session.credentials.user}",
                remedy="Use a token of root, SlurmUser or a Slurm administrator.",
            )
        raise
    return Outcome(True, f"200, no errors, {_statistics(payload, 'slurmdbd')} statistics")


def _ping(session: Session) -> Outcome:
    """Of several controllers one is enough, which is a warning: the cluster works."""
    found = controllers(session.good(session.url("ping")), session.api)
    up, down = ([host for host, answers_there in found if answers_there is wanted] for wanted in (True, False))
    if not found or (down and not (up and session.passed("slurm-diag"))):
        raise Failed(
            f"200, but no answer from slurmctld on {', '.join(down)}" if down else "200, but no controller is listed",
            session.cause_of("slurm-diag", _NO_PING),
        )
    if down:
        session.warnings.append(_degraded(found[0][0], up[0], down))
        return Outcome(True, f"slurmctld answers on {', '.join(up)}, which is enough, and not on {', '.join(down)}")
    return Outcome(True, f"slurmctld answers on {', '.join(up)}")


def _degraded(primary: str, leader: str, down: Sequence[str]) -> str:
    """Which controller is in charge while others are down: the first of those that answer."""
    if primary in down:
        return f"{leader} is in charge: the primary controller {primary} does not answer."
    return f"{leader} is in charge, and nothing takes over from it: {', '.join(down)} does not answer."


def _takeover(session: Session) -> Cause:
    down = ", ".join(session.silent)
    up = ", ".join(host for host, answering in session.controllers if answering)
    return Cause(
        TAKEOVER,
        f"no controller is in charge: {down} does not answer, and {up} has not taken over (yet)",
        "Wait for SlurmctldTimeout (slurm.conf) from when it was lost, then ask again. On a controller: scontrol ping; "
        f"journalctl -u slurmctld. What {up} takes over from has to be on a StateSaveLocation that all of them share.",
    )


def _nodes(session: Session) -> Outcome:
    return _listed(session, "nodes", "node", "PrivateData=nodes")


def _partitions(session: Session) -> Outcome:
    return _listed(session, "partitions", "partition", "PrivateData=partitions")


def _users(session: Session) -> Outcome:
    if session.options.accounting is False or not session.served.slurmdb:
        return Outcome(None, "no accounting: slurmdbd keeps the users")
    if session.failed("slurmdb-diag"):
        return Outcome(None, "would prove nothing while slurmdbd gives no good answer (see slurmdb-diag)")
    found = _listed(session, "users", "user", "PrivateData=users", "slurmdb")
    return found if found.ok else _listed(session, "associations", "association", "PrivateData=users", "slurmdb")


def _listed(session: Session, endpoint: str, noun: str, private: str, family: str = "slurm") -> Outcome:
    payload = session.good(session.url(endpoint, family), "slurmdbd" if family == "slurmdb" else "slurmctld")
    found = answers.objects(payload.get(endpoint))
    if not found:
        return Outcome(
            None, f"no {noun} is visible to {session.credentials.user}: none is defined, or {private} hides them"
        )
    names = list(dict.fromkeys(answers.text(item.get("name") or item.get("user")) or "?" for item in found))
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return Outcome(True, f"{len(found)} {noun}{'' if len(found) == 1 else 's'}: {shown}")


def _statistics(payload: Mapping[str, Any], daemon: str) -> int:
    statistics = payload.get("statistics")
    if not isinstance(statistics, dict) or not statistics:
        raise Failed(
            "200, but statistics is missing or empty",
            Cause(
                "no-statistics",
                f"slurmrestd did not get an answer from {daemon}, although it says 200",
                f"See what {daemon} says: journalctl -u {daemon} -u slurmrestd",
            ),
        )
    return len(statistics)


def _privilege_may_be_the_cause(failure: Failed) -> bool:
    """Whether the words say so, or say nothing that names another cause (old releases do not tell)."""
    words = failure.outcome.detail.lower()
    return "permission" in words or "privilege" in words or "unspecified" in words or "query" in words


def _versions_detail(session: Session) -> str:
    served, release = session.served.slurm, session.release
    parts = [f"{' '.join(served)}; checked with {session.api_version}"]
    if session.slurm_version is None:
        parts.append("the daemon does not name its Slurm version")
    missing = [name for name in release.api_versions if name not in served]
    unknown = [name for name in served if name not in release.api_versions]
    going = [name for name in served if name in release.deprecated_api]
    if missing:
        parts.append(f"{' '.join(missing)} of {release.series} left out by the options of slurmrestd")
    if unknown:
        parts.append(f"{' '.join(unknown)} not known of {release.series}")
    if going:
        parts.append(f"{' '.join(going)} goes with the next upgrade")
    if session.unlisted:
        parts.append(session.unlisted)
    return "; ".join(parts)


LISTENERS: tuple[Check, ...] = (
    Check("reach", "the listener answers in HTTP", _reach, needs_api=False, every_listener=True),
)
"""What can be asked without a token."""

FIRST: tuple[Check, ...] = (
    *LISTENERS,
    Check("api-versions", "the OpenAPI document lists API versions", _api_versions, needs_api=False),
    Check("slurm-diag", "a good token reaches slurmctld", _slurm_diag, every_listener=True),
)
"""What all others build on."""

CHECKS: tuple[Check, ...] = (
    *FIRST,
    Check("slurmdb-diag", "a good token reaches slurmdbd", _slurmdb_diag),
    Check("ping", "slurmctld answers", _ping),
    Check("nodes", "nodes can be listed", _nodes, needs_token=True),
    Check("partitions", "partitions can be listed", _partitions, needs_token=True),
    Check("users", "users or associations can be listed", _users, needs_token=True),
)
