"""What a daemon must find on its host, and what its last words mean."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.doctor import evidence as module
from slurmrest.doctor import munge, thorough, unit_evidence, unit_states
from slurmrest.doctor.endings import meaning
from slurmrest.host import programs
from slurmrest.slurmrestd import drift

from tests.unit.doctor.test_doctor import evidence, judge, split

if TYPE_CHECKING:
    from pathlib import Path

CONF = "/etc/slurm/slurmdbd.conf"
DOWN: dict[str, Any] = {"active": "failed", "sub": "failed", "result": "exit-code", "exit_status": 1, "pid": 0}


def ended(data: dict[str, Any], daemon: str, text: str) -> dict[str, Any]:
    """The host after a daemon of it has ended with some words."""
    host: dict[str, Any] = data["hosts"]["node1"]
    host["units"][daemon].update(DOWN)
    host["processes"].pop(daemon, None)
    host["journal"][daemon] = [{"age": 5.0, "run": 0, "text": text}]
    if daemon == "slurmrestd":
        host.update(listening=[], http=None)
    return host


@pytest.mark.parametrize("change", [{"mode": "0644"}, {"mode": "0400"}, {"owner": "root"}])
def test_a_configuration_that_slurmdbd_refuses(change: dict[str, str]) -> None:
    data = evidence()
    data["hosts"]["node1"]["files"][CONF].update(change)
    (finding,) = judge(data).findings
    assert finding.id == "slurmdbd-conf-open"
    assert "would not start again" in finding.cause
    assert finding.remedy == f"`chown -h slurm: {CONF}; runuser -u slurm -- chmod 0600 {CONF}`"
    assert [one.id for one in judge(data, preflight=True).findings] == ["slurmdbd-conf-open"]

    host = ended(
        data, "slurmdbd", f"fatal: slurmdbd.conf file {CONF} should be 600 is 644 accessible for group or others"
    )
    host["http"]["clusters"] = {**host["http"]["clusters"], "good": False}
    (finding,) = judge(data).findings
    assert finding.id == "slurmdbd-conf-open"
    assert finding.remedy.endswith("`systemctl reset-failed slurmdbd; systemctl restart slurmdbd`")


def test_another_end_of_slurmdbd_is_not_explained_by_it() -> None:
    data = evidence()
    host = ended(data, "slurmdbd", "fatal: Unable to initialize something else")
    host["files"][CONF]["mode"] = "0644"
    assert {one.id for one in judge(data).findings} == {"slurmdbd-conf-open", "slurmdbd-failed"}


def test_a_place_where_slurmctld_may_not_write() -> None:
    data = evidence()
    host = ended(data, "slurmctld", "fatal: Incorrect permissions on state save loc: /var/lib/slurm/slurmctld")
    state = {"path": "/var/lib/slurm/slurmctld", "exists": True, "owner": "root", "group": "root", "mode": "0755"}
    host.update(state={**state, "writable": False}, token_refused="refused")
    (finding,) = judge(data).findings
    assert finding.id == "state-unwritable"
    # SlurmUser may have the directory above, and put a link there by the time that this is typed.
    assert finding.remedy.startswith(
        "`chown -h slurm: /var/lib/slurm/slurmctld; runuser -u slurm -- chmod 0700 /var/lib/slurm/slurmctld`"
    )
    host["state"].update(exists=False)
    assert "`mkdir -p /var/lib/slurm/slurmctld; chown" in judge(data).findings[0].remedy


def test_where_slurmctld_may_write_is_looked_at(tmp_path: Path) -> None:
    conf = {"state_save_location": str(tmp_path), "slurm_user": "nobody"}
    tmp_path.chmod(0o700)
    seen = module._state(conf)
    assert seen is not None
    assert seen["writable"] is (os.geteuid() != 0 and seen["owner"] == "nobody")
    seen = module._state({**conf, "slurm_user": "root"})
    assert seen is not None
    assert seen["writable"] is True
    seen = module._state({**conf, "slurm_user": "nosuchaccount"})
    assert seen is not None
    assert seen["writable"] is None
    assert module._state({**conf, "state_save_location": None}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("error: This host (node1/node1) not a valid controller", "other controllers"),
        ("fatal: This host not configured to run SlurmDBD ((db or db.x) != a | (backup) (null))", "names another host"),
        ("fatal: CLUSTER NAME MISMATCH.", "ClusterName"),
        ("error: Parsing error at unrecognized key: Foo", "does not take"),
        ("slurmctld.service: Main process exited, code=exited, status=203/EXEC", "cannot run the program"),
        ("slurmctld.service: Failed with result 'oom-kill'.", "want of memory"),
        ("systemctl show slurmctld: Result=core-dump, exit status 11, 1 restarts", "crashed"),
        ("fatal: _open_ctld_listeners: bind: Address already in use", "Another process"),
    ],
)
def test_last_words_are_said_in_words_of_what_to_do(text: str, words: str) -> None:
    known = meaning(["fatal: something", text])
    assert known is not None
    assert words in known[0]
    assert known[0].endswith(".")
    assert not known[1].endswith(".")


def test_the_meaning_is_told_with_the_finding() -> None:
    data = evidence()
    host = ended(data, "slurmctld", "fatal: This host (node1/node1) not a valid controller")
    host["token_refused"] = "refused"
    (finding,) = judge(data).findings
    assert finding.id == "slurmctld-failed"
    assert finding.cause == "It ended. slurm.conf names other controllers than this host."
    assert finding.remedy.startswith("Compare SlurmctldHost")
    host["journal"]["slurmctld"][0]["text"] = "fatal: what nobody has seen"
    assert judge(data).findings[0].cause == "It ended. See its own words."
    host["journal"]["slurmctld"] = [
        {"age": 9.0, "run": 1, "text": "error: of the run before"},
        {"age": 1.0, "run": 0, "text": "slurmctld.service: Failed with result 'exit-code'."},
    ]
    (finding,) = judge(data).findings
    assert finding.cause == "It ended. It left no word of why in the journal."
    assert "slurmctld -D says it in a terminal" in finding.remedy
    assert "run before" not in str(finding.evidence)
    assert meaning(["fatal: what nobody has seen"]) is None


def test_a_site_with_tokens_of_issuers_alone_makes_none_and_is_sound() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    for conf in ("slurm_conf", "slurmdbd_conf"):
        host["facts"][conf].update(jwks="/etc/slurm/jwks.json", jwt_key="")
    host.update(token_refused="Token Generation failed", http=None)
    assert judge(data).healthy
    for conf in ("slurm_conf", "slurmdbd_conf"):
        host["facts"][conf]["jwt_key"] = "/var/lib/slurm/jwt/jwt_hs256.key"
    assert [finding.id for finding in judge(data).findings] == ["token-not-minted"]


def test_a_variable_that_sends_slurmctld_elsewhere_is_a_cause_where_there_is_trouble() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["processes"]["slurmctld"]["environment"]["SLURM_CONF"] = "/srv/other/slurm.conf"
    assert judge(data).healthy, "several clusters on one host, each with its own"
    host.update(token_refused="refused", http=None)
    (finding,) = judge(data).findings
    assert finding.id == "daemon-redirected"
    assert finding.evidence[0].endswith("of slurmctld: SLURM_CONF=/srv/other/slurm.conf")
    host["processes"]["slurmctld"]["environment"].clear()
    assert [one.id for one in judge(data).findings] == ["token-not-minted"]


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ("A=b SLURM_CONF=/srv/slurm.conf", "/srv/slurm.conf"),
        ('"SLURM_CONF=/srv/slurm.conf"', "/srv/slurm.conf"),
        ("NOSLURM_CONF=/srv/slurm.conf", ""),
        ("", ""),
    ],
)
def test_the_variable_is_read_from_what_systemctl_shows(environment: str, path: str) -> None:
    assert unit_states._sent_to(environment) == path


def test_a_configuration_that_is_not_there_is_one_cause_for_all_daemons_of_the_host() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["listening"] = []
    for daemon in ("slurmctld", "slurmrestd"):
        host["units"][daemon].update(active="inactive", sub="dead", pid=0, condition=False)
    host["facts"]["slurm_conf"].update(readable=False)
    host["files"]["/etc/slurm/slurm.conf"].update(dangling="/srv/nothing/slurm.conf")
    (finding,) = judge(data).findings
    assert finding.id == "slurm-conf-missing"
    assert (
        finding.cause
        == "There is no /etc/slurm/slurm.conf: it is a link to /srv/nothing/slurm.conf, which is not there."
    )


def test_a_key_that_the_release_does_not_know_is_one_cause_and_its_line_goes() -> None:
    data = evidence()
    text = "error: _parse_next_key: Parsing error at unrecognized key: SlurmctldPidFyle"
    for daemon in ("slurmctld", "slurmrestd"):
        host = ended(data, daemon, text)
        host["journal"][daemon].append({"age": 4.0, "run": 0, "text": "fatal: Unable to process configuration file"})
    host["token_refused"] = "refused"
    assert "conf-key-unknown" not in [one.id for one in judge(data).findings], "the line is not there any more"
    entry = {"key": "slurmctldpidfyle", "name": "SlurmctldPidFyle", "value": "/x", "line": "SlurmctldPidFyle=/x"}
    host["confs"]["slurm_conf"]["entries"].append({**entry, "origin": "/etc/slurm/slurm.conf:30"})
    (finding,) = judge(data).findings
    assert finding.id == "conf-key-unknown"
    assert "`sed -i --follow-symlinks 30d /etc/slurm/slurm.conf`" in finding.remedy


def test_an_included_file_that_slurmrestd_may_not_read() -> None:
    data = evidence()
    host = ended(data, "slurmrestd", 'error: "Include" failed in file /etc/slurm/slurm.conf line 26')
    host["journal"]["slurmrestd"].append({"age": 4.0, "run": 0, "text": "fatal: Unable to process configuration file"})
    host["closed_includes"] = ["/etc/slurm/extra.conf"]
    (finding,) = judge(data).findings
    assert finding.id == "conf-unreadable"
    assert finding.remedy.startswith("`chmod 0644 /etc/slurm/extra.conf`")


def test_a_program_that_cannot_be_executed_is_installed() -> None:
    data = evidence()
    host = ended(data, "slurmrestd", "slurmrestd.service: Main process exited, code=exited, status=203/EXEC")
    host["facts"]["slurmrestd"].update(path="", version=None)
    host["program"] = {"path": "/usr/sbin/slurmrestd", "exists": True, "executable": False, "mode": "0644"}
    (finding,) = judge(data).findings
    assert finding.id == "slurmrestd-missing"
    assert finding.remedy.startswith("`chmod 0755 /usr/sbin/slurmrestd`")


def test_what_a_unit_runs_is_looked_at(tmp_path: Path) -> None:
    program = tmp_path / "slurmrestd"
    program.touch(mode=0o644)
    assert unit_evidence.program([[f"-{program}", "-a"]]) == {
        "path": str(program),
        "exists": True,
        "executable": False,
        "mode": "0644",
    }
    program.chmod(0o755)
    seen = unit_evidence.program([["/bin/false"], [str(program)]])
    assert seen is not None
    assert seen["executable"]
    assert unit_evidence.program([[str(tmp_path / "none")]]) == {
        "path": str(tmp_path / "none"),
        "exists": False,
        "executable": False,
    }
    assert unit_evidence.program([]) is None


def test_a_key_of_munge_that_is_open() -> None:
    data = evidence("munge-stopped")
    host = data["hosts"]["node1"]
    text = 'munged: Error: Keyfile is insecure: "/etc/munge/munge.key" should not be readable or writable by "others"'
    host["journal"]["munge"] = [{"age": 3.0, "run": 0, "text": text}]
    (finding,) = judge(data).findings
    assert finding.id == "munge-stopped"
    assert finding.remedy.startswith(
        "`chown -h munge: /etc/munge/munge.key; runuser -u munge -- chmod 0400 /etc/munge/munge.key`; `systemctl"
    )


def test_munge_cannot_name_a_file_that_root_gives_to_it() -> None:
    data = evidence("munge-stopped")
    text = 'munged: Error: Keyfile is insecure: "/etc/shadow" should not be readable or writable by "others"'
    data["hosts"]["node1"]["journal"]["munge"] = [{"age": 3.0, "run": 0, "text": text}]
    (finding,) = judge(data).findings
    assert finding.id == "munge-stopped"
    assert "/etc/shadow" not in finding.remedy


@pytest.mark.parametrize("fault", ["key-owner", "key-open", "key-empty", "key-short", "key-directory"])
def test_slurmdbd_conf_alone_names_no_file_that_is_removed_or_given_away(fault: str) -> None:
    data = evidence(fault)
    host = data["hosts"]["node1"]
    del host["keys"]["slurmctld"]
    host["keys"]["slurmdbd"]["path"] = host["facts"]["slurmdbd_conf"]["jwt_key_path"] = "/etc/shadow"
    found = [finding for finding in judge(data).findings if finding.id.startswith("jwt-key-")]
    assert found
    for finding in found:
        assert "`" not in finding.remedy
        assert finding.by_hand


def test_a_link_in_place_of_the_key_that_leads_nowhere_goes_first() -> None:
    data = evidence("key-missing")
    for key in data["hosts"]["node1"]["keys"].values():
        key["link"] = "/srv/gone"
    (finding,) = judge(data).findings
    assert finding.id == "jwt-key-missing"
    assert "/var/lib/slurm/jwt/jwt_hs256.key is a link to /srv/gone, which is not there" in finding.evidence
    assert finding.remedy.startswith("`rm /var/lib/slurm/jwt/jwt_hs256.key`, then ")


def test_a_variable_of_systemd_itself_is_unset() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    text = "SLURM_CONF is /srv/none, not left out"
    host["facts"]["running"] = [{"setting": "SLURM_CONF", "origin": drift.NOWHERE, "text": text}]
    assert "deploy.yml" in judge(data).findings[0].remedy
    host["manager"] = ["SLURM_CONF"]
    (finding,) = judge(data).findings
    assert finding.id == "runs-otherwise"
    assert finding.remedy.startswith("`systemctl unset-environment SLURM_CONF`, then ")


@pytest.mark.parametrize(("refused", "works"), [(None, True), (0, False), (7, False)])
def test_munge_is_asked_as_slurm_user_too(refused: int | None, works: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket may be in a directory that only root enters."""

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        bad = how.get("user", 0) == refused
        return subprocess.CompletedProcess(command, int(bad), "", "munge: Error: Permission denied" if bad else "")

    monkeypatch.setattr(programs, "run", run)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(munge, "account_facts", lambda name: {"name": name, "uid": 7, "exists": True})
    monkeypatch.setattr(munge, "groups_of", lambda _uid: (7, [7]))
    conf = {"readable": True, "auth_type": "auth/munge", "slurm_user": "slurm"}
    assert munge.look(conf, None)["works"] is works


