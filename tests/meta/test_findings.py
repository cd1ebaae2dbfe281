"""That each finding is one script of one form, and that the list names them all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = tree.ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
FIELDS = ["Software", "Expected", "Seen", "Meaning"]
EACH = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.stem))


def header(path: Path) -> dict[str, str]:
    """Return the fields of a finding's first comment; two blanks go on with the field before."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if not line.startswith("# "):
            break
        text = line.removeprefix("# ")
        if text.startswith("  "):
            name = next(reversed(fields))
            fields[name] += " " + text.strip()
        else:
            name, _, fields[name] = text.partition(": ")
    return fields


def test_there_are_findings() -> None:
    """An empty folder would pass every other test."""
    assert len(SCRIPTS) >= 8
    assert {path.name for path in FOLDER.iterdir()} == {"README.md", *(path.name for path in SCRIPTS)}


@EACH
def test_header_says_what_and_for_whom(path: Path) -> None:
    """Software with its version, what one expects, what happens, what it means."""
    fields = header(path)
    assert list(fields) == FIELDS
    assert all(len(text.split()) >= 2 for text in fields.values()), fields
    assert re.search(r"\d+\.\d+", fields["Software"]), "no version"


@EACH
def test_list_names_it(path: Path) -> None:
    """One row each, with the software as the script says it and one sentence."""
    rows = [line for line in (FOLDER / "README.md").read_text("utf-8").splitlines() if f"]({path.name})" in line]
    assert len(rows) == 1
    _, link, software, sentence, _ = (cell.strip() for cell in rows[0].split("|"))
    assert link == f"[{path.stem}]({path.name})"
    assert software == header(path)["Software"]
    assert sentence.endswith(".")


@EACH
def test_script_stands_alone(path: Path) -> None:
    """It runs by itself in a temporary folder that it removes, without code of this repository; 0, 1 and 2 differ."""
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert "set -eEu\ntrap 'echo \"cannot run here: line $LINENO failed\" >&2; exit 2' ERR\n" in text
    assert "mktemp -d" in text
    assert re.search(r"trap '.*rm -rf \"\$work\"' EXIT", text)
    assert not re.search(r"slurmrest_toolkit|module_utils|slurmrest\.toolkit|BASH_SOURCE|(?<!\.)\.\./", text)
    assert re.search(r"(\|\| exit 1|exit \"\$code\")$", text.strip().splitlines()[-1]) or "exit 1 ;; esac" in text


@EACH
def test_packages_are_pinned_and_nothing_else_is_asked(path: Path) -> None:
    """Packages by name and version through the host's own clients; every address in a script is the machine itself."""
    text = path.read_text(encoding="utf-8")
    for command in re.findall(
        r"(?:apt-get -qq download|pip\" -q install|pip -q install|npm install)((?:.|\\\n)*?)(?: 2>|\n)", text
    ):
        names = [word for word in command.replace("\\", " ").split() if re.match(r"[a-z]", word, re.IGNORECASE)]
        assert names
        assert all(re.search(r"=\$slurm$|==?\d|@\d", name) for name in names), names
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"127.0.0.1", "localhost", "slow", "unix"}, hosts


@EACH
def test_shell_is_sound(path: Path) -> None:
    """The shell itself takes the script."""
    bash = shutil.which("bash")
    assert bash
    subprocess.run([bash, "-n", str(path)], check=True, timeout=60)
