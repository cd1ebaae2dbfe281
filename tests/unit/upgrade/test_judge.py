"""What a release means for a site: every pair of releases, and overrides as admins write them."""

from __future__ import annotations

from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.slurm.releases import RELEASES, lookup
from slurmrest.slurm.version import Version
from slurmrest.slurmrestd import preflight, unit_places
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd.contradictions import contradictions
from slurmrest.systemd import environment_files, unit_files
from slurmrest.transaction.set_aside import without_lines
from slurmrest.upgrade.case import Case, Consequence
from slurmrest.upgrade.judge import UpgradeReport, report

from tests.unit.dropin import OURS

FRAGMENT = "/usr/lib/systemd/system/slurmrestd.service"
OVERRIDE = "/etc/systemd/system/slurmrestd.service.d/override.conf"
ENVIRONMENT = "/etc/default/slurmrestd"
VENDOR = """\
[Unit]
ConditionPathExists=/etc/slurm/slurm.conf
[Service]
EnvironmentFile=-/etc/default/slurmrestd
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS unix:/run/slurmrestd.socket 0.0.0.0:6820
Environment="SLURM_JWT=daemon"
ExecReload=/bin/kill -HUP $MAINPID
"""
MARKER = "# slurmrest.toolkit wrote this file\n"
PAIRS = [(old.last_known, new.last_known) for old in RELEASES for new in RELEASES]


class Site:
    """One REST host with its controller and slurmdbd, and the files of its unit."""

    def __init__(self, old: str = "24.11.5", new: str = "26.05.5", **files: str) -> None:
        self.files = {FRAGMENT: VENDOR, unit_places.DROPIN: OURS, ENVIRONMENT: MARKER, **files}
        self.variables: dict[str, Any] = {"slurmrestd_service_listen": ["127.0.0.1:6820"]}
        self.owned = {unit_places.DROPIN, ENVIRONMENT} if MARKER in self.files[ENVIRONMENT] else {unit_places.DROPIN}
        self.active = "active"
        self.dropin = unit_places.DROPIN
        self.new = new
        self.rest = self.look("slurmrestd", versions={"slurmrestd": new}, upgraded_from=old)
        self.ctl = self.look("slurmctld", versions={"slurmctld": new}, state={"series": Version.parse(new).series})
        self.dbd = self.look("slurmdbd", versions={"slurmdbd": new})

    @staticmethod
    def look(daemon: str, **more: Any) -> dict[str, Any]:
        return {
            "components": [daemon],
            "versions": {},
            "candidates": {},
            "state": {},
            "backups": {},
            "usage": {},
            "usage_days": 30,
            "usage_known": True,
            "upgraded_from": None,
            "outdated": [],
            "restarts": False,
            "others": {},
            "running": [],
            "readers": {},
            "usage_why": "there is no log",
            **more,
        }

    def unit(self, without: str = "") -> units.EffectiveUnit:
        dropins = [path for path in self.files if "service.d/" in path and path != without]
        return units.effective(FRAGMENT, dropins, self.files.get)

    def facts(self) -> dict[str, Any]:
        text = self.files.get(ENVIRONMENT, "")
        row = lookup(self.new).release
        return {
            "version": self.new,
            "dropin": self.dropin,
            "unit": self.unit().as_dict(),
            "unit_without_ours": self.unit(self.dropin).as_dict(),
            "vendor_unit": units.effective(FRAGMENT, [], self.files.get).as_dict(),
            "contradictions": [item.as_dict() for item in contradictions(self.unit(), {self.dropin, ENVIRONMENT})],
            "environment_file": {
                "path": ENVIRONMENT,
                "ours": MARKER in text,
                "variables": sorted(
                    {item.name for item in environment_files.parse_environment_file(text, ENVIRONMENT)}
                ),
            },
            "units": {"slurmrestd": {"active": self.active}},
            "plugins": {"openapi": ["slurmctld", "slurmdbd", "util"], "data_parser": list(row.api_versions)},
        }

    def report(self, *accepted: str) -> UpgradeReport:
        looks = {"rest": self.rest, "ctl": self.ctl, "dbd": self.dbd}
        return report(Case("rest", self.facts(), looks, self.variables, self.files), accepted)

    def found(self, name: str) -> list[Consequence]:
        return [finding for finding in self.report().findings if finding.id == name]

    def ids(self) -> set[str]:
        return {finding.id for finding in self.report().findings}

    def migrated(self) -> units.EffectiveUnit:
        """Return the unit after what is set aside is gone."""
        for item in self.report().aside:
            text = self.files.pop(item.path)
            if item.lines:
                self.files[item.path] = without_lines(text, item.lines)
        return self.unit()