def test_munge_is_asked_where_slurm_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        bad = "--socket=/run/none" in command
        return subprocess.CompletedProcess(command, int(bad), "", "munge: Error: Socket not found" if bad else "")

    monkeypatch.setattr(programs, "run", run)
    conf = {"readable": True, "auth_type": "auth/munge", "slurm_user": "root"}
    entries = [{"key": "authinfo", "value": "/old"}, {"key": "authinfo", "value": "ttl=60, socket=/run/none"}]
    seen = munge.look(conf, {"entries": entries})
    assert (seen["works"], seen["own"], seen["socket"]) == (False, True, "/run/none")
    assert munge.look(conf, {"entries": []})["works"]
    data = evidence()
    host = data["hosts"]["node1"]
    host["munge"] = seen
    entry = {**host["confs"]["slurm_conf"]["entries"][0], "key": "authinfo", "name": "AuthInfo"}
    host["confs"]["slurm_conf"]["entries"].append({**entry, "value": "ttl=60,socket=/run/none", "origin": "/c:7"})
    (finding,) = judge(data).findings
    assert finding.id == "munge-stopped"
    assert finding.remedy.startswith("on node1: `sed -i --follow-symlinks '7c AuthInfo=ttl=60' /c`; then `systemctl")


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    link, account = tmp_path / "slurm.conf", {"exists": False, "uid": None, "gid": None}
    link.symlink_to(tmp_path / "none")
    assert module._file(str(link), account)["dangling"] == str(tmp_path / "none")
    (tmp_path / "none").touch()
    assert module._file(str(link), account)["dangling"] is None


