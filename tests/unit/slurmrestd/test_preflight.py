"""What is refused before anything changes: the variable, its value, the reason and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from slurmrest.slurm.releases import lookup
from slurmrest.slurmrestd.preflight import (
    groups_of_interest,
    installation_problems,
    is_evidence,
    paths_of_interest,
    problems,
    verdict,
    warnings,
)
from slurmrest.slurmrestd.problem import Problem

LISTEN = "slurmrestd_service_listen"
SOCKET = "unix:/run/slurmrestd/slurmrestd.socket"
USER = "slurm_common_slurmrestd_user"
GROUP = "slurm_common_slurmrestd_group"
GOOD = {
    USER: "slurmrestd",
    GROUP: "slurmrestd",
    "slurm_common_slurm_user": "slurm",
    "slurmrestd_user_manage": True,
    "slurmrestd_user_uid": "",
    "slurmrestd_user_gid": 991,
    LISTEN: ["127.0.0.1:6820", SOCKET],
    "slurmrestd_service_socket_group": "portal",
    "slurmrestd_service_auth": "jwt",
    "slurmrestd_service_threads": 0,
    "slurmrestd_service_max_connections": 0,
    "slurmrestd_service_openapi_plugins": ["openapi/slurmctld"],
    "slurmrestd_service_data_parsers": ["v0.0.42+complex"],
    "slurmrestd_service_debug": "debug2",
    "slurmrestd_service_extra_options": "-v -v",
    "slurmrestd_service_environment": {
        "SLURM_DEBUG_FLAGS": "network",
        "TZ": "UTC",
        "SLURMRESTD_SECURITY": "disable_unshare_sysv,disable_unshare_files",
        "SLURMRESTD_RESPONSE_STATUS_CODES": 200,
    },
    "slurmrestd_service_clients": ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"],
    "slurmrestd_service_sandbox": {"PrivateUsers": "no", "MemoryDenyWriteExecute": None},
    "slurm_common_jwt_key_path": "/var/lib/slurm/jwt/jwt_hs256.key",
}
DIRECTORY = {"exists": True, "kind": "directory", "nearest": "/", "enter": True, "write": True, "given": False}
OWNED = {"owner": "root", "group": "root", "mode": "0755", "uid": 0, "gid": 0, "others_write": False}
ABSENT = {"exists": False, "kind": None, "nearest": "/run", "enter": True, "write": False, "given": False}
GIVEN = {**ABSENT, "given": True}
BINARY = {"path": "", "version": None, "error": None, "missing_library": None}


def facts(version: str | None = "24.11.5", **changes: Any) -> dict[str, Any]:
    """A Debian host with Slurm of this version, or with none."""
    row = lookup(version).as_dict() if version else None
    base: dict[str, Any] = {
        "version": version,
        "release": row,
        "release_error": None,
        "os": {"family": "Debian"},
        "packaging": "debian" if version else "none",
        "slurmrestd": {**BINARY, "path": "/usr/sbin/slurmrestd" if version else "", "version": version},
        "slurmctld": BINARY,
        "slurmdbd": BINARY,
        "slurmd": BINARY,
        "plugin_dir": "/usr/lib/x86_64-linux-gnu/slurm-wlm" if version else None,
        "plugins": {
            **dict.fromkeys(("auth_jwt", "rest_auth_jwt", "rest_auth_local"), version is not None),
            "openapi": ["slurmctld", "slurmdbd"] if version else [],
            "data_parser": ["v0.0.40", "v0.0.41", "v0.0.42"] if row and row["data_parser_flag"] else [],
        },
        "slurm_conf": {
            "readable": version is not None,
            "slurmctld_port": "6810-6815",
            "slurmd_port": "6818",
            "ipv6": False,
            "accounting": True,
        },
        "slurmdbd_conf": {"dbd_port": "6819"},
        "account": {"name": "slurmrestd", "exists": False, "uid": None, "gid": None, "group": None},
        "slurm_user": {"name": "slurm", "exists": True, "uid": 64030, "gid": 64030, "group": "slurm"},
        "groups": {"portal": 2000},
        "paths": {"/run/slurmrestd": GIVEN, "/run/slurmrestd/slurmrestd.socket": ABSENT},
        "contradictions": [],
        "unit": {"environment_files": []},
        "environment_file": {"path": "/etc/default/slurmrestd", "ours": False, "variables": []},
    }
    return {**base, **changes}


def only(variables: dict[str, Any], known: dict[str, Any] | None = None) -> Problem:
    """The single problem of the good variables with some changed."""
    found = problems({**GOOD, **variables}, known or facts())
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


@pytest.mark.parametrize("version", [None, "24.11.5", "26.05.5"])
def test_good_variables_have_no_problem(version: str | None) -> None:
    variables = {**GOOD, "slurmrestd_service_data_parsers": []} if version == "26.05.5" else GOOD
    assert problems(variables, facts(version)) == []


@pytest.mark.parametrize(
    ("listen", "public"),
    [
        (["127.0.0.1:6820", "[::1]:6820", "localhost:6821", SOCKET], None),
        (["127.0.0.1:6820", "0.0.0.0:6821"], "0.0.0.0:6821"),
        (["rest.example.org:6820"], "rest.example.org:6820"),
    ],
)
def test_addresses_that_others_reach_are_warned_about(listen: list[str], public: str | None) -> None:
    texts = warnings({LISTEN: listen})
    assert (texts == []) if public is None else (len(texts) == 1 and public in texts[0] and "127.0.0.1" not in texts[0])


def test_what_is_not_asked_is_not_judged() -> None:
    assert problems({}, facts()) == []
    assert problems({USER: "slurmrestd"}, facts()) == []


# --- listeners -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "value", "reason"),
    [
        ([], [], "nothing to listen on"),
        ("127.0.0.1:6820", "127.0.0.1:6820", "nothing to listen on"),
        (None, None, "nothing to listen on"),
        ([":6820"], ":6820", "0.0.0.0:6820"),
        (["127.0.0.1:99999"], "127.0.0.1:99999", "from 1 to 65535"),
        ([6820], 6820, "a listener is a text"),
        (["unix:/run/" + "a" * 200], "unix:/run/" + "a" * 200, "has 205 bytes"),
        (["127.0.0.1:6820", "localhost:6820"], "127.0.0.1:6820, localhost:6820", "same address"),
        (["0.0.0.0:6820", "127.0.0.1:6820"], "0.0.0.0:6820, 127.0.0.1:6820", "takes port 6820 of every address"),
        ([SOCKET, SOCKET], f"{SOCKET}, {SOCKET}", "same socket"),
        (["127.0.0.1:6812"], "127.0.0.1:6812", "SlurmctldPort is 6810 to 6815"),
        (["127.0.0.1:80"], "127.0.0.1:80", "below 1024"),
        (["[::1]:6820"], "[::1]:6820", "EnableIPv6"),
    ],
)
def test_listeners(listen: object, value: object, reason: str) -> None:
    problem = only({LISTEN: listen})
    assert (problem.variable, problem.value) == (LISTEN, value)
    assert reason in problem.reason
    assert str(problem).startswith(f"{LISTEN}: {value!r} is refused: ")
    assert "Allowed: " in str(problem)


def test_ports_of_the_daemons_of_this_host_are_theirs() -> None:
    here: dict[str, Any] = {
        "slurmd": {**BINARY, "path": "/usr/sbin/slurmd"},
        "slurmdbd": {**BINARY, "path": "/usr/sbin/slurmdbd"},
    }
    listen = {**GOOD, LISTEN: ["127.0.0.1:6818", "127.0.0.1:6819"]}
    assert problems(listen, facts()) == []
    assert [problem.reason for problem in problems(listen, facts(**here))] == ["SlurmdPort is 6818", "DbdPort is 6819"]


def test_a_broken_port_in_slurm_conf_is_not_our_business() -> None:
    broken = facts()
    broken["slurm_conf"]["slurmctld_port"] = "nonsense"
    assert problems(GOOD, broken) == []


def test_ipv6_is_fine_where_it_is_enabled_or_needs_not_be() -> None:
    enabled = facts()
    enabled["slurm_conf"]["ipv6"] = True
    assert problems({**GOOD, LISTEN: ["[::1]:6820"]}, enabled) == []
    assert problems({LISTEN: ["[::1]:6820"]}, facts("22.05.8")) == []
    assert problems({LISTEN: ["[::]:6820"]}, facts()) == []


def test_local_authentication_and_tcp_do_not_go_together() -> None:
    assert "UNIX sockets only" in only({"slurmrestd_service_auth": "local"}).reason
    assert problems({**GOOD, "slurmrestd_service_auth": "local", LISTEN: [SOCKET]}, facts()) == []


@pytest.mark.parametrize(
    ("path", "known", "reason"),
    [
        ("/run/x.socket", {"/run": {**DIRECTORY, **OWNED, "write": False}}, "cannot be written by slurmrestd"),
        ("/run/slurm/x", {"/run/slurm": {**DIRECTORY, **OWNED, "write": False}}, "cannot be written by slurmrestd"),
        ("/srv/rest/x", {"/srv/rest": {**ABSENT, "nearest": "/srv"}}, "/srv/rest does not exist"),
        ("/srv/rest/x", {"/srv/rest": {**DIRECTORY, **OWNED, "enter": False}}, "cannot be entered by slurmrestd"),
        ("/srv/rest/x", {"/srv/rest": {**DIRECTORY, "kind": "file"}}, "/srv/rest is no directory"),
        ("/run/rest/x", {"/run/rest": {**DIRECTORY, "kind": "file"}}, "/run/rest is no directory"),
        ("/tmp/x", {"/tmp": DIRECTORY}, "hidden from the service"),
        ("/home/a/x", {"/home/a": DIRECTORY}, "hidden from the service"),
        ("/run/rest/x", {"/run/rest": DIRECTORY, "/run/rest/x": {**DIRECTORY, "kind": "file"}}, "would remove it"),
        ("/run/rest/x", {"/run/rest": DIRECTORY, "/run/rest/x": DIRECTORY}, "would remove it"),
    ],
)
def test_sockets_where_the_service_cannot_have_them(path: str, known: dict[str, Any], reason: str) -> None:
    problem = only({LISTEN: [f"unix:{path}"]}, facts(paths={path: ABSENT, **known}))
    assert problem.value == f"unix:{path}"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/run/slurmrestd/x", {"/run/slurmrestd": GIVEN}),
        ("/run/slurmrestd/x", {"/run/slurmrestd": {**DIRECTORY, "write": False, "given": True}}),
        ("/run/slurm/x", {"/run/slurm": DIRECTORY}),
        ("/srv/rest/x", {"/srv/rest": {**DIRECTORY, **OWNED}, "/srv/rest/x": {**DIRECTORY, "kind": "socket"}}),
        ("/tmpfiles/x", {"/tmpfiles": DIRECTORY}),
    ],
)
def test_sockets_where_the_service_can_have_them(path: str, known: dict[str, Any]) -> None:
    assert problems({LISTEN: [f"unix:{path}"]}, facts(paths={path: ABSENT, **known})) == []


def test_what_facts_are_wanted() -> None:
    variables = {LISTEN: ["127.0.0.1:1", SOCKET, "unix:/srv/b", ":1", 5], "slurmrestd_service_socket_group": "portal"}
    assert paths_of_interest(variables) == ["/run/slurmrestd", "/run/slurmrestd/slurmrestd.socket", "/srv", "/srv/b"]
    assert groups_of_interest(variables) == ["portal"]
    assert paths_of_interest({}) == groups_of_interest({}) == []
    assert paths_of_interest({LISTEN: None}) == []


# --- accounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "account", "variable", "reason"),
    [
        ({USER: "root"}, {}, USER, "act as root"),
        ({USER: "slurm"}, {}, USER, "SlurmUser"),
        ({GROUP: "slurm"}, {"group": "slurm"}, GROUP, "SlurmUser's group"),
        ({USER: "No Name"}, {}, USER, "no name"),
        ({}, {"supplementary_groups": ["video"]}, USER, "also in video"),
        ({"slurmrestd_user_gid": ""}, {"group": "users"}, GROUP, "another primary group"),
        ({}, {"gid": 990}, "slurmrestd_user_gid", "exists with another one"),
        ({"slurmrestd_user_uid": 99}, {}, "slurmrestd_user_uid", "no id"),
        ({"slurmrestd_user_uid": 0}, {}, "slurmrestd_user_uid", "no id"),
        ({"slurmrestd_user_uid": "abc"}, {}, "slurmrestd_user_uid", "no id"),
        ({"slurmrestd_user_uid": True}, {}, "slurmrestd_user_uid", "no id"),
        ({"slurmrestd_user_manage": False}, None, USER, "no such account"),
    ],
)
def test_accounts(variables: dict[str, Any], account: dict[str, Any] | None, variable: str, reason: str) -> None:
    present = {"name": "slurmrestd", "exists": True, "uid": 991, "gid": 991, "group": "slurmrestd"}
    known = facts() if account is None else facts(account={**present, "supplementary_groups": [], **account})
    problem = only(variables, known)
    assert problem.variable == variable
    assert reason in problem.reason


def test_slurm_user_is_that_of_the_variables_where_there_is_no_slurm_conf() -> None:
    assert problems({USER: "slurm", "slurm_common_slurm_user": "slurm"}, facts(slurm_user=None))
    assert not problems({USER: "slurmrestd", "slurm_common_slurm_user": "slurm"}, facts(slurm_user=None))


# --- numbers, names, plugins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "name", "value", "allowed"),
    [
        ("24.11.5", "threads", 1, "2 to 1024"),
        ("24.11.5", "threads", 1025, "2 to 1024"),
        ("25.11.7", "threads", 300, "2 to 256"),
        ("24.11.5", "threads", -1, "2 to 1024"),
        ("24.11.5", "threads", "many", "2 to 1024"),
        ("24.11.5", "threads", True, "2 to 1024"),
        (None, "threads", 4096, "2 to 1024"),
        ("24.11.5", "max_connections", -5, "1 to 65535"),
        ("24.11.5", "max_connections", 70000, "1 to 65535"),
        ("22.05.8", "max_connections", 5, "0, on this release"),
        ("24.11.5", "auth", "munge", "jwt or local"),
        ("24.11.5", "debug", "loud", "verbose"),
        ("22.05.8", "debug", "debug2", "1, 2, 3"),
        ("23.02.8", "debug", 0, "1, 2, 3"),
        ("24.11.5", "openapi_plugins", ["nosuch"], "slurmctld, slurmdbd"),
        ("24.11.5", "openapi_plugins", "slurmctld", "a list of names"),
        ("24.11.5", "openapi_plugins", [5], "a list of names"),
        ("24.11.5", "data_parsers", ["v0.0.99"], "latest, v0.0.40"),
        ("24.11.5", "data_parsers", ["v0.0.42 -x"], "latest, v0.0.40"),
        ("22.05.8", "data_parsers", ["v0.0.38"], "an empty list"),
        ("24.11.5", "socket_group", "No Group", "name of a group"),
        ("24.11.5", "socket_group", "absent", "name of a group"),
    ],
)
def test_numbers_and_names(version: str | None, name: str, value: object, allowed: str) -> None:
    variable = f"slurmrestd_service_{name}"
    found = problems({variable: value}, facts(version, groups={"absent": None}))
    assert [problem.variable for problem in found] == [variable]
    assert allowed in found[0].allowed


@pytest.mark.parametrize(
    ("version", "name", "value"),
    [
        ("24.11.5", "threads", "20"),
        ("24.11.5", "threads", None),
        ("23.02.2", "max_connections", 5),
        ("24.11.5", "max_connections", "124"),
        ("24.11.5", "debug", "DEBUG"),
        ("24.11.5", "debug", 0),
        ("22.05.8", "debug", "5"),
        ("24.11.5", "openapi_plugins", ["openapi/slurmctld", "slurmdbd"]),
        ("24.11.5", "data_parsers", ["latest", "data_parser/v0.0.41"]),
        ("24.11.5", "extra_options", ""),
        ("24.11.5", "socket_group", "not-looked-up"),
    ],
)
def test_numbers_and_names_that_are_fine(version: str, name: str, value: object) -> None:
    assert problems({f"slurmrestd_service_{name}": value}, facts(version)) == []


def test_the_needed_release_is_named() -> None:
    (problem,) = problems({"slurmrestd_service_max_connections": 5}, facts("23.02.1"))
    assert "came with 23.02.2" in problem.reason
    (problem,) = problems({"slurmrestd_service_data_parsers": ["v0.0.38"]}, facts("22.05.8"))
    assert "came with 23.11" in problem.reason


@pytest.mark.parametrize("plugin", ["slurmdbd", "openapi/slurmdbd", "openapi/dbv0.0.38"])
def test_the_plugin_of_slurmdbd_needs_slurmdbd(plugin: str) -> None:
    known = facts()
    known["slurm_conf"]["accounting"] = False
    known["plugins"]["openapi"] += ["dbv0.0.38"]
    (problem,) = problems({"slurmrestd_service_openapi_plugins": [plugin]}, known)
    assert "no slurmdbd" in problem.reason


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ("-v 127.0.0.1:6821", "127.0.0.1:6821", LISTEN),
        ("-a rest_auth/local", "-a", "slurmrestd_service_auth"),
        ("-vt5", "-t", "slurmrestd_service_threads"),
        ("--max-connections=5", "--max-connections", "slurmrestd_service_max_connections"),
        ("-u root", "-u", USER),
        ("-f /x", "-f", "slurm_common_config_dir"),
        ("-V", "-V", "print something and end"),
        ("-z", "-z", "no such option"),
        ("-v\n-v", "-v\n-v", "line end"),
        (["-v"], ["-v"], "no text"),
    ],
)
def test_extra_options(options: object, value: object, reason: str) -> None:
    problem = only({"slurmrestd_service_extra_options": options})
    assert (problem.variable, problem.value) == ("slurmrestd_service_extra_options", value)
    assert reason in problem.reason


# --- environment, sandbox, key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "environment", "reason"),
    [
        ("24.11.5", {"SLURMRESTD_LISTEN": ":6820"}, f"use {LISTEN}"),
        ("24.11.5", {"SLURM_JWT": "eyJ"}, "use slurmrestd_service_auth"),
        ("24.11.5", {"SLURMRESTD_OPTIONS": "-v"}, "use slurmrestd_service_extra_options"),
        ("24.11.5", {"SLURMRESTD_DEBUG": "info"}, "use slurmrestd_service_debug"),
        ("24.11.5", {"SLURMRESTD_TYPO": "x"}, "slurmrestd 24.11.5 does not know"),
        ("22.05.8", {"SLURMRESTD_JSON": "compact"}, "slurmrestd 22.05.8 does not know"),
        ("20.11.4", {"SLURMRESTD_SECURITY": "disable_unshare_sysv"}, "slurmrestd 20.11.4 does not know"),
        ("22.05.2", {"SLURMRESTD_SECURITY": "disable_unshare_files"}, "any other word"),
        ("24.11.5", {"SLURMRESTD_SECURITY": "disable_user_check"}, "as root or SlurmUser"),
        ("24.11.5", {"SLURMRESTD_SECURITY": "disable_unshare_sysv,become_user"}, "inetd mode"),
        ("24.11.5", {"A B": "x"}, "no name"),
        ("24.11.5", {5: "x"}, "no name"),
        ("24.11.5", {"TZ": "a\nb"}, "line end"),
        ("24.11.5", {"TZ": True}, "neither text nor"),
        ("24.11.5", {"TZ": ["a"]}, "neither text nor"),
        ("24.11.5", ["TZ=a"], "it is none"),
    ],
)
def test_environment(version: str, environment: object, reason: str) -> None:
    (problem,) = problems({"slurmrestd_service_environment": environment}, facts(version))
    assert problem.variable.startswith("slurmrestd_service_environment")
    assert reason in problem.reason


def test_values_of_refused_variables_are_not_shown() -> None:
    found = problems({"slurmrestd_service_environment": {"SLURM_JWT": "eyJhbGci", "X": "eyJhbGci\n"}}, facts())
    assert len(found) == 2
    assert "eyJ" not in " ".join(map(str, found))


@pytest.mark.parametrize(
    ("sandbox", "reason"),
    [
        ({"User": "root"}, "other variables decide"),
        ({"ExecStart": "/bin/sh"}, "other variables decide"),
        ({"bad name": "x"}, "no name of a systemd directive"),
        ({"PrivateTmp": "no\nUser=a"}, "line end"),
        ({"PrivateTmp": "no\\"}, "backslash"),
        ({"PrivateTmp": ["no"]}, "no text"),
        ({"PrivateTmp": False}, "word of Python"),
        (["PrivateTmp"], "it is none"),
    ],
)
def test_sandbox(sandbox: object, reason: str) -> None:
    problem = only({"slurmrestd_service_sandbox": sandbox})
    assert problem.variable.startswith("slurmrestd_service_sandbox")
    assert reason in problem.reason


@pytest.mark.parametrize(
    "clients",
    ["192.0.2.7", ["portal.example.org"], ["192.0.2.7/24"], ["any"], [""], [{}], ["fe80::1%eth0"], ["fe80::1%a\nB=c"]],
)
def test_clients_are_addresses(clients: object) -> None:
    problem = only({"slurmrestd_service_clients": clients})
    assert problem.variable == "slurmrestd_service_clients"
    assert "192.0.2.7" in problem.allowed


@pytest.mark.parametrize("path", ["jwt.key", "/a b/jwt.key", "/a,b", "/a/../b", "/a/", "", None])
def test_key_paths_that_the_configuration_cannot_carry(path: object) -> None:
    assert only({"slurm_common_jwt_key_path": path}).variable == "slurm_common_jwt_key_path"


@pytest.mark.parametrize("path", ["/srv//jwt.key", "/srv/jwt:hs256.key", "/var/spool/slurm//jwt_hs256.key"])
def test_key_paths_that_slurm_takes_are_taken(path: str) -> None:
    assert problems({"slurm_common_jwt_key_path": path}, facts()) == []


def test_a_key_path_that_is_in_force_is_never_refused() -> None:
    path = "/srv/../srv/jwt?.key"
    assert only({"slurm_common_jwt_key_path": path}).value == path
    for name in ("slurm_conf", "slurmdbd_conf"):
        known = facts()
        known[name] = {**known[name], "jwt_key_path": path}
        assert problems({"slurm_common_jwt_key_path": path}, known) == []


# --- unit and installation -------------------------------------------------------------------------------------------


def test_what_beats_our_dropin_is_refused_with_file_and_line() -> None:
    item = {"setting": "User", "value": "root", "file": "/etc/systemd/system/slurmrestd.service.d/x.conf", "line": 3}
    problem = only({}, facts(contradictions=[item]))
    assert str(problem).startswith("slurmrestd.service: 'User=root' is refused: line 3 of /etc/systemd/system/")
    assert problems({USER: "slurmrestd"}, facts(contradictions=[item])) == []


@pytest.mark.parametrize(
    ("value", "shown"), [("(unset)", "(unset)"), ("yes", "yes"), ("a-token-of-somebody", "(redacted)")]
)
def test_of_a_token_that_beats_our_dropin_the_line_is_told(value: str, shown: str) -> None:
    item = {"setting": "SLURM_JWT", "value": value, "file": "/etc/x.conf", "line": 3}
    said = str(only({LISTEN: [SOCKET]}, facts(contradictions=[item])))
    assert f"'SLURM_JWT={shown}' is refused: line 3 of /etc/x.conf decides SLURM_JWT over our drop-in" in said


def test_an_unset_token_variable_suits_local_authentication() -> None:
    item = {"setting": "SLURM_JWT", "value": "(unset)", "file": "/x", "line": 1}
    local = {"slurmrestd_service_auth": "local", LISTEN: [SOCKET]}
    assert problems(local, facts(contradictions=[item])) == []
    assert problems({LISTEN: [SOCKET]}, facts(contradictions=[item]))


def test_a_unit_file_in_the_place_of_an_environment_file() -> None:
    file = {"path": "/etc/default/slurmrestd", "sectioned": True}
    assert "[Section]" in only({}, facts(unit={"environment_files": [file]})).reason


def test_an_environment_file_of_somebody_else_is_not_overwritten() -> None:
    file = {"path": "/etc/default/slurmrestd", "ours": False, "variables": ["SLURMRESTD_OPTIONS"]}
    problem = only({}, facts(environment_file=file))
    assert (problem.variable, problem.value) == ("EnvironmentFile", "/etc/default/slurmrestd")
    assert "SLURMRESTD_OPTIONS" in problem.reason
    assert problems(GOOD, facts(environment_file={**file, "ours": True})) == []


def test_a_release_older_than_the_table() -> None:
    known = {**facts(), "release": None, "release_error": "too old", "version": "19.05.8"}
    problem = only({}, known)
    assert str(problem).startswith("installed Slurm: '19.05.8' is refused")
    assert "Allowed: Slurm 20.11 to " in str(problem)


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"slurmrestd": dict(BINARY), "packaging": "none"}, "no slurmrestd", "Install slurmrestd."),
        ({"slurmrestd": dict(BINARY), "packaging": "schedmd-deb"}, "no slurmrestd", "slurm-smd-slurmrestd"),
        ({"slurmrestd": dict(BINARY), "packaging": "rpm"}, "no slurmrestd", "slurm-slurmrestd"),
        ({"slurmrestd": dict(BINARY), "packaging": "source"}, "no slurmrestd", "--enable-slurmrestd"),
        (
            {
                "slurmrestd": {
                    **BINARY,
                    "path": "/usr/sbin/slurmrestd",
                    "missing_library": "libslurmfull.so",
                    "error": "x",
                }
            },
            "libslurmfull.so",
            "slurm-wlm-basic-plugins",
        ),
        ({"slurmrestd": {**BINARY, "path": "/usr/sbin/slurmrestd", "error": "exit code 1"}}, "exit code 1", ""),
    ],
)
def test_what_the_installation_lacks(changes: dict[str, Any], reason: str, remedy: str) -> None:
    (problem,) = installation_problems(facts(**changes))
    assert reason in problem.reason
    assert remedy in (problem.remedy or "")
    assert problems(GOOD, facts(**changes)) == []
    assert problems(GOOD, facts(**changes), installed=True) == [problem]


def test_missing_plugins_are_named_with_their_package() -> None:
    known = facts()
    known["plugins"].update(auth_jwt=False)
    (problem,) = installation_problems(known)
    assert problem.reason == "auth_jwt.so is missing"
    assert "slurm-wlm-jwt-plugin" in (problem.remedy or "")
    assert installation_problems(known, auth="local") == []
    known["plugins"].update(rest_auth_local=False)
    assert [problem.reason for problem in installation_problems(known, auth="local")] == [
        "rest_auth_local.so is missing"
    ]


def test_a_bare_host_without_slurm_names_the_package_of_its_distribution() -> None:
    assert "slurm-slurmrestd" in (installation_problems(facts(None, os={"family": "RedHat"}))[0].remedy or "")
    assert "./configure" in (installation_problems(facts(None, os={"family": ""}))[0].remedy or "")


def test_a_verdict_is_the_result_of_a_task() -> None:
    public = {LISTEN: ["0.0.0.0:6820"]}
    good = {"changed": False, "problems": [], "warnings": warnings(public)}
    assert verdict(public, facts(), installed=False) == {**good, "given": []}
    assert verdict({LISTEN: [SOCKET, "127.0.0.1:6820"]}, facts(), installed=False)["given"] == ["/run/slurmrestd"]
    others = facts(paths={"/run/slurmrestd": DIRECTORY, "/run/slurmrestd/slurmrestd.socket": ABSENT})
    assert verdict({LISTEN: [SOCKET]}, others, installed=False)["given"] == []
    refused = verdict({LISTEN: []}, facts(), installed=False)
    assert (refused["failed"], refused["changed"]) == (True, False)
    assert refused["msg"] == "Nothing was changed. " + refused["problems"][0]
    assert verdict({}, facts(None), installed=True)["failed"]


def test_facts_are_evidence_when_they_tell_all_that_the_variables_are_about() -> None:
    assert is_evidence(facts(), GOOD)
    assert is_evidence(facts(paths={}, groups={}), {USER: "slurmrestd"})
    assert not is_evidence(facts(), {LISTEN: [SOCKET, "unix:/run/other/socket"]})
    assert not is_evidence(facts(groups={}), {"slurmrestd_service_socket_group": "portal"})
    assert not is_evidence(facts(), {USER: "portal"})
    assert not is_evidence({}, {})


def test_the_files_of_a_service_that_is_kept() -> None:
    """The environment file stays the site's, since ours is read after it; a drop-in may say what ours says."""
    file = {"path": "/etc/default/slurmrestd", "ours": False, "variables": ["SLURMRESTD_LISTEN", "SLURMRESTD_OPTIONS"]}
    listen: Any = GOOD["slurmrestd_service_listen"]

    def judged(setting: str, value: str) -> list[str]:
        line = {"setting": setting, "value": value, "file": "/etc/override.conf", "line": 3}
        kept = facts(environment_file=file, adopted={"slurmrestd_service_threads": 4}, contradictions=[line])
        return [problem.reason for problem in problems(GOOD, kept)]

    assert judged("SLURMRESTD_LISTEN", ",".join(listen[::-1])) == []
    assert len(judged("-u", "rest")) == 1
    assert len(judged("SLURMRESTD_LISTEN", "0.0.0.0:6820")) == 1
    assert len(judged("SLURMRESTD_SECURITY", "disable_user_check")) == 1


