"""The filter that tells which kinds of sockets slurmrestd opens (see module_utils/slurmrest/slurmrestd/address.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.slurmrest.slurmrestd.address import KINDS, scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALWAYS = ("AF_INET", "AF_INET6", "AF_UNIX")
"""For slurmctld, names and the journal."""


def address_families(listen: Iterable[str]) -> list[str]:
    """Return what systemd's RestrictAddressFamilies= has to allow."""
    kinds = [KINDS[scheme_of(text)].kernel for text in listen]
    return list(dict.fromkeys([*ALWAYS, *(f"AF_{kind.upper()}" for kind in kinds if kind != "tcp")]))


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"address_families": address_families}
