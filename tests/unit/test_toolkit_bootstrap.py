"""scripts/lib/bootstrap.sh: which Python is taken, and which environments count as ready or stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "grep", "rm", "id", "sha256sum", "mkdir", "flock", "date", "tail", "cat")


@pytest.fixture(name="clone")
def a_clone(tmp_path: Path) -> Path:
    """Make a clone with nothing but requirements, and a PATH with nothing but tools."""
    clone = tmp_path / "clone"
    (clone / "requirements").mkdir(parents=True)
    (clone / "requirements" / "run.txt").write_text("", encoding="ascii")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    return clone


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o755)


def shell(clone: Path, line: str, *path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join(map(str, (*path, clone.parent / "tools")))
    return subprocess.run(
        ["sh", "-c", f'. "{ROOT}/scripts/lib/bootstrap.sh"; {line}'],
        env={"PATH": search, "SLURMREST_ROOT": str(clone), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_newest_python_that_runs_is_taken(clone: Path, tmp_path: Path) -> None:
    shims, real = tmp_path / "shims", tmp_path / "real"
    program(shims / "python3.14", "echo 'command not found' >&2; exit 127")
    program(shims / "python3.13", "echo 3.13; exit 3")  # has no ensurepip
    program(shims / "python3.12", "exit 127")
    program(real / "python3.12", "echo 3.12")
    program(real / "python3.11", "echo 3.11")
    done = shell(clone, "_slurmrest_pick_python", shims, real)
    assert (done.returncode, done.stdout) == (0, f"{real}/python3.12 3.12\n")


def test_python_without_ensurepip_is_named_when_nothing_better_is_there(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3", "echo 3.11; exit 3")
    done = shell(clone, "_slurmrest_pick_python", tmp_path / "bin")
    assert (done.returncode, done.stdout) == (3, f"{tmp_path}/bin/python3 3.11\n")


def test_too_old_python_is_not_taken(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3", "exit 4")
    done = shell(clone, "_slurmrest_pick_python", tmp_path / "bin")
    assert (done.returncode, done.stdout) == (1, "")


def test_probe_accepts_this_very_python(clone: Path) -> None:
    done = shell(clone, "_slurmrest_pick_python", SLURMREST_PYTHON=sys.executable)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (done.returncode, done.stdout) == (0, f"{sys.executable} {version}\n")


def test_without_root_the_command_is_named(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3", "echo 3.11; exit 3")
    program(tmp_path / "bin" / "apt-get", "echo must not run; exit 1")
    program(tmp_path / "bin" / "id", "echo 1000")
    done = shell(clone, "slurmrest_venv run", tmp_path / "bin")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "lacks the venv module" in done.stderr
    assert "    sudo apt-get install python3.11-venv\n" in done.stderr


def test_what_a_cluster_lacks_is_said_before_its_environment_is_made(clone: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    program(python, "case $* in *prerequisites*) echo 'missing: podman' >&2; exit 2;; esac; echo 3.11")
    done = shell(clone, "slurmrest_venv run cluster up --name x", tmp_path / "bin")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "missing: podman\n")
    assert not (clone / ".slurmrest").exists()


def test_the_venv_module_is_in_the_same_list(clone: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3", "case $* in *--packages*) echo podman curl; exit;; esac; echo 3.11; exit 3")
    program(tmp_path / "bin" / "apt-get", "echo must not run; exit 1")
    program(tmp_path / "bin" / "id", "echo 1000")
    done = shell(clone, "slurmrest_venv run cluster up", tmp_path / "bin")
    assert "    sudo apt-get install python3.11-venv podman curl\n" in done.stderr
    done = shell(clone, "slurmrest_venv run verify", tmp_path / "bin")
    assert "    sudo apt-get install python3.11-venv\n" in done.stderr


def test_root_installs_what_debian_ships_separately(clone: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    program(python, f"echo 3.11; test -e {tmp_path}/installed || exit 3")
    program(
        tmp_path / "bin" / "apt-get",
        f'echo "$@" >>{tmp_path}/apt; case $* in *install*) : >{tmp_path}/installed;; esac',
    )
    program(tmp_path / "bin" / "id", "echo 0")
    done = shell(clone, "_slurmrest_python", tmp_path / "bin")
    assert (done.returncode, done.stdout) == (0, f"{python} 3.11\n")
    assert "installing python3.11-venv with apt-get" in done.stderr
    assert (tmp_path / "apt").read_text(encoding="ascii") == "-qq update\n-qq -y install python3.11-venv\n"


def test_environment_that_is_ready_needs_no_python_on_path(clone: Path, tmp_path: Path) -> None:
    made = shell(clone, 'sha256sum <"$SLURMREST_ROOT/requirements/run.txt"').stdout[:12]
    python = clone / ".slurmrest" / f"venv-run-3.11-{made}" / "bin" / "python"
    program(python, "exit 0")
    (python.parents[1] / ".ready").write_text(f"{clone}\n", encoding="ascii")
    done = shell(clone, "slurmrest_venv run")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{python}\n", "")

    (python.parents[1] / ".ready").write_text(f"{tmp_path}/elsewhere\n", encoding="ascii")  # the clone was moved
    assert shell(clone, "slurmrest_venv run").returncode == 2


def test_stale_environments_go_unless_a_process_runs_from_them(clone: Path) -> None:
    base = clone / ".slurmrest"
    for name in ("venv-run-3.11-old", "venv-run-3.11-used", "venv-run-3.12-new", "venv-test-3.11-other"):
        (base / name).mkdir(parents=True)
    program(base / "venv-run-3.11-used" / "python", "read -r line")
    with subprocess.Popen([base / "venv-run-3.11-used" / "python"], stdin=subprocess.PIPE) as user:
        shell(clone, "_slurmrest_remove_stale run new")
        user.kill()
    assert sorted(path.name for path in base.iterdir()) == [
        "venv-run-3.11-used",
        "venv-run-3.12-new",
        "venv-test-3.11-other",
    ]
