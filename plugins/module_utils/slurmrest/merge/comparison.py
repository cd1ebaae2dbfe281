"""What the site's own slurm.conf or slurmdbd.conf lacks on one host: this much is looked at on every run.

Most runs find nothing, and that takes a few files. Who judges and changes (:mod:`.host`) takes many, which Ansible
would ship to every host every time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlurmrestError
from ..host import programs
from ..host.decider import decider
from ..host.eyes import eyes_of
from ..host.identity import owner_name
from ..host.our_files import JOURNAL, STATE_DIR
from ..host.programs import Run
from ..slurm import auth_parameters
from ..slurm.conf import SlurmConf, read
from ..slurm.conf_edit import Edit, Wish, merge, unmerge
from ..slurm.conf_text import read_text
from ..slurm.fallback_key import STATE_DIRECTORY, fallback_key
from ..systemd.state import state
from .request import ARGUMENTS, MergeRequest

_TYPES, _PARAMETERS, _COMMUNICATION = "AuthAltTypes", "AuthAltParameters", "CommunicationParameters"


@dataclass
class Look:
    """What a part would do, and what stands against it. JSON-able by :meth:`as_dict`, without secrets."""

    kind: str
    path: str
    running: bool
    edit: Edit
    diff: list[dict[str, str]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)  # of the files that would change, as they are now
    problems: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)  # of the problems: why the daemon would not come back
    unseen: list[str] = field(default_factory=list)  # what nobody could look at before a restart, in words
    obstacles: list[str] = field(default_factory=list)  # why this host cannot write it, which another one may do for it
    unfinished: bool = False  # an earlier run was killed before it was done
    digest: str = ""  # of all files together, after the change: the same for hosts whose copies are the same

    @property
    def changed(self) -> bool:
        """Whether there is something to do."""
        return bool(self.edit.texts) or self.unfinished

    def as_dict(self) -> dict[str, Any]:
        """Everything for the controller."""
        return {
            "kind": self.kind,
            "path": self.path,
            "running": self.running,
            "changed": self.changed,
            "files": sorted(self.edit.texts),
            "lines": [
                {"where": change.where, "old": _or_none(change.old), "new": _or_none(change.new)}
                for change in self.edit.changes
            ],
            "digests": self.digests,
            "digest": self.digest,
            "unfinished": self.unfinished,
            "problems": self.problems,
            "restart": self.restart,
            "obstacles": self.obstacles,
        }


def printable(text: str) -> str:
    """Without the bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _or_none(text: str | None) -> str | None:
    return None if text is None else printable(text)


