"""Each fault breaks a running cluster; the doctor names that cause, and that one only, and its remedy heals it.

Most of them are given to the same cluster, one after the other: what was not mended would be found with the next.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.faults.follow import NOT_HEALED

if TYPE_CHECKING:
    from tests.real.faults.conftest import Ward
    from tests.real.faults.fault import Fault
    from tests.real.faults.harness import Patient

JWT = re.compile(r"eyJ[\w-]{10,}\.[\w-]+\.[\w-]+")
RESTARTED = ("munge", "mariadb", "slurmdbd", "slurmctld", "slurmd", "slurmrestd")


def test_a_healthy_cluster_gives_no_finding_right_after_a_restart(ward: Ward) -> None:
    patient = ward.patient("single")
    patient.live.ssh(patient.node("slurmrestd"), f"systemctl restart {' '.join(RESTARTED)}")
    assert patient.doctor()["findings"] == []


def test_a_healthy_cluster_gives_no_finding_right_after_a_reboot(ward: Ward, full: bool) -> None:
    if not full:
        pytest.skip("takes longer: --full")
    patient = ward.patient("single")
    patient.live.reboot(patient.cluster.rest_node.container)
    patient.wait_for_ssh()
    assert patient.doctor()["findings"] == []


def test_nothing_is_changed_on_the_host(ward: Ward) -> None:
    patient = ward.patient("single")
    node = patient.node("slurmrestd")
    look = "touch /tmp/stamp; sleep 1; systemctl show -p MainPID slurmrestd slurmctld slurmdbd slurmd munge mariadb"
    before = patient.live.ssh(node, look)
    patient.doctor()
    # Ansible's own temporary files are gone again, but for the directory that held them.
    changed = patient.live.ssh(
        node, "find /etc /usr /opt /srv /home /run/slurmrestd /var/lib/slurm/jwt /var/log/slurm -newercc /tmp/stamp"
    )
    assert [line for line in changed.splitlines() if "/.ansible" not in line and line != "/home/admin"] == []
    assert patient.live.ssh(node, look) == before


def test_no_secret_is_printed_at_the_highest_verbosity(ward: Ward, tmp_path: Path) -> None:
    patient = ward.patient("single")
    token_file = patient.live.directory / "token.alice"
    evidence = tmp_path / "evidence.json"
    done = patient.live.playbook(
        "doctor.yml",
        "-vvvvv",
        variables={
            "slurmrest_doctor_evidence": str(evidence),
            "slurmrest_doctor_request": {
                "path": f"/slurm/{patient.cluster.api_versions[-1]}/diag",
                "user": "alice",
                "token_file": str(token_file),
            },
        },
    )
    shown = done.good().output + evidence.read_text()
    assert "nothing found" in shown
    assert JWT.search(shown) is None
    assert not any(part in shown for part in token_file.read_text().strip().split("."))
    key = patient.live.ssh(patient.node("slurmctld"), "od -An -v -tx1 /var/lib/slurm/jwt/jwt_hs256.key | tr -d ' \\n'")
    assert key.strip() not in shown


def test_fault(fault: Fault, ward: Ward, tmp_path: Path) -> None:
    patient = ward.patient(fault.layout)
    evidence = tmp_path / "evidence.json"
    with ward.mended(fault):
        patient.apply(fault)
        report = patient.doctor(fault.client, evidence=str(evidence))
        found = [finding["id"] for finding in report["findings"]]
        if fault.named_by(found):
            ward.course = patient.follow(fault, report)
    assert JWT.search(evidence.read_text()) is None
    if ward.full:
        ward.note(fault, found)
        if ward.recording:
            ward.record(fault, evidence)
    assert fault.named_by(found), report
    assert ward.course is not None
    assert ward.course.outcome != NOT_HEALED, f"{ward.course.remedy}\n{ward.course.said}"
    check_shape(report, patient)


def test_a_sound_variant_gives_no_finding(variant: Fault, ward: Ward) -> None:
    patient = ward.patient(variant.layout)
    with ward.mended(variant):
        patient.apply(variant)
        report = patient.healthy_again(variant.client)
    found = [finding["id"] for finding in report["findings"]]
    if ward.full:
        ward.note_healthy(variant, found)
    assert found == [], report


def test_nothing_is_left_of_the_last_fault(ward: Ward) -> None:
    assert ward.healthy_again()["findings"] == []


def check_shape(report: dict[str, object], patient: Patient) -> None:
    """Assert what every report has."""
    assert set(report) == {"schema", "healthy", "slurm_version", "findings"}
    assert report["slurm_version"] == patient.cluster.slurm_version
    assert isinstance(report["findings"], list)
    for finding in report["findings"]:
        assert set(finding) == {
            *("id", "title", "cause", "evidence", "consequences", "remedy", "by_hand", "documentation", "host"),
        }
        assert finding["evidence"]
        assert finding["remedy"]
    assert JWT.search(str(report)) is None
