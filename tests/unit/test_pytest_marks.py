"""Tests for some releases only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.played_pytest import TRACED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.played_pytest import Trial

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("how", [[], ["--slurm", "24.11"], ["--slurm", "24.11", "-p", "xdist", "-n", "1"]])
@pytest.mark.parametrize("mark", ["slurm()", "slurm('24.11')", "slurm('>=24.11.2')"])
def test_a_mark_that_means_nothing_fails_its_test_before_anything_is_started(
    trial: Trial, mark: str, how: Sequence[str]
) -> None:
    trial.pytester.makepyfile(f"import pytest\n@pytest.mark.{mark}\ndef test(slurmrestd): pass\n")
    done = trial.run(*how)
    said = str(done.stdout) + str(done.stderr)
    assert "mark slurm: " in said
    assert not re.search(TRACED, said, re.MULTILINE)
    assert done.ret != 0
    assert trial.notes == []
