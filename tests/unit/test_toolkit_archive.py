"""What `cache load` takes: archives made by hand, with our names and with others."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.images import archive, carry, warm
from slurmrest_toolkit.support.errors import CannotRunError

OURS = f"{archive.WARM}:trixie-0123456789ab-slurmctld.slurmdbd.slurmrestd.slurmd"
OTHER = f"{archive.WARM}:bookworm-0123456789ab-slurmd"
REFERENCE, FULL_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"


def manifest(*names: str) -> list[dict[str, Any]]:
    return [{"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]} for name in names]


def index(**notes: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": [{"digest": "sha256:0", "annotations": notes}]}


def packed(*members: tuple[str, Any]) -> bytes:
    """An archive as engines write it, its lists at the end."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (("l.tar", "layer"), ("c.json", {}), *members):
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture(name="file")
def an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(warm, "runtime_directory", lambda: tmp_path)
    return tmp_path / "cache"


class Loader:
    """An engine that notes what it is asked to load."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def tags(self, _repository: str) -> list[str]:
        return [OURS.rpartition(":")[2]] if self.calls else []

    def call(self, *arguments: str) -> str:
        self.calls.append(arguments)
        return ""

    @property
    def engine(self) -> Engine:
        return cast("Engine", self)


@pytest.mark.parametrize("program", [None, "gzip", "zstd"])
def test_what_cache_save_writes_is_loaded(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    data = packed(("manifest.json", manifest(OURS, OTHER)))
    if program == "gzip":
        data = gzip.compress(data)
    elif program == "zstd":  # one whose compression is the magic number
        data = b"\x28\xb5\x2f\xfd" + data
        (tmp_path / "zstd").write_text("#!/bin/sh\nexec tail -c +5\n", encoding="ascii")
        (tmp_path / "zstd").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    file.write_bytes(data)
    assert archive.names_in(file) == [OTHER, OURS]
    engine = Loader()
    assert carry.load(engine.engine, file) == [OTHER, OURS]
    ((verb, loaded),) = engine.calls
    assert verb == "load"
    assert loaded.endswith(f"/{file.name}")
    assert loaded != f"--input={file}", "a copy, which nobody else can change between the look and the loading"
    assert not Path(loaded.removeprefix("--input=")).exists()


def test_what_is_behind_an_archive_is_not_held_in_memory(file: Path) -> None:
    data = packed(("manifest.json", manifest(OURS)))
    file.write_bytes(gzip.compress(data) + gzip.compress(bytes(64 << 20), 1))
    tracemalloc.start()
    try:
        assert archive.names_in(file) == [OURS]
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_what_waits_where_an_archive_is_written_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory that others may write to a name that they can guess may be a link."""
    other, target = tmp_path / "other", tmp_path / "images"
    (tmp_path / f".{target.name}.{os.getpid()}").symlink_to(other)
    monkeypatch.setattr(carry, "find", lambda *_: True)
    monkeypatch.setattr(carry, "save_arguments", lambda _name: ["saved"])
    wanted = SimpleNamespace(names=[], prefix="")
    carry.save(Engine("podman", prefix=("echo",)), wanted, target)  # type: ignore[arg-type]
    assert target.stat().st_size > 0
    assert not other.exists()


@pytest.mark.parametrize(
    "members",
    [
        [
            ("manifest.json", manifest(OURS, OTHER)),
            ("index.json", index(**{FULL_NAME: OURS, REFERENCE: OURS.split(":")[1]})),
        ],
        [("manifest.json", manifest(OURS)), ("repositories", {archive.WARM: {OURS.split(":")[1]: "0"}})],
    ],
)
def test_the_lists_of_each_engine_are_read(file: Path, members: list[tuple[str, Any]]) -> None:
    file.write_bytes(packed(*members))
    assert OURS in archive.names_in(file)


