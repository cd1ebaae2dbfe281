"""What sites say of a gateway, as it arrives in nginx's file, tmpfiles.d and the unit's drop-in."""

from __future__ import annotations

import ipaddress
import json
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from ansible.errors import AnsibleError
from slurmrest.gateway import signing
from slurmrest.gateway.counters import Counters, kind_of
from slurmrest.gateway.judge import COUNTERS
from slurmrest.login.settings import LoginSettings
from slurmrest.rest.effect import CHANGES_BY_GET

from tests.render.exposure import exposure
from tests.render.roles import ROLES, evaluate

SITE = "/etc/nginx/conf.d/zz-slurmrest-gateway.conf"
NGINX = {
    "user": "www-data",
    "group": "www-data",
    "workers": 2,
    "http2_directive": True,
    "alone": True,
    "site": SITE,
}
VARIABLES: dict[str, Any] = {
    "inventory_hostname": "rest",
    "groups": {"slurmrestd": ["rest"]},
    "hostvars": {"rest": {}},
    "slurmrest_gateway_name": "slurm.example.org",
    "slurmrest_gateway_certificate": "/etc/ssl/certs/slurm.pem",
    "slurmrest_gateway_certificate_key": "/etc/ssl/private/slurm.key",
    "__slurmrest_gateway_judgement": {"nginx": NGINX},
}


def files(**variables: Any) -> dict[str, str]:
    entries = evaluate("slurmrest_gateway", "__slurmrest_gateway_files", {**VARIABLES, **variables}, {})
    return {str(entry["path"]): str(entry["content"]) for entry in entries}


def site(**variables: Any) -> str:
    return files(**variables)[SITE]


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"(?ms)^{kind} \{{\n(.*?)^\}}", text)


def test_braces_and_directives_are_whole() -> None:
    """Each line ends what it begins; nginx itself reads it in tests/real/gateway."""
    for text in (site(), site(slurmrest_gateway_origins=["https://a.example.org"], slurmrest_gateway_cache_seconds=0)):
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert [line for line in lines if line[-1] not in "{};'"] == ["log_format slurmrest_gateway escape=json"]
        assert text.count("{\n") == len([line for line in lines if line == "}"])
        assert "@revision@" not in text


def test_the_revision_is_that_of_the_text() -> None:
    found = {
        re.findall(r"X-Slurmrest-Gateway ([0-9a-f]{12})\$slurmrest_older always", site(slurmrest_gateway_rate=r))[0]
        for r in (5, 6)
    }
    assert len(found) == 2
    probe = evaluate("slurmrest_gateway", "__slurmrest_gateway_probes", {**VARIABLES, "slurmrest_gateway_rate": 5}, {})
    assert probe[0]["gateway"][:2] == ["0.0.0.0:443", "slurm.example.org"]
    assert probe[0]["gateway"][2] in found


def test_older_nginx_has_http2_in_its_listen_line() -> None:
    old = {"nginx": {**NGINX, "http2_directive": False}}
    assert "listen 0.0.0.0:443 ssl;\n    http2 on;" in site()
    assert "listen 0.0.0.0:443 ssl http2;\n    server_name" in site(__slurmrest_gateway_judgement=old)


def test_the_file_is_debian_s_where_nginx_is_not_there_yet() -> None:
    assert SITE in files(__slurmrest_gateway_judgement={"nginx": None})


def test_only_the_first_server_is_reached_from_outside() -> None:
    servers = blocks(site(), "server")
    assert [re.findall(r"listen (\S+)", server) for server in servers] == [
        ["0.0.0.0:443"],
        *([f"unix:/run/slurmrest-gateway/{name}.socket;"] for name in ("inner", "answers", "lists", "changes")),
    ]


def test_nothing_of_a_client_passes_but_what_is_named() -> None:
    (front, *_) = blocks(site(), "server")
    assert "proxy_pass_request_headers off;" in front
    assert re.findall(r"proxy_set_header (\S+)", front) == [
        "Host",
        "Connection",
        "Accept",
        "Content-Type",
        "Cache-Control",
        "X-SLURM-USER-NAME",
        "X-SLURM-USER-TOKEN",
        "X-Slurmrest-Client",
    ]
    assert front.index('if ($slurmrest_token = "")') < front.index("proxy_pass http")


def test_an_answer_belongs_to_user_and_whole_token() -> None:
    (key,) = re.findall(r'proxy_cache_key "([^"]*)"', site())
    assert {"$http_x_slurm_user_name", "$http_x_slurm_user_token", "$request_uri", "$http_accept"} <= set(key.split())
    assert set(re.findall(r"proxy_cache\w* .*", site(slurmrest_gateway_cache_seconds=0))) == {"proxy_cache off;"}
    assert "proxy_ignore_client_abort on;" in site()


