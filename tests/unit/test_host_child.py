"""Questions that are asked as another account."""

from __future__ import annotations

import os
import pwd
import signal
import time
from typing import TYPE_CHECKING

import pytest
from slurmrest.host.child import holds_for

if TYPE_CHECKING:
    from pathlib import Path

ME = pwd.getpwuid(os.geteuid())


def test_the_answer_is_that_of_the_question(tmp_path: Path) -> None:
    assert holds_for(ME, lambda: True) is True
    assert holds_for(ME, lambda: False) is False
    assert holds_for(ME, lambda: any((tmp_path / "none").iterdir())) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_is_asked_as_the_account() -> None:
    nobody = pwd.getpwnam("nobody")
    wanted = (nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    assert holds_for(nobody, lambda: os.getresuid() == wanted and os.getgid() == nobody.pw_gid) is True


def test_an_account_that_stops_it_does_not_hold_us_up() -> None:
    def stopped() -> bool:
        os.kill(os.getpid(), signal.SIGSTOP)
        return True

    begin = time.monotonic()
    assert holds_for(ME, stopped, seconds=0.2) is None
    assert time.monotonic() - begin < 5


def test_root_who_may_not_become_the_account_knows_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox without CAP_SETGID: "no" would be taken for what the account may not do."""

    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "initgroups", denied)
    assert holds_for(ME, lambda: True) is None
