"""Causes in the configuration as a file: includes, plugins, ports, and what excludes each other."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from slurmrest.doctor import surroundings

from tests.unit.doctor.test_doctor import RECORDED, ended, evidence, ids, judge, split

SLURM_FALLBACK_KEY = "/var/lib/slurm/slurmctld/jwt_hs256.key"


def node(data: dict[str, Any], name: str = "node1") -> dict[str, Any]:
    host: dict[str, Any] = data["hosts"][name]
    return host


def say(data: dict[str, Any], conf: str, key: str, value: str, name: str = "node1") -> None:
    entry = {"key": key.lower(), "name": key, "value": value, "line": f"{key}={value}", "origin": f"/etc/{conf}:9"}
    node(data, name)["confs"][conf]["entries"].append(entry)


def test_a_file_that_is_included_and_missing_explains_a_daemon_that_waits() -> None:
    data = evidence()
    host = node(data)
    host["facts"]["slurm_conf"]["missing_includes"] = ["/etc/slurm/nodes.conf"]
    host["listening"] = []
    host["http"]["listeners"] = [
        {**entry, "status": None, "kind": "refused", "words": "no", "good": False}
        for entry in host["http"]["listeners"]
    ]
    (finding,) = judge(data).findings
    assert finding.id == "include-missing"
    assert "/etc/slurm/nodes.conf" in finding.remedy
    assert any("does not listen yet" in text for text in finding.consequences)
    assert "Tell clients" not in str(finding)
    assert ids(judge(data, preflight=True)) == ["include-missing"]


def test_a_file_beside_slurm_conf_that_it_calls_for() -> None:
    text = (
        "error: s_p_parse_file: cannot stat file /etc/slurm/topology.conf: No such file or directory, "
        "retrying in 1sec up to 60sec"
    )
    data = evidence()
    host = node(data)
    say(data, "slurm_conf", "TopologyPlugin", "topology/tree")
    host["journal"]["slurmctld"] = [{"age": 5.0, "run": 0, "text": text}]
    assert judge(data).healthy, "it is there by now"
    host["token_refused"] = "slurm_load: Unable to contact slurm controller"
    (finding,) = judge(data).findings
    assert finding.id == "conf-beside-missing"
    assert "Write /etc/slurm/topology.conf, or take out what calls for it (TopologyPlugin)" in finding.remedy
    assert finding.evidence[1] == "/etc/slurm_conf:9: TopologyPlugin=topology/tree"
    host["journal"]["slurmctld"][0]["text"] = text.replace("topology.conf", "slurm.conf")
    assert ids(judge(data)) == ["token-not-minted"]


def test_a_daemon_that_listens_nowhere_is_not_said_to_listen_elsewhere() -> None:
    data = evidence()
    node(data)["listening"] = []
    (finding,) = judge(data).findings
    assert finding.id == "not-listening"
    assert "Tell clients" not in finding.remedy


def test_lines_that_are_not_understood_count_once_a_daemon_is_down() -> None:
    data = evidence()
    node(data)["facts"]["slurm_conf"]["errors"] = ["/etc/slurm/slurm.conf:7"]
    assert judge(data).healthy
    ended(data, "slurmctld", "fatal: Unable to process configuration file")
    (finding,) = judge(data).findings
    assert (finding.id, finding.evidence[0]) == ("conf-not-understood", "/etc/slurm/slurm.conf:7: not understood")


def test_a_plugin_directory_that_is_not_there_is_not_a_plugin_to_install() -> None:
    data = evidence("jwt-plugin-missing")
    say(data, "slurm_conf", "PluginDir", "/usr/lib64/nowhere")
    node(data)["plugin_directories"] = {"/usr/lib64/nowhere": False}
    (finding,) = judge(data).findings
    assert finding.id == "plugin-dir-missing"
    assert "/usr/lib64/nowhere does not exist" in finding.evidence
    node(data)["plugin_directories"] = {"/usr/lib64/nowhere": True}
    assert ids(judge(data)) == ["jwt-plugin-missing"]


@pytest.mark.parametrize("release", sorted(RECORDED))
def test_a_value_that_the_release_does_not_have_any_more(release: str) -> None:
    data = evidence(release=release)
    say(data, "slurm_conf", "SelectType", "select/cons_res")
    gone = release > "23.02"
    assert ids(judge(data)) == (["plugin-removed"] if gone else [])
    assert ids(judge(data, preflight=True)) == (["plugin-removed"] if gone else [])
    if gone:
        ended(data, "slurmctld", "error: cannot create select context for select/cons_res", "fatal: Can't find plugin")
        assert ids(judge(data)) == ["plugin-removed"]


def test_two_daemons_on_one_port() -> None:
    data = evidence()
    host = node(data)
    host["facts"]["slurm_conf"]["slurmctld_port"] = "6815-6819"
    (finding,) = judge(data, preflight=True).findings
    assert finding.id == "ports-collide"
    assert "slurmctld and slurmdbd are both given port 6819" in finding.cause
    ended(data, "slurmctld", "fatal: slurm_init_msg_engine_port error Address already in use")
    assert ids(judge(data)) == ["ports-collide"]
    apart = split()
    for each in apart["hosts"].values():
        each["facts"]["slurm_conf"] = {**each["facts"]["slurm_conf"], "slurmctld_port": "6815-6819"}
    assert judge(apart).healthy, "on three hosts nothing is in the way"


def test_slurmrestd_on_the_port_of_slurmdbd() -> None:
    data = evidence()
    host = node(data)
    host["facts"]["slurmdbd_conf"]["dbd_port"] = "6820"
    say(data, "slurm_conf", "AccountingStoragePort", "6820")
    assert ids(judge(data)) == ["ports-collide"]


def test_a_removed_plugin_that_is_named_without_its_kind() -> None:
    data = evidence()
    say(data, "slurm_conf", "JobSubmitPlugins", "all_partitions,Cray_Aries")
    (finding,) = judge(data).findings
    assert finding.id == "plugin-removed"
    assert "has no job_submit/cray_aries any more" in finding.cause
    assert finding.remedy.startswith("`sed -i --follow-symlinks '9c JobSubmitPlugins=all_partitions' /etc/slurm_conf`")


def test_slurmdbd_sought_on_another_port_than_its_own() -> None:
    data = evidence()
    node(data)["facts"]["slurmdbd_conf"]["dbd_port"] = "7031"
    (finding,) = judge(data).findings
    assert finding.id == "accounting-port-differs"
    assert "gives slurmdbd port 7031" in finding.cause
    assert "AccountingStoragePort=7031" in finding.remedy
    say(data, "slurm_conf", "AccountingStoragePort", "7031")
    assert judge(data).healthy
    node(data)["facts"]["slurm_conf"]["accounting_storage_host"] = "elsewhere"
    say(data, "slurm_conf", "AccountingStoragePort", "6819")
    assert judge(data).healthy, "another slurmdbd is meant"


def test_no_token_is_no_second_cause_beside_a_slurmdbd_that_does_not_run() -> None:
    data = evidence("slurmdbd-stopped")
    node(data)["token_refused"] = "scontrol token took more than 30 s"
    assert ids(judge(data)) == ["slurmdbd-stopped"]


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ({"repeated": {"status": 500, "kind": None, "good": False, "words": "Invalid job id"}}, ["request-fails"]),
        ({"repeated": {"status": 200, "kind": None, "good": True, "words": ""}}, []),
        ({"method": "POST", "methods": ["POST"]}, ["request-fails"]),
        ({"method": "DELETE", "methods": ["GET"]}, ["request-method"]),
    ],
)
def test_a_request_that_fails_does_not_end_in_healthy(client: dict[str, Any], expected: list[str]) -> None:
    data = evidence()
    host = node(data)
    sent = {"method": "GET", "path": "/slurm/v0.0.42/job/7", "user": "alice", "bad_characters": [], "methods": ["GET"]}
    token = {"jwt": True, "algorithm": "HS256", "user": "alice", "seconds_left": 100.0}
    answer = {**host["http"]["diag"], "good": True}
    host["http"]["client"] = {**sent, "token": token, "answer": answer, "twin": None, "version": "v0.0.42", **client}
    report = judge(data)
    assert ids(report) == expected
    if "repeated" in client and expected:
        assert "repeated here: 500 Invalid job id" in report.findings[0].evidence


def types_alone(*faults: str, release: str) -> dict[str, Any]:
    """A host whose configurations have AuthAltTypes without AuthAltParameters."""
    data = evidence(*faults, release=release)
    host = node(data)
    for conf in ("slurm_conf", "slurmdbd_conf"):
        host["facts"][conf].update(jwt_key="", jwt_key_origin="", auth_alt_parameters={})
        entries = host["confs"][conf]["entries"]
        host["confs"][conf]["entries"] = [item for item in entries if item["key"] != "authaltparameters"]
    host["facts"]["slurm_conf"]["jwt_key_path"] = host["keys"]["slurmctld"]["path"] = SLURM_FALLBACK_KEY
    host["keys"].pop("slurmdbd", None)
    return data


@pytest.mark.parametrize("release", ["22.05", "24.11", "26.05"])
def test_auth_alt_types_alone_is_one_finding_for_both_daemons(release: str) -> None:
    """The key of slurmctld's default place is missing, and slurmdbd has no default: one cause, one remedy."""
    (finding,) = judge(types_alone("key-missing", release=release)).findings
    assert finding.id == "jwt-key-unset"
    assert f"slurmctld's default, {SLURM_FALLBACK_KEY}, does not exist" in finding.cause
    assert "slurmdbd has no default" in finding.cause
    assert "AuthAltParameters=jwt_key=PATH" in finding.remedy
    (there,) = judge(types_alone(release=release)).findings
    assert there.id == "jwt-key-unset"
    assert "slurmctld" not in there.cause


