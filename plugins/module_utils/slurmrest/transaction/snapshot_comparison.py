"""Whether nothing is to be done, by what was seen of a host in this run (:mod:`.snapshot`): it is not asked again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..host.file_state import Present
from .comparison import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .specs import FileSpec

SECONDS = 300.0
"""A host's turn may come long after it was looked at, and somebody may have been at work there since."""

_DIFFERENT = b"\0"
"""In place of a text that is not the one that is wanted: no file that is written here has it."""


class NotSeen(Exception):
    """It was not looked at, or not with all that is needed."""


@dataclass
class Seen(Wanted):
    """What a transaction shall bring about, compared with what was seen (``sight``, of :func:`.snapshot.sight`).

    Whether it is settled raises NotSeen.
    """

    sight: Mapping[str, Any] = field(default_factory=dict)

    def _present(self, spec: FileSpec) -> Present | None:
        if spec.path not in self.sight["files"]:
            raise NotSeen
        now = self.sight["files"][spec.path]
        if now is None:
            return None
        if not now["digest"]:
            raise NotSeen  # a secret
        right = now["digest"] == hashlib.sha256(spec.content or b"").hexdigest()
        return Present((spec.content or b"") if right else _DIFFERENT, now["owner"], now["group"], now["mode"])

    def _directory(self, path: str) -> tuple[str, str, int] | None:
        if path not in self.sight["directories"]:
            raise NotSeen
        now = self.sight["directories"][path]
        return (now[0], now[1], now[2]) if now else None

    def _unit(self, name: str) -> Mapping[str, str]:
        if name not in self.sight["units"]:
            raise NotSeen
        found: Mapping[str, str] = self.sight["units"][name]
        return found

    def _unfinished(self) -> bool:
        return self.name in self.sight["unfinished"]