def test_a_site_without_a_past_has_nothing_to_be_told() -> None:
    site = Site("26.05.5", "26.05.5")
    assert site.ids() == set()
    assert site.report().aside == ()


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_every_pair_of_releases_for_the_daemons(old: str, new: str) -> None:
    site = Site(old, new)
    site.ctl["state"] = {"series": Version.parse(old).series}
    site.dbd["upgraded_from_slurmdbd"] = old
    series = Version.parse(old).series
    same = series == Version.parse(new).series
    allowed = same or series in lookup(new).release.upgrades_from
    ids = site.ids()
    assert ("jump-state" in ids, "jump-database" in ids) == (not allowed, not allowed)
    assert {"backup-state", "backup-database"} <= ids if not same else not ids
    for finding in site.found("jump-state"):
        assert finding.blocking
        assert series in finding.what
        if "upgrade to " in finding.remedy:
            via = finding.remedy.split()[2]
            assert series in lookup(via).release.upgrades_from
            assert via in lookup(new).release.upgrades_from


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_every_pair_of_releases_for_the_clients(old: str, new: str) -> None:
    site = Site(old, new)
    before, after = lookup(old).release.api_versions, lookup(new).release.api_versions
    entry = {"requests": 3, "clients": ["portal.example"], "users": ["alice"], "last": "2026-11-19"}
    site.rest["usage"] = {before[0]: entry}
    gone = site.found("api-gone")
    assert bool(gone) == (before[0] not in after)
    for finding in gone:
        assert not finding.blocking, "it is installed already"
        assert "3 times by alice from portal.example" in finding.what
        shared = [api for api in after if api in before]
        assert not shared or f"{shared[-1]} (both releases serve it)" in finding.remedy
    unused = site.found("api-unused")
    assert [api for finding in unused for api in before if api in finding.what] == [
        api for api in before[1:] if api not in after
    ]
    deprecated = site.found("api-deprecated")
    assert bool(deprecated) == (before[0] in lookup(new).release.deprecated_api)
    assert not shared_with(before, after) or all("both releases serve it" in found.remedy for found in deprecated)


def shared_with(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return any(api in before for api in after[1:])


def test_what_was_gone_before_does_not_stop_this_upgrade() -> None:
    site = Site("24.11.5", "26.05.5")
    entry = {"requests": 3, "clients": ["x"], "users": [], "last": "2026-11-19"}
    site.rest["usage"] = {"v0.0.37": entry}
    assert site.found("api-gone") == []


@pytest.mark.parametrize(("ctld", "rest"), PAIRS)
def test_every_pair_of_slurmctld_and_slurmrestd(ctld: str, rest: str) -> None:
    site = Site(rest, rest)
    site.ctl.update(versions={"slurmctld": ctld}, state={"series": Version.parse(ctld).series})
    newer = Version.parse(rest).series > Version.parse(ctld).series
    served = {Version.parse(ctld).series, *lookup(ctld).release.upgrades_from}
    assert bool(site.found("slurmrestd-newer")) == newer
    assert bool(site.found("slurmrestd-too-old")) == (not newer and Version.parse(rest).series not in served)


def test_patch_levels_do_not_count() -> None:
    site = Site("24.11.5", "24.11.7")
    site.ctl.update(versions={"slurmctld": "24.11.5"}, state={"series": "24.11"})
    assert site.ids() == set()


def test_packages_that_are_about_to_come_count() -> None:
    site = Site("24.11.5", "24.11.5")
    site.rest["candidates"] = {"slurmrestd": "26.05.5-1"}
    site.ctl.update(versions={"slurmctld": "24.11.5"}, state={"series": "24.11"})
    assert "slurmrestd-newer" in site.ids()
    site.ctl["candidates"] = {"slurmctld": "26.05.5-1"}
    site.dbd["candidates"] = {"slurmdbd": "26.05.5-1"}
    ids = site.ids()
    assert "slurmrestd-newer" not in ids
    assert {"backup-state", "backup-database", "unit-style"} <= ids
    assert not ids & {"jump-state", "jump-database"}
    assert site.report().version == "26.05.5"
    assert site.report().before == "24.11.5"


def test_debian_12_to_13_is_no_upgrade_that_slurm_allows() -> None:
    site = Site("22.05.8-4+deb12u3", "24.11.5")
    site.ctl["state"] = {"series": "22.05"}
    (finding,) = site.found("jump-state")
    assert "upgrade to 23.11 first" in finding.remedy or "upgrade to 23.02 first" in finding.remedy


def test_a_daemon_that_was_not_restarted() -> None:
    site = Site("26.05.5", "26.05.5")
    site.ctl["outdated"] = ["slurmctld"]
    assert site.ids() == {"daemon-outdated"}
    site.ctl["restarts"] = True
    assert site.ids() == set()


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        (None, "is not set"),
        ({"path": "/b", "exists": False, "bytes": 0, "hours": 0.0}, "is not there"),
        ({"path": "/b", "exists": True, "bytes": 0, "hours": 0.0}, "is empty"),
        ({"path": "/b", "exists": True, "bytes": 9, "hours": 25.0}, "25 hours old"),
        ({"path": "/b", "exists": True, "bytes": 9, "hours": 23.0}, ""),
    ],
)
def test_backups(backup: dict[str, Any] | None, said: str) -> None:
    site = Site()
    site.ctl["state"] = {"series": "24.11"}
    site.ctl["backups"] = {"slurmctld": backup}
    found = site.found("backup-state")
    assert [said in finding.what for finding in found] == ([True] if said else [])


