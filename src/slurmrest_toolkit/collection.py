"""Where the Ansible collection is, with its roles and playbooks: a clone's, or the one that the wheel carries."""

from __future__ import annotations

from pathlib import Path

from slurmrest_toolkit.support.errors import CannotRunError

_PACKAGE = Path(__file__).resolve().parent
IN_WHEEL = ("ansible_collections", "slurmrest", "toolkit")
"""Beside this package, where Ansible looks for collections, too."""


def is_clone() -> bool:
    """Whether this package is read from a clone."""
    return _PACKAGE.parent.name == "src" and (_PACKAGE.parents[1] / "galaxy.yml").is_file()


ROOT = _PACKAGE.parents[1] if is_clone() else _PACKAGE.parent.joinpath(*IN_WHEEL)
"""The folder with ``ansible.cfg``, ``playbooks``, ``plugins`` and ``roles``."""


def ensure() -> Path:
    """Return :data:`ROOT`.

    Raises:
        CannotRunError: the collection is not there.
    """
    if not (ROOT / "playbooks").is_dir():
        raise CannotRunError(f"There are no playbooks in {ROOT}.", "Install slurmrest-toolkit anew, or use a clone.")
    return ROOT
