"""Proof, by request, that a slurmrestd works: reachable, answers filled, bad tokens refused, jobs run.

The checks are records in ``checks.py`` and its siblings that ask through a ``Session``; ``asking.py`` does them, and
adds the time, the requests made and the reason for skipping. What is not proven is ``skipped`` with the reason, never
passed: ``ok`` is True, False, or None for skipped.

Expectations that differ between releases come from the release table, by the version that the daemon itself reports.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..auth.compact import Signer
from ..errors import InputError
from ..rest.client import Credentials, Target
from ..rest.options import Options
from ..rest.session import JobOptions, Session
from ..rest.whole_table import TABLE
from ..slurm.api_versions import api_version
from . import capacity, checks, idle_clients, jobs, refusals, signed_tokens
from .asking import INSECURE, ask
from .check import Check
from .report import Report, Result

__all__ = ["CHECKS", "INSECURE", "SCHEMA", "Check", "JobOptions", "Options", "Report", "Result", "as_dict", "verify"]

CHECKS: tuple[Check, ...] = (
    *checks.CHECKS,
    *refusals.TOKENS,
    *signed_tokens.CHECKS,
    *refusals.REQUESTS,
    *capacity.CHECKS,
    *jobs.CHECKS,
    *idle_clients.CHECKS,
)
"""All of them, in the order of the report."""

SCHEMA = 1  # of as_dict(); rises when a key changes its meaning or goes


def verify(
    targets: Sequence[Target],
    credentials: Credentials,
    options: Options | None = None,
    *,
    job_credentials: Credentials | None = None,
    context: ssl.SSLContext | None = None,
    key: Signer | None = None,
    read_output: Callable[[str], str] | None = None,
    reach_slurmdbd: Callable[[], str] | None = None,
    checks: Sequence[Check] = CHECKS,
    gateways: Sequence[Target] = (),
    gateway_checks: Sequence[Check] = (),
) -> Report:
    """Run the checks against the listeners of one slurmrestd and report; see :func:`.asking.ask`.

    `job_credentials` is the ordinary user who runs the test job (its token may be an administrator's, with the user's
    name beside it); without it `credentials` are used. `context` is for https; one that checks no certificate is a
    warning in the report. `key` is slurmctld's, for tokens that are rightly signed and must be refused all the same;
    without it those checks are skipped. `reach_slurmdbd` says why slurmdbd cannot be connected to from the host of
    slurmrestd, empty where it can be. `gateways` are targets as the others, and asked for `gateway_checks` besides;
    they come last. `read_output` fetches the job's output from the compute node (text, or OSError); by default it is a
    local file.

    Raises InputError for no target or an API version older than the table. What the daemon does is never raised.
    """
    targets = [*targets, *gateways]
    if not targets:
        raise InputError("url", "", "at least one target")
    options = options or Options()
    if options.api_version is not None:
        api_version(options.api_version)
    session = Session(
        targets[0],
        credentials,
        job_credentials or credentials,
        options,
        TABLE,
        context,
        key=key,
        read_output=read_output,
        reach_slurmdbd=reach_slurmdbd,
    )
    return ask(session, targets, checks, gateways, gateway_checks)


def as_dict(report: Report) -> dict[str, Any]:
    """The report for machines: its keys are documented in docs/verify.md and do not change within a schema."""
    keys = ("id", "ok", "seconds", "detail", "cause", "remedy")
    return {
        "schema": SCHEMA,
        "ok": report.ok,
        "url": report.url,
        "slurm_version": report.slurm_version,
        "api_versions": list(report.api_versions),
        "checks": [{key: getattr(check, key) for key in keys} for check in report.checks],
        "warnings": list(report.warnings),
        "limitations": list(report.limitations),
    }


def with_process(report: Report, differences: Sequence[Mapping[str, Any]]) -> Report:
    """The report with a failed check ``process`` in front where the daemon does not run as our drop-in says.

    Args:
        report: of the requests.
        differences: as :func:`..slurmrestd.drift.look` found them, as dictionaries.
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
