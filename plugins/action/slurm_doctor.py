"""Name the causes from the evidence that slurm_gather registered on every host; runs on the controller only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.slurmrest.doctor import Cluster, diagnose
from ..module_utils.slurmrest.doctor.render import render_text


class ActionModule(ActionBase):
    """See plugins/modules/slurm_doctor.yml for the options."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the report; the task fails when something was found."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        _, arguments = ActionBase.validate_argument_spec(
            self,
            argument_spec={
                "evidence": {"type": "str", "required": True},
                "listen": {"type": "list", "elements": "str", "default": []},
                "preflight": {"type": "bool", "default": False},
                "report_file": {"type": "path"},
                "evidence_file": {"type": "path"},
            },
        )
        found = self._evidence(arguments["evidence"], variables)
        evidence = {host: result.get("evidence") for host, result in found.items()}
        unreachable = {
            host: str(result.get("unreachable_because") or result.get("msg") or "no evidence")
            for host, result in found.items()
            if not result.get("evidence")
        }
        cluster = Cluster.of(evidence, unreachable=unreachable, expected=arguments["listen"])
        report = diagnose(cluster, preflight=arguments["preflight"])
        data = report.as_dict()
        for path, content in ((arguments["report_file"], data), (arguments["evidence_file"], evidence)):
            if path:
                _write(Path(self._loader.path_dwim(path)), content)
        if not (arguments["preflight"] and report.healthy):
            Display().display(render_text(data))
        names = ", ".join(finding.id for finding in report.findings)
        result: dict[str, Any] = {"changed": False, "failed": not report.healthy, "report": data}
        return {**result, "msg": f"found: {names}" if names else "nothing found"}

    def _evidence(self, name: str, variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What was registered under ``name``, by host."""
        hostvars = variables["hostvars"]
        found = {host: hostvars[host].get(name) for host in variables["ansible_play_hosts_all"] if host in hostvars}
        if not any(found.values()):
            raise AnsibleError(f"evidence: no host of this play has registered {name!r}")
        return {host: result or {} for host, result in found.items()}


def _write(path: Path, content: Any) -> None:
    """Write JSON that only its owner reads; Ansible's own kinds of strings and lists become plain ones."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, default=str)
        stream.write("\n")
