"""Files of plugins: not where they are looked for, not to be read, or of no release."""

from __future__ import annotations

import _ctypes
import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from slurmrest.doctor import plugin_files
from slurmrest.doctor.closed import closed

from tests.unit.doctor.test_doctor import ended, evidence, ids, judge
from tests.unit.doctor.test_rules_confinement import broken

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")
USUAL = "/usr/lib/x86_64-linux-gnu/slurm-wlm"
GONE = "fatal: Unable to find plugin: rest_auth/jwt"
CRASH = ("error: load_plugins: unable to find plugin: serializer/json", "status=11/SEGV")
JWT = (
    f"error: plugin_load_from_file: dlopen({USUAL}/auth_jwt.so): cannot open shared object file: Permission denied",
    "error: Couldn't load specified plugin name for auth/jwt: Dlopen of plugin file failed",
    "error: cannot create auth context for auth/jwt",
    "fatal: failed to initialize auth plugin",
)
SHUT = [{"path": f"{USUAL}/auth_jwt.so", "owner": "root:root", "mode": "0600", "missing": "r"}]


def lacking(*words: str, **files: Any) -> dict[str, Any]:
    data = broken()
    host = data["hosts"]["node1"]
    seen = {"directories": [USUAL], "gone": [], "elsewhere": [], "closed": {}, **files}
    host["plugin_files"] = {"slurmrestd": seen, "slurmctld": seen}
    host["journal"]["slurmrestd"] = [{"age": 1.0, "run": 0, "text": text} for text in words]
    return data


def state_plugin_dir(data: dict[str, Any]) -> None:
    origin = "/etc/slurm/slurm.conf:40"
    entry = {"key": "plugindir", "name": "PluginDir", "value": "/opt/p", "line": "PluginDir=/opt/p", "origin": origin}
    data["hosts"]["node1"]["confs"]["slurm_conf"]["entries"].append(entry)


@pytest.mark.parametrize("name", ["rest_auth_jwt", "serializer_json"])
def test_a_file_that_plugin_dir_leaves_out(name: str) -> None:
    words = (GONE,) if name == "rest_auth_jwt" else CRASH
    data = lacking(*words, directories=["/opt/p"], gone=[name], elsewhere=["gres_gpu", name])
    host = data["hosts"]["node1"]
    host["facts"]["plugins"]["rest_auth_jwt"] = name != "rest_auth_jwt"
    state_plugin_dir(data)
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-missing"
    assert finding.evidence[:2] == ["/etc/slurm/slurm.conf:40: PluginDir=/opt/p", f"/opt/p/{name}.so does not exist"]
    assert finding.evidence[2].endswith(words[0])
    assert "'40d' /etc/slurm/slurm.conf" in finding.remedy.replace(" 40d ", " '40d' ")
    assert "gres_gpu" not in finding.cause


def test_all_of_a_kind_that_plugin_dir_leaves_out() -> None:
    data = lacking("fatal: No data_parsers plugins loaded. Refusing to load.", elsewhere=["data_parser_v0_0_42"])
    data["hosts"]["node1"]["facts"]["plugins"]["data_parser"] = []
    state_plugin_dir(data)
    assert ids(judge(data)) == ["plugin-file-missing"]


def test_a_serializer_that_is_named_by_its_media_type() -> None:
    data = lacking("fatal: resolve_mime_type: could not find plugin for application/json", gone=["serializer_json"])
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-missing"
    assert f"{USUAL}/serializer_json.so does not exist" in finding.evidence


@pytest.mark.parametrize(("packaging", "typed"), [("debian", "$(dpkg -S "), ("rpm", "")])
def test_a_file_of_the_release_that_is_gone(packaging: str, typed: str) -> None:
    data = lacking(GONE, gone=["rest_auth_jwt"])
    facts = data["hosts"]["node1"]["facts"]
    facts.update(packaging=packaging)
    facts["plugins"]["rest_auth_jwt"] = False
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-missing"
    assert f"{USUAL}/rest_auth_jwt.so does not exist" in finding.evidence
    assert typed in finding.remedy
    assert bool(finding.by_hand) is not bool(typed)


def test_a_parser_of_the_release_is_missing_and_another_is_unknown() -> None:
    for version, expected in (("v0.0.42", "plugin-file-missing"), ("v0.0.39", "plugin-unknown")):
        data = lacking(f"fatal: Unable to find plugin: data_parser/{version}")
        facts = data["hosts"]["node1"]["facts"]
        facts["plugins"]["data_parser"] = ["v0.0.40", "v0.0.41"]
        facts["unit"]["options"].append({"flag": "-d", "value": version, "origin": "/etc/x.conf:3"})
        assert ids(judge(data)) == [expected]


def test_a_file_that_the_account_may_not_read() -> None:
    data = lacking(*JWT, closed={"auth_jwt": SHUT, "gres_gpu": [{**SHUT[0], "path": f"{USUAL}/gres_gpu.so"}]})
    ended(data, "slurmctld", *JWT)
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-unreadable"
    assert "slurmrestd may not read" in finding.cause
    assert "slurmctld may not read" in finding.cause
    assert f"`chmod a+r {USUAL}/auth_jwt.so`" in finding.remedy
    assert "gres_gpu" not in finding.remedy
    assert "plugin-fails" not in ids(judge(data))


