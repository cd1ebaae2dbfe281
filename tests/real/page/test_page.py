"""The page of examples/web in Chromium, on a real gateway: from its own origin, from a listed one, and from another."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import ssl
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from slurmrest_toolkit.api import attach
from slurmrest_toolkit.clusters.gateway import describe
from tests.real.clusters import ROOT, LiveCluster, live_cluster
from tests.real.page.chromium import PATIENCE, Chromium, Tab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

PAGES = ROOT / "examples" / "web"
PLACE = "/srv/slurm-pages"
LONG, SHORT = "#!/bin/sh\nsleep 300\n", "#!/bin/sh\nhostname\n"
ROW = "document.querySelector('#rows tr')"
SLOW = """
const quick = window.fetch
let answerTheSlow
window.fetch = (...words) => {
  window.fetch = quick
  return new Promise((resolve) => { const answer = quick(...words); answerTheSlow = () => resolve(answer) })
}
const slow = watch()
true
"""
"""A look at the jobs whose answer is held back until ``answerTheSlow()``."""


@dataclass(frozen=True)
class Site:
    """A gateway that serves the page, a user of it, and two more web servers that have it, of which one is listed."""

    live: LiveCluster
    node: str
    url: str
    trusted: str
    password: str
    listed: str
    foreign: str
    screenshot: Path

    def looks(self) -> list[str]:
        """What the gateway's log says of its cache for each look at the jobs so far."""
        log = self.live.ssh(self.node, "cat /var/log/nginx/slurmrest-gateway.access.log")
        lines = [json.loads(line) for line in log.splitlines()]
        return [line["cache"] for line in lines if line["method"] == "GET" and line["path"].endswith("/jobs")]


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of requests."""

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def web_server(directory: Path) -> Iterator[str]:
    """Serve a directory on loopback, and return its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def fingerprint(url: str) -> str:
    """Return the fingerprint of the key that a server shows."""
    host, _, port = url.removeprefix("https://").partition(":")
    shown = ssl.get_server_certificate((host, int(port or 443)))
    key = x509.load_pem_x509_certificate(shown.encode()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


@pytest.fixture(scope="module")
def site(release: str, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = pytestconfig.getoption("--cluster")
    standing: AbstractContextManager[LiveCluster]
    kind = ("--gateway", "--identity", "pam")
    standing = nullcontext(LiveCluster(name, release)) if name else live_cluster("real-page", release, *kind)
    with standing as live:
        record = attach(live.name).record
        told = describe(record)
        assert told is not None
        (password,) = [Path(user["password"]).read_text().strip() for user in told["users"] if user["name"] == "alice"]
        node, elsewhere = record.rest_nodes[0].name, tmp_path_factory.mktemp("elsewhere")
        for path in PAGES.iterdir():
            live.ssh(node, f"mkdir -p {PLACE}; cat >{PLACE}/{path.name} <<'END'\n{path.read_text()}END\n")
            shutil.copy(path, elsewhere)
        index = elsewhere / "index.html"
        index.write_text(
            index.read_text().replace('name="gateway" content=""', f'name="gateway" content="{told["url"]}"')
        )
        screenshot = ROOT / ".slurmrest" / f"page-{release}.png"
        with web_server(elsewhere) as listed, web_server(elsewhere) as foreign:
            more = {"pages": PLACE, "origins": [listed], "login_rate": 6000}
            live.playbook("gateway.yml", variables={f"slurmrest_gateway_{name}": more[name] for name in more}).good()
            yield Site(live, node, told["url"], fingerprint(told["url"]), password, listed, foreign, screenshot)


def log_in(tab: Tab, password: str) -> None:
    """Log in as somebody does who sees the form."""
    tab.until("document.querySelector('#login').checkVisibility()")
    tab.write("#name", "alice")
    tab.write("#password", password)
    tab.press("#login button")


def submit(tab: Tab, name: str, script: str) -> None:
    """Submit a job, and wait until it is the first in the table."""
    tab.until("document.querySelector('#submit').checkVisibility()")
    tab.write("#job-name", name)
    tab.write("#script", script)
    tab.press("#submit button")
    tab.until(f"{ROW} !== null && {ROW}.cells[1].textContent === '{name}'")


def wait_for(tab: Tab, state: str) -> list[str]:
    """Wait until the first job is in a state, and return the cells of its row."""
    tab.until(f"{ROW} !== null && {ROW}.cells[2].textContent.includes('{state}')")
    cells: list[str] = tab.value(f"[...{ROW}.cells].map((cell) => cell.textContent)")
    return cells


def test_the_gateway_s_own_page(site: Site, tmp_path: Path) -> None:
    """Log in, submit, watch (a lost network, too), cancel, see a result, log out: by a cookie that no script reads."""
    with Chromium(tmp_path, site.trusted) as browser:
        tab = browser.open(f"{site.url}/")
        log_in(tab, "wrong")
        tab.until("document.querySelector('#said').textContent === 'The login is refused.'")
        log_in(tab, site.password)
        submit(tab, "long", LONG)
        cells = wait_for(tab, "RUNNING")
        tab.offline(True)
        tab.until("document.querySelector('#said').textContent === 'Failed to fetch'")
        tab.offline(False)
        tab.until("document.querySelector('#said').textContent === ''")
        tab.press("#rows button")
        assert wait_for(tab, "CANCELLED")[0] == cells[0]
        submit(tab, "short", SHORT)
        cells = wait_for(tab, "COMPLETED")
        sys.stdout.write(f"{cells}\n")
        assert cells[3] == "0"
        assert cells[4] == f"/tmp/slurm-{cells[0]}.out"
        (cookie,) = browser.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("__Host-slurmrest", True, True)
        assert tab.value("document.cookie") == ""
        assert tab.value("document.querySelector('#user').textContent") == "alice"
        tab.screenshot(site.screenshot)
        tab.press("#logout")
        tab.until("document.querySelector('#login').checkVisibility()")
        assert tab.value("fetch('/auth/session').then((answer) => answer.status)") == 401


def test_only_who_changes_something_has_slurmrestd_asked_anew(site: Site, tmp_path: Path) -> None:
    """Two pages of one user watch: what one has just read is answered to the other, and a change is seen at once."""
    with Chromium(tmp_path, site.trusted) as browser:
        one = browser.open(f"{site.url}/")
        log_in(one, site.password)
        one.until("!document.querySelector('#jobs').hidden")
        other = browser.open(f"{site.url}/")
        other.until("!document.querySelector('#jobs').hidden")
        before = len(site.looks())
        deadline = time.monotonic() + PATIENCE
        while "HIT" not in site.looks()[before:]:
            assert time.monotonic() < deadline, site.looks()[before:]
            for tab in (one, other):
                tab.value("watch()")
        assert "BYPASS" not in site.looks()[before:]
        submit(one, "seen at once", LONG)
        assert site.looks()[before:].count("BYPASS") == 1
        other.until(f"{ROW} !== null && {ROW}.cells[1].textContent === 'seen at once'")
        one.press("#rows button")
        wait_for(one, "CANCELLED")
        wait_for(other, "CANCELLED")
        looks = site.looks()[before:]
        sys.stdout.write(f"{looks}\n")
        assert looks.count("BYPASS") == 2
        assert set(looks) <= {"BYPASS", "EXPIRED", "HIT", "MISS", "UPDATING"}


def test_an_answer_that_was_overtaken_is_not_shown(site: Site, tmp_path: Path) -> None:
    """A look that was begun before a job was submitted, and is answered after the one that has it."""
    with Chromium(tmp_path, site.trusted) as browser:
        tab = browser.open(f"{site.url}/")
        log_in(tab, site.password)
        tab.until("!document.querySelector('#jobs').hidden")
        tab.value(SLOW)
        submit(tab, "overtaking", SHORT)
        tab.value("answerTheSlow(); slow")
        assert tab.value(f"{ROW}.cells[1].textContent") == "overtaking"


def test_a_page_of_a_listed_origin(site: Site, tmp_path: Path) -> None:
    """With a bearer in its memory, and no cookie."""
    with Chromium(tmp_path, site.trusted) as browser:
        tab = browser.open(f"{site.listed}/index.html")
        log_in(tab, site.password)
        submit(tab, "elsewhere", SHORT)
        assert wait_for(tab, "COMPLETED")[3] == "0"
        submit(tab, "cancelled", LONG)
        wait_for(tab, "RUNNING")
        tab.press("#rows button")
        wait_for(tab, "CANCELLED")
        assert browser.cookies() == []


def test_a_page_of_another_origin_is_blocked_by_the_browser(site: Site, tmp_path: Path) -> None:
    with Chromium(tmp_path, site.trusted) as browser:
        tab = browser.open(f"{site.foreign}/index.html")
        log_in(tab, site.password)
        tab.until("document.querySelector('#said').textContent === 'Failed to fetch'")
        assert browser.failures == ["net::ERR_FAILED PreflightMissingAllowOriginHeader"]
        assert not tab.value("document.querySelector('#submit').checkVisibility()")
        assert browser.cookies() == []
