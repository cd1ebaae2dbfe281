"""Whole starts against a played engine: what is told to it, what is kept, what is written here."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from slurmrest.auth.jwt import Key, verify
from slurmrest.errors import InputError
from slurmrest.verify import run as verification

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import (
    controllers,
    describe,
    gateway,
    journals,
    lifecycle,
    prove,
    provider,
    remove,
    rest,
    tokens,
)
from slurmrest_toolkit.clusters.lifecycle import Request
from slurmrest_toolkit.clusters.state import STATE_SAVE_LOCATION, load
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import base, packages, warm
from slurmrest_toolkit.images.archive import WARM
from slurmrest_toolkit.images.recipes import VERSION_LABEL, Image
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress
from tests.unit.played_engine import AUTHORITY, KEY, VERSION, PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = Host(root=True, cgroups="v2", can_raise_limits=True, pids_controller=True)
BASE = f"{base.BASE}:trixie-0123456789ab"
KEYGEN = '#!/bin/sh\nfor file; do :; done\necho private >"$file"; echo ssh-ed25519 AAAA >"$file.pub"\n'


@dataclass
class Check:
    id: str = "reach"
    ok: bool | None = True
    seconds: float = 0.5
    detail: Any = ""
    cause: Any = None
    remedy: Any = None


@dataclass
class Report:
    """What a verification comes to."""

    checks: Sequence[Check] = field(default_factory=lambda: [Check()])
    api_versions: tuple[str, ...] = ("v0.0.41", "v0.0.42")
    warnings: tuple[str, ...] = ()
    limitations: tuple[str, ...] = ()
    ok: bool = True
    url: str = ""
    slurm_version: str = ""


class Stage:
    """A host with a played engine, and the notes of what is not played."""

    def __init__(self, directory: Path) -> None:
        self.engine = PlayedEngine()
        self.engine.images[BASE] = {VERSION_LABEL: f"{VERSION}-4"}
        self.played: list[tuple[list[str], tuple[str, ...]]] = []
        self.proven: list[dict[str, Any]] = []
        self.report = Report()
        self.programs = directory / "bin"
        self.programs.mkdir()
        self.program("ssh", "#!/bin/sh\nexit 0\n")
        self.program("ssh-keygen", KEYGEN)

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script, encoding="ascii")
        (self.programs / name).chmod(0o755)

    def play(self, _hosts: Path, names: Sequence[str], log: Path, **how: Any) -> playbooks.Run:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("Ansible's words\n", encoding="utf-8")
        self.played.append((list(names), tuple(how["arguments"])))
        for name in names:
            how["on_playbook"](name)
        return playbooks.Run()

    def verify(self, targets: Any, credentials: Any, options: Any, **more: Any) -> Report:
        self.proven.append({"targets": targets, "credentials": credentials, "options": options, **more})
        return self.report

    def up(self, name: str, **wanted: Any) -> Progress:
        progress = Progress(quiet=True)
        lifecycle.up(Request(name, **wanted), progress)
        return progress


@pytest.fixture(name="stage")
def a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path)
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{stage.programs}{os.pathsep}{os.environ['PATH']}")
    for module in (base, packages, warm):
        monkeypatch.setattr(module, "runtime_directory", lambda: tmp_path)
    monkeypatch.setattr(lifecycle, "find_engine", lambda *_, **__: stage.engine)
    monkeypatch.setattr(base, "suite_name", lambda _series: BASE)
    monkeypatch.setattr(base, "suite_image", lambda *_, **__: Image(BASE, f"{VERSION}-4"))
    monkeypatch.setattr(playbooks, "run", stage.play)
    monkeypatch.setattr(rest, "wait_until_served", lambda *_: None)
    monkeypatch.setattr(verification, "verify", stage.verify)
    return stage


def test_the_first_start_deploys_and_keeps_and_the_second_starts_from_that(stage: Stage) -> None:
    first = stage.up("one")
    assert stage.played == [
        (["cluster.yml", "deploy.yml"], ("--tags=slurm_packages",)),
        (["cluster.yml", "deploy.yml"], ()),
    ]
    phases = ["host", "image", "nodes", "packages", "cluster", "deploy", "keep", "daemons", "verify"]
    assert list(first.timings) == phases
    assert [name.split(":")[0] for name in stage.engine.images] == [base.BASE, packages.INSTALLED, WARM]
    second = stage.up("two")
    assert len(stage.played) == 2
    assert list(second.timings) == ["host", "nodes", "daemons", "verify"]
    assert stage.engine.started["slurmrest-two-node1"].startswith(f"{WARM}:trixie-")
    found = load("two")
    assert found is not None
    assert (found.ready, found.slurm_version, found.api_versions) == (True, VERSION, ["v0.0.41", "v0.0.42"])


def test_the_files_of_a_cluster_are_private_and_its_secrets_travel_by_standard_input(stage: Stage) -> None:
    stage.up("one")
    directory = Path(os.environ["SLURMREST_STATE_DIR"]) / "clusters" / "one"
    for name in ("ssh_config", "known_hosts", "inventory/hosts.yml", "token.root", "header.alice", "cluster.json"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    (renewal,) = [
        text for call, text in zip(stage.engine.calls, stage.engine.inputs, strict=True) if "slurmrest-renew" in call
    ]
    sent = dict(line.split() for line in renewal.splitlines())
    assert len(base64.b64decode(sent["/etc/munge/munge.key"])) == 1024
    key = Key(base64.b64decode(sent[warm.JWT_KEY]))
    assert verify(stage.proven[0]["credentials"].token, key).user == "root"
    token = (directory / "token.alice").read_text(encoding="ascii").strip()
    lines = "\n".join(" ".join(call) for call in stage.engine.calls)
    assert token not in lines
    assert sent[warm.JWT_KEY] not in lines


def test_many_nodes_start_from_one_image_of_each_kind(stage: Stage) -> None:
    stage.up("wide", layout="split", compute_nodes=2)
    assert len([name for name in stage.engine.images if name.startswith(WARM)]) == 4
    images = stage.engine.started
    assert images["slurmrest-wide-c1"] == images["slurmrest-wide-c2"]
    assert images["slurmrest-wide-ctl"] != images["slurmrest-wide-db"]
    published = {call[2] for call in stage.engine.told("run") if any(word.endswith("::6820") for word in call)}
    assert published == {"--name=slurmrest-wide-rest"}


def test_a_gateway_has_a_certificate_before_its_playbook_and_its_authority_is_kept_here(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def request(target: Any, _method: str, path: str, **how: Any) -> Any:
        assert how["context"] is not None
        asked.append(f"{target}{path}")
        return type("Answer", (), {"status": 503 if len(asked) == 1 else 200, "text": "not yet", "json": dict})

    monkeypatch.setattr(rest, "request", request)
    monkeypatch.setattr(gateway, "Tls", lambda **_how: type("Context", (), {"context": lambda _self: "context"})())
    progress = stage.up("gate", layout="split", rest_hosts=2, gateway=True)
    assert stage.played[-1][0] == ["cluster.yml", "deploy.yml", "gateway.yml"]
    assert "gateway" in progress.timings
    made = [number for number, call in enumerate(stage.engine.calls) if gateway.PROGRAM in call]
    assert len(made) == 1
    published = {call[2] for call in stage.engine.told("run") if "--publish=127.0.0.1::443" in call}
    assert published == {"--name=slurmrest-gate-rest1"}
    found = load("gate")
    assert found is not None
    assert found.gateway_url == f"https://127.0.0.1:{found.node('rest1').gateway_port}"
    assert asked == [f"{found.gateway_url}/slurm/v0.0.42/diag"] * 2
    told = describe.describe(found)["gateway"]
    assert (told["url"], told["identity"]) == (found.gateway_url, "token")
    assert Path(told["ca_file"]).read_text(encoding="ascii") == AUTHORITY
    assert [user["name"] for user in told["users"]] == ["root", "alice"]
    assert f"--cacert {told['ca_file']} -H @" in describe.summary(found)
    hosts = yaml.safe_load((found.directory / "inventory" / "hosts.yml").read_text())["all"]
    assert list(hosts["children"]["slurmrest_gateway"]["hosts"]) == ["rest1"]
    assert hosts["vars"]["slurmrest_gateway_plain_acknowledged"] is True


def test_users_log_in_at_a_gateway_that_is_asked_for_that(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After all else: images know of no logins, and passwords are this cluster's own."""
    asked: list[tuple[str, str]] = []
    answer = type("Answer", (), {"status": 200, "text": "", "json": dict})
    monkeypatch.setattr(rest, "request", lambda *_, **__: answer)
    monkeypatch.setattr(gateway, "Tls", lambda **_how: type("Context", (), {"context": lambda _self: "context"})())
    monkeypatch.setattr(gateway, "credentials_of", lambda _at, user, file, _how: asked.append((user, file)))
    progress = stage.up("people", gateway=True, identity="pam", users=("bob",))
    assert stage.played[-2][0] == ["cluster.yml", "deploy.yml", "gateway.yml"]
    assert stage.played[-1][0] == ["deploy.yml", "gateway.yml"]
    assert "logins" in progress.timings
    found = load("people")
    assert found is not None
    hosts = yaml.safe_load((found.directory / "inventory" / "hosts.yml").read_text())["all"]
    assert hosts["vars"]["slurmrest_gateway_identity"] == "pam"
    told = describe.describe(found)["gateway"]
    assert (told["identity"], [user["name"] for user in told["users"]]) == ("pam", ["alice", "bob"])
    passwords = {user["name"]: Path(user["password"]) for user in told["users"]}
    assert asked == [("alice", str(passwords["alice"]))]
    assert {oct(path.stat().st_mode & 0o777) for path in passwords.values()} == {"0o600"}
    assert len({path.read_text() for path in passwords.values()}) == 2
    words = " ".join(word for call in stage.engine.calls for word in call)
    assert not [path for path in passwords.values() if path.read_text().strip() in words]
    known = [call for call in stage.engine.calls if call[0] == "exec" and "--user-group" in call[-1]]
    assert len(known) == 1, "the gateway's node knows them"
    assert "verify --gateway" in describe.summary(found)
    assert "--login alice --password-file" in describe.summary(found)


