"""Deploy, verify, rotate and doctor as loudly as Ansible can, and look for keys and tokens where they do not belong."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, live_cluster
from tests.real.leaks.secrets_found import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
SAMPLER = Path(__file__).with_name("sampler.py")
DUMPS = "/var/lib/leaks"
USERS = ("root", "admin", "slurm", "slurmrestd", "alice")
"""Whose processes are watched where they exist: without CAP_SYS_PTRACE root sees the environment of its own only."""

FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/root/.ansible", "/home/admin/.ansible")
CHANGED = f"find / /run /dev/shm -xdev -type f -newermt @{{since}} ! -path {KEY} ! -path '{DUMPS}/*' -size -20M"
"""What was written anywhere during a run. The journal is among it, and is exported besides: it may compress."""


@dataclass
class Net:
    """Everything that is written or shown on either side between ``spread`` and ``haul``."""

    live: LiveCluster
    here: Path
    nodes: list[str] = field(default_factory=list)
    ever: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cluster = load(self.live.name)
        assert cluster is not None
        self.nodes = [node.name for node in cluster.nodes]
        self.newest_api = cluster.api_versions[-1]
        self.keyed = [node.name for node in cluster.nodes if {"slurmctld", "slurmdbd"} & set(node.roles)]
        self.remember(self.keys())

    def keys(self) -> dict[str, bytes]:
        """The JWT key of each host that has one."""
        there = {f"the JWT key of {name}": self.live.fetch(name, f"cat {KEY} || true") for name in self.keyed}
        return {name: key for name, key in there.items() if key}

    def remember(self, secret: Mapping[str, bytes]) -> None:
        """Keep secrets for the end, each under a name of its own."""
        self.ever.update({f"{name}, {len(self.ever) + at}": value for at, (name, value) in enumerate(secret.items())})

    def spread(self) -> None:
        """Begin to watch on all nodes."""
        words = " ".join(FOLDERS)
        for node in self.nodes:
            self.live.ssh(
                node,
                f"rm -rf {DUMPS}; mkdir -m 1777 {DUMPS}; cat > {DUMPS}/sampler.py <<'END'\n{SAMPLER.read_text()}\nEND\n"
                + "".join(
                    f"if id {user} >/dev/null 2>&1; then"
                    f" setsid setpriv --reuid={user} --regid=$(id -g {user}) --init-groups python3 {DUMPS}/sampler.py"
                    f" {DUMPS}/dump.{user} {DUMPS}/stop {words} >/dev/null 2>{DUMPS}/error.{user} </dev/null & fi\n"
                    for user in USERS
                ),
            )
        time.sleep(1)

    def haul(self, since: float) -> dict[str, bytes]:
        """End it; what was seen, by where."""
        found = {}
        for node in self.nodes:
            self.live.ssh(node, f"touch {DUMPS}/stop; while pgrep -f {DUMPS}/sampler.py >/dev/null; do sleep 0.1; done")
            errors = self.live.ssh(node, f"cat {DUMPS}/error.*")
            assert errors == "", errors
            for dump in self.live.ssh(node, f"cd {DUMPS}; ls dump.*").split():
                found[f"{node}, seen by {dump[5:]}"] = self.live.fetch(node, f"cat {DUMPS}/{dump}")
            found[f"{node}, journal"] = self.live.fetch(node, f"journalctl --since=@{int(since)} --output=export --all")
            found[f"{node}, logs"] = self.live.fetch(
                node, "find /var/log -type f -not -path '*/journal/*' -exec cat {} +"
            )
            found[f"{node}, temporary folders"] = self.live.fetch(
                node, f"find {' '.join(FOLDERS)} -type f -exec cat {{}} + 2>/dev/null || true"
            )
            changed = CHANGED.format(since=int(since))
            found[f"{node}, files"] = self.live.fetch(
                node, f"{changed} | while read -r file; do echo; echo === $file; cat $file; done; true"
            )
        return found

    @contextlib.contextmanager
    def watched_here(self) -> Iterator[dict[str, str]]:
        """Watch this side: processes, and the temporary folders that the playbook is told to use."""
        folder = self.here / "temporary"
        folder.mkdir(exist_ok=True)
        environment = {"TMPDIR": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder / "ansible")}
        stop = self.here / "stop"
        stop.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, str(SAMPLER), str(self.here / "dump"), str(stop), str(folder)]
        ) as process:
            try:
                yield environment
            finally:
                stop.touch()
                assert process.wait(timeout=30) == 0

    def play(
        self, playbook: str, *words: str, pipelining: bool, good: bool = True, **variables: object
    ) -> dict[str, bytes]:
        """Run a playbook, which works or fails, with everything Ansible can say; returns what was seen anywhere."""
        before = self.keys()
        since = time.time()
        self.spread()
        with self.watched_here() as environment:
            extra = {"ansible_pipelining": pipelining, **self.reports, **variables}
            settings = {**environment, "ANSIBLE_PIPELINING": str(pipelining)}
            done = self.live.playbook(playbook, *words, "-vvvv", "--diff", variables=extra, environment=settings)
        assert (done.status == 0) is good, done.output[-4000:]
        assert ("PUT " in done.output) is not pipelining, "the run did not do what it was told about pipelining"
        seen = self.haul(since)
        self.secret_keys = {**before, **{f"{name}, new": key for name, key in self.keys().items()}}
        self.remember(self.secret_keys)
        return {**seen, **self.seen_here(), "the output": done.output.encode()}

    @property
    def reports(self) -> dict[str, object]:
        """Variables by which the playbooks write everything that they can write on this side."""
        folder = self.here / "reports"
        folder.mkdir(exist_ok=True)
        return {
            "slurmrest_verify_job_user": "alice",
            "slurmrest_verify_reports": str(folder),
            "slurmrest_doctor_report": str(folder / "doctor.json"),
            "slurmrest_doctor_evidence": str(folder / "evidence.json"),
        }

    def seen_here(self) -> dict[str, bytes]:
        """What was seen, and written, on this side."""
        reports = {f"the report {file.name}": file.read_bytes() for file in (self.here / "reports").iterdir()}
        return {"this side": (self.here / "dump").read_bytes(), **reports}

    def found(self, seen: Mapping[str, bytes]) -> list[str]:
        """Every secret in what was seen. On this side others may be at work: there only tokens of these keys count."""
        return [
            f"{where}: {leak}"
            for where, text in seen.items()
            for leak in leaks(text, self.secret_keys, any_token=where != "this side")
        ]


@pytest.fixture(scope="module")
def net(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with live_cluster("real-leaks", release, "--layout", "split") as live:
        yield Net(live, tmp_path_factory.mktemp("leaks"))


@pytest.mark.parametrize("pipelining", [True, False])
def test_deploy_and_verify_leak_nothing(net: Net, pipelining: bool) -> None:
    # One host has lost its key, so that it travels; slurmdbd keeps the old one in memory.
    net.live.ssh("db", f"rm {KEY}")
    seen = net.play("deploy.yml", pipelining=pipelining)
    assert b"all good" in seen["the output"]
    assert net.live.fetch("db", f"cat {KEY}") == net.live.fetch("ctl", f"cat {KEY}")
    assert net.found(seen) == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_rotate_leaks_nothing(net: Net, pipelining: bool) -> None:
    seen = net.play("rotate_jwt_key.yml", pipelining=pipelining, slurm_jwt_key_rotate_confirm=True)
    assert len(set(net.secret_keys.values())) == 2
    assert net.found(seen) == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_doctor_leaks_nothing(net: Net, pipelining: bool) -> None:
    token = net.here / "token"
    token.write_text(net.live.ssh("ctl", "scontrol token username=alice lifespan=600"))
    token.chmod(0o600)
    asked = {"path": f"/slurm/{net.newest_api}/jobs", "user": "alice", "token_file": str(token)}
    seen = net.play("doctor.yml", pipelining=pipelining, slurmrest_doctor_request=asked)
    assert {"the report doctor.json", "the report evidence.json"} <= set(seen)
    assert net.found(seen) == []


def test_a_rotation_that_fails_leaks_nothing(net: Net) -> None:
    inode = net.live.ssh("db", f"stat -c %i {KEY}").strip()
    folder = "/etc/systemd/system/slurmdbd.service.d"
    net.live.ssh(
        "db",
        f"mkdir -p {folder}; printf '[Service]\\nExecStartPre=/bin/sh -c \"test $$(stat -c %%%%i {KEY}) = {inode}\"\\n'"
        f" > {folder}/99-refuse.conf; systemctl daemon-reload",
    )
    new = net.here / "new"
    new.write_bytes(secrets.token_bytes(32))
    confirmed = {"slurm_jwt_key_rotate_confirm": True, "slurm_jwt_key_supplied": str(new)}
    try:
        seen = net.play("rotate_jwt_key.yml", pipelining=True, good=False, **confirmed)
    finally:
        net.live.ssh("db", f"rm -r {folder}; systemctl daemon-reload")
    assert b"The old key is back on every host" in seen["the output"]
    net.secret_keys["the refused key"] = new.read_bytes()
    net.remember({"the refused key": new.read_bytes()})
    assert net.found(seen) == []


OWN = re.compile(r"in (/etc/slurm/slurmdbd\.conf|/etc/default/slurmrestd)$")
"""Where the site's own secrets are to be."""