@pytest.mark.parametrize("identity", ["token", "pam", "mtls"])
def test_nothing_is_kept_or_let_in_as_the_site_says_of_its_other_servers(identity: str) -> None:
    """proxy_cache in http would have a key without the user, and ``satisfy any`` an address in a user's place."""
    servers = blocks(site(**LOGINS.get(identity, {})), "server")
    assert len(servers) == 5
    assert all(re.search(r"(?m)^    proxy_cache off;$", server) for server in servers)
    assert re.search(r"(?m)^    satisfy all;$", servers[0])
    assert [len(re.findall(r"(?m)^        proxy_cache (?!off)", server)) for server in servers] == [0, 1, 0, 0, 0]


def test_the_log_has_neither_headers_nor_the_query() -> None:
    (form,) = re.findall(r"(?s)log_format slurmrest_gateway (.*?);\n", site())
    logged = set(re.findall(r"\$\w+", form))
    assert not {name for name in logged if name.startswith("$http_")}
    assert not logged & {"$request", "$request_uri", "$args", "$query_string", "$slurmrest_token", "$slurmrest_sent"}
    assert {"$slurmrest_user", "$status", "$upstream_http_x_cache", "$upstream_response_time"} <= logged


def read_by_nginx(request: str) -> str:
    """Method and path as in ``$request_method $uri``: decoded, without query, doubled slashes, dots."""
    method, _, target = request.partition(" ")
    path = re.sub("/+", "/", unquote(target.partition("?")[0]))
    return f"{method} {posixpath.normpath(path)}{'/' if path.endswith('/') else ''}"


def way_of(text: str, request: str) -> str:
    """Which inner server the map names."""
    (rules,) = re.findall(r'(?s)map "\$request_method \$uri" \$slurmrest_way \{(.*?)\n\}', text)
    assert "default slurmrest_changes;" in rules
    found = re.findall(r'"~(\*?)(.*?)" slurmrest_([\w.-]+);', rules)
    cases = ((re.compile(rule, re.IGNORECASE if star else 0), name) for star, rule, name in found)
    return next((name for rule, name in cases if rule.search(read_by_nginx(request))), "changes")


def test_the_gets_that_change_something_are_those_that_the_engine_knows() -> None:
    for variables in LOGINS.values():
        text = site(**variables)
        assert text.count(f"/({'|'.join(CHANGES_BY_GET)})") == 2


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("GET /slurm/v0.0.42/jobs", "lists"),
        ("GET /slurm/v0.0.42/jobs/?update_time=1", "lists"),
        ("GET /slurm/v0.0.42/jobs/state", "lists"),
        ("GET /slurmdb/v0.0.42/jobs?users=alice", "lists"),
        ("GET //slurm/v0.0.42/jobs", "lists"),
        ("GET /slurm//v0.0.42/%6Aobs?update_time=1", "lists"),
        ("GET /slurm/v0.0.42/jobs//", "lists"),
        ("GET /slurm/./v0.0.42/nodes", "lists"),
        ("GET /slurmdb/v0.0.42/us%65rs", "lists"),
        ("GET /slurm/v0.0.42/job/7", "answers"),
        ("GET /slurm/v0.0.42/node/a%2Fb", "answers"),
        ("GET /openapi/v3", "answers"),
        ("GET /slurm/v0.0.45/job/7/requeue", "changes"),
        ("GET /slurm/v0.0.38/reconfigure/", "changes"),
        ("GET //slurm/v0.0.45/job/7/reque%75e", "changes"),
        ("GET /slurmdb/v0.0.38/", "lists"),
        ("GET /slurm/", "lists"),
        ("POST /slurm/v0.0.42/job/submit", "changes"),
        ("DELETE /slurm/v0.0.42/job/7", "changes"),
        ("DELETE /slurm/v0.0.42/jobs", "changes"),
    ],
)
def test_which_way_a_request_takes(path: str, way: str) -> None:
    """However it is spelt: slurmrestd reads all of these as the same."""
    assert way_of(site(), path) == way


def test_the_server_that_chooses_the_way_reads_two_slashes_as_one() -> None:
    """Whatever the site says of its own servers in http."""
    (inner,) = (server for server in blocks(site(), "server") if "$slurmrest_way" in server)
    assert re.search(r"(?m)^    merge_slashes on;$", inner)


