"""What slurmctld lets the user of a client's request do, and when an answer blames his token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.doctor.test_doctor import evidence, ids, judge
from tests.unit.doctor.test_rules_conf import node, say

TIMED_OUT: dict[str, Any] = {
    "status": None,
    "kind": "timeout",
    "good": False,
    "words": "no answer within 20 s",
    "names": [],
}
LIMITED = "RPC rate limit exceeded by uid 2000 with REQUEST_JOB_INFO from 10.89.2.2:52324, telling to back off"


def asked(**client: Any) -> dict[str, Any]:
    data = evidence()
    host = node(data)
    sent = {"method": "GET", "path": "/slurm/v0.0.42/jobs", "user": "alice", "bad_characters": [], "methods": ["GET"]}
    token = {"jwt": True, "algorithm": "HS256", "user": "alice", "seconds_left": 100.0}
    answer = {**host["http"]["diag"], "good": True}
    host["http"]["client"] = {**sent, "token": token, "answer": answer, "twin": None, "version": "v0.0.42", **client}
    host["users"] = {"alice": {"exists": True, "uid": 2000}}
    return data


def answered(status: int | None, words: str) -> dict[str, Any]:
    answer = {**node(evidence())["http"]["diag"], **TIMED_OUT}
    return {**answer, "status": status, "words": words, "kind": "timeout" if status is None else None}


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (401, "Unauthorized", "request-token-wrong"),
        (511, "Protocol authentication error: failed to get statistics (1007)", "request-token-wrong"),
        (500, "Unspecified error: request failed", "request-token-wrong"),
        (None, "no answer within 20 s", "request-fails"),
        (500, "Unable to contact slurm controller (connect failure)", "request-fails"),
    ],
)
def test_only_an_answer_about_who_asks_blames_the_token(status: int | None, words: str, expected: str) -> None:
    data = asked(answer=answered(status, words))
    assert ids(judge(data)) == [expected]


@pytest.mark.parametrize("repeated", [None, {**TIMED_OUT, "path": "/slurm/v0.0.42/jobs"}])
def test_a_user_who_asks_more_often_than_the_rate_limit_lets_him(repeated: dict[str, Any] | None) -> None:
    data = asked(answer=answered(None, "no answer within 20 s"), repeated=repeated)
    host = node(data)
    host["journal"]["slurmctld"] = [{"age": 5.0, "run": 0, "text": LIMITED}]
    assert ids(judge(data)) == ["request-fails"], "the words may be anybody's"
    say(data, "slurm_conf", "SlurmctldParameters", "enable_configless, rl_enable,rl_bucket_size=1")
    (finding,) = judge(data).findings
    assert finding.id == "request-rate-limited"
    assert finding.by_hand
    assert finding.evidence[0].endswith(LIMITED)
    host["users"]["alice"]["uid"] = 200
    assert ids(judge(data)) == ["request-fails"], "another user asks too often"


def test_a_user_without_association_where_they_are_enforced() -> None:
    data = asked(method="POST", path="/slurm/v0.0.42/job/submit", methods=["POST"])
    host = node(data)
    say(data, "slurm_conf", "AccountingStorageEnforce", "associations,limits")
    assert ids(judge(data)) == ["request-fails"], "slurmctld was not asked"
    host["slurm_users"] = {}
    (finding,) = judge(data).findings
    assert finding.id == "request-association-missing"
    assert "sacctmgr add user alice account=ACCOUNT" in finding.remedy
    host["slurm_users"] = {"alice": 2000}
    assert ids(judge(data)) == ["request-fails"]
