#!/usr/bin/env python3
"""Make slurmrest.pyz: verify, token, submit, job, and doctor for the host it runs on, in one file to copy.

It needs Python 3.9 or later and nothing else. The same tree makes the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "plugins" / "module_utils")]

from slurmrest_toolkit.command import version  # noqa: E402  # found only through the path set above

if TYPE_CHECKING:
    from collections.abc import Iterator

SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("slurmrest needs Python 3.9 or later; this is %d.%d." % sys.version_info[:2])

from slurmrest_toolkit.command.main import main

sys.exit(main(sys.argv[1:]))
"""
"""Words that older Pythons can read, too: they are what hosts have."""

ENGINE = ROOT / "plugins" / "module_utils"
FACE = ("__init__.py", "api.py", "collection.py", "command/*.py", "support/__init__.py", "support/errors.py")
"""What of src/slurmrest_toolkit takes the standard library alone."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)


def contents() -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the files in it."""
    yield "__main__.py", MAIN
    for file in sorted((ENGINE / "slurmrest").rglob("*.py")):
        yield str(file.relative_to(ENGINE)), file.read_text(encoding="utf-8")
    face = ROOT / "src" / "slurmrest_toolkit"
    for file in sorted(path for pattern in FACE for path in face.glob(pattern)):
        yield str(file.relative_to(face.parent)), file.read_text(encoding="utf-8")
    constants = f"VERSION = {version.version()!r}\nCOMMIT = {version.commit()!r}\n"
    yield f"{version.BUILT.replace('.', '/')}.py", constants


def build(target: Path) -> None:
    """Write the file; it can be run as it is."""
    with target.open("wb") as stream:
        stream.write(SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in contents():
                member = zipfile.ZipInfo(name, LONG_AGO)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o100644 << 16
                archive.writestr(member, text)
    target.chmod(0o755)


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "slurmrest.pyz", help="(default: %(default)s)")
    target = parser.parse_args().output
    target.parent.mkdir(parents=True, exist_ok=True)
    build(target)
    print(f"{target}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
