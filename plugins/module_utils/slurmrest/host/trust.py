"""Whether a path can be trusted to be root's alone."""

from __future__ import annotations

from .access import directories_above, ownership
from .places import real
from .reading import UnsafePath


def roots_alone(path: str) -> bool:
    """Whether nobody but root can change a file, put another one in its place, or lead its path elsewhere."""
    try:
        behind = real(path)
        owned = [ownership(behind), *directories_above(behind)]
    except (OSError, UnsafePath):
        return False
    return all(entry["uid"] == 0 and not entry["mode"] & 0o022 for entry in owned)
