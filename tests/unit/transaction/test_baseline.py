"""What was there before the first change comes back, byte for byte, and nothing else is touched."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.host.lock import host_lock
from slurmrest.transaction.baseline import FILE, Baseline
from slurmrest.transaction.restore import bring_back
from slurmrest.transaction.specs import KEY_NAMES, DirectorySpec, FileSpec, ServiceSpec
from slurmrest.transaction.transaction import Transaction, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name


class Host:
    """A host with one unit: systemctl is played, files are real."""

    def __init__(self, root: Path, *, active: bool = False, enabled: bool = False) -> None:
        self.root = root
        self.active = active
        self.enabled = enabled
        self.calls: list[str] = []
        self.refuses = b"refused"
        self.killed_at = ""
        self.dropin = root / "systemd" / "slurmrestd.service.d" / "50.conf"
        self.environment = root / "default"
        self.runtime = root / "run" / "slurmrestd"
        (root / "systemd").mkdir()
        (root / "run").mkdir()

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = [word for word in argv if not word.startswith("-")]
        self.calls.append(" ".join(words[:3]))
        if self.killed_at and self.calls[-1].startswith(self.killed_at):
            raise KeyboardInterrupt
        output = ""
        if words[:2] == ["systemctl", "show"]:
            output = (
                f"ActiveState={'active' if self.active else 'inactive'}\nResult=success\nNRestarts=0\n"
                f"ConditionResult=yes\nUnitFileState={'enabled' if self.enabled else 'disabled'}\nNeedDaemonReload=no\n"
            )
        elif words[0] == "systemctl" and words[1] in ("restart", "stop"):
            good = not self.environment.exists() or self.environment.read_bytes() != self.refuses
            self.active = words[1] == "restart" and good
        elif words[0] == "systemctl" and words[1] in ("enable", "disable"):
            self.enabled = words[1] == "enable"
        return subprocess.CompletedProcess(list(argv), 0, output, "")

    @property
    def origin(self) -> Baseline:
        return Baseline(str(self.root / "state"), self)

    def deploy(self, text: bytes = b"ours\n") -> None:
        Transaction(
            name="service",
            files=[FileSpec(str(path), text, "present", ME, MINE, 0o644) for path in (self.dropin, self.environment)],
            directories=[DirectorySpec(str(self.runtime), ME, MINE, 0o750)],
            services=[ServiceSpec("slurmrestd", enabled=True, timeout=0.2)],
            state_dir=str(self.root / "state"),
            run=self,
            origin=self.origin,
        ).apply()

    def look(self) -> dict[str, object]:
        """Return everything below the root but our own directory, and the state of the unit."""
        found: dict[str, object] = {"active": self.active, "enabled": self.enabled}
        for path in sorted(self.root.rglob("*")):
            if (self.root / "state") not in (path, *path.parents):
                found[str(path)] = (path.read_bytes() if path.is_file() else None, path.stat().st_mode)
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr("slurmrest.transaction.restore.STEADY_SECONDS", 0.0)
    return Host(tmp_path)


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("present", [False, True])
def test_deploy_and_back_is_nothing(host: Host, *, active: bool, present: bool) -> None:
    host.active = host.enabled = active
    if present:
        host.environment.write_bytes(b"SLURMRESTD_OPTIONS=-v\xff\n")
        host.environment.chmod(0o600)
    before = host.look()
    host.deploy()
    host.deploy(b"ours, of a later release\n")
    assert host.look() != before
    announced = bring_back(host.origin, "service", check=True)
    assert host.dropin.exists()
    done = bring_back(host.origin, "service")
    assert host.look() == before
    assert (announced.changed_paths, announced.diff) == (done.changed_paths, done.diff)
    assert (announced.stopped, announced.restarted) == (done.stopped, done.restarted)
    assert str(host.dropin.parent) in done.changed_paths
    again = bring_back(host.origin, "service")
    assert not again.changed
    host.origin.sweep()
    assert not (host.root / "state").exists()


def test_the_unit_is_stopped_and_disabled_while_its_files_are_there(host: Host) -> None:
    host.deploy()
    host.calls.clear()
    bring_back(host.origin, "service")
    relevant = [call for call in host.calls if call.split()[1] in ("stop", "disable", "daemon-reload")]
    assert relevant[:2] == ["systemctl stop slurmrestd", "systemctl disable slurmrestd"]


def test_a_unit_that_ran_before_runs_on_its_former_files(host: Host) -> None:
    host.active = host.enabled = True
    host.deploy()
    host.calls.clear()
    outcome = bring_back(host.origin, "service")
    assert outcome.restarted == ["slurmrestd"]
    assert [c for c in host.calls if "stop" in c or "restart" in c][:2] == [
        "systemctl stop slurmrestd",
        "systemctl restart slurmrestd",
    ]
    assert (host.active, host.enabled) == (True, True)


def test_former_files_that_the_daemon_refuses_are_not_left_behind(host: Host) -> None:
    host.active = host.enabled = True
    host.environment.write_bytes(host.refuses)
    host.deploy()
    deployed = host.look()
    with pytest.raises(TransactionFailed, match="The previous state is back"):
        bring_back(host.origin, "service")
    assert host.look() == deployed
    assert host.origin.remembered("service")


def test_a_killed_uninstall_is_finished_by_the_next(host: Host) -> None:
    before = host.look()
    host.deploy()
    for moment in ("systemctl stop", "systemctl disable", "systemctl daemon-reload"):
        host.killed_at = moment
        with pytest.raises(KeyboardInterrupt):
            bring_back(host.origin, "service")
        host.killed_at = ""
    bring_back(host.origin, "service")
    assert host.look() == before


def test_a_deploy_after_a_killed_uninstall_serves(host: Host) -> None:
    host.deploy()
    deployed = host.look()
    host.killed_at = "systemctl daemon-reload"
    with pytest.raises(KeyboardInterrupt):
        bring_back(host.origin, "service")
    host.killed_at = ""
    host.deploy()
    assert host.look() == deployed


def test_a_host_that_never_had_it_is_left_alone(host: Host) -> None:
    before = host.look()
    assert not bring_back(host.origin, "service").changed
    assert not host.origin.sweep()
    assert host.look() == before
    assert not (host.root / "state").exists()


def test_what_was_put_beside_our_files_stays(host: Host) -> None:
    host.deploy()
    (host.dropin.parent / "override.conf").write_text("[Service]\nNice=5\n")
    bring_back(host.origin, "service")
    assert [path.name for path in host.dropin.parent.iterdir()] == ["override.conf"]


def test_sockets_go_with_the_directory_that_we_made(host: Host) -> None:
    host.deploy()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(host.runtime / "s"))
    outcome = bring_back(host.origin, "service", check=True)
    assert str(host.runtime) in outcome.changed_paths
    bring_back(host.origin, "service")
    assert not host.runtime.exists()


def test_a_secret_is_not_copied(host: Host) -> None:
    key = host.root / "key"
    key.write_bytes(b"the old secret")
    state = str(host.root / "state")
    Transaction(
        name="key",
        files=[FileSpec(str(key), b"the new secret", "present", ME, MINE, 0o600, sensitive=True)],
        state_dir=state,
        run=host,
        origin=host.origin,
    ).apply()
    record = (host.root / "state" / FILE).read_text()
    assert json.loads(record) == {"key": {"files": {str(key): {}}}}
    assert not bring_back(host.origin, "key").changed, "it cannot come back, so it stays as it is"
    assert key.read_bytes() == b"the new secret"


def test_with_a_key_no_daemon_is_started_or_stopped(host: Host) -> None:
    """It stood still when its key was placed; now it runs, and was stopped by the removal of REST."""
    key = host.root / "jwt" / "key"
    Transaction(
        name=KEY_NAMES + "key",
        files=[FileSpec(str(key), b"the new secret", "present", ME, MINE, 0o600, sensitive=True)],
        services=[ServiceSpec("slurmd", state="if_running")],
        state_dir=str(host.root / "state"),
        run=host,
        origin=host.origin,
    ).apply()
    host.active = True
    outcome = bring_back(host.origin, KEY_NAMES + "key")
    assert (host.active, outcome.stopped, key.exists()) == (True, [], False)


def test_a_new_secret_goes_without_being_shown(host: Host) -> None:
    key = host.root / "jwt" / "key"
    Transaction(
        name="key",
        files=[FileSpec(str(key), b"the new secret", "present", ME, MINE, 0o600, sensitive=True)],
        state_dir=str(host.root / "state"),
        run=host,
        origin=host.origin,
    ).apply()
    outcome = bring_back(host.origin, "key")
    assert "the new secret" not in str(outcome.diff)
    assert not key.parent.exists()


class Accounts:
    """A host whose accounts are a set of names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.users: set[str] = set()
        self.groups: set[str] = set()
        self.calls: list[str] = []
        self.says = ""
        self.origin = Baseline(str(tmp_path / "state"), self)
        for place in ("baseline", "restore"):
            where = f"slurmrest.transaction.{place}"
            monkeypatch.setattr(f"{where}.has_user", lambda name: name in self.users)
            monkeypatch.setattr(f"{where}.group_id", lambda name: 1 if name in self.groups else None)

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(" ".join(argv))
        if not self.says:
            (self.users if argv[0] == "userdel" else self.groups).discard(argv[1])
            if argv[0] == "userdel":
                self.groups.discard(argv[1])
            if argv[0] == "groupadd":
                self.groups.add(argv[-1])
        return subprocess.CompletedProcess(list(argv), 8 if self.says else 0, "", self.says)

    def remember(self) -> None:
        with host_lock(self.origin.state_dir):
            self.origin.remember("user", users=["slurmrestd"], groups=["slurmrestd", "rest"])


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Accounts:
    return Accounts(monkeypatch, tmp_path)


