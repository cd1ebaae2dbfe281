"""Programs run as another account than root, on what that account could have chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .programs import SECONDS, Done, Run, whom


def as_account(run: Run, uid: int, gid: int, groups: Sequence[int] = ()) -> Run:
    """The same as another account, which may then lead nobody but itself astray; only root can do so."""
    who = whom(uid, gid, groups)

    def run_so(
        argv: Sequence[str], *, limit: float = SECONDS, environment: Mapping[str, str] | None = None
    ) -> Done[str]:
        return run(argv, limit=limit, environment=environment, **who)

    return run_so
