"""Remedies are written so that a program can follow their words, and read so that people can."""

from __future__ import annotations

import copy
import shlex
import subprocess
from dataclasses import asdict
from typing import Any

import pytest
from slurmrest.doctor import remedies
from slurmrest.doctor.diagnosis import Finding
from slurmrest.doctor.model import Cluster
from slurmrest.doctor.render import WIDTH, render_text

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
    assert added == f"on ctl and db and rest: `echo NoSuchKey=1 >> {name}`"
    data["hosts"]["db"]["confs"] = copy.deepcopy(data["hosts"]["db"]["confs"])
    for entry in data["hosts"]["db"]["confs"]["slurm_conf"]["entries"]:
        entry["value"] = "another"
    assert " db" not in remedies.everywhere(there, ctl, "slurm_conf", "ClusterName", "ClusterName=other")


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


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_a_port_of_slurmdbd_conf_is_one_word_of_what_root_types(text: str) -> None:
    data = evidence()
    data["hosts"]["node1"]["facts"]["slurmdbd_conf"]["dbd_port"] = text
    (finding,) = [found for found in judge(data).findings if found.id == "accounting-port-differs"]
    (typed,) = (step.text for step in followed(finding, data) if "AccountingStoragePort" in step.text)
    assert len(shlex.split(typed)) in (4, 5)


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
