"""Whether a database lets slurmdbd in: what is tried, by whom, and what is no answer of the database's.

The login itself, against a MariaDB, is for whoever changes it: the client library is none of this repository's.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.host import programs
from slurmrest.slurm import conf as slurmconf
from slurmrest.transaction import database_login
from slurmrest.transaction.database_login import REFUSED, CannotTry, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest.host.proc import Account

SAID = {"StorageType": "accounting_storage/mysql", "StorageUser": "slurm", "StoragePass": "open sesame"}
LIBRARY = "/usr/lib/x86_64-linux-gnu/libmariadb.so.3"
ROOT: Account = (0, 0, [])
MAPS = f"7f00-7f01 r-xp 00000000 fe:01 7 {LIBRARY}\n"


def conf(**said: str) -> slurmconf.SlurmConf | None:
    lines = [f'{key}="{value}"\n' for key, value in {**SAID, **said}.items() if value]
    return slurmconf.read("/etc/slurm/slurmdbd.conf", lambda _path: "".join(lines))


class Database:
    """Plays what the process says that logs in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.code, self.output = 0, ""
        self.argv: Sequence[str] = ()
        self.how: dict[str, Any] = {}
        self.maps: str | None = MAPS
        self.running = {"pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid()}
        self.account = ROOT
        monkeypatch.setattr(database_login, "private", lambda *_how: self.maps)
        monkeypatch.setattr(database_login, "roots_alone", lambda _path: True)
        monkeypatch.setattr(programs, "run", self.run)

    def run(self, argv: Sequence[str], **how: Any) -> programs.Done[str]:
        self.argv, self.how = argv, how
        with os.fdopen(os.dup(how["pass_fds"][0])) as pipe:
            self.told = json.load(pipe)
        return programs.Done(list(argv), self.code, self.output, "")

    def refusal(self, **said: str) -> str:
        return refusal(conf(**said), self.running, self.account)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


def test_it_is_tried_as_slurmdbd_does(database: Database) -> None:
    assert database.refusal() == ""
    usual = {"hosts": ["localhost"], "port": 3306, "user": "slurm", "database": "slurm_acct_db"}
    assert database.told == {**usual, "password": "open sesame"}
    more = {"StorageHost": "db1", "StorageBackupHost": "db2", "StoragePort": "3307", "StorageLoc": "acct"}
    database.refusal(**more, StoragePass="")
    assert database.told == {
        "hosts": ["db1", "db2"],
        "port": 3307,
        "user": "slurm",
        "database": "acct",
        "password": None,
    }
    assert database.argv[-2] == LIBRARY


def test_the_password_is_in_a_pipe_alone(database: Database) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    database.refusal()
    assert "sesame" not in " ".join(database.argv)
    assert set(database.how) == {"limit", "pass_fds"}
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_what_the_database_says_is_the_reason(database: Database) -> None:
    database.code, database.output = REFUSED, "1045 Access denied for user 'slurm'@'localhost'\n"
    assert database.refusal() == "1045 Access denied for user 'slurm'@'localhost'"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"StorageParameters": "SSL_CA=/etc/ssl/db.pem"}, "no login is tried with StorageParameters"),
        ({"StoragePassScript": "/usr/bin/password"}, "no login is tried with StoragePassScript"),
        ({"StorageType": "accounting_storage/other"}, "another database than MySQL or MariaDB"),
        ({"StorageUser": ""}, "no StorageUser"),
        ({"StoragePort": "many"}, "no number as StoragePort"),
        ({"StoragePass": "x" * 5000}, "too long"),
    ],
)
def test_what_slurmdbd_might_do_otherwise_is_not_tried(database: Database, said: dict[str, str], why: str) -> None:
    with pytest.raises(CannotTry, match=why):
        database.refusal(**said)
    assert database.argv == ()


@pytest.mark.parametrize("code", [1, 4, programs.TOO_SLOW, programs.MISSING])
def test_what_is_no_answer_is_none(database: Database, code: int) -> None:
    database.code = code
    with pytest.raises(CannotTry, match="its login cannot be tried"):
        database.refusal()


def test_without_a_library_or_a_file_there_is_nothing_to_try_with(database: Database) -> None:
    with pytest.raises(CannotTry, match=r"slurmdbd\.conf cannot be read"):
        refusal(None, database.running, ROOT)
    for database.maps in (None, MAPS.replace("libmariadb", "libother")):
        with pytest.raises(CannotTry, match="no client library"):
            database.refusal()


def test_it_is_tried_by_the_account_of_the_process(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    database.account = (65534, 65534, [7])
    assert database.refusal() == ""
    assert (database.how["user"], database.how["extra_groups"]) == (65534, [7])


@pytest.mark.parametrize("alone", [True, False])
def test_root_loads_a_library_that_is_roots_alone(
    database: Database, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_login, "roots_alone", lambda path: alone and path == LIBRARY)
    if alone:
        assert database.refusal() == ""
        assert "user" not in database.how
        return
    with pytest.raises(CannotTry, match="is not root's alone"):
        database.refusal()
    assert database.argv == ()


@pytest.mark.parametrize(("file", "words"), [("/no/libmariadb.so.3", "OSError"), ("libc.so.6", "AttributeError")])
def test_a_library_that_is_none_is_no_refusal(file: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process as it is started: what it cannot load, or does not find in there, ends it otherwise."""
    monkeypatch.setattr(database_login, "private", lambda *_how: f"7f00-7f01 r-xp 00000000 fe:01 7 {file}\n")
    monkeypatch.setattr(database_login, "_LIBRARY", re.compile(r" (\S+)\n"))
    monkeypatch.setattr(database_login, "roots_alone", lambda _path: True)
    with pytest.raises(CannotTry, match=f"cannot be tried: {words}"):
        refusal(conf(), {"pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid()}, ROOT)