def test_users_log_in_at_a_test_provider(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the gateway's node before the playbook that asks it; names and passwords are told to it alone."""
    asked: list[str] = []
    answer = type("Answer", (), {"status": 200, "text": "", "json": dict})
    monkeypatch.setattr(rest, "request", lambda *_, **__: answer)
    monkeypatch.setattr(gateway, "Tls", lambda **_how: type("Context", (), {"context": lambda _self: "context"})())
    monkeypatch.setattr(provider, "log_in", lambda _cluster, user, _file: asked.append(user))
    stage.up("people", gateway=True, identity="oidc", users=("bob",))
    found = load("people")
    assert found is not None
    hosts = yaml.safe_load((found.directory / "inventory" / "hosts.yml").read_text())["all"]
    assert hosts["vars"]["slurmrest_gateway_url"] == found.gateway_url
    assert hosts["vars"]["slurmrest_gateway_oidc"]["issuer"] == "https://localhost:8443"
    assert asked == ["alice"]
    told = describe.describe(found)["gateway"]
    assert (told["identity"], told["provider"]) == ("oidc", found.provider_url)
    assert found.provider_url not in (None, found.gateway_url)
    passwords = [Path(user["password"]).read_text().strip() for user in told["users"]]
    words = " ".join(word for call in stage.engine.calls for word in call)
    assert not [password for password in passwords if password in words]
    assert not [call for call in stage.engine.calls if "chpasswd" in call]
    summary = describe.summary(found)
    assert f"{found.gateway_url}/auth/login in a browser" in summary
    assert f"--data-urlencode password@{found.directory}/password.alice" in summary


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"identity": "mtls", "gateway": True}, "token, pam, oidc"),
        ({"identity": "oidc"}, "with --gateway"),
        ({"identity": "pam"}, "with --gateway"),
        ({"identity": "pam", "gateway": True, "bare": True}, "without --bare"),
    ],
)
def test_logins_that_cannot_be(stage: Stage, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"--identity: .*{said}"):
        stage.up("people", **asked)


