"""What a gateway's template writes, made of its variables (see module_utils/slurmrest/gateway/settings.py)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.gateway.settings import as_dict, settle, upstreams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_DOCUMENT = "__slurmrest_gateway_document"
_FILE = "gateway "
"""Before the name of a gateway's host, where other issuers have the path of a file."""

_NAME = 50  # characters of a host's name in that of an issuer


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


def gateway_issuers(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return an issuer for each gateway that signs tokens, but for one whose host has no key yet, as in check mode."""
    found = []
    for host in hosts:
        known = hostvars[host]
        signs = known.get("slurmrest_gateway_identity", "token") != "token"
        if signs and known.get("slurmrest_gateway_state", "present") == "present" and known.get(_DOCUMENT) != "":
            found.append({"name": "gateway-" + re.sub(r"[^A-Za-z0-9._-]", "-", host)[:_NAME], "file": _FILE + host})
    return found


def gateway_documents(issuers: Iterable[Mapping[str, Any]], hostvars: Mapping[str, Any]) -> dict[str, str]:
    """Return the public key of each of these gateways; AnsibleFilterError where this run has not asked for it."""
    hosts = [str(issuer["file"])[len(_FILE) :] for issuer in issuers if str(issuer.get("file")).startswith(_FILE)]
    missing = [host for host in hosts if not hostvars[host].get(_DOCUMENT)]
    if missing:
        raise AnsibleFilterError(
            f"The key of the gateway on {', '.join(missing)} is not known: this run did not reach that host. Without "
            "it in the cluster's set, who logged in there would be refused. Bring the host up, or take it out of the "
            "group slurmrest_gateway."
        )
    return {_FILE + host: str(hostvars[host][_DOCUMENT]) for host in hosts}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "gateway_documents": gateway_documents,
            "gateway_issuers": gateway_issuers,
            "gateway_probe": gateway_probe,
            "gateway_settings": gateway_settings,
            "gateway_upstreams": gateway_upstreams,
        }
