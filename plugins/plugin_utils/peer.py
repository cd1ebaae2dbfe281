"""Run a module on another host of the inventory from within an action plugin.

This is how a secret gets from the host that has it to the host that needs it: through the memory of one worker process
on the controller, never through a registered result, a fact, an argument of a process or a file of the controller.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader

if TYPE_CHECKING:
    from collections.abc import Iterator


QUIET = {"ansible_no_target_syslog": True}
"""With that a module tells the journal of its host nothing of what it was given.

Elsewhere Ansible takes parameters with ``no_log`` out, but not out of lists where they have several lines.
"""


def _options(kind: str, plugin: str, variables: Any) -> dict[str, Any]:
    """Return those variables of a host that configure the plugin, templated by the mapping itself."""
    return {name: variables[name] for name in constants.config.get_plugin_vars(kind, plugin) if name in variables}


def peer_action(action: ActionBase, host: str, task_vars: dict[str, Any]) -> ActionBase:
    """Return an action of the same task whose connection leads to ``host``, with that host's own variables and become.

    Raises AnsibleError when ``host`` is not in the inventory.
    """
    if host not in task_vars["hostvars"]:
        raise AnsibleError(f"{host!r} is not in the inventory. Hosts: {', '.join(sorted(task_vars['hostvars']))}")
    variables = task_vars["hostvars"][host]
    context = action._play_context.copy()
    context.remote_addr = variables.get("ansible_host", host)
    kind = variables.get("ansible_connection", action._task.connection or "ssh")
    connection = connection_loader.get(kind, context)
    if connection is None:
        raise AnsibleError(f"ansible_connection: {kind!r} of host {host!r} is not a known connection plugin")
    task_keys = action._task.dump_attrs()
    keywords = {"timeout": context.timeout, "remote_user": task_keys.get("remote_user"), "port": task_keys.get("port")}
    keywords = {key: value for key, value in keywords.items() if value is not None}
    if boolean(variables.get("ansible_become", action._task.become or False), strict=False):
        method = variables.get("ansible_become_method", action._task.become_method or "sudo")
        become = become_loader.get(method)
        if become is None:
            raise AnsibleError(f"ansible_become_method: {method!r} of host {host!r} is not a known become plugin")
        become.set_options(
            task_keys={"become_user": action._task.become_user, "become_flags": action._task.become_flags},
            var_options=_options("become", become._load_name, variables),
        )
        connection.set_become_plugin(become)
        context.set_become_plugin(become)
    connection.set_options(task_keys=keywords, var_options=_options("connection", connection._load_name, variables))
    connection._shell.set_options(var_options=_options("shell", connection._shell._load_name, variables))
    return type(action)(
        task=action._task,
        connection=connection,
        play_context=context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )


@contextlib.contextmanager
def private(action: ActionBase) -> Iterator[None]:
    """Let modules of this action take and return secrets.

    They travel through standard input and output only: without pipelining Ansible would put a module's parameters into
    temporary files on both sides, and from -vvv on it would print what a module returns. Raises AnsibleError where the
    connection or the become method cannot work like this, and where Ansible's debug output would show them whatever is
    asked of it.
    """
    if constants.config.get_config_value("DEFAULT_DEBUG"):
        raise AnsibleError(
            "A secret would be shown: ANSIBLE_DEBUG is set, which prints all that modules get and return."
        )
    connection = action._connection
    context = connection._play_context
    before = connection.always_pipeline_modules, context.no_log
    connection.always_pipeline_modules, context.no_log = True, True
    try:
        if not connection.is_pipelining_enabled():
            keeps = constants.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES")
            how = "ANSIBLE_KEEP_REMOTE_FILES is set" if keeps else "the connection or become cannot use standard input"
            raise AnsibleError(f"A secret would be written to a temporary file: {how}. Use ssh with sudo.")
        yield
    finally:
        connection.always_pipeline_modules, context.no_log = before


def result_on(
    action: ActionBase, host: str, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]
) -> dict[str, Any]:
    """Run ``module`` with ``arguments`` on ``host`` and return its result, which may be a failure.

    On the task's own host the task's own connection is used. Parameters and result may hold secrets; the result is
    without the parameters.
    """
    result: dict[str, Any]
    if host == task_vars["inventory_hostname"]:
        with private(action):
            result = action._execute_module(module_name=module, module_args=arguments, task_vars={**task_vars, **QUIET})
        return without_parameters(result)
    peer = peer_action(action, host, task_vars)
    variables = dict(task_vars)
    own = task_vars["hostvars"][host]
    for name in list(variables):
        if name.startswith(("ansible_python", "discovered_interpreter")):
            del variables[name]
    variables.update({name: own[name] for name in own if name.startswith(("ansible_python", "ansible_facts"))})
    variables.update(QUIET, inventory_hostname=host)
    try:
        with private(peer):
            result = peer._execute_module(module_name=module, module_args=arguments, task_vars=variables)
        return without_parameters(result)
    finally:
        peer._remove_tmp_path(peer._connection._shell.tmpdir)
        peer._connection.close()


def without_parameters(result: dict[str, Any]) -> dict[str, Any]:
    """Take out what Ansible shows from -vvv on and hands to ansible-runner: what was censored and what it knew not."""
    result.pop("invocation", None)
    return result


def run_on(
    action: ActionBase, host: str, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]
) -> dict[str, Any]:
    """Run ``module`` on ``host`` as :func:`result_on` does. Raises AnsibleError with the module's words on failure."""
    return succeeded(result_on(action, host, module, arguments, task_vars), module, host)


def succeeded(result: dict[str, Any], module: str, host: str) -> dict[str, Any]:
    """The result of a module that ran on a host. Raises AnsibleError with its words where it has failed."""
    if result.get("failed"):
        raise AnsibleError(f"{module} on {host}: {result.get('msg', 'failed without a message')}")
    return result


def slurm_of(facts: Any) -> dict[str, str]:
    """The parameters that tell a module which Slurm of a host is meant; none where nobody has looked at that host."""
    if not facts:
        return {}
    found = {"slurm_conf": facts["slurm_conf"]["path"], "prefix": facts.get("prefix")}
    return {name: str(value) for name, value in found.items() if value}
