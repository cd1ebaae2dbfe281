"""Cases of a site on one machine: what a container's kernel and init cannot show of a slurmrestd that was deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from tests.real.clusters import Play, kill_tree
from tests.vm.image import ROOT
from tests.vm.machine import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.vm.machine import Machine

GROUPS = ("slurmctld", "slurmdbd", "slurmrestd", "slurmd")
LISTEN = ["0.0.0.0:6820", "unix:/run/slurmrestd/slurmrestd.socket"]
BEFORE: dict[str, Any] = {"slurmrestd_service_listen": LISTEN}
AFTER: dict[str, Any] = {
    "slurmrestd_service_listen": [*LISTEN, "127.0.0.1:6821"],
    "slurmrestd_service_environment": {"SITE_WORD": "verbose"},
}
"""Two configurations; the second has a port more, and a word in another file."""

ROTATE = {"slurm_jwt_key_rotate_confirm": True}
DROPIN = "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf"
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
NOT_IN_FORCE = re.compile(r"asks for .*not in force|does not know .*not in force|IPAddressDeny")
CUTS = (0.5, 3.0, 8.0)
"""Seconds after the task that writes has begun; a slow machine is in the middle of it for long."""

ANSWERS_SECONDS = 300.0


def inventory(machine: Machine) -> Path:
    """Write the inventory of a site that is this one machine, and return its file."""
    words = machine.ssh("root")
    options = [f"-o {words[at + 1]}" for at, word in enumerate(words) if word == "-o"]
    variables = {
        "ansible_host": "127.0.0.1",
        "ansible_port": machine.port,
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": " ".join(("-F none", *options)),
        "ansible_timeout": 120,
        "slurm_conf_cluster_name": "vm",
        "slurm_conf_nodes": [{"name": "vm", "cpus": 1, "real_memory": 1024}],
        # What Slurm may do to jobs is not looked at here, and this kernel has no cgroup of processors.
        "slurm_conf_options": {
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "SlurmdParameters": "config_overrides",
        },
        "slurm_conf_cgroup_options": {"CgroupPlugin": "disabled"},
        "slurm_cluster_users": [{"name": "ci", "uid": 1000}],
        "slurmrest_verify_job_user": "ci",
    }
    groups: dict[str, Any] = {group: {"hosts": {"vm": {}}} for group in GROUPS}
    file = machine.folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"all": {"hosts": {"vm": variables}, "children": groups}}), encoding="utf-8")
    return file


def arguments(machine: Machine, playbooks: tuple[str, ...], variables: dict[str, Any]) -> dict[str, Any]:
    """Return what subprocess is told to run playbooks on the machine."""
    names = [f"playbooks/{name}" for name in playbooks]
    return {
        "args": ["ansible-playbook", "-i", str(inventory(machine)), *names, "--extra-vars", json.dumps(variables)],
        "cwd": ROOT,
        "env": {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONUNBUFFERED": "1"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def play(machine: Machine, *playbooks: str, **variables: Any) -> Play:
    """Run playbooks that must be fine; the file ``ansible.log`` beside the machine's disk can be followed."""
    log = machine.folder / "ansible.log"
    with log.open("w", encoding="utf-8") as output:
        how = arguments(machine, playbooks, {**BEFORE, **variables}) | {"stdout": output}
        status = subprocess.run(**how, check=False).returncode
    said = log.read_text(encoding="utf-8", errors="replace")
    assert status == 0, said[-3000:]
    return Play(status, said)


@contextmanager
def playing(machine: Machine, task: str, *playbooks: str, **variables: Any) -> Iterator[bool]:
    """Run playbooks up to a task whose name holds these words; whether it was reached. Ends the run afterwards."""
    how = arguments(machine, playbooks, {**BEFORE, **variables})
    with subprocess.Popen(**how, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            yield any(line.startswith("TASK [") and task in line for line in process.stdout)
        finally:
            kill_tree(process.pid)


def look(machine: Machine, script: str) -> str:
    """Return what a script says as root on the machine.

    Raises:
        AssertionError: it fails.
    """
    done = machine.run(script, user="root")
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def answers(machine: Machine, port: int = 6820, patience: float = ANSWERS_SECONDS) -> str:
    """Wait until slurmrestd answers on the machine itself, and return the status; it refuses whoever has no token."""
    said = ""

    def answered() -> bool:
        nonlocal said
        ask = f"curl -s -o /dev/null -w %{{http_code}} --max-time 60 http://127.0.0.1:{port}/openapi/v3"
        said = machine.run(ask, user="root").stdout.strip()
        return said not in {"", "000"}

    until(answered, patience, "slurmrestd does not answer")
    return said


def unfailed(machine: Machine) -> None:
    """Insist that nothing has failed since it booted: what a run meets next would be laid to that run."""
    failed = look(machine, "systemctl --failed --no-legend --plain || true")
    assert not failed, failed


def shape(machine: Machine) -> str:
    """Tell whether files are those of before or of after; anything else is a mixture."""
    script = f"grep -c 127.0.0.1:6821 {DROPIN}; grep -c verbose /etc/default/slurmrestd; true"
    said = look(machine, script).split()
    return {"00": "before", "11": "after"}.get("".join(said), f"mixed: {said}")


# --- cases -----------------------------------------------------------------------------------------------------------


def deployed(machine: Machine) -> str:
    """The shipped playbooks make a site of the machine; the second run changes nothing."""
    first = play(machine, "cluster.yml", "deploy.yml")
    second = play(machine, "deploy.yml")
    assert second.changed == 0, second.output[-3000:]
    return f"{first.changed} changes, then none; verified, with a job"


def confined(machine: Machine) -> str:
    """The sandbox of the unit is wholly in force: nothing is complained of, and the daemon lives in it."""
    told = NOT_IN_FORCE.findall(play(machine, "verify.yml").output)
    assert not told, told
    pid = look(machine, "systemctl show -p MainPID --value slurmrestd")
    status = dict(
        line.split(":\t", 1) for line in look(machine, f"cat /proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd")), status
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    mounts = {line.split()[4]: line for line in look(machine, f"cat /proc/{pid}/mountinfo").splitlines()}
    assert mounts["/"].split()[5].startswith("ro"), mounts["/"]
    assert "subset=pid" in mounts["/proc"], mounts["/proc"]
    group = look(machine, "systemctl show -p ControlGroup --value slurmrestd")
    limits = look(machine, f"cat /sys/fs/cgroup{group}/memory.max /sys/fs/cgroup{group}/pids.max").split()
    assert "max" not in limits, limits
    score = look(machine, "systemd-analyze security --no-pager slurmrestd | tail -1")
    return f"no warning; memory.max and pids.max are set; {score.removeprefix('→ ')}"


def filtered(machine: Machine) -> str:
    """Packets of clients that are not named are dropped, those of named ones are not."""
    outside = machine.forward(6820)
    url = f"http://127.0.0.1:{outside}/openapi/v3"
    ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "--max-time", "20", url]

    def asked() -> str:
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()

    assert asked() not in {"", "000"}, "it answers before"
    told = play(machine, "deploy.yml", slurmrestd_service_clients=["192.0.2.0/24"]).output
    assert not NOT_IN_FORCE.search(told), "the verification says that packets are not filtered"
    assert asked() in {"", "000"}
    inside = answers(machine)
    play(machine, "deploy.yml", slurmrestd_service_clients=["10.0.2.0/24"])
    assert asked() not in {"", "000"}
    play(machine, "deploy.yml")
    return f"a stranger: no answer; the host itself: {inside}; named: answered"