CLUSTERS = {
    "slurmrest_gateway_clusters": {"alpha": ["127.0.0.1:6821"], "alpha-2": ["127.0.0.1:6822", "127.0.0.1:6823"]}
}


def asked(text: str, path: str) -> str:
    """What slurmrestd of a further cluster is asked, for what a client sent."""
    (rest,) = re.findall(r'(?s)map \$request_uri \$slurmrest_rest \{.*?"~(.*?)" \$slurmrest_path;', text)
    match = re.search(rest.replace("(?<", "(?P<"), path)
    return match["slurmrest_path"] if match else path


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("GET /cluster/alpha/slurm/v0.0.42/jobs", "lists.alpha"),
        ("GET /cluster/alpha-2/slurm/v0.0.42/jobs?update_time=1", "lists.alpha-2"),
        ("GET /cluster/alpha/slurmdb/v0.0.42/users", "lists.alpha"),
        ("GET /cluster/alpha/slurm/v0.0.42/n%6Fdes", "lists.alpha"),
        ("GET /cluster/alpha/slurm/v0.0.42/node/a%2Fb", "answers.alpha"),
        ("POST /cluster/alpha/slurm/v0.0.42/job/submit", "changes.alpha"),
        ("DELETE /cluster/alpha-2/slurm/v0.0.42/job/7", "changes.alpha-2"),
        ("GET /slurm/v0.0.42/jobs", "lists"),
        ("GET /slurm/v0.0.42/job/7", "answers"),
        ("POST /slurm/v0.0.42/job/submit", "changes"),
    ],
)
def test_which_cluster_a_request_is_for(path: str, way: str) -> None:
    text = site(**CLUSTERS)
    assert way_of(text, path) == way
    (place,) = re.findall(r"(?m)^    location ~ (\S+) \{$", text)
    assert re.search(place, path.split()[1].partition("?")[0])
    assert asked(text, path.split()[1]) == "/slurm" + path.split()[1].partition("/slurm")[2]


@pytest.mark.parametrize(
    "path",
    [
        "/cluster/alpha%2Fslurm%2Fv0.0.42%2Fjob%2F7/slurm/v0.0.42/jobs",
        "/cluster/alpha-2%2fopenapi/slurm/v0.0.42/jobs",
        "/cluster/%61lpha/slurm/v0.0.42/jobs",
        "/cluster/alpha-3/slurm/v0.0.42/jobs",
    ],
)
def test_what_is_asked_of_a_cluster_is_what_its_way_was_chosen_by(path: str) -> None:
    """No list leaves the path of something else: slurmrestd knows none of these."""
    assert asked(site(**CLUSTERS), path) == path


@pytest.mark.parametrize("path", ["/cluster/beta/slurm/v0.0.42/jobs", "/cluster/alpha", "/cluster/alpha/auth/login"])
def test_what_is_no_cluster_is_not_there(path: str) -> None:
    (place,) = re.findall(r"(?m)^    location ~ (\S+) \{$", site(**CLUSTERS))
    assert not re.search(place, path)
    assert not re.search(re.findall(r"(?m)^    location ~ (\S+) \{$", site())[0], "/cluster/alpha/slurm/v0.0.42/jobs")


ZONES = {
    "slurmrest_connections": "$binary_remote_addr",
    "slurmrest_connections_of_network": "$slurmrest_network",
    "slurmrest_lists": "$server_name",
    "slurmrest_lists_of_client": "$server_name$http_x_slurm_user_name/$http_x_slurmrest_client",
    "slurmrest_lists_of_user": "$server_name$http_x_slurm_user_name",
    "slurmrest_logins": "$slurmrest_network",
    "slurmrest_requests": "$http_x_slurm_user_name$http_x_slurm_user_token",
    "slurmrest_user_lists": "$http_x_slurm_user_name",
}
"""Each name that a zone of a released gateway has had, with its key."""


@pytest.mark.parametrize("more", [{}, CLUSTERS, {"slurmrest_gateway_identity": "pam"}], ids=str)
def test_a_zone_with_another_key_has_another_name(more: dict[str, Any]) -> None:
    """Nginx refuses to be reloaded where a zone that it has gets another key; its trial does not see that."""
    found = re.findall(r"(?m)^limit_(?:conn|req)_zone (\S+) zone=(\w+):", site(**more))
    assert len(found) >= 4
    assert [(key, ZONES[name]) for key, name in found if key != ZONES[name]] == []


