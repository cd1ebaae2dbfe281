"""Remedies are written so that a program can follow their words, and read so that people can."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from slurmrest.doctor import remedies
from slurmrest.doctor.diagnosis import Finding
from slurmrest.doctor.model import Cluster, harmless
from slurmrest.doctor.render import WIDTH, render_text
from slurmrest.redaction import CONTROL

from tests.real.faults.follow import Step, steps
from tests.unit.doctor.test_doctor import FAULTS, RECORDED, ROOT, evidence, judge, split


def cluster(data: dict[str, Any]) -> Cluster:
    return Cluster.of(data["hosts"])


def followed(finding: Finding, data: dict[str, Any]) -> list[Step]:
    return list(steps(finding.remedy, finding.host.split(", "), list(data["hosts"])))


@pytest.mark.parametrize(("release", "fault"), FAULTS)
def test_what_is_typed_is_understood(release: str, fault: str) -> None:
    data = evidence(fault, release=release, layout=RECORDED[release]["faults"][fault]["layout"])
    for step in (step for finding in judge(data).findings for step in followed(finding, data)):
        if step.kind == "shell":
            assert set(step.hosts) <= set(data["hosts"])
            subprocess.run(["sh", "-n", "-c", step.text], check=True)
        if step.kind == "playbook":
            assert (ROOT / shlex.split(step.text)[1]).exists()


def test_the_words_of_a_remedy_are_read_in_their_order() -> None:
    words = (
        "Set `one_two: [3]`, then `ansible-playbook playbooks/deploy.yml --tags a`; on db and ctl: `x; y`, on all: `z`"
    )
    assert list(steps(words, ["rest"], ["rest", "db", "ctl"])) == [
        Step("variable", "one_two: [3]"),
        Step("playbook", "ansible-playbook playbooks/deploy.yml --tags a"),
        Step("shell", "x; y", ["db", "ctl"]),
        Step("shell", "z", ["db", "ctl"]),
    ]
    assert list(steps("On two things: `z`. See journalctl.", ["rest"], ["rest"])) == [Step("shell", "z", ["rest"])]
    assert not list(steps("Mend it.", ["rest"], ["rest"]))


def test_remedies_that_differ_between_hosts_say_for_which_they_are() -> None:
    data = split()
    for number, host in enumerate(data["hosts"].values(), start=1):
        host["exported"] = [f"/etc/profile.d/slurm.sh:{number}"]
    (finding,) = judge(data).findings
    hosts = [(step.text.split()[3], list(step.hosts)) for step in followed(finding, data)]
    assert hosts == [(f"{number}d", [name]) for number, name in enumerate(data["hosts"], start=1)] or hosts


def test_daemons_are_restarted_where_they_are() -> None:
    assert remedies.restart(cluster(evidence()), "slurmdbd", "slurmctld") == (
        "on node1: `systemctl restart slurmdbd slurmctld`"
    )
    apart = "on db: `systemctl restart slurmdbd`; on ctl: `systemctl restart slurmctld`"
    assert remedies.restart(cluster(split()), "slurmdbd", "slurmctld") == apart


def test_a_line_is_changed_in_every_copy_that_has_it() -> None:
    data = split()
    there = cluster(data)
    ctl = there.role("slurmctld")[0]
    name, _, number = ctl.entry("slurm_conf", "ClusterName")[1].rpartition(":")  # type: ignore[index]
    edit = "sed -i --follow-symlinks"
    changed = remedies.everywhere(there, ctl, "slurm_conf", "ClusterName", "ClusterName=other")
    assert changed == f"on ctl and db and rest: `{edit} '{number}c ClusterName=other' {name}`"
    assert remedies.everywhere(there, ctl, "slurm_conf", "ClusterName", "").endswith(f"`{edit} {number}d {name}`")
    added = remedies.everywhere(there, ctl, "slurm_conf", "NoSuchKey", "NoSuchKey=1")
    assert added == f"on ctl and db and rest: `printf '%s\\n' NoSuchKey=1 >> {name}`"
    data["hosts"]["db"]["confs"] = copy.deepcopy(data["hosts"]["db"]["confs"])
    for entry in data["hosts"]["db"]["confs"]["slurm_conf"]["entries"]:
        entry["value"] = "another"
    there = cluster(data)
    assert " db" not in remedies.everywhere(
        there, there.role("slurmctld")[0], "slurm_conf", "ClusterName", "ClusterName=other"
    )


HOSTILE = ["6899'; touch x; '", "$(touch x)", "` `touch x` `", "a\nb", "a b"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_is_one_word_of_what_root_types(text: str) -> None:
    """slurmdbd.conf is SlurmUser's, also where it names other files and ports."""
    typed = remedies.TYPED.findall(remedies.without([f"/{text}:3"]))
    (words,) = map(shlex.split, typed)
    assert (len(words), words[:4]) == (5, ["sed", "-i", "--follow-symlinks", "3d"])
    there = cluster(evidence())
    (typed,) = remedies.TYPED.findall(remedies.everywhere(there, there.hosts[0], "slurm_conf", "ClusterName", text))
    assert len(shlex.split(typed)) == 5
    (typed,) = remedies.TYPED.findall(f"`{remedies.given('/' + text, text, '0600')}`")
    assert len(shlex.split(typed)) == 11


