"""Whether the key set of this host is what the issuers publish: this much is looked at on every run.

Most runs find that it is. Who refreshes it (:mod:`.refresh`) takes far more files along.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..auth.jwks import KeySet, parse
from ..bundle import interpreter
from ..host import programs
from ..host.file_state import read_present
from ..host.identity import group_name, owner_name
from ..host.our_files import STATE_DIR
from ..host.programs import Run
from ..transaction.comparison import Applied, Wanted
from ..transaction.specs import DirectorySpec, FileSpec
from .settings import RefreshSettings
from .sources import read_all

NAME = "slurm_jwks"
"""Of the transaction that writes the set."""
TIMER = "slurm_jwks-timer"
"""Under which role slurm_jwks has the timer's units, and under which its settings are remembered, too."""
PROGRAM = "slurm_jwks-program"

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "issuers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str"},
            "ca_file": {"type": "path"},
            "file": {"type": "str"},
        },
    },
    "documents": {"type": "dict", "default": {}},
    "daemons": {"type": "list", "elements": "dict", "default": []},
    "slurm_conf": {"type": "path"},
    "primary": {"type": "bool", "default": False},
    "consent": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 15},
    "program": {"type": "path"},
    "settings": {"type": "path"},
}
"""Parameters of both modules, as Ansible describes them; plugins/doc_fragments/jwks.py says what each is."""


def settings_of(parameters: dict[str, Any]) -> RefreshSettings:
    """What a module was told. Raises InputError for a bad value."""
    names = ("path", "issuers", "daemons", "slurm_conf", "primary", "timeout")
    return RefreshSettings.from_mapping({name: parameters[name] for name in names}, parameters["documents"])


def wanted(settings: RefreshSettings, keys: KeySet) -> dict[str, Any]:
    """What the transaction of the set is made of, but for the daemons that run on it."""
    directory = posixpath.dirname(settings.path)
    owner, group = _mine()
    return {
        "name": NAME,
        "directories": [] if os.path.isdir(directory) else [DirectorySpec(directory, owner, group)],
        "files": [FileSpec(settings.path, keys.render(), owner=owner, group=group)],
    }


def noted(settings: RefreshSettings, file: str) -> FileSpec:
    """The settings, where the timer's command finds them."""
    owner, group = _mine()
    return FileSpec(file, settings.text().encode(), owner=owner, group=group)


def _mine() -> tuple[str, str]:
    """root, as whom this runs on a host."""
    return owner_name(os.geteuid()), group_name(os.getegid())


@dataclass(frozen=True)
class FetchedSet:
    """What the issuers said once, for who looks and who then changes.

    ``over`` is the SHA-256 of the set that was in place before they were asked, empty without one: where another one
    is there by now, a run of the timer may have asked them since.
    """

    keys: KeySet
    over: str

    @classmethod
    def now(cls, settings: RefreshSettings) -> FetchedSet:
        """Ask them. Raises as :func:`.sources.read_all` does."""
        over = _in_place(settings.path)
        return cls(read_all(settings.issuers, settings.timeout), over)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> FetchedSet:
        """What :meth:`as_dict` gave, judged like what an issuer says. Raises JwksError."""
        keys = parse(data["set"].encode(), "what was fetched")
        return cls(KeySet(keys.keys, tuple(data["dropped"])), data["over"])

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; public keys alone."""
        return {"set": self.keys.render().decode("ascii"), "dropped": list(self.keys.dropped), "over": self.over}

    def still(self, settings: RefreshSettings) -> bool:
        """Whether nobody has placed another set since."""
        return self.over == _in_place(settings.path)


def _in_place(path: str) -> str:
    now = read_present(path)
    return hashlib.sha256(now.content).hexdigest() if now else ""


@dataclass(frozen=True)
class Timer:
    """What the timer runs: ``program``, whose text has this SHA-256, with ``settings``."""

    program: str
    digest: str
    settings: str


def settled(
    settings: RefreshSettings,
    keys: KeySet,
    timer: Timer | None = None,
    *,
    state_dir: str = STATE_DIR,
    run: Run = programs.run,
) -> bool:
    """Whether nothing is left to do: set, settings and program are as they shall be, and no run was killed half-way."""
    here: dict[str, Any] = {"state_dir": state_dir, "run": run}
    if not Wanted(**wanted(settings, keys), **here).settled():
        return False
    if timer is None:
        return True
    now = read_present(timer.program)
    if now is None or hashlib.sha256(now.content).hexdigest() != timer.digest:
        return False
    program = FileSpec(timer.program, now.content, mode=0o755)
    told = noted(settings, timer.settings)
    return all(Wanted(name, files=[file], **here).settled() for name, file in ((TIMER, told), (PROGRAM, program)))


def result(keys: KeySet, *outcomes: Applied, held: str = "") -> dict[str, Any]:
    """What both modules return."""
    return {
        "changed": any(outcome.changed for outcome in outcomes),
        "diff": [difference for outcome in outcomes for difference in outcome.diff],
        "keys": [key.kid for key in keys.keys],
        "dropped": list(keys.dropped),
        "restarted": [name for outcome in outcomes for name in outcome.restarted],
        "warnings": [words for outcome in outcomes for words in outcome.unseen],
        "held": held,
        "python": interpreter(),
    }
