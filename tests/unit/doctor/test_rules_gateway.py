"""What is wrong with a gateway, from evidence that is changed by hand; clusters that were broken are in evidence/."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from slurmrest.doctor.diagnosis import Diagnosis, diagnose
from slurmrest.doctor.gateway import _refused, _source, _told
from slurmrest.doctor.model import Cluster

from tests.render.test_gateway import LOGINS, site
from tests.unit.doctor.test_doctor import evidence

KID = "slurmrest-gateway-1"
GATEWAY: dict[str, Any] = {
    "site": "/etc/nginx/conf.d/zz-slurmrest-gateway.conf",
    "told": {
        "name": "slurm.example.org",
        "listen": ["0.0.0.0:443"],
        "certificate": "/etc/ssl/c.pem",
        "key": "/etc/ssl/k.pem",
        "revision": "0123456789ab",
        "hosts": ["127.0.0.1:6820"],
        "logins": True,
        "places": ["/run/slurmrest-gateway", "/run/slurmrest-gateway/cache"],
        "cache": "/run/slurmrest-gateway/cache",
    },
    "units": {name: {"active": "active"} for name in ("nginx.service", "slurmrest-identity.service")},
    "account": {"name": "www-data", "group": "www-data", "exists": True, "uid": 33, "gid": 33, "gids": [33]},
    "certificate": {"path": "/etc/ssl/c.pem", "error": "", "days": 80.0, "until": "Feb 1 00:00:00 2027 GMT"},
    "served": {
        "address": "127.0.0.1:443",
        "error": "",
        "status": 401,
        "revision": "0123456789ab",
        "same_certificate": True,
    },
    "hosts": [{"host": "127.0.0.1:6820", "error": "", "closed": ""}],
    "identity": {"signs": KID, "error": "", "key": "/k", "holds": KID, "said": "", "answered": True},
    "places": [
        {"path": "/run/slurmrest-gateway", "exists": True, "owner": "root", "mode": "0710"},
        {"path": "/run/slurmrest-gateway/cache", "exists": True, "owner": "www-data", "mode": "0700"},
    ],
    "connections": 768,
    "files": 1024,
    "refused": [{"client": "192.0.2.1", "refused": 5, "others": 0, "path": "/slurm/v0.0.41/diag"}],
    "said": [],
}


def seen(changes: dict[str, Any], **host: Any) -> Diagnosis:
    """The report on a sound cluster whose gateway has these changes, by ``name.name`` of the evidence."""
    data = evidence()
    gateway = copy.deepcopy(GATEWAY)
    for way, value in changes.items():
        *outer, last = way.split(".")
        place: Any = gateway
        for key in outer:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value
    taken = {"path": "/var/lib/slurmrest-jwks/jwks.json", "kids": [KID], "error": ""}
    data["hosts"]["node1"].update({"gateway": gateway, "taken": taken, **host})
    return diagnose(Cluster.of(data["hosts"], unreachable=data["unreachable"]))


def test_a_sound_gateway_gives_no_finding() -> None:
    assert seen({}).healthy
    assert seen({"identity": None}).healthy


@pytest.mark.parametrize(
    ("changes", "found", "words"),
    [
        ({"served.status": None, "served.error": "refused"}, "gateway-stopped", "no answer"),
        ({"served.revision": "000000000000"}, "gateway-not-loaded", "another configuration"),
        ({"certificate.days": 3.0}, "gateway-certificate", "ends in 3 days"),
        ({"certificate.error": "Hostname mismatch", "certificate.days": None}, "gateway-certificate", "Hostname"),
        ({"served.same_certificate": False}, "gateway-certificate-former", "was renewed"),
        ({"hosts.0.error": "Connection refused"}, "gateway-upstream", "where it is not"),
        ({"hosts.0.closed": "/run/slurmrestd"}, "gateway-socket-closed", "www-data"),
        ({"places.1.mode": "0755"}, "gateway-directories", "not as they have to be"),
        ({"places.1.owner": "root"}, "gateway-directories", "not as they have to be"),
        ({"places.0": {"path": "/run/slurmrest-gateway", "exists": False}}, "gateway-directories", "not as they"),
        ({"files": 256}, "gateway-descriptors", "may open 256 files"),
        ({"identity.signs": "", "identity.error": "refused"}, "gateway-identity", "nobody can log in"),
        ({"identity.said": "Protocol authentication error"}, "gateway-key-refused", "was not loaded"),
        ({"refused.0.refused": 40}, "gateway-refuses-on-and-on", "a session that has ended"),
    ],
)
def test_each_cause_alone(changes: dict[str, Any], found: str, words: str) -> None:
    report = seen(changes)
    assert [finding.id for finding in report.findings] == [found]
    assert words in report.findings[0].cause
    assert report.findings[0].evidence


@pytest.mark.parametrize(("active", "typed"), [("failed", False), ("activating", False), ("inactive", True)])
def test_nginx_that_ends_over_its_configuration_is_for_people(active: str, typed: bool) -> None:
    """What an earlier start said against it is no reason why one that was stopped does not run."""
    states = {"nginx.service": {"active": active}}
    words = ['nginx: [emerg] unknown directive "no" in /etc/nginx/conf.d/site.conf:1']
    (finding,) = seen({"served.status": None, "units": states, "said": words}).findings
    assert (finding.id, "`systemctl" in finding.remedy, bool(finding.by_hand)) == ("gateway-stopped", typed, not typed)
    assert (words[0] in finding.evidence) is not typed


def test_a_key_that_is_not_in_the_set_is_put_there() -> None:
    taken = {"path": "/set.json", "kids": ["other"], "error": ""}
    (finding,) = seen({"identity.said": "Protocol authentication error"}, taken=taken).findings
    assert finding.id == "gateway-key-refused"
    assert "it is not in the cluster's set" in finding.cause
    assert "node1: /set.json has other" in finding.evidence
    assert "playbooks/deploy.yml -e slurmrest_allow_controller_restart=true" in finding.remedy


def test_a_refused_key_of_a_cluster_that_takes_no_token_at_all_is_not_the_gateway_s() -> None:
    data = evidence("slurmctld-stopped")
    data["hosts"]["node1"]["gateway"] = copy.deepcopy(GATEWAY)
    data["hosts"]["node1"]["gateway"]["identity"]["said"] = "Unable to contact slurm controller"
    report = diagnose(Cluster.of(data["hosts"], unreachable=data["unreachable"]))
    assert "gateway-key-refused" not in [finding.id for finding in report.findings]


def test_many_mistyped_passwords_beside_good_answers_are_no_loop() -> None:
    assert seen({"refused.0.refused": 40, "refused.0.others": 20}).healthy


@pytest.mark.parametrize("identity", ["token", "pam"])
def test_what_the_template_writes_is_read(identity: str) -> None:
    text = site(**LOGINS.get(identity, {}), slurmrest_gateway_upstreams=["127.0.0.1:6820", "unix:/run/x/rest.socket"])
    told = _told(text)
    assert told["hosts"] == ["127.0.0.1:6820", "unix:/run/x/rest.socket"]
    assert (told["name"], told["listen"]) == ("slurm.example.org", ["0.0.0.0:443"])
    assert (told["certificate"], told["key"]) == ("/etc/ssl/certs/slurm.pem", "/etc/ssl/private/slurm.key")
    assert told["logins"] is (identity != "token")
    assert told["places"] == ["/run/slurmrest-gateway", "/run/slurmrest-gateway/cache"]
    assert len(told["revision"]) == 12
    assert told["revision"] in text


def test_refusals_are_counted_by_client(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    old = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.localtime(time.time() - 600))
    entries = [("192.0.2.1", 401, now)] * 3 + [("192.0.2.1", 200, now), ("192.0.2.2", 401, now)]
    entries += [("192.0.2.3", 401, old), ("192.0.2.4", 200, now)]
    lines = [json.dumps({"time": t, "client": c, "status": s, "path": "/slurm/x"}) for c, s, t in entries]
    # nginx' account may have written anything there, and is not root.
    odd = [json.dumps({"time": "0001-01-01T00:00:00", "client": "192.0.2.5", "status": 401, "path": ""}), "[" * 100_000]
    content = "\n".join(["no JSON", *odd, *lines]).encode()
    monkeypatch.setattr("slurmrest.doctor.gateway.read_beginning", lambda *_words, **_more: content)
    assert _refused() == [
        {"client": "192.0.2.1", "refused": 3, "others": 1, "path": "/slurm/x"},
        {"client": "192.0.2.2", "refused": 1, "others": 0, "path": "/slurm/x"},
    ]


def test_what_the_log_of_refusals_holds_is_no_secret_and_commands_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    entry = {"time": now, "client": "192.0.2.1\x9b", "status": 401, "path": "/slurm/x\x1b/SLURM_JWT=sesame"}
    content = json.dumps(entry).encode()
    monkeypatch.setattr("slurmrest.doctor.gateway.read_beginning", lambda *_words, **_more: content)
    (found,) = _refused()
    assert found["client"] == "192.0.2.1\N{REPLACEMENT CHARACTER}"
    assert found["path"] == "/slurm/x\N{REPLACEMENT CHARACTER}/SLURM_JWT=(redacted)"


def test_the_way_to_a_host_that_is_not_reached_begins_at_an_address_of_this_one() -> None:
    assert _source({"addresses": ["127.0.0.1"], "error": "timed out"}) == "127.0.0.1"
    assert _source({"addresses": ["no address"], "error": "timed out"}) == ""
    assert _source({"addresses": ["127.0.0.1"], "error": ""}) == ""
