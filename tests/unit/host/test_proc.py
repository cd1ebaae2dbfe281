"""Looking into processes and sockets: this very process is the subject."""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from slurmrest.host import ports, programs, sockets
from slurmrest.host import proc as processes
from slurmrest.host import process as described
from slurmrest.host.memory_map import mapped, mapped_files

from tests.unit.accounts import reachable

if TYPE_CHECKING:
    from pathlib import Path

MAPS = """\
55d0 r-xp 00000000 00:37 11                    /usr/sbin/slurmctld
7f65 r--s 00000000 00:37 2122292               /var/lib/slurm/jwt/jwt_hs256.key
7f66 r--s 00000000 00:37 77                    /run/other key (deleted)
7f67 r--p 00000000 00:37 78                    /usr/lib/locale/locale-archive
7f68 rw-p 00000000 00:00 0
"""


def test_mapped_files_are_those_shared_and_read_only() -> None:
    assert mapped_files(MAPS) == [
        {"path": "/var/lib/slurm/jwt/jwt_hs256.key", "inode": 2122292, "deleted": False},
        {"path": "/run/other key", "inode": 77, "deleted": True},
    ]


def test_a_process_tells_what_it_has_mapped_even_after_the_file_was_replaced(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"x" * 32)
    with key.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED):
        inode = key.stat().st_ino
        (tmp_path / "new").write_bytes(b"y" * 32)
        (tmp_path / "new").rename(key)
        found = described.process(os.getpid())
        files = mapped(os.getpid(), os.geteuid(), os.getegid())
    assert found is not None
    assert {"path": str(key), "inode": inode, "deleted": True} in (files or [])
    assert found["uid"] == os.geteuid()
    assert found["age"] >= 0
    assert found["environment"]["PATH"] == os.environ["PATH"]


