"""What cannot work is refused by deploy.yml on a serving host, in words that help, and nothing changes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "unix:/run/slurmrestd/slurmrestd.socket"
PASSWORD = "not-to-be-shown"

# What would be a line of its own in a file, and how it is named.
LINE_ENDS: dict[str, tuple[dict[str, Any], str]] = {
    "an option": ({"slurm_conf_options": {"MailDomain": "a\nMaxNodeCount=9"}}, "slurm_conf_options.MailDomain: "),
    "slurmdbd's option": ({"slurm_conf_dbd_options": {"DebugLevel": "info\n"}}, "slurm_conf_dbd_options.DebugLevel: "),
    "a node": ({"slurm_conf_nodes": [{"name": "node1\n"}]}, "slurm_conf_nodes[0].name: "),
    "the database's password": ({"slurm_conf_storage_pass": f"{PASSWORD}\nx"}, "slurm_conf_storage_pass is refused"),
    "the sandbox": ({"slurmrestd_service_sandbox": {"CPUWeight": "1\nNice=1"}}, "slurmrestd_service_sandbox.CPUWeight"),
    "a variable": ({"slurmrestd_service_environment": {"SITE": "1\nB=2"}}, "slurmrestd_service_environment.SITE"),
}

# Variables, and what the message must name: the variable, the value and what is allowed instead.
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing to listen on": ({"slurmrestd_service_listen": []}, ("slurmrestd_service_listen", "[]", "at least one")),
    "no port": (
        {"slurmrestd_service_listen": ["127.0.0.1"]},
        ("slurmrestd_service_listen", "'127.0.0.1'", "host:port"),
    ),
    "port out of range": ({"slurmrestd_service_listen": ["127.0.0.1:99999"]}, ("127.0.0.1:99999", "65535")),
    "privileged port": ({"slurmrestd_service_listen": ["127.0.0.1:443"]}, ("127.0.0.1:443", "1024 to 65535")),
    "empty host": ({"slurmrestd_service_listen": [":6820"]}, (":6820", "0.0.0.0:6820")),
    "same address twice": (
        {"slurmrestd_service_listen": ["127.0.0.1:6820", "127.0.0.1:6820"]},
        ("slurmrestd_service_listen", "127.0.0.1:6820", "do not overlap"),
    ),
    "any address and one of them": (
        {"slurmrestd_service_listen": ["0.0.0.0:6820", "127.0.0.1:6820"]},
        ("0.0.0.0:6820", "127.0.0.1:6820", "do not overlap"),
    ),
    "slurmctld's port": ({"slurmrestd_service_listen": ["127.0.0.1:6817"]}, ("127.0.0.1:6817", "SlurmctldPort")),
    "long socket path": (
        {"slurmrestd_service_listen": [f"unix:/run/slurmrestd/{'x' * 100}.socket"]},
        ("slurmrestd_service_listen", "107"),
    ),
    "directory that the account cannot enter": (
        {"slurmrestd_service_listen": ["unix:/var/lib/slurmrest/x.socket"]},
        ("/var/lib/slurmrest", "cannot be entered by slurmrestd"),
    ),
    "directory that is not there": (
        {"slurmrestd_service_listen": ["unix:/srv/nowhere/x.socket"]},
        ("/srv/nowhere", "does not exist"),
    ),
    "two slashes": ({"slurmrestd_service_listen": ["unix://run/x.socket"]}, ("unix://run/x.socket", "unix:/")),
    "root": ({"slurm_common_slurmrestd_user": "root"}, ("slurm_common_slurmrestd_user", "'root'")),
    "SlurmUser": ({"slurm_common_slurmrestd_user": "slurm"}, ("slurm_common_slurmrestd_user", "'slurm'", "SlurmUser")),
    "SlurmUser's group": ({"slurm_common_slurmrestd_group": "slurm"}, ("slurm_common_slurmrestd_group", "'slurm'")),
    "nobody": ({"slurm_common_slurmrestd_user": "nobody"}, ("slurm_common_slurmrestd_user", "'nobody'")),
    "account with further groups": (
        {"slurm_common_slurmrestd_user": "grouped", "slurm_common_slurmrestd_group": "grouped"},
        ("slurm_common_slurmrestd_user", "'grouped'", "adm"),
    ),
    "too many threads": ({"slurmrestd_service_threads": 5000}, ("slurmrestd_service_threads", "5000", "1024")),
    "no such plugin": (
        {"slurmrestd_service_openapi_plugins": ["openapi/v0.0.1"]},
        ("slurmrestd_service_openapi_plugins", "openapi/v0.0.1", "slurmctld"),
    ),
    "variable with an owner": (
        {"slurmrestd_service_environment": {"SLURMRESTD_LISTEN": "0.0.0.0:1"}},
        ("SLURMRESTD_LISTEN", "slurmrestd_service_listen"),
    ),
    "dangerous switch": (
        {"slurmrestd_service_environment": {"SLURMRESTD_SECURITY": "disable_user_check"}},
        ("SLURMRESTD_SECURITY", "disable_user_check", "disable_unshare"),
    ),
    "listener among the options": (
        {"slurmrestd_service_extra_options": "-v 0.0.0.0:7000"},
        ("slurmrestd_service_extra_options", "0.0.0.0:7000", "slurmrestd_service_listen"),
    ),
    "unknown authentication": ({"slurmrestd_service_auth": "munge"}, ("slurmrestd_service_auth", "munge", "jwt")),
    "no such group": (
        {"slurmrestd_service_socket_group": "portal-that-is-not"},
        ("slurmrestd_service_socket_group", "portal-that-is-not", "groupadd"),
    ),
    "sandbox directive with an owner": ({"slurmrestd_service_sandbox": {"User": "root"}}, ("'User'", "sandbox")),
    "short key": ({"slurm_jwt_key_size": 8}, ("slurm_jwt_key_size", "8", "32 or more")),
    "key path with a comma": (
        {"slurm_common_jwt_key_path": "/var/lib/a,b.key"},
        ("slurm_common_jwt_key_path", "/var/lib/a,b.key", "absolute path"),
    ),
    "directory with a specifier of systemd": (
        {"slurm_common_config_dir": "/etc/slurm%i"},
        ("slurm_common_config_dir", "/etc/slurm%i", "absolute path of letters"),
    ),
    "network with a line end": (
        {"slurmrestd_service_clients": ["fe80::1%a\nCPUWeight=1"]},
        ("slurmrestd_service_clients", "fe80::1%a", "addresses and networks"),
    ),
    **{
        f"{name} with a line end": (variables, (*named, "line end", "Allowed: "))
        for name, (variables, *named) in LINE_ENDS.items()
    },
}

# Of cluster.yml, before it installs anything.
CLUSTER_CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "option": ({"slurm_conf_options": {"MailDomain": ""}}, ("slurm_conf_options.MailDomain", "leave the key out")),
    "account": ({"slurm_cluster_account": "a,b"}, ("slurm_cluster_account", "'a,b'", "letters, digits")),
    "users": (
        {"slurm_cluster_users": [{"name": "alice Account=x", "uid": 2001}]},
        ("slurm_cluster_users[0].name", "'alice Account=x'", "letters, digits"),
    ),
}

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
THIEF = """
systemd-run --quiet --unit=port-thief python3 -m http.server --bind 127.0.0.1 7001
for i in $(seq 50); do ss -Hlnt 'sport = 7001' | grep -q . && break; sleep 0.1; done
"""

# How a host is spoilt and mended, variables, and what the message must name: the finding, what was seen, the remedy.
HOSTS: dict[str, tuple[str, str, dict[str, Any], tuple[str, ...]]] = {
    "a key that everyone reads": (
        f"chmod 0644 {KEY}",
        f"chmod 0600 {KEY}",
        {},
        ("jwt-key-open", f"{KEY}: uid", "mode 0644", f"rm {KEY}"),
    ),
    "a port that another process has": (
        THIEF,
        "systemctl stop port-thief",
        {"slurmrestd_service_listen": ["127.0.0.1:7001"]},
        ("port-taken", "127.0.0.1:7001 belongs to python3", "Stop port-thief.service", "slurmrestd_service_listen"),
    ),
}

FINGERPRINT = """
find /etc /run/slurmrestd /var/lib/slurm/jwt -xdev \\( -type f -o -type s \\) -printf '%p %m %u %g %s %T@ ' -type f \\
    -exec sha256sum {} ';' -o -print | sort
