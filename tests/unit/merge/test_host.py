"""Merging on a host: what stands against it, what is written and restarted, and the way back, also over two hosts."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.host import files, programs, reading
from slurmrest.merge import host as confmerge
from slurmrest.merge.comparison import Comparison, Look
from slurmrest.merge.host import Part, advice
from slurmrest.merge.request import MergeRequest
from slurmrest.slurm.conf import read
from slurmrest.slurm.conf_hash import hash_values
from slurmrest.transaction.transaction import ROLLBACK_SUFFIX, TransactionFailed

ME = pwd.getpwuid(os.getuid()).pw_name
NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")
MINE = grp.getgrgid(os.getgid()).gr_name
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
SITE = (
    b"ClusterName=site\r\nSlurmctldHost=ctl\r\nAuthAltTypes=auth/site # \xfc\r\nCommunicationParameters=NoCtldInAddrAny"
)
DATABASE = b"DbdHost=db\nStoragePass=hunter2 and more\nStorageUser=slurm\n"


class Host:
    """Plays systemd, one daemon and the programs of Slurm; hosts may share a directory of files."""

    def __init__(self, tmp_path: Path, name: str = "host", kind: str = "slurmctld", etc: Path | None = None) -> None:
        self.kind = kind
        self.state = tmp_path / name / "state"
        self.etc = etc or tmp_path / name / "etc"
        self.etc.mkdir(parents=True, exist_ok=True)
        self.bin = tmp_path / name / "bin"
        self.bin.mkdir(parents=True)
        for program in ("scontrol", "slurmdbd"):
            (self.bin / program).write_text("#!/bin/sh\n")
            (self.bin / program).chmod(0o755)
        self.path = self.etc / ("slurmdbd.conf" if kind == "slurmdbd" else "slurm.conf")
        if not self.path.exists():
            self.path.write_bytes(DATABASE if kind == "slurmdbd" else SITE)
            self.path.chmod(0o640)
        self.active = "active"
        self.started = time.monotonic()
        self.refuses = False  # the daemon, any text with auth/jwt
        self.parser: tuple[int, str] = (0, "")
        self.hash = "Match"
        self.calls: list[list[str]] = []
        self.candidates: list[dict[str, bytes]] = []

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = list(argv)
        self.calls.append(words)
        output, errors, code = "", "", 0
        if words[0] == "journalctl":
            output = f"{self.kind}: fatal: I read {self.path.read_text('latin-1')!r} and do not like it"
        elif words[:2] == ["systemctl", "show"] and "--property=ActiveState,ExecMainStartTimestampMonotonic" in words:
            output = f"ActiveState={self.active}\nExecMainStartTimestampMonotonic={int(self.started * 1e6)}\n"
        elif words[:2] == ["systemctl", "show"]:
            output = f"ActiveState={self.active}\nNRestarts=0\nResult=x\nConditionResult=yes\n"
        elif words[:2] == ["systemctl", "restart"]:
            self.active = "failed" if self.refuses and b"auth/jwt" in self.path.read_bytes() else "active"
        elif words[0] == "env":
            output, errors, code = self.slurm(words)
        return subprocess.CompletedProcess(words, code, output, errors)

    def slurm(self, words: list[str]) -> tuple[str, str, int]:
        conf = Path(next(word for word in words if word.startswith("SLURM_CONF=")).partition("=")[2])
        if words[-2:] == ["show", "config"]:
            return f"SlurmUser = slurm(64030)\nHASH_VAL                = {self.hash}\n", "", 0
        self.candidates.append({path.name: path.read_bytes() for path in conf.parent.iterdir() if path.is_file()})
        main = conf.with_name(self.path.name)
        code, errors = self.parser
        return "", errors.replace("FILE", str(main)), code

    def part(self, **request: Any) -> Part:
        wanted = {"kind": self.kind, "path": str(self.path), "jwt_key": KEY, "prefix": str(self.bin.parent), **request}
        return Part(MergeRequest(**wanted), self, str(self.state))

    @property
    def restarts(self) -> int:
        return sum(words[:2] == ["systemctl", "restart"] for words in self.calls)

    def leftovers(self) -> list[str]:
        return [path.name for root in (self.etc, self.state) for path in root.rglob("*") if path.name != "lock"]


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confmerge, "PATIENCE", 0.2)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("kind", ["slurmctld", "copy"])
def test_where_nothing_is_to_be_done_the_comparison_says_the_same(tmp_path: Path, kind: str) -> None:
    host = Host(tmp_path)
    part = host.part(kind=kind)
    assert part.compare().changed
    part.apply()
    host.calls.clear()
    compared = Comparison(part.request, host, str(host.state)).compare()
    assert not compared.changed
    assert [words[:2] for words in host.calls] == [["systemctl", "show"]] * (kind != "copy")
    assert compared.as_dict() == part.look().as_dict()


def test_the_comparison_leaves_what_is_held_or_half_done_to_who_changes(host: Host) -> None:
    host.part().apply(hold=True)
    part = host.part()
    assert part.compare().changed
    assert part.look().unfinished
    part.commit()
    assert not part.compare().changed


def test_a_look_changes_nothing_and_says_everything(host: Host) -> None:
    look = host.part().look()
    assert host.path.read_bytes() == SITE
    assert host.restarts == 0
    said = look.as_dict()
    assert (said["changed"], said["running"], said["problems"], said["files"]) == (True, True, [], [str(host.path)])
    assert [line["new"] for line in said["lines"]] == [
        "AuthAltTypes=auth/site,auth/jwt # \ufffd",
        f"AuthAltParameters=jwt_key={KEY}",
    ]
    assert "+" not in look.diff[0]["before"]
    assert "auth/site,auth/jwt # \ufffd" in look.diff[0]["after"]


def test_apply_writes_restarts_and_leaves_nothing_behind(host: Host) -> None:
    outcome = host.part().apply()
    assert (outcome.changed, outcome.restarted) == (True, ["slurmctld"])
    assert host.path.read_bytes() == (
        b"ClusterName=site\r\nSlurmctldHost=ctl\r\n"
        b'# slurmrest.toolkit added to AuthAltTypes: "auth/jwt"\r\nAuthAltTypes=auth/site,auth/jwt # \xfc\r\n'
        b'# slurmrest.toolkit added the line AuthAltParameters: "jwt_key=/var/lib/slurm/jwt/jwt_hs256.key"\r\n'
        b"AuthAltParameters=jwt_key=/var/lib/slurm/jwt/jwt_hs256.key\r\nCommunicationParameters=NoCtldInAddrAny"
    )
    assert host.path.stat().st_mode & 0o7777 == 0o640
    assert host.leftovers() == ["slurm.conf"]
    again = host.part().look()
    assert not again.changed
    assert not host.part().apply().changed
    assert host.restarts == 1
    back = host.part(state="absent").apply()
    assert (back.changed, host.path.read_bytes(), host.restarts) == (True, SITE, 2)
    assert not host.part(state="absent").apply().changed


def test_a_link_is_followed(host: Host) -> None:
    real = host.etc.parent / "shared" / "site.conf"
    real.parent.mkdir()
    host.path.rename(real)
    host.path.symlink_to(real)
    host.part().apply()
    assert host.path.is_symlink()
    assert b"auth/jwt" in real.read_bytes()
    assert [path.name for path in real.parent.iterdir()] == ["site.conf"]


def test_links_over_several_levels_and_two_names_of_a_file(host: Host) -> None:
    real = host.etc.parent / "nfs" / "v2" / "site.conf"
    real.parent.mkdir(parents=True)
    host.path.rename(real)
    (real.parent.parent / "current").symlink_to("v2")
    (host.etc / "link.conf").symlink_to(real.parent.parent / "current" / "site.conf")
    (host.etc / "again.conf").symlink_to("link.conf")
    host.path.write_text("Include link.conf\nInclude again.conf\n")
    host.part().apply()
    assert real.read_bytes().count(b"AuthAltTypes") == 2
    assert host.path.read_text() == "Include link.conf\nInclude again.conf\n"
    assert [path.name for path in real.parent.iterdir()] == ["site.conf"]
    assert not host.part().look().changed
    host.part(state="absent").apply()
    assert real.read_bytes() == SITE
    assert sorted(host.leftovers()) == ["again.conf", "link.conf", "slurm.conf"]


@pytest.fixture
def read_only(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose /etc/slurm nobody can write to, as on a read-only mount or with NFS's root_squash."""
    access = os.access

    def may(path: str, mode: int, **more: Any) -> bool:
        return access(path, mode, **more) and not (mode == os.W_OK and str(path).startswith(str(host.etc)))

    monkeypatch.setattr(os, "access", may)
    return host


