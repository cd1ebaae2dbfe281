"""How a file that is there differs from the one that is wanted."""

from __future__ import annotations

from ..host.file_state import Present
from ..redaction import redacted
from .specs import FileSpec


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
