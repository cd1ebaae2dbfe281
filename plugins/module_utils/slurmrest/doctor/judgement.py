"""What is judged of the evidence of a host where it is read, on the controller mostly. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..auth.keys import refusals
from ..slurm.controllers import standing

if TYPE_CHECKING:
    from collections.abc import Mapping


def judged(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence with what stands against its keys, and who is in charge of several controllers."""
    keys = {daemon: _key(key) for daemon, key in evidence["keys"].items()}
    seen = evidence.get("controllers")
    return {**evidence, "keys": keys, "controllers": seen and _standing(seen, evidence["now"])}


def _key(key: dict[str, Any]) -> dict[str, Any]:
    if "reader_gid" not in key:  # it could not be seen
        return key
    reader = {"name": key["reader"], "uid": key["reader_uid"], "gid": key["reader_gid"]}
    about_directories = refusals({**key, "exists": False}, reader)
    problems = [problem for problem in refusals(key, reader) if problem not in about_directories]
    return {**key, "directory_problems": about_directories, "problems": problems}


def _standing(found: Mapping[str, Any], now: float) -> dict[str, Any]:
    rest = {name: value for name, value in found.items() if name != "seen"}
    return {**rest, "standing": standing(found["seen"], now).as_dict()}
