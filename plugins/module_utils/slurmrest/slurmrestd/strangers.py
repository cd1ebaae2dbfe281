"""Whether it is slurmrestd that listens where a token of root is about to go.

While slurmrestd is down, any account of its host may bind a port that is free, and would be told the token by whoever
asks there. So it is looked at first who holds the address on this host. One that is another host's, or in another
network namespace, is not seen here; there TLS says who answers.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from ..errors import SlurmrestError
from ..host import programs
from ..host.identity import account_facts, owner_name
from ..host.ports import listening_ports
from ..host.proc import whose
from ..systemd.show import number
from ..systemd.state import state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .address import Listener

_ANY = ("0.0.0.0", "::", "::ffff:0.0.0.0")  # noqa: S104 - compared with, not bound
_LOCAL = ("", "localhost", *_ANY)


def accounts_of(unit: str, user: str) -> set[int]:
    """The numbers of the accounts that may hold the addresses of a unit: root, its own, and that of its process.

    Args:
        unit: its name, such as ``slurmrestd.service``.
        user: its account by its files; empty for root.
    """
    main = whose(number(state(programs.run, unit, "MainPID"), "MainPID"))
    own = account_facts(user or "root")["uid"]
    return {0, os.geteuid(), *(uid for uid in (own, main[0] if main else None) if uid is not None)}


def strangers(targets: Iterable[Listener], accounts: Collection[int]) -> dict[str, str]:
    """Who else listens at these addresses of this host, by URL; nobody where all is as it should be."""
    found: dict[str, str] = {}
    for target in targets:
        uids = _holders(target) - set(accounts)
        if uids:
            found[target.url] = ", ".join(map(owner_name, sorted(uids)))
    return found


def refuse(targets: Iterable[Listener], accounts: Collection[int]) -> None:
    """Raise SlurmrestError where somebody else listens at one of these addresses."""
    for where, who in strangers(targets, accounts).items():
        raise SlurmrestError(
            f"{where} is held by {who}, which is not the account of slurmrestd: no token was sent there.",
            "See who listens there (ss -lntup), end it, and start slurmrestd.",
        )


def watch(accounts: Collection[int]) -> Callable[[Listener], None]:
    """What refuses one address, as :func:`refuse`, and is asked again and again: slurmrestd may end meanwhile."""
    return lambda target: refuse([target], accounts)


def _holders(target: Listener) -> set[int]:
    """The accounts of all that listens at an address; with TLS the certificate is what counts."""
    if target.is_tls:
        return set()
    return HOLDERS[target.kind](target) if target.kind in HOLDERS else set()


def _of_path(target: Listener) -> set[int]:
    try:
        return {os.stat(target.path).st_uid}
    except OSError:
        return set()


def _of_port(target: Listener) -> set[int]:
    addresses = _addresses(target)
    return {
        entry["uid"]
        for entry in listening_ports([target.port])
        if entry["host"] in addresses or (entry["host"] in _ANY and _is_here(addresses))
    }


HOLDERS = {"tcp": _of_port, "unix": _of_path}


def _addresses(target: Listener) -> set[str]:
    """What is connected to by a target; ``localhost`` and "any" mean this host, whatever they resolve to."""
    if target.host in _LOCAL:
        return {"127.0.0.1", "::1", "::ffff:127.0.0.1", *_ANY}
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)}
    except OSError:
        return set()
    return found | {f"::ffff:{address}" for address in found if "." in address}


def _is_here(addresses: Iterable[str]) -> bool:
    """Whether one of the addresses is this host's: nobody can bind another one's."""
    for address in addresses:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                continue
            return True
    return False