def test_a_file_that_cannot_be_written_stops_before_anything_changes(read_only: Host) -> None:
    look = read_only.part().look()
    assert (len(look.obstacles), look.problems) == (1, [])
    assert f"{read_only.path} cannot be replaced on this host" in look.as_dict()["obstacles"][0]
    with pytest.raises(SlurmrestError, match=r"cannot be replaced on this host.*Nothing was done"):
        read_only.part().apply()
    assert (read_only.path.read_bytes(), read_only.restarts) == (SITE, 0)


def test_a_copy_on_a_read_only_mount_is_written_by_the_host_that_can(read_only: Host) -> None:
    copy = read_only.part(kind="copy")
    with pytest.raises(SlurmrestError, match="cannot be replaced on this host"):
        copy.apply()
    for path, text in copy.look().edit.texts.items():
        Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert not copy.apply().changed


def test_a_host_waits_until_it_sees_what_another_wrote(read_only: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    part = read_only.part()
    texts = part.look().edit.texts
    rounds = iter(range(100))

    def later(_seconds: float) -> None:
        if next(rounds) == 3:
            for path, text in texts.items():
                Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))

    monkeypatch.setattr(time, "sleep", later)
    outcome = part.apply(digests={}, force=True, hold=True, wait=True)
    assert (outcome.changed_paths, outcome.restarted) == ([], ["slurmctld"])
    assert next(rounds) == 4


