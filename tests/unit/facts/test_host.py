"""Detection on pretended hosts: programs, packages, units and configuration in a directory of the test."""

from __future__ import annotations

import getpass
import grp
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError
from slurmrest.facts import conf as facts_conf
from slurmrest.facts import host as module
from slurmrest.facts import installation
from slurmrest.facts import units as facts_units
from slurmrest.facts.detection import detect
from slurmrest.facts.units import outdated
from slurmrest.host import access, proc, programs, trust
from slurmrest.host.access import describe
from slurmrest.host.our_files import MARKER
from slurmrest.slurm import conf as slurmconf
from slurmrest.slurm.daemons import DAEMONS
from slurmrest.slurmrestd import adoption, unit_places

from tests.unit.accounts import reachable

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = Path(__file__).resolve().parents[2] / "render" / "units"
SHOW = """\
Id=slurmrestd.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
FragmentPath={fragment}
DropInPaths=
NeedDaemonReload=yes
Result=success

Id=slurmctld.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=disabled
FragmentPath=/usr/lib/systemd/system/slurmctld.service
DropInPaths=/etc/a.conf /etc/b.conf
NeedDaemonReload=no
Result=success

Id=slurmdbd.service
LoadState=not-found
ActiveState=inactive
"""


class Host:
    """A host in a directory. Nothing of the real one shows through but its accounts."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.bin = root / "bin"
        self.conf = root / "etc" / "slurm.conf"
        self.vendor = root / "lib/systemd/system"
        self.admin = root / "etc/systemd/system"
        places = (str(self.admin), str(self.vendor))
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setattr(programs, "PATH", str(self.bin))
        monkeypatch.setattr(installation, "_SBIN", (str(root / "sbin"),))
        monkeypatch.setattr(installation, "NOBODY", 0)  # who cannot enter the directory of a test
        monkeypatch.setattr(installation, "DPKG", str(root / "dpkg"))
        monkeypatch.setattr(module, "OS_RELEASE", (str(root / "os-release"),))
        monkeypatch.setattr(facts_units, "OWN_UNIT", str(self.admin / unit_places.UNIT))
        monkeypatch.setattr(unit_places, "UNIT_PATHS", places)
        monkeypatch.setattr(unit_places, "DROPIN", str(self.admin / "slurmrestd.service.d/50-slurmrest.conf"))

    def write(self, path: Path | str, text: str, mode: int = 0o644) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def program(self, path: str, output: str = "", errors: str = "", code: int = 0) -> Path:
        script = f"#!/bin/sh\ncat <<'.'\n{output}\n.\ncat >&2 <<'.'\n{errors}\n.\nexit {code}\n"
        # cat by its path: the host's PATH has nothing of the real one.
        return self.write(path, script.replace("cat ", "/bin/cat "), 0o755)

    def plugins(self, directory: str, *names: str) -> Path:
        for name in names:
            self.write(f"{directory}/{name}.so", "")
        return self.root / directory

    def unit(self, name: str, **replacements: str) -> Path:
        text = (UNITS / f"{name}.service").read_text()
        for before, after in replacements.items():
            text = text.replace(before, after)
        return self.write(self.vendor / unit_places.UNIT, text.replace("/etc/default/", f"{self.root}/etc/default/"))

    def detect(self, **options: Any) -> dict[str, Any]:
        facts = detect({"slurm_conf": str(self.conf), **options})
        assert json.loads(json.dumps(facts)) == facts
        return facts


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_host_without_anything(host: Host) -> None:
    facts = host.detect(account="no-such-account")
    assert [facts[name]["path"] for name in DAEMONS] == [""] * 4
    assert (facts["version"], facts["release"], facts["packaging"], facts["packages"]) == (None, None, "none", [])
    assert facts["slurm_conf"]["exists"] is False
    assert facts["account"]["uid"] is None
    assert facts["slurm_user"] is None
    assert facts["units"]["slurmrestd"]["active"] == "inactive"
    assert facts["units"]["slurmrestd"]["fragment"] == ""
    assert facts["unit"]["exec_start"] == facts["contradictions"] == []
    assert facts["plugin_dir"] is None
    assert not facts["plugins"]["auth_jwt"]


def test_options_have_defaults_and_may_be_none(host: Host) -> None:
    assert detect({"account": None, "slurmrestd": None, "paths": None})["account"]["name"] == "slurmrestd"
    assert host.root.exists()


# --- binaries and packages -------------------------------------------------------------------------------------------


def test_debian(host: Host) -> None:
    host.write("os-release", 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n')
    restd = host.program("sbin/slurmrestd", "slurm-wlm 24.11.5")
    host.program("sbin/slurmctld-wlm", "slurm-wlm 24.11.5")
    (host.root / "sbin/slurmctld").symlink_to("slurmctld-wlm")
    stanza = "Package: {}\nStatus: install ok {}\nPriority: optional\nVersion: {}\n\n"
    status = stanza.format("slurmrestd", "installed", "24.11.5-4") + stanza.format(
        "slurmctld", "installed", "24.11.5-4"
    )
    host.write("dpkg/status", status + stanza.format("munge", "config-files", "1"))
    host.write("dpkg/info/slurmrestd.list", f"/.\n{restd}\n")
    host.write("dpkg/info/slurmctld:amd64.list", f"{host.root}/sbin/slurmctld-wlm\n")
    host.plugins("lib/x86_64-linux-gnu/slurm", "one")
    plugins = host.plugins("lib/x86_64-linux-gnu/slurm-wlm", "auth_jwt", "rest_auth_jwt", "openapi_slurmctld")
    host.plugins("lib/x86_64-linux-gnu/slurm-wlm", "openapi_dbv0_0_38", "data_parser_v0_0_42", "libslurmfull")
    facts = host.detect()
    assert facts["slurmrestd"] == {"path": str(restd), "version": "24.11.5", "error": None, "missing_library": None}
    assert facts["slurmctld"]["path"] == str(host.root / "sbin/slurmctld")
    assert (facts["packaging"], facts["package"]) == ("debian", "slurmrestd")
    assert facts["packages"] == ["slurmctld", "slurmrestd"]
    assert facts["os"] == {"family": "Debian", "id": "debian", "version": "13", "codename": "trixie"}
    assert facts["release"]["series"] == "24.11"
    assert facts["prefix"] == str(host.root)
    assert facts["plugin_dir"] == str(plugins)
    assert facts["plugins"]["auth_jwt"]
    assert not facts["plugins"]["rest_auth_local"]
    assert facts["plugins"]["openapi"] == ["dbv0.0.38", "slurmctld"]
    assert facts["plugins"]["data_parser"] == ["v0.0.42"]


def test_packages_of_schedmd(host: Host) -> None:
    restd = host.program("sbin/slurmrestd", "slurm 25.11.7")
    host.write("dpkg/status", "Package: slurm-smd-slurmrestd\nStatus: install ok installed\nVersion: 25.11.7-1\n")
    host.write("dpkg/info/slurm-smd-slurmrestd.list", f"{restd}\n")
    assert host.detect()["packaging"] == "schedmd-deb"


def test_rpm(host: Host) -> None:
    host.write("os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n')
    host.program("sbin/slurmrestd", "slurm 24.05.8")
    host.write(
        "bin/rpm",
        '#!/bin/sh\ncase "$1" in -qa) echo "slurm 24.05.8"; echo "slurm-slurmrestd 24.05.8";; '
        "-qf) echo slurm-slurmrestd;; esac\n",
        0o755,
    )
    facts = host.detect()
    assert (facts["packaging"], facts["package"]) == ("rpm", "slurm-slurmrestd")
    assert facts["packages"] == ["slurm", "slurm-slurmrestd"]
    assert facts["os"]["family"] == "RedHat"


def test_a_build_from_source_in_a_place_of_its_own(host: Host) -> None:
    restd = host.program("opt/slurm-24.11/sbin/slurmrestd", "slurm 24.11.5")
    beside = host.program("opt/slurm-24.11/sbin/slurmctld", "slurm 24.11.5")
    host.program("sbin/slurmctld", "slurm 20.11.4")
    plugins = host.plugins("opt/slurm-24.11/lib/slurm", "auth_jwt")
    facts = host.detect(slurmrestd=str(restd))
    assert facts["packaging"] == "source"
    assert facts["slurmctld"]["path"] == str(beside)
    assert facts["plugin_dir"] == str(plugins)
    assert facts["prefix"] == str(host.root / "opt/slurm-24.11")


def test_a_given_binary_that_is_not_there_is_not_replaced_by_another(host: Host) -> None:
    host.program("sbin/slurmrestd", "slurm 24.11.5")
    assert host.detect(slurmrestd="/nowhere/slurmrestd")["slurmrestd"]["path"] == ""


def test_a_missing_library_is_named(host: Host) -> None:
    error = "slurmrestd: error while loading shared libraries: libslurmfull.so: cannot open shared object file"
    host.program("sbin/slurmrestd", errors=error, code=127)
    facts = host.detect()
    assert facts["slurmrestd"]["missing_library"] == "libslurmfull.so"
    assert facts["slurmrestd"]["error"] == error
    assert facts["version"] is None


def test_slurmdbd_that_does_not_tell_is_known_by_its_package_and_not_quoted(host: Host) -> None:
    binary = host.program("sbin/slurmdbd", errors='Parse error in line 3: "hunter2"', code=1)
    host.write("dpkg/status", "Package: slurmdbd\nStatus: install ok installed\nVersion: 1:22.05.8-4+deb12u3\n")
    host.write("dpkg/info/slurmdbd.list", f"{binary}\n")
    facts = host.detect()
    assert facts["slurmdbd"]["version"] == facts["version"] == "22.05.8"
    assert facts["slurmdbd"]["error"] == "exit code 1"
    assert "hunter2" not in json.dumps(facts)


@pytest.mark.parametrize(
    ("said", "series", "warning", "error"),
    [
        ("slurm 27.05.1", "26.05", "27.05.1 is not in the release table", None),
        ("slurm 19.05.8", None, "installed Slurm: '19.05.8' is refused", "installed Slurm: '19.05.8' is refused"),
    ],
)
def test_releases_beyond_the_table(host: Host, said: str, series: str | None, warning: str, error: str | None) -> None:
    host.program("sbin/slurmrestd", said)
    facts = host.detect()
    assert (facts["release"] or {}).get("series") == series
    assert warning in facts["warning"]
    assert (error or "") in (facts["release_error"] or "")


def test_a_version_that_is_none(host: Host) -> None:
    host.program("sbin/slurmrestd", "hello world")
    facts = host.detect()
    assert facts["slurmrestd"]["version"] is facts["release"] is None
    assert "hello world" in facts["slurmrestd"]["error"]


# --- units -----------------------------------------------------------------------------------------------------------


def test_units_as_systemd_shows_them(host: Host) -> None:
    fragment = host.unit("debian-24.11")
    host.program("bin/systemctl", SHOW.format(fragment=fragment))
    found = host.detect()["units"]
    assert found["slurmrestd"]["active"] == "active"
    assert (found["slurmrestd"]["enabled"], found["slurmrestd"]["needs_reload"]) == (True, True)
    assert found["slurmrestd"]["fragment"] == str(fragment)
    assert (found["slurmctld"]["active"], found["slurmctld"]["enabled"]) == ("inactive", False)
    assert found["slurmctld"]["dropins"] == ["/etc/a.conf", "/etc/b.conf"]
    assert found["slurmdbd"]["load"] == found["slurmd"]["load"] == "not-found"


def test_the_unit_is_read_from_disk_where_systemd_is_not_there(host: Host) -> None:
    fragment = host.unit("upstream-25.05")
    dropin = host.write(host.admin / "slurmrestd.service.d/10-site.conf", "[Service]\nUser=rest\n")
    general = host.write(host.vendor / "service.d/05-all.conf", "[Service]\nNice=1\n")
    host.write(host.admin / "slurmrestd.service.d/README", "no drop-in")
    facts = host.detect()
    assert facts["units"]["slurmrestd"]["fragment"] == facts["unit"]["fragment"] == str(fragment)
    assert facts["unit"]["dropins"] == facts["units"]["slurmrestd"]["dropins"] == [str(general), str(dropin)]
    assert (facts["unit"]["user"], facts["vendor_unit"]["user"]) == ("rest", "slurmrestd")


def test_with_and_without_our_dropin(host: Host) -> None:
    host.unit("debian-24.11")
    host.write(
        unit_places.DROPIN, "[Service]\nUser=slurmrestd\nExecStart=\nExecStart=/usr/sbin/slurmrestd -f /x/slurm.conf\n"
    )
    facts = host.detect()
    assert facts["unit"]["exec_start"] == [["/usr/sbin/slurmrestd", "-f", "/x/slurm.conf"]]
    assert facts["unit_without_ours"]["user"] is facts["vendor_unit"]["user"] is None
    assert [item["text"] for item in facts["unit_without_ours"]["listeners"]] == [
        "unix:/run/slurmrestd.socket",
        "0.0.0.0:6820",
    ]
    assert facts["contradictions"] == []


@pytest.mark.parametrize("ours_is_there", [False, True])
def test_what_would_beat_our_dropin_is_known_before_and_after_it_is_written(host: Host, ours_is_there: bool) -> None:
    host.unit("upstream-24.11", **{"/etc/sysconfig/": f"{host.root}/etc/sysconfig/"})
    later = host.write(host.admin / "slurmrestd.service.d/override.conf", "[Service]\nUser=root\nGroup=slurmrestd\n")
    earlier = host.write("etc/sysconfig/slurmrestd", "# x\nSLURMRESTD_LISTEN=:6820\n")
    host.write("etc/default/slurmrestd", f"# {MARKER}\nSLURMRESTD_LISTEN=127.0.0.1:6820\n")
    if ours_is_there:
        host.write(unit_places.DROPIN, "[Service]\nUser=slurmrestd\n")
    found = {(item["setting"], item["file"], item["line"]) for item in host.detect()["contradictions"]}
    # The file that is ours to write does not count: it will not say what it says now.
    assert found == {("User", str(later), 2), ("SLURMRESTD_LISTEN", str(earlier), 2)}


def test_the_quick_starts_own_override_beats_ours_although_it_reads_the_same(host: Host) -> None:
    host.unit("upstream-23.11")
    text = "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS\nEnvironmentFile=\n"
    host.write(host.admin / "slurmrestd.service.d/override.conf", text)
    found = {(item["setting"], item["line"]) for item in host.detect()["contradictions"]}
    assert found == {("ExecStart", 3), ("EnvironmentFile", 4)}


def test_a_dropin_that_sends_the_daemon_to_another_configuration(host: Host) -> None:
    host.unit("upstream-24.11")
    text = "[Service]\nEnvironment=SLURM_CONF=/srv/other/slurm.conf\n"
    host.write(host.admin / "slurmrestd.service.d/override.conf", text)
    options = {"account": "slurmrestd"}
    found = [(item["setting"], item["value"]) for item in detect(options)["contradictions"]]
    assert found == [("SLURM_CONF", "/srv/other/slurm.conf")]
    assert host.detect()["contradictions"] == [], "where ours names a file by -f, that one counts"


def test_the_environment_file_that_is_ours_to_write(host: Host) -> None:
    host.unit("debian-24.11")
    path = host.root / "etc/default/slurmrestd"
    assert host.detect()["environment_file"] == {"path": str(path), "ours": False, "variables": []}
    host.write(path, "SLURMRESTD_OPTIONS=-v\nMY_TOKEN=hunter2\n")
    facts = host.detect()
    assert facts["environment_file"] == {
        "path": str(path),
        "ours": False,
        "variables": ["MY_TOKEN", "SLURMRESTD_OPTIONS"],
    }
    assert "hunter2" not in json.dumps(facts)
    host.write(path, f"# {MARKER}\nA=b\n")
    assert host.detect()["environment_file"]["ours"] is True


def test_a_unit_of_the_administrator_is_not_ours(host: Host) -> None:
    own = host.admin / unit_places.UNIT
    host.write(own, "[Service]\nExecStart=/usr/sbin/slurmrestd\n")
    facts = host.detect()
    assert (facts["units"]["slurmrestd"]["fragment"], facts["fragment_ours"]) == (str(own), False)
    host.write(own, f"# {MARKER}\n[Service]\nExecStart=/usr/sbin/slurmrestd\n")
    assert host.detect()["fragment_ours"] is True


# --- configuration ---------------------------------------------------------------------------------------------------


def test_slurm_conf(host: Host) -> None:
    host.write(
        host.conf,
        f"# {MARKER}\nClusterName=test\nSlurmUser=root\nSlurmctldHost=ctl1(10.0.0.1)\nSlurmctldHost=ctl2\n"
        "SlurmctldPort=6820-6829\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/k,disable_token_creation\n"
        "AccountingStorageType=accounting_storage/slurmdbd\nCommunicationParameters=block_null_hash,EnableIPv6\n"
        "StateSaveLocation=/var/lib/slurm\nInclude gone.conf\nbroken line\n",
    )
    facts = host.detect()
    conf = facts["slurm_conf"]
    assert (conf["exists"], conf["readable"], conf["ours"], conf["jwt"], conf["accounting"], conf["ipv6"]) == (
        True,
    ) * 6
    assert (conf["cluster_name"], conf["slurmctld_hosts"]) == ("test", ["ctl1", "ctl2"])
    assert (conf["slurmctld_port"], conf["slurmd_port"]) == ("6820-6829", "6818")
    assert (conf["jwt_key"], conf["jwks"]) == ("/k", "")
    assert conf["auth_alt_parameters"] == {"jwt_key": "/k", "disable_token_creation": None}
    assert conf["state_save_location"] == "/var/lib/slurm"
    assert conf["slurmd_spool_dir"] is None
    assert conf["missing_includes"] == [str(host.root / "etc/gone.conf")]
    assert conf["errors"] == [f"{host.conf}:13"]
    assert (facts["slurm_user"]["name"], facts["slurm_user"]["uid"]) == ("root", 0)
    assert facts["config_dir"] == str(host.root / "etc")


@pytest.mark.parametrize(("version", "user", "missing"), [("22.05.8", "beside", []), ("24.11.5", "main", [])])
def test_an_include_is_looked_for_where_the_release_does(
    host: Host, version: str, user: str, missing: list[str]
) -> None:
    host.program("sbin/slurmctld", f"slurm-wlm {version}")
    host.write(host.conf, "Include conf.d/users.conf\n")
    host.write("etc/conf.d/users.conf", "Include user.conf\n")
    host.write("etc/conf.d/user.conf", "SlurmUser=beside\n")
    host.write("etc/user.conf", "SlurmUser=main\n")
    conf = host.detect()["slurm_conf"]
    assert (conf["slurm_user"], conf["missing_includes"]) == (user, missing)


def test_defaults_of_slurm_conf(host: Host) -> None:
    host.write(host.conf, "ClusterName=test\nControlMachine=old\nBackupController=older\n")
    conf = host.detect()["slurm_conf"]
    assert (conf["slurm_user"], conf["slurmctld_port"], conf["auth_type"]) == ("root", "6817", "auth/munge")
    assert (conf["ours"], conf["jwt"], conf["accounting"], conf["ipv6"]) == (False,) * 4
    assert conf["slurmctld_hosts"] == ["old", "older"]


def test_slurmdbd_conf_without_its_password(host: Host) -> None:
    host.write(
        host.conf.with_name("slurmdbd.conf"),
        "DbdHost=db\nDbdPort=7031\nSlurmUser=slurm\nStorageType=accounting_storage/mysql\nStoragePass=hunter2\n"
        "AuthAltTypes=auth/jwt\nAuthAltParameters=jwks=/j\n",
    )
    facts = host.detect()
    conf = facts["slurmdbd_conf"]
    assert (conf["dbd_host"], conf["dbd_port"], conf["slurm_user"]) == ("db", "7031", "slurm")
    assert (conf["jwt"], conf["jwks"], conf["jwt_key"]) == (True, "/j", "")
    assert "hunter2" not in json.dumps(facts)


def test_a_configuration_that_may_not_be_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write(host.conf, "ClusterName=test\n")

    def refuse(path: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(slurmconf, "read", lambda path, _, **_more: refuse(path))
    conf = host.detect()["slurm_conf"]
    assert (conf["exists"], conf["readable"]) == (True, False)


def test_whether_the_account_can_read_it(host: Host) -> None:
    host.write(host.conf, "ClusterName=test\n", 0o600)
    assert host.detect(account="no-such-account")["slurm_conf"]["readable_by_account"] is None
    assert host.detect(account="no-such-account")["slurm_conf"]["unreadable_by_account"] == [str(host.conf)]
    assert host.detect(account=getpass.getuser())["slurm_conf"]["unreadable_by_account"] == []
    assert host.detect(account=getpass.getuser())["slurm_conf"]["readable_by_account"] is True
    assert host.detect(account="nobody")["slurm_conf"]["readable_by_account"] is False


@pytest.mark.parametrize("place", ["option", "environment", "condition", "prefix"])
def test_where_slurm_conf_is(host: Host, place: str) -> None:
    conf = host.write("opt/slurm/etc/slurm.conf" if place == "prefix" else "elsewhere/slurm.conf", "ClusterName=here\n")
    lines = {
        "option": f"[Service]\nExecStart=/usr/sbin/slurmrestd -f {conf}\n",
        "environment": f"[Service]\nEnvironment=SLURM_CONF={conf}\n",
        "condition": f"[Unit]\nConditionPathExists={conf}\n",
        "prefix": "[Unit]\nConditionPathExists=/not/there/slurm.conf\n",
    }
    host.write(host.vendor / unit_places.UNIT, lines[place])
    restd = host.program("opt/slurm/sbin/slurmrestd", "slurm 24.11.5")
    facts = detect({"slurmrestd": str(restd)})
    assert facts["slurm_conf"]["path"] == str(conf)
    assert facts["slurm_conf"]["cluster_name"] == "here"


@pytest.mark.parametrize("place", ["option", "environment"])
@pytest.mark.parametrize("included", ["slurm.conf", "ABSOLUTE"])
def test_a_configuration_of_slurmrestd_s_own_is_not_the_cluster_s(host: Host, place: str, included: str) -> None:
    conf = host.write("elsewhere/slurm.conf", "ClusterName=here\nAuthType=auth/munge\n")
    own = host.write(
        "elsewhere/slurmrestd.conf", f"include {str(conf) if included == 'ABSOLUTE' else included}\nAuthType=auth/jwt\n"
    )
    lines = {
        "option": f"[Service]\nExecStart=/usr/sbin/slurmrestd -f {own} -s slurmctld\n",
        "environment": f"[Service]\nEnvironment=SLURM_CONF={own}\nExecStart=/usr/sbin/slurmrestd\n",
    }
    host.write(host.vendor / unit_places.UNIT, lines[place])
    facts = detect({"slurmrestd": str(host.program("opt/slurm/sbin/slurmrestd", "slurm 24.11.5"))})
    assert facts["slurm_conf"]["path"] == str(conf)
    assert facts["slurm_conf"]["auth_type"] == "auth/munge"
    assert str(own) not in facts["slurm_conf"]["files"]


@pytest.mark.parametrize("line", ["ExecStart=/usr/sbin/slurmctld --systemd -f {}", "Environment=SLURM_CONF={}"])
def test_on_a_controller_the_file_of_slurmctld_counts(host: Host, line: str) -> None:
    conf = host.write("ctl/slurm.conf", "ClusterName=here\n")
    other = host.write("rest/slurm.conf", "ClusterName=here\n")
    host.write(host.vendor / unit_places.UNIT, f"[Service]\nExecStart=/usr/sbin/slurmrestd -f {other}\n")
    controller = host.write(host.vendor / "slurmctld.service", f"[Service]\n{line.format(conf)}\n")
    shown = f"Id=slurmctld.service\nLoadState=loaded\nActiveState=active\nFragmentPath={controller}\nDropInPaths="
    host.program("bin/systemctl", shown)
    facts = detect({"slurmrestd": str(host.program("opt/slurm/sbin/slurmrestd", "slurm 24.11.5"))})
    assert facts["slurm_conf"]["path"] == str(conf)


def test_plugin_dir_of_slurm_conf_counts(host: Host) -> None:
    host.program("sbin/slurmrestd", "slurm 24.11.5")
    host.plugins("lib/slurm", "auth_jwt", "a", "b", "c")
    one, two = host.plugins("one", "auth_munge"), host.plugins("two", "rest_auth_jwt", "rest_auth_local")
    host.write(host.conf, f"PluginDir={one}:{two}:/not/there\n")
    facts = host.detect()
    assert facts["plugin_dir"] == str(two)
    assert [facts["plugins"][name] for name in ("auth_munge", "rest_auth_jwt", "auth_jwt")] == [True, True, False]


# --- accounts and paths ----------------------------------------------------------------------------------------------


def test_accounts_and_groups(host: Host) -> None:
    facts = host.detect(account="root", groups=["root", "no-such-group"])
    account = facts["account"]
    assert (account["exists"], account["uid"], account["gid"], account["group"]) == (True, 0, 0, "root")
    assert "root" not in account["supplementary_groups"]
    assert facts["groups"] == {"root": 0, "no-such-group": None}


def test_an_account_by_number(host: Host) -> None:
    host.write(host.conf, "SlurmUser=0\n")
    assert host.detect()["slurm_user"]["name"] == "root"


def test_paths(host: Host) -> None:
    directory = host.root / "portal"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    missing = directory / "a/b"
    facts = host.detect(account=getpass.getuser(), paths=[str(directory), str(missing)])["paths"]
    there = facts[str(directory)]
    assert (there["exists"], there["kind"], there["mode"], there["others_write"]) == (True, "directory", "0755", False)
    assert (there["owner"], there["group"]) == (getpass.getuser(), grp.getgrgid(os.getgid()).gr_name)
    assert (there["enter"], there["write"]) == (True, True)
    assert facts[str(missing)]["exists"] is False
    assert facts[str(missing)]["nearest"] == str(directory)


@pytest.mark.parametrize(
    ("modes", "enter", "write"),
    [
        ((0o755, 0o755), True, False),
        ((0o757, 0o755), True, True),
        ((0o754, 0o755), False, False),
        ((0o757, 0o700), False, False),
    ],
)
def test_what_a_stranger_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modes: tuple[int, int], enter: bool, write: bool
) -> None:
    # The directories of pytest are closed to strangers: the way up ends below them.
    monkeypatch.setattr(
        access, "directories_above", lambda path: [{"uid": 0, "gid": 0, "mode": Path(path).parent.stat().st_mode}]
    )
    directory = tmp_path / "top" / "sub"
    directory.mkdir(parents=True)
    directory.chmod(modes[0])
    directory.parent.chmod(modes[1])
    facts = describe(str(directory), {"uid": None, "gid": None, "gids": []})
    assert (facts["enter"], facts["write"]) == (enter, write)


@pytest.mark.parametrize(("text", "kind"), [("x", "file"), (None, "other")])
def test_kinds(tmp_path: Path, text: str | None, kind: str) -> None:
    path = tmp_path / "x"
    path.write_text(text) if text else os.mkfifo(path)
    assert describe(str(path), {"uid": 0, "gid": 0})["kind"] == kind


# --- a service that runs already -------------------------------------------------------------------------------------


def test_a_running_process_is_kept_as_it_is(host: Host) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)", "slurmrestd", "-t", "7", "127.0.0.1:6899"]
    with subprocess.Popen(command, env={"SLURM_JWT": "daemon", "SLURM_CONF": "/opt/slurm/etc/slurm.conf"}) as process:
        try:
            wait_for_command(process.pid)
            stated = ["/opt/slurm/etc/slurm.conf"]
            kept = facts_units.adopted_of(unit_places.DROPIN, process.pid, "nobody-else", {}, stated)["adopted"]
        finally:
            process.kill()
    assert kept["slurmrestd_service_listen"] == ["127.0.0.1:6899"]
    assert kept["slurmrestd_service_threads"] == 7
    assert kept["slurm_common_config_dir"] == "/opt/slurm/etc"
    assert ("slurm_common_slurmrestd_user" in kept) == (os.getuid() != 0)
    dropin = host.write(host.root / "50-slurmrest.conf", f'{adoption.NOTE}{{"a": 1}}\n')
    assert facts_units.adopted_of(str(dropin), 0, "slurm", {}) == {"adopted": {"a": 1}, "not_adopted": {}}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start something as another account")
def test_what_a_process_only_says_of_itself_is_not_adopted(tmp_path: Path) -> None:
    """Root would load plugins by that slurm.conf, and make the directory of that socket."""
    said = {"SLURM_CONF": f"{tmp_path}/slurm.conf"}
    (tmp_path / "slurm.conf").touch()
    os.chown(tmp_path / "slurm.conf", 65534, 65534)
    taken = reachable(tmp_path) / "taken.socket"  # somebody else's, whose directory it would be given
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(taken))
    words = ["slurmrestd", "unix:/run/nothing/here.socket", f"unix:{taken}", "127.0.0.1:6899"]
    command = ["/usr/bin/python3", "-c", "import time; time.sleep(60)", *words]
    with subprocess.Popen(command, env=said, cwd="/", user=65534, group=65534, extra_groups=[]) as process:
        try:
            wait_for_command(process.pid)
            found = facts_units.adopted_of(unit_places.DROPIN, process.pid, "slurm", {})
            known = [said["SLURM_CONF"], str(taken)]
            stated = facts_units.adopted_of(unit_places.DROPIN, process.pid, "slurm", {}, known)
            os.chown(taken, 65534, 65534)
            own = facts_units.adopted_of(unit_places.DROPIN, process.pid, "slurm", {})
        finally:
            process.kill()
    assert found["adopted"]["slurmrestd_service_listen"] == ["127.0.0.1:6899"]
    assert "slurm_common_config_dir" not in found["adopted"]
    assert found["not_adopted"] == {"slurm_common_config_dir": str(tmp_path), "slurmrestd_service_listen": words[1:]}
    assert stated["adopted"]["slurm_common_config_dir"] == str(tmp_path)
    assert stated["adopted"]["slurmrestd_service_listen"] == own["adopted"]["slurmrestd_service_listen"] == words[2:]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start something as another account")
def test_a_process_that_becomes_roots_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was another account's when its words were read."""
    accounts: Iterator[proc.Account] = iter([(65534, 65534, []), (0, 0, [])])
    monkeypatch.setattr(proc, "whose", lambda _pid: next(accounts))
    monkeypatch.setattr(facts_units, "whose", proc.whose)
    conf = tmp_path / "slurm.conf"
    conf.touch()
    os.chown(conf, 65534, 65534)
    command = ["/usr/bin/python3", "-c", "import time; time.sleep(60)", "slurmrestd", "127.0.0.1:6899"]
    with subprocess.Popen(command, env={"SLURM_CONF": str(conf)}) as process:
        try:
            wait_for_command(process.pid)
            found = facts_units.adopted_of(unit_places.DROPIN, process.pid, "slurm", {})
        finally:
            process.kill()
    assert "slurm_common_config_dir" in found["not_adopted"]


