"""Would a daemon come back from a restart, and with everything? Evidence in, problems out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from slurmrest.doctor import thorough
from slurmrest.slurm.conf import SlurmConf, read
from slurmrest.slurm.host_lists import expand
from slurmrest.slurm.releases import excerpt
from slurmrest.transaction import restart_evidence
from slurmrest.transaction import restart_obstacles as module
from slurmrest.transaction.restart_columns import COLUMNS, row_of
from slurmrest.transaction.restart_obstacles import (
    ALLOW,
    Evidence,
    Obstacle,
    conf_nodes,
    judge,
    named_plugins,
    records,
    remaining,
)

CONF = """\
ClusterName=One
SelectType=select/cons_tres
AuthType=auth/munge
JobSubmitPlugins=lua
TopologyPlugin=topology/none
NodeName=DEFAULT Weight=5
NodeName=node[01-03] Features=fast,old
NodeName=gpu1 Weight=7 State=CLOUD
PartitionName=DEFAULT MaxTime=2:00:00
PartitionName=main Nodes=node[01-03] Default=YES
PartitionName=long Nodes=ALL MaxTime=7-0 State=DOWN AllowAccounts=b,a
"""
STATE = "/var/lib/slurm/slurmctld"
NODES = [
    {"NodeName": f"node0{number}", "Weight": "5", "AvailableFeatures": "fast,old", "State": "IDLE"}
    for number in (1, 2, 3)
] + [{"NodeName": "gpu1", "Weight": "7", "AvailableFeatures": "(null)", "State": "IDLE+CLOUD"}]
PARTITIONS = [
    {"PartitionName": "main", "MaxTime": "02:00:00", "State": "UP", "AllowAccounts": "ALL", "MaxNodes": "UNLIMITED"},
    {"PartitionName": "long", "MaxTime": "7-00:00:00", "State": "DOWN", "AllowAccounts": "a,b"},
]


def conf(text: str = CONF) -> SlurmConf:
    found = read("/etc/slurm/slurm.conf", {"/etc/slurm/slurm.conf": text}.get)
    assert found is not None
    return found


def healthy(release: str = "24.11.5", **changes: Any) -> Evidence:
    """A controller with nothing to fear from a restart, but for `changes`."""
    seen = Evidence(
        "slurmctld",
        release=row_of(excerpt(*COLUMNS), release),
        conf=conf(),
        loaded=conf(),
        user="slurm",
        running_version=release,
        program="/usr/sbin/slurmctld",
        program_version=release,
        plugin_dir="/usr/lib/slurm",
        plugins={file: f"/usr/lib/slurm/{file}.so" for file in named_plugins("slurmctld", conf(), {})},
        state_dir=STATE,
        clustername="one|77\n",
        clusters={"one": ("10.0.0.1", "0")},
        nodes=NODES,
        partitions=PARTITIONS,
    )
    return replace(seen, **changes)


def one(seen: Evidence) -> Obstacle:
    (problem,) = judge(seen)
    return problem


@pytest.mark.parametrize("release", ["22.05.8", "23.11.11", "24.11.5", "25.05.8", "26.05.3"])
def test_a_healthy_controller_may_restart(release: str) -> None:
    assert judge(healthy(release)) == []


def test_nothing_known_is_no_problem() -> None:
    assert judge(Evidence("slurmctld")) == []
    assert judge(Evidence("slurmdbd")) == []


# --- would it start? --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "clusters", "harm"),
    [
        ("22.05.8", {}, False),
        ("22.05.8", {"one": ("", "")}, False),
        ("24.05.8", {"one": ("", "")}, False),
        ("24.11.5", {}, True),
        ("24.11.5", {"other": ("10.0.0.2", "")}, True),
        ("24.11.5", {"ONE": ("", "0")}, True),
        ("24.11.5", {"one": ("10.0.0.1", "78")}, True),
        ("24.11.5", {"one": ("10.0.0.1", "77")}, False),
        ("26.05.3", {}, False),
        ("26.05.3", {"one": ("", "0")}, True),
        ("26.05.3", {"one": ("10.0.0.1", "78")}, True),
    ],
)
def test_a_database_made_anew(release: str, clusters: dict[str, tuple[str, str]], harm: bool) -> None:
    found = judge(healthy(release, clusters=clusters))
    assert bool(found) == harm
    for problem in found:
        assert "CLUSTER ID MISMATCH" in problem.cause
        assert problem.where == f"{STATE}/clustername"
        assert f"rm {STATE}/clustername" in problem.remedy


def test_no_id_in_the_state_is_none_that_could_differ() -> None:
    assert judge(healthy(clustername="one", clusters={"one": ("", "0")})) == []
    assert judge(healthy(clustername=None, clusters={})) == []


def test_a_renamed_cluster() -> None:
    problem = one(healthy("22.05.8", clustername="two\n"))
    assert "CLUSTER NAME MISMATCH" in problem.cause
    assert "ClusterName=two" in problem.remedy


def test_plugins_and_libraries() -> None:
    plugins = dict(healthy().plugins)
    gone = one(healthy(plugins={**plugins, "job_submit_lua": ""}))
    assert "/usr/lib/slurm/job_submit_lua.so" in gone.cause
    assert gone.where == "/etc/slurm/slurm.conf:4 JobSubmitPlugins"
    path = plugins["select_cons_tres"]
    assert "libx.so.1" in one(healthy(missing_libraries={path: ["libx.so.1"]})).cause
    assert "libjwt.so.2" in one(healthy(missing_libraries={"/usr/sbin/slurmctld": ["libjwt.so.2"]})).cause


@pytest.mark.parametrize("named", [True, False])
def test_a_plugin_that_only_this_run_would_name_is_not_to_be_taken_out(named: bool) -> None:
    wanted = conf(f"{CONF}AuthAltTypes=auth/jwt\n")
    plugins = {**healthy().plugins, "auth_jwt": ""}
    found = one(healthy(conf=wanted, loaded=wanted if named else conf(), plugins=plugins))
    assert "slurm-wlm-jwt-plugin" in found.remedy
    assert ("take it out" in found.remedy, "as it would be written" in found.where) == (named, not named)


def test_a_plugin_that_another_ones_file_holds() -> None:
    """cred/slurm has no file of its own: auth/slurm's has it."""
    named = named_plugins("slurmctld", conf("AuthType=auth/slurm\nCredType=cred/slurm\n"), {})
    assert set(named) == {"auth_slurm"}
    assert set(named_plugins("slurmctld", conf("CredType=cred/munge\n"), {})) == {"cred_munge"}