def test_keys_of_munge_that_differ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = split()
    for host in data["hosts"].values():
        host["munge"] = {"used": True, "works": True, "error": "", "socket": "", "own": True, "key": "a"}
    assert judge(data).healthy
    data["hosts"]["rest"]["munge"]["key"] = None
    assert judge(data).healthy, "slurmrestd needs none"
    data["hosts"]["db"]["munge"]["key"] = "b"
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("munge-keys-differ", "db")
    assert finding.by_hand
    conf = {"readable": True, "auth_type": "auth/munge", "slurm_user": "root"}
    monkeypatch.setattr(programs, "run", lambda command, **_how: subprocess.CompletedProcess(command, 0, "", ""))
    monkeypatch.setattr(munge, "KEY", str(tmp_path / "munge.key"))
    seen = munge.look(conf, None)
    assert thorough._munge_key(seen, "salt") is None
    (tmp_path / "munge.key").write_bytes(b"k" * 32)
    assert thorough._munge_key(seen, "salt") not in (None, thorough._munge_key(seen, "other"))
    assert thorough._munge_key({**seen, "used": False}, "salt") is None


def test_a_directory_above_slurm_conf_that_is_closed_is_what_is_opened() -> None:
    data = evidence()
    host = ended(data, "slurmrestd", "fatal: Could not establish a configuration source")
    host["facts"]["slurm_conf"]["readable_by_account"] = False
    host["closed_conf"] = [{"path": "/etc/slurm", "owner": "root:root", "mode": "0700", "missing": "x"}]
    (finding,) = judge(data).findings
    assert (finding.id, finding.evidence) == ("conf-unreadable", ["/etc/slurm: owner root:root, mode 0700"])
    assert finding.remedy.startswith("`chmod a+x /etc/slurm`, then")
