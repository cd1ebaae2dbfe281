"""The drop-in and environment file on every release and packaging: what systemd makes of them, and what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from slurmrest.slurm.releases import lookup
from slurmrest.slurmrestd import adoption
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd.contradictions import contradictions

from tests.render.exposure import exposure
from tests.render.roles import evaluate

UNITS = Path(__file__).parent / "units"
VENDORS = sorted(path.stem for path in UNITS.glob("*.service"))
LISTEN = ["127.0.0.1:6820", "unix:/run/slurmrestd/slurmrestd.socket"]
VENDOR_UNIT = "/usr/lib/systemd/system/slurmrestd.service"
OWN_UNIT = "/etc/systemd/system/slurmrestd.service"
DROPIN = "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf"


class Host:
    """A pretended host: files by path, and what the role renders on it."""

    def __init__(self, vendor: str | None, *, accounting: bool = True, systemd: int = 252, **variables: Any) -> None:
        family, _, version = (vendor or "source-24.11").partition("-")
        self.files = {} if vendor is None else {VENDOR_UNIT: (UNITS / f"{vendor}.service").read_text()}
        self.fragment = VENDOR_UNIT if vendor else ""
        self.row = lookup(version)
        self.family = family
        self.variables = {"slurm_common_components": ["slurmrestd"], **variables}
        self.accounting = accounting
        self.systemd = systemd
        self.found: dict[str, Any] = {}

    def unit(self) -> units.EffectiveUnit:
        fragment = self.fragment or (OWN_UNIT if OWN_UNIT in self.files else None)
        dropins = [path for path in self.files if "slurmrestd.service.d/" in path]
        return units.effective(fragment, dropins, self.files.get)

    def facts(self) -> dict[str, Any]:
        fragment = self.fragment or None
        return {
            "slurmrestd": {"path": "/usr/sbin/slurmrestd"},
            "release": self.row.as_dict(),
            "unit": self.unit().as_dict(),
            "vendor_unit": units.effective(fragment, [], self.files.get).as_dict(),
            "units": {"slurmrestd": {"fragment": self.fragment}},
            "fragment_ours": self.fragment == OWN_UNIT,
            "slurm_conf": {
                "accounting": self.accounting,
                "slurmctld_hosts": ["ctl"],
                "accounting_storage_host": "db",
            },
            "systemd_version": self.systemd,
            **self.found,
        }

    def render(self) -> dict[str, dict[str, Any]]:
        entries = evaluate("slurmrestd_service", "__slurmrestd_service_files", self.variables, self.facts())
        return {str(entry["path"]): entry for entry in entries}

    def apply(self) -> units.EffectiveUnit:
        for path, entry in self.render().items():
            if entry.get("state", "present") == "present":
                self.files[path] = str(entry["content"])
        return self.unit()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("accounting", [True, False])
def test_identity_listeners_and_authentication_are_ours_on_every_unit(vendor: str, accounting: bool) -> None:
    host = Host(vendor, accounting=accounting)
    unit = host.apply()
    assert (unit.user, unit.group) == ("slurmrestd", "slurmrestd")
    assert sorted(entry.text for entry in unit.listeners) == sorted(LISTEN)
    assert len(unit.exec_start) == 1
    assert unit.environment["SLURM_JWT"].value == "daemon"
    options = {option.flag: option.value for option in unit.options}
    assert options["-a"] == "rest_auth/jwt"
    assert options.get("-s") == (None if accounting else host.row.release.openapi_without_accounting)
    assert unit.setting("ExecReload").values == ()
    assert contradictions(unit, [DROPIN]) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_second_rendering_is_the_same(vendor: str) -> None:
    host = Host(vendor)
    first = host.render()
    host.apply()
    assert host.render() == first


@pytest.mark.parametrize("foreign", [True, False])
def test_a_directory_of_others_is_entered_and_not_taken(foreign: bool) -> None:
    """Systemd and tmpfiles.d would chown what is in it, and systemd would remove it with the service."""
    host = Host("debian-24.11")
    host.variables.update(
        slurmrestd_service_listen=["unix:/run/slurm/rest.socket", "unix:/run/slurmrestd/rest.socket"],
        slurmrestd_service_socket_group="portal" if foreign else "slurmrestd",
        __slurmrestd_service_judgement={"given": ["/run/slurmrestd"]},
    )
    unit = host.apply()
    assert unit.last("RuntimeDirectory") == (None if foreign else "slurmrestd")
    assert "/run/slurm" in unit.words("ReadWritePaths")
    made = evaluate("slurmrestd_service", "__slurmrestd_service_made_directories", host.variables, host.facts())
    assert [entry["path"] for entry in made] == (["/run/slurmrestd"] if foreign else [])


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_stops_it_is_bounded_and_follows_the_release(vendor: str) -> None:
    unit = Host(vendor).apply()
    assert unit.last("KillSignal") == ("SIGTERM" if vendor.endswith("24.11") else "SIGINT")
    assert unit.last("TimeoutStopSec") == "10"


@pytest.mark.parametrize("vendor", [name for name in VENDORS if Host(name).row.release.slurmrestd_https])
def test_a_tls_listener_is_kept_and_rendered(vendor: str) -> None:
    host = Host(vendor)
    site = {"path": "/etc/default/slurmrestd", "ours": False, "variables": []}
    host.found = {"adopted": {"slurmrestd_service_listen": ["https://0.0.0.0:6820"]}, "environment_file": site}
    unit = host.apply()
    assert [entry.text for entry in unit.listeners] == ["https://0.0.0.0:6820"]
    assert unit.last("LimitMEMLOCK") == "infinity"


@pytest.mark.parametrize("vendor", VENDORS)
def test_our_lines_survive_a_change_of_the_vendor_unit(vendor: str) -> None:
    host = Host("debian-22.05")
    host.apply()
    host.files[VENDOR_UNIT] = (UNITS / f"{vendor}.service").read_text()
    unit = host.unit()
    assert unit.user == "slurmrestd"
    assert sorted(entry.text for entry in unit.listeners) == sorted(LISTEN)


def test_the_environment_file_is_not_for_everybody_where_the_site_s_variables_are_in_it() -> None:
    path = "/etc/default/slurmrestd"
    assert Host("debian-24.11").render()[path]["mode"] == "0644"
    assert Host("debian-24.11", slurmrestd_service_environment={"X": "y"}).render()[path]["mode"] == "0640"


@pytest.mark.parametrize("vendor", VENDORS)
def test_systemd_accepts_the_result(vendor: str, tmp_path: Path) -> None:
    host = Host(vendor, slurmrestd_service_environment={"SLURM_DEBUG_FLAGS": 'a "b" $c \\'})
    host.apply()
    assert verified(host, tmp_path) == ""


def verified(host: Host, folder: Path) -> str:
    """What systemd-analyze has to say about the unit; the binary is replaced by one that is surely there."""
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: install the package systemd"
    places = {VENDOR_UNIT: "slurmrestd.service", OWN_UNIT: "slurmrestd.service", DROPIN: "slurmrestd.service.d/50.conf"}
    for path, text in host.files.items():
        if path in places:
            place = folder / places[path]
            place.parent.mkdir(exist_ok=True)
            place.write_text(text.replace("/usr/sbin/slurmrestd", "/bin/true").replace("/usr/local/sbin", "/usr/sbin"))
    for needed in ("network-online.target", "remote-fs.target", "slurmctld.service", "sysinit.target", "munge.service"):
        text = "[Service]\nExecStart=/bin/true\n" if needed.endswith("service") else "[Unit]\nDescription=x\n"
        (folder / needed).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", "slurmrestd.service"],
        env={**os.environ, "SYSTEMD_UNIT_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr + done.stdout


def test_systemd_analyze_would_complain(tmp_path: Path) -> None:
    host = Host("debian-24.11")
    host.apply()
    host.files[DROPIN] = host.files[DROPIN].replace("ExecStart=\n", "")
    assert "more than one ExecStart" in verified(host, tmp_path)


def test_a_build_without_a_unit_gets_one(tmp_path: Path) -> None:
    host = Host(None)
    unit = host.apply()
    assert unit.fragment == OWN_UNIT
    assert sorted(entry.text for entry in unit.listeners) == sorted(LISTEN)
    assert verified(host, tmp_path) == ""
    host.fragment = OWN_UNIT
    again = host.render()
    assert {path: host.files.get(path) for path in again if path in host.files} == {
        path: entry["content"] for path, entry in again.items() if path in host.files
    }, "a unit that we brought stays ours, and as it is"


def test_local_authentication_drops_the_jwt_switch() -> None:
    unit = Host("debian-24.11", slurmrestd_service_auth="local").apply()
    assert {option.flag: option.value for option in unit.options}["-a"] == "rest_auth/local"
    assert unit.words("UnsetEnvironment") == ["SLURM_JWT"]


def test_a_foreign_socket_group_uses_tmpfiles() -> None:
    host = Host("debian-24.11", slurmrestd_service_socket_group="portal")
    unit = host.apply()
    assert "d /run/slurmrestd 2750 slurmrestd portal -" in host.files["/etc/tmpfiles.d/slurmrest.conf"]
    assert unit.words("RuntimeDirectory") == []
    assert unit.words("ReadWritePaths") == ["/run/slurmrestd"]


def test_the_usual_socket_directory_is_made_by_systemd() -> None:
    host = Host("debian-24.11")
    unit = host.apply()
    assert host.render()["/etc/tmpfiles.d/slurmrest.conf"]["state"] == "absent"
    assert (unit.words("RuntimeDirectory"), unit.last("RuntimeDirectoryMode")) == (["slurmrestd"], "0750")


@pytest.mark.parametrize(
    ("version", "processors", "threads"),
    [("22.05.8", 1, 4), ("24.11.5", 6, 12), ("24.11.5", 64, 20), ("25.05.0", 64, 0), ("26.05.5", 2, 0)],
)
def test_threads_follow_the_processors_also_where_the_daemon_starts_twenty(
    version: str, processors: int, threads: int
) -> None:
    facts = {"release": lookup(version).as_dict(), "processors": processors}
    assert evaluate("slurmrestd_service", "slurmrestd_service_threads", {}, facts) == threads


def test_options_reach_the_command_line() -> None:
    unit = Host(
        "upstream-25.11",
        slurmrestd_service_threads=4,
        slurmrestd_service_max_connections=250,
        slurmrestd_service_data_parsers=["v0.0.44"],
        slurmrestd_service_openapi_plugins=["slurmctld"],
        slurmrestd_service_extra_options="-v -v",
        slurmrestd_service_debug="debug",
        slurm_common_config_dir="/opt/slurm/etc",
    ).apply()
    options = {option.flag: option.value for option in unit.options}
    assert options == {
        "-v": None,
        "-a": "rest_auth/jwt",
        "-f": "/opt/slurm/etc/slurm.conf",
        "-s": "slurmctld",
        "-d": "v0.0.44",
        "-t": "4",
        "--max-connections": "250",
    }
    assert unit.environment["SLURMRESTD_DEBUG"].value == "debug"
    assert unit.conditions == ["ConditionPathExists=/opt/slurm/etc/slurm.conf"]


@pytest.mark.parametrize("value", ["plain", "two words", 'quotes " and \\ and $HOME and `x`', "percent %h", "umlaut ä"])
def test_environment_values_arrive_as_they_are(value: str) -> None:
    unit = Host("debian-26.05", slurmrestd_service_environment={"SLURM_DEBUG_FLAGS": value}).apply()
    assert unit.environment["SLURM_DEBUG_FLAGS"].value == value


def test_a_sandbox_directive_can_be_changed_or_dropped() -> None:
    unit = Host("debian-24.11", slurmrestd_service_sandbox={"PrivateUsers": "no", "ProcSubset": None}).apply()
    assert unit.last("PrivateUsers") == "no"
    assert unit.last("ProcSubset") is None
    assert unit.last("ProtectSystem") == "strict"


def sandbox() -> list[str]:
    """Every directive of the sandbox as it comes, whatever file or section of the drop-in it is in."""
    host = Host("debian-24.11", systemd=257, slurmrestd_service_clients=["192.0.2.0/24"], **PEERS)
    chosen = evaluate("slurmrestd_service", "__slurmrestd_service_sandbox", host.variables, host.facts())
    return sorted(chosen)


PEERS: dict[str, Any] = {
    "__slurmrestd_service_addresses": {"stdout": "10.0.0.1 STREAM ctl\n10.0.0.1 DGRAM\nfd00::1 STREAM db\n"},
    "__slurmrestd_service_resolver": {"stdout": "# made by hand\nsearch example.org\nnameserver 10.0.0.2\n"},
}


def test_each_directive_can_be_left_out_by_the_variable() -> None:
    names = sandbox()
    assert {"Restart", "StartLimitBurst", "MemoryMax", "TasksMax", "LimitCORE", "IPAddressDeny"} <= set(names)
    for left_out in ({*names}, {"Restart"}, {"SystemCallFilter"}):
        variables = {"slurmrestd_service_clients": ["192.0.2.0/24"], **PEERS}
        variables["slurmrestd_service_sandbox"] = dict.fromkeys(left_out)
        text = Host("debian-24.11", systemd=257, **variables).render()[DROPIN]["content"]
        left = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
        assert {*names} - left == left_out


def test_it_restarts_ever_more_slowly_and_gives_up() -> None:
    for systemd, steps in ((252, None), (257, "5")):
        unit = Host("debian-24.11", systemd=systemd).apply()
        assert (unit.last("Restart"), unit.last("RestartSec"), unit.last("RestartSteps")) == ("always", "1", steps)
        unit_section = Host("debian-24.11", systemd=systemd).render()[DROPIN]["content"].partition("[Service]")[0]
        assert "StartLimitIntervalSec=300\nStartLimitBurst=10\n" in unit_section or (
            "StartLimitBurst=10\nStartLimitIntervalSec=300\n" in unit_section
        )


def test_clients_are_allowed_beside_those_whom_the_daemon_needs() -> None:
    unit = Host("debian-24.11", slurmrestd_service_clients=["192.0.2.0/24"], **PEERS).apply()
    assert unit.last("IPAddressDeny") == "any"
    assert unit.words("IPAddressAllow") == ["localhost", "192.0.2.0/24", "10.0.0.1", "10.0.0.2", "fd00::1"]
    assert Host("debian-24.11").apply().last("IPAddressDeny") is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_tasks_are_bounded_above_the_threads(vendor: str) -> None:
    host = Host(vendor)
    release = host.row.release
    assert int(host.apply().last("TasksMax") or 0) > (release.default_threads or release.max_threads)
    assert Host(vendor, slurmrestd_service_threads=4).apply().last("TasksMax") == "68"


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_unit_as_shipped_is_confined(vendor: str, tmp_path: Path) -> None:
    """As this host's systemd scores it; the scores on each release are measured there (docs/security.md)."""
    host = Host(vendor)
    host.apply()
    text = f"{host.files[VENDOR_UNIT]}\n{host.files[DROPIN]}"
    (tmp_path / "slurmrestd.service").write_text(text)
    assert exposure(tmp_path / "slurmrestd.service") <= 1.5