def test_what_runs_already_needs_no_backup() -> None:
    assert not {"backup-state", "backup-database"} & Site().ids()


def test_no_log_is_said() -> None:
    site = Site()
    site.rest["usage_known"] = False
    assert "there is no log" in site.found("api-unused")[0].what


def test_a_log_that_is_too_long_to_be_searched_is_no_missing_one() -> None:
    site = Site()
    site.rest.update(usage_known=False, usage_why="slurmrestd's log is so long that 60 s were not enough to search it")
    assert "so long that 60 s" in site.found("api-unused")[0].what


def test_a_daemon_that_no_group_names_stops_the_upgrade_of_its_package() -> None:
    site = Site()
    coming = dict.fromkeys(("slurmrestd", "slurmdbd"), "26.05.5-1")
    site.rest.update(versions={"slurmrestd": "24.11.5"}, candidates=coming)
    assert not site.found("daemon-unlisted"), "it does not run"
    site.rest["running"] = ["slurmrestd", "slurmdbd"]
    (found,) = site.found("daemon-unlisted")
    assert (found.blocking, found.what.split()[0]) == (True, "slurmdbd")
    site.rest["components"] = ["slurmrestd", "slurmdbd"]
    assert not site.found("daemon-unlisted")


def test_an_environment_file_that_others_read_is_not_replaced() -> None:
    site = Site(**{ENVIRONMENT: "SLURM_CONF=/etc/slurm/slurm.conf\n"})
    site.rest["readers"] = {"/etc/default/slurmctld": ["slurmctld"]}
    assert not site.found("environment-shared")
    site.rest["readers"] = {ENVIRONMENT: ["slurmctld", "slurmd"]}
    (found,) = site.found("environment-shared")
    assert found.blocking
    assert "slurmctld, slurmd" in found.what
    site.files[ENVIRONMENT] = MARKER
    assert not site.found("environment-shared"), "ours already"


def test_an_acceptance_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="slurmrest_upgrade_accept: 'api_gone' is refused"):
        Site().report("api_gone")


def test_what_is_accepted_does_not_stop() -> None:
    site = Site()
    site.rest.update(versions={"slurmrestd": "24.11.5"}, candidates={"slurmrestd": "26.05.5-1"})
    site.rest["usage"] = {"v0.0.40": {"requests": 1, "clients": ["x"], "users": [], "last": "2026-11-19"}}
    assert [finding.id for finding in site.report().blocking] == ["api-gone"]
    assert site.report("api-gone").blocking == []
    assert site.report("api-gone").as_dict()["blocking"] == []
    assert "STOP  api-gone" in "\n".join(site.report("api-gone").as_dict()["lines"])


# --- overrides, as they are found at sites ----------------------------------------------------------------------------

DUPLICATE = "[Service]\nUser=slurmrestd\nExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS 0.0.0.0:6820\n"
BOTH_PLACES = "[Service]\nEnvironment=SLURMRESTD_LISTEN=0.0.0.0:6820,unix:/run/slurmrestd/s\nLimitNOFILE=8192\n"
OF_22_05 = """\
# systemctl edit slurmrestd, 2022
[Service]
Environment="SLURM_JWT=daemon"
ExecStart=
ExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt -s openapi/v0.0.38,openapi/dbv0.0.38 0.0.0.0:6820
ExecReload=
User=slurmrestd
Restart=on-failure
"""
SECTIONED = "[Service]\nEnvironment=SLURM_JWT=daemon\nUser=slurmrestd\nSLURMRESTD_OPTIONS=-v\n"


