"""A token of root goes to slurmrestd, not to whoever took its address while it was down."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from slurmrest.doctor import inquiry
from slurmrest.errors import SlurmrestError
from slurmrest.rest.client import Credentials, Target
from slurmrest.rest.whole_table import EXCERPT
from slurmrest.rotation import acceptance
from slurmrest.slurmrestd.strangers import refuse, strangers, watch
from slurmrest.verify import on_host
from slurmrest.verify.run import CHECKS

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another account")

LISTENER = """
import socket, sys
server = socket.socket(socket.AF_INET6 if sys.argv[1] == "::" else socket.AF_INET)
server.bind((sys.argv[1], 0))
server.listen()
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def listening(host: str) -> Iterator[int]:
    """The port of a listener of another account, which answers nobody."""
    with subprocess.Popen(
        ["/usr/bin/python3", "-c", LISTENER, host],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@root_only
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
@pytest.mark.parametrize("asked", ["127.0.0.1", "localhost"])
def test_an_address_that_another_account_took_gets_no_token(host: str, asked: str) -> None:
    with listening(host) as port:
        target = Target.parse(f"http://{asked}:{port}")
        assert strangers([target], {0}) == {target.url: "nobody"}
        assert strangers([target], {0, NOBODY}) == {}
        assert strangers([Target.parse(f"https://{asked}:{port}")], {0}) == {}
        with pytest.raises(SlurmrestError, match=f"{port} is held by nobody.*no token"):
            refuse([target], {0})


@root_only
def test_an_address_elsewhere_and_a_free_one_are_nobodys_here() -> None:
    with listening("0.0.0.0") as port:
        assert strangers([Target.parse(f"http://192.0.2.1:{port}")], {0}) == {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert strangers([Target.parse(f"http://127.0.0.1:{free.getsockname()[1]}")], {0}) == {}


@root_only
def test_a_socket_that_another_account_put_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "one"))
        assert strangers([Target.parse(f"unix:{tmp_path}/one")], {0}) == {}
        os.chown(tmp_path / "one", NOBODY, NOBODY)
        assert strangers([Target.parse(f"unix:{tmp_path}/one")], {0}) == {f"unix:{tmp_path}/one": "nobody"}
    assert strangers([Target.parse(f"unix:{tmp_path}/none")], {0}) == {}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Slurmrestd ends, and another account has its port, once it was looked so often (the first number)."""
    looks = [3]

    def holders(_target: object) -> set[int]:
        looks[0] -= 1
        return {0, NOBODY} if looks[0] < 0 else {0}

    monkeypatch.setattr("slurmrest.slurmrestd.strangers._holders", holders)
    return looks


def sent(daemon: FakeSlurmrestd) -> int:
    """How many requests had a token."""
    return sum(
        "x-slurm-user-token" in {name.lower() for name in headers} for _method, _path, headers in daemon.requests
    )


@pytest.mark.usefixtures("taken")
def test_a_verification_ends_where_slurmrestd_does() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    told = {"unit": "slurmrestd.service", "account": "", "accounting": True, "slurmdbd": [], "daemons": []}
    wanted = {**dict.fromkeys(on_host.ARGUMENTS), "user": "root", "token": token("root").reveal()}
    with serving(daemon) as target:
        told.update(urls=[target.url], table=EXCERPT)
        with pytest.raises(SlurmrestError, match="is held by nobody"):
            on_host.asked({**wanted, "told": told}, CHECKS)
    assert sent(daemon) <= 2


def test_a_rotation_tells_its_tokens_nobody_who_comes_while_slurmrestd_is_down(taken: list[int]) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    tokens = {name: Credentials("root", token("root")) for name in (acceptance.OLD, acceptance.NEW)}
    stop = threading.Event()
    with serving(daemon) as target:
        watched = replace(target, watch=watch({0}))
        threading.Timer(0.5, stop.set).start()
        found = acceptance.sample(acceptance.Routes(watched, {"slurm": "/slurm/v0.0.41/diag"}), tokens, stop)
    assert taken[0] < -1, "it goes on looking"
    assert sent(daemon) == 3
    assert found["slurm"].samples[-1].token is None


def test_the_doctor_looks_again_before_it_asks_again() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"diag": (500, {"errors": [{"error": "not yet"}]})})
    holders: list[list[str]] = [[]]
    with serving(daemon) as target:

        def pause(_seconds: float) -> None:
            holders[0] = [target.url]
            time.sleep(0.3)

        found = inquiry.inquire(
            [target.url], token("root"), accounting=False, patience=0.2, held=lambda: holders[0], pause=pause
        )
    assert (found["url"], found["diag"]) == (None, None)


def test_the_doctor_asks_there_without_a_token() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        found = inquiry.inquire([target.url], token("root"), accounting=True, held=lambda: [target.url])
        again = inquiry.inquire([target.url], token("root"), accounting=True)
    assert (found["listeners"][0]["status"], found["url"], found["diag"]) == (
        again["listeners"][0]["status"],
        None,
        None,
    )
    assert again["url"] == target.url