@pytest.mark.parametrize("pipelining", [True, False])
def test_what_a_site_keeps_in_its_inventory_is_in_its_files_only(net: Net, pipelining: bool) -> None:
    password, value = secrets.token_hex(16), secrets.token_hex(16)
    kept = net.here / "group_vars.json"  # not in arguments, where everybody would see it
    kept.write_text(
        json.dumps({"slurm_conf_storage_pass": password, "slurmrestd_service_environment": {"SITE_PASSWORD": value}})
    )
    seen = net.play("deploy.yml", f"--extra-vars=@{kept}", pipelining=pipelining)
    net.secret_keys = {"the password of the database": password.encode(), "a value of the environment": value.encode()}
    net.remember(net.secret_keys)
    found = net.found(seen)
    for name, path in (("the password", "/etc/slurm/slurmdbd.conf"), ("a value", "/etc/default/slurmrestd")):
        assert any(name in leak and leak.endswith(path) for leak in found), found
    daemon = environment_of(seen, value)
    assert [leak for leak in found if not OWN.search(leak) and not leak.endswith(daemon)] == []


def environment_of(seen: Mapping[str, bytes], value: str) -> tuple[str, ...]:
    """Return the places of environments of slurmrestd in what was seen: they have what its file says."""
    own = re.compile(rb"\n=== (/proc/\d+/environ)\n(?=[^\n]*SLURM_JWT=daemon)[^\n]*" + value.encode())
    return tuple(f" in {match.decode()}" for text in seen.values() for match in own.findall(text))