def test_a_file_that_an_upgrade_left_empty_or_cut_off() -> None:
    data = lacking(GONE, broken={"rest_auth_jwt": f"{USUAL}/rest_auth_jwt.so", "gres_gpu": f"{USUAL}/gres_gpu.so"})
    data["hosts"]["node1"]["facts"]["packaging"] = "debian"
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-broken"
    assert "rest_auth_jwt.so, which slurmrestd needs, is no plugin: it is empty or cut off" in finding.cause
    assert f"$(dpkg -S {USUAL}/rest_auth_jwt.so | cut -d: -f1)" in finding.remedy


def test_a_library_is_as_long_as_its_header_says(tmp_path: Path) -> None:
    whole = Path(_ctypes.__file__).read_bytes()
    contents = {"whole": whole, "empty": b"", "text": b"#!/bin/sh\n" * 20, "short": whole[:40], "cut": whole[:-100]}
    for name, content in contents.items():
        (tmp_path / f"{name}.so").write_bytes(content)
    os.mkfifo(tmp_path / "pipe.so")
    found = {name: plugin_files._whole(str(tmp_path / f"{name}.so")) for name in (*contents, "pipe", "gone")}
    assert {name for name, good in found.items() if not good} == {"empty", "text", "short", "cut"}


def test_a_controller_that_ends_without_a_word_takes_tokens() -> None:
    data = evidence()
    seen = {"directories": [USUAL], "gone": [], "elsewhere": [], "closed": {"auth_jwt": SHUT}}
    data["hosts"]["node1"]["plugin_files"] = {"slurmctld": seen}
    ended(data, "slurmctld", "slurmctld.service: Failed with result 'exit-code'.")
    (finding,) = judge(data).findings
    assert finding.id == "plugin-file-unreadable"
    assert finding.evidence[1].endswith("AuthAltTypes=auth/jwt")
    data["hosts"]["node1"]["facts"]["slurm_conf"]["jwt"] = False
    assert "plugin-file-unreadable" not in ids(judge(data))


def test_files_are_no_reason_for_another_end() -> None:
    data = lacking("fatal: something else", closed={"gres_gpu": SHUT}, elsewhere=["gres_gpu"])
    assert ids(judge(data)) == ["slurmrestd-failed"]
    data = evidence()
    data["hosts"]["node1"]["plugin_files"] = lacking(closed={"rest_auth_jwt": SHUT})["hosts"]["node1"]["plugin_files"]
    assert judge(data).healthy


@root_only
def test_the_files_are_seen_as_each_daemons_account_does(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:-2]:
        above.chmod(above.stat().st_mode | 0o055)
    built, stated = tmp_path / "lib" / "slurm", tmp_path / "p"
    for directory in (built, stated):
        directory.mkdir(parents=True)
        for name in (*plugin_files.OF_ALL, "gres_gpu"):
            (directory / f"{name}.so").touch(0o644)
    (stated / "rest_auth_jwt.so").unlink()
    (stated / "gres_gpu.so").chmod(0o600)
    nobody = pwd.getpwuid(65534).pw_name
    facts = {
        "unit": {"user": nobody},
        "slurm_conf": {"slurm_user": "root"},
        "slurmdbd_conf": {"slurm_user": "root"},
        "prefix": str(tmp_path),
        "plugin_dir": str(built),
    }
    confs: dict[str, Any] = {"slurm_conf": {"entries": [{"key": "plugindir", "value": str(stated)}]}}
    seen = plugin_files.look(facts, ["slurmrestd", "slurmctld"], {**confs, "slurmdbd_conf": None})
    assert seen["slurmrestd"]["gone"] == seen["slurmrestd"]["elsewhere"] == ["rest_auth_jwt"]
    assert list(seen["slurmrestd"]["closed"]) == ["gres_gpu"]
    assert seen["slurmrestd"]["closed"]["gres_gpu"][0]["missing"] == "r"
    assert seen["slurmctld"]["closed"] == {}
    stated.chmod(0o700)
    shut = plugin_files.look(facts, ["slurmrestd"], {**confs, "slurmdbd_conf": None})["slurmrestd"]["closed"]
    assert {entry["path"] for places in shut.values() for entry in places} == {str(stated)}
    assert shut["auth_jwt"][0]["missing"] == "rx"
    confs["slurm_conf"]["entries"] = []
    seen = plugin_files.look(facts, ["slurmrestd"], {**confs, "slurmdbd_conf": None})
    assert len(seen["slurmrestd"].pop("broken")) == len(plugin_files.OF_ALL) + 1
    assert seen["slurmrestd"] == {"directories": [str(built)], "gone": [], "elsewhere": [], "closed": {}}


@root_only
def test_what_keeps_an_account_from_a_file_is_told_from_the_root_on(tmp_path: Path) -> None:
    nobody = {"exists": True, "uid": 65534, "gid": 65534}
    for above in [tmp_path, *tmp_path.parents[:-2]]:
        above.chmod(above.stat().st_mode | 0o055)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    file = inner / "slurm.conf"
    file.touch(0o600)
    (tmp_path / "a").chmod(0o744)
    owner = f"{pwd.getpwuid(0).pw_name}:{grp.getgrgid(0).gr_name}"
    assert closed(str(file), nobody) == [
        {"path": str(tmp_path / "a"), "owner": owner, "mode": "0744", "missing": "x"},
        {"path": str(file), "owner": owner, "mode": "0600", "missing": "r"},
    ]
    assert closed(str(tmp_path / "a"), nobody, 5)[0]["missing"] == "rx"
    assert closed(str(file), {"exists": True, "uid": 0, "gid": 0}) == []
    assert closed(str(tmp_path / "a" / "none"), nobody)[-1]["path"] == str(tmp_path / "a")
    assert closed(str(file), {"exists": False, "uid": None, "gid": None}) == []
