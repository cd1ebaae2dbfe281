"""The text of a configuration file of the site, every byte of it."""

from __future__ import annotations

from ..errors import SlurmrestError
from ..host import reading


def read_text(path: str) -> str | None:
    """The text of a file with every byte kept; None where there is none. SlurmrestError where it may not be read."""
    try:
        return reading.read_site(path).decode("utf-8", "surrogateescape")
    except PermissionError:
        raise SlurmrestError(
            f"{path} cannot be read by root of this host (NFS with root_squash?), so that nobody knows what it lacks.",
            "Let root read it while this runs.",
        ) from None
    except (OSError, reading.UnsafePath):
        return None