@pytest.mark.parametrize(
    "name",
    [
        "registry.example/library/debian:12",
        "localhost/slurmrest-base:trixie-0123456789ab",
        f"{archive.WARM}:latest",
        f"{OURS}\n",
        f"evil/{OURS}",
        f"{archive.WARM}:trixie-0123456789ab-slurmctld.munge",
        f"{archive.WARM}:image-0123456789ab-slurmd",
        "",
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        lambda name: [("manifest.json", manifest(OURS, name))],
        lambda name: [("manifest.json", manifest(OURS)), ("index.json", index(**{FULL_NAME: name, REFERENCE: name}))],
        lambda name: [("index.json", index(**{FULL_NAME: OURS, REFERENCE: name or "x"}))],
        lambda name: [("repositories", {name.rpartition(":")[0]: {name.rpartition(":")[2]: "0"}})],
    ],
    ids=["manifest", "index", "reference", "repositories"],
)
def test_other_names_are_refused_before_anything_is_loaded(file: Path, name: str, where: Any) -> None:
    file.write_bytes(packed(*where(name)))
    engine = Loader()
    with pytest.raises(CannotRunError, match=r"(?s)not of this command.*Nothing was loaded\..*trusted like code"):
        carry.load(engine.engine, file)
    assert engine.calls == []


def test_an_image_without_a_name_is_refused(file: Path) -> None:
    file.write_bytes(packed(("manifest.json", [*manifest(OURS), {"RepoTags": None}])))
    with pytest.raises(CannotRunError, match="''"):
        archive.names_in(file)


@pytest.mark.parametrize("second", ["manifest.json", "./manifest.json", "/manifest.json", "x/../manifest.json"])
def test_two_lists_of_one_name_are_refused(file: Path, second: str) -> None:
    file.write_bytes(packed(("manifest.json", manifest(OURS)), (second, manifest("debian:12"))))
    with pytest.raises(CannotRunError, match=r"two members called 'manifest\.json'"):
        archive.names_in(file)


@pytest.mark.parametrize(
    "entry",
    [f'{{"repotags": ["{OURS}"]}}', f'{{"RepoTags": ["{OURS}"], "RepoTags": ["{OURS}"]}}'],
)
def test_keys_that_readers_understand_in_two_ways_are_refused(file: Path, entry: str) -> None:
    file.write_bytes(packed(("manifest.json", f"[{entry}]")))
    with pytest.raises(CannotRunError, match="no list of images"):
        archive.names_in(file)


def test_headers_for_all_members_are_refused(file: Path) -> None:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "for all"}) as tar:
        content = json.dumps(manifest(OURS)).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    with pytest.raises(CannotRunError, match="headers for all its members"):
        archive.names_in(file)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no whole archive"),
        (b"no archive at all" * 100, "no whole archive"),
        (packed(("manifest.json", manifest(OURS)))[:700], "no whole archive"),
        (gzip.compress(packed(("manifest.json", manifest(OURS))))[:-12], "no whole archive"),
        (packed(), "names no images"),
        (packed(("manifest.json", "no json")), "no list of images"),
        (packed(("manifest.json", "[" + " " * archive.LIST_BYTES + "]")), "no list of images"),
        (packed(("manifest.json", {"RepoTags": []})), "list of images that is none"),
        (packed(("manifest.json", [{}])), "list of images that is none"),
        (packed(("manifest.json", manifest(OURS)), ("index.json", [])), "list of images that is none"),
    ],
)
def test_what_is_no_archive_of_images_is_refused(file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    with pytest.raises(CannotRunError, match=words):
        archive.names_in(file)


def test_a_list_that_is_a_link_is_refused(file: Path) -> None:
    with tarfile.open(file, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.type, member.linkname = tarfile.SYMTYPE, "c.json"
        tar.addfile(member)
    with pytest.raises(CannotRunError, match="no list of images"):
        archive.names_in(file)


def test_a_missing_file_and_a_missing_program_are_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRunError, match="There is no file"):
        archive.names_in(file)
    file.write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotRunError, match="Install zstd"):
        archive.names_in(file)