@pytest.mark.parametrize("vendor", VENDORS)
def test_sockets_of_old_releases_are_removed_before_the_start(vendor: str) -> None:
    host = Host(vendor)
    unit = host.apply()
    removes = [entry.value for entry in unit.setting("ExecStartPre").values]
    expected = [] if host.row.release.unlinks_stale_socket else ["-/bin/rm -f /run/slurmrestd/slurmrestd.socket"]
    assert removes == expected
    assert unit.last("UMask") == ("0077" if host.row.release.socket_mode_0777 else "0007")


def test_nothing_of_an_unprivileged_service_is_left_to_chance() -> None:
    text = Host("debian-24.11").render()[DROPIN]["content"]
    assert text.startswith("#")
    assert "Ansible managed" in text.splitlines()[1] or "Ansible managed" in text.splitlines()[0]


SITE = {
    "slurmrestd_service_listen": ["[::]:6820"],
    "slurm_common_slurmrestd_user": "rest",
    "slurm_common_slurmrestd_group": "rest",
    "slurmrestd_service_threads": 40,
    "slurmrestd_service_socket_everyone": True,
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_service_that_runs_stays_as_it_is(vendor: str) -> None:
    host = Host(vendor)
    host.found = {"adopted": SITE, "environment_file": {"ours": False, "variables": []}}
    unit = host.apply()
    assert (unit.user, unit.group) == ("rest", "rest")
    assert [entry.text for entry in unit.listeners] == ["[::]:6820"]
    assert {option.flag: option.value for option in unit.options}["-t"] == "40"
    assert adoption.remembered(str(host.files[DROPIN])) == SITE


def test_what_the_inventory_says_wins_and_is_told() -> None:
    host = Host("debian-24.11", slurmrestd_service_threads=8, slurm_common_slurmrestd_user="slurmrestd")
    lost = {"slurm_common_slurmrestd_user": "root"}
    kept = {name: value for name, value in SITE.items() if name not in lost}
    host.found = {"adopted": kept, "not_adopted": lost, "environment_file": {"ours": False, "variables": []}}
    said = evaluate("slurmrestd_service", "__slurmrestd_service_found", host.variables, host.facts())
    assert said == [
        'slurm_common_slurmrestd_group: "rest" stays',
        'slurm_common_slurmrestd_user: "root" becomes "slurmrestd"',
        'slurmrestd_service_listen: ["[::]:6820"] stays',
        "slurmrestd_service_socket_everyone: true stays",
        "slurmrestd_service_threads: 40 becomes 8",
    ]
    unit = host.apply()
    assert unit.user == "slurmrestd"
    assert {option.flag: option.value for option in unit.options}["-t"] == "8"


def test_an_environment_file_of_the_site_stays_and_is_not_used_for_options() -> None:
    host = Host("debian-24.11", slurmrestd_service_extra_options="-v", slurmrestd_service_debug="info")
    file = "/etc/default/slurmrestd"
    host.files[file] = "SLURMRESTD_OPTIONS='-u nobody 0.0.0.0:1234'\nSLURMRESTD_LISTEN=:6820\nTZ=UTC\n"
    variables = ["SLURMRESTD_LISTEN", "SLURMRESTD_OPTIONS", "TZ"]
    host.found = {"adopted": SITE, "environment_file": {"ours": False, "variables": variables}}
    before = host.files[file]
    unit = host.apply()
    assert host.files[file] == before
    assert [entry.text for entry in unit.listeners] == ["[::]:6820"]
    assert unit.environment["SLURM_JWT"].value == "daemon"
    assert {option.flag for option in unit.options} >= {"-v", "-a", "-t"}
    assert "-u" not in {option.flag for option in unit.options}
    assert unit.environment["SLURMRESTD_DEBUG"].value == "info"
    assert unit.environment["TZ"].value == "UTC"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_configless_host_reads_what_sackd_fetched(vendor: str, tmp_path: Path) -> None:
    host = Host(vendor)
    host.found = {"slurm_conf": {**host.facts()["slurm_conf"], "path": "/run/slurm/conf/slurm.conf"}}
    unit = host.apply()
    assert unit.conditions == []
    assert {option.flag: option.value for option in unit.options}["-f"] == "/run/slurm/conf/slurm.conf"
    assert "After=sackd.service slurmd.service\n" in host.files[DROPIN]
    assert "StartLimitIntervalSec=0\n" in host.files[DROPIN]
    assert verified(host, tmp_path) == ""
    host.variables["slurm_conf_cluster_name"] = "ours"
    assert "/run/slurm/conf" not in str(host.render()[DROPIN]["content"]), (
        "a cluster of this toolkit has files of its own"
    )


def test_no_key_is_there_for_the_service() -> None:
    unit = Host("debian-24.11", slurm_common_config_dir="/opt/etc").apply()
    assert set(unit.words("InaccessiblePaths")) >= {"-/etc/slurm/slurm.key", "-/opt/etc/slurm.key", "-/etc/munge"}


TEMPLATE = "/etc/systemd/system/slurmrestd@.service"


@pytest.mark.parametrize("vendor", VENDORS)
def test_instances_share_nothing_but_the_template(vendor: str, tmp_path: Path) -> None:
    rendered: dict[str, dict[str, str]] = {}
    for instance in ("alpha", "beta"):
        host = Host(vendor, slurm_common_slurmrestd_instance=instance)
        host.fragment = ""  # the vendor's slurmrestd.service is another unit
        host.found = {"vendor_unit": units.effective(None, [], host.files.get).as_dict()}
        template = evaluate("slurmrestd_service", "__slurmrestd_service_unit_files", host.variables, host.facts())
        rendered[instance] = {
            path: str(entry["content"])
            for path, entry in {**host.render(), TEMPLATE: template[0]}.items()
            if entry.get("state", "present") == "present"
        }
        assert TEMPLATE not in host.render(), "removing one instance leaves it to the others"
    shared = set(rendered["alpha"]) & set(rendered["beta"])
    assert shared == {TEMPLATE}
    assert rendered["alpha"][TEMPLATE] == rendered["beta"][TEMPLATE]
    assert rendered["alpha"] != rendered["beta"]
    own = {path for path in rendered["alpha"] if path not in shared}
    dropin = "/etc/systemd/system/slurmrestd@alpha.service.d/50-slurmrest.conf"
    assert own == {dropin, "/etc/default/slurmrestd@alpha"}

    files = rendered["alpha"]
    unit = units.effective(TEMPLATE, [dropin], files.get)
    assert [entry.text for entry in unit.listeners] == ["unix:/run/slurmrestd-alpha/slurmrestd.socket"]
    assert (unit.user, len(unit.exec_start)) == ("slurmrestd", 1)
    assert {option.flag: option.value for option in unit.options}["-f"] == "/etc/slurm/alpha/slurm.conf"
    assert unit.conditions == ["ConditionPathExists=/etc/slurm/alpha/slurm.conf"]
    assert [file.path for file in unit.environment_files] == ["/etc/default/slurmrestd@alpha"]
    assert unit.words("RuntimeDirectory") == ["slurmrestd-alpha"]
    assert contradictions(unit, [dropin, TEMPLATE]) == []
    host.files = {VENDOR_UNIT: files[TEMPLATE], DROPIN: files[dropin]}
    assert verified(host, tmp_path) == ""
