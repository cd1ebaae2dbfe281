"""Ansible's own rules for collections: what of ``ansible-test sanity`` needs no environment of its own.

The rest of it fetches its environments from a place of its own; of that, ``validate-modules`` runs here with ours.
Known exceptions stand in tests/sanity/ignore-*.txt, as ansible-test reads them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = Path("ansible_collections", "slurmrest", "toolkit")
TESTS = (
    *("action-plugin-docs", "compile", "empty-init", "ignores", "line-endings", "no-assert", "no-get-exception"),
    *("no-illegal-filenames", "no-smart-quotes", "replace-urlopen", "shebang", "symlinks", "use-argspec-type-path"),
    "use-compat-six",
)
MODULE_RULES = Path(str(distribution("ansible-core").locate_file("ansible_test/_util/controller/sanity")))


def copied(to: Path) -> Path:
    """Copy what git knows of this tree to where ansible-test takes it for a collection, and return that place."""
    place = to / COLLECTION
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        if os.path.lexists(ROOT / name):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name, follow_symlinks=False)
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=place, check=True)
    return place


def run_tests(place: Path) -> int:
    """Run the tests of ansible-test that need nothing; returns its exit code."""
    chosen = [f"--test={name}" for name in TESTS]
    python = "{}.{}".format(*sys.version_info[:2])
    argv = [str(Path(sys.executable).with_name("ansible-test")), "sanity", *chosen, f"--python={python}", "--color=no"]
    return subprocess.run(argv, cwd=place, check=False).returncode


def judge_modules(place: Path, ignored: frozenset[tuple[str, str]]) -> int:
    """Compare the modules' documentation with their arguments; returns how many faults were printed.

    Args:
        place: the collection.
        ignored: paths and codes that are known.
    """
    modules = sorted(str(path.relative_to(place)) for path in place.glob("plugins/modules/*.py"))
    program = str(MODULE_RULES / "validate-modules" / "validate.py")
    argv = [sys.executable, program, "--format=json", "--arg-spec", "--collection", str(COLLECTION), *modules]
    environment = {
        **os.environ,
        "PYTHONPATH": str(MODULE_RULES),
        "ANSIBLE_COLLECTIONS_PATH": str(place.parents[len(COLLECTION.parts) - 1]),
    }
    done = subprocess.run(argv, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 3}:
        print(done.stderr)
        return 1
    told = json.loads(done.stdout)
    faults = [(name, fault) for name, found in told.items() for fault in found["errors"]]
    new = [(name, fault) for name, fault in faults if (name, f"validate-modules:{fault['code']}") not in ignored]
    for name, fault in new:
        print(f"{name}:{fault['line']}: {fault['code']}: {fault['msg']}")
    return len(new)


def known(place: Path) -> frozenset[tuple[str, str]]:
    """Read the exceptions for the version of ansible-core that is here."""
    series = ".".join(version("ansible-core").split(".")[:2])
    lines = (place / "tests" / "sanity" / f"ignore-{series}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset((words[0], words[1]) for words in (line.split() for line in lines) if words)


def main() -> int:
    """Run everything; returns 1 where something is wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        place = copied(Path(temporary))
        return int(bool(run_tests(place)) | bool(judge_modules(place, known(place))))


if __name__ == "__main__":
    raise SystemExit(main())
