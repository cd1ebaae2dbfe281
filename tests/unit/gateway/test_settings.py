"""Variables of a gateway: what becomes of good ones, and that no value can say more to nginx than it should."""

from __future__ import annotations

from typing import Any

import pytest
from slurmrest.errors import InputError
from slurmrest.gateway.settings import as_dict, settle, upstreams

GOOD: dict[str, Any] = {
    "slurmrest_gateway_name": "Slurm.example.org",
    "slurmrest_gateway_listen": ["0.0.0.0:443", "[::]:443"],
    "slurmrest_gateway_certificate": "/etc/ssl/certs/slurm.example.org.pem",
    "slurmrest_gateway_certificate_key": "/etc/ssl/private/slurm.example.org.key",
    "slurmrest_gateway_tls_min": "1.2",
    "slurmrest_gateway_upstreams": ["127.0.0.1:6820", "unix:/run/slurmrestd/slurmrestd.socket"],
    "slurmrest_gateway_clusters": {},
    "slurmrest_gateway_plain_acknowledged": False,
    "slurmrest_gateway_identity": "token",
    "slurmrest_gateway_origins": ["https://portal.example.org", "http://localhost:8080"],
    "slurmrest_gateway_status": "127.0.0.1:9820",
    "slurmrest_gateway_clients": ["192.0.2.0/24", "2001:db8::/32"],
    "slurmrest_gateway_cache_seconds": 1,
    "slurmrest_gateway_cache_size": "256m",
    "slurmrest_gateway_rate": 50,
    "slurmrest_gateway_burst": "100",
    "slurmrest_gateway_lists_at_once": 2,
    "slurmrest_gateway_connections": 256,
    "slurmrest_gateway_body_size": "8m",
    "slurmrest_gateway_timeout": 5,
    "slurmrest_gateway_list_timeout": 120,
    "slurmrest_gateway_token_lifespan": 300,
    "slurmrest_gateway_session_lifespan": 28800,
    "slurmrest_gateway_login_rate": 10,
    "slurmrest_gateway_pam_service": "slurmrest-gateway",
    "slurmrest_gateway_client_ca": "",
    "slurmrest_gateway_oidc": {},
    "slurmrest_gateway_url": "",
    "slurmrest_gateway_pages": "",
    "slurmrest_gateway_subjects": {},
    "slurmrest_gateway_min_uid": 1000,
    "slurmrest_gateway_users_denied": [],
    "slurmrest_gateway_groups_denied": [],
    "slurmrest_gateway_groups_allowed": [],
}
LOGINS: dict[str, Any] = {
    "slurmrest_gateway_client_ca": "/etc/ssl/people.pem",
    "slurmrest_gateway_subjects": {"CN=Alice,O=Example": "alice"},
    "slurmrest_gateway_oidc": {"issuer": "https://login.example.org", "client_id": "slurm"},
}
NEEDED = {
    "pam": ["slurmrest_gateway_pam_service"],
    "mtls": ["slurmrest_gateway_client_ca", "slurmrest_gateway_subjects"],
    "oidc": ["slurmrest_gateway_oidc"],
}
"""What is judged only where it counts."""


def settled(**changed: Any) -> dict[str, Any]:
    return as_dict(settle({**GOOD, **{f"slurmrest_gateway_{name}": value for name, value in changed.items()}}))


def test_good_values_arrive() -> None:
    found = settled()
    assert found["name"] == "slurm.example.org"
    assert found["hosts"] == ("127.0.0.1:6820", "unix:/run/slurmrestd/slurmrestd.socket")
    assert (found["burst"], found["tls"], found["answer_seconds"]) == (100, "TLSv1.2 TLSv1.3", 5)
    assert settled(upstreams=["127.0.0.1:6820"])["answer_seconds"] == 120, "with one host there is no other to ask"


