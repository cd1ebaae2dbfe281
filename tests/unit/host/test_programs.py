"""The one way to run a program: its environment, its limit, and what is left of it afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.host import failure, network, page, programs
from slurmrest.host.login import of_the_user
from slurmrest.rotation import members
from slurmrest.slurm import commands
from slurmrest.slurm.commands import Slurm
from slurmrest.systemd.systemctl import Systemd
from slurmrest.transaction.asking import probe_error
from slurmrest.transaction.probes import Probe, plain_error
from slurmrest.transaction.services import restart
from slurmrest.transaction.specs import ServiceSpec

from tests.unit.accounts import reachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OTHERS = {
    "SLURM_CONF": "/elsewhere/slurm.conf",
    "SLURM_CLUSTERS": "elsewhere",
    "SLURM_JWT": "sesame",
    "SLURM_DEBUG_FLAGS": "all",
    "SACCTMGR_QUIET": "1",
    "SCONTROL_ALL": "1",
    "SQUEUE_FORMAT": "%i",
    "SBATCH_ACCOUNT": "other",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "de_DE.UTF-8",
    "LD_PRELOAD": "",
    "PATH": "/elsewhere/bin:/usr/bin:/bin",
}
"""What may come along with a login."""


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)


def variables(text: str) -> dict[str, str]:
    """What env(1) printed."""
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.usefixtures("login")
def test_nothing_of_the_login_reaches_a_program() -> None:
    expected = {"PATH": programs.PATH, "LC_ALL": "C"}
    assert variables(programs.run(["env"]).stdout) == expected
    assert variables(programs.finish(programs.start(["env"])).stdout) == expected


@pytest.mark.usefixtures("login")
def test_a_probe_has_no_token_either(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    assert probe_error(Probe("command", ("sh", "-c", f"env > {seen}"))) is None
    assert not set(variables(seen.read_text())) & (set(OTHERS) - {"PATH", "LC_ALL"})


@pytest.mark.usefixtures("login")
def test_what_the_caller_states_is_there() -> None:
    stated = programs.run(["env"], environment={"SLURM_CONF": "/etc/slurm/slurm.conf"})
    assert variables(stated.stdout)["SLURM_CONF"] == "/etc/slurm/slurm.conf"
    as_data = programs.run(["env", "SLURM_CONF=/etc/slurm/slurm.conf", "env"])
    assert variables(as_data.stdout) == variables(stated.stdout)


@pytest.mark.usefixtures("login")
def test_a_user_s_own_command_keeps_the_user_s_cluster() -> None:
    own = variables(programs.run(["env"], environment=of_the_user()).stdout)
    assert own["SLURM_CONF"] == OTHERS["SLURM_CONF"]
    assert "SLURM_JWT" not in own


def gone(pid: int) -> bool:
    """Whether a process has ended, or waits for nobody but its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_program_that_is_too_slow_is_ended_with_all_that_it_started() -> None:
    done = programs.run(["sh", "-c", "sleep 600 & echo $!; echo $$; wait"], limit=0.3)
    assert done.returncode == programs.TOO_SLOW
    assert "sh -c" in done.stderr
    assert "gave no answer within 0.3 s" in done.stderr
    child, own = map(int, done.stdout.split())
    assert gone(own)
    while not gone(child):  # it was killed, and goes as soon as the kernel comes to it
        time.sleep(0.01)


@pytest.mark.parametrize("way", ["", ">&2"])
def test_a_program_that_writes_without_end_is_ended(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MOST_BYTES", 3000)
    done = programs.run(["sh", "-c", f"exec yes {way}"], limit=60)
    assert done.returncode == programs.TOO_MUCH
    assert len(done.stdout) <= 3000
    assert done.stderr.endswith("wrote more than 3000 bytes")
    assert (done.stdout or done.stderr).startswith("y\ny\n")
    whole = programs.run(["sh", "-c", "head -c 3000 /dev/zero; printf 'a\\r\\nb' >&2"])
    assert (len(whole.stdout), whole.stderr, whole.returncode) == (3000, "a\nb", 0)


def test_a_program_that_never_stops_writing_is_ended_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read

    def slowly(descriptor: int, count: int) -> bytes:
        found = read(descriptor, count)
        time.sleep(0.02)  # meanwhile there is more
        return found

    monkeypatch.setattr(programs, "MOST_BYTES", 8 << 20)
    monkeypatch.setattr("os.read", slowly)
    assert programs.run(["yes"], limit=0.3).returncode == programs.TOO_SLOW


def test_what_comes_in_small_pieces_takes_no_more_memory_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read
    monkeypatch.setattr("os.read", lambda descriptor, _count: read(descriptor, 2))
    tracemalloc.start()
    try:
        done = programs.run(["head", "-c", "60000", "/dev/zero"])
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(done.stdout), done.returncode) == (60000, 0)
    assert most < 1 << 20


