"""What is gathered of a daemon before it is restarted."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.host import programs
from slurmrest.host.identity import group_name, owner_name
from slurmrest.slurm.releases import excerpt
from slurmrest.transaction import database_login, restart_evidence, restart_process
from slurmrest.transaction.database_login import CannotTry
from slurmrest.transaction.entry import result
from slurmrest.transaction.restart_columns import COLUMNS
from slurmrest.transaction.restart_evidence import WouldNotReturn, gather, look_ahead, outlook
from slurmrest.transaction.restart_wiring import judges
from slurmrest.transaction.specs import FileSpec, ServiceSpec
from slurmrest.transaction.transaction import Transaction

from tests.unit.accounts import reachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest.host.proc import Account
    from slurmrest.slurm.conf import SlurmConf

TABLE = excerpt(*COLUMNS)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights that another account could borrow")

CONFIG = """\
Configuration data as of now
AccountingStorageType   = accounting_storage/slurmdbd
AuthType                = auth/munge
PluginDir               = {plugins}
SelectType              = select/cons_tres
SLURM_VERSION           = 24.11.5
SlurmUser               = {user}(1)
StateSaveLocation       = {state}
"""
NODE = "NodeName=node1 State=IDLE Weight=1 AvailableFeatures=(null) "
PARTITION = "PartitionName=main MaxTime=UNLIMITED State=UP AllowAccounts=ALL "


class Host:
    """Plays a controller that runs as this process; `said` are the answers by the word that tells the question."""

    def __init__(self, directory: Path) -> None:
        self.pid, self.program = os.getpid(), "/bin/sh"
        self.conf = directory / "slurm.conf"
        self.plugins, self.state = directory / "plugins", directory / "state"
        for path in (self.plugins, self.state):
            path.mkdir()
        for name in ("accounting_storage_slurmdbd", "auth_munge", "select_cons_tres"):
            (self.plugins / f"{name}.so").touch()
        self.conf.write_text("ClusterName=one\nNodeName=node1\nPartitionName=main Nodes=ALL\n")
        (self.state / "clustername").write_text("one|77")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        config = CONFIG.format(plugins=self.plugins, state=self.state, user=user)
        self.said = {"-V": "slurm 24.11.5", "config": config, "node": NODE, "partition": PARTITION}
        self.said.update(cluster="one|10.0.0.1|0\n", squeue="")
        self.code = 0
        self.absent: set[str] = set()
        self.mute: set[str] = set()
        self.asked: list[list[str]] = []

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        words = list(argv)
        self.asked.append(words)
        if self.absent & set(words):
            return subprocess.CompletedProcess(words, 127, "", f"env: '{words[-1]}': No such file or directory")
        if self.mute & set(words):
            return subprocess.CompletedProcess(words, 1, "", "scontrol: error: Unable to contact slurm controller")
        if words[:2] == ["systemctl", "show"]:
            shown = f"ActiveState=active\nMainPID={self.pid}\n"
            if "ExecStart" in words:
                shown = f"ExecStart={{ path={self.program} ; argv[]={self.program} -D ; ignore_errors=no ; pid=0 }}\n"
            return subprocess.CompletedProcess(words, 0, shown, "")
        if "ldd" in words:
            return subprocess.CompletedProcess(words, 0, self.said.get("ldd", ""), "")
        asked = next((word for word in words if word in self.said), "")
        code = self.code if asked == "cluster" else 0
        text = self.said.get(asked, "")
        return subprocess.CompletedProcess(words, code, "" if code else text, text if code else "")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path)
    monkeypatch.setattr(restart_process, "CONF", str(one.conf))
    monkeypatch.setattr(restart_evidence, "_REGISTERING_SECONDS", 0.0)
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return one


def refusals(*how: Any) -> list[str]:
    return outlook(*how).refusals


def reasons(host: Host, **texts: str | None) -> list[str]:
    return refusals([ServiceSpec("slurmctld")], host, TABLE, {str(host.conf): texts["conf"]} if texts else None)


def test_a_healthy_controller(host: Host) -> None:
    assert reasons(host) == []
    seen = gather("slurmctld", host.pid, host, TABLE, {})
    assert seen.running_version == seen.program_version == "24.11.5"
    assert seen.clusters == {"one": ("10.0.0.1", "0")}
    assert set(seen.plugins.values()) == {str(path) for path in host.plugins.iterdir()}


def test_others_and_what_does_not_run_are_passed_over(host: Host) -> None:
    host.said["cluster"] = "one||0\n"
    assert refusals([ServiceSpec("slurmrestd"), ServiceSpec("slurmd")], host, TABLE) == []
    host.pid = 0
    assert reasons(host) == []


def test_what_a_rest_service_would_end_of(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = host.plugins / "auth_jwt.so"
    plugin.touch()
    maps = f"7f00-7f01 r-xp 0 00:00 1 {plugin}\n7f02-7f03 r-xp 0 00:00 1 {host.plugins}/auth_munge.so (deleted)\n"
    monkeypatch.setattr(restart_evidence, "private", lambda *_where: maps)
    host.conf.write_text(f"PluginDir={host.plugins}\n")
    host.said["-V"] = "slurm 26.05.5"
    for name in ("slurmrestd", "slurmrestd@beta", "slurmrestd.service"):
        assert refusals([ServiceSpec(name)], host, ()) == []
        host.said["ldd"] = f"{plugin}:\n\tlibjwt.so.2 => not found\n"
        (said,) = refusals([ServiceSpec(name)], host, ())
        assert "slurmrestd would not start again, or end with an answer (SLURM_JWT): the plugin" in said
        assert f"{plugin} lacks libjwt.so.2" in said
        host.said["ldd"] = ""
    plugin.unlink()
    assert "the plugin auth/jwt is not there" in refusals([ServiceSpec("slurmrestd")], host, TABLE)[0]


def test_a_rest_service_that_answers_with_a_plugin_that_is_gone_is_not_restarted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the file's content; another one would load it with the first answer about nodes, and end."""
    loaded = f"7f00-7f01 r-xp 0 00:00 1 {host.plugins}/select_cons_tres.so (deleted)\n"
    host.conf.write_text(f"PluginDir={host.plugins}\nSelectType=select/cons_tres\n")
    for maps, stops in ((loaded, True), ("", False)):
        monkeypatch.setattr(restart_evidence, "private", lambda *_where, maps=maps: maps)
        (host.plugins / "select_cons_tres.so").touch()
        assert refusals([ServiceSpec("slurmrestd")], host, TABLE) == []
        (host.plugins / "select_cons_tres.so").unlink()
        said = " ".join(refusals([ServiceSpec("slurmrestd")], host, TABLE))
        assert ("end with an answer" in said and "the plugin select/cons_tres is not there" in said) == stops