def test_further_clusters_have_hosts_and_patience_of_their_own() -> None:
    told = {"alpha": ["127.0.0.1:6821"], "beta-2": ["127.0.0.1:6822", "unix:/run/beta/slurmrestd.socket"]}
    found = settled(clusters=told)["clusters"]
    assert [(one["name"], one["hosts"], one["answer_seconds"]) for one in found] == [
        ("alpha", ("127.0.0.1:6821",), 120),
        ("beta-2", ("127.0.0.1:6822", "unix:/run/beta/slurmrestd.socket"), 5),
    ]


@pytest.mark.parametrize(
    ("clusters", "said"),
    [
        ([], "names of clusters"),
        ({"Alpha": ["127.0.0.1:6821"]}, "lower-case letters"),
        ({"a/b": ["127.0.0.1:6821"]}, "lower-case letters"),
        ({"a.b": ["127.0.0.1:6821"]}, "lower-case letters"),
        ({"a|b": ["127.0.0.1:6821"]}, "lower-case letters"),
        ({"": ["127.0.0.1:6821"]}, "lower-case letters"),
        ({1: ["127.0.0.1:6821"]}, "lower-case letters"),
        ({"alpha": []}, "slurmrest_gateway_clusters, alpha"),
        ({"alpha": "127.0.0.1:6821"}, "slurmrest_gateway_clusters, alpha"),
        ({"alpha": ["0.0.0.0:6821"]}, "slurmrest_gateway_clusters, alpha"),
        ({"alpha": ["https://127.0.0.1:6821"]}, "slurmrest_gateway_clusters, alpha"),
        ({"alpha": ["127.0.0.1:6820"]}, "one of the first cluster, too"),
        ({"alpha": ["127.0.0.1:6821"], "beta": ["127.0.0.1:6821"]}, "one of alpha, too"),
        ({"alpha": ["far.example.org:6820"]}, "slurmrest_gateway_plain_acknowledged"),
    ],
    ids=str,
)
def test_clusters_that_cannot_be_meant_are_refused(clusters: object, said: str) -> None:
    with pytest.raises(InputError) as refused:
        settled(clusters=clusters)
    assert said in str(refused.value)


def test_there_may_be_no_page_for_the_administrator() -> None:
    assert [settled(status=value)["status"] for value in ("", "[::1]:9820")] == ["", "[::1]:9820"]


