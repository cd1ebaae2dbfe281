"""What is kept of a slurmrestd that runs already, and the note in our drop-in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from slurmrest.slurmrestd import adoption
from slurmrest.slurmrestd.adoption import Process

JWT = {"SLURM_JWT": "daemon"}
REST = {
    "slurm_common_slurmrestd_user": "rest",
    "slurm_common_slurmrestd_group": "rest",
    "slurmrestd_service_auth": "jwt",
}


def found(
    *words: str, environment: dict[str, str] | None = None, user: str = "rest", directories: Any = None
) -> dict[str, Any]:
    process = Process(["/usr/sbin/slurmrestd", *words], JWT if environment is None else environment, user, user)
    return adoption.found(process, "slurm", directories)[0]


def test_upstreams_unit_as_it_is() -> None:
    kept = found(environment={**JWT, "SLURMRESTD_LISTEN": ":6820", "HOME": "/"}, user="slurmrestd")
    assert kept == {
        "slurmrestd_service_listen": ["[::]:6820"],
        "slurm_common_slurmrestd_user": "slurmrestd",
        "slurm_common_slurmrestd_group": "slurmrestd",
        "slurmrestd_service_auth": "jwt",
    }


def test_a_command_line_of_the_site() -> None:
    options = "-a rest_auth/jwt -s openapi/slurmctld,slurmdbd -d v0.0.42 -t 40 -vv --max-connections 200"
    addresses = "unix:/srv/rest/rest.socket 10.0.0.5:6821"
    assert found(*options.split(), *addresses.split(), environment={**JWT, "SLURMRESTD_LISTEN": "10.0.0.5:6821"}) == {
        **REST,
        "slurmrestd_service_listen": ["10.0.0.5:6821", "unix:/srv/rest/rest.socket"],
        "slurmrestd_service_openapi_plugins": ["openapi/slurmctld", "slurmdbd"],
        "slurmrestd_service_data_parsers": ["v0.0.42"],
        "slurmrestd_service_threads": 40,
        "slurmrestd_service_max_connections": 200,
        "slurmrestd_service_extra_options": "-vv",
    }


def test_variables_say_it_where_options_do_not() -> None:
    environment = {
        **JWT,
        "SLURMRESTD_OPENAPI_PLUGINS": "slurmctld",
        "SLURMRESTD_MAX_CONNECTIONS": "9",
        "SLURMRESTD_DEBUG": "verbose",
        "SLURM_CONF": "/opt/slurm/etc/slurm.conf",
    }
    assert found("-s", "slurmdbd", "-f", "/etc/slurm/slurm.conf", environment=environment) == {
        **REST,
        "slurmrestd_service_openapi_plugins": ["slurmdbd"],
        "slurmrestd_service_max_connections": 9,
        "slurmrestd_service_debug": "verbose",
    }
    assert found(environment=environment)["slurm_common_config_dir"] == "/opt/slurm/etc"


@pytest.mark.parametrize("user", ["root", "slurm"])
def test_an_account_under_which_it_must_not_run_is_not_kept_but_named(user: str) -> None:
    process = Process(["slurmrestd", "unix:/run/slurmrestd.socket", "0.0.0.0:6820"], {}, user, user)
    kept, lost = adoption.found(process, "slurm")
    # Not the socket either, which only root can have there: it is refused where nobody says otherwise.
    assert kept == {"slurmrestd_service_listen": ["unix:/run/slurmrestd.socket", "0.0.0.0:6820"]}
    assert lost == {
        "slurm_common_slurmrestd_user": user,
        "slurm_common_slurmrestd_group": user,
        "slurmrestd_service_auth": "local",
    }


def test_what_is_no_address_is_not_kept() -> None:
    assert "slurmrestd_service_listen" not in found("6820")


@pytest.mark.parametrize(
    ("words", "environment", "auth"),
    [
        ("unix:/run/rest/socket 127.0.0.1:6820", {}, "local"),
        ("127.0.0.1:6820", {}, "jwt"),
        ("", JWT, "jwt"),
        ("-a rest_auth/local", JWT, "local"),
        ("-a jwt", {}, "jwt"),
        ("-a rest_auth/jwt,rest_auth/local", JWT, "jwt"),
        ("", {**JWT, "SLURMRESTD_AUTH_TYPES": "rest_auth/local"}, "local"),
    ],
)
def test_authentication(words: str, environment: dict[str, str], auth: str) -> None:
    assert found(*words.split(), environment=environment)["slurmrestd_service_auth"] == auth


@pytest.mark.parametrize(
    ("directory", "kept"),
    [
        ({"kind": "directory", "mode": "0755", "group": "rest"}, {"slurmrestd_service_socket_everyone": True}),
        ({"kind": "directory", "mode": "2750", "group": "portal"}, {"slurmrestd_service_socket_group": "portal"}),
        ({"kind": "directory", "mode": "0750", "group": "rest"}, {}),
        ({"kind": "directory", "mode": "0700", "group": "portal"}, {}),
        ({"kind": None}, {}),
    ],
)
def test_who_gets_in_at_the_socket(directory: dict[str, Any], kept: dict[str, Any]) -> None:
    result = found("unix:/run/rest/socket", directories={"/run/rest": directory})
    assert {name: value for name, value in result.items() if "socket_" in name} == kept


def test_the_note_comes_back_and_is_no_guess() -> None:
    kept = found("127.0.0.1:6820")
    note = adoption.NOTE + json.dumps(kept, sort_keys=True)
    assert adoption.remembered(f"[Service]\n{note}\nUser=x\n") == kept
    for text in ("[Service]\n", f"{adoption.NOTE}nonsense", f"{adoption.NOTE}[1]"):
        assert adoption.remembered(text) == {}


def test_a_listener_that_speaks_tls_stays_one() -> None:
    assert [str(item) for item in adoption.bound(["https://0.0.0.0:6820", "unix:/run/r/s"])] == [
        "https://0.0.0.0:6820",
        "unix:/run/r/s",
    ]
