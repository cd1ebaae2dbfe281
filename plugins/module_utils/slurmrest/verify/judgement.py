"""What a host has handed over (:mod:`.record`), as it is judged and shown on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..rest.client import Target
from ..rest.session import Exchange, Outcome
from ..slurmrestd.host_facts import HostFacts
from ..systemd import sandbox
from . import idle_clients, jobs, page_notes, signed_tokens
from .pages import Pages
from .report import Report, Result
from .run import CHECKS, with_process, without_controller

Sections = Mapping[str, Mapping[str, str]]
"""Tables below the checks: title, and its rows by name."""


JOBS = frozenset(check.id for check in jobs.CHECKS)

_LEFT: Mapping[str, Outcome] = {
    **{check.id: signed_tokens.KEYLESS for check in signed_tokens.CHECKS},
    **{check.id: jobs.NOT_ASKED for check in jobs.CHECKS},
    "job-output": jobs.NO_JOB,
    **{check.id: idle_clients.NOT_ASKED for check in idle_clients.CHECKS},
}
"""What a host was not asked to prove, and why."""


def judged(found: Mapping[str, Any], facts: HostFacts, tokenless: str) -> Report:
    """The report of what a host has handed over, with what that means. Raises as :func:`report_of`.

    Args:
        found: ``record``, ``pages`` and ``confinement``.
        facts: of this host.
        tokenless: why there were no tokens.
    """
    report = report_of(found["record"])
    report = report if tokenless else _complete(report)
    report = with_process(without_controller(report, tokenless), facts["running"])
    pages = [Pages(**page) for page in found["pages"]]
    seen = sandbox.confinement_of(found["confinement"]) if found["confinement"] else None
    warnings = (*page_notes.warnings(pages), *(sandbox.warnings(seen) if seen else ()))
    limitations = (*page_notes.notes(pages), *(sandbox.notes(seen) if seen else ()))
    return replace(report, warnings=(*report.warnings, *warnings), limitations=(*report.limitations, *limitations))


def with_jobs(report: Report, record: Mapping[str, Any]) -> Report:
    """The report with the results of jobs that ran later. Raises as :func:`report_of`."""
    ran = report_of(record)
    done = {check.id: check for check in ran.checks if check.id in JOBS}
    checks = tuple(done.get(check.id, check) for check in report.checks)
    return replace(report, checks=checks, seconds=report.seconds + ran.seconds, requests=report.requests + ran.requests)


def _complete(report: Report) -> Report:
    """The report with what was not asked, in the order of all checks; what is of other listeners stays behind."""
    asked = {check.id: check for check in report.checks}
    every = [asked[check.id] if check.id in asked else _left(check.id, check.title) for check in CHECKS]
    names = {check.id for check in CHECKS}
    return replace(report, checks=(*every, *(check for check in report.checks if check.id not in names)))


def _left(name: str, title: str) -> Result:
    outcome = _LEFT[name]
    return Result(name, title, None, 0.0, outcome.detail, "", outcome.remedy)


def report_of(record: Mapping[str, Any]) -> Report:
    """The report that :func:`recorded` kept. Raises KeyError, TypeError, ValueError, InputError where it is none.

    A number is one afterwards, whatever the host said: it goes into a page as it is.
    """
    texts = {name: tuple(map(str, record[name])) for name in ("api_versions", "warnings", "limitations")}
    numbers = {"seconds": float(record["seconds"]), "requests": int(record["requests"])}
    latency = tuple(map(float, record["latency"]))
    checks = tuple(map(_result, record["checks"]))
    return Report(**{**record, **texts, **numbers, "latency": latency, "checks": checks})


def _result(record: Mapping[str, Any]) -> Result:
    exchanges = tuple(map(_exchange, record["exchanges"]))
    return Result(**{**record, "seconds": float(record["seconds"]), "exchanges": exchanges})


def _exchange(record: Mapping[str, Any]) -> Exchange:
    return Exchange(**{**record, "target": Target.parse(record["target"])})


def configuration(facts: HostFacts) -> Sections:
    """The effective configuration, from what ``detect`` found on the REST host. Holds no secrets."""
    unit, conf = facts["unit"], facts["slurm_conf"]
    environment = " ".join(f"{name}={_shown(name, value)}" for name, value in sorted(unit["environment"].items()))
    parameters = ",".join(f"{name}={value}" for name, value in conf["auth_alt_parameters"].items())
    rows = {
        "Version": facts["version"],
        "Unit": " ".join(filter(None, [unit["fragment"], *unit["dropins"]])),
        "Command": " ; ".join(str(command) for command in unit["exec_start"]),
        "Listeners": " ".join(entry["text"] for entry in unit["listeners"]),
        "User, group": ", ".join(filter(None, [unit["user"], unit["group"]])),
        "Environment": environment,
        "slurm.conf": conf["path"],
        "Controllers": " ".join(str(host) for host in conf["slurmctld_hosts"]),
        "AuthType": conf["auth_type"],
        "AuthAltTypes": ",".join(conf["auth_alt_types"]),
        "AuthAltParameters": parameters,
        "AccountingStorageType": conf["accounting_storage_type"],
    }
    return {"Effective configuration": {name: str(value) for name, value in rows.items() if value}}


def _shown(name: str, value: str) -> str:
    return "<token>" if name == "SLURM_JWT" and value.count(".") == 2 else value