def test_connections_are_kept_but_for_changes() -> None:
    """One that is closed just when a change is sent would leave nobody knowing what became of it."""
    found = dict(re.findall(r"(?ms)^upstream (\S+) \{\n(.*?)^\}", site(**CLUSTERS)))
    without = {name for name, body in found.items() if "keepalive" not in body}
    assert without == {
        f"slurmrest_{name}{cluster}" for name in ("changes", "hosts_once") for cluster in ("", ".alpha", ".alpha-2")
    }


def test_each_cluster_has_hosts_and_limits_of_its_own() -> None:
    text = site(**CLUSTERS)
    upstreams = {
        name: re.findall(r"server (\S+) max", body)
        for name, body in re.findall(r"(?ms)^upstream (\S+) \{\n(.*?)^\}", text)
    }
    assert upstreams["slurmrest_hosts"] == upstreams["slurmrest_hosts_once"] == ["127.0.0.1:6820"]
    assert upstreams["slurmrest_hosts.alpha"] == ["127.0.0.1:6821"]
    assert upstreams["slurmrest_hosts_once.alpha-2"] == ["127.0.0.1:6822", "127.0.0.1:6823"]
    servers = {re.findall(r"server_name (\S+);", server)[0]: server for server in blocks(text, "server")}
    assert len(servers) == 2 + 3 * 3
    lists = servers["slurmrest-gateway-lists.alpha-2"]
    assert "listen unix:/run/slurmrest-gateway/lists.alpha-2.socket;" in lists
    assert "proxy_pass http://slurmrest_hosts.alpha-2$slurmrest_rest;" in lists
    assert "proxy_pass http://slurmrest_hosts_once.alpha$slurmrest_rest;" in servers["slurmrest-gateway-changes.alpha"]
    assert "proxy_read_timeout 120s;" in servers["slurmrest-gateway-answers.alpha"]
    assert "proxy_read_timeout 5s;" in servers["slurmrest-gateway-answers.alpha-2"]
    assert "limit_conn_zone $server_name zone=slurmrest_lists:" in text
    assert "zone=slurmrest_lists_of_client:" in text
    assert "limit_conn slurmrest_lists_of_client 1;" in lists
    assert 'proxy_set_header X-Slurmrest-Client "";' in lists, "slurmrestd is not told"
    assert "$slurmrest_rest" not in site()


def test_pages_of_other_origins_are_listed() -> None:
    assert "add_header Access-Control" not in site()
    text = site(slurmrest_gateway_origins=["https://portal.example.org"])
    assert '    "https://portal.example.org" "https://portal.example.org";\n' in text
    assert "add_header Vary Origin always;" in text


def test_pages_of_the_site_run_no_foreign_script() -> None:
    (front, *_) = blocks(site(slurmrest_gateway_pages="/srv/slurm-pages"), "server")
    (pages,) = re.findall(r"(?ms)^    location / \{\n(.*?)^    \}", front)
    assert "root /srv/slurm-pages;" in pages
    assert "Content-Security-Policy \"default-src 'self';" in pages
    assert "frame-ancestors 'none'" in pages
    assert "X-Content-Type-Options nosniff" in pages
    assert "return 404" not in pages
    assert "root /" not in site()


OBEYED = {
    *("Set-Cookie", "Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Alt-Svc"),
    *("Location", "Refresh", "Link", "WWW-Authenticate", "NEL", "Report-To", "Reporting-Endpoints"),
    *("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"),
}
"""What a browser, or a client that follows addresses with its bearer in hand, would obey."""


def test_an_answer_of_slurmrestd_is_no_page_of_the_gateway_s_origin() -> None:
    """Whoever has broken into slurmrestd must not get from there to the sessions of those who ask it."""
    for pages in ("", "/srv/slurm-pages"):
        text = site(slurmrest_gateway_identity="pam", slurmrest_gateway_pages=pages)
        front, inner, *ways = blocks(text, "server")
        (policy,) = re.findall(r'(?m)^    add_header Content-Security-Policy "([^"]*)" always;$', front)
        assert set(policy.split("; ")) == {"default-src 'none'", "frame-ancestors 'none'", "sandbox"}
        assert re.search(r"(?m)^    add_header X-Content-Type-Options nosniff always;$", front)
        (api,) = re.findall(r"(?ms)^    location ~ \^(.*?)^    \}", front)
        assert "add_header" not in api, "or it would have none of the server's"
        for way in ways:
            hidden = set(re.findall(r"(?m)^        proxy_hide_header (\S+);$", way))
            assert hidden >= {"X-Cache", "X-Slurmrest-Gateway", "X-Slurmrest-Host", "X-Slurmrest-Revision"}, (
                "what the gateway itself says, and counts"
            )
            assert hidden >= OBEYED
            assert "proxy_ignore_headers X-Accel-Redirect" in way
        assert "proxy_hide_header X-Slurmrest-Host" not in inner


