"""The database on slurmdbd's host: why it does not start, and a slurmdbd that waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.doctor.test_doctor import evidence, ids, judge
from tests.unit.doctor.test_rules_conf import node
from tests.unit.doctor.test_rules_state import DOWN

ERRORS = (
    "2026-12-01 18:00:00 0 [ERROR] /usr/sbin/mariadbd: unknown variable 'no_such_option=1'",
    "2026-12-01 18:00:00 0 [ERROR] Aborting",
    "mariadb.service: Failed with result 'exit-code'.",
)
RECOMMENDED = "error: Database settings not recommended values: innodb_buffer_pool_size innodb_lock_wait_timeout"


def test_a_database_that_does_not_start_says_why() -> None:
    data = evidence("database-stopped")
    host = node(data)
    (finding,) = judge(data).findings
    assert "`systemctl enable --now mariadb`" in finding.remedy
    host["units"]["mariadb"].update(DOWN)
    host["journal"]["mariadb"] = [{"age": 5.0, "run": 0, "text": text} for text in ERRORS]
    host["journal"]["slurmdbd"].append({"age": 1.0, "run": 0, "text": RECOMMENDED})
    (finding,) = judge(data).findings
    assert finding.id == "database-stopped"
    assert finding.by_hand
    assert "journalctl -u mariadb" in finding.remedy
    assert finding.evidence[1:] == [f"journal of mariadb: {text}" for text in ERRORS[:2]]


def waiting() -> dict[str, Any]:
    data = evidence()
    host = node(data)
    refused = {"error": "Connection refused", "addresses": ["10.0.0.1"], "host": "node1", "port": "6819"}
    host["reach"] = [{"daemon": "slurmdbd", **refused}]
    host["http"]["clusters"].update(good=False, status=500, words="Unable to connect to database")
    host["journal"]["slurmdbd"] = [{"age": 400.0, "run": 0, "text": RECOMMENDED}]
    host["held"] = [{"port": 6817, "program": "slurmctld", "pid": 7, "host": "0.0.0.0"}]
    host["files"]["/etc/slurm/slurmdbd.conf"]["age"] = 9e5
    return data


def test_a_slurmdbd_that_runs_and_waits_for_its_database() -> None:
    data = waiting()
    (finding,) = judge(data).findings
    assert finding.id == "slurmdbd-not-listening"
    assert finding.by_hand
    assert finding.passing
    assert "nothing listens on port 6819" in finding.evidence[0]
    assert not any("not recommended" in text for text in finding.evidence)


def test_one_of_which_it_is_not_known_or_not_so_is_not_said_to_wait() -> None:
    data = waiting()
    node(data)["held"].append({"port": 6819, "program": "slurmdbd", "pid": 8, "host": "127.0.0.1"})
    assert "slurmdbd-not-listening" not in ids(judge(data))
    node(data)["held"] = None
    assert "slurmdbd-not-listening" not in ids(judge(data))
    data = waiting()
    node(data)["files"]["/etc/slurm/slurmdbd.conf"]["age"] = 0.5
    assert ids(judge(data)) == ["daemon-unreached"], "it listens where it was told to before"
    data = waiting()
    node(data)["journal"]["slurmdbd"] = [{"age": 5.0, "run": 0, "text": "error: mysql: Access denied for user"}]
    assert ids(judge(data)) == ["database-unusable"]


@pytest.mark.parametrize(
    "text",
    [
        "error: mysql_query failed: 1146 Table 'slurm_acct_db.slurmrest_job_table' doesn't exist",
        "error: Problem getting jobs for cluster slurmrest",
    ],
)
def test_a_table_that_is_gone(text: str) -> None:
    data = evidence()
    host = node(data)
    host["journal"]["slurmdbd"] = [{"age": 5.0, "run": 0, "text": text}]
    (finding,) = judge(data).findings
    assert finding.id == "database-unusable"
    assert "a table of a cluster was renamed or dropped" in finding.cause
    host["journal"]["slurmdbd"][0]["age"] = 900.0
    assert judge(data).healthy
