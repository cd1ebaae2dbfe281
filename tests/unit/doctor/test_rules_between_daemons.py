"""What slurm.conf names and cannot be reached, and a database that is up and of no use."""

from __future__ import annotations

import contextlib
import http.server
import socket
import subprocess
import threading
import time
from typing import Any

import pytest
from slurmrest.doctor import reaching
from slurmrest.doctor import thorough as module
from slurmrest.host import programs
from slurmrest.host.network import connect

from tests.unit.doctor.test_doctor import evidence, ids, judge, split


def tried(host: str, error: str = "Connection refused", daemon: str = "slurmdbd", **more: Any) -> dict[str, Any]:
    return {"daemon": daemon, "host": host, "port": "6819", "addresses": ["127.0.0.1"], "error": error, **more}


def without_accounting(data: dict[str, Any], name: str) -> None:
    data["hosts"][name]["http"]["clusters"] = {**data["hosts"][name]["http"]["clusters"], "good": False}


@pytest.mark.parametrize(("line", "explains"), [("SlurmctldPort=6999", True), ("MaxJobCount=6999", False)])
def test_another_slurm_conf_is_why_a_daemon_is_sought_elsewhere(line: str, explains: bool) -> None:
    data = split()
    entry = {"key": line.partition("=")[0].lower(), "value": "6999", "origin": "/etc/slurm/slurm.conf:26", "line": line}
    data["hosts"]["rest"]["confs"]["slurm_conf"]["entries"].append(entry)
    data["hosts"]["rest"]["reach"] = [tried("ctl", daemon="slurmctld", port="6999")]
    assert ("daemon-unreached" in ids(judge(data))) != explains
    assert "configuration-differs" in ids(judge(data))


def test_localhost_means_another_host_on_a_rest_host_of_its_own() -> None:
    data = split()
    data["hosts"]["rest"]["reach"] = [tried("localhost")]
    without_accounting(data, "rest")
    (finding,) = judge(data).findings
    assert finding.id == "daemon-unreached"
    assert finding.cause == "AccountingStorageHost of this host means the host itself, and slurmdbd is on db."
    assert "AccountingStorageHost=db" in finding.remedy
    assert finding.evidence[0] == "connect to localhost (127.0.0.1), port 6819: Connection refused"
    assert ids(judge(data, preflight=True)) == ["daemon-unreached"]


def test_a_name_that_is_not_known_and_a_firewall_have_their_own_remedies() -> None:
    data = split()
    data["hosts"]["rest"]["reach"] = [tried("db", "cannot be resolved: no", addresses=[])]
    assert "getent hosts db" in judge(data).findings[0].remedy
    data["hosts"]["rest"]["reach"] = [tried("db", "timed out")]
    assert "no firewall between may drop port 6819" in judge(data).findings[0].remedy


def test_one_of_two_controllers_that_is_reached_is_enough() -> None:
    data = split()
    data["hosts"]["rest"]["reach"] = [tried("one", daemon="slurmctld"), tried("two", "", "slurmctld")]
    assert judge(data).healthy


def test_a_daemon_that_does_not_run_is_the_cause_of_not_being_reached() -> None:
    data = evidence("slurmdbd-stopped")
    data["hosts"]["node1"]["reach"] = [tried("node1")]
    assert ids(judge(data)) == ["slurmdbd-stopped"]
    assert judge(data, preflight=True).healthy, "a deployment starts it"


def test_a_place_is_tried_by_name_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connect("127.0.0.1", str(port)) == {"addresses": ["127.0.0.1"], "error": ""}
    assert connect("127.0.0.1", str(port))["error"] == "Connection refused"
    assert connect("no.such.invalid", "6819")["error"].startswith("cannot be resolved: ")
    assert module._address("ctl(10.0.0.7)") == "10.0.0.7"
    assert module._address("ctl") == "ctl"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fatal: Database schema is from a newer version of Slurm, downgrading is not possible.", "a newer slurmdbd"),
        ("error: mysql_real_connect failed: 1226 User 'slurm' has exceeded the 'max_user_connections' resource", "few"),
        ("error: mysql_real_connect failed: 1045 Access denied for user 'slurm'@'localhost'", "refuses the login"),
        ("error: mysql_query failed: 1290 The MariaDB server is running with the --read-only option", "is read-only"),
        ("error: mysql_real_connect failed: 2003 Can't connect to MySQL server on 'db' (111)", "does not reach"),
        ("accounting_storage/as_mysql: converting usage tables of the database", "is converting"),
    ],
)
def test_a_database_that_is_of_no_use(line: str, words: str) -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["journal"]["slurmdbd"] = [
        {"age": 4.0, "run": 0, "text": line},
        {"age": 3.0, "run": 0, "text": "error: The database must be up when starting the MYSQL plugin."},
    ]
    without_accounting(data, "node1")
    (finding,) = judge(data).findings
    assert finding.id == "database-unusable"
    assert words in finding.cause
    assert finding.evidence == [f"journal of slurmdbd: {line}"]
    for old in host["journal"]["slurmdbd"]:
        old["age"] = 9000.0
    host["http"]["clusters"]["good"] = True
    assert judge(data).healthy, "that was yesterday"


