"""The test provider of a gateway, gone through by the engine's own client of OpenID Connect."""

from __future__ import annotations

import html
import re
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from slurmrest.login.oidc import Client, CodeFlow, LoginError

from slurmrest_toolkit.nodes.provider import KEPT, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://gateway.example.org"


class Browser:
    """Posts forms and sees where it is sent, without going there."""

    def __init__(self, authority: str) -> None:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_words: Any) -> None:
                return None

        context = ssl.create_default_context(cafile=authority)
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Stay)

    def send(self, url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        data = None if form is None else urlencode(form).encode()
        try:
            with self.opener.open(url, data, timeout=10) as answer:
                return answer.status, answer.read().decode(), ""
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode(), answer.headers.get("Location") or ""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=provider -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    users = tmp_path / "users"
    users.write_text("alice se cret\nbob other\n")
    made = Provider(
        {
            "port": 0,
            "client_id": "gateway",
            "redirect": f"{URL}/auth/callback",
            "certificate": str(tmp_path / "ca.pem"),
            "key": str(tmp_path / "key.pem"),
            "users": str(users),
        }
    )
    address = f"https://127.0.0.1:{made.server_address[1]}"
    made.settings.update(issuer=address, public=address)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def client(provider: Provider) -> Client:
    settings = provider.settings
    return Client(settings["issuer"], "gateway", "preferred_username", URL, settings["certificate"])


def asked(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def test_a_login_through_the_gateway_s_own_client(provider: Provider) -> None:
    browser, flow = Browser(provider.settings["certificate"]), CodeFlow(client(provider))
    location, state = flow.begin("return=/page.html")
    status, page, _ = browser.send(location)
    assert status == 200
    kept = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}
    assert kept == {name: value for name, value in asked(location).items() if name in KEPT}
    form = f"{provider.settings['public']}/authorize"
    for user, password in (("alice", "wrong"), ("alice", ""), ("mallory", "se cret"), ("alice se", "cret")):
        status, page, _ = browser.send(form, {**kept, "user": user, "password": password})
        assert (status, "Wrong user or password." in page) == (200, True), user
    status, _, back = browser.send(form, {**kept, "user": "alice", "password": "se cret"})
    assert (status, back.partition("?")[0]) == (303, f"{URL}/auth/callback")
    script = {"user": "alice", "password": "se cret\n"}
    assert browser.send(location, script)[0] == 303, "as curl sends a file, to where it was sent"
    query = back.partition("?")[2]
    assert flow.finish(query, state) == ("alice", "/page.html")
    again, _ = CodeFlow(client(provider)).begin("")
    assert again
    with pytest.raises(LoginError):
        flow.finish(query, state)


def test_a_code_is_good_once_for_its_verifier_and_its_client(provider: Provider) -> None:
    browser, flow = Browser(provider.settings["certificate"]), CodeFlow(client(provider))

    def code() -> str:
        kept = {name: value for name, value in asked(flow.begin("")[0]).items() if name in KEPT}
        form = {**kept, "user": "bob", "password": "other"}
        return asked(browser.send(f"{provider.settings['public']}/authorize", form)[2])["code"]

    for wrong in ({"code_verifier": "x"}, {"client_id": "other"}, {"code": "none"}):
        words = {"code": code(), "client_id": "gateway", "redirect_uri": f"{URL}/auth/callback", "code_verifier": "y"}
        status, page, _ = browser.send(f"{provider.settings['issuer']}/token", {**words, **wrong})
        assert (status, page) == (400, '{"error": "invalid_grant"}')


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": "https://elsewhere.example.org/"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_other_requests_are_refused_without_a_form(provider: Provider, wrong: dict[str, str]) -> None:
    browser, flow = Browser(provider.settings["certificate"]), CodeFlow(client(provider))
    words = {**asked(flow.begin("")[0]), **wrong}
    status, page, back = browser.send(f"{provider.settings['public']}/authorize?{urlencode(words)}")
    assert (status, "<form" in page, back) == (400, False, "")
    form = {**words, "user": "alice", "password": "se cret"}
    status, page, back = browser.send(f"{provider.settings['public']}/authorize", form)
    assert (status, back) == (400, "")
