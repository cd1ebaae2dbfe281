"""A service's token: when it is renewed, what is taken for one, and what stays when there is none to be had."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import jwt
from slurmrest.errors import SlurmrestError
from slurmrest.host import programs
from slurmrest.service_token import fetch, hosts
from slurmrest.service_token.fetch import Controller, FetchSettings, NotRenewed, Record
from slurmrest.systemd import security

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = jwt.Key(b"k" * 32)
NOW = 1_800_000_000.0
ME = getpass.getuser()
CONTROLLERS = (Controller("ctl1", "10.0.0.1", 22), Controller("ctl2", "10.0.0.2", 2222))


def answer(user: str = "portal", lifespan: int = 3600, **changes: Any) -> str:
    claims = {**jwt.claims_for(user, lifespan, NOW), **changes}
    return f"SLURM_JWT={jwt.encode(claims, KEY).reveal()}\n"


@pytest.fixture
def settings(tmp_path: Path) -> FetchSettings:
    return FetchSettings("portal", ME, str(tmp_path), ME, str(tmp_path / "token"), CONTROLLERS)


class Asked:
    """Controllers that answer in turn; an exception is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.names: list[str] = []

    def __call__(self, _: FetchSettings, controller: Controller) -> str:
        self.names.append(controller.name)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


@pytest.mark.parametrize("change", [
    {"issued": "1"}, {"expires": None}, {"expires": [1]}, {"issued": float("inf")}, {"expires": float("nan")},
    {"expires": 1e300}, {"user": ["portal"]}, {"path": 5},
])  # fmt: skip
def test_a_record_of_other_types_is_none(change: dict[str, Any], tmp_path: Path) -> None:
    settings = fetch.FetchSettings("svc", "svc", str(tmp_path), "root", str(tmp_path / "token"), ())
    record = tmp_path / fetch.RECORD
    good = {"user": "portal", "path": "/token", "issued": 1, "expires": 2.5}
    record.write_text(json.dumps(good))
    assert fetch.read_record(settings) == Record("portal", "/token", 1, 2.5)
    record.write_text(json.dumps({**good, **change}))
    assert fetch.read_record(settings) is None


def at(seconds: float) -> Callable[[], float]:
    return lambda: NOW + seconds


def metric(settings: FetchSettings, name: str) -> float:
    text = Path(settings.below(fetch.METRICS)).read_text()
    found = re.search(rf'^slurmrest_token_{name}{{user="portal"}} (\d+)$', text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_a_first_token_is_placed_privately(settings: FetchSettings) -> None:
    status, said = fetch.run(settings, Asked(answer()), at(0))
    assert status == 0
    text = Path(settings.path).read_text()
    assert f"SLURM_JWT={text}" == answer()
    assert stat.S_IMODE(Path(settings.path).stat().st_mode) == 0o600
    assert metric(settings, "expires_timestamp_seconds") == NOW + 3600
    assert metric(settings, "remaining_seconds") == 3600
    assert metric(settings, "renewal_failed") == 0
    assert text.strip() not in "".join(said)
    assert text.strip() not in Path(settings.below(fetch.RECORD)).read_text()


@pytest.mark.parametrize(("age", "asked"), [(0, False), (1199, False), (1201, True), (3599, True), (9999, True)])
def test_it_is_renewed_when_a_third_of_its_life_is_over(settings: FetchSettings, age: int, asked: bool) -> None:
    fetch.run(settings, Asked(answer()), at(0))
    again = Asked(answer())
    assert fetch.run(settings, again, at(age))[0] == 0
    assert bool(again.names) is asked


def test_the_old_token_stays_when_renewal_fails(settings: FetchSettings) -> None:
    fetch.run(settings, Asked(answer()), at(0))
    before = Path(settings.path).read_text(), Path(settings.path).stat().st_ino
    status, said = fetch.run(settings, Asked(NotRenewed("no route"), NotRenewed("refused")), at(1800))
    assert status == 1
    assert (Path(settings.path).read_text(), Path(settings.path).stat().st_ino) == before
    assert said == ["<4>No new token of portal: ctl1: no route; ctl2: refused. The old one stays, good for 1800 s."]
    assert metric(settings, "renewal_failed") == 1
    assert metric(settings, "remaining_seconds") == 1800
    assert fetch.run(settings, Asked(answer()), at(1800))[0] == 0
    assert metric(settings, "renewal_failed") == 0


def test_without_any_token_a_failure_says_so(settings: FetchSettings) -> None:
    status, said = fetch.run(settings, Asked(NotRenewed("a"), NotRenewed("b")), at(0))
    assert status == 1
    assert said[0].endswith("There is none.")
    assert metric(settings, "expires_timestamp_seconds") == 0
    assert not Path(settings.path).exists()


def test_the_next_controller_is_asked_and_the_first_one_s_failure_told(settings: FetchSettings) -> None:
    asked = Asked(NotRenewed("down"), answer())
    status, said = fetch.run(settings, asked, at(0))
    assert (status, asked.names) == (0, ["ctl1", "ctl2"])
    assert said[0] == "<4>ctl1: down"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "no token"),
        ("Last login: yesterday\n", "no token"),
        ("SLURM_JWT=", "empty"),
        ("SLURM_JWT=a.b", "not a JWT"),
        ("SLURM_JWT=a b.c", "blanks"),
        (answer("root"), "the token is for root"),
        (answer(exp=None), "how long it lives"),
        (answer(iat=None), "how long it lives"),
        (answer(lifespan=-5), "how long it lives"),
    ],
)
def test_what_is_no_token_of_this_user_is_not_placed(settings: FetchSettings, given: str, words: str) -> None:
    with pytest.raises(NotRenewed, match=words):
        fetch.renew(settings, Asked(given, given), at(0))
    assert not Path(settings.path).exists()


