"""What a login brings along, for the few programs that need some of it (others get nothing: :mod:`.programs`)."""

from __future__ import annotations

import os

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def of_the_user() -> dict[str, str]:
    """What somebody who runs a command on a login host has in the environment, SLURM_CONF too, but no SLURM_JWT.

    With that, Slurm's programs would log in by the old token.
    """
    return {name: value for name, value in os.environ.items() if name != "SLURM_JWT"}


def proxies() -> dict[str, str]:
    """The proxies of the login or of the play: what fetches packages needs them."""
    return {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
