"""What the modules host_transaction and host_change are told, which is the same."""

from __future__ import annotations

from typing import Any

from .comparison import Applied, octal
from .set_aside import aside
from .specs import READY_SECONDS, DirectorySpec, FileSpec, ServiceSpec

_OWNERSHIP = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}


def _list(options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "files": _list(
        {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "mode": {"type": "str", "default": "0644"},
            **_OWNERSHIP,
        }
    ),
    "directories": _list(
        {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
            **_OWNERSHIP,
        }
    ),
    "set_aside": _list(
        {
            "path": {"type": "path", "required": True},
            "lines": {"type": "list", "elements": "int", "default": []},
        }
    ),
    "remember": {"type": "bool", "default": False},
    "services": _list(
        {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "if_running", "restarted"], "default": "started"},
            "enabled": {"type": "bool"},
            "restart": {"type": "bool", "default": True},
            "reload": {"type": "bool", "default": False},
            "replacing": {"type": "bool", "default": False},
            "becomes": {"type": "str", "default": ""},
            "allow_state_loss": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": READY_SECONDS},
            "probes": {"type": "list", "elements": "dict", "default": []},
        }
    ),
}
"""Parameters, as Ansible describes them; plugins/doc_fragments/transaction.py says what each is."""


def wanted(parameters: dict[str, Any]) -> dict[str, Any]:
    """What a :class:`.comparison.Wanted` is made of. Raises SlurmrestError for what is refused."""
    files = [_file(entry) for entry in parameters["files"]]
    asides = [spec for entry in parameters["set_aside"] for spec in aside(entry["path"], entry["lines"], files)]
    return {
        "name": parameters["name"],
        "files": [*files, *asides],
        "directories": [
            DirectorySpec(entry["path"], entry["owner"], entry["group"], octal(entry["mode"]))
            for entry in parameters["directories"]
        ],
        "services": [ServiceSpec.from_mapping(entry) for entry in parameters["services"]],
    }


def result(outcome: Applied) -> dict[str, Any]:
    """What both return."""
    return {
        "changed": outcome.changed,
        "diff": outcome.diff,
        "changed_paths": outcome.changed_paths,
        "restarted": outcome.restarted,
        "started": outcome.started,
        "recovered": outcome.recovered,
        "warnings": outcome.unseen,
        "seconds": round(outcome.seconds, 3),
    }


def _file(data: dict[str, Any]) -> FileSpec:
    secret = data["secret_content"]
    text = data["content"] if secret is None else secret
    return FileSpec(
        path=data["path"],
        content=None if text is None else text.encode(),
        state=data["state"],
        owner=data["owner"],
        group=data["group"],
        mode=octal(data["mode"]),
        sensitive=secret is not None,
    )
