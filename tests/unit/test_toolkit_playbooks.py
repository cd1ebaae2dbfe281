"""Running playbooks: a real run of Ansible on this host, and what is told about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.support.errors import ClusterFailedError

PLAYBOOK = """
- name: Say things
  hosts: all
  gather_facts: false
  tasks:
    - name: Rescued
      block:
        - name: Fail and be rescued
          ansible.builtin.fail:
            msg: not the end
      rescue:
        - name: Go on
          ansible.builtin.debug:
            msg: going on
    - name: Change
      ansible.builtin.debug:
        msg: something
      changed_when: true
    - name: Fail openly
      ansible.builtin.fail:
        msg: the words of the module
      when: mode == 'open'
    - name: Fail in private
      ansible.builtin.fail:
        msg: sesame
      no_log: true
      when: mode == 'private'
"""


class Follower:
    """Notes what a run tells."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.playbooks: list[str] = []
        self.tasks: list[str] = []
        (directory / "hosts.yml").write_text(
            f"all: {{hosts: {{here: {{ansible_connection: local, ansible_python_interpreter: '{sys.executable}'}}}}}}",
            encoding="utf-8",
        )
        (directory / "play.yml").write_text(PLAYBOOK, encoding="utf-8")

    def run(self, mode: str) -> playbooks.Run:
        return playbooks.run(
            self.directory / "hosts.yml",
            [str(self.directory / "play.yml")],
            self.directory / "logs" / "ansible.log",
            arguments=[f"--extra-vars=mode={mode}"],
            on_playbook=self.playbooks.append,
            on_task=self.tasks.append,
        )


@pytest.fixture(name="follower")
def a_follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


def test_good_run_tells_its_tasks_and_changes(follower: Follower) -> None:
    assert follower.run("none").changed == 1
    assert follower.playbooks == ["play.yml"]
    assert follower.tasks == ["Fail and be rescued", "Go on", "Change", "Fail openly", "Fail in private"]
    assert "PLAY RECAP" in (follower.directory / "logs" / "ansible.log").read_text(encoding="utf-8")


def test_failing_task_is_named_with_its_words(follower: Follower) -> None:
    with pytest.raises(
        playbooks.PlaybookFailedError, match="here, task 'Fail openly': the words of the module"
    ) as caught:
        follower.run("open")
    assert caught.value.hosts == ["here", "here"]


def test_failing_task_with_no_log_stays_silent(follower: Follower) -> None:
    with pytest.raises(playbooks.PlaybookFailedError, match="task 'Fail in private': hidden by no_log") as caught:
        follower.run("private")
    assert "sesame" not in str(caught.value)


def test_run_that_cannot_begin_shows_ansibles_last_lines(follower: Follower) -> None:
    (follower.directory / "play.yml").write_text("- hosts: [", encoding="utf-8")
    with pytest.raises(ClusterFailedError, match=r"ended with exit code \d+:\n(?s:.*)play\.yml"):
        follower.run("none")


def test_users_own_ansible_settings_do_not_reach_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "false")
    monkeypatch.setenv("HOME", "/home/someone")
    environment = playbooks.environment(7)
    assert "ANSIBLE_HOST_KEY_CHECKING" not in environment
    assert environment["ANSIBLE_CONFIG"].endswith("/ansible.cfg")
    assert environment["HOME"] == "/home/someone"
    assert environment["SLURMREST_EVENTS_FD"] == "7"