def test_a_wrong_clock_does_not_make_a_token_look_fresh(settings: FetchSettings) -> None:
    """The controller's clock is a day ahead of this host's: the token still lives for an hour, not for 25."""
    ahead = answer(iat=int(NOW) + 86400, exp=int(NOW) + 90000)
    status, said = fetch.run(settings, Asked(ahead), at(0))
    assert status == 0
    assert metric(settings, "remaining_seconds") == 3600
    assert said[0] == "<4>the clock of ctl1 differs from this host's by 86400 s"


@pytest.mark.parametrize("harm", ["gone", "mode", "link", "other user", "other path", "no record", "demand"])
def test_what_is_not_as_it_should_be_is_fetched_anew(settings: FetchSettings, harm: str, tmp_path: Path) -> None:
    fetch.run(settings, Asked(answer()), at(0))
    token = Path(settings.path)
    if harm == "gone":
        token.unlink()
    elif harm == "mode":
        token.chmod(0o644)
    elif harm == "link":
        token.rename(tmp_path / "elsewhere")
        token.symlink_to(tmp_path / "elsewhere")
    elif harm == "other user":
        Path(settings.below(fetch.RECORD)).write_bytes(Record("else", settings.path, NOW, NOW + 3600).text())
    elif harm == "other path":
        Path(settings.below(fetch.RECORD)).write_bytes(Record("portal", "/else", NOW, NOW + 3600).text())
    elif harm == "no record":
        Path(settings.below(fetch.RECORD)).write_text("{}")
    else:
        Path(settings.below(fetch.DEMAND)).touch()
    asked = Asked(answer(), answer())
    assert fetch.run(settings, asked, at(1))[0] == 0
    assert asked.names == ["ctl1"]
    assert not token.is_symlink()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    again = Asked()
    assert fetch.run(settings, again, at(2)) == (0, [])


def test_a_demand_stays_until_it_is_met(settings: FetchSettings) -> None:
    fetch.run(settings, Asked(answer()), at(0))
    mark = Path(settings.below(fetch.DEMAND))
    mark.touch()
    assert fetch.run(settings, Asked(NotRenewed("a"), NotRenewed("b")), at(1))[0] == 1
    assert mark.exists()


def test_ssh_is_given_nothing_that_another_file_or_agent_could_change(settings: FetchSettings) -> None:
    words = fetch.ssh_command(settings, CONTROLLERS[1])
    assert words[:3] == ["ssh", "-F", "/dev/null"]
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "HostKeyAlias=ctl2", "IdentityAgent=none"):
        assert option in words
    assert words[-5:] == ["-p", "2222", "-l", "portal", "10.0.0.2"], "no command: the controller decides"