def test_a_program_that_closes_its_output_is_waited_for() -> None:
    assert programs.run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 3"]).returncode == 3
    assert programs.run(["sh", "-c", "exec >&- 2>&-; sleep 600"], limit=0.3).returncode == programs.TOO_SLOW


def test_what_left_its_group_does_not_hold_us(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ > {pid}; exec sleep 600' & while ! test -s {pid}; do sleep 0.05; done; sleep 600"
    try:
        assert programs.run(["sh", "-c", script], limit=3).returncode == programs.TOO_SLOW
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_group_is_ended_while_its_number_is_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its leader was waited for, the number may be that of a group of somebody else's."""
    taken: list[bool] = []

    def kill(number: int, _signal: int) -> None:
        taken.append(Path(f"/proc/{number}").exists())

    monkeypatch.setattr("os.killpg", kill)
    done = programs.run(["sh", "-c", "setsid sleep 3 & echo left"], limit=0.3)
    assert (done.returncode, done.stdout, taken) == (0, "left\n", [True])


def test_programs_that_are_not_there_or_fail() -> None:
    missing = programs.run(["/no/such/program"])
    assert (missing.returncode, missing.stderr) == (
        programs.MISSING,
        "/no/such/program cannot be run: No such file or directory",
    )
    failed = programs.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (failed.returncode, failed.stdout, failed.stderr) == (3, "out\n", "err\n")
    with pytest.raises(failure.ProgramFailed, match=r"^false: exit 1$"):
        failure.demand(programs.run(["env", "SLURM_CONF=/x", "/bin/false"]))


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another account")


@contextlib.contextmanager
def not_opened(program: Path, seconds: float) -> Iterator[None]:
    """Let whoever opens a file wait, until its lease is given back: there at the latest after so many seconds."""
    ignored = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(program, os.O_RDONLY)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    over = threading.Timer(seconds, fcntl.fcntl, (descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK))
    over.start()
    try:
        yield
    finally:
        over.cancel()
        over.join()
        os.close(descriptor)
        signal.signal(signal.SIGIO, ignored)


@ROOT_ONLY
def test_what_is_anothers_before_it_is_the_program_does_not_hold_root_up(tmp_path: Path) -> None:
    program = reachable(tmp_path) / "program"
    shutil.copy("/bin/true", program)
    who = programs.whom(programs.NOBODY, programs.NOBODY)
    assert programs.run([str(program)], **who).returncode == 0
    with not_opened(program, 5):
        begin = time.monotonic()
        done = programs.run([str(program)], limit=0.5, **who)
        took = time.monotonic() - begin
    assert (done.returncode, done.stderr) == (programs.TOO_SLOW, "program gave no answer within 0.5 s")
    assert took < 4


@ROOT_ONLY
@pytest.mark.parametrize("groups", [(), (7, 8)])
def test_another_account_gets_its_groups_and_nothing_of_roots(groups: tuple[int, ...]) -> None:
    done = programs.run(["sh", "-c", "env; pwd; cat /proc/self/status"], **programs.whom(12, 34, groups))
    lines = done.stdout.split("\n")
    assert done.args[0] == "sh"
    assert {f"PATH={programs.PATH}", "LC_ALL=C", "/"} <= set(lines)
    assert {line.partition("=")[0] for line in lines if "=" in line} == {"PATH", "LC_ALL", "PWD"}
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert (status["Uid"], status["Gid"], status["Groups"]) == (["12"] * 4, ["34"] * 4, [str(one) for one in groups])
    ours = re.search(r"^SigIgn:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert ours
    python_ignores = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    assert int(status["SigIgn"][0], 16) == int(ours[1], 16) & ~python_ignores, "what nohup says goes on"
    assert status["SigBlk"] == ["0000000000000000"]
    assert set(status["CapPrm"] + status["CapEff"] + status["CapAmb"]) == {"0000000000000000"}


@ROOT_ONLY
def test_another_account_is_given_a_descriptor_and_gives_its_exit_code(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.write_text("told")
    who = programs.whom(programs.NOBODY, programs.NOBODY)
    with told.open() as stream:
        command = f"cat /dev/fd/{stream.fileno()}; cat; exit 3"
        done = programs.run(["sh", "-c", command], pass_fds=(stream.fileno(),), **who)
    assert (done.returncode, done.stdout, done.stderr) == (3, "told", "")


def test_what_another_account_cannot_run_is_missing() -> None:
    """Where that is not root, nobody can be become at all."""
    done = programs.run(["/no/such/program"], **programs.whom(programs.NOBODY, programs.NOBODY))
    why = "No such file or directory" if os.geteuid() == 0 else "Operation not permitted"
    assert (done.returncode, done.stderr) == (programs.MISSING, f"/no/such/program cannot be run: {why}")


def test_output_that_is_no_text_is_still_said() -> None:
    assert "\ufffd" in programs.run(["printf", r"\377"]).stdout


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["scontrol", "ping"], "scontrol ping"),
        (["/usr/bin/env", "-i", "SLURM_CONF=/a", "/opt/slurm/bin/scontrol", "ping"], "scontrol ping"),
        (["env"], ""),
    ],
)
def test_commands_as_messages_name_them(argv: list[str], name: str) -> None:
    assert programs.named(argv) == name