def test_plugins_that_are_not_named_are_those_in_force() -> None:
    shown = {"switchtype": "(null)", "prioritytype": "priority/multifactor", "mcsplugin": "user"}
    named = named_plugins("slurmctld", conf("SelectType=select/linear\nTopologyPlugin=topology/default\n"), shown)
    assert set(named) == {"select_linear", "priority_multifactor", "mcs_user"}
    assert set(named_plugins("slurmdbd", conf("AuthAltTypes=jwt\nStorageType=mysql\n"), {})) == {
        "auth_jwt",
        "accounting_storage_mysql",
    }


@pytest.mark.parametrize(("release", "harm"), [("23.02.8", False), ("23.11.11", True), ("26.05.3", True)])
def test_a_plugin_that_the_release_has_no_more(release: str, harm: bool) -> None:
    after = conf(CONF.replace("cons_tres", "cons_res"))
    there = {**healthy().plugins, "select_cons_res": "" if harm else "/usr/lib/slurm/select_cons_res.so"}
    found = judge(healthy(release, conf=after, plugins=there))
    assert bool(found) == harm
    assert all("has no select/cons_res any more" in problem.cause for problem in found)


def test_the_program_itself() -> None:
    assert "26.05.3" in one(healthy(program_version="26.05.3")).cause
    assert judge(healthy(program_version="26.05.3", replacing=True)) == []
    assert "was removed" in one(healthy(program_version=None)).cause
    assert "was removed" in one(healthy(program_version=None, replacing=True)).cause
    words = "slurmdbd: fatal: Could not open/read/parse slurmdbd.conf file /etc/slurm/slurmdbd.conf"
    refused = one(healthy(program_version=None, program_error=words))
    assert (words in refused.cause, refused.remedy) == (True, "Mend the file that it names.")
    other = one(healthy(program_version=None, program_error="Exec format error"))
    assert "was removed, or does not run any more: Exec format error" in other.cause


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state_dir_error": "slurm may not write there"}, f"StateSaveLocation {STATE}"),
        ({"ports": {6817: "nginx (process 12)"}}, "port 6817"),
        ({"absent_files": {"/etc/slurm/job_submit.lua": "JobSubmitPlugins"}}, "/etc/slurm/job_submit.lua"),
        ({"conf": conf(CONF + "Include nodes.conf\n")}, "/etc/slurm/nodes.conf"),
        ({"database_error": "Access denied for user"}, "StoragePass"),
    ],
)
def test_what_else_ends_a_daemon(changes: dict[str, Any], words: str) -> None:
    problem = one(healthy(**changes))
    assert words in str(problem)
    assert problem.what == "slurmctld would not start again"
    assert not problem.loss