@pytest.mark.parametrize("text", [*HOSTILE[:2], r"7\nPluginDir=/home/x", "7 PluginDir=/home/x", "70000"])
def test_no_port_of_slurmdbd_conf_that_is_none_gets_into_slurm_conf(text: str) -> None:
    """The file is SlurmUser's, and root typed what it said; sed makes a line end of two letters."""
    data = evidence()
    data["hosts"]["node1"]["facts"]["slurmdbd_conf"]["dbd_port"] = text
    (finding,) = [found for found in judge(data).findings if found.id == "accounting-port-differs"]
    assert remedies.TYPED.findall(finding.remedy) == []
    assert finding.by_hand


def test_what_sed_and_echo_would_read_stays_as_it_is(tmp_path: Path) -> None:
    there = cluster(evidence())
    line = r"ClusterName=a\nPluginDir=/home/x\\"
    (typed,) = remedies.TYPED.findall(remedies.everywhere(there, there.hosts[0], "slurm_conf", "ClusterName", line))
    words = shlex.split(typed)
    file = tmp_path / "slurm.conf"
    file.write_text("first\nsecond\n")
    subprocess.run([*words[:3], f"2c{words[3].partition('c')[2]}", str(file)], check=True)
    assert file.read_text() == f"first\n{line}\n"
    (typed,) = remedies.TYPED.findall(remedies.everywhere(there, there.hosts[0], "slurm_conf", "NoSuchKey", line))
    done = subprocess.run(["sh", "-c", typed.rpartition(">>")[0]], capture_output=True, text=True, check=True)
    assert done.stdout == f"{line}\n"


def marked(seen: Any) -> Any:
    """The same evidence, with words in backquotes and control characters in each text that has a blank or slash."""
    if isinstance(seen, dict):
        return {name: marked(value) for name, value in seen.items()}
    if isinstance(seen, list):
        return [marked(value) for value in seen]
    if isinstance(seen, str) and re.search("[ /]", seen):
        return re.sub(r"(:\d+)?$", lambda found: f" `touch /x`\x1b\x9b{found[1] or ''}", seen, count=1)
    return seen


@pytest.mark.parametrize(("release", "fault"), FAULTS)
def test_nothing_that_was_seen_can_be_typed_by_its_backquotes(release: str, fault: str) -> None:
    data = evidence(fault, release=release, layout=RECORDED[release]["faults"][fault]["layout"])
    data["hosts"] = marked(data["hosts"])
    for finding in judge(data).findings:
        assert "touch /x" not in remedies.TYPED.findall(finding.remedy)
        assert not CONTROL.search("".join([finding.cause, finding.remedy, *finding.evidence, *finding.consequences]))


@pytest.mark.parametrize("odd", ["\x00", "\x1b", "\x7f", "\x80", "\x9b", "\x9f", "\r"])
def test_what_a_terminal_would_obey_is_taken_out_of_all_that_was_seen(odd: str) -> None:
    assert harmless({f"a{odd}": [f"b`{odd}`", (f"c{odd}d\n\te", 7)]}) == {"a?": ["b'?'", ("c?d\n\te", 7)]}
    assert remedies.word(f"/a{odd}`\n\t\r\n") == "'/a??????'"


def test_the_name_of_a_process_is_not_typed() -> None:
    """Whoever had slurmrestd's port gave his process a name, and root was told to type it."""
    text = json.dumps(evidence("port-taken"))
    assert '"program": "python3"' in text
    data = json.loads(text.replace('"program": "python3"', '"program": "`touch x`"'))
    report = judge(data)
    assert "touch x" in report.findings[0].cause + report.findings[0].remedy
    assert "touch x" not in remedies.TYPED.findall(report.findings[0].remedy)


@pytest.mark.parametrize("led", [True, False])
def test_what_others_could_lead_elsewhere_is_not_opened(led: bool) -> None:
    place = {"path": "/opt/p.so", "missing": "r", **({"led": "yes"} if led else {})}
    said = remedies.opened([place], "slurmdbd")
    assert (remedies.for_people(said), "/opt/p.so" in said) == (led, True)


def test_a_key_behind_a_link_of_another_account_is_for_people() -> None:
    data = evidence("key-open")
    assert remedies.TYPED.search(judge(data).findings[0].remedy)
    for key in data["hosts"]["node1"]["keys"].values():
        key["led"] = True
    assert remedies.for_people(judge(data).findings[0].remedy)


def test_lines_of_one_file_are_taken_out_at_once() -> None:
    edit = "sed -i --follow-symlinks"
    assert remedies.without(["/a:3", "/b:1", "/a:7", "/a:3"]) == f"`{edit} '3d;7d' /a`; `{edit} '1d' /b`"


def test_what_is_typed_stays_on_one_line() -> None:
    report = judge(evidence("account-root")).as_dict()
    command = "sed -i --follow-symlinks '3d' " + "/a/very/long/path" * 9
    report["findings"][0]["remedy"] = f"Some words before it that fill a part of the line: `{command}`, then more words"
    assert len(command) > WIDTH
    assert command in render_text(report)


def test_a_report_says_what_is_for_people() -> None:
    (finding,) = judge(evidence("port-taken")).findings
    assert finding.by_hand
    assert f"by hand: {finding.by_hand}" in render_text(judge(evidence("port-taken")).as_dict())
    assert "by hand:" not in render_text(judge(evidence("account-root")).as_dict())


def test_no_part_of_a_report_commands_the_terminal() -> None:
    """Paths and values may be SlurmUser's, who could have root's terminal show other words than these."""
    odd = "/etc/\x1b[2J"
    finding = Finding("id", "title", odd, [odd], [odd], f"See {odd}.", "", "page", "node1", passing=False)
    assert "\x1b" not in render_text({**judge(evidence()).as_dict(), "findings": [asdict(finding)]})
