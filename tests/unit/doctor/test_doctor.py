"""From evidence to causes: recorded from clusters that were broken on purpose, and changed by hand where it matters.

``evidence/RELEASE.json`` is written by tests/real/faults: the evidence of healthy clusters, and for each fault where it
differs.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from slurmrest.doctor import diagnosis
from slurmrest.doctor.diagnosis import SCHEMA, Diagnosis, catalogue, diagnose, rules_by_id
from slurmrest.doctor.model import Cluster
from slurmrest.doctor.render import render_text
from slurmrest.slurmrestd import drift, unit_places

from tests.real.faults.record import apply

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
RECORDED = {
    path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parents[1] / "evidence").glob("*.json"))
}
NEWEST = max(RECORDED)
LAYOUTS = [(release, layout) for release, data in RECORDED.items() for layout in data["healthy"]]
FAULTS = [(release, fault) for release, data in RECORDED.items() for fault in data["faults"]]


def evidence(*faults: str, release: str = "24.11", layout: str = "single") -> dict[str, Any]:
    """The evidence of a healthy cluster with that of one or more faults laid over it."""
    data: dict[str, Any] = copy.deepcopy(RECORDED[release]["healthy"][layout])
    for name in faults:
        apply(copy.deepcopy(RECORDED[release]["faults"][name]["changes"]), data["hosts"])
    return data


def split() -> dict[str, Any]:
    """The same cluster on three hosts: each daemon and its key on one of them."""
    data = evidence()
    whole = data["hosts"].pop("node1")
    for name, daemon in (("ctl", "slurmctld"), ("db", "slurmdbd"), ("rest", "slurmrestd")):
        host = copy.deepcopy(whole)
        host.update(roles=[daemon], keys={owner: key for owner, key in host["keys"].items() if owner == daemon})
        if daemon != "slurmrestd":
            host.update(http=None, token_refused=None)
        data["hosts"][name] = host
    return data


def judge(data: dict[str, Any], **more: Any) -> Diagnosis:
    return diagnose(Cluster.of(data["hosts"], unreachable=data["unreachable"], **more))


def ids(report: Diagnosis) -> list[str]:
    return [finding.id for finding in report.findings]


@pytest.mark.parametrize(("release", "layout"), LAYOUTS)
def test_a_healthy_cluster_gives_no_finding(release: str, layout: str) -> None:
    report = judge(evidence(release=release, layout=layout))
    assert report.healthy
    assert report.slurm_version == RECORDED[release]["slurm_version"]
    assert judge(evidence(release=release, layout=layout), preflight=True).healthy


@pytest.mark.parametrize(("release", "fault"), FAULTS)
def test_each_fault_has_one_cause(release: str, fault: str) -> None:
    recorded = RECORDED[release]["faults"][fault]
    report = judge(evidence(fault, release=release, layout=recorded["layout"]))
    assert sorted(ids(report)) == sorted([recorded["expect"], *recorded.get("also", ())])
    finding = next(finding for finding in report.findings if finding.id == recorded["expect"])
    assert finding.evidence
    assert finding.remedy
    assert "None" not in " ".join([finding.cause, *finding.evidence, finding.remedy])


@pytest.mark.parametrize(("release", "fault"), FAULTS)
def test_commands_name_the_instance_that_serves_here(release: str, fault: str) -> None:
    data = evidence(fault, release=release, layout=RECORDED[release]["faults"][fault]["layout"])
    plain = re.compile(
        r"(systemctl|journalctl)[^;&]* slurmrestd(?![@\w-])|journal of slurmrestd:|(start|maps of) slurmrestd(?!@)"
    )
    told = [[*found.evidence, *found.consequences, found.remedy] for found in judge(data).findings]
    for host in data["hosts"].values():
        host["service"] = "slurmrestd@beta"
    named = [[*found.evidence, *found.consequences, found.remedy] for found in judge(data).findings]
    for before, after in zip(told, named, strict=True):
        assert not [text for text in after if plain.search(text)]
        assert [bool(plain.search(text)) for text in before] == ["slurmrestd@beta" in text for text in after]


@pytest.mark.parametrize("daemon", ["slurmrestd", "slurmctld", "slurmdbd", "slurmd"])
def test_a_daemon_that_runs_from_what_was_replaced(daemon: str) -> None:
    data = evidence()
    facts = data["hosts"]["node1"]["facts"]
    facts["units"] = {daemon: {"active": "active", "outdated": True}}
    (finding,) = judge(data).findings
    assert finding.id == "daemon-outdated"
    assert finding.cause.startswith(f"{daemon} still runs from a binary or library that was replaced")
    assert finding.remedy == f"`systemctl restart {daemon}`"
    facts["units"][daemon]["active"] = "inactive"
    assert judge(data).healthy, "it does not run at all, which others tell"


def test_slurm_user_has_to_be_on_the_rest_host_too() -> None:
    data = split()
    data["hosts"]["rest"]["facts"] = copy.deepcopy(data["hosts"]["rest"]["facts"])
    account = data["hosts"]["rest"]["facts"]["slurm_user"]
    uid = data["hosts"]["ctl"]["facts"]["slurm_user"]["uid"]
    account.update(exists=False, uid=None, gid=None)
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("slurm-user-missing", "rest")
    assert f"useradd --system --uid {uid} " in finding.remedy
    assert [found.id for found in judge(data, preflight=True).findings] == ["slurm-user-missing"]
    data["hosts"]["rest"]["facts"]["slurmrestd"]["path"] = ""
    assert judge(data, preflight=True).healthy, "a package that is still to come makes it"


def test_a_slurm_user_that_no_host_has_is_perhaps_misspelt() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["facts"]["slurm_user"].update(name="slurmm", exists=False, uid=None, gid=None)
    for daemon in ("slurmctld", "slurmrestd"):
        host["units"][daemon].update(active="failed", sub="failed", result="exit-code", pid=0)
        said = "fatal: Invalid user for SlurmUser slurmm, ignored" if daemon == "slurmctld" else "fatal: SlurmUser"
        host["journal"][daemon] = [{"age": 1.0, "run": 0, "text": said}]
    host["token_refused"] = "slurm_load: Unable to contact slurm controller"
    host["listening"] = []
    (finding,) = judge(data).findings
    assert finding.id == "slurm-user-missing"
    assert finding.by_hand
    assert "useradd" not in finding.remedy


def test_a_daemon_that_runs_is_never_said_not_to_run() -> None:
    data = evidence()
    unit = data["hosts"]["node1"]["units"]["slurmrestd"]
    unit.update(load="bad-setting", load_error="Unit has a bad unit file setting.")
    assert unit["active"] == "active"
    text = render_text(judge(data).as_dict())
    assert "unit-refused" in text
    assert "does not run" not in text
    unit.update(active="inactive", sub="dead")
    assert ids(judge(data)) == ["slurmrestd-stopped"]


@pytest.mark.parametrize(
    ("family", "package"), [("debian", "slurm-wlm-jwt-plugin"), ("schedmd-deb", "slurm-smd, built with libjwt-dev")]
)
def test_remedies_name_the_package_of_the_family(family: str, package: str) -> None:
    data = evidence()
    facts = data["hosts"]["node1"]["facts"]
    facts["packaging"] = family
    facts["plugins"]["auth_jwt"] = False
    (finding,) = judge(data).findings
    assert finding.id == "jwt-plugin-missing"
    assert package in finding.remedy


def test_rules_refer_to_each_other_by_ids_that_exist() -> None:
    rules = rules_by_id()
    assert len(rules) == len(catalogue())
    for rule in rules.values():
        assert rule.title
        assert rule.documentation
        assert set(rule.explains) <= set(rules), rule.id
        assert len(set(rule.explains)) == len(rule.explains), rule.id


def test_what_a_rule_explains_is_found_by_that_word() -> None:
    """Positionally it was one tuple among others."""
    of_rules = [
        node
        for path in sorted(Path(diagnosis.__file__).parent.glob("rules_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rule"
    ]
    assert len(of_rules) == len(rules_by_id())
    assert [call.lineno for call in of_rules if len(call.args) > 4] == []


def test_no_rule_explains_itself_by_way_of_others() -> None:
    rules = rules_by_id()

    def below(identity: str, seen: tuple[str, ...]) -> Iterator[str]:
        assert identity not in seen, seen
        for target in rules[identity].explains:
            yield target
            yield from below(target, (*seen, identity))

    for identity in rules:
        assert identity not in set(below(identity, ()))


def words_of_rules() -> Iterator[str]:
    """What rules say to people: their texts with a space in them, names and keys of evidence have none."""
    place = Path(diagnosis.__file__).parent
    for path in (*place.glob("rules_*.py"), place / "remedies.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield node.value


def test_what_rules_tell_people_to_use_exists() -> None:
    variables = {"slurmrest_allow_controller_restart", "slurmrest_doctor_listen"}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(path.read_text())["argument_specs"].values():
            variables |= set(spec.get("options") or {})
    playbooks = "".join(path.read_text() for path in ROOT.glob("playbooks/*.yml"))
    assert "slurmrest_doctor_listen" in playbooks
    roles = {path.name for path in ROOT.glob("roles/*")}
    named = {name for text in words_of_rules() for name in re.findall(r"\bslurm[a-z]*_[a-z0-9_]+", text)}
    assert named - variables - roles == set()
    assert len(named) > 10
    books = {name for text in words_of_rules() for name in re.findall(r"playbooks/\w+\.yml", text)}
    assert books
    assert [name for name in books if not (ROOT / name).exists()] == []
    for tags in re.findall(r"--tags ([\w,]+)", " ".join(words_of_rules())):
        assert [tag for tag in tags.split(",") if f"tags: [{tag}]" not in playbooks] == []


SENT_ELSEWHERE = "/etc/default/slurmrestd:3"


def test_a_process_that_does_not_do_what_the_dropin_says_is_the_cause_of_refused_tokens() -> None:
    for place, remedy in (("/etc/x.conf:2", "'2d' /etc/x.conf`"), (drift.NOWHERE, "restarts it")):
        data = evidence()
        item = {"setting": "-a", "wanted": "rest_auth/jwt", "running": "", "origin": place, "text": "-a is not given"}
        data["hosts"]["node1"]["facts"]["running"] = [item]
        refused = {**data["hosts"]["node1"]["http"]["diag"], "status": 500, "good": False, "words": "no"}
        data["hosts"]["node1"]["http"]["diag"] = refused
        (finding,) = judge(data).findings
        assert (finding.id, finding.evidence) == ("runs-otherwise", ["-a is not given"])
        assert finding.consequences
        assert remedy in finding.remedy


@pytest.mark.parametrize(("path", "exists"), [("/srv/other/slurm.conf", True), ("/srv/none/slurmrestd.conf", False)])
def test_an_environment_that_names_another_slurm_conf_is_named(path: str, exists: bool) -> None:
    data = evidence()
    facts = data["hosts"]["node1"]["facts"]
    facts["unit"]["environment"]["SLURM_CONF"] = path
    facts["unit"]["environment_origins"]["SLURM_CONF"] = SENT_ELSEWHERE
    facts["slurm_conf"].update(path=path, exists=exists)
    (finding,) = judge(data).findings
    assert finding.id == "conf-redirected"
    assert finding.evidence[0] == f"{SENT_ELSEWHERE}: SLURM_CONF={path}"


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("/etc/slurm/slurm.conf", None),
        ("/etc/slurm/slurmrestd.conf", None),
        ("/srv/other/slurm.conf", "/srv/other/slurm.conf"),
    ],
)
def test_an_environment_that_names_the_right_file_is_not(path: str, option: str | None) -> None:
    data = evidence()
    unit = data["hosts"]["node1"]["facts"]["unit"]
    unit["environment"]["SLURM_CONF"] = path
    unit["environment_origins"]["SLURM_CONF"] = SENT_ELSEWHERE
    unit["options"] += [{"flag": "-f", "value": option, "origin": SENT_ELSEWHERE}] if option else []
    assert judge(data).healthy


def test_a_masked_unit_is_no_file_that_others_may_change() -> None:
    data = evidence("not-running")
    host = data["hosts"]["node1"]
    link = "/etc/systemd/system/slurmrestd.service"
    host["units"]["slurmrestd"].update(load="masked", fragment=link)
    host["files"][link] = {"null": True, "others_write": True, "account_writes": True, "owner": "root", "group": "root"}
    (finding,) = judge(data).findings
    assert finding.id == "unit-masked"
    assert finding.remedy.startswith("`systemctl unmask slurmrestd; systemctl unmask --runtime slurmrestd`")
    assert finding.consequences


@pytest.mark.parametrize(("daemon", "fault"), [("slurmctld", "slurmctld-stopped"), ("slurmdbd", "slurmdbd-stopped")])
def test_a_mask_is_taken_away_before_a_daemon_is_started(daemon: str, fault: str) -> None:
    data = evidence(fault)
    data["hosts"]["node1"]["units"][daemon].update(load="masked")
    (finding,) = judge(data).findings
    assert finding.id == fault
    assert "masked" in finding.cause
    assert finding.remedy.startswith(f"`systemctl unmask {daemon}; systemctl unmask --runtime {daemon}`, then")
    assert f"`systemctl enable --now {daemon}`" in finding.remedy


def test_a_mask_over_a_daemon_that_runs_is_told() -> None:
    data = evidence()
    data["hosts"]["node1"]["units"]["slurmctld"].update(load="masked")
    (finding,) = judge(data).findings
    assert (finding.id, finding.remedy) == (
        "unit-refused",
        "`systemctl unmask slurmctld; systemctl unmask --runtime slurmctld`",
    )


@pytest.mark.parametrize(("how", "remedy"), [("halted", "kill --signal=SIGCONT"), ("frozen", "thaw")])
@pytest.mark.parametrize("daemon", ["slurmctld", "slurmdbd", "slurmrestd", "munge", "mariadb"])
def test_a_daemon_that_is_held_up_is_the_cause_of_every_silence(daemon: str, how: str, remedy: str) -> None:
    data = evidence() if daemon == "slurmrestd" else evidence("slurmctld-stopped")
    host = data["hosts"]["node1"]
    healthy = evidence()["hosts"]["node1"]
    host.update(units=healthy["units"], processes=healthy["processes"])
    place = host["processes"] if how == "halted" else host["units"]
    place[daemon][how] = True
    findings = judge(data).findings
    assert [finding.id for finding in findings] == ["daemon-halted"]
    assert findings[0].remedy == f"`systemctl {remedy} {daemon}`"


@pytest.mark.parametrize("named", [False, True])
def test_a_unix_socket_without_a_named_plugin_is_no_fault_of_slurmctld(named: bool) -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    if not named:
        unit = host["facts"]["unit"]
        unit["options"] = [option for option in unit["options"] if option["flag"] != "-a"]
        host["facts"]["contradictions"] = []
        refused = {**host["http"]["diag"], "status": 500, "good": False, "words": "Protocol authentication error"}
        host["http"]["diag"] = refused
    report = judge(data)
    assert ids(report) == ([] if named else ["auth-plugin-not-named"])
    assert named or report.findings[0].consequences


@pytest.mark.parametrize(
    ("signal", "result", "expected"),
    [
        ("SIGINT", "success", ["stop-needs-kill"]),
        ("SIGTERM", "success", []),  # deployed since
        ("SIGTERM", "timeout", ["stop-needs-kill"]),
    ],
)
def test_a_unit_that_had_to_be_killed_is_told_while_it_would_happen_again(
    signal: str, result: str, expected: list[str]
) -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["kill_signal"] = signal
    host["units"]["slurmrestd"]["result"] = result
    text = "slurmrestd.service: State 'stop-sigterm' timed out. Killing."
    host["journal"]["slurmrestd"].append({"age": 30.0, "run": 1, "text": text})
    report = judge(data)
    assert ids(report) == expected
    assert all(("KillSignal=SIGTERM" in finding.remedy) is (signal == "SIGINT") for finding in report.findings)


def test_two_faults_are_two_findings_and_the_weightier_comes_first() -> None:
    data = evidence("slurmctld-stopped")
    data["hosts"]["node1"]["files"][unit_places.DROPIN]["account_writes"] = True
    report = judge(data)
    assert ids(report) == ["slurmctld-stopped", "dropin-writable"]
    assert report.findings[0].consequences
    assert not report.findings[1].consequences


def test_one_cause_on_several_hosts_is_one_finding() -> None:
    data = split()
    for host in data["hosts"].values():
        host["exported"] = ["/etc/profile.d/slurm.sh:1"]
    (finding,) = judge(data).findings
    assert finding.host == ", ".join(data["hosts"])
    assert finding.evidence == [f"{host}: /etc/profile.d/slurm.sh:1: SLURM_JWT" for host in data["hosts"]]


def test_a_fault_that_no_rule_knows_is_told_in_the_words_of_the_daemon() -> None:
    data = evidence("slurmctld-stopped")
    host = data["hosts"]["node1"]
    host["units"]["slurmctld"].update(active="failed", sub="failed", result="exit-code", exit_status=1)
    host["journal"]["slurmctld"] = [{"age": 3.0, "run": 0, "text": "fatal: the moon is in the wrong place"}]
    (finding,) = judge(data).findings
    assert finding.id == "slurmctld-failed"
    assert finding.evidence[0] == "journal of slurmctld: fatal: the moon is in the wrong place"


def test_what_was_wrong_yesterday_is_no_finding() -> None:
    data = evidence()
    for daemon, text in (
        ("slurmrestd", "fatal: slurmrestd should not be run as the root user."),
        ("slurmrestd", "fatal: Unable to unshare System V namespace: Operation not permitted"),
        ("slurmrestd", "fatal: [unix:/run/slurmrestd.socket] Unable to bind UNIX socket: Permission denied"),
        ("slurmctld", "fatal: auth/jwt: cannot stat '/var/lib/slurm/jwt/jwt_hs256.key': No such file or directory"),
        ("slurmctld", "error: auth_p_verify: token expired"),
        ("slurmdbd", "error: auth_g_unpack: authentication plugin auth/jwt(102) not found"),
    ):
        data["hosts"]["node1"]["journal"][daemon].append({"age": 90.0, "run": 1, "text": text})
    assert judge(data).healthy


def test_daemons_that_have_just_started_are_waited_for_and_those_that_are_down_are_not() -> None:
    data = evidence()
    assert Cluster.of(data["hosts"]).patience == 5
    data["hosts"]["node1"]["processes"]["slurmdbd"]["age"] = 2.0
    assert Cluster.of(data["hosts"]).patience == 18
    assert Cluster.of(evidence("not-running")["hosts"]).patience == 0
    for name in ("munge", "mariadb"):
        data = evidence()
        data["hosts"]["node1"]["units"][name].update(active="inactive", sub="dead")
        assert Cluster.of(data["hosts"]).patience == 0


def test_a_host_that_cannot_be_looked_at_is_a_finding() -> None:
    data = split()
    del data["hosts"]["ctl"]
    data["unreachable"] = {"ctl": "ssh: connect to host: Connection refused"}
    data["hosts"]["rest"]["token_refused"] = "slurm_token on ctl: unreachable"
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("host-unreachable", "ctl")
    assert len(finding.consequences) == 1


def test_before_a_deployment_only_what_it_should_not_begin_over_counts() -> None:
    for mended in ("not-running", "account-root", "listens-elsewhere", "key-missing", "unshare-denied"):
        assert judge(evidence(mended), preflight=True).healthy, mended
    for left in ("key-empty", "key-short", "key-open", "key-owner", "key-directory", "port-taken"):
        assert ids(judge(evidence(left), preflight=True)) == [RECORDED["24.11"]["faults"][left]["expect"]]
    data = evidence("port-taken")
    data["hosts"]["node1"]["expected"] = ["127.0.0.1:7000"]  # the deployment moves slurmrestd away
    assert judge(data, preflight=True).healthy
    assert ids(judge(data)) == ["port-taken"]
    data = evidence()
    data["hosts"]["node1"]["munge"].update(works=False, error="Failed to access socket")
    assert ids(judge(data, preflight=True)) == ["munge-stopped"]


def test_a_host_without_slurm_stops_no_deployment() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["facts"]["slurmrestd"] = {"path": "", "version": None, "error": None, "missing_library": None}
    host.update(units={}, processes={}, keys={}, listening=[], http=None)
    host["munge"] = {"used": True, "works": True, "error": ""}
    assert judge(data, preflight=True).healthy


@pytest.mark.parametrize(
    ("ahead", "found"), [(0.5, []), (20.0, []), (-20.0, []), (3600.0, ["clocks-apart"]), (-3600.0, ["clocks-apart"])]
)
def test_clocks_are_compared_by_what_the_times_of_asking_allow(ahead: float, found: list[str]) -> None:
    data = split()
    data["hosts"]["db"]["now"] = data["hosts"]["db"]["asked"][0] + ahead
    assert ids(judge(data)) == found


def test_differing_keys_of_a_backup_controller() -> None:
    data = split()
    backup = copy.deepcopy(data["hosts"]["ctl"])
    backup["keys"]["slurmctld"]["fingerprint"] = "another"
    data["hosts"]["backup"] = backup
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("jwt-keys-differ", "backup")
    assert "slurmctld on backup" in finding.evidence[-1]


@pytest.mark.parametrize("differs", [True, False])
def test_a_host_that_is_back_with_an_ended_key_is_named_with_what_to_do_there(differs: bool) -> None:
    data = split()
    backup = copy.deepcopy(data["hosts"]["ctl"])
    data["hosts"]["backup"] = backup
    for name in ("backup", "db"):
        for key in data["hosts"][name]["keys"].values():
            key.update(ended_without=["ctl"], **({"fingerprint": "the new one"} if differs else {}))
    found = judge(data).findings
    assert [(finding.id, finding.host) for finding in found] == ([("jwt-keys-differ", "ctl")] if differs else [])
    if differs:
        assert "ctl is back with the one that a rotation without it has ended" in found[0].cause
        path = data["hosts"]["ctl"]["keys"]["slurmctld"]["path"]
        assert f"systemctl stop slurmctld; rm {path} on ctl. Once a backup is in charge" in found[0].remedy


def test_where_memory_cannot_be_looked_into_the_age_of_the_key_decides() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["processes"]["slurmctld"]["mapped"] = None
    assert judge(data).healthy
    host["keys"]["slurmctld"]["age"] = host["processes"]["slurmctld"]["age"] - 60
    assert ids(judge(data)) == ["jwt-key-not-loaded"]


def test_jwks_alone_are_sound_where_no_hs256_is_in_use() -> None:
    data = evidence()
    facts = data["hosts"]["node1"]["facts"]
    facts["slurm_conf"].update(jwt_key="", jwks="/etc/slurm/jwks.json")
    assert ids(judge(data)) == ["jwks-without-key"]
    facts["slurmdbd_conf"].update(jwt_key="", jwks="/etc/slurm/jwks.json")
    assert judge(data).healthy


def test_a_restart_loop_that_is_over_is_no_finding() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["units"]["slurmrestd"]["restarts"] = 5
    for age, found in ((600.0, []), (5.0, ["restart-loop"])):
        lines = [{"age": age + n, "run": n, "text": f"restart counter is at {5 - n}."} for n in range(5)]
        host["journal"]["slurmrestd"] = lines
        assert ids(judge(data)) == found


def test_a_daemon_that_ends_without_a_word_was_denied_unshare_where_that_is_denied() -> None:
    data = evidence("unshare-denied")
    host = data["hosts"]["node1"]
    host["journal"]["slurmrestd"] = [line for line in host["journal"]["slurmrestd"] if "unshare" not in line["text"]]
    assert ids(judge(data)) == ["restart-loop"]
    host["unshare"] = "Operation not permitted"
    assert ids(judge(data)) == ["unshare-denied"]
    host["unshare"] = ""
    host["units"]["slurmrestd"]["unshare"] = False
    assert ids(judge(data)) == ["unshare-denied"]
    host["journal"]["slurmrestd"].append({"age": 1.0, "run": 0, "text": "error: something else"})
    assert ids(judge(data)) == ["restart-loop"]


@pytest.mark.parametrize("step", ["217/USER", "226/NAMESPACE", "228/SECCOMP"])
def test_a_sandbox_that_systemd_cannot_set_up_is_told_from_a_daemon_that_fails(step: str) -> None:
    data = evidence("unshare-denied")
    host = data["hosts"]["node1"]
    host["unshare"] = None
    host["units"]["slurmrestd"]["unshare"] = True
    ended = f"slurmrestd.service: Main process exited, code=exited, status={step}"
    host["journal"]["slurmrestd"] = [{"age": 1.0, "run": 0, "text": ended}]
    (finding,) = judge(data).findings
    assert finding.id == "sandbox-refused"
    assert any(step in line for line in finding.evidence)


@pytest.mark.parametrize(
    ("names", "found"),
    [([], ["cluster-not-registered"]), (["another"], ["cluster-not-registered"]), (["another", "SlurmREST"], [])],
)
def test_the_database_must_know_the_cluster(names: list[str], found: list[str]) -> None:
    data = evidence()
    data["hosts"]["node1"]["http"]["clusters"]["names"] = names
    report = judge(data)
    assert ids(report) == found


@pytest.mark.parametrize(
    ("version", "words", "not_said"),
    [
        ("22.05.8", "sacctmgr -i add cluster slurmrest", "clustername"),
        ("24.11.5", "rm -f /var/lib/slurm/slurmctld/clustername; systemctl start slurmctld", "add cluster"),
        ("26.05.3", "systemctl restart slurmctld", "add cluster"),
    ],
)
def test_how_a_cluster_gets_registered_depends_on_the_release(version: str, words: str, not_said: str) -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["http"]["clusters"]["names"] = []
    host["facts"].update(version=version, release_error=None)
    (finding,) = judge(data).findings
    assert words in finding.remedy
    assert not_said not in finding.remedy


def test_the_json_shape() -> None:
    data = judge(evidence("key-missing")).as_dict()
    assert data["schema"] == SCHEMA
    assert data["healthy"] is False
    assert set(data) == {"schema", "healthy", "slurm_version", "findings"}
    assert set(data["findings"][0]) == {
        *("id", "title", "cause", "evidence", "consequences", "remedy", "by_hand", "documentation", "host"),
    }
    assert json.loads(json.dumps(data)) == data


def test_text_for_people() -> None:
    healthy = render_text(judge(evidence()).as_dict())
    assert healthy == f"healthy: Slurm {RECORDED['24.11']['slurm_version']}, nothing found\n"
    text = render_text(judge(evidence("key-missing")).as_dict())
    assert "1. The JWT key is not there  [jwt-key-missing] on node1" in text
    assert all(label in text for label in ("seen:", "hence:", "remedy:", "see:"))
    assert "\033" not in text
    assert "\033[1;31m" in render_text(judge(evidence("key-missing")).as_dict(), colour=True)


def test_what_several_causes_may_lead_to_is_told_once() -> None:
    """Four findings with the same three lines under each hid what differed."""
    report = judge(evidence("key-missing")).as_dict()
    first = report["findings"][0]
    report["findings"] = [first, {**first, "id": "second"}, {**first, "consequences": ["node1: its own"]}]
    text = render_text(report)
    assert text.count("hence:   also what is told under 1\n") == 1
    for line in first["consequences"]:
        assert " ".join(text.split()).count(line) == 1
    assert "hence:   node1: its own" in text


def ended(data: dict[str, Any], daemon: str, *lines: str, name: str = "node1") -> None:
    """Have a daemon of a host end with these lines."""
    host = data["hosts"][name]
    host["units"][daemon].update(active="failed", sub="failed", result="exit-code", exit_status=1)
    host["journal"][daemon] = [{"age": 5.0, "run": 0, "text": line} for line in lines]


LUA = (
    "error: job_submit/lua: Unable to stat /etc/slurm/job_submit.lua: No such file or directory",
    "error: Couldn't load specified plugin name for job_submit/lua: Plugin init() callback failed",
    "error: cannot create job_submit context for job_submit/lua",
    "fatal: failed to initialize job_submit plugin",
)
MISMATCH = ("fatal: CLUSTER ID MISMATCH.", "Remove clustername to override this safety check if this is intentional.")


def test_a_database_that_was_made_anew_has_a_remedy() -> None:
    data = evidence()
    ended(data, "slurmctld", *MISMATCH)
    (finding,) = judge(data).findings
    assert finding.id == "cluster-id-mismatch"
    assert "`rm /var/lib/slurm/slurmctld/clustername`" in finding.remedy
    assert finding.consequences


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmdbd"])
def test_a_host_on_which_no_cluster_was_made_yet_stops_a_deployment(daemon: str) -> None:
    """Check mode was green, and the real run ended over the owner of a key."""
    data = evidence()
    host = data["hosts"]["node1"]
    del host["units"][daemon]
    assert ids(judge(data, preflight=True)) == [], "its slurm.conf is there: somebody runs it otherwise"
    host["facts"]["slurm_conf" if daemon == "slurmctld" else "slurmdbd_conf"]["exists"] = False
    (finding,) = judge(data, preflight=True).findings
    assert finding.id == "cluster-missing"
    assert "playbooks/cluster.yml" in finding.remedy
    assert ids(judge(data)) == ["cluster-missing"]
    host["planned"] = True
    assert ids(judge(data, preflight=True)) == [], "cluster.yml was played before, in check mode"


@pytest.mark.parametrize(
    ("said", "file", "lost"),
    [
        ("Assoc usage", "assoc_usage", "fair-share usage"),
        ("job state", "job_state", "all jobs"),
        ("trigger state", "trigger_state", "triggers"),
    ],
)
def test_a_file_of_the_state_that_is_missing_is_named_with_what_it_held(said: str, file: str, lost: str) -> None:
    """From 25.05 on, of a slurmctld that was killed in its first minutes."""
    data = evidence()
    path = f"/var/lib/slurm/slurmctld/{file}"
    ended(data, "slurmctld", f"fatal: No {said} file ({path}) to recover")
    (finding,) = judge(data).findings
    assert finding.id == "state-file-missing"
    assert path in finding.cause
    assert "`rm /var/lib/slurm/slurmctld/clustername`" in finding.remedy
    assert lost in finding.remedy
    assert finding.consequences
    assert finding.remedy.startswith(f"Where a copy of {path} is kept, put it back.")


def test_a_file_that_a_backup_was_writing_while_the_primary_came_back_is_there_the_next_time() -> None:
    """Seen on a pair of controllers with 26.05, three times: the backup saved all state as the primary read it."""
    data = evidence(layout="backup")
    lines = ("fatal: No fed_mgr state file (/var/lib/slurm/slurmctld/fed_mgr_state) to recover",)
    ended(data, "slurmctld", *lines, name="ctl")
    (finding,) = (found for found in judge(data).findings if found.id == "state-file-missing")
    assert "A backup that gives the cluster back may have been writing it" in finding.cause
    assert finding.remedy.startswith("`systemctl reset-failed slurmctld; systemctl restart slurmctld`: the file may be")


@pytest.mark.parametrize("fault", ["key-directory", "auth-alt-missing", "key-short"])
def test_what_cannot_be_the_reason_of_an_end_does_not_explain_it(fault: str) -> None:
    data = evidence(fault)
    ended(data, "slurmctld", *MISMATCH)
    assert sorted(ids(judge(data))) == sorted([RECORDED["24.11"]["faults"][fault]["expect"], "cluster-id-mismatch"])
    (failed,) = (found for found in judge(data).findings if found.id == "cluster-id-mismatch")
    assert [text.partition(": ")[2] for text in failed.evidence[:2]] == list(MISMATCH)


def test_a_daemon_that_says_why_it_ended_decides_between_two_causes() -> None:
    data = evidence("key-open")
    ended(data, "slurmctld", "fatal: auth/jwt: key file is insecure: '/key' mode=0644")
    assert ids(judge(data)) == ["jwt-key-open"]
    ended(data, "slurmctld", *LUA)
    assert sorted(ids(judge(data))) == ["jwt-key-open", "plugin-fails"]


def test_one_missing_library_is_one_finding_for_all_daemons_of_a_host() -> None:
    data = evidence()
    line = "dlopen(/usr/lib/slurm/auth_jwt.so): libjwt.so.2: cannot open shared object file: No such file or directory"
    for daemon in ("slurmctld", "slurmdbd", "slurmrestd"):
        ended(
            data,
            daemon,
            f"error: plugin_load_from_file: {line}",
            "error: Couldn't load specified plugin name for auth/jwt: Dlopen of plugin file failed",
            "error: cannot create auth context for auth/jwt",
            "fatal: failed to initialize auth plugin",
        )
    (finding,) = judge(data).findings
    assert finding.id == "plugin-fails"
    assert "libjwt.so.2 cannot be opened" in finding.cause
    assert "ldconfig" in finding.remedy
    assert len(finding.consequences) == 3
    assert finding.evidence[0].endswith(line)


def test_a_plugin_that_gives_up_is_named_with_its_own_line() -> None:
    data = evidence()
    ended(data, "slurmctld", *LUA)
    (finding,) = judge(data).findings
    assert finding.id == "plugin-fails"
    assert "Unable to stat /etc/slurm/job_submit.lua" in finding.cause


def test_rules_that_explain_an_end_say_with_which_words() -> None:
    ends = {"slurmctld-failed", "slurmdbd-failed", "slurmrestd-failed"}
    silent = {"unit-masked", "no-listener", "condition-failed", "sandbox-refused", "stop-needs-kill"}
    silent |= {"unit-type", "environment-file-missing", "unit-command-fails", "unit-dependency-fails"}
    silent |= {"unit-watchdog"}
    told = {rule.id for rule in rules_by_id().values() if ends & set(rule.explains) and not rule.fatals}
    assert told == silent
