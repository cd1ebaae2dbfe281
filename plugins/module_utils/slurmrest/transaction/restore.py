"""A host brought back to what it was like before this toolkit changed it, as :mod:`.baseline` remembers it."""

from __future__ import annotations

import base64
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Callable

from ..host import failure, files
from ..host.lock import host_lock
from ..host.owners import group_id
from ..host.programs import Run
from .baseline import Baseline, has_user
from .comparison import Applied
from .services import Judges
from .specs import FileSpec, ServiceSpec
from .transaction import Transaction


def bring_back(baseline: Baseline, name: str, *, check: bool = False, judges: Judges | None = None) -> Applied:
    """Make everything as it was before, or with ``check`` say what that would change.

    Nothing happens where ``name`` never changed anything. Files and units are one transaction: when a unit that ran
    before does not come up on its former files, the present ones return and TransactionFailed is raised. Accounts
    and directories follow; a directory that somebody has put something into stays.
    """
    own = baseline.remembered(name)
    if not own:
        return Applied()
    known = own.get("files", {})
    outcome = Transaction(
        name=name,
        files=[_wanted(path, now) for path, now in known.items() if now is None or "content" in now],
        services=[_unit(unit, state) for unit, state in own.get("units", {}).items()],
        state_dir=baseline.state_dir,
        run=baseline.run,
        judges=judges,
    ).apply(check=check)
    gone = {path for path, now in known.items() if now is None}
    for what, remove in [*_accounts(own, baseline.run), *_empty(own.get("directories", {}), gone)]:
        outcome.changed = True
        outcome.changed_paths.append(what)
        outcome.diff.append({"before_header": what, "after_header": what, "before": f"{what}\n", "after": ""})
        if not check:
            remove()
    if not check:
        with host_lock(baseline.state_dir):
            baseline.save({key: value for key, value in baseline.load().items() if key != name})
    return outcome


def _accounts(own: Mapping[str, Any], run: Run) -> list[tuple[str, Callable[[], None]]]:
    users = [
        (f"account {user}", _step(_remove, run, "userdel", user)) for user in own.get("users", {}) if has_user(user)
    ]
    groups = [
        (f"group {group}", _step(_remove, run, "groupdel", group))
        for group in own.get("groups", {})
        if group_id(group) is not None
    ]
    return [*users, *groups]


def _remove(run: Run, program: str, name: str) -> None:
    if program == "groupdel" and group_id(name) is None:
        return  # it went with its only member
    failure.demand(run([program, name]))


def _step(function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: function(*arguments)


def _wanted(path: str, now: Mapping[str, Any] | None) -> FileSpec:
    # What was written here may hold a secret: the difference is shown without its text.
    if now is None:
        return FileSpec(path, state="absent", shown=False)
    content = base64.b64decode(now["content"])
    return FileSpec(path, content, "present", now["owner"], now["group"], now["mode"], shown=False)


def _unit(name: str, state: Mapping[str, Any]) -> ServiceSpec:
    reload = state.get("reload", False)
    wanted = "started" if state["active"] else "stopped"
    return ServiceSpec(name, wanted, enabled=state["enabled"], reload=reload, afresh=not reload)


def _empty(directories: Iterable[str], gone: Collection[str]) -> list[tuple[str, Callable[[], None]]]:
    """Directories that hold nothing but what goes, and the sockets of a daemon that ends; the lowest first."""
    found: list[str] = []
    for directory in sorted(directories, key=len, reverse=True):
        try:
            left = [posixpath.join(directory, name) for name in os.listdir(directory)]
        except OSError:
            continue
        if all(path in gone or path in found or stat.S_ISSOCK(os.lstat(path).st_mode) for path in left):
            found.append(directory)
    return [(directory, _step(_remove_directory, directory)) for directory in found]


def _remove_directory(path: str) -> None:
    files.remove_directory(path, sockets=True)
