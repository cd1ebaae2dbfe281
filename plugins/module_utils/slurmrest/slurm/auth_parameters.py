"""``AuthAltParameters`` of slurm.conf and slurmdbd.conf as the daemons read it (``auth_jwt.c``)."""

from __future__ import annotations

from collections.abc import Collection

SEARCHED = {
    "jwt_key": "jwt_key=",
    "jwks": "jwks=",
    "userclaimfield": "userclaimfield=",
    "disable_token_creation": "disable_token_creation",
    "max_token_lifespan": "max_token_lifespan=",
}
"""What some release looks for in the whole of the value, by the name of the option."""


def read(value: str, whole: Collection[str]) -> dict[str, str | None]:
    """The options of a value as a release reads it; None for one without ``=``, of doubled ones the first counts.

    Args:
        value: that of ``AuthAltParameters``.
        whole: column ``auth_alt_items``. Such an option is an item from its first character on: behind a blank it is
            none. Any other counts wherever its name stands, inside another item, too.
    """
    found: dict[str, str | None] = {}
    for item in filter(None, value.split(",")):
        name, equals, text = item.partition("=")
        if name.strip() not in SEARCHED or name in whole:
            found.setdefault(name, text if equals else None)
    for name, sought in SEARCHED.items():
        if name not in whole and sought in value:
            text = value.partition(sought)[2].partition(",")[0]
            found[name] = text if sought.endswith("=") else None
    return found
