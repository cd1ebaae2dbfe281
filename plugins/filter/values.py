"""Filters that judge what the roles write, and that write it (see module_utils/slurmrest/slurm/values.py)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.errors import InputError
from ..module_utils.slurmrest.slurm import values
from ..module_utils.slurmrest.slurmrestd.unit_places import unit_names
from ..module_utils.slurmrest.systemd.values import no_directive, no_environment_value, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Judge = Callable[[str, Any], Iterator[InputError]]


def _optional(judge: Judge) -> Judge:
    """The same judge where there is a value: an empty one leaves the line out."""
    return lambda variable, value: iter(()) if value in (None, "") else judge(variable, value)


def _each(judge: Judge) -> Judge:
    """The same judge for each member of a list."""

    def judge_all(variable: str, value: Any) -> Iterator[InputError]:
        if not isinstance(value, (list, tuple)):
            yield InputError(variable, value, "a list", "it is none")
            return
        for item in value:
            yield from judge(variable, item)

    return judge_all


def _one_of(*words: str) -> Judge:
    def judge(variable: str, value: Any) -> Iterator[InputError]:
        if value not in words:
            yield InputError(variable, value, " or ".join(words))

    return judge


def _value(variable: str, value: Any) -> Iterator[InputError]:
    reason = values.no_value(value)
    if reason is not None:
        yield InputError(variable, value, values.VALUE_ALLOWED, reason)


def _instance(_variable: str, value: Any) -> Iterator[InputError]:
    try:
        unit_names(str(value))
    except InputError as error:
        yield error


def _users(variable: str, value: Any) -> Iterator[InputError]:
    return values.judge_records(variable, value, {"name": values.NAME.judge, "uid": values.NUMBER.judge})


_EXTRA = partial(values.judge_options, inside_record=True)
_NODE: Mapping[str, Judge] = {
    "name": values.NODES.judge,
    "cpus": values.NUMBER.judge,
    "real_memory": values.NUMBER.judge,
    "extra": _EXTRA,
}
_PARTITION: Mapping[str, Judge] = {"name": values.NAME.judge, "nodes": values.NODES.judge, "extra": _EXTRA}

JUDGES: dict[str, Judge] = {
    "slurm_common_auth_type": _one_of("auth/munge", "auth/slurm"),
    "slurm_common_config_dir": values.PATH.judge,
    "slurm_common_dbd_host": _optional(values.HOST.judge),
    "slurm_common_jwks_path": values.PATH.judge,
    "slurm_common_slurm_user": values.NAME.judge,
    "slurm_common_slurmrestd_instance": _instance,
    "slurm_common_slurmrestd_path": _optional(values.PATH.judge),
    "slurm_cluster_account": values.NAME.judge,
    "slurm_cluster_users": _users,
    "slurm_conf_cgroup_options": values.judge_options,
    "slurm_conf_cluster_name": _optional(values.CLUSTER.judge),
    "slurm_conf_controllers": _each(values.CONTROLLER.judge),
    "slurm_conf_dbd_options": values.judge_options,
    "slurm_conf_nodes": partial(values.judge_records, fields=_NODE),
    "slurm_conf_options": values.judge_options,
    "slurm_conf_partitions": partial(values.judge_records, fields=_PARTITION),
    "slurm_conf_storage_pass": _optional(_value),
    "slurm_jwks_interval": values.NUMBER.judge,
    "slurm_jwks_timeout": values.NUMBER.judge,
    "slurmrest_token_address": values.HOST.judge,
}
"""Who judges what of the roles' variables. What else they write is judged by slurmrestd_preflight and service_token."""


def refused_values(variables: Mapping[str, Any]) -> list[str]:
    """What is wrong with variables, by their names: why none of them can be written, in words without secrets."""
    unknown = sorted(set(variables) - set(JUDGES))
    if unknown:
        raise AnsibleFilterError(f"refused_values: {', '.join(unknown)} has no judge")
    return [str(error) for name, value in variables.items() for error in JUDGES[name](name, value)]


def conf_value(value: Any, key: str = "") -> str:
    """A value as it stands in slurm.conf, slurmdbd.conf or cgroup.conf; AnsibleFilterError names the key of another."""
    try:
        return values.written(value, key)
    except InputError as error:
        raise AnsibleFilterError(str(error)) from None


def unit_value(value: Any, directive: str) -> str:
    """A value as it stands in a unit; AnsibleFilterError names the directive of another."""
    reason = no_directive(value)
    if reason is not None:
        raise AnsibleFilterError(str(InputError(directive, value, "one line of text", reason)))
    return str(value)


def environment_value(value: Any, name: str) -> str:
    """A value as it stands in an environment file; AnsibleFilterError names the variable of another."""
    reason = no_environment_value(value)
    if reason is not None:
        raise AnsibleFilterError(f"{name} is refused: {reason}. Allowed: one line of text, or a number.")
    return quoted(value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "refused_values": refused_values,
            "conf_value": conf_value,
            "unit_value": unit_value,
            "environment_value": environment_value,
        }
