"""A program of one file, made of a module of this engine and of all that it imports from here, for a host to keep.

Ansible brings the engine to a host for as long as a task runs. What a timer runs later has to stay there: this makes a
zip file of it that ``python3 -I FILE`` runs, the same bytes for the same sources.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import sys
import zipfile

from .errors import InputError

PYTHON = "/usr/bin/python3"
_MAIN = "import sys\n\nfrom slurmrest.{entry} import main\n\nsys.exit(main(sys.argv[1:]))\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can name


def bundle(entry: str) -> bytes:
    """The program whose ``main(argv) -> int`` is in module ``entry``; InputError where there is no such module."""
    sources = {"": _source("")}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _source(name)
            waiting += _imports(sources[name])
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _LONG_AGO), _MAIN.format(entry=entry))
        for name, text in sorted(sources.items()):
            archive.writestr(zipfile.ZipInfo(f"slurmrest/{name or '__init__'}.py", _LONG_AGO), text)
    return data.getvalue()


def interpreter(usual: str = PYTHON) -> str:
    """Path of the Python to run it with: this one, by the name that survives the host's next upgrade if it has one."""
    return usual if os.path.exists(usual) and os.path.samefile(usual, sys.executable) else sys.executable


def _source(name: str) -> str:
    """The text of a module, also from within the zip file in which Ansible brings it."""
    full = f"{__package__}.{name}" if name else str(__package__)
    spec = importlib.util.find_spec(full)
    text = spec.loader.get_source(full) if spec and spec.loader and hasattr(spec.loader, "get_source") else None
    if text is None:
        raise InputError("entry", name, "a module of this engine")
    return str(text)


def _imports(source: str) -> list[str]:
    """The modules beside it that a module imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found += [node.module] if node.module else [alias.name for alias in node.names]
    return found