def test_what_ssh_prints_is_never_in_an_error(settings: FetchSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    poster = "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n"
    done = subprocess.CompletedProcess([], 255, answer(), f"{poster}Host key for ctl1 has changed.\r\nIt failed.\r\n")
    monkeypatch.setattr(programs, "run", lambda *_a, **_k: done)
    with pytest.raises(NotRenewed) as caught:
        fetch.ask(settings, CONTROLLERS[0])
    assert str(caught.value) == "Host key for ctl1 has changed. It failed."


def test_settings_are_read_as_the_role_writes_them(settings: FetchSettings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    data = {**settings.__dict__, "controllers": [one.__dict__ for one in settings.controllers]}
    path.write_text(json.dumps(data))
    assert FetchSettings.read(str(path)) == settings
    path.write_text('{"user": "portal"}')
    assert fetch.main([str(path)]) == 2
    with pytest.raises(SlurmrestError, match="cannot be used"):
        FetchSettings.read(str(path))


# --- hosts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(hosts, "HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hosts, "HOMES", str(tmp_path / "homes"))
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    return {
        "slurm_common_controllers": ["ctl1"],
        "slurm_common_slurm_user": "slurmadm",
        "slurm_common_slurmrestd_user": "slurmrestd",
        "slurmrest_token_user": "portal",
        "slurmrest_token_owner": "daemon",
        "slurmrest_token_account": "slurmrest-token",
        "slurmrest_token_lifespan": 3600,
        "slurmrest_token_interval": 300,
        "slurmrest_token_path": "/var/lib/slurmrest-token/token",
        "slurmrest_token_from": ["192.0.2.0/24", "!192.0.2.9", "*.example.org"],
        "slurmrest_token_textfile_directory": "",
        "slurmrest_token_python": "/bin/sh",
        "slurmrest_token_sandbox": {},
    }


def test_what_is_right_is_not_refused(good: dict[str, Any]) -> None:
    assert hosts.consumer_problems(good) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("slurmrest_token_user", "root"),
        ("slurmrest_token_user", "slurmadm"),
        ("slurmrest_token_user", "slurmrestd"),
        ("slurmrest_token_user", "two words"),
        ("slurmrest_token_user", "-oProxyCommand=x"),
        ("slurmrest_token_user", None),
        ("slurmrest_token_owner", "nobody-is-called-so"),
        ("slurmrest_token_account", "daemon"),
        ("slurmrest_token_account", "portal"),
        ("slurmrest_token_account", "root"),
        ("slurmrest_token_lifespan", 599),
        ("slurmrest_token_lifespan", 86401),
        ("slurmrest_token_lifespan", "infinite"),
        ("slurmrest_token_lifespan", True),
        ("slurmrest_token_interval", 601),
        ("slurmrest_token_interval", 0),
        ("slurmrest_token_path", "token"),
        ("slurmrest_token_path", "/home/portal/token"),
        ("slurmrest_token_path", "/tmp/token"),
        ("slurmrest_token_path", "/etc/token"),
        ("slurmrest_token_path", "/var/lib/x y/token"),
        ("slurmrest_token_path", "/var/lib/../../etc/portal/token"),
        ("slurmrest_token_from", "192.0.2.1"),
        ("slurmrest_token_from", ['1" command="/bin/sh']),
        ("slurmrest_token_textfile_directory", "/there/is/no/such"),
        ("slurmrest_token_python", "python3"),
        ("slurmrest_token_python", "/etc/passwd"),
        ("slurmrest_token_sandbox", {"User": "root"}),
        ("slurmrest_token_sandbox", {"no directive": "x"}),
        ("slurmrest_token_sandbox", ["PrivateTmp"]),
        ("slurm_common_controllers", []),
    ],
)
def test_bad_input_is_refused_by_name_and_value(good: dict[str, Any], variable: str, value: Any) -> None:
    found = hosts.consumer_problems({**good, variable: value})
    assert {problem.variable for problem in found} == {variable}
    assert "Allowed: " in str(found[0])
    with pytest.raises(SlurmrestError, match=r"Nothing was changed\."):
        hosts.refuse(found)


def test_a_host_without_ssh_is_refused(good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_a, **_k: None)
    assert [problem.variable for problem in hosts.consumer_problems(good)] == ["ssh"]


def controller(parameters: dict[str, str | None], sshd: dict[str, list[str]], **consumer: Any) -> list[str]:
    consumers = [{"name": "web", "user": "portal", "lifespan": 3600, **consumer}]
    return [problem.variable for problem in hosts.controller_problems(consumers, "slurmadm", parameters, sshd)]


SSHD = {"pubkeyauthentication": ["yes"], "authorizedkeysfile": [".ssh/authorized_keys .ssh/authorized_keys2"]}