def test_one_user_leaves_a_list_to_others() -> None:
    assert (settled()["lists"], settled()["user_lists"]) == (2, 1)
    assert settled(lists_at_once=1)["user_lists"] == 1


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("name", "", "DNS name"),
        ("name", "192.0.2.1", "DNS name"),
        ("name", "slurm.example.org; x", "DNS name"),
        ("name", 'a.b"', "DNS name"),
        ("listen", [], "1 or more"),
        ("listen", "0.0.0.0:443", "a list"),
        ("listen", ["443"], "address:port"),
        ("listen", ["gateway.example.org:443"], "an address of this host"),
        ("listen", ["unix:/run/x"], "a TCP port"),
        ("listen", ["0.0.0.0:443", "0.0.0.0:443"], "each value once"),
        ("certificate", "cert.pem", "an absolute path"),
        ("certificate", "/etc/ssl/a b.pem", "an absolute path"),
        ("certificate", "/etc/ssl/a.pem;", "nginx would read the rest otherwise"),
        ("certificate", "/etc/ssl/a.pem\n", "nginx would read the rest otherwise"),
        ("certificate", "/etc/ssl/$name.pem", "nginx would read the rest otherwise"),
        ("certificate_key", "/etc/ssl/{a}", "nginx would read the rest otherwise"),
        ("certificate_key", None, "an absolute path"),
        ("tls_min", "1.1", "1.2 or 1.3"),
        ("upstreams", ["https://rest:6820"], "plain HTTP"),
        ("upstreams", ["0.0.0.0:6820"], "every address"),
        ("upstreams", ["rest:6820;"], "host:port"),
        ("upstreams", ["unix:/run/a b"], "letters, digits"),
        ("upstreams", ["rest1.example.org:6820"], "slurmrest_gateway_plain_acknowledged: False"),
        ("identity", "root", "token"),
        ("origins", ["*"], "every page of the world"),
        ("origins", ["null"], "every page of the world"),
        ("origins", ["https://portal.example.org/"], "as browsers send it"),
        ("origins", ["https://portal.example.org/x"], "as browsers send it"),
        ("origins", ["https://portal.example.org:443"], "usual port"),
        ("origins", ["https://Portal.example.org"], "as browsers send it"),
        ("origins", ["http://portal.example.org"], "over http"),
        ("origins", ['https://a.example.org" x'], "as browsers send it"),
        ("origins", ["https://a..b"], "a host that is none"),
        ("origins", ["https://a.example.org:99999"], "range"),
        ("clients", ["192.0.2.1/24"], "host bits"),
        ("clients", ["all"], "network"),
        ("clients", ["fe80::1%eth0"], "zone"),
        ("clients", ["fe80::1%a\nb"], "zone"),
        ("status", "0.0.0.0:9820", "who is on this host"),
        ("status", "192.0.2.1:9820", "who is on this host"),
        ("status", "localhost:9820", "loopback address"),
        ("status", "127.0.0.1", "loopback address"),
        ("status", "unix:/run/status", "loopback address"),
        ("status", "127.0.0.1:443", "clients have it"),
        ("cache_seconds", 11, "0 to 10"),
        ("cache_seconds", True, "0 to 10"),
        ("cache_seconds", "1s", "0 to 10"),
        ("cache_size", "256", "a size such as"),
        ("rate", 0, "1 to"),
        ("burst", -1, "0 to"),
        ("lists_at_once", 4, "1 to 3"),
        ("connections", 0, "1 to"),
        ("body_size", "8m;", "a size such as"),
        ("body_size", "51m", "at most 50m"),
        ("timeout", "5s", "1 to"),
        ("list_timeout", 0, "1 to"),
    ],
)
def test_what_nginx_would_read_otherwise_is_refused_by_name(variable: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"slurmrest_gateway_(plain_acknowledged|{variable}): ") as refused:
        settled(**{variable: value})
    assert said in str(refused.value)


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("bad", ["a;b", "a{", "a\nb", "a$b", 'a"b', "a b", "", None, {}])
def test_no_value_ends_a_directive(name: str, bad: Any) -> None:
    """Whatever the variable, as it is or as one of a list."""
    if name.endswith(("plain_acknowledged", "_url")):
        return  # the address is tested below: nothing is a good one
    by = next((kind for kind, names in NEEDED.items() if name in names), "token")
    if (name.endswith(("_pages", "_status")) and not bad) or (name.endswith("_clusters") and bad == {}):
        return  # none of them
    for value in (bad, [bad], {bad: "alice"} if isinstance(bad, str) else bad, {"CN=a": bad}):
        with pytest.raises(InputError, match=name):
            settle({**GOOD, **LOGINS, "slurmrest_gateway_identity": by, name: value})


def test_lists_stay_below_the_threads_of_each_daemon() -> None:
    assert settle({**GOOD, "slurmrest_gateway_lists_at_once": 15}, [20, 16]).lists == 15
    with pytest.raises(InputError, match="slurmrestd has 16 threads"):
        settle({**GOOD, "slurmrest_gateway_lists_at_once": 16}, [20, 16])
    with pytest.raises(InputError, match="slurmrestd has 4 threads"):
        settle({**GOOD, "slurmrest_gateway_lists_at_once": 4}, [20, 0])


def test_clear_text_is_for_those_who_know() -> None:
    far = ["rest1.example.org:6820"]
    assert settled(upstreams=far, plain_acknowledged=True)["hosts"] == tuple(far)


