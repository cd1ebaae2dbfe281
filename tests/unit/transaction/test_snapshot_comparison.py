"""What was seen of a host: a transaction that has nothing to do is known by it, and one that has is not."""

from __future__ import annotations

import grp
import json
import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slurmrest.transaction.comparison import Wanted
from slurmrest.transaction.snapshot import sight
from slurmrest.transaction.snapshot_comparison import NotSeen, Seen
from slurmrest.transaction.specs import DirectorySpec, FileSpec, ServiceSpec

ME = pwd.getpwuid(os.geteuid()).pw_name
MINE = grp.getgrgid(os.getegid()).gr_name
RUNNING = {"active": "active", "unit_file_state": "enabled", "needs_reload": False}


@pytest.fixture
def host(tmp_path: Path) -> dict[str, Any]:
    """A host with a slurm.conf, a drop-in and a slurmrestd that runs: its facts, and what shall be there."""
    conf = tmp_path / "slurm" / "slurm.conf"
    conf.parent.mkdir(mode=0o755)
    conf.write_text("ClusterName=one\n")
    dropin = tmp_path / "50-slurmrest.conf"
    dropin.write_text("[Service]\n")
    for path in (conf, dropin):
        path.chmod(0o644)
    return {
        "facts": {
            "config_dir": str(conf.parent),
            "written": [str(dropin), str(tmp_path / "none")],
            "units": {"slurmrestd": RUNNING, "slurmctld": RUNNING},
        },
        "state": str(tmp_path / "state"),
        "conf": conf,
        "wanted": {
            "name": "slurmrestd_service",
            "files": [
                FileSpec(str(conf), b"ClusterName=one\n", owner=ME, group=MINE),
                FileSpec(str(dropin), b"[Service]\n", owner=ME, group=MINE),
                FileSpec(str(tmp_path / "none"), state="absent"),
            ],
            "directories": [DirectorySpec(str(conf.parent), ME, MINE)],
            "services": [ServiceSpec("slurmrestd@one", enabled=True), ServiceSpec("slurmctld", state="if_running")],
        },
    }


def settled(host: dict[str, Any], **other: Any) -> bool:
    """Whether nothing is to be done, by what is seen now; NotSeen. It travels as JSON."""
    seen = json.loads(json.dumps(sight(host["facts"], "slurmrestd@one", host["state"])))
    return Seen(**{**host["wanted"], **other}, sight=seen).settled()


def test_all_is_as_it_shall_be(host: dict[str, Any]) -> None:
    assert settled(host)


def test_a_file_that_differs_is_to_be_written(host: dict[str, Any]) -> None:
    files = host["wanted"]["files"]
    for other in (
        replace(files[0], content=b"ClusterName=two\n"),
        replace(files[0], content=b""),
        replace(files[0], mode=0o600),
        replace(files[0], owner="nobody"),
        replace(files[0], group="nogroup"),
        FileSpec(files[0].path, state="absent"),
        FileSpec(files[2].path, b"text", owner=ME, group=MINE),
    ):
        assert not settled(host, files=[other])
    assert settled(host, files=files[:1])


def test_a_directory_that_differs_is_to_be_made(host: dict[str, Any]) -> None:
    (directory,) = host["wanted"]["directories"]
    assert not settled(host, directories=[replace(directory, mode=0o700)])
    assert not settled(host, directories=[replace(directory, owner="nobody")])


@pytest.mark.parametrize(
    ("field", "value"), [("active", "failed"), ("unit_file_state", "disabled"), ("needs_reload", True)]
)
def test_a_unit_that_is_not_right_is_to_be_mended(host: dict[str, Any], field: str, value: object) -> None:
    host["facts"]["units"]["slurmrestd"] = {**RUNNING, field: value}
    assert not settled(host)


def test_a_service_that_is_to_be_restarted_is(host: dict[str, Any]) -> None:
    assert not settled(host, services=[ServiceSpec("slurmrestd@one", state="restarted")])


def test_a_killed_run_is_not_forgotten(host: dict[str, Any], tmp_path: Path) -> None:
    """Its journal is found as the transaction itself looks for it."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "origin.json").touch()
    assert settled(host)
    Path(Wanted("slurmrestd_service", state_dir=host["state"]).journal).touch()
    assert not settled(host)
    assert settled(host, name="another")


def test_what_was_not_seen_is_asked_for(host: dict[str, Any], tmp_path: Path) -> None:
    for other in (
        {"files": [FileSpec(str(tmp_path / "other"), state="absent")]},
        {"directories": [DirectorySpec(str(tmp_path), ME, MINE)]},
        {"services": [ServiceSpec("slurmd", state="if_running")]},
    ):
        with pytest.raises(NotSeen):
            settled(host, **other)


def test_a_file_that_cannot_be_read_safely_was_not_seen(host: dict[str, Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "none")
    assert str(tmp_path / "none") not in sight(host["facts"], "slurmrestd", host["state"])["files"]
    with pytest.raises(NotSeen):
        settled(host)


def test_no_digest_stands_for_a_secret(host: dict[str, Any]) -> None:
    """It would be kept with the results of a run, and whoever has those could try passwords by it."""
    text = b"StoragePass=hunter2\n"
    host["conf"].write_bytes(text)
    seen = sight(host["facts"], "slurmrestd", host["state"])["files"][str(host["conf"])]
    assert seen["digest"] == ""
    with pytest.raises(NotSeen):
        settled(host, files=[FileSpec(str(host["conf"]), text, owner=ME, group=MINE)])
