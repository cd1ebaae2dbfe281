"""Refreshing the set of a host: daemons load it only when it changed, and what was there stays when anything fails."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import subprocess
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.jwks import JwksError, PublicKey
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.host import programs
from slurmrest.jwks import command as jwks_cli
from slurmrest.jwks import comparison
from slurmrest.jwks.comparison import PROGRAM, TIMER, FetchedSet, Timer, settled
from slurmrest.jwks.refresh import SET, Refreshed, alone, place, refresh
from slurmrest.jwks.settings import RefreshSettings
from slurmrest.jwks.sources import read_all
from slurmrest.transaction.baseline import FILE, Baseline
from slurmrest.transaction.restore import bring_back
from slurmrest.transaction.transaction import ROLLBACK_SUFFIX, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OLD, NEW = ((1 << 2047) + 1, (1 << 2047) + 3)


def document(*numbers: int) -> dict[str, Any]:
    return {"keys": [PublicKey(str(number % 16), number, 65537).as_dict() for number in numbers]}


class Host:
    """Plays systemd, two daemons that run on the set, and what the host says of itself."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "lib" / "jwks"
        self.path = self.directory / "jwks.json"
        self.state = tmp_path / "state"
        self.calls: list[str] = []
        self.looks = 0
        self.active = {"slurmdbd": "active", "slurmctld": "active"}
        self.refuses: str | None = None  # a daemon, any set but the first
        self.first: bytes | None = None
        self.rereads = True
        self.jwks = str(self.path)
        self.conf = "/nowhere/slurm.conf"
        self.reader: dict[str, Any] = {"name": "me", "exists": True, "uid": os.getuid(), "gid": os.getgid(), "gids": []}
        self.killed_at: str | None = None

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = programs.bare(argv)
        output, code = "", 0
        if words[:2] == ["systemctl", "show"]:
            pid = os.getpid() if self.active[words[-1]] == "active" else 0
            output = f"ActiveState={self.active[words[-1]]}\nNRestarts=0\nConditionResult=yes\nMainPID={pid}\n"
            output += "ExecMainStartTimestampMonotonic=1\n"
        elif words[0] == "journalctl":
            output = f"fatal: {words[-1]} cannot load it"
        elif words[1] in ("restart", "reconfigure"):
            name = words[-1] if words[1] == "restart" else "slurmctld"
            self.calls.append(" ".join(words))
            if self.killed_at == name:
                raise KeyboardInterrupt
            refused = self.refuses == name and self.path.read_bytes() != self.first
            self.active[name] = "failed" if refused else "active"
            code = int(refused and words[1] == "reconfigure")
        return subprocess.CompletedProcess(words, code, output, "it died" if code else "")

    def look(self, options: Mapping[str, Any]) -> dict[str, Any]:
        self.looks += 1
        conf = {"path": self.conf, "jwt": True, "jwks": self.jwks}
        return {
            "slurm_conf": conf,
            "slurmdbd_conf": conf,
            "slurm_user": self.reader,
            "release": {"reconfigure_rereads_key": self.rereads},
            "config_dir": "/nowhere",
            "prefix": None,
            "options": options,
        }

    def settings(self, *numbers: int, primary: bool = True, **other: Any) -> RefreshSettings:
        daemons = [{"name": name, "timeout": 1} for name in ("slurmdbd", "slurmctld")]
        issuers = [{"name": "idp", "document": json.dumps(document(*numbers))}]
        return RefreshSettings.from_mapping(
            {"path": str(self.path), "issuers": issuers, "daemons": daemons, "primary": primary, **other}
        )

    def refresh(self, *numbers: int, primary: bool = True, **how: Any) -> Refreshed:
        self.calls.clear()
        settings = self.settings(*numbers, primary=primary)
        return refresh(settings, run=self, state_dir=str(self.state), look=self.look, **how)

    def place(self, *numbers: int, **how: Any) -> Refreshed:
        self.calls.clear()
        how = {"run": self, "state_dir": str(self.state), "look": self.look, **how}
        return place(self.settings(*numbers), str(self.told), **how)[0]

    @property
    def told(self) -> Path:
        """The settings of the timer's command."""
        return self.state.parent / "etc" / "settings.json"

    def kids(self) -> tuple[list[str], list[str]]:
        """The keys of the set, and those that the timer's command would place."""
        entries = RefreshSettings.load(str(self.told)).issuers[0].document
        texts = (self.path.read_text(), entries)
        first, second = ([key["kid"] for key in json.loads(text)["keys"]] for text in texts)
        return first, second

    def leftovers(self) -> list[str]:
        known = {"lock", "jwks.json", FILE}
        return [path.name for root in (self.directory, self.state) for path in root.iterdir() if path.name not in known]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose daemons run on one key."""
    one = Host(tmp_path)
    for directory in (tmp_path / "lib", tmp_path):
        directory.mkdir(mode=0o755, exist_ok=True)
    one.active = dict.fromkeys(one.active, "inactive")
    assert one.refresh(OLD).outcome.changed
    assert one.calls == []
    one.first = one.path.read_bytes()
    one.active = dict.fromkeys(one.active, "active")
    one.looks = 0
    return one


def test_the_first_set_is_written_for_all_to_read(host: Host) -> None:
    assert [key["kid"] for key in json.loads(host.path.read_bytes())["keys"]] == ["1"]
    assert [path.stat().st_mode & 0o777 for path in (host.path, host.directory)] == [0o644, 0o755]
    assert host.leftovers() == []


def test_what_was_there_before_comes_back_and_no_daemon_hears_of_it(host: Host) -> None:
    host.refresh(OLD, NEW)
    assert host.calls
    host.calls.clear()
    done = bring_back(Baseline(str(host.state), host), SET)
    assert (done.changed, done.restarted, done.stopped) == (True, [], [])
    assert not host.directory.exists()
    assert not [call for call in host.calls if "show" not in call]


def test_nothing_restarts_and_nobody_looks_while_the_keys_are_the_same(host: Host) -> None:
    before = host.path.stat()
    assert not host.refresh(OLD).outcome.changed
    assert (host.calls, host.looks) == ([], 0)
    assert host.path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("rereads", "primary", "expected"),
    [
        (True, True, "scontrol reconfigure"),
        (True, False, "systemctl restart slurmctld"),
        (False, True, "systemctl restart slurmctld"),
    ],
)
def test_daemons_load_new_keys_as_their_release_needs(host: Host, rereads: bool, primary: bool, expected: str) -> None:
    host.rereads = rereads
    done = host.refresh(OLD, NEW, primary=primary)
    assert done.outcome.changed
    assert done.outcome.restarted == ["slurmdbd", "slurmctld"]
    assert host.calls == ["systemctl restart slurmdbd", expected]
    assert [key.kid for key in done.keys.keys] == ["1", "3"]
    assert host.leftovers() == []


def test_a_daemon_that_does_not_run_or_has_another_set_is_left_alone(host: Host) -> None:
    host.active["slurmctld"] = "inactive"
    host.refresh(NEW)
    assert host.calls == ["systemctl restart slurmdbd"]
    host.jwks = "/elsewhere.json"
    assert host.refresh(OLD).outcome.changed
    assert host.calls == []


def test_check_mode_changes_nothing(host: Host) -> None:
    done = host.refresh(NEW, check=True)
    assert (done.outcome.changed, done.outcome.restarted) == (True, ["slurmdbd", "slurmctld"])
    assert host.calls == []
    assert host.path.read_bytes() == host.first


def test_without_consent_a_set_in_use_stays(host: Host) -> None:
    done = host.refresh(NEW, consent=False)
    assert done.held == "slurmdbd and slurmctld would have to load the new keys"
    assert not done.outcome.changed
    assert host.path.read_bytes() == host.first
    host.active = dict.fromkeys(host.active, "inactive")
    assert host.refresh(NEW, consent=False).outcome.changed


@pytest.mark.parametrize("daemon", ["slurmdbd", "slurmctld"])
def test_a_daemon_that_refuses_brings_the_former_set_back(host: Host, daemon: str) -> None:
    host.refuses = daemon
    with pytest.raises(TransactionFailed, match=f"fatal: --unit={daemon} cannot load it"):
        host.refresh(NEW)
    assert host.path.read_bytes() == host.first
    assert host.active == dict.fromkeys(host.active, "active")
    assert host.leftovers() == []


def test_what_a_killed_refresh_left_is_repaired(host: Host) -> None:
    host.killed_at = "slurmctld"
    with pytest.raises(KeyboardInterrupt):
        host.refresh(NEW)
    assert host.leftovers() != []
    host.killed_at = None
    done = host.refresh(OLD)
    assert done.outcome.recovered == [str(host.path)]
    assert host.calls == ["systemctl restart slurmdbd", "scontrol reconfigure"]
    assert host.path.read_bytes() == host.first
    assert host.leftovers() == []
    assert not host.path.with_name(host.path.name + ROLLBACK_SUFFIX).exists()


def test_an_edit_that_nobody_has_loaded_does_not_come_into_force(host: Host, tmp_path: Path) -> None:
    edited = tmp_path / "slurm.conf"
    edited.write_text("")
    host.conf = str(edited)
    with pytest.raises(SlurmrestError, match=r"slurm\.conf changed after slurmdbd was started") as caught:
        host.refresh(NEW)
    assert "the former set stays" in str(caught.value)
    assert host.calls == []
    assert host.path.read_bytes() == host.first


def test_a_place_where_others_may_write_is_refused(host: Host) -> None:
    host.directory.chmod(0o777)
    with pytest.raises(InputError, match=r"slurm_common_jwks_path.*everyone could replace"):
        host.refresh(NEW)
    assert host.path.read_bytes() == host.first


@pytest.mark.parametrize("document", ['{"keys": []}', "<html>", '{"keys": [{"kty": "RSA", "kid": "a", "d": "AA"}]}'])
def test_a_bad_answer_leaves_the_former_set(host: Host, document: str) -> None:
    settings = host.settings(issuers=[{"name": "idp", "document": document}])
    with pytest.raises(JwksError, match="idp"):
        refresh(settings, run=host, state_dir=str(host.state), look=host.look)
    assert host.path.read_bytes() == host.first


@pytest.mark.parametrize(
    "bad",
    [
        {"path": "relative.json"},
        {"path": "/a,b"},
        {"path": "/a b"},
        {"path": "/a/../b"},
        {"path": ""},
        {"issuers": []},
        {"hosts": []},
        {"daemons": [{"name": "slurmd", "state": "paused"}]},
    ],
)
def test_bad_settings_are_refused(host: Host, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        host.settings(OLD, **bad)


def test_settings_survive_the_file_that_the_timer_reads() -> None:
    daemons = [{"name": "slurmctld", "timeout": 60, "probes": [{"command": ["scontrol", "ping"]}, {"tcp": "h:1"}]}]
    issuers = [{"name": "a", "url": "https://idp/", "ca_file": "/ca.pem"}, {"name": "b", "file": "here.json"}]
    data = {"path": "/j.json", "issuers": issuers, "daemons": daemons, "primary": True, "slurm_conf": "/opt/slurm.conf"}
    settings = RefreshSettings.from_mapping(data, {"here.json": '{"keys": []}'})
    assert settings.issuers[1].document == '{"keys": []}'
    assert RefreshSettings.from_mapping(json.loads(json.dumps(settings.as_dict()))) == settings


def test_only_daemons_that_load_keys_can_be_named(host: Host) -> None:
    settings = host.settings(NEW, daemons=[{"name": "slurmd"}])
    with pytest.raises(InputError, match="daemons: 'slurmd'"):
        refresh(settings, run=host, state_dir=str(host.state), look=host.look)
    assert host.path.read_bytes() == host.first


# --- what the timer goes by ------------------------------------------------------------------------------------------


def test_the_set_and_the_settings_are_placed_together(host: Host) -> None:
    assert host.place(OLD, NEW).outcome.changed
    assert host.kids() == (["1", "3"], ["1", "3"])
    assert host.calls == ["systemctl restart slurmdbd", "scontrol reconfigure"]
    before = host.told.stat().st_mtime_ns
    assert not host.place(OLD, NEW).outcome.changed
    assert host.calls == []
    assert host.told.stat().st_mtime_ns == before
    assert host.leftovers() == []
    assert list(Baseline(str(host.state), host).remembered(TIMER)["files"]) == [str(host.told)]


def test_of_a_set_that_is_refused_the_settings_do_not_stay_either(host: Host) -> None:
    host.place(OLD)
    host.refuses = "slurmctld"
    with pytest.raises(TransactionFailed):
        host.place(NEW)
    assert host.kids() == (["1"], ["1"])
    with pytest.raises(JwksError):
        host.place()
    assert host.kids() == (["1"], ["1"])
    assert host.leftovers() == []
    assert not host.told.with_name(host.told.name + ROLLBACK_SUFFIX).exists()


def test_check_mode_places_neither(host: Host) -> None:
    assert host.place(NEW, check=True).outcome.changed
    assert not host.told.exists()
    assert host.path.read_bytes() == host.first


def test_a_run_that_is_killed_between_both_is_gone_on_with(host: Host) -> None:
    host.place(OLD)
    host.killed_at = "slurmctld"
    with pytest.raises(KeyboardInterrupt):
        host.place(NEW)
    host.killed_at = None
    host.place(NEW)
    assert host.kids() == (["3"], ["3"])
    assert host.leftovers() == []


def test_a_look_by_former_settings_puts_no_former_keys_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began before a playbook places others, and its issuer answers late."""
    host.place(OLD)
    placing = threading.Thread(target=host.place, args=(NEW,))

    def late(*how: Any) -> Any:
        if not placing.ident:
            placing.start()
            placing.join(0.5)  # it has to wait; where it does not, it has ended by then
        return read_all(*how)

    monkeypatch.setattr(comparison, "read_all", late)
    here = partial(refresh, run=host, state_dir=str(host.state), look=host.look)
    monkeypatch.setattr(jwks_cli, "refresh", here)
    monkeypatch.setattr(jwks_cli, "alone", partial(alone, str(host.state)))
    assert jwks_cli.main([str(host.told)]) == 0
    placing.join()
    assert host.kids() == (["3"], ["3"])