def test_accounts_that_were_made_go(accounts: Accounts) -> None:
    accounts.remember()
    accounts.users = {"slurmrestd"}
    accounts.groups = {"slurmrestd", "rest", "site"}
    outcome = bring_back(accounts.origin, "user", check=True)
    assert accounts.users
    assert bring_back(accounts.origin, "user").changed_paths == outcome.changed_paths
    assert (accounts.users, accounts.groups) == (set(), {"site"})
    assert accounts.calls == ["userdel slurmrestd", "groupdel rest"]


def test_accounts_that_were_there_stay(accounts: Accounts) -> None:
    accounts.users = {"slurmrestd"}
    accounts.groups = {"slurmrestd", "rest"}
    accounts.remember()
    assert not bring_back(accounts.origin, "user").changed
    assert accounts.users == {"slurmrestd"}


def test_a_group_that_was_there_stays_without_its_only_member(accounts: Accounts) -> None:
    """``userdel`` takes the group of an account's name along."""
    accounts.groups = {"slurmrestd"}
    accounts.remember()
    accounts.users, accounts.groups = {"slurmrestd"}, {"slurmrestd", "rest"}
    bring_back(accounts.origin, "user")
    assert (accounts.users, accounts.groups) == (set(), {"slurmrestd"})
    assert accounts.calls[:2] == ["userdel slurmrestd", "groupadd --gid 1 slurmrestd"]


