"""Transactions on a temporary directory with a systemctl that is played by a small state machine."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.host import files
from slurmrest.transaction.comparison import octal
from slurmrest.transaction.probes import Probe
from slurmrest.transaction.specs import DirectorySpec, FileSpec, ServiceSpec
from slurmrest.transaction.transaction import ROLLBACK_SUFFIX, Transaction, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name
OLD = b"old\n"
NEW = b"new\n"


class Systemctl:
    """Plays systemd: a daemon stays up when the configuration file it reads is acceptable."""

    def __init__(self, config: Path, *, running: bool = True, accepts: Sequence[bytes] = (OLD, NEW)) -> None:
        self.config = config
        self.accepts = accepts
        self.active = "active" if running else "inactive"
        self.enabled = "enabled" if running else "disabled"
        self.calls: list[str] = []
        self.kill_at: str | None = None
        self.reload_ends = False

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = list(argv)
        self.calls.append(" ".join(words[:3]))
        if self.kill_at and " ".join(words).startswith(self.kill_at):
            raise KeyboardInterrupt
        output, code = "", 0
        if words[0] == "journalctl":
            output = "fatal: I do not like this\n"
        elif words[0] == "false":
            code = 1
        elif words[1] == "show":
            output = (
                f"LoadState=loaded\nActiveState={self.active}\nSubState=x\nResult=success\nNRestarts=0\n"
                f"ConditionResult=yes\nUnitFileState={self.enabled}\nNeedDaemonReload=no\n"
            )
        elif words[1] == "restart":
            good = self.config.exists() and self.config.read_bytes() in self.accepts
            self.active = "active" if good else "failed"
        elif words[1] == "reload" and self.reload_ends:
            self.active = "failed"
        elif words[1] == "stop":
            self.active = "inactive"
        elif words[1] in ("enable", "disable"):
            self.enabled = words[1] + "d"
        return subprocess.CompletedProcess(words, code, output, "")


def transaction(tmp_path: Path, systemctl: Systemctl, content: bytes | None = NEW, **service: object) -> Transaction:
    state = "present" if content is not None else "absent"
    return Transaction(
        name="test",
        files=[FileSpec(str(systemctl.config), content, state, ME, MINE, 0o640)],
        services=[ServiceSpec("daemon", timeout=0.2, **service)],  # type: ignore[arg-type]
        state_dir=str(tmp_path / "state"),
        run=systemctl,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "daemon.conf"
    path.parent.mkdir()
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def leftovers(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.rglob("*") if "slurmrest" in path.name or path.suffix == ".json"]


def test_writes_restarts_and_leaves_nothing_behind(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    outcome = transaction(tmp_path, systemctl).apply()
    assert (outcome.changed, outcome.restarted, outcome.changed_paths) == (True, ["daemon"], [str(config)])
    assert config.read_bytes() == NEW
    assert config.stat().st_mode & 0o777 == 0o640
    assert leftovers(tmp_path) == []


def full(path: Path, monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """Let every write below a directory find the disk full, after some that do not."""
    left = [after]

    def write(target: str, *arguments: object, **more: object) -> None:
        if target.startswith(str(path)):
            if not left[0]:
                raise OSError(28, "No space left on device", target)
            left[0] -= 1
        real_write(target, *arguments, **more)  # type: ignore[arg-type]

    real_write = files.write
    monkeypatch.setattr(files, "write", write)


def test_a_full_disk_is_said_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match=str(tmp_path / "file")):
        files.write(str(tmp_path / "file"), b"x", os.getuid(), os.getgid(), 0o600)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_journal_changes_nothing(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl = Systemctl(config)
    full(tmp_path / "state", monkeypatch)
    with pytest.raises(SlurmrestError, match=r"No space left on device.*Nothing was changed"):
        transaction(tmp_path, systemctl).apply()
    assert config.read_bytes() == OLD
    assert not any("restart" in call for call in systemctl.calls)


@pytest.mark.parametrize("after", [0, 1])
def test_no_room_for_the_file_brings_the_former_back(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    full(config.parent, monkeypatch, after=after)
    systemctl = Systemctl(config)
    with pytest.raises(TransactionFailed, match="No space left on device"):
        transaction(tmp_path, systemctl).apply()
    assert config.read_bytes() == OLD
    assert leftovers(tmp_path) == []
    # The daemon has seen nothing of it: people who work with it shall not, either.
    assert not any("restart" in call for call in systemctl.calls)


def test_no_room_for_the_last_word_leaves_what_holds(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(tmp_path / "state", monkeypatch, after=1)
    transaction(tmp_path, Systemctl(config)).apply()
    assert config.read_bytes() == NEW
    assert leftovers(tmp_path) == []


def test_second_run_changes_nothing_and_restarts_nothing(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    transaction(tmp_path, systemctl).apply()
    systemctl.calls.clear()
    outcome = transaction(tmp_path, systemctl).apply()
    assert not outcome.changed
    assert not any("restart" in call for call in systemctl.calls)


def test_a_command_instead_of_a_restart_and_a_restart_on_the_way_back(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    transaction(tmp_path, systemctl, instead=("control", "take")).apply()
    assert config.read_bytes() == NEW
    assert "control take" in systemctl.calls
    assert "systemctl restart daemon" not in systemctl.calls
    with pytest.raises(TransactionFailed):
        transaction(tmp_path, systemctl, OLD, instead=("false",)).apply()
    assert config.read_bytes() == NEW
    assert "systemctl restart daemon" in systemctl.calls
    assert systemctl.active == "active"


def test_a_reload_in_both_directions_where_others_are_served_too(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    transaction(tmp_path, systemctl, reload=True).apply()
    assert config.read_bytes() == NEW
    no_answer = (Probe("command", ("false",)),)
    with pytest.raises(TransactionFailed, match="gave no answer"):
        transaction(tmp_path, systemctl, OLD, reload=True, probes=no_answer).apply()
    assert config.read_bytes() == NEW
    assert [call for call in systemctl.calls if "load daemon" in call] == ["systemctl reload daemon"] * 3
    assert "systemctl restart daemon" not in systemctl.calls
    assert systemctl.active == "active"


def test_where_a_reload_finds_nothing_running_the_previous_files_are_started(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    systemctl.reload_ends = True
    with pytest.raises(TransactionFailed):
        transaction(tmp_path, systemctl, reload=True).apply()
    assert config.read_bytes() == OLD
    assert "systemctl restart daemon" in systemctl.calls
    assert systemctl.active == "active"


def test_what_was_stopped_is_started_and_not_reloaded(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config, running=False)
    transaction(tmp_path, systemctl, reload=True).apply()
    assert "systemctl reload daemon" not in systemctl.calls
    assert systemctl.active == "active"


def test_check_announces_what_the_run_does_and_writes_nothing(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    announced = transaction(tmp_path, systemctl).apply(check=True)
    assert config.read_bytes() == OLD
    assert not any("restart" in call for call in systemctl.calls)
    done = transaction(tmp_path, systemctl).apply()
    assert (announced.changed, announced.changed_paths, announced.restarted, announced.diff) == (
        done.changed,
        done.changed_paths,
        done.restarted,
        done.diff,
    )


def test_mode_alone_is_a_change(tmp_path: Path, config: Path) -> None:
    config.chmod(0o666)
    outcome = transaction(tmp_path, Systemctl(config), OLD).apply()
    assert outcome.changed
    assert config.stat().st_mode & 0o777 == 0o640
    assert "0666" in outcome.diff[0]["before"]


def test_what_the_daemon_refuses_comes_back(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config, accepts=(OLD,))
    with pytest.raises(TransactionFailed, match="I do not like this") as failure:
        transaction(tmp_path, systemctl).apply()
    assert config.read_bytes() == OLD
    assert config.stat().st_mode & 0o777 == 0o640
    assert systemctl.active == "active"
    assert failure.value.rolled_back == [str(config)]
    assert leftovers(tmp_path) == []


def test_a_refused_first_start_leaves_no_file_and_no_running_unit(tmp_path: Path, config: Path) -> None:
    config.unlink()
    systemctl = Systemctl(config, running=False, accepts=())
    with pytest.raises(TransactionFailed):
        transaction(tmp_path, systemctl, enabled=True).apply()
    assert not config.exists()
    assert (systemctl.active, systemctl.enabled) == ("inactive", "disabled")


def test_an_unanswered_probe_rolls_back(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    probe = Probe("command", ("false",))
    with pytest.raises(TransactionFailed, match="no answer within"):
        transaction(tmp_path, systemctl, probes=(probe,)).apply()
    assert config.read_bytes() == OLD


def test_a_stopped_unit_stays_down_when_only_running_ones_restart(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config, running=False)
    outcome = transaction(tmp_path, systemctl, state="if_running").apply()
    assert (outcome.changed, outcome.restarted, outcome.started) == (True, [], [])
    assert systemctl.active == "inactive"


def test_absent_removes_and_a_refusal_brings_back(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    with pytest.raises(TransactionFailed):
        transaction(tmp_path, systemctl, None).apply()
    assert config.read_bytes() == OLD
    assert transaction(tmp_path, Systemctl(config), None, state="if_running", restart=False).apply().changed
    assert not config.exists()


@pytest.mark.parametrize("moment", ["systemctl reset-failed", "systemctl restart", "systemctl show --no-pager"])
def test_a_killed_run_is_undone_by_the_next(tmp_path: Path, config: Path, moment: str) -> None:
    systemctl = Systemctl(config)
    killed = transaction(tmp_path, systemctl)
    systemctl.kill_at = moment
    if moment.endswith("--no-pager"):
        # The first question comes before anything is written: let it pass.
        real = systemctl.kill_at
        systemctl.kill_at = None
        killed._systemd.command = lambda *_words: setattr(systemctl, "kill_at", real)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.apply()
    systemctl.kill_at = None
    assert config.read_bytes() == NEW
    assert (tmp_path / "state" / "journal-test.json").exists()
    outcome = transaction(tmp_path, systemctl, OLD).apply()
    assert outcome.recovered == [str(config)]
    assert config.read_bytes() == OLD
    assert outcome.restarted == ["daemon"], "it may run on the new file, which is gone"
    assert leftovers(tmp_path) == []


def test_a_run_killed_after_success_is_only_tidied(tmp_path: Path, config: Path) -> None:
    config.write_bytes(NEW)
    copy = Path(str(config) + ROLLBACK_SUFFIX)
    copy.write_bytes(OLD)
    state = tmp_path / "state"
    state.mkdir()
    record = {"committed": True, "files": [{"path": str(config), "existed": True}], "services": {}}
    (state / "journal-test.json").write_text(json.dumps(record))
    outcome = transaction(tmp_path, Systemctl(config), NEW).apply()
    assert not outcome.changed
    assert config.read_bytes() == NEW
    assert leftovers(tmp_path) == []


def test_secrets_never_reach_the_difference(tmp_path: Path, config: Path) -> None:
    spec = FileSpec(str(config), b"StoragePass=hunter2\n", "present", ME, MINE, 0o600, sensitive=True)
    outcome = Transaction("test", [spec], state_dir=str(tmp_path / "state"), run=Systemctl(config)).apply(check=True)
    assert "hunter2" not in json.dumps(outcome.diff)
    assert "old" not in json.dumps(outcome.diff)
    assert "changed" in outcome.diff[0]["after"]


def test_what_names_a_secret_is_not_in_a_difference_either(tmp_path: Path, config: Path) -> None:
    config.write_text('TZ="UTC"\nSITE_PASSWORD="hunter1"\n')
    spec = FileSpec(str(config), b'TZ="UTC"\nSITE_PASSWORD="hunter2"\n', "present", ME, MINE, 0o640)
    diff = Transaction("test", [spec], state_dir=str(tmp_path / "state"), run=Systemctl(config)).apply(check=True).diff
    assert "hunter" not in json.dumps(diff)
    assert "TZ" in diff[0]["after"]
    assert diff[0]["before"] != diff[0]["after"]


def test_a_link_is_followed_and_kept(tmp_path: Path, config: Path) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(config)
    spec = FileSpec(str(link), NEW, "present", ME, MINE, 0o640)
    assert Transaction("test", [spec], state_dir=str(tmp_path / "state"), run=Systemctl(config)).apply().changed
    assert link.is_symlink()
    assert config.read_bytes() == NEW


def test_directories_get_their_mode(tmp_path: Path, config: Path) -> None:
    directory = tmp_path / "a" / "b"
    wanted = Transaction(
        "test",
        directories=[DirectorySpec(str(directory), ME, MINE, 0o700)],
        state_dir=str(tmp_path / "state"),
        run=Systemctl(config),
    )
    assert wanted.apply().changed_paths == [str(directory)]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert not wanted.apply().changed


@pytest.mark.parametrize("mode", ["", "rw", "0o88", "99999", "-1"])
def test_octal_refuses(mode: str) -> None:
    with pytest.raises(InputError, match="octal number"):
        octal(mode)


@pytest.mark.parametrize(
    ("owner", "group", "word"), [("no-such-account", MINE, "account of this host"), (ME, "no-such-group", "group of")]
)
def test_unknown_owners_are_named_before_anything_changes(
    tmp_path: Path, config: Path, owner: str, group: str, word: str
) -> None:
    spec = FileSpec(str(config), NEW, "present", owner, group)
    with pytest.raises(InputError, match=word):
        Transaction("test", [spec], state_dir=str(tmp_path / "state"), run=Systemctl(config)).apply()
    assert config.read_bytes() == OLD


def test_a_held_transaction_can_be_undone(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    before = config.stat()
    assert transaction(tmp_path, systemctl).apply(hold=True).changed
    assert config.read_bytes() == NEW
    held = transaction(tmp_path, systemctl)
    assert held.unfinished()
    outcome = held.undo()
    assert (outcome.changed, outcome.restarted, outcome.recovered) == (True, ["daemon"], [str(config)])
    assert config.read_bytes() == OLD
    assert (config.stat().st_mode, config.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert not held.unfinished()
    assert leftovers(tmp_path) == []
    assert not held.undo().changed


def test_a_held_transaction_can_be_committed(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    transaction(tmp_path, systemctl).apply(hold=True)
    transaction(tmp_path, systemctl).commit()
    assert config.read_bytes() == NEW
    assert leftovers(tmp_path) == []
    transaction(tmp_path, systemctl).commit()
    assert not transaction(tmp_path, systemctl).undo().changed


def test_undo_says_when_the_daemon_does_not_come_back(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    transaction(tmp_path, systemctl).apply(hold=True)
    systemctl.accepts = (NEW,)
    with pytest.raises(SlurmrestError, match="does not stay up"):
        transaction(tmp_path, systemctl).undo()
    assert config.read_bytes() == OLD


def test_a_restart_that_is_asked_for_needs_no_changed_file(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config)
    assert transaction(tmp_path, systemctl, OLD, state="restarted").apply().restarted == ["daemon"]
    systemctl.active = "inactive"
    assert not transaction(tmp_path, systemctl, OLD, state="restarted").apply().changed
    assert systemctl.active == "inactive"


def test_a_unit_that_runs_and_does_not_answer_is_not_restarted_for_nothing(tmp_path: Path, config: Path) -> None:
    """There is no file to go back to, and a database that a new release converts would be cut off in it."""
    systemctl = Systemctl(config)
    mute = Probe("command", ("false",))
    with pytest.raises(TransactionFailed, match="No file was changed, but: daemon still runs and was left alone"):
        transaction(tmp_path, systemctl, OLD, state="restarted", probes=(mute,)).apply()
    assert [call for call in systemctl.calls if "restart" in call] == ["systemctl restart daemon"]
    assert leftovers(tmp_path) == []


def test_a_unit_that_was_started_and_does_not_answer_is_stopped_again(tmp_path: Path, config: Path) -> None:
    systemctl = Systemctl(config, running=False)
    with pytest.raises(TransactionFailed, match="No file was changed"):
        transaction(tmp_path, systemctl, OLD, probes=(Probe("command", ("false",)),)).apply()
    assert systemctl.active == "inactive"


class Dies(Systemctl):
    """A unit of a simple type: active at once, and gone when it has read its files."""

    shown = 0

    def __call__(self, argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
        """Let it end after some looks."""
        if list(argv)[1] == "restart":
            self.shown = 0
        self.shown += list(argv)[1] == "show"
        if self.shown > 2:
            self.active = "failed"
        return super().__call__(argv, **how)


def test_a_unit_without_questions_has_to_stay_up_where_that_is_asked(tmp_path: Path, config: Path) -> None:
    with pytest.raises(TransactionFailed, match="does not stay up"):
        transaction(tmp_path, Dies(config), steady=5.0).apply()
    assert transaction(tmp_path, Systemctl(config), steady=0.1).apply().restarted == ["daemon"]


def test_attributes_of_a_file_stay(tmp_path: Path, config: Path) -> None:
    try:
        os.setxattr(config, "user.label", b"site")
    except OSError:
        pytest.skip("this file system has no attributes")
    systemctl = Systemctl(config, accepts=(OLD,))
    with pytest.raises(TransactionFailed):
        transaction(tmp_path, systemctl).apply()
    assert os.getxattr(config, "user.label") == b"site"
    systemctl.accepts = (NEW,)
    transaction(tmp_path, systemctl).apply()
    assert (config.read_bytes(), os.getxattr(config, "user.label")) == (NEW, b"site")