def test_a_process_that_is_gone() -> None:
    assert described.process(2**22 + 1) is None


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_tcp_listeners_have_their_process(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        (found,) = sockets.listening_sockets({"tcp": [port]})
    assert (found["host"], found["port"], found["pid"]) == (host, port, os.getpid())
    assert found["program"]
    assert sockets.listening_sockets({"tcp": [port]}) == []


def test_the_kernel_tells_of_listeners_what_its_table_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::", 0), family=socket.AF_INET6) as two:
        both = {server.getsockname()[1] for server in (one, two)}
        for port in (0, *both):
            told = {entry for family in ports.TABLES for entry in ports._asked(family, port)}
            read = {entry for table in ports.TABLES.values() for entry in ports._read(table)}
            wanted = {port} if port else both
            assert {entry for entry in told if entry[1] in wanted} == {entry for entry in read if entry[1] in wanted}
            assert {entry[1] for entry in told} >= wanted
            assert not port or {entry[1] for entry in told} == {port}
        one.close()
        assert not list(ports.listening_ports(both - {two.getsockname()[1]}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become the owner of a process")
def test_root_in_a_container_lists_descriptors_of_others_but_may_not_follow_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refuse)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        (found,) = sockets.listening_sockets({"tcp": [server.getsockname()[1]]})
    assert found["pid"] == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become the owner of a process")
def test_who_has_many_processes_that_do_not_answer_holds_root_up_no_longer_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    clock, limits = [100.0], []

    def stopped(argv: list[str], *, limit: float, **_who: object) -> programs.Done[str]:
        limits.append(limit)
        clock[0] += limit
        return programs.Done(argv, programs.TOO_SLOW, "", "")

    own = f"/proc/{os.getpid()}/fd"
    monkeypatch.setattr(os, "readlink", refuse)
    monkeypatch.setattr("glob.glob", lambda _pattern: [own] * 1000)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(programs, "run", stopped)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        (found,) = sockets.listening_sockets({"tcp": [server.getsockname()[1]]})
    assert found["pid"] is None
    assert sum(limits) <= programs.LOOKING_SECONDS


def test_unix_listeners_have_their_process(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert sockets.listening_sockets({"unix": [path]}) == []
        server.listen()
        (found,) = sockets.listening_sockets({"unix": [path]})
    assert (found["kind"], found["path"], found["pid"]) == ("unix", path, os.getpid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another account")
def test_a_set_user_id_program_is_the_word_of_who_started_it(tmp_path: Path) -> None:
    program = reachable(tmp_path) / "sleep"
    shutil.copy("/bin/sleep", program)
    program.chmod(0o4755)
    with subprocess.Popen([str(program), "60"], user=65534, group=65534, extra_groups=[]) as process:
        found = processes.whose(process.pid)
        seen = described.process(process.pid)
        process.kill()
    assert seen is not None
    if seen["uid"] != 0:
        pytest.skip("programs here are not run as their owner (nosuid)")
    assert found == (65534, 65534, [])
    assert processes.whose(2**22 + 1) is None


@pytest.mark.parametrize(
    ("before", "after", "account"),
    [
        ((0, 0, []), (0, 0, []), (0, 0, [])),
        ((1000, 1000, [7]), (0, 0, []), (1000, 1000, [7])),
        ((0, 0, []), (1000, 1000, [7]), (1000, 1000, [7])),
        (None, (0, 0, []), (65534, 65534, [])),
        ((0, 0, []), None, (65534, 65534, [])),
    ],
)
def test_a_process_that_becomes_roots_while_it_is_read_is_anothers_word(
    before: processes.Account | None,
    after: processes.Account | None,
    account: processes.Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "whose", lambda _pid: after)
    assert processes.all_the_while(before, 7) == account


def test_a_socket_of_anybody_with_a_line_break_in_its_path_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a path of a socket is short
    with socket.socket(socket.AF_UNIX) as odd, socket.socket(socket.AF_UNIX) as other:
        odd.bind("one\nthis is no line of the kernel at all")
        odd.listen()
        other.bind("two")
        other.listen()
        (found,) = sockets.listening_sockets({"unix": ["two"]})
    assert (found["path"], found["pid"]) == ("two", os.getpid())


def unix_diag(name: bytes, inode: int, uid: int | None = None) -> bytes:
    """What the kernel tells of a socket: struct unix_diag_msg, then what it is asked to show, each with its length."""
    shown = [(0, name), (5, b"\0\0"), *([] if uid is None else [(7, struct.pack("=I", uid))])]
    parts = [struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4) for kind, data in shown]
    return struct.pack("=BBBxIII", socket.AF_UNIX, socket.SOCK_STREAM, 10, inode, 0, 0) + b"".join(parts)


FORGED = "x\n0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/slurmrestd.socket"


@pytest.mark.parametrize("uid", [None, 1000])
def test_a_name_is_as_long_as_the_kernel_says(uid: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/run/slurmrestd.socket"
    names = [b"\0" + FORGED.encode(), FORGED.encode() + b"\0", b"\0" + path.encode(), path.encode() + b"x\0", b""]
    answers = [unix_diag(name, number) for number, name in enumerate(names)]
    monkeypatch.setattr(sockets, "told", lambda _asked: [*answers, unix_diag(path.encode() + b"\0", 77, uid)])
    (found,) = sockets._listening_paths([path])
    assert (found["path"], found["uid"], found["inode"]) == (path, uid, 77)


def test_nobody_is_said_to_listen_by_the_lines_in_anothers_name() -> None:
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind("\0" + FORGED)
        odd.listen()
        assert sockets.listening_sockets({"unix": ["/run/slurmrestd.socket"]}) == []


def test_a_listener_whose_account_the_kernel_does_not_tell_is_its_process_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        (told,) = sockets.listening_sockets({"unix": [path]})
        monkeypatch.setattr(ports, "_SOCK_DIAG", 31)  # nothing of the kernel answers there
        (read,) = sockets.listening_sockets({"unix": [path]})
    assert told == read
    assert told["uid"] == os.geteuid()


def test_others_cannot_hide_who_listens_behind_many_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a port while slurmrestd is down would be told a token of root, if its line were not read."""
    row = "{number:4d}: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {uid:5d} 0 {inode}"
    rows = [row.format(number=number, port=9000, uid=1000, inode=number) for number in range(20_000)]
    tcp, unix = tmp_path / "tcp", tmp_path / "unix"
    tcp.write_text(
        "\n".join(["  sl  local_address", *rows, row.format(number=20_000, port=6820, uid=1000, inode=7), ""])
    )
    line = "0000000000000000: 00000002 00000000 00010000 0001 01 {inode} /run/{name}"
    lines = [line.format(inode=number + 10, name="x" * 90) for number in range(10_000)]
    unix.write_text("\n".join(["Num RefCount", *lines, line.format(inode=8, name="slurmrestd.socket"), ""]))
    monkeypatch.setattr(ports, "TABLES", {socket.AF_INET: str(tcp)})
    monkeypatch.setattr(ports, "_SOCK_DIAG", 31)  # nothing of the kernel answers there
    monkeypatch.setattr(sockets, "TABLE", str(unix), raising=False)
    monkeypatch.setattr(sockets, "MOST_BYTES", 1 << 20, raising=False)  # there is no such bound
    assert [entry["uid"] for entry in ports.listening_ports([6820])] == [1000]
    (found,) = sockets.listening_sockets({"unix": ["/run/slurmrestd.socket"]})
    assert found["kind"] == "unix"


def test_a_process_that_is_still_systemds_own_is_not_the_units(tmp_path: Path) -> None:
    """A deployment met slurmrestd between two starts, and took systemd-executor for a program that was broken."""
    code = "import sys; open('/proc/self/comm', 'w').write(sys.argv[1]); print(flush=True); input()"
    for name, there in (("(slurmrestd)", False), ("slurmrestd", True)):
        with subprocess.Popen(
            [sys.executable, "-c", code, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            assert (described.process(child.pid) is not None) == there
            child.stdin.close()
