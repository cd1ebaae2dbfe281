"""The filter that keeps private keys on the machine that Ansible runs on (see module_utils/slurmrest/auth/jwks.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.auth.jwks import JwksError, insist_on_public

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def public_sets(documents: Mapping[str, str]) -> dict[str, str]:
    """Return sets of keys by name; AnsibleFilterError for one with private parts, which no host is to be told.

    A module tells the journal of its host what it was given before it can refuse it.
    """
    try:
        for name, text in documents.items():
            insist_on_public(str(text), name)
    except JwksError as error:
        raise AnsibleFilterError(str(error)) from None
    return dict(documents)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Return the filters of this file."""
        return {"public_sets": public_sets}
