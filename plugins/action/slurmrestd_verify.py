"""Have tokens minted on the controller, verify on the REST host, show the table, keep the reports.

The tokens stay in this process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.slurmrest.auth.jwt import Token
from ..module_utils.slurmrest.errors import InputError, SlurmrestError
from ..module_utils.slurmrest.verify.formats import write_file
from ..plugin_utils.peer import result_on, run_on, slurm_of

MODULE = "slurmrest.toolkit.slurmrestd_verify"
TOKEN_MODULE = "slurmrest.toolkit.slurm_token"  # noqa: S105 - the name of a module
TOKEN_SECONDS = 600


class ActionModule(ActionBase):
    """See the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; its table is displayed, since people want to read it."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        controller = arguments.get("controller") or variables["inventory_hostname"]
        token_file = arguments.pop("token_file", None)
        if token_file:
            arguments.update(token=_token(Path(token_file)), job=False)
        elif controller == variables["inventory_hostname"]:
            arguments["mint"] = TOKEN_SECONDS
        else:
            arguments.update(self._mint(controller, arguments, variables))
        result = result_on(self, variables["inventory_hostname"], MODULE, arguments, variables)
        documents = result.pop("documents", {})
        if documents and not self._task.check_mode:
            _keep(Path(arguments["report_directory"]), variables["inventory_hostname"], documents)
        table = result.pop("table", None)
        if table:
            Display().display(f"{variables['inventory_hostname']}: {table}")
        return result

    def _mint(self, controller: str, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, str]:
        """Ask another host for the tokens, by the parameters that take them."""
        users = {"token": arguments.get("user") or "root"}
        if arguments.get("job") and arguments.get("job_user"):
            users["job_token"] = arguments["job_user"]
        facts = (variables["hostvars"].get(controller) or {}).get("ansible_facts", {}).get("slurmrest")
        wanted = {"users": list(users.values()), "lifespan": TOKEN_SECONDS, **slurm_of(facts)}
        minted = run_on(self, controller, TOKEN_MODULE, wanted, variables)["tokens"]
        return {parameter: minted[user] for parameter, user in users.items()}


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
        for suffix, text in documents.items():
            write_file(str(directory / f"{host}.{suffix}"), text)
    except (OSError, InputError) as error:
        raise AnsibleError(f"report_directory: {error}") from error