def test_a_gateway_that_does_not_serve_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "READY_SECONDS", 0.0)
    monkeypatch.setattr(gateway, "Tls", lambda **_how: type("Context", (), {"context": lambda _self: None})())
    with pytest.raises(ClusterFailedError, match=r"https://127.0.0.1:[0-9]+/slurm/.*diag is not served after"):
        stage.up("gate", gateway=True)


def test_bare_nodes_with_a_gateway_to_be_have_its_certificate(stage: Stage) -> None:
    stage.up("plain", bare=True, gateway=True)
    assert stage.engine.told(gateway.PROGRAM)
    found = load("plain")
    assert found is not None
    assert gateway.ca_file(found).read_text(encoding="ascii") == AUTHORITY
    assert describe.describe(found)["gateway"] is None
    stage.up("none")
    assert describe.describe(load("none") or found)["gateway"] is None


PRIMARY_UP = "Slurmctld(primary) at ctl1 is UP\n"
BOTH_UP = f"{PRIMARY_UP}Slurmctld(backup) at ctl2 is UP\n"


def test_several_controllers_share_a_volume_and_are_all_up_at_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "PAUSE_SECONDS", 0.0)
    stage.engine.pings += [PRIMARY_UP, f"{PRIMARY_UP}Slurmctld(backup) at ctl2 is DOWN\n", BOTH_UP]
    stage.up("pair", layout="ha")
    assert stage.engine.pings == []
    assert stage.engine.volumes_there == ["slurmrest-pair-state"]
    assert len(stage.engine.told("volume", "create")) == 2  # the nodes that were deployed to had one of their own
    mount = f"--volume=slurmrest-pair-state:{STATE_SAVE_LOCATION}"
    assert {call[2] for call in stage.engine.told("run", mount)} == {
        "--name=slurmrest-pair-ctl1",
        "--name=slurmrest-pair-ctl2",
    }
    assert len([name for name in stage.engine.images if name.startswith(WARM)]) == 3
    assert len(stage.proven[0]["targets"]) == 2
    monkeypatch.setattr(remove, "engine_of", lambda *_: stage.engine)
    remove.down(["pair"], Progress(quiet=True))
    assert stage.engine.volumes_there == []


