"""Name the causes from what slurm_gather and slurm_ask registered on the hosts; runs on the controller only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ..module_utils.slurmrest.doctor.diagnosis import diagnose
from ..module_utils.slurmrest.doctor.model import Cluster
from ..module_utils.slurmrest.doctor.render import render_text
from ..module_utils.slurmrest.host import files
from ..module_utils.slurmrest.host.reading import UnsafePath
from ..plugin_utils.action import Action
from ..plugin_utils.evidence import evidence_in

REGISTERED = ("evidence", "answers", "gateways", "planned")
"""Options with the name of what was registered, all of one host."""


class ActionModule(Action):
    """See plugins/modules/slurm_doctor.yml for the options."""

    TRANSFERS_FILES = False

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Show the report and return the ids of the findings; the task fails when there are any."""
        arguments = self.validated(
            arguments,
            {
                "evidence": {"type": "str", "required": True},
                "answers": {"type": "str"},
                "gateways": {"type": "str"},
                "planned": {"type": "str"},
                "preflight": {"type": "bool", "default": False},
                "report_file": {"type": "path"},
                "evidence_file": {"type": "path"},
            },
        )
        evidence, unreachable = self._evidence(arguments)
        if arguments["preflight"]:
            # The other hosts are refused one by one.
            behind = {host for group in ("slurmctld", "slurmdbd") for host in self.variables["groups"].get(group, ())}
            unreachable = {host: why for host, why in unreachable.items() if host in behind}
        report = diagnose(Cluster.of(evidence, unreachable=unreachable, preflight=arguments["preflight"]))
        data = report.as_dict()
        kept = {"hosts": evidence, "unreachable": unreachable}
        for path, content in ((arguments["report_file"], data), (arguments["evidence_file"], kept)):
            if path:
                _write(Path(self._loader.path_dwim(path)), content)
        if not (arguments["preflight"] and report.healthy):
            Display().display(render_text(data))
        found = [finding.id for finding in report.findings]
        words = f"found: {', '.join(found)}" if found else "nothing found"
        if arguments["preflight"] and found:
            words = f"Nothing was changed. {words.capitalize()}; causes and remedies are above."
        return {"changed": False, "failed": bool(found), "found": found, "msg": words}

    def _evidence(self, arguments: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """What was registered, by host; and why there is nothing, by host."""
        hostvars = self.variables["hostvars"]
        evidence: dict[str, dict[str, Any]] = {}
        unreachable: dict[str, str] = {}
        for host in self.variables["ansible_play_hosts_all"]:
            seen, asked, gateway, planned = (hostvars[host].get(arguments[name] or "") or {} for name in REGISTERED)
            own = evidence_in(seen)
            if own:
                more = {"http": asked.get("http"), "token_refused": asked.get("token_refused")}
                found = {key: gateway[key] for key in ("gateway", "taken") if gateway.get(key)}
                evidence[host] = {**own, **more, **found, "planned": bool(planned.get("changed"))}
            else:
                unreachable[host] = str(seen.get("why") or seen.get("msg") or "no evidence was gathered")
        if not evidence:
            words = "; ".join(f"{host}: {why}" for host, why in unreachable.items())
            raise AnsibleError(f"evidence: no host of this play has registered {arguments['evidence']!r}. {words}")
        return evidence, unreachable


def _write(path: Path, content: Any) -> None:
    """Write JSON that only its owner reads, whatever was there before. Raises AnsibleError."""
    text = json.dumps(content, indent=1) + "\n"
    try:
        files.write(str(path.absolute()), text.encode(), os.geteuid(), os.getegid(), 0o600, secret=True)
    except (OSError, UnsafePath) as error:
        raise AnsibleError(f"{path} cannot be written: {error}") from None
