"""Every finding that a test here comes to is asked for the form of its remedy, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slurmrest.doctor import diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slurmrest.doctor.diagnosis import Finding


@pytest.fixture(autouse=True)
def _remedies_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., Finding] = diagnosis._finding

    def checked(*arguments: Sequence[object]) -> Finding:
        finding = make(*arguments)
        assert finding.remedy.count("`") % 2 == 0, finding.remedy
        assert bool(finding.by_hand) is ("`" not in finding.remedy), (
            f"{finding.id}: something to type in backquotes, or by_hand of its rule: {finding.remedy}"
        )
        return finding

    monkeypatch.setattr(diagnosis, "_finding", checked)
