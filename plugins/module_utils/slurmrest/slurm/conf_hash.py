"""Slurm's checksum of a configuration, by which a daemon tells what it has loaded. Pure."""

from __future__ import annotations

import binascii
import re


def hash_values(raw: str) -> set[int]:
    """Slurm's own checksum of a configuration (``HASH_VAL`` of ``scontrol show config``).

    It runs over all that was read, comments included, in the order of reading (:attr:`.conf.SlurmConf.raw`); bytes
    beyond ASCII count as negative numbers where the machine's ``char`` is signed, so that there may be two values.
    """
    # For Slurm a NUL ends the line, its line break included.
    data = re.sub(rb"\0[^\n]*\n?", b"", raw.encode("utf-8", "surrogateescape"))
    return {_hash(data, signed=True), _hash(data, signed=False)}


def _hash(data: bytes, *, signed: bool) -> int:
    # A CRC-CCITT, but for what is shifted beyond its 16 bits: that is of the last two bytes, whatever was before them.
    value = binascii.crc_hqx(data[:-2], 0)
    for byte in data[-2:]:
        value ^= ((byte - 256 if signed and byte > 127 else byte) << 8) & 0xFFFFFFFF
        for _bit in range(8):
            carry = value & 0x8000
            value = (value << 1) & 0xFFFFFFFF
            if carry:
                value ^= 4129
    return value
