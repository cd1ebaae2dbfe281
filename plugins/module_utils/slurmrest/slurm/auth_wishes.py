"""``AuthAltParameters`` of slurm.conf and slurmdbd.conf: the items that a site's wishes make, if the release has them.

An item that a release does not know is passed over in silence there, so that a limit nobody enforces would look like
one. Therefore it is refused (``src/plugins/auth/jwt/auth_jwt.c``, ``src/slurmctld/proc_req.c``, slurm.conf(5)).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..redaction import CONTROL
from .releases import first_with, lookup

CLIENT_IDS = {"ignore": "", "use": "use_jwt_client_ids", "only": "use_jwt_client_ids_only"}
"""Whether uid, gid and groups come from claims: values of ``client_ids``, and the item of each."""

LONGEST_LIFESPAN = 2**31 - 1
"""Seconds; Slurm reads the number as an int."""

_PATH = re.compile(rf"/(?:(?!{CONTROL.pattern})[^\s,#\"\\])*\Z")
_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{1,128}\Z")
_WISHES = ("jwt_key", "jwks", "userclaimfield", "disable_token_creation", "max_token_lifespan", "client_ids")
_DEFAULT_NAMES = {name: name for name in _WISHES}


def items(wishes: Mapping[str, Any], version: str | None, names: Mapping[str, str] = _DEFAULT_NAMES) -> list[str]:
    """The items of ``AuthAltParameters``, in a fixed order.

    Args:
        wishes: all optional. ``jwt_key`` and ``jwks``: absolute paths. ``userclaimfield``: the claim that names the
            user where ``sun`` and ``username`` do not. ``disable_token_creation``: whether ``scontrol token`` is for
            root and SlurmUser only. ``max_token_lifespan``: seconds, 0 for no limit. ``client_ids``: a key of
            :data:`CLIENT_IDS`.
        version: of Slurm; None where it is not installed yet, which is judged then.
        names: how people call the wishes, for messages.

    Raises:
        InputError: a value that is refused, or that the release does not have; neither a key nor a set of keys.
    """
    unknown = sorted(set(wishes) - set(_WISHES))
    if unknown:
        raise InputError("wishes", ", ".join(unknown), ", ".join(_WISHES))
    wanted = {name: wishes.get(name) for name in _WISHES}
    client_ids = wanted["client_ids"] or "ignore"
    lifespan = wanted["max_token_lifespan"] or 0
    made = {
        "jwt_key": f"jwt_key={_matching(_PATH, wanted, names, 'jwt_key')}" if wanted["jwt_key"] else "",
        "jwks": f"jwks={_matching(_PATH, wanted, names, 'jwks')}" if wanted["jwks"] else "",
        "userclaimfield": (
            f"userclaimfield={_matching(_CLAIM, wanted, names, 'userclaimfield')}" if wanted["userclaimfield"] else ""
        ),
        "disable_token_creation": "disable_token_creation" if wanted["disable_token_creation"] else "",
        "max_token_lifespan": f"max_token_lifespan={lifespan}" if lifespan else "",
        "client_ids": CLIENT_IDS.get(str(client_ids), ""),
    }
    if client_ids not in CLIENT_IDS:
        raise InputError(names["client_ids"], client_ids, ", ".join(CLIENT_IDS))
    if isinstance(lifespan, bool) or not isinstance(lifespan, int) or not 0 <= lifespan <= LONGEST_LIFESPAN:
        raise InputError(names["max_token_lifespan"], lifespan, f"0 (no limit) to {LONGEST_LIFESPAN} seconds")
    if not made["jwt_key"] and not made["jwks"]:
        raise InputError(names["jwks"], [], "one or more issuers where no HS256 key is wanted")
    if version is not None:
        _judge(made, wanted, version, names)
    return [item for item in made.values() if item]


def _matching(pattern: re.Pattern[str], wanted: Mapping[str, Any], names: Mapping[str, str], name: str) -> str:
    value = wanted[name]
    if not isinstance(value, str) or not pattern.match(value):
        allowed = "an absolute path" if pattern is _PATH else "the name of a claim: letters, digits and _.:/-"
        raise InputError(names[name], value, f"{allowed}, without blanks, quotes and commas")
    return value


def _judge(made: Mapping[str, str], wanted: Mapping[str, Any], version: str, names: Mapping[str, str]) -> None:
    columns = {name: "use_jwt_client_ids" if name == "client_ids" else name for name in made if name != "jwt_key"}
    for name, column in columns.items():
        item = made[name]
        if item and not getattr(lookup(version).release, column):
            raise InputError(
                names[name],
                wanted[name],
                f"with Slurm {first_with(column)} or later",
                f"Slurm {version} does not have {item.partition('=')[0]}, and would pass over it in silence",
            )