def test_what_root_alone_can_change(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.lchown(tmp_path / "link", 65534 if os.getuid() == 0 else -1, -1)
    assert trust.roots_alone("/etc/passwd")
    assert not trust.roots_alone(str(tmp_path / "link"))
    assert not trust.roots_alone(str(tmp_path / "none"))


def wait_for_command(pid: int) -> None:
    """Wait until the child has become its program."""
    deadline = time.monotonic() + 10
    while b"slurmrestd" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_a_process_nothing_is_kept(host: Host) -> None:
    assert host.detect()["adopted"] == {}


def test_an_instance_has_a_unit_of_its_own(host: Host) -> None:
    host.unit("debian-24.11")
    host.write(host.admin / "slurmrestd@.service", f"# {MARKER}\n[Service]\nExecStart=/bin/false\n")
    host.write(host.admin / "slurmrestd@.service.d/all.conf", "[Service]\nUser=one\nGroup=one\n")
    host.write(host.admin / "slurmrestd@alpha.service.d/50-slurmrest.conf", "[Service]\nUser=two\n")
    host.write(host.admin / "slurmrestd@beta.service.d/50-slurmrest.conf", "[Service]\nUser=three\n")
    unit = {name: host.detect(instance=name) for name in ("alpha", "beta", "")}
    assert [facts["unit"]["user"] for facts in unit.values()] == ["one", "one", None]
    assert unit["alpha"]["fragment_ours"]
    assert not unit[""]["fragment_ours"]
    assert unit["alpha"]["environment_file"]["path"] == "/etc/default/slurmrestd@alpha"
    assert {item["setting"] for item in unit["alpha"]["contradictions"]} == {"User", "Group"}
    assert unit[""]["contradictions"] == []


@pytest.mark.parametrize("instance", ["a/b", "a b", "%i", "-a", "x" * 64])
def test_what_cannot_be_an_instance_is_refused(host: Host, instance: str) -> None:
    with pytest.raises(InputError, match="slurm_common_slurmrestd_instance"):
        host.detect(instance=instance)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_that_the_account_can_read_are_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    key = host.write("etc/slurm.key", "secret", 0o600)
    monkeypatch.setattr(facts_conf, "MUNGE_KEY", str(host.write("munge.key", "secret", 0o644)))
    host.write("etc/slurm.conf", f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}\n")
    monkeypatch.setattr(facts_conf, "readable", lambda path, _account: Path(path).stat().st_mode & 0o004 != 0)
    assert host.detect()["exposed"] == [str(host.root / "munge.key")]
    key.chmod(0o644)
    assert host.detect()["exposed"] == [str(key), str(host.root / "munge.key")]


def test_a_binary_that_was_replaced_shows_also_where_root_may_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "daemon"
    binary.write_bytes(Path("/bin/sleep").read_bytes())
    binary.chmod(0o755)
    with subprocess.Popen([binary, "60"]) as process:
        try:
            assert not outdated(str(process.pid))
            binary.unlink()
            assert outdated(str(process.pid))

            def refuse(path: str) -> str:
                raise PermissionError(path)

            # As for processes of others in a container without CAP_SYS_PTRACE.
            monkeypatch.setattr("slurmrest.host.private.os.readlink", refuse)
            if os.geteuid() == 0:
                assert outdated(str(process.pid))
        finally:
            process.kill()
    assert not outdated(str(process.pid))
    assert not outdated("0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another account")
def test_slurmdbd_reads_its_file_as_whoever_has_a_say_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        host = Host(Path(directory), monkeypatch)
        monkeypatch.setattr(installation, "NOBODY", 65534)
        host.write("sbin/slurmdbd", "#!/bin/sh\necho slurm-wlm 24.11.$(($(/usr/bin/id -u) % 100))\n", 0o755)
        assert host.detect()["slurmdbd"]["version"] == "24.11.34"  # its file is not where it is looked for
        conf = host.write("etc/slurmdbd.conf", "DbdHost=db\n")
        assert host.detect()["slurmdbd"]["version"] == "24.11.0"
        os.chown(conf, 4321, 4321)
        assert host.detect()["slurmdbd"]["version"] == "24.11.21"


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("AuthAltTypes=auth/jwt", "/state/jwt_hs256.key"),
        ("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/elsewhere", "/elsewhere"),
        ("AuthAltTypes=auth/jwt\nAuthAltParameters=jwks=/keys", ""),
        ("AuthAltTypes=auth/jwt\nAuthAltParameters=jwks=/keys,jwt_key=/elsewhere", "/elsewhere"),
        ("AuthAltTypes=auth/none", ""),
    ],
)
def test_the_key_that_slurmctld_loads(host: Host, said: str, path: str) -> None:
    """Without a path it is the one beside its state, which a set of public keys switches off; slurmdbd has none."""
    text = f"ClusterName=one\nStateSaveLocation=/state\n{said}\n"
    host.conf.parent.mkdir(parents=True, exist_ok=True)
    host.conf.write_text(text)
    host.conf.with_name("slurmdbd.conf").write_text(f"DbdHost=db\n{said}\n")
    facts = host.detect()
    assert facts["slurm_conf"]["jwt_key_path"] == path
    assert facts["slurmdbd_conf"]["jwt_key_path"] == ("" if path.startswith("/state") else path)
