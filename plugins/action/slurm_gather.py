"""Gather on the host and note when; a host that cannot be looked at is evidence, not an error.

Of a client's request the users are looked up: that of its header, and whom its token names.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.slurmrest.doctor.judgement import judged
from ..module_utils.slurmrest.facts.detection import columns, with_release
from ..plugin_utils.action import Action
from ..plugin_utils.client import client_users
from ..plugin_utils.evidence import packed
from ..plugin_utils.facts import waited, warned

QUICK = "slurmrest.toolkit.slurm_gather"
WHOLE = "slurmrest.toolkit.slurm_gather_whole"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the evidence with the times between which it was gathered, by the controller's clock."""
        users = client_users(self._loader, arguments.pop("request", None))
        arguments["users"] = list(dict.fromkeys([*(arguments.get("users") or []), *users]))
        arguments["columns"] = columns()
        module = QUICK if boolean(arguments.pop("quick", False)) else WHOLE
        begin = time.time()
        try:
            result = self.module(module, arguments)
            if waited(self, result):
                begin = time.time()
                result = self.module(module, arguments)
        except AnsibleConnectionFailure as error:
            return {"changed": False, "evidence": None, "why": str(error)}
        if result.get("failed") or result.get("unreachable"):
            return {"changed": False, "evidence": None, "why": str(result.get("msg") or "no message")}
        evidence = judged(result["evidence"])
        evidence.update(asked=[begin, time.time()], facts=with_release(evidence["facts"]))
        result.update(evidence=packed(evidence), keys=evidence.get("keys", {}))
        # Ansible puts facts of its own there, such as the Python that it found.
        if "slurmrest" in (result.get("ansible_facts") or {}):
            facts = result["ansible_facts"]["slurmrest"] = with_release(result["ansible_facts"]["slurmrest"])
            result["sight"].update(at=begin, digest=facts["digest"])
        return warned(self, result)
