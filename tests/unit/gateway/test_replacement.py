"""One key of a gateway after the other: what controllers are told, what signs, and the way back, by the files alone."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from slurmrest.errors import SlurmrestError
from slurmrest.gateway import replacement, signing
from slurmrest.rest.client import ClientError, Response

if TYPE_CHECKING:
    from collections.abc import Callable

ME = pwd.getpwuid(os.getuid()).pw_name
LISTS = ("users_denied", "groups_denied", "groups_allowed")
PEMS = [
    rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for _ in range(2)
]


class Gateway:
    """The host's files, an identity service that may stick to a key, and a slurmctld that takes some."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sticks = ""
        self.taken: set[str] = set()
        self.refusals = 0

    def kids(self, text: str = "") -> list[str]:
        return [key["kid"] for key in json.loads(text or signing.document())["keys"]]

    def signs(self) -> str:
        if self.sticks:
            return self.sticks
        found = signing.present()
        assert found is not None
        return found.public.kid

    def said_of(self, key: Any, _hosts: Any) -> tuple[str, bool]:
        return ("" if key.public.kid in self.taken else "Protocol authentication error"), True

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    directory = tmp_path / "identity"
    directory.mkdir()
    monkeypatch.setattr(signing, "DIRECTORY", str(directory))
    for name, file in (("KEY", "key.pem"), ("NEXT", "key-next.pem"), ("FORMER", "key-former.pem")):
        monkeypatch.setattr(signing, name, str(directory / file))
    monkeypatch.setattr("slurmrest.host.files.make_directory", lambda path, *_owners: Path(path).mkdir(exist_ok=True))
    settings = tmp_path / "identity.json"
    settings.write_text(
        json.dumps(
            {
                "identity": "pam",
                "proxy": ME,
                "key": signing.KEY,
                "name": "slurm.example.org",
                "token_seconds": 300,
                "session_seconds": 3600,
                "policy": {**{name: [] for name in LISTS}, "slurm_user": "slurm", "least_uid": 1000},
            }
        )
    )
    monkeypatch.setattr(replacement, "IDENTITY_SETTINGS", str(settings))
    found = Gateway(directory)
    monkeypatch.setattr(replacement, "signing_kid", found.signs)
    monkeypatch.setattr(replacement, "said_of", found.said_of)
    made = iter(PEMS)

    def make(path: str, _account: str, _run: Any = None) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        os.write(descriptor, next(made).encode())
        os.close(descriptor)

    monkeypatch.setattr(signing, "make", make)
    signing.make(signing.KEY, ME)
    return found


def test_the_whole_way(gateway: Gateway) -> None:
    old = gateway.signs()
    gateway.taken = {old}
    assert replacement.look() == replacement.KeyStanding(old, 300)
    foreseen = replacement.begin(ME, check=True)
    assert (foreseen.changed, gateway.names()) == (True, ["key.pem"])
    begun = replacement.begin(ME)
    assert (begun.changed, gateway.kids(begun.document)[0], len(gateway.kids(begun.document))) == (True, old, 2)
    assert "PRIVATE" not in begun.document
    new = gateway.kids(begun.document)[1]
    assert replacement.look().waits
    with pytest.raises(SlurmrestError, match=f"does not take {new}.*Protocol authentication error"):
        replacement.judge_next(["127.0.0.1:6820"], 0)
    gateway.taken.add(new)
    replacement.judge_next(["127.0.0.1:6820"], 0)
    assert replacement.switch(0)
    assert (gateway.signs(), set(gateway.kids())) == (new, {old, new})
    standing = replacement.look()
    assert (standing.kid, standing.former, standing.waits) == (new, True, False)
    assert 295 <= standing.left <= 300
    assert gateway.kids(replacement.withdrawn().document) == [new]
    with pytest.raises(SlurmrestError, match=f"not withdrawn: {old}, the former key, is still good"):
        replacement.forget([], 0)
    gateway.taken = set()
    with pytest.raises(SlurmrestError, match="Protocol authentication error"):
        replacement.forget([], 0)  # a refusal that every key meets proves nothing
    gateway.taken = {new}
    assert replacement.forget([], 0)
    assert not replacement.forget([], 0)
    assert (gateway.names(), gateway.kids()) == (["key.pem"], [new])


def test_another_run_goes_on_with_the_same_key(gateway: Gateway) -> None:
    replacement.begin(ME)
    before = signing.document()
    again = replacement.begin(ME)
    assert (again.changed, again.document) == (False, before)
    replacement.switch(0)
    assert not replacement.switch(0)
    after = replacement.begin(ME)
    assert (after.changed, set(gateway.kids(after.document))) == (False, set(gateway.kids(before)))
    replacement.judge_next([], 0)  # none waits, none is asked for


def test_an_identity_service_that_sticks_to_its_key_has_it_back(gateway: Gateway) -> None:
    old = gateway.signs()
    replacement.begin(ME)
    gateway.sticks = old
    with pytest.raises(SlurmrestError, match=f"does not sign with the next key: it signs with {old}"):
        replacement.switch(0)
    assert (gateway.names(), gateway.kids()) == (["key.pem"], [old])


@pytest.mark.parametrize("switched", [True, False])
def test_the_way_back(gateway: Gateway, switched: bool) -> None:
    old = gateway.signs()
    replacement.begin(ME)
    if switched:
        replacement.switch(0)
    undone = replacement.back(switched=switched)
    assert (gateway.kids(undone.document), gateway.names(), gateway.signs()) == ([old], ["key.pem"], old)


def test_what_another_run_left_stays_on_the_way_back(gateway: Gateway) -> None:
    replacement.begin(ME)
    replacement.switch(0)
    new = gateway.signs()
    assert gateway.kids(replacement.back(switched=False).document)[0] == new
    assert gateway.names() == ["key-former.pem", "key.pem"]


def test_a_service_with_another_key_than_the_file_s_is_refused(gateway: Gateway) -> None:
    gateway.sticks = "slurmrest-gateway-other"
    with pytest.raises(SlurmrestError, match=r"signs with slurmrest-gateway-other, and .*key\.pem holds slurmrest"):
        replacement.look()
    Path(signing.KEY).unlink()
    with pytest.raises(SlurmrestError, match=r"key\.pem is missing.*playbooks/gateway\.yml"):
        replacement.look()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: Response(200, {}, b'{"kid": "one"}', 0.0), None),
        (lambda: Response(404, {}, b"{}", 0.0), "status 404"),
        (lambda: Response(200, {}, b"{}", 0.0), "kid"),
        (lambda: (_ for _ in ()).throw(ClientError("refused", "nobody listens")), "nobody listens"),
    ],
)
def test_which_key_signs_is_asked(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Response], said: Any) -> None:
    monkeypatch.setattr(replacement, "request", lambda *_words, **_more: answer())
    if said is None:
        assert replacement.signing_kid() == "one"
        return
    with pytest.raises(SlurmrestError, match=said):
        replacement.signing_kid()