def test_who_may_come() -> None:
    assert "deny" not in site()
    assert "allow 192.0.2.0/24;\n    deny all;" in site(slurmrest_gateway_clients=["192.0.2.0/24"])


def test_several_hosts_take_each_other_s_place() -> None:
    variables = {
        "groups": {"slurmrestd": ["rest", "rest2"]},
        "hostvars": {"rest": {}, "rest2": {"slurmrestd_service_listen": ["0.0.0.0:6820"]}},
    }
    with pytest.raises(AnsibleError, match="slurmrest_gateway_plain_acknowledged"):
        site(**variables)
    text = site(**variables, slurmrest_gateway_plain_acknowledged=True)
    both = ["127.0.0.1:6820", "rest2:6820"]
    assert re.findall(r"server (\S+) max_fails=1", text) == both * 2
    assert re.findall(r"server (\S+) backup max_fails=0;", text) == both * 2, "the last one that is left is asked, too"
    assert re.findall(r"proxy_next_upstream_tries (\d);", text) == ["4", "2", "2"]
    assert "backup" not in site()
    assert "proxy_read_timeout 5s;" in text
    assert "proxy_read_timeout 5s;" not in site()


def test_a_refused_value_stops_by_the_name_of_its_variable() -> None:
    with pytest.raises(AnsibleError, match="slurmrest_gateway_origins: '\\*' is refused"):
        site(slurmrest_gateway_origins=["*"])


def test_directories_are_closed() -> None:
    text = files()["/etc/tmpfiles.d/slurmrest-gateway.conf"]
    assert "d /run/slurmrest-gateway 0710 root www-data -\n" in text
    assert "d /run/slurmrest-gateway/cache 0700 www-data www-data -\n" in text
    dropin = files()["/etc/systemd/system/nginx.service.d/50-slurmrest-gateway.conf"]
    assert "ExecStartPre=-/usr/bin/find /run/slurmrest-gateway -maxdepth 1 -type s -delete\n" in dropin


# --- logins ----------------------------------------------------------------------------------------------------------

LOGINS: dict[str, dict[str, Any]] = {
    "pam": {"slurmrest_gateway_identity": "pam"},
    "mtls": {
        "slurmrest_gateway_identity": "mtls",
        "slurmrest_gateway_client_ca": "/etc/ssl/people.pem",
        "slurmrest_gateway_subjects": {"CN=Alice,O=Example": "alice"},
    },
    "oidc": {
        "slurmrest_gateway_identity": "oidc",
        "slurmrest_gateway_oidc": {
            "issuer": "https://login.example.org",
            "client_id": "slurm",
            "secret_file": "/etc/slurmrest/secret",
        },
    },
}
ASKED = [
    "Host",
    "Connection",
    "Authorization",
    "Cookie",
    "Origin",
    "Sec-Fetch-Site",
    "X-CSRF-Token",
    "X-Client",
    "X-Method",
    "X-Own-Host",
]
OF_CERTIFICATES = ["X-Client-Verify", "X-Client-Subject"]
RESULT = {"python": "/usr/bin/python3"}
KNOWN = {"os": {"family": "Debian"}}


def rendered(expression: str, identity: str, facts: dict[str, Any] | None = None, **variables: Any) -> dict[str, str]:
    found = {"__slurmrest_gateway_programs_result": RESULT}
    known = {**VARIABLES, **LOGINS[identity], **found, **variables}
    entries = evaluate("slurmrest_gateway", expression, known, facts or KNOWN)
    return {str(entry["path"]): str(entry["content"]) for entry in entries}


@pytest.mark.parametrize("identity", LOGINS)
def test_who_asks_is_said_by_the_identity_service_alone(identity: str) -> None:
    text = site(**LOGINS[identity])
    (front, *_) = blocks(text, "server")
    assert "$http_x_slurm_user" not in front
    assert "$slurmrest_sent" not in text
    (way,) = re.findall(r"(?ms)^    location ~ \^/\(slurm\|slurmdb\)/(.*?)^    \}", front)
    assert way.index("auth_request /slurmrest-check;") < way.index("proxy_pass http")
    assert "proxy_pass_request_headers off;" in way
    assert "proxy_set_header X-SLURM-USER-NAME $slurmrest_login_user;" in way
    assert "proxy_set_header X-SLURM-USER-TOKEN $slurmrest_login_token;" in way
    for name, header in (("user", "name"), ("token", "token")):
        assert f"auth_request_set $slurmrest_login_{name} $upstream_http_x_slurm_user_{header};" in way
    assert '"user":"$slurmrest_login_user"' in text
    assert (
        "X-SLURM-USER"
        not in site(**LOGINS[identity], slurmrest_gateway_origins=["https://a.example.org"]).partition("log_format")[0]
    )


