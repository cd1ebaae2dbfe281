"""Print the milliseconds of processor time that each module's imports take here; see modules.py."""

from __future__ import annotations

import base64
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def spent(program: str) -> float:
    """Return the milliseconds that a Python works for a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Read what to import from standard input, and print what it took."""
    times, checkouts = json.load(sys.stdin)
    nothing = statistics.median(spent("") for _ in range(times))
    answer = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "module.zip")
        for modules in checkouts:
            found = {}
            for name, module in modules.items():
                path.write_bytes(base64.b64decode(module["archive"]))
                wanted = "".join(f"import {imported}\n" for imported in module["names"])
                program = f"import sys; sys.path.insert(0, {str(path)!r})\n{wanted}"
                found[name] = round(statistics.median(spent(program) for _ in range(times)) - nothing, 1)
            answer.append(found)
    json.dump(answer, sys.stdout)


main()
