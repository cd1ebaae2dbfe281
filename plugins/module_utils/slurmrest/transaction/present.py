"""A file as it is, and how it differs from the one that is wanted."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from ..host import places
from ..host.identity import group_name, owner_name
from ..redaction import redacted
from .specs import FileSpec


@dataclass(frozen=True)
class Present:
    """A file as it is now."""

    content: bytes
    owner: str
    group: str
    mode: int


def read_present(path: str) -> Present | None:
    """Content, owner, group and mode of a file; None where there is none. Raises UnsafePath as :mod:`..host.places`."""
    try:
        content, status = places.read_with_status(path)
    except FileNotFoundError:
        return None
    # Without bits that lend its owner's rights: no copy may have them.
    mode = stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID)
    return Present(content, owner_name(status.st_uid), group_name(status.st_gid), mode)


def _described(owner: str, group: str, mode: int, content: str) -> str:
    return f"# {owner} {group} {mode:04o}\n{content}"


def diff(spec: FileSpec, now: Present | None) -> dict[str, str]:
    """What Ansible shows of a change: the file before and after, or that its content is not shown."""
    hidden = spec.sensitive or not spec.shown

    def text(data: bytes) -> str:
        return "(content not shown)\n" if hidden else redacted(data.decode("utf-8", "replace"))

    before = _described(now.owner, now.group, now.mode, text(now.content)) if now else ""
    after = _described(spec.owner, spec.group, spec.mode, text(spec.content or b"")) if spec.state == "present" else ""
    if now and spec.state == "present" and now.content != spec.content:
        if hidden:
            after = after.replace("(content not shown)", "(content not shown, changed)")
        elif text(now.content) == text(spec.content or b""):
            after += "(what differs is not shown)\n"
    return {"before_header": spec.path, "after_header": spec.path, "before": before, "after": after}


def same(spec: FileSpec, now: Present | None) -> bool:
    """Whether the file is as it shall be."""
    if spec.state == "absent":
        return now is None
    return now is not None and (now.content, now.owner, now.group, now.mode) == (
        spec.content,
        spec.owner,
        spec.group,
        spec.mode,
    )
