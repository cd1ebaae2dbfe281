"""A program of one file, made of a module of this engine and of all that it imports from here, for a host to keep.

Ansible brings the engine to a host for as long as a task runs. What a timer runs later has to stay there: this makes a
zip file of it that ``python3 -I FILE`` runs, the same bytes for the same sources.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
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
    """The program whose ``main(argv) -> int`` is in module ``entry``, such as ``service_token.fetch``.

    Raises InputError where there is no such module, or none by the name that one of its modules imports.
    """
    sources: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path not in sources:
            sources[path] = _source(name)
            waiting += _imports(sources[path], name if path.endswith("/__init__.py") else _above(name))
            waiting += [_above(name)] if name else []
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _LONG_AGO), _MAIN.format(entry=entry))
        for path, text in sorted(sources.items()):
            archive.writestr(zipfile.ZipInfo(path, _LONG_AGO), text)
    return data.getvalue()


def interpreter(usual: str = PYTHON) -> str:
    """Path of the Python to run it with: this one, by the name that survives the host's next upgrade if it has one."""
    return usual if os.path.exists(usual) and os.path.samefile(usual, sys.executable) else sys.executable


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where a module of this engine comes from; "" is the engine itself, None what is no module."""
    with contextlib.suppress(ModuleNotFoundError):  # of the package that it would be in
        return importlib.util.find_spec(f"{__package__}.{name}" if name else str(__package__))
    return None


def _path(name: str) -> str:
    """Where a module is in the program."""
    spec = _spec(name)
    package = spec is not None and spec.submodule_search_locations is not None
    return "/".join(["slurmrest", *filter(None, name.split("."))]) + ("/__init__.py" if package else ".py")


def _source(name: str) -> str:
    """The text of a module, also from within the zip file in which Ansible brings it.

    Ansible's own loader, by which an action plugin imports the engine, has bytes for the text.
    """
    spec = _spec(name)
    loader = spec.loader if spec else None
    text = loader.get_source(spec.name) if spec and loader and hasattr(loader, "get_source") else None
    if text is None:
        raise InputError("entry", name, "a module of this engine")
    return importlib.util.decode_source(text) if isinstance(text, bytes) else str(text)


def _above(name: str, levels: int = 1) -> str:
    """The package that a module is in, or one further up."""
    return ".".join(name.split(".")[:-levels])


def _imports(source: str, package: str) -> list[str]:
    """The modules of this engine that a module in ``package`` imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = _above(f"{package}.", node.level) if package else ""
            module = ".".join(filter(None, (start, node.module)))
            below = [".".join(filter(None, (module, alias.name))) for alias in node.names]
            found += [module, *filter(_spec, below)]
    return found