def test_what_a_controller_would_end_of(host: Host) -> None:
    host.said["cluster"] = "one||0\n"
    assert "CLUSTER ID MISMATCH" in reasons(host)[0]
    host.said["cluster"] = "one|10.0.0.1|0\n"
    plugin = host.plugins / "select_cons_tres.so"
    host.said["ldd"] = f"{plugin}:\n\tlibfoo.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6\n/other:\n"
    assert "lacks libfoo.so.1" in reasons(host)[0]
    host.said["ldd"] = ""
    plugin.unlink()
    assert f"select/cons_tres is not there: {plugin}" in reasons(host)[0]
    plugin.touch()
    (host.state / "clustername").unlink()
    host.state.rmdir()
    assert "the directory is not there" in reasons(host)[0]
    host.program = "/usr/sbin/slurmctld-that-was-renamed"
    assert f"({host.program}): the program that runs was removed" in reasons(host)[0]


def test_the_configuration_counts_as_it_will_be(host: Host) -> None:
    text = host.conf.read_text()
    assert "has no select/cons_res any more" in reasons(host, conf=text + "SelectType=select/cons_res\n")[0]
    host.conf.write_text(text + "SelectType=select/cons_res\n")
    assert reasons(host, conf=text) == []


def test_what_the_release_to_come_does_not_have_is_said_before_it_is_installed(host: Host) -> None:
    """The plugin of the former release is still there: the packages were replaced, and then it was refused."""
    host.said["config"] = host.said["config"].replace("cons_tres", "cons_res")
    (host.plugins / "select_cons_res.so").touch()
    host.said["-V"] = "slurm 23.02.3"

    def said(**how: Any) -> list[str]:
        return refusals([ServiceSpec("slurmctld", state="restarted", replacing=True, **how)], host, TABLE)

    assert said() == []
    assert "Slurm 24.11 has no select/cons_res any more" in said(becomes="24.11.5-1")[0]


def test_what_cannot_be_asked_is_no_reason(host: Host) -> None:
    host.said = {"-V": ""}
    host.code = 1
    assert reasons(host) == []


