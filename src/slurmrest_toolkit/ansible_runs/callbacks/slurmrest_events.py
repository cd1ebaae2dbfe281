"""Ansible callback that reports what a run is doing, as one JSON object a line, to the program that started it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: slurmrest_events
type: notification
short_description: Events of a run for the slurmrest command
description:
  - Writes playbooks, tasks, failures and totals as JSON lines to the file descriptor in E(SLURMREST_EVENTS_FD).
  - Values of tasks with C(no_log) are not written.
requirements:
  - started by slurmrest cluster
"""


REPORTED = ("repaired", "rotation")


class CallbackModule(CallbackBase):
    """Writes the events; does nothing when no file descriptor was given."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "slurmrest_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._descriptor = int(os.environ.pop("SLURMREST_EVENTS_FD", "-1"))
        if self._descriptor < 0:
            self.disabled = True
        else:
            os.set_inheritable(self._descriptor, False)

    def _write(self, **event: Any) -> None:
        os.write(self._descriptor, json.dumps(event).encode() + b"\n")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Tell which playbook begins."""
        self._write(event="playbook", name=Path(playbook._file_name).name)  # noqa: SLF001 - callbacks have no other way

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Tell which task begins."""
        del is_conditional
        self._write(event="task", name=task.get_name().strip())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Pass on the results that a command shows; modules put them there for people, so they hold no secrets."""
        values = {key: result.result[key] for key in REPORTED if result.result.get(key)}
        if values:
            self._write(event="result", values=values)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell what failed on which host, in the module's words."""
        if not ignore_errors:
            self._failure(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell which host could not be reached."""
        self._failure(result, "unreachable")

    def _failure(self, result: Any, event: str) -> None:
        data = result.result
        hidden = result.task.no_log or data.get("_ansible_no_log")
        words = "hidden by no_log" if hidden else str(data.get("msg") or data.get("stderr") or data)
        self._write(event=event, host=result.host.get_name(), task=result.task.get_name().strip(), message=words)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell how many tasks changed something."""
        self._write(event="stats", changed=sum(stats.changed.values()), failed=sum(stats.failures.values()))