def test_a_backup_that_does_not_come_up_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controllers, "READY_SECONDS", 0.0)
    stage.engine.pings += [PRIMARY_UP] * 2
    with pytest.raises(
        ClusterFailedError, match=r"Not all controllers are up after [0-9]+ s: Slurmctld\(primary\) at ctl1"
    ):
        stage.up("pair", layout="ha")
    assert stage.engine.volumes_there == []


def test_a_volume_that_a_killed_run_left_is_removed(stage: Stage) -> None:
    stage.engine.volumes_there.append("slurmrest-pair-state")
    stage.engine.pings.append(BOTH_UP)
    stage.up("pair", layout="ha")
    assert stage.engine.volumes_there == ["slurmrest-pair-state"]
    assert len(stage.engine.told("volume", "rm")) == 2


def test_without_the_cache_the_deployed_nodes_are_proven_with_their_own_key(stage: Stage) -> None:
    stage.up("one", cache=False)
    assert [name for name in stage.engine.images if name.startswith(WARM)] == []
    proof = stage.proven[0]
    assert verify(proof["credentials"].token, Key(KEY)).user == "root"
    assert proof["options"].accounting is True
    stage.engine.calls.clear()
    stage.engine.failing.add("cat --")
    with pytest.raises(FileNotFoundError):
        proof["read_output"]("/tmp/slurm-1.out")
    stage.engine.failing.clear()
    assert proof["read_output"]("/tmp/slurm-1.out") == "done\n"


def test_bare_nodes_have_no_slurm_and_no_keys_of_it(stage: Stage) -> None:
    progress = stage.up("plain", bare=True, allow_stale=True)
    assert list(progress.timings) == ["host", "image", "nodes"]
    assert stage.played == []
    assert stage.engine.told("slurmrest-enrol", "--client-key", "--accept-stale-index")


def test_an_ordinary_image_is_prepared_once(stage: Stage) -> None:
    stage.up("one", image="debian:13")
    assert stage.engine.told("pull", "debian:13")
    stage.up("two", image="debian:13")
    assert len(stage.engine.told("pull")) == 1
    assert len(stage.played) == 2


def test_a_proof_that_fails_removes_the_cluster_and_keeps_its_journals(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.report = Report([Check(ok=False)])
    monkeypatch.setattr(prove, "render_table", lambda _report: "the table")
    with pytest.raises(ClusterFailedError, match="did not prove everything\nthe table"):
        lifecycle.up(Request("one"), Progress())
    said = capsys.readouterr().err
    assert "troubles in the journal of node1:" in said
    assert "error: it has troubles" in said
    assert "all is well" not in said
    kept = journals.failure_directory("one")
    assert {"ansible.log", "node1.journal"} <= {file.name for file in kept.iterdir()}
    assert stage.engine.networks_there == []


@pytest.mark.parametrize(
    ("program", "words"), [("ssh", "does not answer over SSH after .*: no route"), ("", "did not start")]
)
def test_a_node_that_does_not_come_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    monkeypatch.setattr(nodes, "START_SECONDS", 0.0)
    if program:
        stage.program("ssh", "#!/bin/sh\necho no route >&2; exit 255\n")
    else:
        stage.engine.failing.add("slurmrest-enrol")
    with pytest.raises(ClusterFailedError, match=f"The node node1 {words}"):
        stage.up("one", bare=True)


def test_too_many_containers_are_the_cause_that_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "START_SECONDS", 0.0)
    monkeypatch.setattr(nodes, "too_many_containers", lambda: ("127 of 128 are taken.", "Allow more."))
    stage.engine.failing.add("run --detach")
    with pytest.raises(ClusterFailedError, match=r"127 of 128 are taken\. Allow more"):
        stage.up("one", bare=True)


def test_a_distribution_that_moved_on_meanwhile_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.played_engine.VERSION", "26.05.1")
    with pytest.raises(CannotRunError, match="the distribution has moved on to"):
        stage.up("one")


def test_down_removes_what_is_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.up("one")
    monkeypatch.setattr(remove, "engine_of", lambda *_: stage.engine)
    remove.down(["one"], Progress(quiet=True))
    assert load("one") is None
    assert stage.engine.networks_there == []


def test_kept_tokens_belong_to_the_cluster(stage: Stage) -> None:
    stage.up("one")
    cluster = load("one")
    assert cluster is not None
    assert all(tokens.usable(cluster, user) for user in tokens.USERS)
    line = subprocess.list2cmdline(rest.curl_argv(cluster, "/x", user="alice", method=None, body=None))
    assert tokens.token_file(cluster, "alice").read_text(encoding="ascii").strip() not in line
