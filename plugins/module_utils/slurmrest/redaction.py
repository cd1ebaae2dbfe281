"""What people may see: the one place that takes secrets out of texts.

Every text of others that gets into a message, a report, a difference or a result goes through :func:`redacted`. It
goes by form alone, so that it needs to know no secret: tokens by their structure, values by the name before them,
logins in addresses, keys in PEM, long runs of hexadecimal bytes. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

REDACTED = "(redacted)"

# Names of keys, variables and options whose values are secrets, StoragePass also where it is misspelt. systemd's
# PassEnvironment= and a test that passed are none; neither are PrivateData= and the paths in jwt_key= and *_key_file=.
_SECRET_NAME = re.compile(
    r"pass(?!(?:ed|es)\Z)(?:\w{0,2}|w\w*|phrase\w*|code\w*|_\w+)\Z"
    r"|(?:private_?key|secret|secret_?key|api_?key|access_?key|token|slurm_jwt)\Z",
    re.IGNORECASE | re.ASCII,
)
_ASSIGNED = re.compile(r"(?<!\w)(?P<name>\w+)[\s\\\"']{0,80}(?:(?P<equals>[-*+/]?=)|:(?!//))[ \t]*", re.ASCII)
_HEADER = re.compile(
    r"(?<![\w-])(?P<name>x-slurm-user-token|(?:proxy-)?authorization|slurm_jwt)\b"
    r"(?P<between>[^\w\n(]{0,8}(?:value\b[^\w\n(]{0,8})?)",
    re.IGNORECASE | re.ASCII,
)
_SEPARATES = re.compile(r"[:=,'\"\]]|value", re.IGNORECASE)
# A value reaches to the end of its line: a password may hold blanks, and a line that is wrong may hold several words.
# A backslash at the end of a line continues it, as in slurm.conf and unit files.
_REST = re.compile(r"(?:\\\n|[^\n])*")
_HARMLESS = re.compile(
    rf"[^\S\n]*(?:\Z|\n|{re.escape(REDACTED)}|(?:yes|no|daemon|true|false|none|null|\(unset\))"
    r"(?=[])}'\",;.]{0,8}(?:\s|\Z)))",
    re.IGNORECASE,
)
"""What is no secret behind such a name: `(using password: YES)` of MariaDB, `SLURM_JWT=daemon`."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
"""What a terminal would obey: of others' words only line breaks and tabs get there."""

ADDRESS = re.compile(r"(?<=://)[^\s\"'<>]+")
_DOTTED = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_=-]*)+")
_SIGNATURE = 40  # characters of base64url: HS256, the shortest, has 43
_PEM = re.compile(r"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----.*?(?:-----END (?P=kind)-----|\Z)", re.DOTALL)
_HEX = re.compile(r"(?:\b[0-9a-fA-F]{2}[ :]?){16,}|\b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{32,}\b")


def is_secret(name: str) -> bool:
    """Whether the values of a key or a variable must never be shown: StoragePass, SLURM_JWT and their like."""
    return _SECRET_NAME.search(name) is not None


def redacted(text: str) -> str:
    """A text without what may be a token, a password, a login in an address, a private key, or bytes of one of them.

    And without characters that would command the terminal which shows it.

    Line breaks stay, so that the lines of a file keep their numbers where no secret goes over several of them. What is
    redacted already stays as it is.
    """
    text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _PEM.sub(REDACTED, text)
    text = _without(text, secret_spans(text))
    text = ADDRESS.sub(_without_login, text)
    text = _DOTTED.sub(_without_token, text)
    return _HEX.sub(REDACTED, text)


def secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of secrets stand: behind the names of keys, variables and headers."""
    ends = [match.end() for match in _ASSIGNED.finditer(text) if _is_assigned(match)]
    ends += [match.end() for match in _HEADER.finditer(text) if _SEPARATES.search(match["between"])]
    position = 0
    for start in sorted(ends):
        # Whoever is quoted may write one name after the other: the rest of a line is read once, not for each of them.
        if start < position or _HARMLESS.match(text, start):
            continue
        value = _REST.match(text, start)
        position = value.end() if value else start
        yield start, position


def _is_assigned(match: re.Match[str]) -> bool:
    """A colon is often only the end of a word, as in `no token: 401`; behind a password, it is not."""
    return is_secret(match["name"]) and (match["equals"] is not None or "pass" in match["name"].lower())


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += [text[position:start], REDACTED]
        position = end
    return "".join([*parts, text[position:]])


def _without_login(match: re.Match[str]) -> str:
    """An address without what is before its host; a password may hold the signs that end one in a proper address."""
    address = match[0]
    host = address.partition("/")[0]
    if "@" not in address or not {"@", ":"} & set(host):
        return address
    return f"{REDACTED}@{address.rpartition('@')[2]}"


def _without_token(match: re.Match[str]) -> str:
    """A JWT has three parts, a JWE five; a line that was cut may have fewer, the first of which is an object in JSON.

    Three parts of which the last could be a signature are one, too, whatever the first says.
    """
    parts = match[0].split(".")
    for number, part in enumerate(parts[:-1]):
        if _opens_object(part) or (len(parts) - number == 3 and len(parts[-1]) >= _SIGNATURE):
            full_stop = "." if parts[-1] == "" and len(parts) - number in (2, 4) else ""
            return ".".join([*parts[:number], REDACTED]) + full_stop
    return match[0]


def _opens_object(part: str) -> bool:
    """Whether a part is an object of JSON, or its beginning, in base64url."""
    if "eyJ" in part:
        return True
    try:
        data = base64.urlsafe_b64decode(part[: len(part) // 4 * 4])
    except (binascii.Error, ValueError):
        return False
    head = data.lstrip(b" \t\r\n")
    return head[:1] == b"{" and head[1:].lstrip(b" \t\r\n")[:1] in (b'"', b"}")
