"""The release table: lookup, cells that change inside a series, consistency of the rows."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from slurmrest.errors import InputError
from slurmrest.slurm.api_versions import API_VERSIONS
from slurmrest.slurm.releases import RELEASES, Release, Since, excerpt, first_with, lookup
from slurmrest.slurm.version import Version, columns_of

from tests.meta.tree import ROOT

SERIES = ["20.11", "21.08", "22.05", "23.02", "23.11", "24.05", "24.11", "25.05", "25.11", "26.05"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22.05.8", Version(22, 5, 8)),
        ("slurm-wlm 22.05.8", Version(22, 5, 8)),
        ("slurm 21.08.8-2\n", Version(21, 8, 8)),
        ("22.05.8-4+deb12u3", Version(22, 5, 8)),
        ("24.11.0-0rc1", Version(24, 11, 0)),
        ("25.05.0rc1", Version(25, 5, 0)),
        ("26.11.0-0pre1", Version(26, 11, 0)),
        ("24.05", Version(24, 5, 0)),
    ],
)
def test_version_is_read_from_what_people_and_daemons_write(text: str, expected: Version) -> None:
    assert Version.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "  ", "slurm", "24", "24.5.1", "v24.05.1", "24.11.x", "24.11.5.1", "slurm 24.11.5 extra"]
)
def test_what_is_no_version_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Version.parse(text, "slurm_packages_version")
    assert str(refused.value).startswith(f"slurm_packages_version: {text!r} is refused")


def test_versions_order_by_number_not_by_text() -> None:
    assert Version.parse("24.05.10") > Version.parse("24.05.9") > Version.parse("23.11.11")
    assert str(Version.parse("24.05.10")) == "24.05.10"
    assert Version.parse("24.05.10").series == "24.05"


def test_the_table_has_every_series_in_order() -> None:
    assert [row.series for row in RELEASES] == SERIES


def test_a_row_has_a_source_of_its_own() -> None:
    """A new row starts from the one before: what was not written anew is still that one's."""
    assert len({row.source for row in RELEASES}) == len(RELEASES)


def test_each_series_is_reached_from_the_one_before() -> None:
    assert [row.upgrades_from[0] for row in RELEASES[1:]] == SERIES[:-1]


@pytest.mark.parametrize("series", SERIES)
def test_each_series_is_rendered_with_its_own_unit(series: str) -> None:
    assert (ROOT / "tests" / "render" / "units" / f"upstream-{series}.service").is_file()


@pytest.mark.parametrize("row", RELEASES, ids=SERIES)
def test_row_is_consistent(row: Release) -> None:
    release = lookup(row.last_known).release
    assert release.series == row.series
    assert release.source
    assert release.newest_api == release.api_versions[-1] == max(release.api_versions)
    assert list(release.api_versions) == sorted(release.api_versions)
    assert set(release.api_versions) <= set(API_VERSIONS)
    assert set(release.slurmdb_api_versions) == {name for name in release.api_versions if API_VERSIONS[name].slurmdb}
    for column in (release.deprecated_api, release.api_needs_accounting, release.api_fails_with_slurmdbd):
        assert set(column) <= set(release.api_versions)
    assert release.newest_api not in release.deprecated_api
    assert not any(isinstance(getattr(release, field.name), Since) for field in fields(release))
    assert len(set(release.environment)) == len(release.environment)
    assert "disable_user_check" in release.security_values or "SLURMRESTD_SECURITY" not in release.environment
    assert ("SLURMRESTD_MAX_CONNECTIONS" in release.environment) == release.max_connections_flag
    assert ("SLURMRESTD_DATA_PARSER_PLUGINS" in release.environment) == release.data_parser_flag
    assert release.min_threads <= (release.default_threads or release.min_threads) <= release.max_threads
    without_accounting = release.openapi_without_accounting
    if without_accounting is not None:
        usable = [name for name in release.api_versions if name not in release.api_needs_accounting]
        assert without_accounting in {f"openapi/{usable[-1]}", "openapi/slurmctld"}
    # A drop-in never has to choose: either the unit lists its listeners or it sets the variable.
    assert bool(release.unit_listeners) != bool(release.unit_listen_variable)


@pytest.mark.parametrize("row", RELEASES, ids=SERIES)
def test_steps_of_a_cell_are_inside_the_series_and_ascend(row: Release) -> None:
    for field in fields(row):
        steps = [Version.parse(since) for since, _ in row.cell(field.name) if since is not None]
        assert steps == sorted(set(steps))
        assert all(step.series == row.series and Version.parse(row.series) < step for step in steps)
        assert all(step <= Version.parse(row.last_known) for step in steps)