# --- what would it forget? --------------------------------------------------------------------------------------------


def test_a_job_that_waits_for_a_node_that_is_gone() -> None:
    jobs = [
        {"id": "5", "user": "carla", "nodes": "cloud[1-2]"},
        {"id": "6", "user": "carla", "nodes": "node02"},
        {"id": "7", "user": "carla", "nodes": "dyn1"},
    ]
    dynamic = {"NodeName": "dyn1", "State": "IDLE+DYNAMIC_NORM", "Weight": "1"}
    problem = one(healthy(jobs=jobs, nodes=[*NODES, dynamic]))
    assert problem.loss
    assert "job 5 of carla (asks for cloud1, cloud2)" in problem.cause
    assert "job 6" not in problem.cause
    assert "job 7" not in problem.cause
    assert ALLOW in problem.remedy


def test_many_jobs_are_counted_not_listed() -> None:
    jobs = [{"id": str(number), "user": "carla", "nodes": "x"} for number in range(14)]
    assert "and 4 more" in one(healthy(jobs=jobs)).cause


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"MaxTime": "03:00:00"}, "partition main has MaxTime=03:00:00"),
        ({"State": "DRAIN"}, "partition main has State=DRAIN"),
        ({"AllowAccounts": "a"}, "partition main has AllowAccounts=a"),
        ({"MaxNodes": "2"}, "partition main has MaxNodes=2"),
    ],
)
def test_partitions_changed_in_memory(changed: dict[str, str], words: str) -> None:
    problem = one(healthy(partitions=[{**PARTITIONS[0], **changed}, PARTITIONS[1]]))
    assert words in problem.cause
    assert problem.loss


def test_partitions_made_and_deleted_in_memory() -> None:
    problem = one(healthy(partitions=[PARTITIONS[0], {"PartitionName": "new"}]))
    assert "partition long was deleted; partition new was created" in problem.cause


def test_what_the_release_keeps_is_not_lost() -> None:
    changed = [{**PARTITIONS[0], "State": "DRAIN"}, PARTITIONS[1]]
    keeps = conf(CONF + "ReconfigFlags=KeepPartState\n")
    assert judge(healthy("24.11.5", partitions=changed, loaded=keeps)) == []
    assert judge(healthy("22.05.8", partitions=changed, loaded=keeps)) != []


def test_nodes_changed_in_memory() -> None:
    nodes = [{**NODES[0], "Weight": "9", "AvailableFeatures": "new"}, *NODES[1:]]
    problem = one(healthy(nodes=nodes))
    assert "node node01 has Weight=9; node node01 has AvailableFeatures=new" in problem.cause


