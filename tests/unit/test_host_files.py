"""Links, FIFOs and directories of other accounts lead root nowhere; the targets here are harmless files."""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import hashlib
import importlib
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import keys
from slurmrest.auth.key_files import inspect, is_retired, retired_record
from slurmrest.doctor.log_files import trouble_in
from slurmrest.errors import SlurmrestError
from slurmrest.host import access, files, reading
from slurmrest.host import acl as access_lists
from slurmrest.host.eyes import eyes_of
from slurmrest.host.file_state import read_present
from slurmrest.host.lock import host_lock
from slurmrest.rotation import host as rotation
from slurmrest.service_token import fetch
from slurmrest.transaction.specs import DirectorySpec, FileSpec
from slurmrest.transaction.transaction import Transaction

from tests.unit.accounts import reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

shared_key = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.modules.shared_key_change")
key_place = importlib.import_module(f"{shared_key.placing.__module__}")

OTHER = 65534
THIRD = 65533
ME, MINE = os.geteuid(), os.getegid()
root_only = pytest.mark.skipif(ME != 0, reason="only root can make files of other accounts")


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A list as the kernel has it: (tag, rights, id) of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
NAMED = acl((1, 6, NOBODY), (2, 4, 4321), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))
"""The owner reads and writes, user 4321 reads."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of this account, to which no link may lead."""
    place = tmp_path / "outside"
    place.mkdir(mode=0o700)
    (place / "file").write_text("untouched")
    (place / "file").chmod(0o640)
    return place


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of another account."""
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "file").write_text("theirs")
    os.chown(place / "file", OTHER, OTHER)
    os.chown(place, OTHER, OTHER)
    return place


def picture(place: Path) -> list[tuple[str, int, int, str]]:
    """All that is in a directory."""
    found = []
    for path in [place, *sorted(place.rglob("*"))]:
        status = path.lstat()
        text = path.read_text() if stat.S_ISREG(status.st_mode) else ""
        found.append((str(path), status.st_mode, status.st_uid, text))
    return found


def theirs_link(path: Path, target: Path | str) -> None:
    """A link that another account made."""
    path.symlink_to(target)
    os.lchown(path, OTHER, OTHER)


def transact(state: Path, *specs: FileSpec | DirectorySpec) -> None:
    """One transaction without services."""

    def run(argv: object, **_how: object) -> Any:
        raise AssertionError(f"nothing is to be run: {argv}")

    Transaction(
        "test",
        files=[spec for spec in specs if isinstance(spec, FileSpec)],
        directories=[spec for spec in specs if isinstance(spec, DirectorySpec)],
        state_dir=str(state),
        run=run,
    ).apply()


def spec(path: Path, **how: Any) -> FileSpec:
    """A file as it shall be, this account's."""
    return FileSpec(str(path), b"new", "present", str(ME), str(MINE), **how)


# --- what is written --------------------------------------------------------------------------------------------------


def through_the_directory(link: Path) -> list[Callable[[Path], object]]:
    """Everything that changes something, told to work below a directory that is a link."""
    inside = str(link / "file")
    return [
        lambda state: transact(state, spec(Path(inside))),
        lambda state: transact(state, FileSpec(inside, state="absent")),
        lambda state: transact(state, DirectorySpec(str(link), str(OTHER), str(OTHER), 0o777)),
        lambda state: transact(state, DirectorySpec(str(link / "new"), str(OTHER), str(OTHER), 0o777)),
        lambda _state: files.write(inside, b"new", ME, MINE, 0o600),
        lambda _state: files.remove(inside),
        lambda _state: files.remove_directory(str(link)),
        lambda _state: files.take_over(inside, OTHER, OTHER, 0o777),
        lambda _state: files.link_beside(inside, str(link / "second")),
        lambda _state: files.rename_beside(inside, str(link / "second")),
        lambda _state: files.make_directory(str(link / "new"), ME, MINE, 0o700),
        lambda _state: files.open_lock(str(link / "lock")),
        lambda _state: files.save_record(str(link / "record"), {}),
        lambda _state: files.read(inside),
        lambda _state: files.names(str(link)),
        lambda _state: files.real(inside),
    ]


