"""What a gateway's template writes, made of its variables (see module_utils/slurmrest/gateway/settings.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.gateway.settings import as_dict, settle, upstreams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def gateway_settings(variables: Mapping[str, Any], threads: Iterable[int] = ()) -> dict[str, Any]:
    """Return the settings; AnsibleFilterError names the variable that is refused."""
    try:
        return as_dict(settle(variables, threads))
    except SlurmrestError as error:
        raise AnsibleFilterError(str(error)) from None


def gateway_upstreams(hosts: Iterable[str], hostvars: Mapping[str, Any], here: str) -> list[str]:
    """Return where the REST hosts are asked; AnsibleFilterError names the host that cannot be reached."""
    named = list(hosts)
    told = {host: list(hostvars[host].get("slurmrestd_service_listen") or ()) for host in named}
    try:
        return upstreams(named, told, here)
    except SlurmrestError as error:
        raise AnsibleFilterError(str(error)) from None


def gateway_probe(address: str, name: str, revision: str) -> dict[str, list[str]]:
    """Return the question that tells whether a configuration serves at one address."""
    return {"gateway": [address, name, revision]}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "gateway_probe": gateway_probe,
            "gateway_settings": gateway_settings,
            "gateway_upstreams": gateway_upstreams,
        }
