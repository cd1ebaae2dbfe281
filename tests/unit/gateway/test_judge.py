"""A gateway against its host: what is refused by name before anything changes."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.gateway import judge as judge_module
from slurmrest.gateway.judge import judge
from slurmrest.gateway.nginx import Nginx, Server
from slurmrest.gateway.settings import Settings, settle
from slurmrest.host import certificate

from .test_settings import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

NGINX = Nginx(
    "/usr/sbin/nginx", (1, 26, 3), "/etc/nginx/nginx.conf", getpass.getuser(), "/etc/nginx/conf.d", 2, 768, 1024
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a good gateway on this host; the certificate is judged by tests of its own."""
    key = tmp_path / "key"
    key.write_text("")
    key.chmod(0o600)
    monkeypatch.setattr(certificate, "judge", lambda *_arguments: "")
    monkeypatch.setattr(judge_module, "log_group", lambda: "adm")
    found = settle({**GOOD, "slurmrest_gateway_upstreams": ["127.0.0.1:6820"]})
    return replace(found, certificate_key=str(key))


def judged(settings: Settings, nginx: Nginx | None = NGINX, *listening: dict[str, Any]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge_module, "look", lambda _run: nginx)
        return judge(settings, sockets=lambda _wanted: list(listening))


def listening(program: str | None, host: str = "0.0.0.0", port: int = 443) -> dict[str, Any]:
    return {"kind": "tcp", "host": host, "port": port, "program": program, "pid": 7, "path": ""}


def test_a_good_host_tells_what_the_files_need(settings: Settings) -> None:
    found = judged(settings)["nginx"]
    assert found["site"] == "/etc/nginx/conf.d/zz-slurmrest-gateway.conf"
    assert (found["http2_directive"], found["workers"], found["user"]) == (True, 2, getpass.getuser())
    assert found["alone"]
    assert judged(settings, None) == {"nginx": None, "logins_left": False, "counters_left": False}


def test_a_port_of_somebody_else_is_named_with_its_process(settings: Settings) -> None:
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_listen: '0.0.0.0:443' .* httpd \(process 7\)"):
        judged(settings, NGINX, listening("httpd", "127.0.0.1"))
    judged(settings, NGINX, listening("nginx"))


def test_a_port_that_is_taken_is_found_on_this_host(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what looks on a host really, not by a double."""
    monkeypatch.setattr(judge_module, "look", lambda _run: NGINX)
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = replace(settings, listen=(f"127.0.0.1:{server.getsockname()[1]}",))
        with pytest.raises(SlurmrestError, match=rf"\(process {os.getpid()}\) listens on 127.0.0.1:"):
            judge(there)
    judge(there)


def test_a_key_that_others_can_read_is_refused(settings: Settings) -> None:
    Path(settings.certificate_key).chmod(0o640)
    judged(settings)
    Path(settings.certificate_key).chmod(0o604)
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_certificate_key: .* mode 0604 lets others at the key"):
        judged(settings)


def test_a_refused_certificate_is_one_of_the_problems(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> str:
        raise InputError("slurmrest_gateway_certificate", "x", "another")

    monkeypatch.setattr(certificate, "judge", refuse)
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_certificate: 'x'.*slurmrest_gateway_listen"):
        judged(settings, NGINX, listening("httpd"))


def test_servers_of_the_site_keep_their_address(settings: Settings) -> None:
    first = Server("/etc/nginx/sites-enabled/www", "0.0.0.0:443", False, ("www.example.org",))
    with pytest.raises(SlurmrestError, match="Add default_server to the listen line"):
        judged(settings, replace(NGINX, servers=(first,)))
    beside = judged(settings, replace(NGINX, servers=(first, replace(first, default=True, names=()))))
    elsewhere = judged(settings, replace(NGINX, servers=(replace(first, address="0.0.0.0:80"),)))
    assert (beside["nginx"]["alone"], elsewhere["nginx"]["alone"]) == (False, True)
    same = replace(first, default=True, names=("slurm.example.org",))
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_name: .* /etc/nginx/sites-enabled/www serves it"):
        judged(settings, replace(NGINX, servers=(same,)))


def test_connections_beyond_the_descriptors_are_refused(settings: Settings) -> None:
    with pytest.raises(SlurmrestError, match="worker_connections: 4096 is refused: a worker may open 1024 files"):
        judged(settings, replace(NGINX, connections=4096))
    judged(settings, replace(NGINX, connections=4096, descriptors=0))


@pytest.fixture
def sock(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "run" / "rest.socket"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def test_a_socket_that_nginx_may_not_enter_is_refused(settings: Settings, sock: Path) -> None:
    there = replace(settings, hosts=(f"unix:{sock}",))
    judged(there)
    sock.parent.chmod(0o700)
    with pytest.raises(SlurmrestError, match=r"nobody, the account of nginx, may not enter .*socket_group: nogroup"):
        judged(there, replace(NGINX, user="nobody"))
    with pytest.raises(SlurmrestError, match="No such file"):
        judged(replace(settings, hosts=(f"unix:{sock}.no",)))
    plain = sock.with_name("file")
    plain.write_text("")
    with pytest.raises(SlurmrestError, match="it is no socket"):
        judged(replace(settings, hosts=(f"unix:{plain}",)))


def test_counters_are_not_in_root_s_group(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(replace(settings, status="127.0.0.1:9820"))
    monkeypatch.setattr(judge_module, "log_group", lambda: "root")
    judged(replace(settings, status=""))
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_status: .*of the group root"):
        judged(replace(settings, status="127.0.0.1:9820"))


def test_pages_are_root_s_alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = tmp_path / "pages"
    others = {str(tmp_path / "elsewhere" / "page.js")}
    monkeypatch.setattr("slurmrest.gateway.judge.roots_alone", lambda path: os.path.realpath(path) not in others)
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_pages: .*it is none"):
        judged(replace(settings, pages=str(pages)), None)
    (pages / "deep").mkdir(parents=True)
    (pages / "index.html").touch()
    (pages / "deep" / "round").symlink_to(pages)
    judged(replace(settings, pages=str(pages)), None)
    for spoilt in (pages, pages / "index.html", pages / "deep"):
        others.add(str(spoilt))
        with pytest.raises(SlurmrestError, match=f"others can change {spoilt}, or what it is in"):
            judged(replace(settings, pages=str(pages)), None)
        others.remove(str(spoilt))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "page.js").touch()
    (pages / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SlurmrestError, match=rf"others can change {pages}/more/page\.js"):
        judged(replace(settings, pages=str(pages)), None)
    monkeypatch.setattr(judge_module, "MOST_PAGES", 2)
    with pytest.raises(SlurmrestError, match="more than 2 files"):
        judged(replace(settings, pages=str(pages)), None)