def test_programs_come_from_where_the_daemon_came_from(host: Host) -> None:
    """Below /opt/slurm, say: PATH has another Slurm's programs, or none."""
    seen = gather("slurmctld", host.pid, host, TABLE, {})
    prefix = Path(seen.program).parents[1]
    asked = [words for words in host.asked if {"scontrol", "squeue", "sacctmgr"} & set(words)]
    assert len(asked) == 5
    assert all(f"PATH={prefix}/bin:{prefix}/sbin:{programs.PATH}" in words for words in asked)
    assert all(f"SLURM_CONF={host.conf}" in words for words in asked)


def test_a_look_that_no_program_is_there_for_is_no_look(host: Host) -> None:
    host.absent = {"scontrol", "squeue", "sacctmgr"}
    (said,) = reasons(host)
    assert "scontrol and squeue would tell what only its memory has" in said
    assert refusals([ServiceSpec("slurmctld", allow_state_loss=True)], host, TABLE) == []
    host.absent = {"sacctmgr"}
    assert "sacctmgr would tell" in reasons(host)[0]
    refused, (said,) = outlook([ServiceSpec("slurmctld", allow_state_loss=True)], host, TABLE)
    assert refused == []
    assert "whether the accounting database knows its cluster by the same id (sacctmgr: it is not there)" in said


def test_of_slurmdbd_without_sacctmgr_the_database_itself_is_asked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host seldom has sacctmgr, and then nothing was known of its database, which nobody said."""
    host.absent, answers = {"sacctmgr"}, ["1045 Access denied for user 'slurm'@'localhost'", ""]
    monkeypatch.setattr(database_login, "refusal", lambda _conf, running, _who: answers.pop(0) if running else None)
    (refused,) = refusals([ServiceSpec("slurmdbd")], host, TABLE)
    assert "its database refuses it: 1045 Access denied" in refused
    assert outlook([ServiceSpec("slurmdbd")], host, TABLE) == ([], [])

    def cannot(*_how: Any) -> str:
        raise CannotTry("no login is tried with StorageParameters")

    monkeypatch.setattr(database_login, "refusal", cannot)
    (said,) = outlook([ServiceSpec("slurmdbd")], host, TABLE).unseen
    assert (
        "whether its database lets it in (sacctmgr: it is not there; no login is tried with StorageParameters)" in said
    )
    host.absent, host.code, host.said["cluster"] = set(), 1, "sacctmgr: error: Connection refused"
    assert (
        "(sacctmgr: sacctmgr: error: Connection refused; " in outlook([ServiceSpec("slurmdbd")], host, TABLE).unseen[0]
    )
    host.code = 0
    assert outlook([ServiceSpec("slurmdbd")], host, TABLE) == ([], [])


@root_only
@pytest.mark.parametrize(("uid", "reads"), [(0, True), (65534, False)])
def test_the_login_is_as_the_account_reads_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, uid: int, reads: bool
) -> None:
    """Its links could lead root to another cluster's file, whose password that account would get."""
    host.absent = {"sacctmgr"}
    (host.conf.parent / "slurmdbd.conf").write_text("StorageUser=slurm\n")
    (host.conf.parent / "slurmdbd.conf").chmod(0o600)
    seen: list[tuple[str, Account]] = []

    def refusal(conf: SlurmConf | None, _running: object, account: Account) -> str:
        seen.append(((conf and conf.get("StorageUser")) or "", account))
        return ""

    monkeypatch.setattr(database_login, "refusal", refusal)
    monkeypatch.setattr(restart_process, "all_the_while", lambda _before, _pid: (uid, uid, []))
    monkeypatch.setattr(restart_process, "_roots_own", lambda *_what: True)
    gather("slurmdbd", host.pid, host, TABLE, {})
    assert seen == [("slurm" if reads else "", (uid, uid, []))]


