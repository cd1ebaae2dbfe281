"""Numbers in texts that others have written."""

from __future__ import annotations

import re

_WHOLE = re.compile("[0-9]{1,18}")


def whole(text: str) -> int | None:
    """The number that a text of digits is; None for any other text, such as other scripts' digits, and endless ones."""
    return int(text) if _WHOLE.fullmatch(text) else None
