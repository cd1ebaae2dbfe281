"""What slurm_conf_merge and slurm_conf_merge_change are told of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..slurm import auth_parameters

KINDS = ("slurmdbd", "slurmctld", "copy")
"""Which daemon runs on a file: ``copy`` is a slurm.conf that no daemon of this host needs a restart for."""

ARGUMENTS: dict[str, Any] = {
    "parts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "kind": {"type": "str", "choices": list(KINDS), "required": True},
            "path": {"type": "path", "required": True},
        },
    },
    "jwt_key": {"type": "path", "no_log": False},
    "parameters": {"type": "list", "elements": "str", "default": []},
    "replace_key": {"type": "bool", "default": False, "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "bare_jwt": {"type": "bool", "default": False},
    "beside_includer": {"type": "bool", "default": False},
    "auth_alt_items": {"type": "list", "elements": "str", "default": ["jwt_key", "jwks", "userclaimfield"]},
    "communication": {"type": "list", "elements": "str", "default": []},
    "prefix": {"type": "path", "default": "/usr"},
    "allow_state_loss": {"type": "bool", "default": False},
}
"""Parameters, as Ansible describes them; plugins/doc_fragments/merge.py says what each is."""


@dataclass(frozen=True)
class MergeRequest:
    """What is wanted of one configuration: ``path`` is the main file, ``kind`` one of :data:`KINDS`.

    ``jwt_key`` is the path that slurmctld and slurmdbd shall read the key from, empty where no HS256 key is wanted; one
    that the file names already is kept unless ``replace_key``. ``parameters`` are further items of AuthAltParameters,
    such as ``jwks=/path``; ``auth_alt_items`` is the release's column of that name. ``communication`` are items that
    CommunicationParameters of slurm.conf shall have. ``bare_jwt`` says that the release
    takes ``jwt`` for ``auth/jwt``. ``state`` is present or absent. ``prefix`` is where Slurm is installed, for its
    programs. With ``allow_state_loss`` the restart may take what only slurmctld's memory has.
    """

    kind: str
    path: str
    jwt_key: str
    parameters: tuple[str, ...] = ()
    state: str = "present"
    replace_key: bool = False
    bare_jwt: bool = False
    beside_includer: bool = False
    auth_alt_items: tuple[str, ...] = tuple(auth_parameters.SEARCHED)
    communication: tuple[str, ...] = ()
    prefix: str = "/usr"
    allow_state_loss: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("kind", self.kind, ", ".join(KINDS))
        if self.state not in ("present", "absent"):
            raise InputError("state", self.state, "present or absent")


def requests(parameters: dict[str, Any]) -> list[MergeRequest]:
    """One for each of the parts. Raises InputError for a bad value."""
    same = {name: parameters[name] for name in ARGUMENTS if name != "parts"}
    same["jwt_key"] = same["jwt_key"] or ""
    for name in ("parameters", "auth_alt_items", "communication"):
        same[name] = tuple(same[name])
    return [MergeRequest(kind=part["kind"], path=part["path"], **same) for part in parameters["parts"]]
