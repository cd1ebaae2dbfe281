"""Mint a token on the controller and ask slurmrestd with it on its own host; the token stays in this process."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ..module_utils.slurmrest.doctor.model import Cluster
from ..module_utils.slurmrest.slurmrestd.spelling import read
from ..plugin_utils.action import Action
from ..plugin_utils.client import client_token, client_told
from ..plugin_utils.evidence import evidence_in
from ..plugin_utils.minting import NoTokens, minted
from ..plugin_utils.peer import result_on

MODULE = "slurmrest.toolkit.slurm_ask"
TOKEN_SECONDS = 600
USER = "root"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result, and why there was no token."""
        own = self._registered(self.here)
        if not own:
            return {"changed": False, "http": None, "token_refused": None}
        told = [entry["text"] for entry in own["facts"]["unit"]["listeners"]] + list(arguments.get("listen") or ())
        arguments["urls"] = [listener.url for listener in map(read, told) if listener]
        arguments.update(service=own.get("service") or "slurmrestd", account=own["facts"]["unit"]["user"] or "")
        arguments["accounting"] = bool(own["facts"]["slurm_conf"]["accounting"])
        found = {host: self._registered(host) for host in self.variables["ansible_play_hosts_all"]}
        cluster = Cluster.of(found)
        arguments["patience"] = cluster.patience
        arguments["token"], refused = self._token(arguments, cluster)
        arguments["request_token"] = client_token(self._loader, arguments.get("request"))
        arguments["told"] = client_told(arguments.get("request"), arguments["request_token"])
        try:
            result = result_on(self, self.here, MODULE, arguments, self.variables)
        except AnsibleConnectionFailure as error:
            raise AnsibleError(f"{self.here} was lost on the way: {error}") from None
        return {**result, "token_refused": refused}

    def _registered(self, host: str) -> Any:
        """The evidence of a host; None where there is none."""
        hostvars = self.variables["hostvars"]
        return evidence_in(hostvars[host].get(self._task.args["evidence"])) if host in hostvars else None

    def _token(self, arguments: dict[str, Any], cluster: Cluster) -> tuple[str | None, str | None]:
        """A token of root, or why there is none."""
        named = arguments.pop("controllers", None) or [arguments.get("controller") or self.here]
        controllers = cluster.role("slurmctld")
        if controllers and all(host.down("slurmctld") for host in controllers):
            # scontrol would try for a long time.
            return None, f"slurmctld does not run on {', '.join(host.name for host in controllers)}"
        reached = [name for name in named if name not in self.variables["hostvars"] or self._registered(name)]
        conf = next((host.facts["slurm_conf"] for host in controllers), None)
        try:
            wanted = {"users": [USER], "lifespan": TOKEN_SECONDS}
            return minted(self, reached or named, wanted, conf, self.variables)[USER], None
        except NoTokens as error:
            return None, str(error)