@pytest.mark.parametrize(
    ("parameters", "sshd", "consumer", "expected"),
    [
        ({"jwt_key": "/k"}, {}, {}, []),
        ({"max_token_lifespan": "3600"}, {}, {}, []),
        ({"max_token_lifespan": "3599"}, {}, {}, ["slurmrest_token_lifespan"]),
        ({"disable_token_creation": None}, {}, {}, ["AuthAltParameters"]),
        ({}, {"pubkeyauthentication": ["no"]}, {}, ["PubkeyAuthentication"]),
        ({}, {"usepam": ["no"]}, {}, ["UsePAM"]),
        ({}, {"authorizedkeysfile": ["/etc/ssh/keys/%u"]}, {}, ["AuthorizedKeysFile"]),
        ({}, {"authorizedkeysfile": ["%h/.ssh/authorized_keys"]}, {}, []),
        ({}, {"allowusers": ["admin", "ops@10.*"]}, {}, ["slurmrest_token_user"]),
        ({}, {"allowusers": ["admin", "portal@192.0.2.*"]}, {}, []),
        ({}, {"denyusers": ["port*"]}, {}, ["slurmrest_token_user"]),
        ({}, {}, {"user": "slurmadm"}, ["slurmrest_token_user"]),
        ({}, {}, {"user": "daemon"}, ["slurmrest_token_user"]),
    ],
)
@pytest.mark.usefixtures("good")
def test_a_controller_that_cannot_serve_is_refused(
    parameters: dict[str, str | None],
    sshd: dict[str, list[str]],
    consumer: dict[str, Any],
    expected: list[str],
) -> None:
    assert controller(parameters, {**SSHD, **sshd}, **consumer) == expected


@pytest.mark.usefixtures("good")
def test_an_account_that_could_lift_its_restriction_is_refused() -> None:
    home = Path(hosts.HOMES) / "portal"
    home.mkdir(parents=True)
    if os.geteuid() == 0:
        assert controller({}, SSHD) == []
    home.chmod(0o777)
    assert controller({}, SSHD) == ["slurmrest_token_user"]


@pytest.mark.usefixtures("good")
def test_keys_of_hosts_that_were_not_looked_at_are_kept() -> None:
    for user, name in (("portal", "web1"), ("portal", "web2"), ("exporter", "mon"), ("gone", "old")):
        path = Path(hosts.HOMES) / user / hosts.AUTHORIZED_KEYS
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(f'# a comment web1\nrestrict,command="x" ssh-ed25519 AAAA {name}\n')
    kept = hosts.kept(["web2", "mon"])
    assert {user: [line.split()[-1] for line in lines] for user, lines in kept.items()} == {
        "portal": ["web2"],
        "exporter": ["mon"],
    }
    assert hosts.withdrawn(["portal", *kept]) == [str(Path(hosts.HOMES) / "gone" / hosts.AUTHORIZED_KEYS)]


def test_host_keys_come_from_where_sshd_has_them(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAAB root@ctl\n")
    assert hosts.host_keys({"hostkey": [str(tmp_path / "key"), str(tmp_path / "none")]}) == ["ssh-ed25519 AAAAB"]
    with pytest.raises(SlurmrestError, match="no public host key"):
        hosts.host_keys({"hostkey": [str(tmp_path / "none")]})


@pytest.mark.usefixtures("good")
def test_a_key_pair_is_made_once() -> None:
    assert hosts.key_pair(ME, check=True) == (True, "")
    assert not Path(hosts.HOME).exists()
    made, line = hosts.key_pair(ME)
    assert made
    assert line.startswith("ssh-ed25519 ")
    assert stat.S_IMODE((Path(hosts.HOME) / fetch.KEY).stat().st_mode) == 0o600
    assert hosts.key_pair(ME) == (False, line)


@pytest.mark.usefixtures("good")
def test_in_fips_mode_the_key_is_of_a_kind_that_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "security", lambda: security.HostSecurity(fips=True))
    assert hosts.key_pair(ME)[1].startswith("ecdsa-sha2-nistp256 ")


def test_selinux_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "security", security.HostSecurity)
    assert hosts.labels_needed() == ""
    monkeypatch.setattr(security, "security", lambda: security.HostSecurity(selinux="enforcing"))
    said = hosts.labels_needed()
    assert said.startswith("SELinux is enforcing")
    assert f"ssh_home_t '{hosts.HOMES}/[^/]+/.ssh(/.*)?'" in said


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of an account that somebody has taken over, beside a directory and a file of root's."""
    if os.geteuid() != 0:
        pytest.skip("only root has something to lose")
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "secret").write_text("root:$6$hash of root:19000:0\n")
        (top / "secret").chmod(0o600)
        (top / "etc").mkdir()
        home = top / "home"
        home.mkdir()
        os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
        monkeypatch.setattr(hosts, "HOME", str(home))
        yield home


def test_a_link_in_the_way_of_the_key_leads_root_nowhere(foreign: Path) -> None:
    (foreign / ".ssh").symlink_to(foreign.parent / "etc")
    with pytest.raises(SlurmrestError):
        hosts.key_pair("nobody")
    assert (foreign.parent / "etc").stat().st_uid == 0
    assert list((foreign.parent / "etc").iterdir()) == []


