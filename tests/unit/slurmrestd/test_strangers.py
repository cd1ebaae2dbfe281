"""A token of root goes to slurmrestd, not to whoever took its address while it was down."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from slurmrest.doctor import inquiry
from slurmrest.errors import SlurmrestError
from slurmrest.rest.client import Target
from slurmrest.slurmrestd.strangers import refuse, strangers

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


def test_the_doctor_asks_there_without_a_token() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        found = inquiry.inquire([target.url], token("root"), accounting=True, held=[target.url])
        again = inquiry.inquire([target.url], token("root"), accounting=True)
    assert (found["listeners"][0]["status"], found["url"], found["diag"]) == (
        again["listeners"][0]["status"],
        None,
        None,
    )
    assert again["url"] == target.url