@root_only
@pytest.mark.parametrize("mine", ["program", "conf"])
def test_what_is_not_roots_alone_is_run_as_nobody(host: Host, tmp_path: Path, mine: str) -> None:
    """A process of root's may have been another account's when it was read, which named a program or a file."""
    sleeping = tmp_path / "slurmctld"
    shutil.copy("/bin/sleep", sleeping)
    other = tmp_path / "slurm.conf.other"
    other.write_text(host.conf.read_text())
    for path in (sleeping, other):
        path.chmod(0o777 if (path == sleeping) is (mine == "program") else 0o755)
    ran: list[tuple[Sequence[str], dict[str, Any]]] = []

    def run(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
        ran.append((argv, how))
        return host(argv, **how)

    host.program = str(sleeping)
    with subprocess.Popen([str(sleeping), "60"], env={"SLURM_CONF": str(other)}) as process:
        host.pid = process.pid
        refusals([ServiceSpec("slurmctld")], run, TABLE)
        process.kill()
    assert {how.get("user") for argv, how in ran if argv[0] != "systemctl"} == {65534}


@pytest.mark.parametrize(
    ("program", "words"), [("ldd", "the libraries are there"), ("scontrol", "only its memory has")]
)
def test_what_gives_no_answer_is_said(host: Host, program: str, words: str, tmp_path: Path) -> None:
    """It read as if all were well."""
    host.absent = {"ldd"} if program == "ldd" else set()
    host.mute = {"scontrol"} if program == "scontrol" else set()
    refused, (said,) = outlook([ServiceSpec("slurmctld")], host, TABLE)
    assert refused == []
    assert words in said
    service = ServiceSpec("slurmctld", state="if_running")
    file = FileSpec(str(tmp_path / "new"), b"", owner=owner_name(os.getuid()), group=group_name(os.getgid()))
    change = Transaction(
        "x", files=[file], services=[service], run=host, state_dir=str(tmp_path / "s"), judges=judges(TABLE)
    )
    assert change.apply(check=True).unseen == [said]
    assert result(change.apply(check=True))["warnings"] == [said]


def test_jobs_and_memory(host: Host) -> None:
    host.said["squeue"] = "7|alice|gone1\n8|alice|(null)\n9|alice|\n"
    host.said["partition"] = PARTITION.replace("MaxTime=UNLIMITED", "MaxTime=01:00:00")
    jobs, memory = reasons(host)
    assert "job 7 of alice (asks for gone1)" in jobs
    assert "partition main has MaxTime=01:00:00" in memory
    assert refusals([ServiceSpec("slurmctld", allow_state_loss=True)], host, TABLE) == []


def test_a_slurmctld_that_has_just_started_may_register_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes itself out of the database when it stops: for a moment all looks as if that had been made anew."""
    monkeypatch.setattr(restart_evidence, "_REGISTERING_SECONDS", 15.0)
    monkeypatch.setattr("time.sleep", lambda _seconds: host.said.update(cluster="one|10.0.0.1|0\n"))
    host.said["cluster"] = "one||0\n"
    assert reasons(host) == []


def test_nodes_that_nobody_knows_an_address_of(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node of the cloud that was made with scontrol is dropped where its address cannot be resolved."""
    node = "NodeName={0} NodeAddr={0} State=IDLE+{1}+POWERED_DOWN\n"
    host.said["node"] = NODE + "\n" + node.format("127.0.0.7", "CLOUD+DYNAMIC_NORM")
    assert reasons(host) == []
    host.said["node"] += node.format("cloud1.invalid", "DYNAMIC_NORM")
    assert reasons(host) == []
    host.said["node"] += node.format("cloud2.invalid", "CLOUD+DYNAMIC_NORM")
    assert "node cloud2.invalid was created." in reasons(host)[0]
    monkeypatch.setattr(restart_evidence, "_RESOLVING_SECONDS", 0.0)
    assert "node 127.0.0.7 was created; node cloud2.invalid was created." in reasons(host)[0]


@pytest.mark.parametrize("kept_by", ["power saving", "the release"])
def test_addresses_are_resolved_only_where_they_count(
    host: Host, monkeypatch: pytest.MonkeyPatch, kept_by: str
) -> None:
    """Names that nobody answers for take seconds, and nothing came of them."""

    def resolve(*_of: object) -> None:
        raise AssertionError("resolved")

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    host.said["node"] = NODE + "\nNodeName=cloud2 NodeAddr=cloud2.invalid State=IDLE+CLOUD+DYNAMIC_NORM\n"
    with pytest.raises(AssertionError, match="resolved"):
        reasons(host)
    if kept_by == "power saving":
        host.conf.write_text(host.conf.read_text() + "SuspendProgram=/usr/sbin/suspend\n")
    else:
        host.said["-V"] = "slurm 22.05.8"
        host.said["config"] = host.said["config"].replace("24.11.5", "22.05.8")
    assert reasons(host) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("sacctmgr: error: mysql_real_connect failed: 1045 Access denied for user 'slurm'@'localhost'", True),
        (" Problem with query: Unable to connect to database", True),
        ("sacctmgr: error: Unable to connect to slurmdbd: Connection refused", False),
    ],
)
def test_the_database_of_slurmdbd(host: Host, said: str, found: bool) -> None:
    host.said["cluster"], host.code = said, 1
    refused, unseen = outlook([ServiceSpec("slurmdbd")], host, TABLE)
    assert (bool(refused), bool(unseen)) == (found, not found)