REFUSED = {
    "ANSIBLE_KEEP_REMOTE_FILES": "A secret would be written to a temporary file: ANSIBLE_KEEP_REMOTE_FILES is set",
    "ANSIBLE_DEBUG": "A secret would be shown: ANSIBLE_DEBUG is set",
}


@pytest.mark.parametrize("setting", REFUSED)
@pytest.mark.parametrize("playbook", ["deploy", "verify", "rotate_jwt_key", "doctor"])
def test_what_would_give_secrets_away_is_refused_before_one_travels(net: Net, playbook: str, setting: str) -> None:
    keys = net.keys()
    variables = {"slurm_jwt_key_rotate_confirm": True}
    done = net.live.playbook(f"{playbook}.yml", variables=variables, environment={setting: "1"})
    assert done.status != 0
    assert REFUSED[setting] in done.output
    same = net.keys() == keys
    assert same
    assert leaks(done.output.encode(), keys) == []


def test_the_whole_journal_has_none_of_them(net: Net) -> None:
    """From the first line on: what no single run's net has seen, such as the making of the cluster."""
    assert len(net.ever) > len(net.keyed)
    for node in net.nodes:
        journal = net.live.fetch(node, "journalctl --output=export --all")
        assert b"sshd" in journal
        assert [f"{node}: {leak}" for leak in leaks(journal, net.ever)] == []


# --- the net itself ---------------------------------------------------------------------------------------------------


def test_the_net_has_no_holes(net: Net) -> None:
    """A key that shows up for a third of a second, in each of the places, is found in each of them."""
    canary = secrets.token_bytes(32)
    word = canary.hex()
    net.spread()
    since = time.time()
    for node in net.nodes:
        net.live.ssh(
            node,
            f"""
            env CANARY={word} sleep 0.4
            setpriv --reuid=admin --regid=admin --init-groups env CANARY={word} sleep 0.4
            sh -c 'sleep 0.4; : {word}'
            echo {word} > /tmp/canary; sleep 0.4; rm /tmp/canary
            logger {word}
            echo {word} > /var/log/canary
            echo {word} > /run/canary
            """,
        )
    with net.watched_here() as environment:
        subprocess.run(["env", f"CANARY={word}", "sleep", "0.4"], check=True)
        Path(environment["TMPDIR"], "canary").write_bytes(canary)
        time.sleep(0.4)
        Path(environment["TMPDIR"], "canary").unlink()
    seen = net.haul(since)
    net.secret_keys = {"the canary": canary}
    found = "\n".join(net.found({**seen, **net.seen_here()}))
    for node in net.nodes:
        for place in ("seen by root: the canary (hex) in /proc/", "journal: the canary", "logs: the canary"):
            assert f"{node}, {place}" in found, found
        text = seen[f"{node}, seen by root"]
        assert b"/tmp/canary\n" in text
        assert b"\0CANARY=" in text or b"CANARY=" in text
        assert f"{node}, seen by admin: the canary" in found
        assert f"{node}, files: the canary" in found
        net.live.ssh(node, "rm /var/log/canary /run/canary")
    assert "this side: the canary" in found
