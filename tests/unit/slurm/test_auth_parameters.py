"""AuthAltParameters: what is made of wishes, and what a release would pass over in silence is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slurmrest.toolkit.plugins.filter.auth_alt_parameters import NAMES, FilterModule
from slurmrest.errors import InputError
from slurmrest.slurm.auth_parameters import read
from slurmrest.slurm.auth_wishes import items
from slurmrest.slurm.releases import RELEASES, lookup

ALL = {
    "jwt_key": "/k",
    "jwks": "/j.json",
    "userclaimfield": "preferred_username",
    "disable_token_creation": True,
    "max_token_lifespan": 3600,
    "client_ids": "use",
}


def test_the_items_have_one_order() -> None:
    assert items(ALL, "26.05.5") == [
        "jwt_key=/k",
        "jwks=/j.json",
        "userclaimfield=preferred_username",
        "disable_token_creation",
        "max_token_lifespan=3600",
        "use_jwt_client_ids",
    ]
    assert items({"client_ids": "only", "jwks": "/j"}, "26.05.5") == ["jwks=/j", "use_jwt_client_ids_only"]


def test_what_is_not_wished_for_makes_nothing() -> None:
    nothing = {"jwks": "", "userclaimfield": "", "disable_token_creation": False, "max_token_lifespan": 0}
    assert items({"jwt_key": "/k", "client_ids": "ignore", **nothing}, "20.11.9") == ["jwt_key=/k"]
    assert items({"jwt_key": "/k"}, None) == ["jwt_key=/k"]


@pytest.mark.parametrize(
    ("wish", "first"),
    [
        ("jwks", "21.08"),
        ("max_token_lifespan", "22.05"),
        ("userclaimfield", "23.02"),
        ("client_ids", "26.05"),
        ("disable_token_creation", "20.11"),
    ],
)
def test_a_release_is_asked(wish: str, first: str) -> None:
    wishes = {"jwt_key": "/k", wish: ALL[wish]}
    for release in RELEASES:
        if release.series >= first:
            assert len(items(wishes, release.series)) == 2
            continue
        with pytest.raises(InputError) as caught:
            items(wishes, release.series)
        said = str(caught.value)
        assert said.startswith(f"{wish}: {ALL[wish]!r} is refused: Slurm {release.series} does not have ")
        assert f"Allowed: with Slurm {first} or later." in said
    assert len(items(wishes, None)) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"jwks": "relative"},
        {"jwks": "/a,b"},
        {"jwks": "/a b"},
        {"jwks": 7},
        {"jwt_key": "/a#b"},
        {"jwt_key": "/a\x9bb"},
        {"userclaimfield": "a,disable_token_creation"},
        {"userclaimfield": "a b"},
        {"userclaimfield": "a" * 129},
        {"max_token_lifespan": -1},
        {"max_token_lifespan": 2**31},
        {"max_token_lifespan": "3600"},
        {"max_token_lifespan": True},
        {"client_ids": "yes"},
    ],
)
def test_bad_wishes_are_refused_by_name(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        items({"jwt_key": "/k", **bad}, "26.05.5")


def test_without_any_key_nobody_could_log_in() -> None:
    with pytest.raises(InputError, match="jwks"):
        items({"userclaimfield": "email"}, "26.05.5")
    with pytest.raises(InputError, match="wishes"):
        items({"jwt_key": "/k", "audience": "slurm"}, "26.05.5")


def test_the_filter_names_variables() -> None:
    call = FilterModule().filters()["auth_alt_parameters"]
    assert call({"jwt_key": "/k"}, "22.05.8") == ["jwt_key=/k"]
    assert call({"jwt_key": "/k"}, "") == ["jwt_key=/k"]
    with pytest.raises(AnsibleFilterError, match="slurm_conf_userclaimfield: 'email' is refused: Slurm 22"):
        call({"jwt_key": "/k", "userclaimfield": "email"}, "22.05.8")
    assert set(NAMES) == set(ALL)


BLANKS = "jwt_key=/a, jwks=/b, userclaimfield=email, disable_token_creation"


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("22.05.8", {"jwt_key": "/a", "jwks": "/b", "userclaimfield": "email", "disable_token_creation": None}),
        ("24.11.5", {"jwt_key": "/a", "userclaimfield": "email", "disable_token_creation": None}),
        ("26.05.5", {"jwt_key": "/a", "disable_token_creation": None}),
    ],
)
def test_items_behind_a_blank_count_as_the_release_reads_them(version: str, found: dict[str, str | None]) -> None:
    assert read(BLANKS, lookup(version).release.auth_alt_items) == found


def test_of_doubled_options_the_first_counts_and_a_blank_belongs_to_the_value() -> None:
    for version in ("22.05.8", "26.05.5"):
        whole = lookup(version).release.auth_alt_items
        assert read("jwt_key=/a ,jwt_key=/b,other,x=1", whole) == {"jwt_key": "/a ", "other": None, "x": "1"}
    assert read("", ()) == {}