@pytest.mark.parametrize("identity", LOGINS)
def test_what_the_identity_service_believes_comes_from_nginx(identity: str) -> None:
    (front, *_) = blocks(site(**LOGINS[identity]), "server")
    wanted = ASKED + (OF_CERTIFICATES if identity == "mtls" else [])
    (check,) = re.findall(r"(?ms)^    location = /slurmrest-check \{\n(.*?)^    \}", front)
    (auth,) = re.findall(r"(?ms)^    location /auth/ \{\n(.*?)^    \}", front)
    assert check.startswith("        internal;")
    assert re.findall(r"proxy_set_header (\S+)", check) == [*wanted, "Content-Length"]
    assert re.findall(r"proxy_set_header (\S+)", auth) == [*wanted, "Content-Type"]
    for place in (check, auth):
        assert "proxy_pass_request_headers off;" in place
    assert ("ssl_verify_client optional;" in front) == (identity == "mtls")
    assert ("limit_req zone=slurmrest_logins" in auth) == (identity != "mtls")


def test_a_certificate_counts_where_this_server_asked_for_it() -> None:
    alone = site(**LOGINS["mtls"])
    assert set(re.findall(r"X-Client-Verify (\S+);", alone)) == {"$ssl_client_verify"}
    for authorities in ("ssl_client_certificate", "ssl_trusted_certificate"):
        assert re.findall(rf"(?m)^    {authorities} (\S+);$", alone) == ["/etc/ssl/people.pem"]
    beside = {"nginx": {**NGINX, "alone": False}}
    text = site(**LOGINS["mtls"], __slurmrest_gateway_judgement=beside)
    (rules,) = re.findall(r'(?s)map "\$ssl_server_name \$ssl_client_verify" \$slurmrest_certified \{\n(.*?)\n\}', text)
    assert rules.split() == ["default", "NONE;", '"slurm.example.org', 'SUCCESS"', "SUCCESS;"]
    assert set(re.findall(r"X-Client-Verify (\S+);", text)) == {"$slurmrest_certified"}


@pytest.mark.parametrize("identity", LOGINS)
@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/slurm/v0.0.42/reconfigure/", True),
        ("/slurm/v0.0.42/reconfigure", True),
        ("/slurm/v0.0.45/job/7/requeue", True),
        ("/slurm/v0.0.42/jobs/", False),
        ("/slurmdb/v0.0.42/config", False),
    ],
)
def test_a_get_that_changes_something_is_asked_for_as_a_change(identity: str, path: str, changes: bool) -> None:
    text = site(**LOGINS[identity])
    (rule,) = re.findall(r"(?m)^        if \(\$uri ~\* (\S+)\) \{\n            set \$slurmrest_does POST;$", text)
    assert bool(re.search(rule, path, re.IGNORECASE)) == changes
    (check,) = re.findall(r"(?ms)^    location = /slurmrest-check \{\n(.*?)^    \}", text)
    assert "proxy_set_header X-Method $slurmrest_does;" in check
    assert text.index("set $slurmrest_does $request_method;") < text.index("auth_request /slurmrest-check;")


@pytest.mark.parametrize("identity", ["token", "pam", "oidc"])
def test_an_ipv6_address_counts_by_its_network(identity: str) -> None:
    text = site(**LOGINS.get(identity, {}))
    assert ("limit_req_zone $slurmrest_network zone=slurmrest_logins:" in text) is (identity != "token")
    assert "limit_conn_zone $slurmrest_network zone=slurmrest_connections_of_network:" in text
    assert "zone $binary_remote_addr" not in text
    (rules,) = re.findall(r"(?s)map \$binary_remote_addr \$slurmrest_network \{\n(.*?)\n\}", text)
    assert "default $binary_remote_addr;" in rules
    (rule,) = re.findall(r'"~(.*?)" \$slurmrest_half;', rules)
    rule = rule.replace("(?<", "(?P<").replace("\\z", "\\Z")

    def network(address: str) -> bytes | None:
        match = re.search(rule.encode(), ipaddress.ip_address(address).packed)
        return match and match[1]

    assert network("2001:db8::1") == network("2001:db8::a0a:0:0:a") == bytes.fromhex("20010db800000000")
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("192.0.2.1") is None


