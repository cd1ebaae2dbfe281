"""The filter that makes ``AuthAltParameters`` (see module_utils/slurmrest/slurm/auth_parameters.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.slurm.auth_wishes import items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = {
    "jwt_key": "slurm_common_jwt_key_path",
    "jwks": "slurm_jwks_issuers",
    "userclaimfield": "slurm_conf_userclaimfield",
    "disable_token_creation": "slurm_conf_disable_token_creation",
    "max_token_lifespan": "slurm_conf_max_token_lifespan",
    "client_ids": "slurm_conf_client_ids",
}
"""The variables by which sites know the wishes."""


def auth_alt_parameters(wishes: Mapping[str, Any], version: str | None = None) -> list[str]:
    """Return the items; AnsibleFilterError names the variable that is refused."""
    try:
        return items(wishes, version or None, NAMES)
    except SlurmrestError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"auth_alt_parameters": auth_alt_parameters}
