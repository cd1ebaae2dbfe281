"""Proof, by request, that a slurmrestd works: reachable, answers filled, bad tokens refused, jobs run.

The checks are records in ``checks.py`` that ask through a ``Session``; the engine here runs them, adds the time, the
requests made and the reason for skipping. What is not proven is ``skipped`` with the reason, never passed: ``ok`` is
True, False, or None for skipped.

Expectations that differ between releases come from the release table, by the version that the daemon itself reports.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from ..auth.jwt import Key
from ..errors import InputError
from ..redaction import redacted
from ..rest import payloads
from ..rest.client import ClientError, Credentials, Target
from ..rest.session import Exchange, Failed, JobOptions, Options, Outcome, Session
from .checks import CHECKS, Check

__all__ = ["CHECKS", "SCHEMA", "Check", "JobOptions", "Options", "Report", "Result", "verify"]

LIMITATIONS = (
    "Slurm does not look at the claims nbf, iat, iss and aud: until its exp a token is good, whatever they say.",
)
INSECURE = "--insecure: the certificate was not checked, so anybody on the way could have answered and read the tokens."

_NAMED = re.compile(r"(-u |systemctl \w+ )slurmrestd\b")
"""The service in the commands of a remedy."""

LISTENERS = tuple(check for check in CHECKS if check.id == "reach")
"""What can be asked without a token."""

SCHEMA = 1  # of Report.as_dict(); rises when a key changes its meaning or goes


@dataclass(frozen=True)
class Result:
    """A check and its outcome. ``seconds`` is the time spent in its requests, and in waiting for the job."""

    id: str
    title: str
    ok: bool | None
    seconds: float
    detail: str
    cause: str
    remedy: str
    exchanges: tuple[Exchange, ...] = ()
    cause_id: str = ""
    minor: bool = False

    def __post_init__(self) -> None:
        # Both quote what the daemon answered, and anything may be in that.
        object.__setattr__(self, "detail", redacted(self.detail))
        object.__setattr__(self, "cause", redacted(self.cause))

    @property
    def method(self) -> str:
        """The method of the first request, or an empty string."""
        return self.exchanges[0].method if self.exchanges else ""

    @property
    def path(self) -> str:
        """The path of the first request, or an empty string."""
        return self.exchanges[0].path if self.exchanges else ""


@dataclass(frozen=True)
class Report:
    """The results of one run. ``seconds`` is the whole run, ``requests`` the number of requests sent.

    ``latency`` holds the samples (seconds) of the check of that name. ``warnings`` is what takes away from the proof as
    a whole, ``limitations`` what nobody can prove because Slurm does not do it.
    """

    url: str
    slurm_version: str | None
    api_versions: tuple[str, ...]
    api_version: str | None
    checks: tuple[Result, ...]
    seconds: float
    requests: int
    latency: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    limitations: tuple[str, ...] = LIMITATIONS

    @property
    def ok(self) -> bool:
        """No check failed."""
        return all(check.ok is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The report for machines: its keys are documented in docs/verify.md and do not change within a schema."""
        keys = ("id", "ok", "seconds", "detail", "cause", "remedy")
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "url": self.url,
            "slurm_version": self.slurm_version,
            "api_versions": list(self.api_versions),
            "checks": [{key: getattr(check, key) for key in keys} for check in self.checks],
            "warnings": list(self.warnings),
            "limitations": list(self.limitations),
        }


def verify(
    targets: Sequence[Target],
    credentials: Credentials,
    options: Options | None = None,
    *,
    job_credentials: Credentials | None = None,
    context: ssl.SSLContext | None = None,
    key: Key | None = None,
    read_output: Callable[[str], str] | None = None,
    reach_slurmdbd: Callable[[], str] | None = None,
    checks: Sequence[Check] = CHECKS,
    gateways: Sequence[Target] = (),
    gateway_checks: Sequence[Check] = (),
) -> Report:
    """Run the checks against the listeners of one slurmrestd and report.

    Checks of the cluster behind it go to the first target that answers, checks of a listener to each; the id of a check
    on another than the first target ends in ``@`` and the target. `job_credentials` is the ordinary user who runs the
    test job (its token may be an administrator's, with the user's name beside it); without it `credentials` are used.
    `context` is for https; one that checks no certificate is a warning in the report. `key` is slurmctld's, for
    tokens that are rightly signed and must be refused all the same; without it those checks are skipped.
    `reach_slurmdbd` says why slurmdbd cannot be connected to from the host of slurmrestd, empty where it can be.
    `gateways` are targets as the others, and asked for `gateway_checks` besides; they come last.
    `read_output` fetches the job's output from the compute node (text, or OSError); by default it is a local file.

    Raises InputError for no target or an API version older than the table. What the daemon does is never raised.
    """
    targets = [*targets, *gateways]
    if not targets:
        raise InputError("url", "", "at least one target")
    options = options or Options()
    if options.api_version is not None:
        payloads.api_version(options.api_version)
    begin = time.monotonic()
    session = Session(
        targets[0],
        credentials,
        job_credentials or credentials,
        options,
        context,
        key=key,
        read_output=read_output,
        reach_slurmdbd=reach_slurmdbd,
    )
    results: list[Result] = []

    def on(target: Target, chosen: Sequence[Check]) -> None:
        session.target = target
        suffix = "" if target == targets[0] else f"@{target}"
        for check in chosen:
            result = _run(session, check)
            results.append(replace(result, id=check.id + suffix))

    for target in targets:
        on(target, [check for check in checks if check.id == "reach"])
    main = next((target for target in targets if not session.failed("reach", target)), targets[0])
    rest = [check for check in checks if check.id != "reach"]
    on(main, rest)
    for target in targets:
        if target != main:
            on(target, [check for check in rest if check.every_listener])
    for target in gateways:
        on(target, gateway_checks)
    return Report(
        targets[0].url,
        session.slurm_version,
        session.served.slurm,
        session.api_version,
        tuple(results),
        time.monotonic() - begin,
        session.requests,
        session.latency,
        (*_warnings(targets, context), *session.warnings),
    )


def with_process(report: Report, differences: Sequence[Mapping[str, Any]]) -> Report:
    """The report with a failed check ``process`` in front where the daemon does not run as our drop-in says.

    Args:
        report: of the requests.
        differences: as :func:`..slurmrestd.running.look` found them, as dictionaries.
    """
    if not differences:
        return report
    failed = Result(
        "process",
        "slurmrestd runs with what the drop-in says",
        ok=False,
        seconds=0.0,
        detail="; ".join(item["text"] for item in differences),
        cause="a file that sorts later decides, or the daemon was started before the files changed",
        remedy="Remove the lines named, or run playbooks/deploy.yml, which restarts a daemon that is older than its "
        "files.",
    )
    return replace(report, checks=(failed, *report.checks))


def without_controller(report: Report, words: str) -> Report:
    """The report with a failed check ``controllers`` behind the others where no controller makes tokens.

    Args:
        report: of the listeners alone.
        words: why there are no tokens, from who has asked; empty where there are.
    """
    if not words:
        return report
    failed = Result(
        "controllers",
        "a controller is in charge",
        ok=False,
        seconds=0.0,
        detail=words,
        cause="nothing behind slurmrestd can be asked without a token, and no controller makes one now",
        remedy="Wait where a takeover is under way, then ask again; otherwise on a controller: scontrol ping; "
        "journalctl -u slurmctld.",
    )
    return replace(report, checks=(*report.checks, failed))


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