# --- readiness -------------------------------------------------------------------------------------------------------


def up(argv: Sequence[str], *, limit: float = programs.SECONDS, **_how: Any) -> programs.Done[str]:
    """Play a unit that runs; all else is run."""
    if argv[0] == "systemctl":
        return programs.Done(list(argv), 0, "ActiveState=active\nNRestarts=0\nConditionResult=yes\n", "")
    return programs.run(argv, limit=limit)


def test_a_probe_that_hangs_does_not_outlive_the_unit_s_patience(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    probe = Probe("command", ("sh", "-c", f"echo $$ > {pid}; exec sleep 600"))
    service = ServiceSpec("slurmctld", probes=(probe,), timeout=0.5)
    with pytest.raises(SlurmrestError, match=r"gave no answer within 0 s: sh -c .* gave no answer within 0"):
        restart(service, Systemd(up), up, plain_error)
    assert gone(int(pid.read_text()))


@pytest.mark.parametrize("port", ["99999", "6819;x", "", "-1"])
def test_a_port_that_is_none_is_no_answer(port: str) -> None:
    """slurmdbd.conf is SlurmUser's: what it says must not end a run half-way."""
    assert plain_error(Probe("tcp", (f"127.0.0.1:{port}",)))
    assert network.connect("127.0.0.1", port)["error"]
    if port.isdigit():
        assert page.page_status("127.0.0.1", int(port), "/", 1.0) is None


def test_every_probe_gets_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limits = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    def run(argv: Sequence[str], *, limit: float = programs.SECONDS, **_how: Any) -> programs.Done[str]:
        if argv[0] != "systemctl":
            limits.append(limit)
            clock[0] += 4
        return programs.Done(list(argv), int(argv[0] == "b"), "ActiveState=active\nNRestarts=0\n", "")

    probes = (Probe("command", ("a",)), Probe("command", ("b",)))
    with pytest.raises(SlurmrestError, match="gave no answer within 10 s"):
        restart(ServiceSpec("slurmctld", probes=probes, timeout=10), Systemd(run), run, plain_error)
    assert limits == [10.0, 6.0, 2.0]


# --- Slurm's programs ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("login")
def test_slurm_s_programs_are_told_which_cluster(tmp_path: Path) -> None:
    conf, scontrol = tmp_path / "slurm.conf", tmp_path / "bin" / "scontrol"
    conf.touch()
    scontrol.parent.mkdir()
    scontrol.write_text("#!/bin/sh\nenv\n")
    scontrol.chmod(0o755)
    seen = variables(Slurm(str(conf), str(tmp_path)).ask("scontrol", "ping").stdout)
    assert seen["SLURM_CONF"] == str(conf)
    assert not set(seen) & (set(OTHERS) - {"PATH", "LC_ALL", "SLURM_CONF"})
    # On a configless host there is no file: Slurm looks for itself, and not where the login says.
    conf.unlink()
    assert "SLURM_CONF" not in variables(Slurm(str(conf), str(tmp_path)).ask("scontrol", "ping").stdout)


def test_sacctmgr_that_cannot_tell_is_an_error() -> None:
    def run(argv: Sequence[str], **_how: Any) -> programs.Done[str]:
        return programs.Done(list(argv), 1, "", "sacctmgr: error: no answer")

    with pytest.raises(SlurmrestError, match="which clusters share slurmdbd: sacctmgr: error: no answer"):
        members.clusters(Slurm(run=run))


@pytest.mark.usefixtures("login")
def test_a_command_that_travels_finds_the_program_where_that_slurm_is_installed(tmp_path: Path) -> None:
    scontrol = tmp_path / "sbin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text("#!/bin/sh\nenv\n")
    scontrol.chmod(0o755)
    seen = variables(programs.run(commands.stated("/x/slurm.conf", str(tmp_path), "scontrol", "ping")).stdout)
    assert seen["SLURM_CONF"] == "/x/slurm.conf"
    assert commands.stated("", "", "scontrol", "ping") == ("env", f"PATH={programs.PATH}", "scontrol", "ping")
    gone = programs.run(commands.stated("", "", "no-such-program", "ping"))
    assert gone.returncode == programs.MISSING
    assert programs.named(gone.args) == "no-such-program ping"