def test_what_a_look_fetched_is_what_is_placed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run asked each issuer twice, and could write other keys than those that it had compared."""
    keys = document(OLD, NEW)
    issuers = [{"name": "idp", "document": json.dumps({"keys": [*keys["keys"], {"kty": "EC"}]})}]
    fetched = FetchedSet.now(host.settings(issuers=issuers))
    told = json.loads(json.dumps(fetched.as_dict()))
    assert FetchedSet.from_mapping(told) == fetched
    monkeypatch.delattr(comparison, "read_all")
    assert host.refresh(NEW, fetched=FetchedSet.from_mapping(told), check=True).outcome.changed
    assert host.place(NEW, fetched=FetchedSet.from_mapping(told)).keys.dropped
    assert host.kids()[0] == ["1", "3"]


def test_where_another_set_was_placed_since_the_issuers_are_asked_again(host: Host) -> None:
    """A run of the timer had its answers later than the look."""
    fetched = FetchedSet.now(host.settings(OLD))
    host.refresh(NEW)
    assert not host.refresh(NEW, fetched=fetched).outcome.changed
    host.path.unlink()
    assert FetchedSet.now(host.settings(OLD)).over == ""


@pytest.mark.parametrize("keys", [{"keys": []}, {"keys": [{"kty": "RSA", "kid": "1", "n": "AQ", "e": "AQAB"}]}])
def test_what_is_handed_on_is_judged_again(keys: dict[str, Any]) -> None:
    with pytest.raises(JwksError, match="what was fetched"):
        FetchedSet.from_mapping({"set": json.dumps(keys), "dropped": [], "over": ""})


def test_the_look_is_content_only_where_all_is_as_it_shall_be(host: Host) -> None:
    program = host.state.parent / "slurmrest-jwks"
    program.write_bytes(b"program")
    program.chmod(0o755)
    digest = hashlib.sha256(b"program").hexdigest()

    def content(number: int = OLD, digest: str = digest) -> bool:
        settings = host.settings(number)
        keys = read_all(settings.issuers)
        timer = Timer(str(program), digest, str(host.told))
        assert settled(settings, keys, state_dir=str(host.state), run=host) is (number == OLD)
        return settled(settings, keys, timer, state_dir=str(host.state), run=host)

    assert not content()  # nobody has noted the settings
    host.place(OLD)
    mine = pwd.getpwuid(os.getuid()).pw_name
    assert content() is (mine == "root")  # whose the program shall be
    assert not content(NEW)
    assert not content(digest="0")
    for name in (TIMER, PROGRAM):
        journal = host.state / f"journal-{name}.json"
        journal.write_text("{}")
        assert not content()
        journal.unlink()
    program.chmod(0o700)
    assert not content()
    program.unlink()
    assert not content()
    assert host.looks == 0


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(settings: RefreshSettings, *, check: bool) -> Refreshed:
        return refresh(settings, check=check, run=host, state_dir=str(host.state), look=host.look)

    monkeypatch.setattr(jwks_cli, "refresh", here)
    monkeypatch.setattr(jwks_cli, "alone", partial(alone, str(host.state)))
    file = tmp_path / "settings.json"

    def command(*numbers: int, words: Sequence[str] = ()) -> tuple[int, str, str]:
        daemons = [{"name": "slurmctld", "timeout": 1}]
        entries = [*document(*numbers)["keys"], {"kty": "EC"}]
        issuers = [{"name": "idp", "document": json.dumps({"keys": entries})}]
        file.write_text(json.dumps({"path": str(host.path), "issuers": issuers, "daemons": daemons}))
        status = jwks_cli.main([*words, str(file)])
        output, errors = capsys.readouterr()
        return status, output, errors

    assert command(OLD)[:2] == (0, "as before: 1\n")
    assert command(NEW, words=["--check"])[1] == "would change, for slurmctld to load: 3\n"
    status, output, errors = command(NEW)
    assert (status, output) == (0, "changed; loaded by slurmctld: 3\n")
    assert "its kty is 'EC'" in errors
    status, output, errors = command()
    assert (status, output) == (1, "")
    assert "no key for RS256" in errors
    file.write_text("{")
    assert jwks_cli.main([str(file)]) == 1
    assert f"{file} cannot be read" in capsys.readouterr().err
