"""Keep every command line, environment and temporary file that shows up for a moment, until a stop file appears.

A program of its own, standard library only: it runs on the nodes, once for each user whose processes it shall see, and
beside the playbook. What it keeps is searched afterwards, since a key that is made during the run is not known before.

    python3 sampler.py OUTPUT STOP FOLDER…
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from pathlib import Path

PAUSE_SECONDS = 0.03
MOST_BYTES = 1 << 20


def take(path: str) -> bytes:
    """The beginning of a file, or nothing where that cannot be had."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - thousands of times a second
            return stream.read(MOST_BYTES)
    except OSError:
        return b""


def files(folder: str) -> list[str]:
    """The regular files below a folder."""
    found = []
    for directory, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            with contextlib.suppress(OSError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    found.append(path)
    return found


def main(output: str, stop: str, folders: list[str]) -> None:
    """Sample; each new content is written once, under the name it was first seen by."""
    seen: set[int] = set()
    own = str(os.getpid())
    with Path(output).open("wb") as kept:
        while not Path(stop).exists():
            names = [name for name in os.listdir("/proc") if name.isdigit() and name != own]  # noqa: PTH208
            paths = [f"/proc/{name}/{what}" for name in names for what in ("cmdline", "environ")]
            for folder in folders:
                paths += files(folder)
            for path in paths:
                content = take(path)
                mark = hash(content)
                if content and mark not in seen:
                    seen.add(mark)
                    kept.write(b"\n=== " + path.encode() + b"\n" + content)
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