@pytest.mark.parametrize("down", [False, True])
def test_a_port_of_slurmdbd_that_another_program_has(down: bool) -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["facts"]["slurmdbd_conf"]["dbd_port"] = "6899"
    thief = {"kind": "tcp", "host": "127.0.0.1", "port": 6899, "path": "", "uid": 0, "pid": 9, "program": "python3"}
    host["held"] = [thief, {**thief, "port": 6817, "program": "slurmctld"}]
    if down:
        host["units"]["slurmdbd"].update(active="failed", sub="failed", result="exit-code", pid=0)
        host["journal"]["slurmdbd"] = [{"age": 1.0, "run": 0, "text": "fatal: bind: Address already in use"}]
    (finding,) = judge(data).findings
    assert finding.id == "daemon-port-taken"
    assert finding.by_hand
    assert ("would not start again" in finding.cause) is not down
    assert [found.id for found in judge(data, preflight=True).findings] == ["daemon-port-taken"]
    host["held"][0]["program"] = "slurmdbd"
    assert "daemon-port-taken" not in ids(judge(data))


def test_who_has_the_ports_of_daemons_is_looked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        facts = {"slurm_conf": {"slurmctld_port": f"{port}-{port}"}, "slurmdbd_conf": {"dbd_port": "nonsense"}}
        assert [entry["port"] for entry in surroundings.held(facts, ["slurmctld", "slurmdbd"])] == [port]
        assert surroundings.held(facts, ["slurmrestd"]) == []
        # slurmdbd.conf is SlurmUser's: what is no range of ports never becomes so many numbers.
        facts["slurmdbd_conf"]["dbd_port"] = f"{port}-70000"
        assert surroundings.held(facts, ["slurmdbd"]) == []