def test_an_account_in_use_is_said_with_the_words_of_userdel(accounts: Accounts) -> None:
    accounts.remember()
    accounts.users = {"slurmrestd"}
    accounts.says = "userdel: user slurmrestd is currently used by process 7"
    with pytest.raises(SlurmrestError, match="currently used by process 7"):
        bring_back(accounts.origin, "user")
    assert accounts.origin.remembered("user")


def test_what_else_stands_on_it_is_known(accounts: Accounts) -> None:
    with host_lock(accounts.origin.state_dir):
        for name in ("slurm_conf", "slurmrestd_service", "slurmrestd_service-beta"):
            accounts.origin.remember(name, packages=["x"])
    others = accounts.origin.others
    assert others("slurmrestd_service") == ["slurmrestd_service", "slurmrestd_service-beta"]
    assert others("slurmrestd_service", "slurmrestd_service-beta") == ["slurmrestd_service"]
    bring_back(accounts.origin, "slurmrestd_service")
    bring_back(accounts.origin, "slurmrestd_service-beta")
    assert others("slurmrestd_service") == []


def test_the_lock_of_a_removed_directory_locks_nobody_out(host: Host) -> None:
    host.deploy()
    bring_back(host.origin, "service")
    host.origin.sweep()
    with (
        host_lock(host.origin.state_dir, timeout=0.2),
        pytest.raises(SlurmrestError, match="has held"),
        host_lock(host.origin.state_dir, timeout=0.1),
    ):
        pass


def test_a_daemon_that_others_need_takes_its_former_files_by_a_reload(tmp_path: Path) -> None:
    host = Host(tmp_path, active=True, enabled=True)
    host.environment.write_bytes(b"the site's\n")
    for text in (b"ours\n", b"newer\n"):
        Transaction(
            name="service",
            files=[FileSpec(str(host.environment), text, "present", ME, MINE, 0o644)],
            services=[ServiceSpec("slurmrestd", reload=True)],
            state_dir=str(tmp_path / "state"),
            run=host,
            origin=host.origin,
        ).apply()
    host.calls.clear()
    assert bring_back(host.origin, "service").changed
    assert host.environment.read_bytes() == b"the site's\n"
    assert "systemctl reload slurmrestd" in host.calls
    assert not [call for call in host.calls if "stop" in call or "restart" in call]
    assert (host.active, host.enabled) == (True, True)
