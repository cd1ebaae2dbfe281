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
from .specs import KEY_NAMES, FileSpec, ServiceSpec
from .transaction import Transaction

STEADY_SECONDS = 3.0
"""A unit on its former files has to stay up: to systemd a simple one is active before it has read them."""


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
        services=[_unit(unit, state) for unit, state in _units(name, own).items()],
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
    mine = own.get("groups", {})
    users = [
        (f"account {user}", _step(_remove_user, run, user, user not in mine))
        for user in own.get("users", {})
        if has_user(user)
    ]
    groups = [(f"group {group}", _step(_remove_group, run, group)) for group in mine if group_id(group) is not None]
    return [*users, *groups]


def _remove_group(run: Run, name: str) -> None:
    if group_id(name) is not None:  # else it went with its only member
        failure.demand(run(["groupdel", name]))


def _remove_user(run: Run, name: str, keep_group: bool) -> None:
    """``userdel`` takes along the group of the same name when nobody else is in it, also one that was there before."""
    group = group_id(name)
    failure.demand(run(["userdel", name]))
    if keep_group and group is not None and group_id(name) is None:
        failure.demand(run(["groupadd", "--gid", str(group), name]))


def _step(function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: function(*arguments)


def _wanted(path: str, now: Mapping[str, Any] | None) -> FileSpec:
    # What was written here may hold a secret: the difference is shown without its text.
    if now is None:
        return FileSpec(path, state="absent", shown=False)
    content = base64.b64decode(now["content"])
    return FileSpec(path, content, "present", now["owner"], now["group"], now["mode"], shown=False)


def _units(name: str, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Units as they were; a key's daemons are started and stopped by who configures them, not by their key."""
    return {} if name.startswith(KEY_NAMES) else own.get("units", {})


def _unit(name: str, state: Mapping[str, Any]) -> ServiceSpec:
    reload = state.get("reload", False)
    wanted = "started" if state["active"] else "stopped"
    return ServiceSpec(name, wanted, enabled=state["enabled"], reload=reload, afresh=not reload, steady=STEADY_SECONDS)


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
