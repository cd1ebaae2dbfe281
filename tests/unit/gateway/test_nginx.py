"""What is read of a host's nginx, from what its packages have, and the text that is tried in its place."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.gateway import nginx as nginx_module
from slurmrest.gateway import trial as trial_module
from slurmrest.gateway.nginx import Nginx, Server, look, main_text, servers, with_candidate
from slurmrest.gateway.trial import have_logs, trial
from slurmrest.host import programs
from slurmrest.host.reading import UnsafePath

if TYPE_CHECKING:
    from collections.abc import Sequence

DUMP = """\
# configuration file /etc/nginx/nginx.conf:
user www-data;
worker_processes 3;
events {
    worker_connections 768; # include /nowhere/conf.d/*.conf;
}
http {
    include mime.types;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}

# configuration file /etc/nginx/sites-enabled/default:
server {
    listen 80 default_server;
    # listen 443 ssl default_server;
    listen [::]:80 default_server;
    server_name _;
}
server { listen 443 ssl; server_name WWW.example.org example.org; location / { try_files $uri =404; } }

# configuration file /etc/nginx/conf.d/zz-slurmrest-gateway.conf:
server { listen 0.0.0.0:443 ssl; server_name slurm.example.org; }
"""


class Plays:
    """Plays nginx and systemctl: ``-V``, ``-T`` and ``-t`` as they are told."""

    def __init__(self, dump: str = DUMP, version: str = "nginx/1.22.1", code: int = 0) -> None:
        self.dump, self.version, self.code = dump, version, code
        self.read: list[str] = []

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = list(argv)
        if words[0] == "systemctl":
            return subprocess.CompletedProcess(words, 0, "LimitNOFILE=524288\nLimitNOFILESoft=1024\n", "")
        if "-V" in words:
            built = (
                f"nginx version: {self.version}\nconfigure arguments: --conf-path=/etc/nginx/nginx.conf --user=nginx\n"
            )
            return subprocess.CompletedProcess(words, 0, "", built)
        if "-T" in words:
            return subprocess.CompletedProcess(words, self.code, self.dump, "nginx: [emerg] unknown directive")
        self.read.append(main_text(words[-1]))
        return subprocess.CompletedProcess(words, self.code, "", f"nginx: [emerg] bad in {words[-1]}")


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda _name: "/usr/sbin/nginx")


def test_what_debian_has_is_understood() -> None:
    found = look(Plays())
    assert found is not None
    assert (found.version, found.user, found.workers, found.connections) == ((1, 22, 1), "www-data", 3, 768)
    assert found.descriptors == 1024
    assert found.site == "/etc/nginx/conf.d/zz-slurmrest-gateway.conf"
    assert not found.has_http2_directive
    assert [(server.address, server.default, server.names) for server in found.servers] == [
        ("0.0.0.0:80", True, ("_",)),
        ("[::]:80", True, ("_",)),
        ("0.0.0.0:443", False, ("www.example.org", "example.org")),
    ], "our own server is none of the site's"


@pytest.mark.parametrize("include", ["\n    include snippets/*.conf;\n", " include 'snippets/tls.conf'; "])
def test_an_address_in_an_included_file_is_seen(include: str) -> None:
    """Whoever has the address decides whose certificates are good for a handshake without a name."""
    snippet = "# configuration file /etc/nginx/snippets/tls.conf:\nlisten 8443 ssl default_server;  # all of it\n"
    found = look(Plays(f"{DUMP}# configuration file /etc/nginx/conf.d/a.conf:\nserver {{{include}}}\n{snippet}"))
    assert found is not None
    assert ("0.0.0.0:8443", True) in [(server.address, server.default) for server in found.servers]


def test_what_nobody_says_is_what_nginx_was_built_with() -> None:
    found = look(Plays(DUMP.replace("user www-data;", "").replace("worker_processes 3;", "worker_processes auto;")))
    assert found is not None
    assert (found.user, found.workers) == ("nginx", os.cpu_count())
    newer = look(Plays(version="nginx/1.26.3"))
    assert newer is not None
    assert newer.has_http2_directive


def test_no_nginx_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda _name: None)
    assert look(Plays()) is None
    with pytest.raises(SlurmrestError, match="There is no nginx on this host"):
        nginx_module.demand(Plays())


def test_a_broken_configuration_is_the_site_s_to_mend() -> None:
    with pytest.raises(
        SlurmrestError, match=r"refuses the configuration that it has: nginx: .emerg. unknown directive"
    ):
        look(Plays(code=1))
    with pytest.raises(SlurmrestError, match=r"/etc/nginx/nginx.conf includes no conf.d"):
        look(Plays(DUMP.replace("include /etc/nginx/conf.d/*.conf;", "")))


def test_addresses_are_compared_as_nginx_reads_them() -> None:
    text = "server { listen *:8443 ssl; listen 192.0.2.1; listen unix:/run/x; listen localhost:80; }"
    assert [server.address for server in servers("f", text)] == [
        "0.0.0.0:8443",
        "192.0.2.1:80",
        "unix:/run/x",
        "localhost:80",
    ]
    assert list(servers("f", "map $a $b { server 1; }")) == []
    assert next(iter(servers("f", "server{listen 1 default;}"))) == Server("f", "0.0.0.0:1", True, ())


@pytest.fixture
def tree(tmp_path: Path) -> Nginx:
    """An nginx whose files are below a directory of this test, with two of the site's beside ours."""
    directory = tmp_path / "nginx" / "conf.d"
    directory.mkdir(parents=True)
    for name in ("a.conf", "b.conf", "c.conf.kept", nginx_module.SITE):
        (directory / name).write_text(name)
    conf = tmp_path / "nginx" / "nginx.conf"
    conf.write_text(f"http {{\n    include {directory}/*.conf;\n    include {tmp_path}/sites/*;\n}}\n")
    return Nginx("/usr/sbin/nginx", (1, 26, 3), str(conf), "www-data", str(directory))