@pytest.mark.parametrize(
    ("command", "environment", "path"),
    [
        (["slurmctld", "-D"], {}, "/etc/slurm/slurm.conf"),
        (["slurmctld", "-f", "/opt/slurm.conf", "-D"], {"SLURM_CONF": "/x"}, "/opt/slurm.conf"),
        (["slurmctld", "-D"], {"SLURM_CONF": "/x/slurm.conf"}, "/x/slurm.conf"),
        (["slurmctld"], None, "/etc/slurm/slurm.conf"),
    ],
)
def test_which_configuration_a_process_reads(command: list[str], environment: dict[str, str] | None, path: str) -> None:
    assert restart_process._conf_path({"command": command, "environment": environment}) == path


def test_the_usual_configuration_is_that_of_where_the_program_is(host: Host, tmp_path: Path) -> None:
    own = tmp_path / "opt" / "etc" / "slurm.conf"
    own.parent.mkdir(parents=True)
    running = {"command": ["slurmctld"], "environment": {}}
    assert restart_process._conf_path(running, str(tmp_path / "opt")) == str(host.conf)
    own.touch()
    assert restart_process._conf_path(running, str(tmp_path / "opt")) == str(own)


@pytest.mark.parametrize("check", [False, True])
def test_a_transaction_asks_before_it_writes(host: Host, tmp_path: Path, check: bool) -> None:
    host.said["cluster"] = "one||0\n"
    file = tmp_path / "other.conf"
    owner = FileSpec(str(file), b"new\n", owner=str(os.geteuid()), group=str(os.getegid()))
    lib = str(tmp_path / "lib")
    services = [ServiceSpec("slurmctld")]
    transaction = Transaction("t", files=[owner], services=services, state_dir=lib, run=host, judges=judges(TABLE))
    with pytest.raises(WouldNotReturn, match="Nothing was changed") as caught:
        transaction.apply(check=check)
    assert "CLUSTER ID MISMATCH" in str(caught.value.details["restart"])
    assert not file.exists()
    assert not list((tmp_path / "lib").glob("journal*"))


def test_several_are_named(host: Host) -> None:
    host.said["cluster"] = "one||0\n"
    with pytest.raises(WouldNotReturn, match="slurmdbd and slurmctld not restarted"):
        look_ahead([ServiceSpec("slurmdbd"), ServiceSpec("slurmctld")], host, TABLE)


@root_only
@pytest.mark.parametrize("program", ["slurmctld", "another"])
def test_what_a_process_names_is_run_as_its_account(
    program: str, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its environment, its libraries and even its program are SlurmUser's to choose; the rights are to be, too."""
    place = reachable(tmp_path_factory.mktemp("theirs"))
    sleeping = place / program
    shutil.copy("/bin/sleep", sleeping)
    ran: list[tuple[Sequence[str], dict[str, Any]]] = []

    def run(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
        ran.append((argv, how))
        return host(argv, **how)

    theirs = {"SLURM_CONF": str(host.conf), "LD_LIBRARY_PATH": str(place)}
    with subprocess.Popen([str(sleeping), "60"], env=theirs, user=65534, group=65534, extra_groups=[]) as process:
        host.pid = process.pid
        refusals([ServiceSpec("slurmctld")], run, TABLE)
        process.kill()
    named = [(argv, how) for argv, how in ran if argv[0] != "systemctl"]
    assert any(str(sleeping) in argv for argv, _how in named)
    assert {how.get("user") for _argv, how in named} == {65534}


@root_only
def test_another_program_of_roots_in_the_daemons_place_has_no_rights_to_lend(host: Host) -> None:
    """As sudo would be, started by SlurmUser with an environment of his: this very process is not slurmctld."""
    users = []

    def run(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
        users.extend([] if argv[0] == "systemctl" else [how.get("user")])
        return host(argv, **how)

    refusals([ServiceSpec("slurmctld")], run, TABLE)
    assert set(users) == {65534}


@root_only
def test_the_file_of_the_clusters_name_is_no_link_to_another_one(host: Host, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("not for messages")
    name = host.state / "clustername"
    name.unlink()
    name.symlink_to(tmp_path / "private")
    for path in (host.state, name):
        os.lchown(path, 65534, 65534)
    assert gather("slurmctld", host.pid, host, TABLE, {}).clustername is None
