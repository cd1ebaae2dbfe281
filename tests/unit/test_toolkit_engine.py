"""The layer over Podman and Docker, against a program that notes how it was called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from slurmrest_toolkit.containers.engine import Engine, EngineError, image_changes, is_container_init, json_documents

FAKE = """#!/bin/sh
printf '%s\\n' "$*" >>"$FAKE_CALLS"
answer="$FAKE_ANSWERS/$1"
[ ! -e "$answer" ] || cat "$answer"
[ ! -s "$answer.fails" ] || { head -n 1 "$answer.fails" >&2; sed -i 1d "$answer.fails"; exit 125; }
"""


class Fake:
    """A container engine made of text: answers to give, calls received."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def answer(self, command: str, text: str) -> None:
        (self.directory / command).write_text(text, encoding="utf-8")

    def fail_once(self, command: str) -> None:
        self.fail(command, "no such thing")

    def fail(self, command: str, *words: str) -> None:
        (self.directory / f"{command}.fails").write_text("".join(f"{line}\n" for line in words), encoding="utf-8")

    def calls(self) -> list[str]:
        return (self.directory / "calls").read_text(encoding="utf-8").splitlines()


@pytest.fixture(name="fake")
def a_fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    for name in ("podman", "docker"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE, encoding="ascii")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_ANSWERS", str(tmp_path))
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    return Fake(tmp_path)


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_only_what_is_asked_for_has_a_capability(fake: Fake, name: str) -> None:
    common = {"hostname": "h", "network": "n", "ports": (22,), "labels": {"a": "b"}}
    Engine(name).boot("image", name="plain", **common)  # type: ignore[arg-type]
    Engine(name).boot("image", name="able", **common, capabilities=["SYS_ADMIN"])  # type: ignore[arg-type]
    plain, able = fake.calls()
    assert "cap-add" not in plain
    assert "privileged" not in plain + able
    assert "--cap-add=SYS_ADMIN" in able.split()


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_nodes_are_unprivileged_and_published_on_loopback_only(fake: Fake, name: str) -> None:
    Engine(name).boot("img", name="n", hostname="h", network="net", ports=(22, 6820), labels={"a": "b"})
    (call,) = fake.calls()
    words = call.split()
    assert words[:2] == ["run", "--detach"]
    assert words[-2:] == ["img", "/sbin/init"]
    assert {"--hostname=h", "--network=net", "--network-alias=h", "--label=a=b"} <= set(words)
    assert [word for word in words if word.startswith("--publish")] == [
        "--publish=127.0.0.1::22",
        "--publish=127.0.0.1::6820",
    ]
    assert not [word for word in words if "privileged" in word or "cap-add" in word]


PODMAN_TAKEN = "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:44187: bind: address already in use"
DOCKER_TAKEN = "Error response from daemon: Bind for 127.0.0.1:32768 failed: port is already allocated"


@pytest.mark.parametrize(("name", "words"), [("podman", PODMAN_TAKEN), ("docker", DOCKER_TAKEN)])
def test_another_port_is_chosen_where_one_was_taken_meanwhile(fake: Fake, name: str, words: str) -> None:
    place = {"name": "n", "hostname": "h", "network": "net", "ports": (22,), "labels": {}}
    fake.fail("run", words, words)
    Engine(name).boot("img", **place)  # type: ignore[arg-type]
    assert [call.split()[0] for call in fake.calls()] == ["run", "rm", "run", "rm", "run"], (
        "what is half made goes first"
    )
    fake.fail("run", words, words, words)
    with pytest.raises(EngineError, match=words.rpartition(": ")[2]):
        Engine(name).boot("img", **place)  # type: ignore[arg-type]


def test_an_engine_that_hangs_is_given_up(fake: Fake) -> None:
    (fake.directory / "bin" / "podman").write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    with pytest.raises(EngineError, match="podman exec --interactive failed: it did not end within 0 s"):
        Engine("podman").execute("node", "true", limit=0.05)


@pytest.mark.parametrize(("name", "form"), [("podman", "json"), ("docker", "{{json .}}")])
def test_containers_are_asked_for_as_older_engines_understand(fake: Fake, name: str, form: str) -> None:
    assert Engine(name).containers("slurmrest.cluster=one") == []
    assert fake.calls() == [f"ps --all --no-trunc --filter=label=slurmrest.cluster=one --format={form}"]


def test_a_label_of_a_network_or_volume(fake: Fake) -> None:
    fake.answer("network", "/home/alice/state\n")
    assert Engine("podman").labelled("network", "slurmrest-one", "slurmrest.state") == "/home/alice/state"
    assert fake.calls() == ['network inspect --format={{index .Labels "slurmrest.state"}} slurmrest-one']
    fake.fail_once("volume")
    assert Engine("podman").labelled("volume", "gone", "slurmrest.state") == ""


def test_another_failure_is_not_tried_again(fake: Fake) -> None:
    fake.fail_once("run")
    with pytest.raises(EngineError, match="no such thing"):
        Engine("podman").boot("img", name="n", hostname="h", network="net", ports=(22,), labels={})
    assert len(fake.calls()) == 1