@root_only
@pytest.mark.parametrize("number", range(16))
def test_no_link_of_another_account_leads_anywhere(number: int, theirs: Path, outside: Path, tmp_path: Path) -> None:
    link = theirs / "link"
    theirs_link(link, outside)
    before = picture(outside)
    attempts = through_the_directory(link)
    assert len(attempts) == 16
    with pytest.raises((SlurmrestError, NotADirectoryError)) as failure:
        attempts[number](tmp_path / "state")
    assert picture(outside) == before
    if isinstance(failure.value, SlurmrestError):
        assert str(link) in str(failure.value)
        assert "symbolic link" in str(failure.value)


@root_only
def test_a_dangling_link_makes_no_file_where_it_leads(theirs: Path, outside: Path, tmp_path: Path) -> None:
    theirs_link(theirs / "key", outside / "made")
    before = picture(outside)
    with pytest.raises(reading.UnsafePath, match=r"theirs/key is a symbolic link of .* Allowed: a link that root made"):
        transact(tmp_path / "state", spec(theirs / "key"))
    assert picture(outside) == before


@root_only
@pytest.mark.parametrize(("mode", "group", "shared"), [
    (0o777, 0, True), (0o775, OTHER, True), (0o775, 0, False), (0o1777, OTHER, False), (0o755, OTHER, False),
])  # fmt: skip
def test_a_directory_of_root_in_which_others_may_rename(mode: int, group: int, shared: bool, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "directory").mkdir(parents=True)
    (place / "directory" / "file").touch()
    for name in ("roots", "linked"):
        (place / name).write_text("root's")
    os.link(place / "linked", tmp_path / "second")
    os.chown(place, 0, group)
    place.chmod(mode)

    def attempt(change: Callable[[], object]) -> None:
        with pytest.raises(reading.UnsafePath, match=f"{place}") if shared else contextlib.nullcontext():
            change()

    attempt(lambda: files.take_over(str(place / "roots"), OTHER, OTHER, 0o600))
    attempt(lambda: files.make_directory(str(place / "directory"), OTHER, OTHER, 0o700))
    attempt(lambda: files.read(str(place / "linked")))
    assert {(place / name).stat().st_uid for name in ("roots", "directory")} == {0 if shared else OTHER}
    # What is made there is new, and what another account has there stays that one's.
    files.make_directory(str(place / "new"), OTHER, OTHER, 0o700)
    (place / "theirs").touch()
    os.chown(place / "theirs", OTHER, OTHER)
    files.take_over(str(place / "theirs"), OTHER, OTHER, 0o600)


@root_only
def test_no_step_from_one_account_to_another(theirs: Path, tmp_path: Path) -> None:
    roots = theirs / "roots"
    roots.mkdir()
    (roots / "file").write_text("root's")
    third = theirs / "third"
    third.mkdir()
    os.chown(third, THIRD, THIRD)
    for place in (roots, third):
        with pytest.raises(reading.UnsafePath, match=rf"{theirs} belongs to .*, and {place} to .*Allowed"):
            files.write(str(place / "file"), b"new", ME, MINE, 0o600)
        with pytest.raises(reading.UnsafePath, match="belongs to"):
            files.make_directory(str(place), OTHER, OTHER, 0o700)
    assert (roots / "file").read_text() == "root's"
    assert roots.stat().st_uid == 0
    # What only root can have made may be read, and goes.
    assert files.read(str(roots / "file")) == b"root's"
    files.remove(str(roots / "file"))
    with pytest.raises(reading.UnsafePath, match="belongs to"):
        files.remove(str(third / "file"))
    with pytest.raises(reading.UnsafePath, match="would be given to"):
        files.write(str(theirs / "file"), b"new", THIRD, THIRD, 0o600)
    transact(tmp_path / "state", FileSpec(str(theirs / "file"), b"new", "present", str(OTHER), str(OTHER)))
    assert (theirs / "file").read_text() == "new"