def test_a_drop_in_of_the_site_is_not_overruled_silently() -> None:
    line = {"setting": "ExecStart", "value": "/usr/sbin/slurmrestd", "file": "/etc/override.conf", "line": 3}
    kept = facts(adopted={"slurmrestd_service_threads": 4}, contradictions=[line])
    assert "is kept as long as it runs" in str(only({}, kept))


def test_a_socket_of_the_running_service_that_only_root_can_have_stops_the_run() -> None:
    """It would be gone afterwards, and with it whoever uses it: the inventory has to say what comes instead."""
    listen = ["unix:/run/slurmrestd.socket"]
    run = {**DIRECTORY, **OWNED, "write": False}
    known = facts(adopted={LISTEN: listen}, paths={"/run": run, "/run/slurmrestd.socket": {**ABSENT, "kind": "socket"}})
    assert "cannot be written by slurmrestd" in only({LISTEN: listen}, known).reason


ACCOUNT = {"name": "slurmrestd", "exists": True, "uid": 991, "gid": 991, "group": "slurmrestd"}


def test_an_account_that_can_read_a_key_of_slurm_is_refused() -> None:
    key = "/etc/slurm/slurm.key"
    problem = only({}, facts(account=ACCOUNT, exposed=[key]))
    assert problem.variable == USER
    assert key in problem.reason
    assert problems(GOOD, facts(account=ACCOUNT, exposed=[])) == []