@pytest.mark.parametrize("identity", LOGINS)
def test_what_is_said_of_an_error_has_its_status(identity: str) -> None:
    """Without = it is the error's own, whatever the location that it leads to returns."""
    for server in blocks(site(**LOGINS[identity]), "server"):
        returned = dict(re.findall(r"location (@\w+) \{\s+return (\d+)", server))
        pages = re.findall(r"error_page ((?:\d+ )+)(?:=(\d+) )?(@\w+);", server)
        assert pages
        assert [page for page in pages if returned[page[2]] not in ([page[1]] if page[1] else page[0].split())] == []


def test_where_a_login_comes_back_no_error_is_logged_with_its_request() -> None:
    """Of a request that failed nginx logs the whole line, and here that has the code of a login."""
    log = "/var/log/nginx/slurmrest-gateway.error.log"
    (front, *_) = blocks(site(**LOGINS["oidc"]), "server")
    (back,) = re.findall(r"(?ms)^        location = /auth/callback \{\n(.*?)^        \}", front)
    assert re.findall(r"error_log (.*);", back) == [f"{log} emerg"]
    assert "proxy_pass http://slurmrest_gateway_identity;" in back
    assert re.findall(r"(?m)^    error_log (.*);$", front) == [log]
    assert "/auth/callback" not in site(**LOGINS["pam"])


@pytest.mark.parametrize("pages", ["", "/srv/slurm-pages"])
def test_no_address_is_told_as_a_referrer(pages: str) -> None:
    """The error log has it, too: of a file that an answer of the login's had a browser ask for."""
    (front, *_) = blocks(site(**LOGINS["oidc"], slurmrest_gateway_pages=pages), "server")
    assert re.search(r"(?m)^    add_header Referrer-Policy no-referrer always;$", front)
    assert len(re.findall("add_header Referrer-Policy no-referrer always;", front)) == 1 + bool(pages)


@pytest.mark.parametrize("identity", LOGINS)
def test_a_login_that_the_service_does_not_answer_is_503(identity: str) -> None:
    (front, *_) = blocks(site(**LOGINS[identity]), "server")
    (auth,) = re.findall(r"(?ms)^    location /auth/ \{\n(.*?)^    \}", front)
    assert "error_page 500 =503 @unknown;" in front
    assert "error_page 502 504 =503 @unknown;" in auth
    for code in ("403 @refused", "413 @large", "429 @busy"):
        assert front.count(f"error_page {code};") == auth.count(f"error_page {code};") + 1 == 2


@pytest.mark.parametrize("identity", LOGINS)
def test_braces_of_logins(identity: str) -> None:
    text = site(**LOGINS[identity], slurmrest_gateway_origins=["https://a.example.org"])
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert [line for line in lines if line[-1] not in "{};'"] == ["log_format slurmrest_gateway escape=json"]
    assert text.count("{\n") == len([line for line in lines if line == "}"])
    assert "slurmrest-check" not in site()


def test_the_service_is_told_who_may_log_in() -> None:
    variables: dict[str, Any] = {
        "slurmrest_gateway_users_denied": ["operator"],
        "slurm_common_slurm_user": "slurmadm",
    }
    files_of = rendered("__slurmrest_gateway_login_files", "mtls", **variables)
    told = json.loads(files_of["/etc/slurmrest/identity.json"])
    settings = LoginSettings.from_mapping(told)
    assert (settings.identity, settings.proxy) == ("mtls", "www-data")
    assert settings.policy.slurm_user == "slurmadm"
    assert settings.policy.users_denied == ("operator",)
    assert settings.subjects == {"CN=Alice,O=Example": "alice"}
    assert settings.key == signing.KEY
    socket = files_of["/etc/systemd/system/slurmrest-identity.socket"]
    assert "ListenStream=/run/slurmrest-identity.socket\n" in socket
    assert "SocketUser=www-data\nSocketGroup=root\nSocketMode=0600\n" in socket


def test_the_service_is_told_of_its_provider() -> None:
    told = json.loads(rendered("__slurmrest_gateway_login_files", "oidc")["/etc/slurmrest/identity.json"])
    assert LoginSettings.from_mapping(told).provider == {
        "issuer": "https://login.example.org",
        "client_id": "slurm",
        "claim": "preferred_username",
        "ca_file": "",
        "url": "https://slurm.example.org",
        "secret_file": signing.SECRET,
    }
    assert (
        json.loads(rendered("__slurmrest_gateway_login_files", "mtls")["/etc/slurmrest/identity.json"])["provider"]
        == {}
    )


