"""What an archive of images would load, read before an engine reads it: names that are not ours are refused."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import shutil
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING, Any

from slurmrest_toolkit.clusters.state import GATEWAY
from slurmrest_toolkit.images.suites import SUITES
from slurmrest_toolkit.nodes.inventory import GROUPS
from slurmrest_toolkit.support.errors import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WARM = "localhost/slurmrest-warm"
"""Repository of the warm images; a tag is the suite, the key of the recipe and the roles of the node."""

_ROLE = f"(?:{'|'.join((*GROUPS, GATEWAY))})"
_OURS = re.compile(rf"{re.escape(WARM)}:(?P<tag>(?:{'|'.join(SUITES.values())})-[0-9a-f]{{12}}-{_ROLE}(?:\.{_ROLE})*)")

LISTS = ("manifest.json", "index.json", "repositories")
"""Members that name images: Docker's list, that of an OCI layout, and Docker's list of old."""

_KEYS = {key.casefold(): key for key in ("RepoTags", "manifests", "annotations")}

LIST_BYTES = 2**20
"""A longer list is none of ours, which names a few images."""

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
TRUST = "Such a file is trusted like code: it becomes what your clusters run. Load only what your own cache save wrote."


def names_in(copy: Path, called: Path | None = None) -> list[str]:
    """Return the names that an engine would give to the images of an archive; nothing is loaded.

    Args:
        copy: what ``cache save`` wrote: the engine's tar archive, compressed with gzip or zstd or not at all. Nobody
            else may change it between this look and its loading.
        called: how messages call it, where it is a copy.

    Raises:
        CannotRunError: it is not such an archive, names an image that ``cache save`` does not write, or two programs
            could read it in two ways.
    """
    source = called or copy
    if not copy.is_file():
        raise CannotRunError(f"There is no file {source}.")
    try:
        with uncompressed(copy) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=2**20) as archive:
            lists = read_lists(source, archive)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise CannotRunError(f"{source} is no whole archive of images: {error}", TRUST) from error
    try:
        found = [*names_in_manifest(lists.get("manifest.json", [])), *names_in_index(lists.get("index.json", {}))]
        found += [f"{name}:{tag}" for name, tags in lists.get("repositories", {}).items() for tag in tags]
    except (AttributeError, KeyError, TypeError) as error:
        raise CannotRunError(f"{source} has a list of images that is none.", TRUST) from error
    strange = sorted({name for name in found if not _OURS.fullmatch(name)})
    if strange:
        shown = ", ".join(repr(name) for name in strange[:4])
        raise CannotRunError(
            f"{source} holds images that are not of this command: {shown} (allowed: {WARM}:SUITE-HASH-ROLES). "
            "Nothing was loaded.",
            TRUST,
        )
    if not found:
        raise CannotRunError(f"{source} names no images.", TRUST)
    return sorted(set(found))


def names_in_manifest(entries: Any) -> list[str]:
    """Return the names in ``manifest.json``; an image without a name counts as one with an empty name."""
    return [name for entry in entries for name in entry["RepoTags"] or [""]]


def names_in_index(index: Any) -> list[str]:
    """Return the names in ``index.json``: that for containerd, and the one of OCI layouts, a tag or a whole name."""
    found = []
    for entry in index.get("manifests", []):
        notes = entry.get("annotations") or {}
        name, reference = (
            notes.get(key, "") for key in ("io.containerd.image.name", "org.opencontainers.image.ref.name")
        )
        ours = _OURS.fullmatch(name)
        found += [name] if ours and reference in {"", name, ours["tag"]} else [name, reference]
    return found


def read_lists(source: Path, archive: tarfile.TarFile) -> dict[str, Any]:
    """Return the members that name images. A member that is there twice is refused: readers differ in which counts."""
    lists: dict[str, Any] = {}
    seen = set()
    for member in archive:
        name = posixpath.normpath(member.name).lstrip("/")
        if name in seen:
            raise CannotRunError(f"{source} has two members called {name!r}. Nothing was loaded.", TRUST)
        seen.add(name)
        if name in LISTS:
            content = archive.extractfile(member) if member.isreg() and member.size <= LIST_BYTES else None
            try:
                text = (content.read() if content else b"").decode("utf-8")
                lists[name] = json.loads(text, object_pairs_hook=_alike_to_all)
            except ValueError as error:
                raise CannotRunError(f"{source} has a {name} that is no list of images.", TRUST) from error
    if archive.pax_headers:
        raise CannotRunError(f"{source} has headers for all its members. Nothing was loaded.", TRUST)
    return lists


def _alike_to_all(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys all readers understand alike. Raises ValueError.

    The engines are written in Go, which takes a key of a list in any case, and of two the later one.
    """
    folded = [key.casefold() for key, _ in pairs]
    if len(set(folded)) < len(folded) or any(key not in _KEYS.values() for key, _ in pairs if key.casefold() in _KEYS):
        raise ValueError("a key is there twice, or in another spelling")
    return dict(pairs)


@contextlib.contextmanager
def uncompressed(source: Path) -> Iterator[IO[bytes]]:
    """Open an archive for reading from its beginning to its end, through the program that it was compressed with."""
    with source.open("rb", buffering=0) as file:
        head = file.read(4)
        file.seek(0)
        program = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        if program is None:
            yield file
            return
        if shutil.which(program) is None:
            raise CannotRunError(
                f"{source} is compressed with {program}, which is not on this host.", f"Install {program}."
            )
        with subprocess.Popen(
            [program, "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            yield process.stdout
            while process.stdout.read(2**20):  # what is behind the end of the archive, however much that is
                pass
        if process.returncode:
            raise EOFError(f"{program} ends with {process.returncode}")
