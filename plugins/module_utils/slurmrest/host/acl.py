"""Access control lists of files."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from .reading import ACL_ATTRIBUTE


@dataclass(frozen=True)
class AclEntry:
    """What a list gives a named user or group, or (``id`` None) the owning group, the mask taken into account."""

    kind: str
    id: int | None
    rights: int

    def __str__(self) -> str:
        letters = "".join(letter for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if self.rights & bit)
        return f"{self.kind} {self.id} ({letters})"


def acl(path: str | int) -> list[AclEntry]:
    """The entries of a POSIX access control list beyond owner and others; none where there is no list.

    Source: acl(5), and the kernel's ``posix_acl_xattr.h`` for the form: a version, then tag, rights and id of each.
    """
    try:
        data = os.getxattr(path, ACL_ATTRIBUTE)
    except (OSError, AttributeError):  # no list, or a system without them
        return []
    found = [struct.unpack_from("<HHI", data, start) for start in range(4, len(data) - 7, 8)]
    mask = next((rights for tag, rights, _id in found if tag == 0x10), 7)
    kinds = {0x02: "user", 0x04: "group", 0x08: "group"}
    return [
        AclEntry(kinds[tag], None if tag == 0x04 else number, rights & mask)
        for tag, rights, number in found
        if tag in kinds
    ]
