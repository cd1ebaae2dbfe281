"""A token that does not show itself, and the headers that it travels in."""

from __future__ import annotations

import hmac
import re
from typing import Any

from ..errors import SlurmrestError

USER_HEADER = "X-SLURM-USER-NAME"
TOKEN_HEADER = "X-SLURM-USER-TOKEN"  # noqa: S105 - the name of a header, not a secret
HIDDEN = "<redacted>"
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+\Z")


class TokenError(SlurmrestError):
    """A token that cannot be used: not a JWT, wrong algorithm, wrong signature, expired, or without a user."""


class Token:
    """A token that does not show itself: ``repr``, ``str`` and ``format`` are redacted, ``reveal()`` is the value.

    Raises TokenError when the value could not be sent as an HTTP header (empty, blanks, line breaks, not ASCII); its
    message never holds the value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise TokenError("the token is empty")
        if not _HEADER_SAFE.match(value):
            raise TokenError(
                f"the token ({len(value)} characters) holds blanks, line breaks or characters outside ASCII; "
                "allowed: one token of printable ASCII characters"
            )
        self._value = value

    def reveal(self) -> str:
        """The token itself, for the one place that puts it on the wire."""
        return self._value

    def __repr__(self) -> str:
        return f"Token({HIDDEN})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Token, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a Token is not pickled: it would be written in clear")
