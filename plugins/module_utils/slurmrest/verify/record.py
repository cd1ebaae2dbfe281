"""A report on its way from the host that asked to the controller that shows it, and what it is shown with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..rest.client import Target
from ..rest.session import Exchange
from .run import Report, Result

Sections = Mapping[str, Mapping[str, str]]
"""Tables below the checks: title, and its rows by name."""


def recorded(report: Report) -> dict[str, Any]:
    """A report as JSON-able data, all that a page or a table says of it; what requests sent is not kept."""
    record = {**vars(report), "checks": [{**vars(check), "exchanges": []} for check in report.checks]}
    for kept, check in zip(record["checks"], report.checks):
        kept["exchanges"] = [
            {**asdict(exchange), "target": exchange.target.url, "body": None} for exchange in check.exchanges
        ]
    return record


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


def configuration(facts: Mapping[str, Any]) -> Sections:
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
