"""Kill a controller at a chosen moment of a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.real.clusters import LiveCluster


def killed(
    cluster: LiveCluster, playbook: str, task: int | str, when: float | Callable[[], None], variables: Mapping[str, Any]
) -> str:
    """Kill the controller in the middle of a task; return that task, or nothing where it was not reached.

    Args:
        cluster: whose playbook runs.
        playbook: its name.
        task: counted from 1, or words of its name.
        when: how many seconds after its begin, or what returns at the right moment.
        variables: extra variables.
    """
    with cluster.running(playbook, variables=variables) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            if line.startswith("PLAY [Verify"):
                return ""
            if not line.startswith("TASK ["):
                continue
            seen += 1
            if task == seen or (isinstance(task, str) and task in line):
                if callable(when):
                    when()
                else:
                    time.sleep(when)
                return line.strip(" *\n")
        return ""