def test_a_link_in_the_place_of_the_public_key_shows_nobody_what_it_leads_to(foreign: Path) -> None:
    for name in (fetch.KEY, f"{fetch.KEY}.pub"):
        (foreign / name).parent.mkdir(exist_ok=True)
        (foreign / name).symlink_to(foreign.parent / "secret")
    os.chown(foreign / ".ssh", pwd.getpwnam("nobody").pw_uid, -1)
    made, line = hosts.key_pair("nobody")
    assert made
    assert line.startswith("ssh-ed25519 ")
    assert (foreign.parent / "secret").read_text().startswith("root:")


def test_what_is_endless_in_the_place_of_the_public_key_fills_no_memory(foreign: Path) -> None:
    (foreign / ".ssh").mkdir()
    (foreign / fetch.KEY).write_text("a key")
    (foreign / f"{fetch.KEY}.pub").symlink_to("/dev/zero")
    for path in (foreign / ".ssh", foreign / fetch.KEY):
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    began = time.monotonic()
    assert hosts.key_pair("nobody", check=True) == (True, "")
    assert time.monotonic() - began < 10


def test_a_link_in_the_place_of_the_demand_is_not_written_through(foreign: Path, installed: FetchSettings) -> None:
    mine = {**installed.__dict__, "account": "nobody", "home": str(foreign)}
    Path(fetch.CONFIG).write_text(json.dumps({**mine, "controllers": [one.__dict__ for one in CONTROLLERS]}))
    (foreign / fetch.DEMAND).symlink_to(foreign.parent / "secret")
    with pytest.raises(SlurmrestError):
        hosts.renew_now(demand=True, run=Unit(replace(installed, home=str(foreign)), Asked(fresh(), fresh())))
    assert (foreign.parent / "secret").read_text().startswith("root:")


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA\nssh-ed25519 BBBB evil", 'command="id" ssh-ed25519', "x y"])
@pytest.mark.usefixtures("good")
def test_a_host_that_gives_something_else_than_a_key_is_refused(key: str) -> None:
    """What a host says ends in a file of the controller: it must not bring a line of its own."""
    expected = [] if key == "" else ["public_key"]  # in check mode there may be none yet
    assert controller({}, SSHD, public_key=key) == expected
    assert controller({}, SSHD, public_key=f"ssh-ed25519 {'A' * 68}") == []


class Unit:
    """systemctl and journalctl: a start runs the fetch with given answers."""

    def __init__(self, settings: FetchSettings, asked: Asked) -> None:
        self.settings, self.asked = settings, asked

    def __call__(self, argv: Any, **_how: Any) -> subprocess.CompletedProcess[str]:
        if argv[0] == "systemctl":
            status, said = fetch.run(self.settings, self.asked)
            self.said = "\n".join(said)
            return subprocess.CompletedProcess(argv, status, "", "Job failed.")
        return subprocess.CompletedProcess(argv, 0, self.said, "")


@pytest.fixture
def installed(settings: FetchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchSettings:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({**settings.__dict__, "controllers": [one.__dict__ for one in CONTROLLERS]}))
    monkeypatch.setattr(fetch, "CONFIG", str(path))
    return settings


def fresh() -> str:
    return f"SLURM_JWT={jwt.encode(jwt.claims_for('portal', 3600), KEY).reveal()}\n"


def test_a_second_run_of_the_role_fetches_nothing(installed: FetchSettings) -> None:
    first = Unit(installed, Asked(fresh()))
    assert hosts.renew_now(demand=False, check=True, run=first) == (True, 0)
    new, lifetime = hosts.renew_now(demand=False, run=first)
    assert new
    assert 3590 <= lifetime <= 3600
    assert hosts.renew_now(demand=False, run=Unit(installed, Asked()))[0] is False
    assert hosts.renew_now(demand=False, check=True, run=first) == (False, 0)


def test_on_demand_a_fresh_token_is_replaced(installed: FetchSettings) -> None:
    hosts.renew_now(demand=False, run=Unit(installed, Asked(fresh())))
    assert hosts.renew_now(demand=True, run=Unit(installed, Asked(fresh())))[0] is True
    assert not Path(installed.below(fetch.DEMAND)).exists()


def test_a_failing_unit_fails_the_task_in_its_own_words(installed: FetchSettings) -> None:
    unit = Unit(installed, Asked(NotRenewed("Host key verification failed."), NotRenewed("b")))
    with pytest.raises(SlurmrestError, match="Host key verification failed"):
        hosts.renew_now(demand=False, run=unit)
