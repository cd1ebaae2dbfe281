"""Errors of the engine: each says what is wrong, and where it can, what to do about it."""

from __future__ import annotations

from .redaction import REDACTED, is_secret, redacted


class SlurmrestError(Exception):
    """Base of everything the engine raises on purpose.

    ``message`` is one sentence for the person at the terminal; ``remedy`` is what that person can do, or None;
    ``details`` are for programs that read the result of a module. No message holds what looks like a secret.
    """

    def __init__(self, message: str, remedy: str | None = None) -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        self.remedy = remedy
        self.details: dict[str, object] = {}

    def __str__(self) -> str:
        ends = self.message.endswith((".", "!", "?", ":", ";")) or "\n" in self.message
        return f"{self.message}{'' if ends else '.'} {self.remedy}" if self.remedy else self.message


class InputError(SlurmrestError, ValueError):
    """A value given by a person is refused.

    Names the ``variable`` (or option, or file and line), its ``value`` and what is ``allowed``. The value of a variable
    whose name says that it is a secret is not kept and not shown.
    """

    def __init__(
        self, variable: str, value: object, allowed: str, reason: str | None = None, remedy: str | None = None
    ) -> None:
        shown = f": {value!r}"
        if is_secret(variable):
            value, shown = REDACTED, ""
        message = f"{variable}{shown} is refused" + (f": {reason}" if reason else "") + f". Allowed: {allowed}."
        super().__init__(message, remedy)
        self.variable = variable
        self.value = value
        self.allowed = allowed
        self.reason = reason
