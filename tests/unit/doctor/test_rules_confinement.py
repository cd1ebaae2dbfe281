"""What a unit takes away, and listeners that nobody finds: causes where there is trouble that fits, and only there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from slurmrest.doctor import unit_evidence as module
from slurmrest.doctor.thorough import not_here
from slurmrest.slurmrestd import unit as units
from slurmrest.slurmrestd import unit_places

from tests.unit.doctor.test_doctor import evidence, ids, judge
from tests.unit.doctor.test_rules_gateway import GATEWAY

SITE = "/etc/systemd/system/slurmrestd.service.d/zz-site.conf"


def broken(*lines: tuple[str, str], words: str = "", down: bool = True, **fields: Any) -> dict[str, Any]:
    data = evidence()
    host = data["hosts"]["node1"]
    host["confining"] = [
        {"key": key, "value": value, "origin": f"{SITE}:{at}"} for at, (key, value) in enumerate(lines, 2)
    ]
    if down:
        host["units"]["slurmrestd"].update(active="failed", sub="failed", result="exit-code", pid=0, **fields)
        host["processes"].pop("slurmrestd")
        host["http"] = {"url": None, "listeners": [], "served": None, "diag": None, "clusters": None}
    host["listening"] = [entry for entry in host["listening"] if entry["program"] != "slurmrestd"]
    host["journal"]["slurmrestd"] = [{"age": 1.0, "run": 0, "text": words}] if words else []
    return data


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("InaccessiblePaths", "-/etc/slurm /srv"), "fatal: Unable to process configuration file"),
        (("TemporaryFileSystem", "/etc:ro"), "fatal: Unable to process configuration file"),
        (("RestrictAddressFamilies", "AF_UNIX"), "fatal: main: socket: Address family not supported by protocol"),
        (("RestrictAddressFamilies", "~AF_INET AF_INET6"), "fatal: Address family not supported by protocol"),
        (("TasksMax", "1"), "fatal: pthread_create error Resource temporarily unavailable"),
        (("LimitNOFILE", "64"), "fatal: epoll_create: Too many open files"),
        (("LimitNOFILE", "6:6"), "fatal: Unable to find plugin: rest_auth/jwt"),
        (("InaccessiblePaths", "/etc/slurm"), "fatal: Could not establish a configuration source"),
        (("LimitNPROC", "1"), "fatal: pthread_create error Resource temporarily unavailable"),
    ],
)
def test_a_line_of_the_unit_is_the_cause(line: tuple[str, str], words: str) -> None:
    data = broken(("Nice", "1"), line, words=words)
    (finding,) = judge(data).findings
    assert finding.id == "unit-confines"
    assert finding.evidence[0] == f"{SITE}:3: {line[0]}={line[1]}"
    assert finding.remedy == (
        f"`sed -i --follow-symlinks '3d' {SITE}`, `systemctl daemon-reload`, then "
        "`systemctl reset-failed slurmrestd; systemctl restart slurmrestd`"
    )


def unheard(*lines: tuple[str, str], address: str = "127.0.0.1", kind: str = "timeout") -> dict[str, Any]:
    """A slurmrestd that listens, and whose ports give no answer."""
    data = broken(*lines, down=False)
    host = data["hosts"]["node1"]
    host["listening"] = evidence()["hosts"]["node1"]["listening"]
    host["http"]["listeners"] = [
        {"url": f"http://{address}:6820", "status": None, "kind": kind, "words": "no answer within 20 s"},
        {"url": "unix:/run/slurmrestd/slurmrestd.socket", "status": 401, "kind": None, "words": ""},
    ]
    return data


@pytest.mark.parametrize("apart", [True, None])
def test_a_network_of_its_own_while_it_runs(apart: bool | None) -> None:
    data = unheard(("PrivateNetwork", "yes"), kind="refused")
    host = data["hosts"]["node1"]
    host["processes"]["slurmrestd"]["network_apart"] = apart
    host["listening"] = [entry for entry in host["listening"] if entry["kind"] == "unix"]
    assert ids(judge(data)) == ["unit-confines"]
    host["processes"]["slurmrestd"]["network_apart"] = False
    assert "unit-confines" not in ids(judge(data)), "a container passed it over"
    assert ids(judge(broken(("PrivateNetwork", "no"), down=False))) == ["not-listening"]


def test_a_network_of_its_own_is_no_reason_where_it_answers() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["confining"] = [{"key": "PrivateNetwork", "value": "yes", "origin": f"{SITE}:2"}]
    host["http"]["diag"] = {**host["http"]["diag"], "status": 500, "good": False, "words": "no"}
    assert "unit-confines" not in ids(judge(data))


@pytest.mark.parametrize(
    ("lines", "address", "named"),
    [
        ([("IPAddressDeny", "any")], "127.0.0.1", True),
        ([("IPAddressDeny", "any")], "[::1]", True),
        ([("IPAddressDeny", "10.0.0.0/8"), ("IPAddressAllow", "localhost")], "10.1.2.3", True),
        ([("IPAddressDeny", "any"), ("IPAddressAllow", "localhost")], "127.0.0.1", False),
        ([("IPAddressDeny", "192.0.2.7")], "127.0.0.1", False),
        ([("IPAddressDeny", "no network"), ("IPAddressAllow", "any")], "127.0.0.1", False),
    ],
)
def test_packets_that_systemd_drops(lines: list[tuple[str, str]], address: str, named: bool) -> None:
    found = judge(unheard(*lines, address=address)).findings
    assert [finding.id for finding in found] == ["unit-confines" if named else "listener-silent"]
    assert f"{SITE}:2: IPAddressDeny=" in found[0].evidence[0] or not named
    assert "unit-confines" not in ids(judge(unheard(*lines, address=address, kind="refused")))


def test_packets_to_slurmctld_that_systemd_drops() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["confining"] = [{"key": "IPAddressDeny", "value": "any", "origin": f"{SITE}:2"}]
    host["confining"] += [{"key": "IPAddressAllow", "value": "localhost", "origin": f"{SITE}:3"}]
    host["reach"] = [{"daemon": "slurmctld", "host": "ctl", "port": "6817", "addresses": ["10.0.0.7"], "error": ""}]
    assert judge(data).healthy
    words = "Unable to contact slurm controller (connect failure)"
    host["http"]["diag"] = {**host["http"]["diag"], "status": 500, "good": False, "words": words}
    (finding,) = judge(data).findings
    assert finding.id == "unit-confines"
    assert "between slurmrestd and slurmctld" in finding.cause
    host["reach"][0]["addresses"] = ["127.0.0.1"]
    assert "unit-confines" not in ids(judge(data))
    host["reach"][0].update(addresses=["10.0.0.7"], error="timed out")
    assert "unit-confines" not in ids(judge(data)), "nobody of this host reaches it"


def test_packets_of_a_gateway_that_systemd_drops() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    deny = {"key": "IPAddressDeny", "value": "any", "origin": f"{unit_places.DROPIN}:9"}
    host["confining"] = [deny, {"key": "IPAddressAllow", "value": "localhost 10.0.0.0/24", "origin": f"{SITE}:3"}]
    data["hosts"]["gate"] = {**copy.deepcopy(host), "roles": [], "keys": {}, "http": None, "token_refused": None}
    lost = {"host": "node1:6820", "error": "timed out", "closed": "", "from": "10.0.9.9"}
    data["hosts"]["gate"]["gateway"] = {**copy.deepcopy(GATEWAY), "hosts": [lost]}
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("unit-confines", "node1")
    assert "slurmrestd_service_clients" in finding.remedy
    assert "connect from 10.0.9.9 to node1:6820: timed out" in finding.evidence
    assert finding.consequences
    lost["from"] = "10.0.0.9"
    assert ids(judge(data)) == ["gateway-upstream"]


@pytest.mark.parametrize(
    ("key", "own"), [("SystemCallFilter", False), ("SocketBindDeny", False), ("SocketBindDeny", True)]
)
def test_a_line_that_denies_what_opens_a_listener(key: str, own: bool) -> None:
    words = "fatal: conmgr_create_listen_socket: [[::]:6820] Unable to create socket: Operation not permitted"
    data = broken((key, "~socket"), words=words)
    data["hosts"]["node1"]["confining"][0]["origin"] = f"{unit_places.DROPIN if own else SITE}:2"
    assert ids(judge(data)) == ["slurmrestd-failed" if own else "unit-confines"]


@pytest.mark.parametrize(
    ("key", "found"), [("SystemCallFilter", "unit-confines"), ("SocketBindDeny", "slurmrestd-failed")]
)
def test_an_address_that_cannot_be_looked_up_for_want_of_a_socket(key: str, found: str) -> None:
    """As older releases say it."""
    data = broken((key, "~socket"), words="error: Unable to get address: Temporary failure in name resolution")
    assert ids(judge(data)) == [found]


def test_other_ends_are_not_the_units_doing() -> None:
    lines = [("TasksMax", "512"), ("LimitNOFILE", "4096"), ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6")]
    data = broken(*lines, ("InaccessiblePaths", "/home"), words="fatal: something else")
    assert ids(judge(data)) == ["slurmrestd-failed"]
    data = broken(("InaccessiblePaths", "/etc/slurm"), ("PrivateNetwork", "yes"), words="fatal: something else")
    assert ids(judge(data)) == ["slurmrestd-failed"]


def test_a_confined_one_that_works_is_sound() -> None:
    data = evidence()
    data["hosts"]["node1"]["confining"] = [
        {"key": "PrivateNetwork", "value": "yes", "origin": f"{SITE}:2"},
        {"key": "TasksMax", "value": "1", "origin": f"{SITE}:3"},
    ]
    assert judge(data).healthy


def limited(*lines: tuple[str, str, str], words: str) -> dict[str, Any]:
    data = broken(words=words)
    data["hosts"]["node1"]["confining"] = [
        {"key": key, "value": value, "origin": f"{file}:{at}"} for at, (file, key, value) in enumerate(lines, 2)
    ]
    return data


THREADS = "fatal: pthread_create error Resource temporarily unavailable"


@pytest.mark.parametrize(
    ("lines", "words", "decides"),
    [
        ([(unit_places.DROPIN, "TasksMax", "84"), (SITE, "LimitNPROC", "1")], THREADS, 3),
        ([(unit_places.DROPIN, "TasksMax", "84"), (SITE, "TasksMax", "2")], THREADS, 3),
        ([(SITE, "TasksMax", "200"), (SITE, "LimitNPROC", "12")], THREADS, 3),
        ([(SITE, "LimitNPROC", "12:64"), (SITE, "TasksMax", "infinity")], THREADS, 2),
    ],
)
def test_the_tightest_limit_decides(lines: list[tuple[str, str, str]], words: str, decides: int) -> None:
    (finding,) = judge(limited(*lines, words=words)).findings
    assert finding.id == "unit-confines"
    assert finding.evidence[0].startswith(f"{SITE}:{decides}: ")
    assert f"'{decides}d' {SITE}" in finding.remedy


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        # What this toolkit wrote leaves enough: something else is short.
        ([(unit_places.DROPIN, "TasksMax", "84")], THREADS),
        ([(unit_places.DROPIN, "TasksMax", "84"), (SITE, "LimitNPROC", "4096")], THREADS),
        ([(SITE, "LimitNPROC", "infinity"), (SITE, "TasksMax", "15%")], THREADS),
        # A later line of the key replaced it.
        ([(SITE, "LimitNOFILE", "6"), (SITE, "LimitNOFILE", "65536")], "fatal: Unable to find plugin: rest_auth/jwt"),
        # Of the whole host.
        ([(SITE, "LimitNOFILE", "4096")], "fatal: open: Too many open files in system"),
        # A container may pass a limit of tasks over, so that without words it is no reason.
        ([(SITE, "TasksMax", "1")], "fatal: something else"),
    ],
)
def test_a_limit_that_does_not_confine_is_no_cause(lines: list[tuple[str, str, str]], words: str) -> None:
    assert "unit-confines" not in ids(judge(limited(*lines, words=words)))


def test_what_this_toolkit_wrote_follows_a_variable() -> None:
    data = broken(("TasksMax", "1"), words=THREADS)
    host = data["hosts"]["node1"]
    own, vendors = unit_places.DROPIN, host["facts"]["unit"]["fragment"]
    for file, words in ((own, "slurmrestd_service_sandbox"), (vendors, "systemctl edit")):
        host["confining"][0]["origin"] = f"{file}:9"
        (finding,) = judge(data).findings
        assert words in finding.remedy
        assert bool(finding.by_hand) is ("edit" in words)


def test_the_lines_are_read_with_where_they_stand() -> None:
    text = "[Service]\nInaccessiblePaths=/a\nInaccessiblePaths=\nInaccessiblePaths=%E/slurm\nTasksMax=5\n"
    alone = units.effective("/u", (), lambda _path: text)
    assert module.confining(alone) == [
        {"key": "InaccessiblePaths", "value": "/etc/slurm", "origin": "/u:4"},
        {"key": "TasksMax", "value": "5", "origin": "/u:5"},
    ]


@pytest.mark.parametrize("down", [False, True])
def test_an_address_that_is_none_of_the_host(down: bool) -> None:
    data = broken(words="fatal: bind: Cannot assign requested address", down=down)
    host = data["hosts"]["node1"]
    text = host["facts"]["unit"]["listeners"][0]["text"]
    host["expected"] = [entry["text"] for entry in host["facts"]["unit"]["listeners"]]
    host["not_here"] = {text: "Cannot assign requested address"}
    (finding,) = judge(data).findings
    assert finding.id == "listener-not-here"
    assert finding.by_hand
    host["expected"] = ["127.0.0.2:6820"]
    (finding,) = judge(data).findings
    assert "deploy.yml" in finding.remedy
    assert not finding.by_hand


def test_a_name_that_is_lost_while_it_serves_is_no_fault() -> None:
    data = evidence()
    data["hosts"]["node1"]["not_here"] = {"0.0.0.0:6820": "Name or service not known"}
    assert judge(data).healthy


def test_addresses_of_others_are_seen() -> None:
    def told(host: str) -> dict[str, Any]:
        return {"text": f"{host}:6820", "listener": {"kind": "tcp", "host": host, "port": 6820}}

    assert not_here([told("127.0.0.1"), told("localhost"), told(""), told("0.0.0.0")]) == {}
    assert set(not_here([told("192.0.2.9"), told("no.such.invalid")])) == {
        "192.0.2.9:6820",
        "no.such.invalid:6820",
    }


def test_a_socket_whose_file_was_removed() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    (entry,) = [entry for entry in host["listening"] if entry["path"]]
    assert judge(data).healthy
    host["directories"][entry["path"]]["socket"] = False
    (finding,) = judge(data).findings
    assert (finding.id, finding.remedy) == ("socket-removed", "`systemctl restart slurmrestd`")


def test_plugins_of_slurmrestd_that_are_gone() -> None:
    data = broken(words="fatal: No data_parsers plugins loaded. Refusing to load.")
    data["hosts"]["node1"]["facts"]["plugins"]["data_parser"] = []
    (finding,) = judge(data).findings
    assert finding.id == "slurmrestd-missing"
    assert finding.cause == "slurmrestd is there, and of its plugins data_parser there is none."
    assert finding.by_hand


def test_a_directory_of_the_key_that_is_closed() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    for daemon in ("slurmctld", "slurmdbd"):
        host["keys"][daemon]["directory_problems"] = ["/var/lib/slurm/jwt cannot be entered by slurm"]
        host["units"][daemon].update(active="failed", sub="failed", result="exit-code", pid=0)
        text = "fatal: auth/jwt: cannot stat '/var/lib/slurm/jwt/jwt_hs256.key': Permission denied"
        host["journal"][daemon] = [{"age": 1.0, "run": 0, "text": text}]
    (finding,) = judge(data).findings
    assert finding.id == "jwt-key-closed"
    assert finding.remedy == (
        "`chown -h slurm: /var/lib/slurm/jwt; runuser -u slurm -- chmod 0700 /var/lib/slurm/jwt`; "
        "`systemctl reset-failed slurmdbd slurmctld; systemctl restart slurmdbd slurmctld`"
    )
    for daemon in ("slurmctld", "slurmdbd"):
        host["keys"][daemon]["directory_problems"] = ["/var/lib/slurm cannot be entered by slurm"]
    assert judge(data).findings[0].remedy.startswith("`chown root: /var/lib/slurm; chmod a+x,go-w /var/lib/slurm`")
    # What is not the reader's may have more in it than the key, and does not become his.
    for daemon in ("slurmctld", "slurmdbd"):
        host["keys"][daemon]["directory_problems"] = ["/var/lib/slurm/jwt cannot be entered by slurm"]
        host["keys"][daemon]["directories"][0]["uid"] = 0
    assert judge(data).findings[0].remedy.startswith("`chown root: /var/lib/slurm/jwt; chmod a+x,go-w ")


def test_a_database_without_any_cluster_is_told_so_by_an_error_too() -> None:
    data = evidence(release="22.05")
    answer = data["hosts"]["node1"]["http"]["clusters"]
    answer.update(good=False, status=500, names=[], words="Nothing found with query: Nothing found (9003)")
    (finding,) = judge(data).findings
    assert finding.id == "cluster-not-registered"
