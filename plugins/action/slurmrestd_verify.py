"""Have tokens minted on the controller, have the REST host ask, judge what it found, show the table, keep the reports.

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
from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts
from ..module_utils.slurmrest.verify.formats import render_junit, write_file
from ..module_utils.slurmrest.verify.html import render_html
from ..module_utils.slurmrest.verify.received import configuration, judged, told_of, with_jobs
from ..module_utils.slurmrest.verify.report import Report
from ..module_utils.slurmrest.verify.run import as_dict
from ..module_utils.slurmrest.verify.table import render_table
from ..plugin_utils.facts import looked
from ..plugin_utils.minting import NoTokens, minted
from ..plugin_utils.peer import result_on

MODULE = "slurmrest.toolkit.slurmrestd_verify"
JOB_MODULE = "slurmrest.toolkit.slurmrestd_job"
HOSTED = ("told", "user", "token", "job_user", "job_token", "tls_cacert", "tls_name")
"""Parameters of what runs on the host."""

TOKEN_SECONDS = 600
SUFFIXES = ("html", "xml")
"""Of the documents of a host, which are named after it."""


UNASKED = {
    "tokens": "Nothing was asked: tokens of scontrol are not good here (slurm_common_hs256, slurm_conf_client_ids). "
    "Get a token of an administrator from the issuer and name its file in slurmrest_verify_token_file.",
    "stopped": "Nothing was asked: slurmrestd does not run, and check mode does not start it.",
}


class ActionModule(ActionBase):
    """See the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was proven; its table is displayed, since people want to read it."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        here = variables["inventory_hostname"]
        facts = arguments.pop("facts", None) or looked(self, _of_host(arguments), variables)
        if self._task.check_mode and facts["units"]["slurmrestd"]["active"] != "active":
            return _unasked("stopped")
        controllers = arguments.pop("controllers", None) or [arguments.get("controller") or here]
        scontrol = arguments.pop("scontrol", None)
        if not arguments.get("token_file") and not _scontrols(scontrol, facts, controllers, variables):
            return _unasked("tokens")
        arguments.update(self._tokens(arguments, controllers, facts, variables))
        try:
            urls, accounting = arguments.get("urls") or (), arguments.get("accounting")
            arguments["told"] = told_of(facts, arguments.get("instance") or "", urls, accounting)
        except SlurmrestError as error:
            raise AnsibleError(str(error)) from None
        if not arguments.get("job"):
            arguments.pop("job_user", None)
        elif not arguments.get("job_user"):
            raise AnsibleError("job: job_user is missing, the ordinary user who submits it")
        found = result_on(self, here, MODULE, {**arguments, "job": False}, variables)
        if "record" not in found:
            return found
        try:
            report = judged(found, facts, arguments.get("tokenless") or "")
            if arguments.get("job") and not self._task.check_mode:
                how = {name: arguments[name] for name in (*HOSTED, "job_timeout") if name in arguments}
                ran = result_on(self, here, JOB_MODULE, how, variables)
                if "record" not in ran:
                    return ran
                report = with_jobs(report, ran["record"])
        except (KeyError, TypeError, ValueError, SlurmrestError) as error:
            raise AnsibleError(f"{here} has handed over no report: {error!r}") from None
        if arguments.get("report_directory") and not self._task.check_mode:
            documents = {"html": render_html(report, configuration(facts)), "xml": render_junit(report)}
            _keep(Path(arguments["report_directory"]), here, documents)
        Display().display(f"{here}: {render_table(report)}")
        return _result(found, report)

    def _tokens(
        self, arguments: dict[str, Any], controllers: list[str], facts: HostFacts, variables: dict[str, Any]
    ) -> dict[str, Any]:
        """The parameters that give the host its tokens."""
        token_file = arguments.pop("token_file", None)
        if token_file:
            return {"token": _token(Path(token_file)), "job": False}
        return self._mint(controllers, arguments, facts, variables)

    def _mint(
        self, controllers: list[str], arguments: dict[str, Any], facts: HostFacts, variables: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask other hosts for the tokens, by the parameters that take them; while none is to be had, say why."""
        users = {"token": arguments.get("user") or "root"}
        if arguments.get("job") and arguments.get("job_user"):
            users["job_token"] = arguments["job_user"]
        wanted = {"users": list(users.values()), "lifespan": TOKEN_SECONDS}
        try:
            tokens = minted(self, controllers, wanted, facts["slurm_conf"], variables)
        except NoTokens as error:
            if error.standing or error.unreached:
                return {"tokenless": str(error), "job": False}
            raise
        return {parameter: tokens[user] for parameter, user in users.items()}


def _scontrols(stated: Any, facts: HostFacts, controllers: list[str], variables: dict[str, Any]) -> bool:
    """Whether tokens of scontrol are good, as is stated, or as the configurations have it that are known."""
    if stated is not None:
        return bool(boolean(stated))
    others = (variables["hostvars"].get(name) or {} for name in controllers[:1])
    found = [facts, *(other.get("ansible_facts", {}).get("slurmrest") for other in others)]
    return not any(of_issuers_alone(known["slurm_conf"]) for known in found if known)


def _unasked(why: str) -> dict[str, Any]:
    """The result where nothing was asked; why is displayed."""
    Display().display(UNASKED[why])
    return {"changed": False, "msg": UNASKED[why]}


def _of_host(arguments: dict[str, Any]) -> dict[str, Any]:
    """Which of several services of a host is to be looked at."""
    return {"instance": arguments.get("instance") or ""}


def _result(found: dict[str, Any], report: Report) -> dict[str, Any]:
    """What the task returns; it has failed where something does not work."""
    for name in ("record", "pages", "confinement"):
        found.pop(name, None)
    result = {**found, "changed": False, "report": as_dict(report)}
    if report.ok:
        return result
    failed = ", ".join(check.id for check in report.checks if check.ok is False)
    return {**result, "failed": True, "msg": f"slurmrestd does not do what it should: {failed}"}


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