@pytest.mark.parametrize(
    ("text", "stays"),
    [(DUPLICATE, []), (BOTH_PLACES, ["LimitNOFILE"]), (OF_22_05, ["Restart"])],
    ids=["duplicate ExecStart", "listeners in both places", "22.05"],
)
def test_an_override_is_set_aside_and_ours_is_in_force(text: str, stays: list[str]) -> None:
    site = Site(**{OVERRIDE: text})
    (finding,) = site.found("override-harmful")
    assert not finding.blocking
    assert f"{OVERRIDE}.slurmrest-kept" in finding.remedy
    facts = preflight.without({**site.facts()}, [item.path for item in site.report().aside])
    assert facts["contradictions"] == []
    unit = site.migrated()
    assert len(unit.exec_start) == 1
    assert [entry.text for entry in unit.listeners] == ["127.0.0.1:6820"]
    left = [entry.key for entry in unit_files.parse_unit(site.files.get(OVERRIDE, ""), OVERRIDE)]
    assert left == stays
    assert "override-harmful" not in site.ids()
    assert site.report().aside == ()


def test_two_commands_are_called_by_name() -> None:
    (finding,) = Site(**{OVERRIDE: DUPLICATE}).found("override-harmful")
    assert "two commands add up" in finding.consequence


def test_its_listeners_are_not_lost_unseen() -> None:
    site = Site(**{OVERRIDE: OF_22_05})
    (finding,) = site.found("listener-lost")
    assert finding.blocking
    assert "0.0.0.0:6820" in finding.what
    site.variables["slurmrestd_service_listen"] = ["0.0.0.0:6820"]
    assert site.found("listener-lost") == []


def test_listeners_of_a_vendor_s_unit_that_never_ran_are_nobody_s() -> None:
    site = Site()
    del site.files[unit_places.DROPIN]
    site.active = "failed"
    assert site.found("listener-lost") == []
    site.active = "active"
    assert site.found("listener-lost")


def test_plugins_of_an_override_that_goes_do_not_stop() -> None:
    found = Site(**{OVERRIDE: OF_22_05}).found("plugin-gone")
    assert [finding.what.split()[3] for finding in found] == ["openapi/v0.0.38,", "openapi/dbv0.0.38,"]
    assert not any(finding.blocking for finding in found)


def test_plugins_of_the_inventory_do() -> None:
    pinned = OURS.replace("rest_auth/jwt", "rest_auth/jwt -d v0.0.40")
    site = Site(**{unit_places.DROPIN: pinned})
    (finding,) = site.found("plugin-gone")
    assert not finding.blocking, "the inventory does not state it any more"
    site.variables["slurmrestd_service_data_parsers"] = ["v0.0.40+fast"]
    (finding,) = site.found("plugin-gone")
    assert finding.blocking
    assert "slurmrestd_service_data_parsers" in finding.remedy


def test_before_it_is_installed_the_table_knows_the_plugins() -> None:
    site = Site("24.05.8", "24.05.8", **{OVERRIDE: OF_22_05.replace("38", "39")})
    site.rest["candidates"] = {"slurmrestd": "24.11.5"}
    assert len(site.found("plugin-gone")) == 2
    site.rest["candidates"] = {"slurmrestd": "24.05.9"}
    assert site.found("plugin-gone") == []


def test_a_unit_file_in_place_of_an_environment_file() -> None:
    site = Site(**{ENVIRONMENT: SECTIONED})
    assert "a [Section]" in site.found("override-harmful")[0].what
    assert [item.path for item in site.report().aside] == [ENVIRONMENT]
    assert site.found("environment-unstated") == []
    facts = preflight.without(site.facts(), [ENVIRONMENT])
    assert facts["environment_file"]["variables"] == []
    assert facts["unit"]["environment_files"] == []


def test_variables_that_the_inventory_does_not_state_stop() -> None:
    site = Site(**{ENVIRONMENT: 'SLURMRESTD_OPTIONS="-v --generate-x"\nTZ=UTC\nSLURMRESTD_LISTEN=127.0.0.1:6820\n'})
    (finding,) = site.found("environment-unstated")
    assert finding.blocking
    assert "slurmrestd_service_environment: TZ" in finding.what
    assert "slurmrestd_service_extra_options: --generate-x" in finding.what
    assert "LISTEN" not in finding.what
    site.variables.update(slurmrestd_service_environment={"TZ": "UTC"}, slurmrestd_service_extra_options="--generate-x")
    assert site.found("environment-unstated") == []
    assert [item.path for item in site.report().aside] == [ENVIRONMENT]


