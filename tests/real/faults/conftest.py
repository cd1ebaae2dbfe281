"""The faults of this run, and the cluster that each of them is given to."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.real.clusters import ROOT, LiveCluster, live_cluster
from tests.real.faults.fault import Fault
from tests.real.faults.faults import FAULTS
from tests.real.faults.follow import BY_HAND, NOT_HEALED, Course, same_inventory
from tests.real.faults.gateway import over_a_socket
from tests.real.faults.harness import Patient
from tests.real.faults.healthy import HEALTHY
from tests.real.faults.record import record

RESULTS = ROOT / "docs" / "data" / "doctor.json"
Results = dict[str, dict[str, Any]]
LAYOUTS: dict[str, tuple[str, ...]] = {
    "single": (),
    "split": ("--layout", "split"),
    "several": ("--layout", "split", "--rest-hosts", "2"),
    "backup": ("--layout", "ha", "--rest-hosts", "1"),
    "gateway": ("--gateway",),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each fault of the release a test; the bounded subset unless --full is given."""
    release, full = metafunc.config.getoption("--release"), metafunc.config.getoption("--full")
    for name, known in (("fault", FAULTS), ("variant", HEALTHY)):
        if name in metafunc.fixturenames:
            chosen = [fault for fault in known if release in fault.releases and (full or fault.bounded)]
            chosen.sort(key=lambda fault: list(LAYOUTS).index(fault.layout))
            metafunc.parametrize(name, chosen, ids=lambda fault: fault.name)


class Ward:
    """One cluster at a time: of the layout that is asked for, and a new one after it could not be mended."""

    def __init__(self, release: str, *, full: bool, running: str | None = None) -> None:
        self.release = release
        self.running = running
        self.full = full
        self.version = ""
        self.results: Results = {}
        self.variants: Results = {}
        self.recording = bool(os.environ.get("SLURMREST_RECORD"))
        self._stack = ExitStack()
        self._layout = ""
        self._mended_in = 0.0
        self._doubtful = False
        self._patient: Patient | None = None
        self.course: Course | None = None

    def patient(self, layout: str) -> Patient:
        """Return a healthy cluster of this layout."""
        if self._doubtful and self._patient is not None and not self._patient.healthy_again()["healthy"]:
            self.dismiss()
        self._doubtful = False
        if self._patient is None or self._layout != layout:
            if self._patient is not None:
                assert self._patient.healthy_again()["findings"] == []
            self.dismiss()
            live = self._stack.enter_context(self._start(layout))
            if layout == "gateway":
                over_a_socket(live)
            self._patient, self._layout = Patient(live), layout
            self.version = self._patient.cluster.slurm_version
        return self._patient

    def _start(self, layout: str) -> AbstractContextManager[LiveCluster]:
        if self.running:
            return nullcontext(LiveCluster(self.running, self.release))
        return live_cluster(f"faults-{layout}", self.release, *LAYOUTS[layout])

    def dismiss(self) -> None:
        """Remove the cluster."""
        self._patient = None
        self._stack.close()

    @contextmanager
    def mended(self, fault: Fault) -> Iterator[None]:
        """Mend the cluster afterwards; one that cannot be mended is removed."""
        assert self._patient is not None
        self.course = None
        try:
            with same_inventory(self._patient.live):
                yield
        finally:
            start = time.monotonic()
            try:
                self._patient.mend(fault, followed=self._has_followed())
            except AssertionError:
                self.dismiss()
                raise
            self._mended_in = time.monotonic() - start

    def _has_followed(self) -> bool:
        return self.course is not None and self.course.outcome != BY_HAND

    def record(self, fault: Fault, evidence: Path) -> None:
        """Keep the evidence of a fault for the unit tests."""
        assert self._patient is not None
        broken = json.loads(evidence.read_text())
        record(self.release, self.version, fault, self._patient.healthy_evidence, broken)

    def healthy_again(self) -> dict[str, Any]:
        """Return the doctor's report on the mended cluster."""
        return (self._patient or self.patient("single")).healthy_again()

    def note(self, fault: Fault, found: list[str]) -> None:
        """Put what came of a fault into the data of the documents."""
        remedy = self.course.outcome if self.course else None
        self._doubtful = not fault.named_by(found) or remedy == NOT_HEALED
        self.results[fault.name] = {
            "text": fault.text,
            "expect": fault.expect,
            **({"also": list(fault.also)} if fault.also else {}),
            "found": found,
            **({"remedy": remedy} if remedy else {}),
            "mended_in": round(self._mended_in, 1),
        }
        write_results(self.release, self.version, self.results, self.variants)

    def note_healthy(self, variant: Fault, found: list[str]) -> None:
        """The same of a variant that is sound."""
        self._doubtful = bool(found)
        self.variants[variant.name] = {"text": variant.text, "found": found}
        write_results(self.release, self.version, self.results, self.variants)


@pytest.fixture(scope="session")
def ward(pytestconfig: pytest.Config, release: str, full: bool) -> Iterator[Ward]:
    """Return the ward, and empty it afterwards."""
    there = Ward(release, full=full, running=pytestconfig.getoption("--cluster"))
    try:
        yield there
    finally:
        there.dismiss()


def write_results(release: str, version: str, results: Results, variants: Results) -> None:
    """Put the results of one release into docs/data/doctor.json, beside those of the others, which may run just now."""
    RESULTS.parent.mkdir(exist_ok=True)
    with (ROOT / ".slurmrest" / "doctor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        merge_results(release, version, results, variants)


def merge_results(release: str, version: str, results: Results, variants: Results) -> None:
    """Replace the results of one release."""
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"releases": {}}
    before = known["releases"].get(release, {})
    known["releases"][release] = {
        "slurm_version": version,
        "faults": merged(release, FAULTS, before.get("faults", {}), results),
        "healthy": merged(release, HEALTHY, before.get("healthy", {}), variants),
    }
    known["releases"] = dict(sorted(known["releases"].items()))
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def merged(release: str, known: Sequence[Fault], before: Results, results: Results) -> Results:
    """Return the new results, and the old ones of what was not run, in the order of what is known."""
    names = [fault.name for fault in known if release in fault.releases]
    both = {**before, **results}
    return {name: both[name] for name in names if name in both}