def test_nodes_made_in_memory_that_a_restart_drops() -> None:
    cloud = {"NodeName": "cloud2", "State": "IDLE+CLOUD+DYNAMIC_NORM+POWERED_DOWN", "Weight": "1"}
    other = {"NodeName": "dyn2", "State": "IDLE+DYNAMIC_NORM", "Weight": "1"}
    seen = healthy(nodes=[*NODES, cloud, other], unaddressed=["cloud2"])
    assert "node cloud2 was created. The" in one(seen).cause
    assert judge(replace(seen, unaddressed=[])) == []


def test_features_of_a_plugin_are_its_own() -> None:
    nodes = [{**NODES[0], "AvailableFeatures": "knl"}, *NODES[1:]]
    plugin = conf(CONF + "NodeFeaturesPlugins=helpers\n")
    assert judge(healthy(nodes=nodes, loaded=plugin)) == []


def test_consent_covers_losses_only() -> None:
    loss, harm = Obstacle("a", "b", "c", "d", loss=True), Obstacle("a", "b", "c", "d")
    assert remaining([loss, harm], allow_loss=True) == [harm]
    assert remaining([loss, harm], allow_loss=False) == [loss, harm]
    assert str(harm) == "a (b): c d"


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a,b[1-2]", ["a", "b1", "b2"]),
        ("n[08-10,12]x", ["n08x", "n09x", "n10x", "n12x"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("", []),
        ("(null)", []),
    ],
)
def test_host_lists(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize("text", ["n[1-1200000]", "n[1-2000]m[1-2000]", "n[1,2-1200000]"])
def test_a_host_list_without_end_stands_for_itself(text: str) -> None:
    """Whoever is SlurmUser could name any number of hosts, which root would write out."""
    assert expand(f"a1,{text},b[1-2]") == ["a1", text, "b1", "b2"]
    assert expand("n[²-9]") == ["n²-9"]


def test_what_others_say_is_searched_once() -> None:
    """SlurmUser's words reach root by host lists, ldd and scontrol; none is read anew from each of its places."""
    begin = time.process_time()
    assert expand("[" * 30_000) == []
    assert not restart_evidence._MISSING.search("\n" * 30_000)
    assert not thorough._USER_RECORD.search("\n" * 30_000)
    assert time.process_time() - begin < 0.5


def test_many_host_lists_have_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 5)
    conf = read("slurm.conf", lambda _path: "".join(f"NodeName=n{number}[1-2]\n" for number in range(9)))
    assert conf is not None
    assert len(conf_nodes(conf)) == 5
    job = {"id": "7", "user": "alice", "nodes": "gone[1-4]"}
    seen = Evidence("slurmctld", conf=conf, nodes=(), jobs=[job, job])
    (obstacle,) = judge(seen)
    assert "asks for gone1, gone2, gone3" in obstacle.cause
    assert "asks for gone[1-4]" in obstacle.cause


def test_default_records_count_for_those_after_them() -> None:
    nodes = conf_nodes(conf())
    assert nodes["node03"] == {"weight": "5", "features": "fast,old"}
    assert nodes["gpu1"]["weight"] == "7"


def test_records_of_scontrol() -> None:
    line = "NodeName=a Weight=1 OS=Linux 6.1 #1 SMP State=DOWN Reason=gone Weight=9 [root@2026]\n\n"
    assert records(line) == [{"NodeName": "a", "Weight": "1", "OS": "Linux", "State": "DOWN", "Reason": "gone"}]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("120", "02:00:00"),
        ("1-0", "1-00:00:00"),
        ("30:00", "00:30:00"),
        ("1-12:30", "1-12:30:00"),
        ("INFINITE", "UNLIMITED"),
    ],
)
def test_times_are_compared_as_times(said: str, shown: str) -> None:
    text = CONF.replace("MaxTime=2:00:00", f"MaxTime={said}")
    assert judge(healthy(loaded=conf(text), partitions=[{**PARTITIONS[0], "MaxTime": shown}, PARTITIONS[1]])) == []