@root_only
def test_root_makes_no_directories_of_its_own_below_others(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(reading.UnsafePath, match="root makes no directory of its own there"):
        files.have_parents(str(theirs / "a" / "file"))
    files.make_directory(str(theirs / "theirs"), OTHER, OTHER, 0o700)
    assert (theirs / "theirs").stat().st_uid == OTHER
    mask = os.umask(0o077)
    try:
        files.have_parents(str(tmp_path / "a" / "b" / "file"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o755


def test_links_of_ones_own_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to("real/../real")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    (real / "file").write_text("old")
    (real / "name").symlink_to("file")
    transact(tmp_path / "state", spec(tmp_path / "absolute" / "name"))
    assert (real / "file").read_text() == "new"
    assert (real / "name").is_symlink()
    assert files.real(str(tmp_path / "absolute" / "name")) == str(real / "file")
    assert files.real(str(tmp_path / "absolute" / "no" / "thing")) == str(real / "no" / "thing")
    files.write(str(real / "name"), b"replaced", ME, MINE, 0o600)
    assert not (real / "name").is_symlink()
    (tmp_path / "round").symlink_to("round")
    for use in (files.read, files.real):
        with pytest.raises(OSError, match="round") as failure:
            use(str(tmp_path / "round"))
        assert failure.value.errno == errno.ELOOP
    with pytest.raises(OSError, match=r"\w") as failure:
        files.read(str(tmp_path / "round" / "file"))
    assert failure.value.errno == errno.ELOOP


@root_only
def test_a_link_that_others_could_have_put_there_is_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(outside)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(reading.UnsafePath, match="mode 0777"):
        files.read(str(tmp_path / "open" / "link" / "file"))


@root_only
def test_a_file_with_two_names_is_given_to_nobody(theirs: Path, outside: Path) -> None:
    os.link(outside / "file", theirs / "waiting")
    before = picture(outside)
    for attempt in (
        lambda: files.take_over(str(theirs / "waiting"), OTHER, OTHER, 0o600),
        lambda: files.read(str(theirs / "waiting")),
        lambda: files.link_beside(str(theirs / "waiting"), str(theirs / "copy")),
    ):
        with pytest.raises(reading.UnsafePath, match="waiting"):
            attempt()
    assert picture(outside) == before


@root_only
@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_no_file_gets_a_mode_that_lends_rights(mode: int, theirs: Path) -> None:
    before = picture(theirs)
    with pytest.raises(reading.UnsafePath, match=f"mode {mode:04o}"):
        files.take_over(str(theirs / "file"), 0, 0, mode)
    with pytest.raises(reading.UnsafePath, match=f"mode {mode:04o}"):
        files.write(str(theirs / "file"), b"new", 0, 0, mode)
    assert picture(theirs) == before


@root_only
def test_owner_and_mode_of_the_next_key_are_not_those_of_what_a_link_leads_to(
    theirs: Path, outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SlurmUser puts the link there after the path was judged, and owns the key that waits."""
    (theirs / "file.slurmrest-next").write_bytes(b"x" * 32)
    os.chown(theirs / "file.slurmrest-next", OTHER, OTHER)
    (outside / "file").chmod(0o4755)
    key = rotation.KeyOnHost(str(theirs / "file"), "nobody", state_dir=str(tmp_path / "state"))
    (theirs / "file").unlink()
    theirs_link(theirs / "file", outside / "file")
    monkeypatch.setattr(key, "_go_back", lambda *_what, **_how: [])
    monkeypatch.setattr(key._systemd, "words", lambda *_what: "")
    with pytest.raises(SlurmrestError, match="a symbolic link of nobody"):
        key.switch("r1", [])
    waiting = (theirs / "file.slurmrest-next").stat()
    assert (waiting.st_uid, waiting.st_mode & 0o7000) == (OTHER, 0)


def test_a_failed_write_leaves_nothing_and_names_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as failure:
        files.write(str(tmp_path / "file"), b"new", ME, MINE, 0o600)
    assert failure.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


# --- what keeps root waiting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/proc/self/status", "/dev/null"])
def test_what_others_lead_to_is_known_before_it_is_opened(tmp_path: Path, target: str) -> None:
    """Opening a device may do something, and reading a file of /proc take away what it says."""
    link = tmp_path / "heartbeat"
    link.symlink_to(target)
    with pytest.raises(reading.UnsafePath, match="Allowed: a regular file"):
        reading.read_site(str(link))
    assert reading.read_beginning(str(link), 100) is None
    assert reading.read_beginning("/proc/self/status", 100)


def test_a_file_is_read_by_who_may_read_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has another account's eyes")
    place = reachable(tmp_path)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (place / name).write_text("x")
        (place / name).chmod(mode)
    with eyes_of(65534):
        assert reading.read_site(str(place / "open")) == b"x"
        with pytest.raises(PermissionError):
            reading.read_site(str(place / "closed"))
    assert reading.read_site(str(place / "closed")) == b"x"


def odd(tmp_path: Path) -> Iterator[Path]:
    """A FIFO, a directory, and a device that answers nothing but zeros."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    yield fifo
    (tmp_path / "directory").mkdir()
    yield tmp_path / "directory"
    yield Path("/dev/zero")


def test_odd_files_are_refused_at_once(tmp_path: Path) -> None:
    for path in odd(tmp_path):
        for use in (files.read, reading.read_site, read_present):
            with pytest.raises(reading.UnsafePath, match="Allowed: a regular file"):
                use(str(path))
        assert reading.read_if_there(str(path)) is None
        assert reading.read_beginning(str(path), 10) is None
        with pytest.raises(reading.UnsafePath, match="Allowed: a regular file"):
            files.write(str(path), b"new", ME, MINE, 0o600)
    with pytest.raises(reading.UnsafePath, match="FIFO"):
        files.open_lock(str(tmp_path / "fifo"))
    with pytest.raises(reading.UnsafePath, match="FIFO"), host_lock(str(tmp_path), name="fifo"):
        raise AssertionError("no lock")


def test_reads_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100 + b"end")
    with pytest.raises(reading.UnsafePath, match="more than 10 bytes"):
        files.read(str(tmp_path / "file"), 10)
    assert files.read(str(tmp_path / "file"), 103).endswith(b"end")
    assert reading.read_beginning(str(tmp_path / "file"), 4) == b"xxxx"
    assert reading.read_beginning(str(tmp_path / "file"), 4, end=True) == b"xend"


def test_a_fifo_in_the_place_of_a_record_key_or_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    settings = fetch.FetchSettings("svc", "svc", str(home), "root", str(home / "token"), ())
    os.mkfifo(settings.below(fetch.RECORD))
    assert fetch.read_record(settings) is None
    key = tmp_path / "jwt.key"
    os.mkfifo(key)
    with pytest.raises(key_place.SlurmrestError, match="FIFO"):
        key_place._present(str(key))
    with pytest.raises(reading.UnsafePath, match="FIFO"):
        rotation.KeyOnHost(str(key), "root", state_dir=str(tmp_path / "state")).sign("root", 60)
    assert (
        trouble_in(
            {"entries": [{"key": "slurmctldlogfile", "value": str(key), "origin": "conf:1"}]},
            "slurmctldlogfile",
            "root",
        )
        == []
    )
    monkeypatch.setattr(fetch, "CONFIG", str(key))
    with pytest.raises(SlurmrestError, match="cannot be used"):
        fetch.FetchSettings.read()


# --- access control lists ---------------------------------------------------------------------------------------------


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A key of this account that another user may read by an access control list; its mode shows only the mask."""
    key = tmp_path / "jwt.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    try:
        os.setxattr(key, "system.posix_acl_access", NAMED)
    except OSError as error:
        pytest.fail(f"{tmp_path} needs a file system with access control lists: {error}")
    return key


def test_a_list_is_read(listed: Path) -> None:
    assert access_lists.acl(str(listed)) == [
        access_lists.AclEntry("user", 4321, 4),
        access_lists.AclEntry("group", None, 0),
    ]
    assert str(access_lists.acl(str(listed))[0]) == "user 4321 (r)"
    listed.chmod(0o600)
    assert access_lists.acl(str(listed))[0].rights == 0  # the mask takes the right away
    assert access_lists.acl(str(listed.parent / "nothing")) == []


def test_a_key_that_a_list_shows_to_others_is_refused(listed: Path) -> None:
    reader = {"name": "me", "uid": ME, "gid": MINE}
    said = keys.refusals(inspect(str(listed)), reader)
    assert any("access control list that gives user 4321 rights (setfacl -b" in line for line in said)
    stranger = {"uid": 4321, "gid": 4321}
    assert access.may(access.ownership(str(listed)), stranger, 4)
    assert not access.may(access.ownership(str(listed)), {"uid": 4322, "gid": 4322}, 4)
    own = {"name": "reader", "uid": 4321, "gid": 4321}
    assert not any("access control list" in line for line in keys.refusals(inspect(str(listed)), own))


def test_a_directory_that_a_list_opens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jwt").mkdir(mode=0o700)
    writable = acl((1, 7, NOBODY), (4, 5, NOBODY), (8, 7, 4321), (16, 7, NOBODY), (32, 0, NOBODY))
    os.setxattr(tmp_path / "jwt", "system.posix_acl_access", writable)
    said = keys.refusals(inspect(str(tmp_path / "jwt" / "key")), {"name": "me", "uid": ME, "gid": MINE})
    assert any("by which group 4321 could replace the key" in line for line in said)


def test_no_secret_gets_a_list_and_0600_stays(listed: Path) -> None:
    files.write(str(listed), b"n" * 32, ME, MINE, 0o600, secret=True)
    assert access_lists.acl(str(listed)) == []
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    default = acl((1, 7, NOBODY), (2, 4, 4321), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY))
    os.setxattr(listed.parent, "system.posix_acl_default", default)
    files.write(str(listed.parent / "new.key"), b"n" * 32, ME, MINE, 0o640, secret=True)
    assert access_lists.acl(str(listed.parent / "new.key")) == []
    assert stat.S_IMODE((listed.parent / "new.key").stat().st_mode) == 0o640


def test_other_files_keep_their_list_and_the_mode_that_is_wanted(listed: Path) -> None:
    files.write(str(listed), b"new", ME, MINE, 0o600)
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    assert [entry.rights for entry in access_lists.acl(str(listed))] == [0, 0]
    files.write(str(listed), b"new", ME, MINE, 0o640)
    assert access_lists.acl(str(listed))[0] == access_lists.AclEntry("user", 4321, 4)


def test_a_sensitive_file_of_a_transaction_has_no_list_nor_has_its_copy(listed: Path, tmp_path: Path) -> None:
    transaction = Transaction(
        "test", files=[spec(listed, mode=0o600, sensitive=True)], state_dir=str(tmp_path / "state")
    )
    transaction.apply(hold=True)
    for path in (listed, Path(f"{listed}.slurmrest-rollback")):
        assert access_lists.acl(str(path)) == []
    transaction.commit()


# --- the key ----------------------------------------------------------------------------------------------------------


@root_only
def test_a_key_that_is_a_link_of_slurm_users_is_not_made(
    theirs: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs_link(theirs / "jwt.key", outside / "made")
    state = str(tmp_path / "state")
    monkeypatch.setattr(shared_key, "host_lock", lambda name: host_lock(state, name=name))
    monkeypatch.setattr(key_place, "_refuse_unsafe", lambda *_arguments, **_more: None)
    monkeypatch.setattr(shared_key, "Baseline", lambda: None)
    monkeypatch.setattr(shared_key, "Transaction", functools.partial(shared_key.Transaction, state_dir=state))
    wanted = {
        "path": str(theirs / "jwt.key"), "owner": str(OTHER), "group": str(OTHER), "mode": "0600",
        "directory_mode": "0700", "content": base64.b64encode(b"k" * 32).decode(), "size": 32,
        "services": [], "allow_restart": True, "remember": True, "fetch": False, "named_by": "", "columns": [],
    }  # fmt: skip
    with pytest.raises(key_place.SlurmrestError, match="symbolic link"):
        shared_key.place(wanted, check=False)
    assert not (outside / "made").exists()


@pytest.mark.parametrize("there", [False, True])
def test_what_slurmdbd_conf_alone_names_is_not_made(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, key = str(tmp_path / "state"), tmp_path / "made"
    monkeypatch.setattr(shared_key, "host_lock", lambda name: host_lock(state, name=name))
    monkeypatch.setattr(key_place, "_refuse_unsafe", lambda *_arguments, **_more: None)
    monkeypatch.setattr(shared_key, "Baseline", lambda: None)
    monkeypatch.setattr(shared_key, "Transaction", functools.partial(shared_key.Transaction, state_dir=state))
    wanted = {
        "path": str(key), "owner": str(ME), "group": str(MINE), "mode": "0600", "directory_mode": "0700",
        "content": "", "size": 32, "services": [], "allow_restart": True, "remember": True, "fetch": False,
        "columns": [], "named_by": "/etc/slurm/slurmdbd.conf:7",
    }  # fmt: skip
    if there:
        key.write_bytes(b"k" * 32)
        assert not shared_key.place(wanted, check=False)["changed"]
        return
    for check in (True, False):
        with pytest.raises(key_place.InputError, match=r"made'.*slurmdbd\.conf:7 alone names it.*Allowed"):
            shared_key.place(wanted, check=check)
    assert not key.exists()
    assert shared_key.place({**wanted, "named_by": ""}, check=False)["changed"]


def test_a_key_that_a_rotation_has_ended_is_not_placed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, key, ended = str(tmp_path / "state"), tmp_path / "jwt.key", b"e" * 32
    files.have_directory(state)
    note = {"digest": hashlib.sha256(ended).hexdigest(), "without": ["ctl1"]}
    files.save_record(retired_record(str(key), state), {str(key): note})
    monkeypatch.setattr(key_place, "is_retired", functools.partial(is_retired, state_dir=state))
    monkeypatch.setattr(shared_key, "host_lock", lambda name: host_lock(state, name=name))
    monkeypatch.setattr(key_place, "_refuse_unsafe", lambda *_arguments, **_more: None)
    monkeypatch.setattr(shared_key, "Baseline", lambda: None)
    monkeypatch.setattr(shared_key, "Transaction", functools.partial(shared_key.Transaction, state_dir=state))
    key.write_bytes(b"n" * 32)
    key.chmod(0o600)
    wanted = {
        "path": str(key), "owner": str(ME), "group": str(MINE), "mode": "0600", "directory_mode": "0700",
        "content": base64.b64encode(ended).decode(), "size": 32, "services": [], "allow_restart": True,
        "remember": True, "fetch": False, "named_by": "", "columns": [],
    }  # fmt: skip
    with pytest.raises(key_place.SlurmrestError, match=r"a rotation without ctl1 has ended.*rm .*jwt\.key"):
        shared_key.place(wanted, check=False)
    assert key.read_bytes() == b"n" * 32
    assert shared_key.place({**wanted, "content": base64.b64encode(b"m" * 32).decode()}, check=False)["changed"]


def test_a_directory_that_another_run_makes_in_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = os.mkdir

    def late(*what: Any, **where: Any) -> None:
        mkdir(*what, **where)
        mkdir(*what, **where)

    monkeypatch.setattr(os, "mkdir", late)
    files.have_directory(str(tmp_path / "state"))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