@pytest.mark.parametrize(
    ("column", "before", "after"),
    [
        ("socket_mode_0777", ("22.05.6", False), ("22.05.7", True)),
        ("refuses_slurm_user", ("22.05.6", True), ("22.05.7", False)),
        ("refuses_slurm_user", ("24.05.3", False), ("24.05.4", True)),
        ("max_connections_flag", ("23.02.1", False), ("23.02.2", True)),
        ("unknown_job_status", ("23.02.3", 500), ("23.02.4", 404)),
        ("lifespan_infinite", ("23.11.1", False), ("23.11.2", True)),
        ("duplicate_listener_fatal", ("23.11.5", True), ("23.11.6", False)),
        ("unit_exec_reload", ("25.05.6", True), ("25.05.7", False)),
        ("unit_exec_reload", ("25.11.3", True), ("25.11.4", False)),
        ("jwks_skips_other_keys", ("26.05.2", False), ("26.05.3", True)),
    ],
)
def test_cells_that_change_inside_a_series(column: str, before: tuple[str, object], after: tuple[str, object]) -> None:
    assert getattr(lookup(before[0]).release, column) == before[1]
    assert getattr(lookup(after[0]).release, column) == after[1]


def test_a_later_series_starts_from_the_end_of_the_one_before() -> None:
    assert lookup("23.02.0").release.socket_mode_0777
    assert lookup("23.11.0").release.max_connections_flag
    assert not lookup("26.05.0").release.unit_exec_reload
    assert "disable_unshare_files" not in lookup("22.05.2").release.security_values
    assert "disable_unshare_files" in lookup("22.05.3").release.security_values


def test_an_unknown_newer_series_gets_the_newest_row_and_a_warning() -> None:
    row = lookup("27.05.1")
    assert row.release.series == SERIES[-1]
    assert row.warning is not None
    assert "27.05.1" in row.warning
    assert SERIES[-1] in row.warning


def test_a_series_between_two_rows_gets_the_older_one_and_a_warning() -> None:
    row = lookup("24.08.1")
    assert row.release.series == "24.05"
    assert row.warning is not None


def test_a_later_patch_level_of_a_known_series_is_no_surprise() -> None:
    assert lookup("24.11.99").warning is None


def test_a_release_older_than_the_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"'20\.02\.7' is refused.*Allowed: Slurm 20\.11 to 26\.05.*Upgrade"):
        lookup("20.02.7")


@pytest.mark.parametrize("series", SERIES)
def test_as_dict_is_what_json_returns(series: str) -> None:
    facts = lookup(series).as_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["newest_api"] in facts["api"]
    assert facts["series"] == series
    assert {field.name for field in fields(Release)} < set(facts)


@pytest.mark.parametrize(
    ("name", "environment", "script", "cwd", "stdout"),
    [
        ("v0.0.36", "object", "top", False, "standard_out"),
        ("v0.0.38", "object", "top", False, "standard_output"),
        ("v0.0.39", "list", "both", False, "standard_output"),
        ("v0.0.40", "list", "both", True, "standard_output"),
        ("v0.0.45", "list", "both", True, "standard_output"),
    ],
)
def test_payload_facts(name: str, environment: str, script: str, cwd: bool, stdout: str) -> None:
    api = API_VERSIONS[name]
    assert (api.environment, api.job_script, api.cwd_required, api.stdout_key) == (environment, script, cwd, stdout)


def test_first_version_with_a_capability() -> None:
    assert first_with("max_connections_flag") == "23.02.2"
    assert first_with("bearer") == "23.02"
    assert first_with("bad_token_status", 511) == "24.11"
    assert first_with("bad_token_status", 418) is None


def test_debug_levels_grow() -> None:
    assert "debug2" not in lookup("22.05.8").release.debug_levels
    assert "debug2" in lookup("23.02.0").release.debug_levels
    assert "quiet" not in lookup("23.02.8").release.debug_levels
    assert {"0", "9", "quiet", "debug5"} < set(lookup("23.11.0").release.debug_levels)


def test_ping_facts() -> None:
    shapes = [(API_VERSIONS[f"v0.0.{n}"].ping_key, API_VERSIONS[f"v0.0.{n}"].ping_up) for n in (38, 39, 41, 42, 45)]
    assert shapes == [("ping", "UP"), ("pinged", "UP"), ("pinged", "UP"), ("responding", True), ("responding", True)]


@pytest.mark.parametrize(
    "columns", [("include_beside_includer", "auth_alt_items"), ("wrong_method_status", "refuses_slurm_user")]
)
def test_an_excerpt_says_of_each_version_what_the_table_does(columns: tuple[str, ...]) -> None:
    part = excerpt(*columns)
    patches = {since for row in RELEASES for column in columns for since, _value in row.cell(column) if since}
    for version in [
        "99.11.3",
        *patches,
        *(row.last_known for row in RELEASES),
        *(f"{row.series}.0" for row in RELEASES),
    ]:
        release = lookup(version).release
        found = columns_of(part, version)
        assert found is not None
        for column in columns:
            value = getattr(release, column)
            assert found[column] == (list(value) if isinstance(value, tuple) else value), (version, column)


@pytest.mark.parametrize("version", [None, "19.05.8"])
def test_an_excerpt_says_nothing_of_what_is_not_in_the_table(version: str | None) -> None:
    assert columns_of(excerpt("jwks"), version) is None