def digest_of(text: str) -> str:
    """Of a text of the site, every byte of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Comparison:
    """One configuration of this host, compared with what it shall be."""

    def __init__(self, request: MergeRequest, run: Run = programs.run, state_dir: str = STATE_DIR) -> None:
        self.request = request
        self.run = run
        self.state_dir = state_dir
        self.unit = "" if request.kind == "copy" else request.kind
        self.transaction = f"slurm_conf-{request.kind}"
        self._word = 0  # whose word the files are: of root's alone, or of the first other account that has a say in one

    def compare(self) -> Look:
        """See what is to be done, whoever stands against it. Raises SlurmrestError when the files cannot be merged.

        ``unfinished`` is also a transaction that is as good as done: who changes knows better.
        """
        edit = self._edit()
        now = state(self.run, self.unit) if self.unit else {}
        look = Look(self.request.kind, self.request.path, now.get("ActiveState") in ("active", "reloading"), edit)
        look.digest = digest_of(self._conf(edit).raw)
        look.unfinished = os.path.lexists(os.path.join(self.state_dir, JOURNAL.format(self.transaction)))
        return look

    def _conf(self, edit: Edit | None = None) -> SlurmConf:
        texts = edit.texts if edit else {}

        def text(path: str) -> str | None:
            return texts[path] if path in texts else self.text(path)

        conf = read(self.request.path, text, beside_includer=self.request.beside_includer)
        if conf is None:
            raise SlurmrestError(f"{self.request.path} is not there.")
        return conf

    def _edit(self) -> Edit:
        if self.request.state == "absent":
            return self._unmerged()
        return merge(self.request.path, self.text, self._wishes(), beside_includer=self.request.beside_includer)

    def _unmerged(self) -> Edit:
        return unmerge(self.request.path, self.text, beside_includer=self.request.beside_includer)

    def text(self, path: str) -> str | None:
        """The text of one of the files, None where it is not there. Read as the account whose word they are.

        Raises SlurmrestError where that may not read it: Slurm's words and ours would quote it, and copies hold it.
        """
        self._word = self._word or decider([path])
        try:
            with eyes_of(self._word):
                return read_text(path)
        except SlurmrestError:
            if not self._word:
                raise
            who = owner_name(self._word)
            raise SlurmrestError(
                f"{path} would be read because of what {who} can write into {self.request.path} or beside it, and "
                f"{who} may not read it.",
                f"Let {who} read it, or take it out; or give {self.request.path}, and the directories above, to root.",
            ) from None

    def _wishes(self) -> list[Wish]:
        conf = self._conf()
        accepted = ("jwt",) if self.request.bare_jwt else ()
        types = Wish(_TYPES, "auth/jwt", accepted)
        further = [self._parameter(item) for item in self.request.parameters]
        if self.request.kind != "slurmdbd":
            further += [Wish(_COMMUNICATION, item, loose=True) for item in self.request.communication]
        sites = self._options(self._conf(self._unmerged()))
        jwks = next((wish.item for wish in further if wish.option == "jwks="), "")
        self._judge_site(sites, jwks)
        if not self.request.jwt_key:
            return [types, *further]
        key = self._options(conf).get("jwt_key")
        if (key or (sites.get("jwks") and not jwks)) and not self.request.replace_key:
            # Verified with the site's own key or keys: theirs to choose.
            return [types, *([self._parameter(f"jwt_key={key}")] if key else []), *further]
        default = fallback_key(conf.get("StateSaveLocation", STATE_DIRECTORY))
        # slurmctld looks for a key beside its state, but not once it has a jwks.
        found = self.request.kind != "slurmdbd" and types.fulfilled(conf) and self.request.jwt_key == default
        if found and not key and not jwks:
            return [types, *further]
        return [types, self._parameter(f"jwt_key={self.request.jwt_key}"), *further]

    def _options(self, conf: SlurmConf) -> dict[str, str | None]:
        return auth_parameters.read(conf.get(_PARAMETERS) or "", self.request.auth_alt_items)

    def _parameter(self, item: str) -> Wish:
        return Wish(_PARAMETERS, item, loose=item.partition("=")[0] not in self.request.auth_alt_items)

    def _judge_site(self, sites: Mapping[str, str | None], jwks: str) -> None:
        """Refuse to take the place of what the site itself put there, or to leave in force what shall not be."""
        if jwks and sites.get("jwks") and f"jwks={sites['jwks']}" != jwks:
            raise SlurmrestError(
                f"{self.request.path} has jwks={sites['jwks']}, which this toolkit did not put there: Slurm takes one.",
                "Add its issuer to slurm_jwks_issuers and take that item out, or make it slurm_common_jwks_path.",
            )
        if not self.request.jwt_key and sites.get("jwt_key"):
            raise SlurmrestError(
                f"slurm_common_hs256 is false, and {self.request.path} has jwt_key={sites['jwt_key']}, which this "
                "toolkit did not put there.",
                "Take that item out, or set slurm_common_hs256 to true.",
            )


def result(looks: Sequence[Look], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What both modules return, but for the advice to those who change it by hand."""
    return {
        "changed": any(look.changed for look in looks),
        "diff": [difference for look in looks for difference in look.diff],
        "parts": [look.as_dict() for look in looks],
        "advice": [],
        "request": {name: parameters[name] for name in ARGUMENTS},
        "restarted": [],
        "recovered": [],
        "warnings": [words for look in looks for words in look.unseen],
    }
