"""Have tokens minted on the controller, verify on the REST host, show the table, keep the reports.

The tokens stay in this process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.slurmrest.auth.bearer import Token
from ..module_utils.slurmrest.auth.scontrol import of_issuers_alone
from ..module_utils.slurmrest.errors import InputError, SlurmrestError
from ..module_utils.slurmrest.facts.detection import columns
from ..module_utils.slurmrest.verify.formats import render_junit, write_file
from ..module_utils.slurmrest.verify.html import render_html
from ..module_utils.slurmrest.verify.record import report_of
from ..module_utils.slurmrest.verify.table import render_table
from ..plugin_utils.minting import NoTokens, minted
from ..plugin_utils.peer import result_on

MODULE = "slurmrest.toolkit.slurmrestd_verify"
TOKEN_SECONDS = 600
SUFFIXES = ("html", "xml")
"""Of the documents of a host, which are named after it."""

LOOK = "slurmrest.toolkit.slurm_facts"
UNASKED = {
    "tokens": "Nothing was asked: tokens of scontrol are not good here (slurm_common_hs256, slurm_conf_client_ids). "
    "Get a token of an administrator from the issuer and name its file in slurmrest_verify_token_file.",
    "stopped": "Nothing was asked: slurmrestd does not run, and check mode does not start it.",
}


class ActionModule(ActionBase):
    """See the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; its table is displayed, since people want to read it."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        here = variables["inventory_hostname"]
        controllers = arguments.pop("controllers", None) or [arguments.get("controller") or here]
        token_file = arguments.pop("token_file", None)
        if not token_file and not self._scontrols(controllers, arguments, variables):
            return _unasked("tokens")
        if token_file:
            arguments.update(token=_token(Path(token_file)), job=False)
        elif controllers == [here]:
            arguments["mint"] = TOKEN_SECONDS
        else:
            arguments.update(self._mint(controllers, arguments, variables))
        result = result_on(self, here, MODULE, arguments, variables)
        if "unasked" in result:
            return _unasked(result["unasked"])
        record, sections = result.pop("record", None), result.pop("configuration", {})
        if record is None:
            return result
        try:
            report = report_of(record)
        except (KeyError, TypeError, ValueError, SlurmrestError) as error:
            raise AnsibleError(f"{here} has handed over no report: {error!r}") from None
        if arguments.get("report_directory") and not self._task.check_mode:
            documents = {"html": render_html(report, sections), "xml": render_junit(report)}
            _keep(Path(arguments["report_directory"]), here, documents)
        Display().display(f"{here}: {render_table(report)}")
        return result

    def _scontrols(self, controllers: list[str], arguments: dict[str, Any], variables: dict[str, Any]) -> bool:
        """Whether tokens of scontrol are good, as far as it is to be decided here: else this host's module does."""
        here = variables["inventory_hostname"]
        if arguments.get("scontrol") is not None:
            return boolean(arguments["scontrol"])
        known = variables.get("ansible_facts", {}).get("slurmrest")
        if known is None and controllers != [here]:
            asked = {"instance": arguments.get("instance") or "", "columns": columns()}
            result = result_on(self, here, LOOK, asked, variables)
            if "ansible_facts" not in result:
                raise AnsibleError(str(result.get("msg") or "the host gave no facts"))
            known = result["ansible_facts"]["slurmrest"]
            variables["ansible_facts"] = {**variables.get("ansible_facts", {}), "slurmrest": known}
        others = (variables["hostvars"].get(name) or {} for name in controllers[:1])
        found = [known, *(other.get("ansible_facts", {}).get("slurmrest") for other in others)]
        return not any(of_issuers_alone(facts["slurm_conf"]) for facts in found if facts)

    def _mint(self, controllers: list[str], arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Ask other hosts for the tokens, by the parameters that take them; while none is to be had, say why."""
        users = {"token": arguments.get("user") or "root"}
        if arguments.get("job") and arguments.get("job_user"):
            users["job_token"] = arguments["job_user"]
        conf = (variables.get("ansible_facts", {}).get("slurmrest") or {}).get("slurm_conf")
        wanted = {"users": list(users.values()), "lifespan": TOKEN_SECONDS}
        try:
            tokens = minted(self, controllers, wanted, conf, variables)
        except NoTokens as error:
            if error.standing or error.unreached:
                return {"tokenless": str(error), "job": False}
            raise
        return {parameter: tokens[user] for parameter, user in users.items()}


def _unasked(why: str) -> dict[str, Any]:
    """The result where nothing was asked; why is displayed."""
    Display().display(UNASKED[why])
    return {"changed": False, "msg": UNASKED[why]}


def _token(file: Path) -> str:
    """Read a token. Raises AnsibleError, without what is in the file."""
    try:
        return Token(file.read_text(encoding="ascii").strip()).reveal()
    except (OSError, ValueError, SlurmrestError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no token in it"
        raise AnsibleError(f"token_file: {str(file)!r} is refused: {reason}. Allowed: a file with one token.") from None


def _keep(directory: Path, host: str, documents: dict[str, str]) -> None:
    """Write the documents of a host below `directory`. Raises AnsibleError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for suffix in SUFFIXES:  # not what the host calls them: a name could lead elsewhere on this controller
            write_file(str(directory / f"{host}.{suffix}"), documents[suffix])
    except (OSError, KeyError, InputError) as error:
        raise AnsibleError(f"report_directory: {error}") from error
