"""The page for users: every snippet is run as it stands, in its order, by an ordinary user on a login host."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.clusters import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.users.conftest import LoginHost

PAGE = ROOT / "docs" / "users.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIBRARY = "/opt/library"


def program() -> str:
    """Return the page as one bash script: shell as it stands, Python in files, a mark before each."""
    lines = ["set -eu"]
    for number, (language, text) in enumerate(FENCE.findall(PAGE.read_text()), 1):
        lines.append(f"echo '::snippet {number} {language}'")
        if language == "python":
            lines += [f"cat > snippet.py <<'END_OF_SNIPPET'\n{text}END_OF_SNIPPET", "python3 snippet.py"]
        else:
            lines.append(text)
    return "\n".join([*lines, "echo ::end"])


def test_every_snippet_is_run() -> None:
    languages = [language for language, _text in FENCE.findall(PAGE.read_text())]
    assert set(languages) == {"sh", "python"}
    assert len(languages) * 2 == PAGE.read_text().count("```")


@pytest.fixture(scope="module")
def output(login: LoginHost, packages: Path) -> str:
    """What the page's snippets print."""
    where = subprocess.run(
        [packages, "-c", "import requests; print(requests.__file__)"], capture_output=True, text=True, check=True
    )
    site = re.sub(r"/requests/__init__\.py\s*\Z", "", where.stdout)
    names = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
    login.install(LIBRARY, {name: ROOT / site / name for name in names})
    done = login.run(program(), PYTHONPATH=LIBRARY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("::end\n")
    return done.stdout


def test_jobs_of_every_face_ran(output: str, login: LoginHost) -> None:
    assert "hello from c1, sent over REST" in output
    assert "curl ran on c1" in output
    assert len(re.findall(r"^\d+ COMPLETED$", output, re.MULTILINE)) == 2
    assert login.run("cat python.out requests.out").stdout == "in Python ran on c1\nrequests ran on c1\n"


def test_the_newest_version_was_found(output: str, login: LoginHost) -> None:
    assert f"\n{login.newest_api}\n" in output


def test_both_files_with_a_token_are_private(output: str, login: LoginHost) -> None:
    assert "::snippet" in output
    assert login.run("stat -c %a .slurm-token .slurm-header").stdout.split() == ["600", "600"]