def armoured(machine: Machine) -> str:
    """AppArmor is on and has profiles in force, and what is served is served beside it."""
    assert look(machine, "cat /sys/module/apparmor/parameters/enabled") == "Y"
    enforced = look(machine, "aa-status --enforced")
    denied = machine.run(
        "journalctl -b -k --no-pager | grep -c 'apparmor=\"DENIED\".*slurm'", user="root"
    ).stdout.strip()
    assert denied == "0", denied
    return f"{enforced} profiles in force, nothing of Slurm denied; slurmrestd answers {answers(machine)}"


def rebooted(machine: Machine) -> str:
    """After a reboot it answers without help, and nothing has failed on the way."""
    machine.reboot()
    begin = time.monotonic()
    answers(machine)
    waited = time.monotonic() - begin
    unfailed(machine)
    tries = look(machine, "systemctl show -p NRestarts --value slurmrestd")
    play(machine, "verify.yml")
    return f"answers {waited:.0f} s after the boot was done, {tries} restarts; verified"


def cut_while_deploying(machine: Machine) -> str:
    """Without power in the middle of a deployment, files are whole, and the next run heals."""
    seen = []
    for delay in CUTS:
        wanted = AFTER if shape(machine) == "before" else BEFORE
        with playing(machine, "Write drop-in", "deploy.yml", **wanted) as reached:
            assert reached
            time.sleep(delay)
            machine.cut()
        machine.start()
        unfailed(machine)
        found = shape(machine)
        assert found in {"before", "after"} or journal(machine), found
        seen.append(f"{delay:g} s: {found}{', journal' if journal(machine) else ''}")
        play(machine, "deploy.yml", **wanted)
        assert shape(machine) == ("after" if wanted is AFTER else "before")
        assert not journal(machine)
    assert play(machine, "deploy.yml", **wanted).changed == 0
    play(machine, "deploy.yml")
    return "; ".join(seen)


def journal(machine: Machine) -> str:
    """Return what a run that was cut off has left: copies of files, and the list of what to undo."""
    return look(machine, "find / -xdev -name '*slurmrest-rollback*' -o -xdev -name 'journal-*.json' | tr '\\n' ' '")


def cut_while_rotating(machine: Machine) -> str:
    """Without power in the middle of a rotation, there is a whole key, and the next run makes tokens good."""
    seen = []
    for delay in CUTS:
        with playing(machine, "Switch daemon by daemon", "rotate_jwt_key.yml", **ROTATE) as reached:
            assert reached
            time.sleep(delay)
            machine.cut()
        machine.start()
        unfailed(machine)
        size = look(machine, f"stat -c %s {KEY}")
        assert int(size) >= 32, size
        seen.append(f"{delay:g} s: key of {size} bytes")
        play(machine, "rotate_jwt_key.yml", **ROTATE)
        play(machine, "verify.yml")
    assert play(machine, "deploy.yml").changed == 0
    return "; ".join(seen)


def newcomer(machine: Machine) -> str:
    """Who tries a test cluster on a host that has nothing for it is given one list, before anything is made."""
    machine.push("clone")
    done = machine.run("cd clone && scripts/slurmrest cluster up")
    assert done.returncode == 2, done.stderr
    command = next(line for line in done.stderr.splitlines() if "sudo apt-get install" in line)
    assert {"podman", "passt", "nftables", "mmdebstrap"} <= set(command.split()), command
    assert machine.run("ls -d clone/.slurmrest").returncode != 0, "an environment was made"
    return " ".join(command.split())


CASES = (newcomer, deployed, confined, filtered, armoured, rebooted, cut_while_deploying, cut_while_rotating)