def test_an_instance_is_judged_by_its_own_drop_in() -> None:
    dropin = unit_places.DROPIN.replace("slurmrestd.service", "slurmrestd@beta.service")
    override = dropin.replace("50-slurmrest", "override")
    site = Site(**{dropin: OURS, override: OF_22_05})
    del site.files[unit_places.DROPIN]
    site.dropin = dropin
    assert [(item.path, item.lines) for item in site.report().aside] == [(override, (3, 4, 5, 6, 7))]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/system/service.d/site.conf",
        "/usr/lib/systemd/system/slurmrestd.service.d/site.conf",
        "/etc/systemd/system/slurmrestd@.service.d/site.conf",
    ],
)
@pytest.mark.parametrize("text", ["[Service]\nUser=www\n", "[Service]\nEnvironmentFile=/etc/site/rest\n"])
def test_a_drop_in_that_is_not_of_this_unit_alone_stops(path: str, text: str) -> None:
    site = Site(**{path: text, "/etc/site/rest": "SLURM_JWT=other\n"})
    (finding,) = site.found("override-elsewhere")
    assert finding.blocking
    assert f"site.conf in {unit_places.DROPIN.rpartition('/')[0]}" in finding.remedy
    assert site.report().aside == ()
    assert site.found("override-harmful") == []


def test_instances_of_other_clusters_are_not_made_newer_unseen() -> None:
    site = Site()
    site.rest["others"] = {"slurmrestd@beta.service": False}
    assert site.found("other-instances") == [], "they run on it already"
    site.rest["others"] = {"slurmrestd@beta.service": True, "slurmrestd@gamma.service": False}
    (finding,) = site.found("other-instances")
    assert not finding.blocking
    assert "beta" in finding.what
    assert "gamma" not in finding.what
    site.rest.update(versions={"slurmrestd": "24.11.5"}, candidates={"slurmrestd": "26.05.5"})
    (finding,) = site.found("other-instances")
    assert finding.blocking
    assert "gamma" in finding.what


def test_an_environment_file_that_only_an_override_reads() -> None:
    site = Site(
        **{OVERRIDE: "[Service]\nEnvironmentFile=/etc/site/rest\nNice=3\n", "/etc/site/rest": "SLURM_JWT=other\n"}
    )
    (item,) = site.report().aside
    assert (item.path, item.lines) == (OVERRIDE, (2,)), "the file is not ours to remove, and the line must not miss it"
    assert site.migrated().environment["SLURM_JWT"].value == "daemon"
    facts = preflight.without(Site(**site.files).facts(), [OVERRIDE])
    assert facts["contradictions"] == []


def test_what_says_the_same_as_ours_is_needless() -> None:
    site = Site(**{OVERRIDE: "[Service]\nUser=slurmrestd\nNice=3\n"})
    (finding,) = site.found("override-needless")
    assert not finding.blocking
    assert "User" in finding.what
    assert site.report().aside == ()


@pytest.mark.parametrize(
    ("new", "options", "environment", "said"),
    [
        ("24.11.5", "-t 1200", "", "-t 1200"),
        ("24.11.5", "-t 400", "", ""),
        ("25.11.7", "-t 400", "", ""),  # takes 256
        ("22.05.8", "-d v0.0.38", "", "there is no such option"),
        ("22.05.8", "--max-connections 5", "", "there is no such option"),
        ("25.05.8", "", "SLURMRESTD_SECURITY=disable_user_check", "aborts"),
        ("24.11.5", "", "SLURMRESTD_SECURITY=disable_user_check", ""),
        ("24.11.5", "", "SLURMRESTD_SECURITY=nonsense", "allowed are"),
        ("22.05.8", "", "SLURMRESTD_DEBUG=info", "allowed are"),
        ("24.11.5", "", "SLURMRESTD_DEBUG=info", ""),
    ],
)
def test_options_that_end_the_daemon(new: str, options: str, environment: str, said: str) -> None:
    text = OURS.replace("rest_auth/jwt", f"rest_auth/jwt {options}")
    site = Site(new, new, **{unit_places.DROPIN: f"{text}Environment={environment}\n"})
    found = site.found("option-gone")
    assert [said in finding.what for finding in found] == ([True] if said else [])
    assert all(finding.blocking for finding in found)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_every_pair_of_unit_styles(old: str, new: str) -> None:
    before, after = lookup(old).release, lookup(new).release
    columns = ("unit_listeners", "unit_listen_variable", "unit_sets_jwt", "unit_user", "unit_exec_reload")
    differ = any(getattr(before, column) != getattr(after, column) for column in columns)
    assert bool(Site(old, new).found("unit-style")) == differ
