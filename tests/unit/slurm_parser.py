"""How Slurm reads a configuration, after ``src/common/parse_config.c``: character by character, as a second opinion.

It shares nothing with the reader of this toolkit, which works with regular expressions over whole lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SPACE = b" \t\n\v\f\r"
WHITE = rb"[ \t\n\v\f\r]"
# keyvalue_pattern; Python takes the first alternative that fits, as glibc does where both are as long.
PATTERN = re.compile(
    rb"^%b*([A-Za-z0-9_.]+)%b*([-*+/]?)=%b*" % (WHITE, WHITE, WHITE)
    + rb'(?:"([^"]*)"|([^ \t\n\v\f\r]+))'
    + rb"(?:%b|$)" % WHITE
)


@dataclass
class Seen:
    """What Slurm has in its hands afterwards: keys and values in order, and the lines that it complains about."""

    pairs: list[tuple[str, bytes]] = field(default_factory=list)
    complaints: list[bytes] = field(default_factory=list)

    def last(self, key: str) -> bytes | None:
        return next((value for name, value in reversed(self.pairs) if name == key.lower()), None)


def strip_comments(line: bytes) -> bytes:
    backslashes = 0
    for index, byte in enumerate(line):
        if byte == ord("#") and backslashes % 2 == 0:
            return line[:index]
        backslashes = backslashes + 1 if byte == ord("\\") else 0
    return line


def strip_continuation(line: bytes) -> tuple[bytes, bool]:
    index, backslashes = len(line) - 1, 0
    while index >= 0:
        if line[index] == ord("\\"):
            backslashes += 1
        elif not (line[index] in SPACE and backslashes == 0):
            break
        index -= 1
    if backslashes % 2 == 1:
        return line[: index + backslashes], True
    return line, False


def strip_escapes(line: bytes) -> bytes:
    result, index = bytearray(), 0
    while index < len(line):
        if line[index] == ord("\\"):
            index += 1
            if index == len(line):
                break
        result.append(line[index])
        index += 1
    return bytes(result)


def parse(path: str, files: Mapping[str, bytes], seen: Seen | None = None, depth: int = 0, base: str = "") -> Seen:
    seen = Seen() if seen is None else seen
    base = base or path.rpartition("/")[0]
    if path not in files or depth > 10:
        seen.complaints.append(path.encode())
        return seen
    physical = re.findall(rb"[^\n]*\n|[^\n]+", files[path])
    while physical:
        line = b""
        while physical:
            part, more = strip_continuation(strip_comments(physical.pop(0).split(b"\0")[0]))
            line += part
            if not more:
                break
        handle(strip_escapes(line), base, files, seen, depth)
    return seen


def handle(line: bytes, base: str, files: Mapping[str, bytes], seen: Seen, depth: int) -> None:
    if line[:7].lower() == b"include" and line[7:8] and line[7] in SPACE:
        name = line[7:].lstrip(SPACE)
        stop = next((index for index, byte in enumerate(name) if byte in SPACE), len(name))
        name, rest = name[:stop], name[stop:]
        name = name.replace(b"%c", (seen.last("ClusterName") or b"%c").lower())
        parse(f"{base}/{name.decode('utf-8', 'surrogateescape')}", files, seen, depth + 1, base)
    else:
        match = PATTERN.match(line)
        rest = line
        if match is not None:
            value = match[4] if match[3] is None else match[3]
            key = match[1].decode().lower()
            seen.pairs.append((key, value))
            rest = line[match.end() :]
            while (record := PATTERN.match(rest)) is not None and key in (
                "nodename",
                "partitionname",
                "nodeset",
                "downnodes",
            ):
                seen.pairs[-1] = (key, seen.pairs[-1][1] + b" " + record[0].strip(SPACE))
                rest = rest[record.end() :]
    if rest.strip(SPACE):
        seen.complaints.append(rest)
