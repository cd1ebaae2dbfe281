"""What somebody says of a configuration file, without the passwords that are in it. Pure."""

from __future__ import annotations

import re

from ..redaction import ADDRESS, REDACTED, redacted, secret_spans

_QUOTING = re.compile(r'(?P<said>line (?P<line>\d+): )".*"', re.IGNORECASE)
"""How Slurm quotes what is left of a line that it does not understand (src/common/parse_config.c)."""

_SHORT, _LONG = 6, 16
"""Passwords of fewer characters, or of letters or digits alone up to the second number, may be ordinary words."""


def without_secrets(message: str, text: str) -> str:
    """What somebody said of a configuration file, without the passwords in that file.

    By form, as :func:`redacted` does it; besides, what Slurm quotes of a line with a password, and the passwords
    themselves wherever they stand. Not those that may be ordinary words, such as ``slurm``: that they are missing
    from a sentence would tell them.
    """
    kept, words = _secrets_of(text)

    def quoted(match: re.Match[str]) -> str:
        return f'{match["said"]}" {REDACTED}"' if int(match["line"]) in kept else match[0]

    message = redacted(_QUOTING.sub(quoted, message))
    for word in sorted(words, key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", REDACTED, message)
    return message


def _secrets_of(text: str) -> tuple[set[int], set[str]]:
    """Numbers of the lines of a file that hold a secret, and the secrets that are no ordinary words."""
    lines: set[int] = set()
    words: set[str] = set()
    spans = list(secret_spans(text))
    for start, end in spans:
        first = text.count("\n", 0, start) + 1
        lines.update(range(first, first + text.count("\n", start, end) + 1))
        value = re.sub(r"\\(.?)", lambda part: part[1].strip("\n"), text[start:end], flags=re.DOTALL).strip()
        words.update([value, value.strip('"'), *re.split(r'[\s"]+', value)])
    words.update(match[0].rpartition("@")[0] for match in ADDRESS.finditer(text))
    others = set(re.findall(r"[\w.-]+", redacted(text)))
    return lines, {word for word in words - others if _is_no_word(word)}


def _is_no_word(word: str) -> bool:
    return len(word) >= _LONG or (len(word) >= _SHORT and not word.isalpha() and not word.isdigit())