def test_where_the_hosts_of_the_inventory_are_asked() -> None:
    told = {
        "a": ["unix:/run/s/s.socket", "127.0.0.1:6820"],
        "b": ["0.0.0.0:6821"],
        "c": ["127.0.0.1:1", "192.0.2.3:6820"],
    }
    assert upstreams(["a", "b", "c"], told, "a") == ["127.0.0.1:6820", "b:6821", "192.0.2.3:6820"]
    assert upstreams(["b"], told, "b") == ["127.0.0.1:6821"]
    assert upstreams(["d"], {}, "d") == ["127.0.0.1:6820"]
    assert upstreams(["d"], {"d": ["unix:/run/s.socket"]}, "d") == ["unix:/run/s.socket"]
    assert upstreams(["2001:db8::1"], {"2001:db8::1": ["[::]:6820"]}, "x") == ["[2001:db8::1]:6820"]
    with pytest.raises(InputError, match="the gateway is on another host than d"):
        upstreams(["d"], {}, "x")


def test_logins_are_judged_by_their_kind() -> None:
    assert settled()["logins"]["identity"] == "token"
    by_password = settled(identity="pam", min_uid="500", users_denied=["bob"], groups_allowed=["hpc"])["logins"]
    assert (by_password["pam_service"], by_password["client_ca"]) == ("slurmrest-gateway", "")
    assert (by_password["least_uid"], by_password["users_denied"]) == (500, ("bob",))
    by_certificate = settle({**GOOD, **LOGINS, "slurmrest_gateway_identity": "mtls"}).logins
    assert by_certificate.subjects == {"CN=Alice,O=Example": "alice"}
    assert by_certificate.pam_service == ""
    assert by_certificate.are_signed


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("identity", "ldap", "token or pam or mtls or oidc"),
        ("token_lifespan", 59, "60 to 3600"),
        ("token_lifespan", 3601, "60 to 3600"),
        ("session_lifespan", 299, "300 to"),
        ("login_rate", 0, "1 to"),
        ("min_uid", 0, "1 to"),
        ("users_denied", ["a b"], "names of accounts"),
        ("groups_denied", [""], "names of accounts"),
        ("groups_allowed", "hpc", "a list"),
    ],
)
def test_refused_logins(variable: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"slurmrest_gateway_{variable}: ") as refused:
        settled(**{variable: value})
    assert said in str(refused.value)


PROVIDER = {"issuer": "https://login.example.org/realms/slurm", "client_id": "slurm-gateway"}


def test_a_provider_and_the_gateway_s_own_address() -> None:
    found = settled(identity="oidc", oidc=PROVIDER, listen=["0.0.0.0:8443", "0.0.0.0:443"])["logins"]
    assert found["provider"] == {
        **PROVIDER,
        "claim": "preferred_username",
        "ca_file": "",
        "url": "https://slurm.example.org:8443",
    }
    assert found["secret_file"] == ""
    more = {**PROVIDER, "claim": "uid", "ca_file": "/etc/ssl/site.pem", "secret_file": "/etc/slurmrest/secret"}
    found = settled(identity="oidc", oidc=more, url="https://portal.example.org")["logins"]
    assert found["provider"]["url"] == "https://portal.example.org"
    assert found["secret_file"] == "/etc/slurmrest/secret"
    assert "secret_file" not in found["provider"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"issuer": "http://login.example.org"}, "issuer"),
        ({"issuer": "login.example.org"}, "issuer"),
        ({"issuer": "https://joe:x@login.example.org"}, "issuer"),
        ({"issuer": None}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"claim": "a b"}, "claim"),
        ({"ca_file": "site.pem"}, "ca_file"),
        ({"secret_file": "secret"}, "secret_file"),
        ({"audience": "x"}, "a mapping with"),
    ],
)
def test_providers_that_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"slurmrest_gateway_oidc.*{said}"):
        settled(identity="oidc", oidc={**PROVIDER, **changed})


@pytest.mark.parametrize("url", ["http://slurm.example.org", "https://slurm.example.org/x", "https://a b", "slurm", 1])
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(InputError, match="slurmrest_gateway_url"):
        settled(identity="oidc", oidc=PROVIDER, url=url)
