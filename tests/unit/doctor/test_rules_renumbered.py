"""What is SlurmUser's by its number: an account that has another one by now, and a key that is no file."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.doctor.test_doctor import evidence, ids, judge, split
from tests.unit.doctor.test_rules_conf import node
from tests.unit.doctor.test_rules_state import CONF, ended

OLD, NEW = 64030, 4711


def renumbered(name: str = "node1", data: dict[str, Any] | None = None) -> dict[str, Any]:
    data = data or evidence()
    host = node(data, name)
    host["facts"]["slurm_user"]["uid"] = NEW
    for key in host["keys"].values():
        key.update(reader_uid=NEW, readable=False)
        key["directory_problems"] = ["/var/lib/slurm/jwt cannot be entered by slurm", "/var/lib/slurm is another's"]
    host["files"][CONF].update(uid=OLD, owner=str(OLD))
    state = {"path": "/var/lib/slurm/slurmctld", "exists": True, "uid": OLD, "owner": str(OLD)}
    host["state"] = {**state, "group": "slurm", "mode": "0700", "writable": False}
    return data


def test_an_account_with_another_number_is_one_cause() -> None:
    (finding,) = judge(renumbered()).findings
    assert finding.id == "slurm-user-renumbered"
    assert finding.by_hand
    assert f"usermod -u {OLD} slurm" in finding.remedy
    assert f"find / -xdev -uid {OLD} -exec chown -h slurm: {{}} +" in finding.remedy
    assert f"{CONF}: uid {OLD}, which has no name" in finding.evidence
    assert len(finding.consequences) == 5
    assert ids(judge(renumbered(), preflight=True)) == ["slurm-user-renumbered"]


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmdbd"])
def test_it_explains_how_daemons_end(daemon: str) -> None:
    data = renumbered()
    ended(data, daemon, "fatal: auth/jwt: cannot stat '/var/lib/slurm/jwt/jwt_hs256.key': Permission denied")
    assert ids(judge(data)) == ["slurm-user-renumbered"]
    ended(data, daemon, "fatal: something else")
    assert f"{daemon}-failed" in ids(judge(data))


def test_files_of_another_account_or_a_single_one_are_other_causes() -> None:
    data = renumbered()
    host = node(data)
    host["files"][CONF].update(owner="bob")
    host["state"].update(owner="bob")
    assert "slurm-user-renumbered" not in ids(judge(data)), "the number is somebody's"
    data = renumbered("db", split())
    host = node(data, "db")
    host["keys"] = {}
    host["state"] = None
    assert ids(judge(data)) == ["slurmdbd-conf-open"]


def test_a_key_that_is_no_file_is_put_aside() -> None:
    data = evidence()
    host = node(data)
    for key in host["keys"].values():
        key.update(regular=False, mode=0o755, size=4096, fingerprint=None)
    (finding,) = judge(data).findings
    assert finding.id == "jwt-key-no-file"
    path = host["keys"]["slurmctld"]["path"]
    assert finding.remedy.startswith(f"`mv -T {path} {path}.no-key`, then `ansible-playbook playbooks/deploy.yml ")
    assert "The JWT key is open to others" in finding.consequences[0]
    assert len(finding.consequences) == 1
    for key in host["keys"].values():
        key.update(error=f"{path} is no regular file", mode=0o700)
    words = "fatal: auth/jwt: Could not load key file (/var/lib/slurm/jwt/jwt_hs256.key)"
    ended(data, "slurmctld", words)
    ended(data, "slurmdbd", words)
    assert ids(judge(data)) == ["jwt-key-no-file"]
