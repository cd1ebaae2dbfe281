"""Doing the checks, one after the other: what a host needs of a verification, whichever checks it is given."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..rest.client import ClientError, Target
from ..rest.session import Failed, Outcome, Session
from .check import Check
from .report import Report, Result

INSECURE = "--insecure: the certificate was not checked, so anybody on the way could have answered and read the tokens."

_NAMED = re.compile(r"(-u |systemctl \w+ )slurmrestd\b")
"""The service in the commands of a remedy."""


def ask(
    session: Session,
    targets: Sequence[Target],
    checks: Sequence[Check],
    gateways: Sequence[Target] = (),
    gateway_checks: Sequence[Check] = (),
) -> Report:
    """Do the checks against `targets`, and `gateway_checks` besides against those of them that are `gateways`.

    Checks of the cluster behind them go to the first target that answers, checks of a listener to each; the id of a
    check on another than the first target ends in ``@`` and the target.
    """
    begin = time.monotonic()
    first = [check for check in checks if check.id == "reach"]
    rest = [check for check in checks if check.id != "reach"]
    results = [result for target in targets for result in _on(session, target, targets[0], first)]
    main = next((target for target in targets if not session.failed("reach", target)), targets[0])
    results += _on(session, main, targets[0], rest)
    every = [check for check in rest if check.every_listener]
    results += [result for one in targets if one != main for result in _on(session, one, targets[0], every)]
    results += [result for one in gateways for result in _on(session, one, targets[0], gateway_checks)]
    return Report(
        targets[0].url,
        session.slurm_version,
        session.served.slurm,
        session.api_version,
        tuple(results),
        time.monotonic() - begin,
        session.requests,
        session.latency,
        (*_warnings(targets, session.context), *map(session.clean, session.warnings)),
    )


def _on(session: Session, target: Target, first: Target, checks: Sequence[Check]) -> Iterator[Result]:
    session.target = target
    suffix = "" if target == first else f"@{target}"
    for check in checks:
        result = _run(session, check)
        yield replace(result, id=check.id + suffix)


def _warnings(targets: Sequence[Target], context: ssl.SSLContext | None) -> Iterator[str]:
    if context is not None and context.verify_mode != ssl.CERT_REQUIRED and any(t.scheme == "https" for t in targets):
        yield INSECURE


def _run(session: Session, check: Check) -> Result:
    """One check: skip it when it cannot prove anything, run it, and keep what a report may say."""
    session.exchanges = []
    session.waited = 0.0
    if session.failed("reach"):
        outcome = Outcome(None, "nothing answers there (see reach)")
    elif check.needs_api and session.api_version is None:
        outcome = Outcome(None, "no API version is known (see api-versions)")
    elif check.needs_token and not session.passed("slurm-diag"):
        outcome = Outcome(None, "would prove nothing while a good token gets no good answer (see slurm-diag)")
    else:
        try:
            outcome = check.run(session)
        except Failed as failure:
            outcome = failure.outcome
        except ClientError as error:
            outcome = Outcome(False, error.message, error.cause, error.remedy or "", error.kind)
    session.outcomes[(check.id, session.target)] = outcome
    return Result(
        check.id,
        check.title,
        outcome.ok,
        round(session.waited, 3),
        session.clean(outcome.detail),
        session.clean(outcome.cause),
        _NAMED.sub(rf"\1{session.options.unit}", session.clean(outcome.remedy)),
        tuple(session.exchanges),
        outcome.cause_id,
        check.minor,
    )