@pytest.mark.parametrize("identity", LOGINS)
def test_the_provider_s_secret_stays_with_no_other_identity(identity: str) -> None:
    tasks = yaml.safe_load((ROLES / "slurmrest_gateway/tasks/logins.yml").read_text())
    (task,) = [one for one in tasks if one.get("slurmrest.toolkit.gateway_logins", {}).get("step") == "secret"]
    assert "when" not in task, "without a path the secret of before is removed"
    known = {**VARIABLES, **LOGINS["oidc"], **LOGINS[identity]}
    path = evaluate("slurmrest_gateway", "__slurmrest_gateway_settings.logins.secret_file", known, KNOWN)
    assert path == ("/etc/slurmrest/secret" if identity == "oidc" else "")


def test_pam_is_asked_as_the_host_asks_it() -> None:
    debian = rendered("__slurmrest_gateway_pam_files", "pam")
    others = rendered("__slurmrest_gateway_pam_files", "pam", {"os": {"family": "RedHat"}})
    own = rendered("__slurmrest_gateway_pam_files", "pam", slurmrest_gateway_pam_service="site")
    assert "@include common-auth" in debian["/etc/pam.d/slurmrest-gateway"]
    assert "auth substack password-auth" in others["/etc/pam.d/slurmrest-gateway"]
    assert "/etc/pam.d/slurmrest-gateway" not in own
    unit = "/etc/systemd/system/slurmrest-pam@.service"
    assert "SupplementaryGroups=shadow\n" in debian[unit]
    assert "CapabilityBoundingSet=\n" in debian[unit]
    assert "AmbientCapabilities=CAP_DAC_READ_SEARCH\n" in others[unit]
    assert " /usr/local/lib/slurmrest/pam.pyz site\n" in own[unit]
    for text in (debian, others, own):
        assert "SocketUser=slurmrest-identity\nSocketGroup=root\n" in text["/etc/systemd/system/slurmrest-pam.socket"]


COUNTING = {"__slurmrest_gateway_counters_result": RESULT, "__slurmrest_gateway_tried": {"log_group": "adm"}}


def test_what_is_counted_is_the_log_as_it_is_written() -> None:
    """The program reads members of its lines, and the kinds of requests as they are called there."""
    more: dict[str, Any] = {"slurmrest_gateway_status": "127.0.0.1:9820", **COUNTING}
    ((path, text),) = rendered("__slurmrest_gateway_counters_files", "pam", **more).items()
    assert path == COUNTERS
    program, log = "/usr/local/lib/slurmrest/counters.pyz", "/var/log/nginx/slurmrest-gateway.access.log"
    assert f"ExecStart=/usr/bin/python3 -I {program} {log} 127.0.0.1:9820\n" in text
    assert "User=slurmrest-counters\n" in text
    assert "SupplementaryGroups=adm\n" in text
    assert "CapabilityBoundingSet=\n" in text
    configuration = site(**CLUSTERS)
    assert f"access_log {log} slurmrest_gateway;" in configuration
    (form,) = re.findall(r"(?s)log_format slurmrest_gateway (.*?);\n", configuration)
    line = re.sub(r"\$\w+", "1", "".join(re.findall(r"'(.*?)'", form)))
    counted = Counters(0)
    counted.add(line.encode())
    assert counted.total("requests_total", **{"for": "other", "status": "1", "user": "known"}) == 1
    ways = set(re.findall(r"\bslurmrest_(?:lists|answers|changes)[\w.-]*(?=;)", configuration.partition("upstream")[0]))
    assert {kind_of("/slurm/v0.0.42/x", way) for way in ways} == {
        (kind, cluster) for kind in ("lists", "answers", "changes") for cluster in ("", "alpha", "alpha-2")
    }


def test_systemd_finds_little_to_say_against_them(tmp_path: Path) -> None:
    both = {
        **rendered("__slurmrest_gateway_login_files", "pam"),
        **rendered("__slurmrest_gateway_pam_files", "pam"),
        **rendered("__slurmrest_gateway_counters_files", "pam", **COUNTING),
    }
    for path, text in both.items():
        (tmp_path / Path(path).name).write_text(text)
    assert exposure(tmp_path / "slurmrest-identity.service") <= 2.0
    assert exposure(tmp_path / "slurmrest-pam@.service") <= 3.0
    assert exposure(tmp_path / "slurmrest-counters.service") <= 2.0
