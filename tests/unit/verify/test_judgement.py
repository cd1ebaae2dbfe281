"""What a host proves without a key, and what the controller makes of it: the same as who does all of it himself."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.facts.detection import columns
from slurmrest.rest.client import Credentials
from slurmrest.rest.options import Options
from slurmrest.rest.session import JobOptions
from slurmrest.rest.whole_table import EXCERPT
from slurmrest.systemd.confinement import ConfinedProcess, Confinement, Mount
from slurmrest.systemd.sandbox import confinement_of
from slurmrest.verify import checks, host_request, jobs, keyless_checks
from slurmrest.verify.judgement import judged, with_jobs
from slurmrest.verify.on_host import asked
from slurmrest.verify.record import recorded
from slurmrest.verify.run import CHECKS, verify

from tests.unit.doctor.test_doctor import evidence
from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from pathlib import Path

    from slurmrest.rest.client import Target
    from slurmrest.verify.report import Report

RECORDED: Any = evidence()["hosts"]["node1"]["facts"]
PORTS = {"slurmctld_port": "6817", "slurmd_port": "6818", "accounting_storage_port": "6819"}
FACTS: Any = {**RECORDED, "slurm_conf": {**RECORDED["slurm_conf"], **PORTS, "accounting_storage_hosts": ["dbd"]}}
ORDINARY = {"job_user": "alice", "job_token": token("alice").reveal()}


told_of = partial(host_request.told_of, columns=columns(), table=EXCERPT)


def with_facts(**changes: Any) -> Any:
    """The facts, but for some of them."""
    return {**FACTS, **changes}


def wanted(target: Target, **more: Any) -> dict[str, Any]:
    own = json.loads(json.dumps(told_of(FACTS, "", [target.url], accounting=True)))
    as_root = {"user": "root", "token": token("root").reveal(), "job_user": None, "job_token": None}
    return {"told": own, "tls_cacert": None, "tls_name": None, **as_root, **more}


def handed_over(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps({"record": recorded(report), "pages": [], "confinement": None}))
    return found


def said(report: Report) -> list[tuple[str, bool | None, str]]:
    """The results without the times in them."""
    return [(check.id, check.ok, "" if check.id == "latency" else check.detail) for check in report.checks]


@pytest.mark.parametrize("release", STYLES)
def test_it_is_the_same_as_who_does_all_of_it_himself(release: str) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    with serving(daemon) as target:
        report = judged(handed_over(asked(wanted(target), keyless_checks.CHECKS)), with_facts(running=[]), "")
        himself = verify([target], Credentials("root", token("root")), Options(accounting=True))
    assert said(report) == said(himself)
    assert [check.id for check in report.checks] == [check.id for check in CHECKS]
    assert [check.remedy for check in report.checks] == [check.remedy for check in himself.checks]


def test_jobs_run_later_and_stand_where_they_belong(tmp_path: Path) -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        report = asked(wanted(target, **ORDINARY), keyless_checks.CHECKS)
        first = judged(handed_over(report), with_facts(running=[]), "")
        assert [check.ok for check in first.checks if check.id in ("job", "job-cancel")] == [None, None]
        how = JobOptions(directory=str(tmp_path))
        ran = asked(wanted(target, **ORDINARY), (*checks.FIRST, *jobs.CHECKS), how)
    report = with_jobs(first, json.loads(json.dumps(recorded(ran))))
    assert [check.id for check in report.checks] == [check.id for check in CHECKS]
    assert [(check.id, check.ok) for check in report.checks if check.id.startswith("job")] == [
        ("job", True),
        ("job-output", True),
        ("job-cancel", True),
    ]
    assert report.requests == first.requests + ran.requests


def test_a_process_that_does_otherwise_and_a_lack_of_tokens_are_failures() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        found = handed_over(asked(wanted(target, token="none"), checks.LISTENERS))
    report = judged(found, with_facts(running=[{"text": "User: root instead of slurmrestd"}]), "ctl1 is gone")
    assert [(check.id, check.ok) for check in report.checks] == [
        ("process", False),
        ("reach", True),
        ("controllers", False),
    ]


def test_what_is_told_is_of_the_unit_and_of_slurm_conf() -> None:
    own = told_of(FACTS, "", (), accounting=None)
    assert own["urls"] == ["http://127.0.0.1:6820", "unix:/run/slurmrestd/slurmrestd.socket"]
    assert own["unit"] == "slurmrestd.service"
    assert own["account"] == FACTS["unit"]["user"]
    assert own["accounting"] is FACTS["slurm_conf"]["accounting"]
    assert told_of(FACTS, "blue", ("http://h:1",), accounting=False)["unit"] == "slurmrestd@blue.service"
    with pytest.raises(SlurmrestError, match="instance"):
        told_of(FACTS, "a/b", (), accounting=None)


def test_daemons_that_serve_pages_are_told_where_the_release_does() -> None:
    assert told_of(with_facts(version="24.11.5"), "", (), accounting=None)["daemons"] == []
    facts = with_facts(version="26.05.5", units={"slurmd": {"active": "active"}})
    newer = told_of(facts, "", (), accounting=None)["daemons"]
    controllers = [("slurmctld", host, 6817) for host in FACTS["slurm_conf"]["slurmctld_hosts"]]
    assert newer == [*controllers, ("slurmd", "127.0.0.1", 6818)]


def test_nothing_to_ask_is_refused() -> None:
    own = told_of(with_facts(unit={**FACTS["unit"], "listeners": []}), "", (), accounting=None)
    with pytest.raises(SlurmrestError, match="at least one listener"):
        asked({"told": own, "tls_name": None, "tls_cacert": None}, checks.CHECKS)


def test_a_confinement_is_the_same_after_the_way() -> None:
    mounts = {"/": Mount("/", "ro", "overlay", "overlay", "rw")}
    seen = Confinement({"ProtectSystem": "strict"}, ConfinedProcess({"CapBnd": "0"}, {}, mounts), ConfinedProcess())
    assert confinement_of(json.loads(json.dumps(asdict(seen)))) == Confinement(
        seen.wanted, seen.process, seen.init, unknown=[]
    )