def test_an_account_that_cannot_read_slurm_conf_is_refused_where_the_file_is_the_site_s() -> None:
    conf = {**facts()["slurm_conf"], "unreadable_by_account": ["/etc/slurm/conf.d/auth.conf"]}
    assert "cannot read /etc/slurm/conf.d/auth.conf" in only({}, facts(account=ACCOUNT, slurm_conf=conf)).reason
    assert problems(GOOD, facts(account=ACCOUNT, slurm_conf={**conf, "ours": True})) == []
    assert only({}, facts(account=ACCOUNT, slurm_conf=conf)) == only({}, facts(slurm_conf=conf)), "still to be made"


def test_a_masked_unit_and_a_command_of_the_site_stop_the_run() -> None:
    masked = facts(units={"slurmrestd": {"load": "masked", "fragment": "/etc/systemd/system/slurmrestd.service"}})
    (problem,) = problems({LISTEN: [SOCKET]}, masked)
    assert "is a link to /dev/null" in str(problem)
    assert "systemctl unmask" in str(problem)
    item = {"setting": "ExecStart", "value": "/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS", "file": "/o.conf", "line": 3}
    (problem,) = problems({LISTEN: [SOCKET]}, facts(contradictions=[item]))
    assert "line 3 of /o.conf decides ExecStart over our drop-in: slurmrestd would run without" in str(problem)