def test_a_candidate_stands_where_our_file_does(tree: Nginx) -> None:
    whole = with_candidate(main_text(tree.conf), tree.conf, tree.site, "/candidate")
    included = [line.strip() for line in whole.replace(";", ";\n").splitlines() if "include" in line]
    assert included == [
        f"include {tree.directory}/a.conf;",
        f"include {tree.directory}/b.conf;",
        "include /candidate;",
        f"include {Path(tree.directory).parents[1]}/sites/*;",
    ]


def test_a_main_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlurmrestError, match=r"none.conf cannot be read"):
        main_text(str(tmp_path / "none.conf"))


def test_logs_are_nginx_own_and_not_for_everybody(tmp_path: Path) -> None:
    me, mine = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    new, open_one, odd = (tmp_path / name for name in ("new", "open", "odd"))
    open_one.write_text("kept")
    open_one.chmod(0o644)
    assert have_logs([str(new), str(open_one)], me, mine)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (new, open_one)] == [0o640, 0o640]
    assert open_one.read_text() == "kept"
    assert not have_logs([str(new), str(open_one)], me, mine)
    os.mkfifo(odd)
    with pytest.raises(UnsafePath, match="odd is a FIFO"):
        have_logs([str(odd)], me, mine)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another account")
def test_a_link_in_nginx_own_directory_of_logs_leads_nowhere(tmp_path: Path) -> None:
    place = tmp_path / "logs"
    place.mkdir()
    os.chown(place, 65534, 65534)
    target = tmp_path / "target"
    for there in (False, True):
        if there:
            target.write_text("root's")
            target.chmod(0o600)
        link = place / f"log{there}"
        link.symlink_to(target)
        os.lchown(link, 65534, 65534)
        with pytest.raises(UnsafePath, match="symbolic link"):
            have_logs([str(link)], "nobody", "root")
        assert target.exists() is there
    assert target.stat().st_uid == 0
    assert have_logs([str(place / "new")], "nobody", "root")
    assert (place / "new").stat().st_uid == 65534


def test_a_trial_leaves_nothing_behind(tree: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "TRIAL", str(tmp_path / "trial"))
    before = sorted(Path(tree.conf).parent.iterdir())
    good = Plays()
    trial(tree, "server {}\n", good)
    assert trial_module.CANDIDATE in good.read[0]
    with pytest.raises(SlurmrestError, match=rf"nginx refuses .* bad in {tree.conf} Nothing was changed"):
        trial(tree, "server {}\n", Plays(code=1))
    assert sorted(Path(tree.conf).parent.iterdir()) == before
    assert not (tmp_path / "trial").exists()