@pytest.mark.parametrize(
    "engine", [Engine("podman"), Engine("docker"), Engine("docker", remounts=True)], ids=["podman", "docker", "older"]
)
def test_units_may_make_user_namespaces_where_apparmor_is_on(engine: Engine, fake: Fake) -> None:
    """With its profile for containers slurmrestd did not start with Podman as root on Debian 13; the rest stays."""
    engine.boot("img", name="n", hostname="h", network="net", ports=(), labels={})
    (call,) = fake.calls()
    assert "--security-opt=apparmor=unconfined" in call.split()
    assert "seccomp" not in call


def test_docker_lets_systemd_write_to_its_cgroups(fake: Fake) -> None:
    Engine("docker").boot("img", name="n", hostname="h", network="net", ports=(), labels={})
    (call,) = fake.calls()
    assert {"--cgroupns=private", "--security-opt=writable-cgroups=true"} <= set(call.split())
    for place in ("/run:exec", "/run/lock", "/tmp:exec"):  # systemd's mount units for these cannot mount
        assert f"--tmpfs={place}" in call.split()


def test_an_older_docker_has_them_mounted_anew_by_a_process_that_gives_the_capability_away(fake: Fake) -> None:
    place = {"name": "n", "hostname": "h", "network": "net", "ports": (), "labels": {}}
    engine = Engine("docker", remounts=True)
    engine.boot("img", **place)  # type: ignore[arg-type]
    engine.boot("img", **place, capabilities=["SYS_ADMIN"])  # type: ignore[arg-type]
    plain, able = fake.calls()
    assert {"--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"} <= set(plain.split())
    assert "privileged" not in plain
    assert "writable-cgroups" not in plain, "which it does not know"
    start = "img sh -c mount -o remount,rw /sys/fs/cgroup && exec"
    assert plain.endswith(f"{start} setpriv --bounding-set=-sys_admin /sbin/init")
    assert able.endswith(f"{start} /sbin/init"), "asked for, and kept"


@pytest.mark.parametrize("name", ["podman", "docker"])
def test_volumes_have_labels_and_a_place_inside(fake: Fake, name: str) -> None:
    engine = Engine(name)
    engine.create_volume("state", {"slurmrest.cluster": "x"})
    engine.boot("i", name="n", hostname="h", network="net", ports=(), labels={}, volumes={"state": "/var/lib/state"})
    fake.answer("volume", "state\n")
    assert engine.volumes("slurmrest.cluster=x") == ["state"]
    engine.remove_volume("state")
    created, booted, listed, removed = fake.calls()
    assert created == "volume create --label=slurmrest.cluster=x state"
    assert "--volume=state:/var/lib/state" in booted.split()
    assert listed == "volume ls --filter=label=slurmrest.cluster=x --format={{.Name}}"
    assert removed == "volume rm state"


def test_ports_are_those_on_loopback(fake: Fake) -> None:
    fake.answer("port", "22/tcp -> 127.0.0.1:40001\n6820/tcp -> 127.0.0.1:40002\n53/udp -> 127.0.0.1:53\n")
    assert Engine("podman").ports("n") == {22: 40001, 6820: 40002}


def test_containers_whose_first_process_is_gone_do_not_run(fake: Fake) -> None:
    alive = {"Names": ["n"], "State": "running", "Pid": os.getpid(), "Labels": {"slurmrest.node": "ctl"}}
    ended = {"Names": ["m"], "State": "exited", "Pid": 0, "Labels": None}
    fake.answer("ps", json.dumps([alive, ended]))  # the process lives, but is no container's first
    first, second = Engine("podman").containers("slurmrest.cluster=x")
    assert (first.name, first.running, first.labels) == ("n", False, {"slurmrest.node": "ctl"})
    assert (second.name, second.running, second.labels) == ("m", False, {})


def test_docker_lists_one_object_a_line(fake: Fake) -> None:
    fake.answer("ps", '{"Names":"n","State":"running","Labels":"a=b,slurmrest.node=ctl"}\n')
    (found,) = Engine("docker").containers("slurmrest.cluster")
    assert (found.name, found.running, found.labels) == ("n", True, {"a": "b", "slurmrest.node": "ctl"})


def test_removal_is_tried_again_for_what_is_left(fake: Fake) -> None:
    fake.fail_once("rm")
    fake.answer("ps", "n\nother\n")
    Engine("podman").remove_containers(["n", "m"])
    assert fake.calls() == [
        "rm --force --volumes --time=0 n m",
        "ps --all --format={{.Names}}",
        "rm --force --volumes --time=0 n",
    ]


def test_failures_carry_the_engines_words(fake: Fake) -> None:
    fake.fail_once("port")
    with pytest.raises(EngineError, match="podman port n failed: no such thing"):
        Engine("podman").ports("n")


def test_prefix_and_environment_apply() -> None:
    engine = Engine("sh", prefix=("env", "A=1"), environment={"B": "2"})
    assert engine.call("-c", 'echo "$A$B"; cat', text="in") == "12\nin"


def test_images_boot_and_stop_systemd() -> None:
    assert image_changes({"k": "v"}) == [
        "--change=LABEL k=v",
        '--change=CMD ["/sbin/init"]',
        "--change=STOPSIGNAL SIGRTMIN+3",
    ]


def test_a_process_that_is_gone_is_no_containers() -> None:
    assert not is_container_init(2**22 + 1)
    assert json_documents("") == []