TLS = "https://0.0.0.0:6820"
USABLE = {"path": "/etc/slurm/restd_cert.pem", "exists": True, "readable": True, "open": False}


@pytest.mark.parametrize(
    ("version", "plugin", "file", "reason"),
    [
        ("24.11.5", False, USABLE, "Slurm 24.11.5 does not bind https://host:port; slurmrestd does since 25.05"),
        ("25.11.7", False, USABLE, "this build has no TLS plugin"),
        ("25.11.7", True, {**USABLE, "exists": False}, "there is no /etc/slurm/restd_cert.pem"),
        ("25.11.7", True, {**USABLE, "readable": False}, "the service account cannot read"),
        ("25.11.7", True, {**USABLE, "open": True}, "others may use"),
        ("25.05.8", True, USABLE, None),
        ("26.05.5", True, USABLE, None),
    ],
)
def test_tls_takes_release_plugin_and_certificate(
    version: str, plugin: bool, file: dict[str, Any], reason: str | None
) -> None:
    seen = facts(version)
    seen = {**seen, "plugins": {**seen["plugins"], "tls_s2n": plugin}}
    seen["slurm_conf"] = {**seen["slurm_conf"], "tls_files": [file]}
    found = [str(problem) for problem in problems({LISTEN: [TLS]}, seen)]
    assert [reason in problem for problem in found] == ([True] if reason else []) if reason else found == []
    assert warnings({LISTEN: [TLS]}) == [], "what is encrypted is not in clear"
    assert warnings({LISTEN: ["0.0.0.0:6820"]})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, None),
        ({"slurmrestd_service_tls_cacert": "/etc/ca.pem", "slurmrestd_service_tls_name": "rest.example.org"}, None),
        ({"slurmrestd_service_tls_cacert": "ca.pem"}, "it is none"),
        ({"slurmrestd_service_tls_cacert": "/etc/none.pem"}, "there is no such file"),
        ({"slurmrestd_service_tls_name": "a b"}, "no certificate can be for it"),
        ({"slurmrestd_service_tls_name": "2001:db8::1"}, None),
    ],
)
def test_how_a_certificate_is_known(given: dict[str, str], reason: str | None) -> None:
    path = given.get("slurmrestd_service_tls_cacert", "")
    assert paths_of_interest(given) == ([path] if path.startswith("/") else [])
    seen = facts(paths={"/etc/ca.pem": {"exists": True}, "/etc/none.pem": {"exists": False}})
    found = [str(problem) for problem in problems(given, seen)]
    assert len(found) == (1 if reason else 0)
    assert all(str(reason) in problem for problem in found)
