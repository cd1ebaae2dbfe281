"""Append what each task of a run changes, or would change, to the file that RECORDED_CHANGES names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: recorded_changes
type: notification
short_description: One JSON object a change
description: Host, task and differences of everything that is changed, one line each.
"""


class CallbackModule(CallbackBase):
    """See the module's text."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorded_changes"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """Record a change."""
        values = result.result if hasattr(result, "result") else result._result
        if not values.get("changed") or "results" in values:
            return
        host = result.host if hasattr(result, "host") else result._host
        task = result.task if hasattr(result, "task") else result._task
        differences = values.get("diff") or []
        differences = differences if isinstance(differences, list) else [differences]
        change = {"host": host.get_name(), "task": task.get_name(), "diff": differences}
        with Path(os.environ["RECORDED_CHANGES"]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(change, default=str) + "\n")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Record a change of one item of a loop."""
        self.v2_runner_on_ok(result)
