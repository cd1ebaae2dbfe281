"""The rules of ansible-test are really asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import sanity

IGNORED = sorted((sanity.ROOT / "tests" / "sanity").glob("ignore-*.txt"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sanity.copied(tmp_path_factory.mktemp("sanity"))


def test_a_module_that_is_not_documented_as_it_is_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for module in place.glob("plugins/modules/*.py"):
        if module.stem != "slurm_token":
            module.unlink()
    assert sanity.judge_modules(place, sanity.known(place)) == 0
    module = place / "plugins/modules/slurm_token.py"
    kept = module.with_suffix(".kept")
    shutil.copy(module, kept)
    module.write_text(module.read_text().replace('"controllers": {', '"controlers": {'))
    assert sanity.judge_modules(place, sanity.known(place)) > 0
    assert "controlers" in capsys.readouterr().out
    kept.replace(module)


def test_what_is_known_is_the_same_for_each_ansible_core() -> None:
    assert [path.stem.removeprefix("ignore-") for path in IGNORED] == ["2.19", "2.20", "2.21"]
    assert len({path.read_text() for path in IGNORED}) == 1