def test_a_slurmdbd_whose_last_words_are_in_its_log_alone_names_the_database() -> None:
    """22.05.8 below systemd 252: nothing of a daemon that ends at once is in the journal."""
    data = evidence()
    host = data["hosts"]["node1"]
    host["units"]["slurmdbd"].update(active="failed", sub="failed", result="exit-code", exit_status=1, pid=0)
    former = "error: Database settings not recommended values: innodb_buffer_pool_size"
    host["journal"]["slurmdbd"] = [{"age": 300.0, "run": 0, "text": former}]
    query = "error: mysql_query failed: 1290 The MariaDB server is running with the --read-only option"
    host["logs"] = {
        "slurmdbd": [
            query,
            "error: Couldn't load specified plugin name for accounting_storage/mysql: Plugin init() callback failed",
            "error: cannot create accounting_storage context for accounting_storage/mysql",
            "fatal: Unable to initialize accounting_storage/mysql accounting storage plugin",
        ]
    }
    without_accounting(data, "node1")
    (finding,) = judge(data).findings
    assert (finding.id, finding.evidence) == ("database-unusable", [f"journal of slurmdbd: {query}"])


def test_a_database_that_is_reached_again_is_no_fault() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    words = "error: mysql_real_connect failed: 2002 Can't connect to local server through socket '/run/mysqld' (2)"
    host["journal"]["slurmdbd"] = [{"age": 20.0, "run": 0, "text": words}]
    assert judge(data).healthy
    host["http"]["clusters"] = None  # nobody answered that it is
    assert [finding.id for finding in judge(data).findings] == ["database-unusable"]


def test_a_user_whom_the_running_controller_has_not_looked_up() -> None:
    data = evidence()
    host = data["hosts"]["node1"]
    host["users"], host["slurm_users"] = {"alice": {"exists": True, "uid": 2000}}, {"alice": 4294967294}
    (finding,) = judge(data).findings
    assert (finding.id, finding.remedy) == ("user-not-looked-up", "`scontrol reconfigure`")
    host["slurm_users"] = {"alice": 2000}
    assert judge(data).healthy


def test_the_uids_of_users_are_asked_of_a_controller_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "Current Association Manager state\n\nUserName=alice(4294967294) DefAccount=a\nUserName=bob(7)\n"
    asked: list[list[str]] = []

    def run(command: list[str], **_more: Any) -> subprocess.CompletedProcess[str]:
        asked.append(list(command))
        return subprocess.CompletedProcess(command, 0, output, "")

    monkeypatch.setattr(programs, "run", run)
    facts = {"slurm_conf": {"path": ""}, "prefix": None}
    running = {"slurmctld": {"active": "active"}}
    assert module._slurm_users(facts, running, ["slurmctld"], ["alice"]) == {"alice": 4294967294}
    assert asked[0][-4:] == ["show", "assoc_mgr", "users=alice", "flags=users"]
    assert module._slurm_users(facts, {}, ["slurmctld"], ["alice"]) is None
    assert len(asked) == 1
    output = ""
    assert module._slurm_users(facts, running, ["slurmctld"], ["alice"]) is None, "it gave no answer"


