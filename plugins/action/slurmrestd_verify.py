"""Have the REST host asked, judge what it found, show the table, keep the reports.

A token is made by the host itself where it is the controller, and otherwise on one, from where it goes through the
memory of this process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

from ..module_utils.slurmrest.auth.bearer import Token
from ..module_utils.slurmrest.errors import InputError, SlurmrestError
from ..module_utils.slurmrest.facts.detection import columns, with_release
from ..module_utils.slurmrest.rest.whole_table import EXCERPT
from ..module_utils.slurmrest.slurm.issuers import of_issuers_alone
from ..module_utils.slurmrest.verify.formats import render_junit, write_file
from ..module_utils.slurmrest.verify.host_request import told_of
from ..module_utils.slurmrest.verify.html import render_html
from ..module_utils.slurmrest.verify.judgement import configuration, judged, with_jobs
from ..module_utils.slurmrest.verify.run import as_dict
from ..module_utils.slurmrest.verify.table import render_table
from ..plugin_utils.action import Action, given
from ..plugin_utils.facts import looked
from ..plugin_utils.minting import NoTokens, command, minted
from ..plugin_utils.peer import result_on

if TYPE_CHECKING:
    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts
    from ..module_utils.slurmrest.verify.on_host import HostRequest
    from ..module_utils.slurmrest.verify.report import Report

MODULE = "slurmrest.toolkit.slurmrestd_verify"
UNSEEN_MODULE = "slurmrest.toolkit.slurmrestd_verify_unseen"
JOB_MODULE = "slurmrest.toolkit.slurmrestd_job"
_HOSTED = ("user", "token", "job_user", "job_token", "tls_cacert", "tls_name")
_PROOF = (*_HOSTED, "tokenless")
_UNSEEN = (*_PROOF, "lifespan", "instance", "urls", "accounting")
"""Parameters of what runs on the host."""

TOKEN_SECONDS = 600
SUFFIXES = ("html", "xml")
"""Of the documents of a host, which are named after it."""


_UNMADE = (
    "ansible-playbook playbooks/doctor.yml names the cause, such as an auth/jwt that slurm.conf lacks; "
    "slurmrest_verify_token_file takes the file of a token from elsewhere."
)
UNASKED = {
    "tokens": "Nothing was asked: tokens of scontrol are not good here (slurm_common_hs256, slurm_conf_client_ids). "
    "Get a token of an administrator from the issuer and name its file in slurmrest_verify_token_file.",
    "stopped": "Nothing was asked: slurmrestd does not run, and check mode does not start it.",
}


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what was proven; its table is displayed, since people want to read it."""
        self._controllers = arguments.get("controllers") or [arguments.get("controller") or self.here]
        self._stated = arguments.get("scontrol")
        self._by_file = bool(arguments.get("token_file"))
        facts: HostFacts | None = arguments.pop("facts", None)
        if not facts and len(self._controllers) > 1 and not self._by_file:
            facts = self._looked(arguments)  # who makes tokens depends on what slurm.conf says of them
        why = self._why_not(facts)
        if why:
            return _unasked(why)
        try:
            arguments.update(self._tokens(arguments, facts))
        except NoTokens as error:
            why = "" if facts else self._why_not(self._looked(arguments))
            if not why:
                raise AnsibleError(f"No token could be made to ask with. {str(error).rstrip('.')}. {_UNMADE}") from None
            return _unasked(why)
        if not arguments.get("job"):
            arguments.pop("job_user", None)
        elif not arguments.get("job_user"):
            raise AnsibleError("job: job_user is missing, the ordinary user who submits it")
        found = self._seen(arguments, facts) if facts else self._unseen(arguments)
        facts = facts or found.pop("facts", None)
        why = self._why_not(facts)
        if why:
            return _unasked(why)
        return self._judged(arguments, found, facts) if facts and "record" in found else found

    def _judged(self, arguments: dict[str, Any], found: dict[str, Any], facts: HostFacts) -> dict[str, Any]:
        """The result of what a host has found, after the job that is to run, and with its documents written."""
        real = not self._task.check_mode
        try:
            report = judged(found, facts, arguments.get("tokenless") or "")
            if arguments.get("job") and real:
                own = given(arguments, (*_HOSTED, "job_timeout"))
                ran = self._run(JOB_MODULE, {**own, "told": self._told(arguments, facts)})
                if "record" not in ran:
                    return ran
                report = with_jobs(report, ran["record"])
        except (KeyError, TypeError, ValueError, SlurmrestError) as error:
            raise AnsibleError(f"{self.here} has handed over no report: {error!r}") from None
        if arguments.get("report_directory") and real:
            documents = {"html": render_html(report, configuration(facts)), "xml": render_junit(report)}
            _keep(Path(arguments["report_directory"]), self.here, documents)
        Display().display(f"{self.here}: {render_table(report)}")
        return _result(found, report)

    def _seen(self, arguments: dict[str, Any], facts: HostFacts) -> dict[str, Any]:
        """What a host finds that was looked at before."""
        own = {**given(arguments, _PROOF), "told": self._told(arguments, facts)}
        if arguments.get("lifespan"):
            own["mint"] = command(facts, arguments.get("user") or "root", arguments["lifespan"])
        return self._run(MODULE, own)

    def _unseen(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a host finds that was not, with its facts; those alone where it asked nothing."""
        known = {"facts": columns(), "table": EXCERPT}
        result = self._run(UNSEEN_MODULE, {**given(arguments, _UNSEEN), "known": known, "scontrol": self._stated})
        return {**result, "facts": with_release(result["facts"])} if "facts" in result else result

    def _run(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return result_on(self, self.here, module, arguments, self.variables)

    def _told(self, arguments: dict[str, Any], facts: HostFacts) -> HostRequest:
        """What the host has to be told. Raises AnsibleError for facts that cannot be."""
        instance, urls = arguments.get("instance") or "", arguments.get("urls") or ()
        try:
            return told_of(facts, instance, urls, arguments.get("accounting"), columns=columns(), table=EXCERPT)
        except SlurmrestError as error:
            raise AnsibleError(str(error)) from None

    def _looked(self, arguments: dict[str, Any]) -> HostFacts:
        """Facts of the host; which of its several services is meant is said."""
        return looked(self, {"instance": arguments.get("instance") or ""})

    def _why_not(self, facts: HostFacts | None) -> str:
        """Why nothing is to be asked, a key of :data:`UNASKED`; empty where that is not so, or not known yet."""
        if facts and self._task.check_mode and facts["units"]["slurmrestd"]["active"] != "active":
            return "stopped"
        return "" if self._by_file or self._scontrols(facts) else "tokens"

    def _scontrols(self, facts: HostFacts | None) -> bool:
        """Whether tokens of scontrol are good, as is stated, or as the configurations have it that are known."""
        if self._stated is not None:
            return bool(boolean(self._stated))
        others = (self.variables["hostvars"].get(name) or {} for name in self._controllers[:1])
        found = [facts, *(other.get("ansible_facts", {}).get("slurmrest") for other in others)]
        return not any(of_issuers_alone(known["slurm_conf"]) for known in found if known)

    def _tokens(self, arguments: dict[str, Any], facts: HostFacts | None) -> dict[str, Any]:
        """The parameters that give the host its tokens, or have it make its own. Raises NoTokens."""
        if self._by_file:
            return {"token": _token(Path(arguments["token_file"])), "job": False}
        if self._controllers == [self.here] and not arguments.get("job"):
            return {"lifespan": TOKEN_SECONDS}
        users = {"token": arguments.get("user") or "root"}
        if arguments.get("job") and arguments.get("job_user"):
            users["job_token"] = arguments["job_user"]
        wanted = {"users": list(users.values()), "lifespan": TOKEN_SECONDS, "starting": True}
        conf = facts["slurm_conf"] if facts else None
        try:
            tokens = minted(self, self._controllers, wanted, conf, self.variables)
        except NoTokens as error:
            if error.standing or error.unreached:
                return {"tokenless": str(error), "job": False}
            raise
        return {parameter: tokens[user] for parameter, user in users.items()}


def _unasked(why: str) -> dict[str, Any]:
    """The result where nothing was asked; why is displayed."""
    Display().display(UNASKED[why])
    return {"changed": False, "msg": UNASKED[why]}


def _result(found: dict[str, Any], report: Report) -> dict[str, Any]:
    """What the task returns; it has failed where something does not work, and of that Ansible shows all."""
    for name in ("record", "pages", "confinement"):
        found.pop(name, None)
    told = as_dict(report)
    if report.ok:
        return {**found, "changed": False, "report": told}
    told["checks"] = [check for check in told["checks"] if check["ok"] is False]
    failed = ", ".join(check["id"] for check in told["checks"])
    msg = f"slurmrestd does not do what it should: {failed}"
    return {**found, "changed": False, "report": told, "failed": True, "msg": msg}


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
