"""What is on a host is written, removed and given away in one place, which follows nobody's links.

That is host/files.py, with host/places.py, by which it gets there.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.meta.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOMES = tuple(f"plugins/module_utils/slurmrest/host/{name}.py" for name in ("files", "places"))
OF_OS = {
    "open", "remove", "unlink", "rename", "replace", "chmod", "chown", "lchown", "fchmod", "fchown", "mkdir",
    "makedirs", "rmdir", "removedirs", "symlink", "link", "mknod", "mkfifo", "truncate", "ftruncate", "utime",
    "setxattr", "removexattr",
}  # fmt: skip
OF_A_PATH = {"open", "unlink", "mkdir", "rmdir", "chmod", "touch", "symlink_to", "hardlink_to", "write_text",
             "write_bytes", "read_text", "read_bytes"}  # fmt: skip

OURS = {"os", "files", "processes"}

ALLOWED = {
    (
        "command/token_options.py",
        "open",
    ): "a file that a user names for itself on the command line, which may be <(a command)",
    ("host/reading.py", "open"): "files of the site, opened without waiting, for looking only",
    ("users/command.py", "open"): "a script that a user names, likewise, and /dev/null",
    ("verify/jobs.py", "open"): "what a job of the caller left, without links, without waiting",
    ("verify/jobs.py", "unlink"): "the same file, as its owner",
    ("systemd/confinement.py", "open"): "a directory of /sys",
    ("merge/host.py", "symlink"): "in a directory made for this run alone",
    ("merge/host.py", "TemporaryDirectory"): "that directory, below /run where there is one",
    ("host/ports.py", "open"): "proc(5), all of it",
    ("rotation/host.py", "open"): "/proc, and whether an account may read the key, asked as that account",
    ("packages/manager.py", "open"): "dpkg's own lock",
    ("packages/manager.py", "TemporaryDirectory"): "an index of apt for this run alone",
    ("packages/manager.py", "chmod"): "that directory, which apt's own account enters",
    ("rotation/acceptance.py", "open"): "/dev/null",
    (
        "gateway/counters.py",
        "open",
    ): "a log that nginx writes meanwhile, for reading only, by an account that owns none",
    ("action/slurmrestd_verify.py", "mkdir"): "on the controller, as its user",
    ("action/slurmrestd_verify.py", "read_text"): "on the controller, as its user",
    ("plugin_utils/client.py", "read_text"): "on the controller, as its user",
    ("action/shared_key.py", "read_bytes"): "on the controller, as its user",
}
"""Everything else, each with its reason; keys are the file and what is called."""


def sources() -> Iterator[tuple[str, Path]]:
    """All Python that runs on hosts or in actions, by a short name."""
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name not in HOMES:
            yield name.removeprefix("plugins/").removeprefix("module_utils/slurmrest/"), path


def calls(tree: ast.AST) -> Iterator[str]:
    """The names of what opens, writes, removes or gives away."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            yield "open"
        elif isinstance(function, ast.Attribute):
            base = function.value.id if isinstance(function.value, ast.Name) else ""
            of_os = base == "os" and function.attr in OF_OS
            of_a_module = base == "tempfile" or (base == "shutil" and function.attr != "which")
            of_a_path = base not in OURS and function.attr in OF_A_PATH
            if of_os or of_a_module or of_a_path:
                yield function.attr


def test_files_are_written_and_read_in_one_place() -> None:
    found = {(name, call) for name, path in sources() for call in calls(ast.parse(path.read_text()))}
    assert found == set(ALLOWED)