def test_a_host_does_not_wait_for_ever(read_only: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confmerge, "SHARED_SECONDS", 0.01)
    part = read_only.part()
    with pytest.raises(SlurmrestError, match=r"cannot be replaced on this host.*Nothing was done"):
        part.apply(digests=part.look().digests, force=True, hold=True, wait=True)
    assert (read_only.path.read_bytes(), read_only.restarts) == (SITE, 0)


def test_a_file_that_is_mounted_itself_cannot_be_replaced(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    escaped = str(host.path).replace("s", "\\163")
    mounts.write_text(f"1 2 0:1 / / rw - ext4 x rw\n36 35 98:0 /x {escaped} rw,noatime - ext3 /dev/root rw\n")
    monkeypatch.setattr(confmerge, "MOUNTS", str(mounts))
    assert "is mounted by itself" in host.part().look().obstacles[0]


def test_a_file_that_root_may_not_read_is_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_more: Any, **_names: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("slurmrest.host.reading.read_site", refuse)
    with pytest.raises(SlurmrestError, match=rf"{host.path} cannot be read.*root_squash"):
        host.part().look()


def test_what_the_daemon_refuses_comes_back_with_its_words(host: Host) -> None:
    host.refuses = True
    with pytest.raises(TransactionFailed, match="do not like it") as caught:
        host.part().apply()
    assert host.path.read_bytes() == SITE
    assert host.active == "active"
    assert caught.value.rolled_back == [str(host.path)]
    assert host.leftovers() == ["slurm.conf"]


def test_a_daemon_that_is_down_stays_down(host: Host) -> None:
    host.active = "inactive"
    look = host.part().look()
    assert (look.changed, look.running, look.problems) == (True, False, [])
    assert host.part().apply().restarted == []
    assert host.active == "inactive"


def test_somebody_who_is_quicker_wins(host: Host) -> None:
    look = host.part().look()
    host.path.write_bytes(SITE + b"\r\nMailProg=/bin/true")
    with pytest.raises(SlurmrestError, match="changed by somebody"):
        host.part().apply(digests=look.digests)
    assert b"auth/jwt" not in host.path.read_bytes()
    assert host.restarts == 0


# --- what the daemon has loaded --------------------------------------------------------------------------------------


def hash_of(host: Host) -> str:
    conf = read(str(host.path), lambda path: Path(path).read_bytes().decode("utf-8", "surrogateescape"))
    assert conf is not None
    return f"{next(iter(hash_values(conf.raw))):x}"


def test_the_checksum_is_that_of_slurm() -> None:
    # As scontrol 24.11 said of these two files: "Ours=0xaac1e2e1".
    files = {
        "/c/slurm.conf": "ClusterName=site\nSlurmctldHost=localhost # f\udcfcr alle\nInclude more.conf\nNodeName=n1\n",
        "/c/more.conf": "# \xfc\nPartitionName=p Nodes=ALL\n",
    }
    conf = read("/c/slurm.conf", files.get)
    assert conf is not None
    assert 0xAAC1E2E1 in hash_values(conf.raw)
    assert len(hash_values("# \xfc")) == 2
    assert len(hash_values("ClusterName=site\n")) == 1
    assert hash_values("A=1\0 unseen\nB=1\n") == hash_values("A=1B=1\n")


def test_an_edit_that_slurmctld_has_not_loaded_stops(host: Host) -> None:
    host.hash = "Different Ours=0x1 Slurmctld=0x2"
    problem = host.part().look().problems[0]
    assert f"{host.path} is not what slurmctld has loaded" in problem
    assert "scontrol reconfigure" in problem


def test_a_newer_file_that_slurmctld_has_loaded_does_not_stop(host: Host) -> None:
    os.utime(host.path, (time.time() + 100, time.time() + 100))
    assert host.part().look().problems == []


def test_only_our_own_change_was_not_loaded_yet(host: Host) -> None:
    loaded = hash_of(host)
    host.active = "inactive"
    host.part().apply()
    host.active = "active"
    host.hash = f"Different Ours=0x{hash_of(host)} Slurmctld=0x{loaded}"
    other = host.part(jwt_key="/other.key", replace_key=True).look()
    assert (other.changed, other.problems) == (True, [])
    host.path.write_bytes(host.path.read_bytes() + b"\nMailProg=/bin/true\n")
    assert host.part(jwt_key="/other.key", replace_key=True).look().problems != []


@pytest.mark.parametrize("kind", ["slurmctld", "slurmdbd"])
def test_without_a_checksum_the_times_tell(tmp_path: Path, kind: str) -> None:
    host = Host(tmp_path, kind=kind)
    host.hash = "unknown"
    os.utime(host.path, (time.time() - 100, time.time() - 100))
    assert host.part().look().problems == []
    os.utime(host.path, (time.time() + 100, time.time() + 100))  # the start stays: a machine may have booted just now
    problem = host.part().look().problems[0]
    assert f"{host.path} changed after {kind} was started" in problem


def test_the_time_of_an_included_file_counts(tmp_path: Path) -> None:
    host = Host(tmp_path, kind="slurmdbd")
    included = host.etc / "password.conf"
    included.write_text("StoragePass=x\n")
    host.path.write_text(f"DbdHost=db\nInclude {included}\n")
    os.utime(host.path, (time.time() - 100, time.time() - 100))
    os.utime(included, (time.time() + 50, time.time() + 50))
    assert str(included) in host.part().look().problems[0]


# --- Slurm's own parser ----------------------------------------------------------------------------------------------


def test_the_parser_reads_the_candidate_and_not_the_live_file(host: Host) -> None:
    included = host.etc / "conf.d" / "auth.conf"
    included.parent.mkdir()
    included.write_bytes(b"AuthAltTypes=auth/site\n")
    (host.etc / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    host.path.write_bytes(b"ClusterName=site\nInclude conf.d/auth.conf \\\n\nNodeName=n1\n")
    assert host.part().look().problems == []
    candidate = host.candidates[0]
    assert sorted(candidate) == ["cgroup.conf", "include-1.conf", "slurm.conf"]
    assert b"auth/jwt" in candidate["include-1.conf"]
    main = candidate["slurm.conf"].split(b"\n")
    assert main[1].endswith(b"/include-1.conf")
    assert main[3] == b"NodeName=n1"


def test_what_the_parser_refuses_is_told_of_the_site_s_own_file(host: Host) -> None:
    host.parser = (1, "scontrol: error: Parse error in file FILE line 3\nscontrol: fatal: Unable to process\n")
    problem = host.part().look().problems[0]
    assert problem.startswith(f"Slurm refuses {host.path} as it is")
    assert f"Parse error in file {host.path} line 3; scontrol: fatal" in problem


def test_a_file_that_nobody_could_read_before_it_goes_live_is_said(host: Host) -> None:
    """It was passed over: a daemon that refused the file was the first to say so."""
    assert host.part().look().unseen == []
    (host.bin / "scontrol").unlink()
    look = host.part().look()
    assert look.problems == []
    assert f"{host.path} goes live unread: scontrol is not there, or too slow." in look.unseen


def test_the_parser_s_words_hold_no_password(tmp_path: Path) -> None:
    host = Host(tmp_path, kind="slurmdbd")
    host.parser = (1, 'slurmdbd: error: Parse error in file FILE line 2: " and more"\nslurmdbd: fatal: not hunter2\n')
    look = host.part().look()
    said = f"{look.as_dict()} {look.diff} {advice(look)}"
    assert "Parse error" in said
    for secret in ("hunter2", "and more"):
        assert secret not in said
    assert [path.name for path in (tmp_path / "host").rglob("*") if path.is_symlink()] == []


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that other accounts may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@root_only
def test_the_parser_reads_for_another_account_as_that_account(open_place: Path) -> None:
    host = Host(open_place, kind="slurmdbd")
    script = 'head -n1 "$(dirname "$SLURM_CONF")/slurmdbd.conf" >&2; id -u >&2; exit 1'
    (host.bin / "slurmdbd").write_text(f"#!/bin/sh\n{script}\n")
    (host.bin / "slurmdbd").chmod(0o755)
    part = host.part()
    part.run = lambda argv, **how: programs.run(argv, **how) if argv[-1] == "-V" else host(argv)
    assert "DbdHost=db; 0" in part.look().problems[0]
    os.chown(host.path, NOBODY, NOBODY)
    assert f"DbdHost=db; {NOBODY}" in part.look().problems[0]


@root_only
def test_what_another_account_may_not_read_is_not_read_for_it(open_place: Path) -> None:
    host = Host(open_place, kind="slurmdbd")
    secret = open_place / "secret"
    secret.write_text("root:hunter2:\n")
    secret.chmod(0o600)
    host.path.write_bytes(DATABASE + f"Include {secret}\n".encode())
    host.parser = (1, "slurmdbd: error: Parse error in file FILE line 4: root:hunter2:\n")
    assert "as it is" in host.part().look().problems[0]  # root's own word
    os.chown(host.path, NOBODY, NOBODY)
    with pytest.raises(SlurmrestError, match=f"{secret} would be read because of what nobody can write") as caught:
        host.part().look()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SlurmrestError, match="may not read it"):
        host.part().apply()
    secret.chmod(0o644)
    assert "as it is" in host.part().look().problems[0]


@root_only
@pytest.mark.parametrize("turn", range(1, 17))
def test_a_file_that_changes_between_two_readings_is_not_read_for_another_account(
    open_place: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """Who owns the directory of an included file leads its name to a file of root's for one of the readings."""
    host = Host(open_place, kind="slurmdbd")
    secret, place = open_place / "secret", open_place / "theirs"
    secret.write_text("# geheim\n")
    secret.chmod(0o600)
    place.mkdir()
    own, included = place / "own", place / "included"
    own.write_text("# own\n")
    host.path.write_bytes(DATABASE + f"Include {included}\n".encode())
    for path in (place, own, host.path):
        os.chown(path, NOBODY, NOBODY)
    opened: list[str] = []
    whole = reading.read_site

    def read_site(path: str, *limit: int) -> bytes:
        opened.extend([path] if path == str(included) else [])
        included.unlink(missing_ok=True)
        included.symlink_to(secret if len(opened) == turn and path == str(included) else own)
        try:
            return whole(path, *limit)
        finally:
            included.unlink()
            included.symlink_to(own)

    monkeypatch.setattr(reading, "read_site", read_site)
    seen: list[bytes] = []
    copied = files.write

    def write(path: str, data: bytes, *how: Any, **more: Any) -> None:
        seen.append(data)
        copied(path, data, *how, **more)

    monkeypatch.setattr(files, "write", write)
    with contextlib.suppress(SlurmrestError):
        host.part().look()
    assert not [data for data in seen if b"geheim" in data]
    assert os.geteuid() == os.getegid() == 0


def test_the_daemon_s_words_hold_no_password(tmp_path: Path) -> None:
    host = Host(tmp_path, kind="slurmdbd")
    host.refuses = True
    with pytest.raises(TransactionFailed) as caught:
        host.part().apply()
    assert "fatal: I read" in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value.journal}"


@pytest.mark.skipif(Path("/usr/bin/scontrol").exists(), reason="Slurm is installed here")
def test_a_host_without_slurm_s_programs_is_not_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in host.bin.iterdir():
        program.unlink()
    monkeypatch.setattr(programs, "PATH", "")
    assert host.part(prefix="/nonexistent").look().problems == []
    assert host.candidates == []


# --- the key ---------------------------------------------------------------------------------------------------------


def wanted(host: Host, text: str, **request: Any) -> list[str]:
    host.path.write_text(text)
    return [str(change.new) for change in host.part(**request).look().edit.changes]


def test_the_key_of_the_site_is_kept(host: Host) -> None:
    text = "AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/site.key\n"
    assert wanted(host, text) == []
    assert wanted(host, text, replace_key=True) == [f"AuthAltParameters=jwt_key={KEY}"]
    assert wanted(host, "AuthAltParameters=jwt_key=/site.key\n") == ["AuthAltTypes=auth/jwt"]
    assert wanted(host, "AuthAltTypes=auth/jwt\nAuthAltParameters=jwks=/site.json\n") == []


def test_the_key_beside_the_state_is_kept(host: Host) -> None:
    text = "AuthAltTypes=auth/jwt\nStateSaveLocation=/state\n"
    assert wanted(host, text, jwt_key="/state/jwt_hs256.key") == []
    assert wanted(host, text) == [f"AuthAltParameters=jwt_key={KEY}"]
    assert wanted(host, "AuthAltTypes=auth/jwt\n", jwt_key="/var/spool/jwt_hs256.key") == []
    assert wanted(host, "StateSaveLocation=/state\n", jwt_key="/state/jwt_hs256.key") == [
        "AuthAltTypes=auth/jwt",
        "AuthAltParameters=jwt_key=/state/jwt_hs256.key",
    ]


def test_slurmdbd_has_no_key_beside_the_state(tmp_path: Path) -> None:
    host = Host(tmp_path, kind="slurmdbd")
    assert wanted(host, "AuthAltTypes=auth/jwt\n", jwt_key="/var/spool/jwt_hs256.key") == [
        "AuthAltParameters=jwt_key=/var/spool/jwt_hs256.key"
    ]


def test_what_the_release_takes_for_the_name_of_the_plugin(host: Host) -> None:
    text = f"AuthAltTypes=jwt\nAuthAltParameters=jwt_key={KEY}\n"
    assert wanted(host, text, bare_jwt=True) == []
    assert wanted(host, text) == ["AuthAltTypes=jwt,auth/jwt"]


def test_an_item_behind_a_blank_is_there_where_the_release_takes_it_so(host: Host) -> None:
    text = f'AuthAltTypes=auth/jwt\nAuthAltParameters="disable_token_creation, jwt_key={KEY}"\n'
    assert wanted(host, text, auth_alt_items=()) == []
    (line,) = wanted(host, text, auth_alt_items=("jwt_key", "jwks"))
    assert line == f'AuthAltParameters="disable_token_creation, jwt_key={KEY},jwt_key={KEY}"'
    (line,) = wanted(host, text, auth_alt_items=(), replace_key=True, jwt_key="/other.key")
    assert line == 'AuthAltParameters="disable_token_creation,jwt_key=/other.key"'


def test_items_of_communication_parameters_are_slurmctlds(tmp_path: Path, host: Host) -> None:
    text = f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={KEY}\nCommunicationParameters=NoCtldInAddrAny\n"
    assert wanted(host, text) == []
    assert wanted(host, text, communication=("disable_http",)) == [
        "CommunicationParameters=NoCtldInAddrAny,disable_http"
    ]
    database = Host(tmp_path, "db", kind="slurmdbd")
    keyed = f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={KEY}\n"
    assert wanted(database, keyed, communication=("disable_http",)) == []


JWKS = "/var/lib/slurm/jwks/jwks.json"
FURTHER = (f"jwks={JWKS}", "userclaimfield=email", "disable_token_creation")


def parameters(host: Host) -> str | None:
    conf = read(str(host.path), lambda path: Path(path).read_text("latin-1"))
    assert conf is not None
    return conf.get("AuthAltParameters")


def test_public_keys_and_options_stand_beside_the_key_and_go_again(host: Host) -> None:
    before = host.path.read_bytes()
    host.part(parameters=FURTHER).apply()
    assert parameters(host) == ",".join([f"jwt_key={KEY}", *FURTHER])
    assert not host.part(parameters=FURTHER).look().changed
    host.part(parameters=FURTHER[:1]).apply()
    assert parameters(host) == f"jwt_key={KEY},{FURTHER[0]}"
    host.part(parameters=FURTHER[:1], jwt_key="").apply()
    assert parameters(host) == FURTHER[0]
    look = host.part().look()
    assert [change.new for change in look.edit.changes if "jwks" in str(change.old)] == [None]
    host.part().apply()
    assert parameters(host) == f"jwt_key={KEY}"
    host.part(state="absent").apply()
    assert host.path.read_bytes() == before


def test_an_option_of_the_site_stays_when_ours_go(host: Host) -> None:
    host.path.write_text(
        "AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/site.key,max_token_lifespan=60\n"
        "CommunicationParameters=NoCtldInAddrAny\n"
    )
    before = host.path.read_bytes()
    host.part(parameters=("max_token_lifespan=3600", *FURTHER)).apply()
    assert parameters(host) == ",".join(["jwt_key=/site.key", "max_token_lifespan=3600", *FURTHER])
    host.part().apply()
    assert host.path.read_bytes() == before


def test_public_keys_do_not_switch_off_a_key_beside_the_state(host: Host) -> None:
    host.path.write_text("AuthAltTypes=auth/jwt\nStateSaveLocation=/state\nCommunicationParameters=NoCtldInAddrAny\n")
    host.part(jwt_key="/state/jwt_hs256.key", parameters=FURTHER[:1]).apply()
    assert parameters(host) == f"jwt_key=/state/jwt_hs256.key,{FURTHER[0]}"


def test_public_keys_of_the_site_are_not_replaced(host: Host) -> None:
    host.path.write_text("AuthAltTypes=auth/jwt\nAuthAltParameters=jwks=/site.json\n")
    with pytest.raises(SlurmrestError, match=r"jwks=/site\.json, which this toolkit did not put there"):
        host.part(parameters=FURTHER).look()
    assert host.part(parameters=("jwks=/site.json",), jwt_key="").look().changed is False


def test_a_key_of_the_site_stays_in_force_until_the_site_takes_it_out(host: Host) -> None:
    host.path.write_text("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/site.key\n")
    with pytest.raises(SlurmrestError, match=r"slurm_common_hs256 is false, and .* has jwt_key=/site\.key"):
        host.part(parameters=FURTHER, jwt_key="").look()


@pytest.mark.parametrize("bad", [{"kind": "slurmd"}, {"state": "gone"}])
def test_bad_requests_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        MergeRequest(**{"kind": "copy", "path": "/x", "jwt_key": "/k", **bad})


# --- several hosts ---------------------------------------------------------------------------------------------------


def test_hosts_with_the_same_copy_get_the_same_bytes(tmp_path: Path) -> None:
    hosts = [Host(tmp_path, name, kind) for name, kind in (("a", "slurmctld"), ("b", "slurmctld"), ("c", "copy"))]
    assert len({host.part().look().digest for host in hosts}) == 1
    for host in hosts:
        host.part().apply()
    assert len({host.path.read_bytes() for host in hosts}) == 1
    assert [host.restarts for host in hosts] == [1, 1, 0]
    hosts[0].path.write_bytes(b"# mine\n" + hosts[0].path.read_bytes())
    assert len({host.part().look().digest for host in hosts}) == 2


def shared(tmp_path: Path) -> tuple[Host, Host]:
    return Host(tmp_path, "backup", etc=tmp_path / "nfs"), Host(tmp_path, "primary", etc=tmp_path / "nfs")


def test_a_shared_file_is_edited_once_and_both_daemons_restart(tmp_path: Path) -> None:
    backup, primary = shared(tmp_path)
    looks = [host.part().look() for host in (backup, primary)]
    assert backup.part().apply(digests=looks[0].digests, force=True, hold=True).changed_paths == [str(backup.path)]
    outcome = primary.part().apply(digests=looks[1].digests, force=True, hold=True)
    assert (outcome.changed_paths, outcome.restarted) == ([], ["slurmctld"])
    for host in (backup, primary):
        host.part().commit()
    assert backup.leftovers() == primary.leftovers() == ["slurm.conf"]
    assert primary.path.read_bytes().count(b"auth/jwt") == 2
    assert (backup.restarts, primary.restarts) == (1, 1)


def test_the_last_host_that_refuses_takes_the_others_back(tmp_path: Path) -> None:
    backup, primary = shared(tmp_path)
    primary.refuses = True
    backup.part().apply(force=True, hold=True)
    assert (backup.etc / f"slurm.conf{ROLLBACK_SUFFIX}").stat().st_mode & 0o7777 == 0o640
    with pytest.raises(TransactionFailed):
        primary.part().apply(force=True, hold=True)
    assert primary.active == "failed"
    backup.part().undo()
    primary.part().undo()
    assert primary.path.read_bytes() == SITE
    assert (backup.active, primary.active) == ("active", "active")
    assert backup.leftovers() == primary.leftovers() == ["slurm.conf"]


@pytest.mark.parametrize("ran", [True, False])
def test_a_daemon_that_was_down_before_stays_down_on_the_way_back(host: Host, ran: bool) -> None:
    host.active = "failed"
    host.part().apply(hold=True)
    host.part().undo(ran=ran)
    assert host.path.read_bytes() == SITE
    assert (host.active, host.restarts) == (("active", 1) if ran else ("failed", 0))


def test_a_run_that_was_killed_while_it_held_is_taken_back_first(host: Host) -> None:
    host.part().apply(hold=True)
    look = host.part().look()
    assert (look.changed, look.unfinished, look.edit.texts) == (True, True, {})
    outcome = host.part().apply(digests=look.digests)
    assert outcome.recovered == [str(host.path)]
    assert b"auth/jwt" in host.path.read_bytes()
    assert host.leftovers() == ["slurm.conf"]
    assert not host.part().look().changed


# --- for people ------------------------------------------------------------------------------------------------------


def test_advice_has_the_exact_lines_and_the_command(host: Host) -> None:
    assert advice(host.part().look()) == [
        f"{host.path}, line 3:",
        "  - AuthAltTypes=auth/site # \ufffd",
        "  + AuthAltTypes=auth/site,auth/jwt # \ufffd",
        f"{host.path}, after line 3:",
        f"  + AuthAltParameters=jwt_key={KEY}",
        "then: systemctl restart slurmctld",
    ]
    host.active = "inactive"
    host.path.write_text("ClusterName=site\n")
    assert advice(host.part().look()) == [
        f"{host.path}, at the end:",
        "  + AuthAltTypes=auth/jwt",
        f"  + AuthAltParameters=jwt_key={KEY}",
    ]


def test_nothing_to_do_is_nothing_to_say(host: Host) -> None:
    host.part().apply()
    look: Look = host.part().look()
    assert (advice(look), look.diff, look.problems) == ([], [], [])