getent passwd; getent group
systemctl show -p MainPID,ActiveEnterTimestampMonotonic,NRestarts slurmrestd slurmctld slurmdbd slurmd munge
"""


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("real-input", release) as live:
        live.ssh("node1", "useradd --system --user-group --groups adm grouped")
        yield live


@pytest.fixture(scope="module")
def before(cluster: LiveCluster) -> str:
    return cluster.ssh("node1", FINGERPRINT)


@pytest.mark.parametrize("case", CASES)
def test_refused_in_words_that_help_and_nothing_changes(cluster: LiveCluster, before: str, case: str) -> None:
    variables, words = CASES[case]
    play = cluster.playbook("deploy.yml", variables=variables)
    assert play.status != 0, play.output
    flat = play.words
    assert [word for word in words if word not in flat] == [], play.output
    assert PASSWORD not in play.output
    assert play.changed == 0, play.output
    assert cluster.ssh("node1", FINGERPRINT) == before


@pytest.mark.parametrize("case", CLUSTER_CASES)
def test_a_new_cluster_is_refused_before_anything_changes(cluster: LiveCluster, before: str, case: str) -> None:
    variables, words = CLUSTER_CASES[case]
    play = cluster.playbook("cluster.yml", variables=variables)
    assert play.status != 0, play.output
    flat = play.words
    assert [word for word in words if word not in flat] == [], play.output
    assert play.changed == 0, play.output
    assert cluster.ssh("node1", FINGERPRINT) == before


@pytest.mark.parametrize("case", HOSTS)
def test_a_host_that_would_break_stops_it_before_anything_changes(cluster: LiveCluster, before: str, case: str) -> None:
    spoil, mend, variables, words = HOSTS[case]
    cluster.ssh("node1", spoil)
    try:
        spoilt = cluster.ssh("node1", FINGERPRINT)
        play = cluster.playbook("deploy.yml", variables=variables)
        assert play.status != 0, play.output
        flat = play.words
        assert [word for word in ("Nothing was changed.", *words) if word not in flat] == [], play.output
        assert play.changed == 0, play.output
        assert cluster.ssh("node1", FINGERPRINT) == spoilt
    finally:
        cluster.ssh("node1", mend)
    assert cluster.ssh("node1", FINGERPRINT) == before


def test_the_same_run_without_bad_input_changes_nothing(cluster: LiveCluster, before: str) -> None:
    play = cluster.playbook("deploy.yml").good()
    assert play.changed == 0, play.output
    assert cluster.ssh("node1", FINGERPRINT) == before


def test_what_a_variable_says_is_what_slurm_has(cluster: LiveCluster) -> None:
    """Comment signs, backslashes and blanks arrive, and a second run has nothing to do."""
    options = dict(cluster.inventory()["all"]["vars"]["slurm_conf_options"])
    options |= {"MailDomain": r"a#b\c", "SlurmctldParameters": "idle_on_node_suspend, node_reg_mem_percent=95"}
    options |= {"SlurmdSyslogDebug": "quiet", "NodeSet": "every Nodes=ALL", "TrackWCKey": False}
    cluster.playbook("cluster.yml", variables={"slurm_conf_options": options}).good()
    config = cluster.ssh("node1", "scontrol show config")
    has = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in config.splitlines())}
    assert has["MailDomain"] == r"a#b\c", config
    assert has["SlurmctldParameters"].replace(" ", "") == "idle_on_node_suspend,node_reg_mem_percent=95"
    assert cluster.playbook("cluster.yml", variables={"slurm_conf_options": options}).good().changed == 0
