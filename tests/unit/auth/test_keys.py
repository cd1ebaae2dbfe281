"""Rules for key files, on real files with invented owners."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from slurmrest.auth.key_files import inspect
from slurmrest.auth.keys import generate, key_file_problems, refusals
from slurmrest.errors import InputError
from slurmrest.host.access import may

SLURM = {"name": "slurm", "uid": 64030, "gid": 64030}
ROOT = {"name": "root", "uid": 0, "gid": 0}


def key(uid: int = 64030, gid: int = 64030, mode: int = 0o600, size: int = 32, **changes: Any) -> dict[str, Any]:
    top = {"uid": 0, "gid": 0, "mode": 0o755}
    return {
        "path": "/var/lib/slurm/jwt.key",
        "real_path": "/var/lib/slurm/jwt.key",
        "exists": True,
        "regular": True,
        "uid": uid,
        "gid": gid,
        "mode": mode,
        "size": size,
        "directories": [
            {"path": "/var/lib/slurm", "uid": 64030, "gid": 64030, "mode": 0o755},
            *({"path": path, **top} for path in ("/var/lib", "/var", "/")),
        ],
        **changes,
    }


def with_directory(number: int, **changes: Any) -> dict[str, Any]:
    facts = key()
    facts["directories"][number].update(changes)
    return facts


@pytest.mark.parametrize(
    "facts",
    [
        key(mode=0o400),
        key(mode=0o600),
        key(mode=0o640),
        key(uid=0, mode=0o440),
        key(uid=0, mode=0o640),
        key(size=4096),
        key(exists=False),
        with_directory(0, mode=0o700),
        with_directory(0, mode=0o770),
        with_directory(1, mode=0o1777),
        with_directory(1, mode=0o775),
    ],
)
def test_safe_keys(facts: dict[str, Any]) -> None:
    assert refusals(facts, SLURM) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (key(size=31), "has 31 bytes, and 32 are needed"),
        (key(size=0), "has 0 bytes"),
        (key(mode=0o644), "mode 0644: everyone"),
        (key(mode=0o601), "mode 0601: everyone"),
        (key(mode=0o660), "mode 0660: its group may do more"),
        (key(gid=100, mode=0o640), "group 100 may read it"),
        (key(uid=1000, mode=0o640), "belongs to uid 1000"),
        (key(uid=0, gid=0, mode=0o400), "cannot be read by slurm, as whom"),
        (key(uid=0, mode=0o600), "cannot be read by slurm, as whom"),
        (key(regular=False), "no regular file"),
        (with_directory(0, mode=0o777), "/var/lib/slurm has mode 0777: everyone"),
        (with_directory(0, mode=0o1777), "/var/lib/slurm has mode 1777: everyone"),
        (with_directory(1, mode=0o777), "/var/lib has mode 0777: everyone"),
        (with_directory(1, mode=0o775, gid=100), "/var/lib has mode 0775: group 100"),
        (with_directory(2, uid=1000), "/var belongs to uid 1000"),
        (with_directory(0, uid=0, gid=0, mode=0o700), "/var/lib/slurm cannot be entered by slurm"),
    ],
)
def test_unsafe_keys(facts: dict[str, Any], reason: str) -> None:
    found = refusals(facts, SLURM)
    assert len(found) == 1
    assert reason in found[0]


def test_a_key_that_does_not_exist_is_judged_by_its_directories() -> None:
    facts = with_directory(0, mode=0o777)
    facts["exists"] = False
    assert len(refusals(facts, SLURM)) == 1


def test_slurm_user_root_reads_everything() -> None:
    directories = [{"path": "/etc/slurm", "uid": 0, "gid": 0, "mode": 0o700}]
    facts = key(uid=0, gid=0, mode=0o400, real_path="/etc/slurm/jwt.key", directories=directories)
    assert refusals(facts, ROOT) == []


def test_inspect_tells_all_but_the_content(tmp_path: Path) -> None:
    real = tmp_path / "real.key"
    real.write_bytes(b"S" * 40)
    real.chmod(0o640)
    link = tmp_path / "jwt.key"
    link.symlink_to(real)
    facts = inspect(str(link))
    assert facts["real_path"] == str(real.resolve())
    assert (facts["size"], facts["mode"], facts["regular"], facts["uid"]) == (40, 0o640, True, os.getuid())
    assert [item["path"] for item in facts["directories"]] == [str(path) for path in real.resolve().parents]
    assert "SSSS" not in repr(facts)


def test_a_key_on_this_host_is_judged_for_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "jwt.key"
    path.write_bytes(b"S" * 8)
    path.chmod(0o644)
    reader = pwd.getpwuid(os.getuid()).pw_name
    found = key_file_problems(str(path), reader)
    assert f"{path.resolve()} has 8 bytes, and 32 are needed" in found
    assert f"{path.resolve()} has mode 0644: everyone on the host may use it" in found
    assert key_file_problems(str(path), "no-such-account") == [
        f"there is no account no-such-account that could read {path}"
    ]


def test_who_may() -> None:
    facts = {"uid": 1, "gid": 2, "mode": 0o640}
    assert may(facts, {"uid": 1, "gid": 9}, 6)
    assert not may(facts, {"uid": 1, "gid": 9}, 1)
    assert may(facts, {"uid": 5, "gid": 2}, 4)
    assert may(facts, {"uid": 5, "gid": 9, "gids": [2]}, 4)
    assert not may(facts, {"uid": 5, "gid": 2}, 6)
    assert not may(facts, {"uid": None, "gid": None}, 4)
    assert may({**facts, "mode": 0}, {"uid": 0, "gid": 0}, 7)


def test_inspect_of_a_place_that_is_not_there(tmp_path: Path) -> None:
    facts = inspect(str(tmp_path / "no" / "such" / "jwt.key"))
    assert facts["exists"] is False
    assert facts["directories"][0]["path"] == str(tmp_path.resolve())


def test_new_keys_are_long_and_never_the_same() -> None:
    assert len(generate()) == 32
    assert len(generate(64)) == 64
    assert generate() != generate()
    for size in (0, 31, 65537):
        with pytest.raises(InputError, match="32 to 65536 bytes"):
            generate(size)