def test_what_listens_in_place_of_slurmctld_and_answers_nothing() -> None:
    data = split()
    rest = data["hosts"]["rest"]
    rest["reach"] = [tried("ctl", "", daemon="slurmctld", answer=None)]
    assert judge(data).healthy, "it serves, so slurmctld was only busy"
    rest["http"]["diag"] = {**rest["http"]["diag"], "good": False}
    (finding,) = judge(data).findings
    assert finding.id == "daemon-unreached"
    assert "slurmctld hangs there, or it is another program" in finding.cause
    rest["reach"] = [
        tried("ctl", "", daemon="slurmctld", answer=None),
        tried("two", "", daemon="slurmctld", answer=204),
    ]
    (finding,) = judge(data).findings
    assert finding.id == "token-refused"
    assert "GET http://two:6819/healthz without a token: 204, so slurmctld itself works" in finding.evidence


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.server.server_port in CLOSING:  # type: ignore[attr-defined]
            return
        self.send_response(204 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
        """Keep the terminal clean."""


CLOSING: set[int] = set()


@pytest.mark.parametrize(
    ("release", "parameters", "expected"),
    [
        ({"daemon_http": True}, None, 204),
        ({"daemon_http": True}, "keepaliveinterval=1,disable_http", "not asked"),
        ({"daemon_http": False}, None, "not asked"),
        ({}, None, "not asked"),
    ],
)
def test_slurmctld_is_asked_for_its_own_page_where_it_has_one(
    release: dict[str, bool], parameters: str | None, expected: int | str
) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    slurm = {"slurmctld_hosts": ["127.0.0.1"], "slurmctld_port": server.server_port, "accounting": False}
    entries = [{"key": "communicationparameters", "value": parameters}] if parameters else []
    try:
        (entry,) = module._reach({"slurm_conf": slurm}, {"entries": entries}, release)
        assert entry.get("answer", "not asked") == expected
        CLOSING.add(server.server_port)
        (entry,) = module._reach({"slurm_conf": slurm}, {"entries": entries}, release)
        assert entry.get("answer", "not asked") == (None if expected == 204 else expected)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n", b"H"])
def test_a_page_that_goes_on_for_ever_keeps_nobody(says: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has slurmctld's port, SlurmUser at the least, could send a byte now and then while root waits."""
    monkeypatch.setattr(module, "_PAGE_SECONDS", 0.5)
    done = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as asked:
            while not done.wait(0.02):
                asked.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        slurm = {"slurmctld_hosts": ["127.0.0.1"], "slurmctld_port": port, "accounting": False}
        monkeypatch.setattr(module, "reach", lambda _host, _port: {"addresses": ["127.0.0.1"], "error": ""})
        began = time.monotonic()
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.extend(module._reach({"slurm_conf": slurm}, {"entries": []}, {"daemon_http": True})),
            daemon=True,
        )
        asking.start()
        asking.join(5)
        done.set()
        dripping.join(5)
        assert answers, f"root waits after {time.monotonic() - began:.1f} s"
        assert answers[0]["answer"] == (int(says[9:12]) if b"\n" in says else None)


def test_a_port_that_slurmctld_does_not_have_yet() -> None:
    data = split()
    data["hosts"]["rest"]["reach"] = [tried("ctl", daemon="slurmctld", port="6917")]
    assert "restart" not in judge(data).findings[0].remedy, "both are of one age"
    data["hosts"]["ctl"]["files"]["/etc/slurm/slurm.conf"]["age"] = 12.0
    (finding,) = judge(data).findings
    assert (finding.id, finding.remedy) == ("daemon-unreached", "on ctl: `systemctl restart slurmctld`")
    assert "ctl: /etc/slurm/slurm.conf was changed 12 s ago, slurmctld runs for 500 s" in finding.evidence


def unheard(host: str = "db.nowhere.invalid", error: str = "cannot be resolved: Name or service not known") -> Any:
    """A slurmdbd that runs, says nothing and listens nowhere: older releases look the database up before."""
    data = split()
    db = data["hosts"]["db"]
    db["held"] = []
    db["storage"] = [{"host": host, "port": "3306", "addresses": [], "error": error}]
    origin = "/etc/slurm/slurmdbd.conf:9"
    entry = {"key": "storagehost", "name": "StorageHost", "value": host, "line": "", "origin": origin}
    db["confs"]["slurmdbd_conf"]["entries"].append(entry)
    data["hosts"]["rest"]["reach"] = [tried("db")]
    without_accounting(data, "rest")
    return data


def test_a_database_of_no_name_is_why_slurmdbd_does_not_listen() -> None:
    data = unheard()
    (finding,) = judge(data).findings
    assert (finding.id, finding.host) == ("database-unusable", "db")
    assert finding.evidence == [
        "connect to db.nowhere.invalid (no address), port 3306: cannot be resolved: Name or service not known",
        "/etc/slurm/slurmdbd.conf:9: StorageHost=db.nowhere.invalid",
    ]
    assert len(finding.consequences) == 3


def test_a_database_is_no_reason_where_slurmdbd_serves_or_reaches_one() -> None:
    data = unheard()
    data["hosts"]["db"]["held"] = [{"host": "0.0.0.0", "port": 6819, "program": "slurmdbd", "pid": 1}]
    assert ids(judge(data)) == ["daemon-unreached"]
    data = unheard()
    data["hosts"]["db"]["storage"].append({"host": "db2", "port": "3306", "addresses": ["10.0.0.2"], "error": ""})
    assert ids(judge(data)) == ["slurmdbd-not-listening"]


def stated(**values: str) -> dict[str, Any]:
    return {"entries": [{"key": key, "value": value} for key, value in values.items()]}


def test_the_database_is_looked_for_where_slurmdbd_conf_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "reach", lambda host, port: {"addresses": [], "error": f"no {host}:{port}"})
    assert module._storage(stated(storagehost="db", storagebackuphost="db2", storageport="3307")) == [
        {"host": "db", "port": "3307", "addresses": [], "error": "no db:3307"},
        {"host": "db2", "port": "3307", "addresses": [], "error": "no db2:3307"},
    ]
    assert [module._storage(conf) for conf in (None, stated(), stated(storagehost="localhost"))] == [[], [], []]
    assert module._storage(stated(storagehost="/run/mysqld.sock")) == []


def test_a_resolver_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(reaching, "REACH_SECONDS", 0.1)
    monkeypatch.setattr(reaching, "connect", lambda *_: release.wait(20) and {})
    found = reaching.reach("db", "3306")
    release.set()
    assert found == {"addresses": [], "error": "cannot be resolved within 0 s"}
