"""Keep and restore files of a node; piped into its Python: ``python3 - keep|restore PATTERN…``.

Only what differs is written, so that an untouched key keeps its inode, which the daemons have mapped into memory.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from base64 import b64decode, b64encode
from pathlib import Path

PLACE = Path("/var/lib/slurmrest-snapshot.json")


def look(path: Path) -> dict[str, object]:
    """Describe a file, link or directory."""
    status = path.lstat()
    entry: dict[str, object] = {"mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}
    if path.is_symlink():
        return {**entry, "link": str(path.readlink())}
    return {**entry, "data": b64encode(path.read_bytes()).decode()} if path.is_file() else entry


def below(patterns: list[str]) -> dict[str, dict[str, object]]:
    """Describe everything that the patterns match, directories with all they hold."""
    tops = [path for pattern in patterns for path in sorted(Path("/").glob(pattern.lstrip("/")))]
    inner = [path for top in tops if top.is_dir() and not top.is_symlink() for path in sorted(top.rglob("*"))]
    return {str(path): look(path) for path in [*tops, *inner] if path.is_symlink() or path.is_file() or path.is_dir()}


def put(path: Path, entry: dict[str, object]) -> None:
    """Make a path what it was."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    if "link" in entry:
        path.symlink_to(str(entry["link"]))
        os.lchown(path, int(str(entry["uid"])), int(str(entry["gid"])))
        return
    if "data" in entry:
        path.write_bytes(b64decode(str(entry["data"])))
    else:
        path.mkdir(exist_ok=True, parents=True)
    os.chown(path, int(str(entry["uid"])), int(str(entry["gid"])))
    path.chmod(int(str(entry["mode"])))


def main(action: str, patterns: list[str]) -> None:
    """Keep, or restore what has changed since."""
    if action == "keep":
        PLACE.write_text(json.dumps(below(patterns)))
        return
    kept, now = json.loads(PLACE.read_text()), below(patterns)
    for name in sorted(set(now) - set(kept), reverse=True):
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in sorted(kept):
        if now.get(name) != kept[name]:
            put(Path(name), kept[name])


main(sys.argv[1], sys.argv[2:])
