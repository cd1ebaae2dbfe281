"""The order in which a gateway's key is replaced, and the way back: the role's own tasks, on hosts that take notes.

``slurm_jwks`` and the modules ``gateway_key`` and ``slurm_facts`` are stood in for; all else is what is shipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOSTS = {"slurmctld": ["ctl"], "slurmdbd": ["db"], "slurmrest_gateway": ["gw1", "gw2"]}
MODULE = """
import json, os
from ansible.module_utils.basic import AnsibleModule

ACT = {act}

def main():
    module = AnsibleModule(argument_spec={spec}, supports_check_mode=True)
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps({{"act": ACT, **module.params}}) + "\\n")
    for fault in json.loads(os.environ["FAULTS"]):
        words = dict(fault)
        times = words.pop("from", 1)
        if all({{"act": ACT, **module.params}}.get(name) == value for name, value in words.items()):
            with open(os.environ["NOTES"]) as notes:
                lines = [json.loads(line) for line in notes]
            same = [line for line in lines if all(line.get(name) == value for name, value in words.items())]
            if len(same) >= times:
                module.fail_json(msg="it refuses")
    {result}

main()
"""
KEY = """
    step = module.params["step"]
    document = {"begin": "old next", "withdraw": "next", "back": "old"}.get(step, "")
    module.exit_json(changed=step in ("begin", "switch", "forget", "back"), document=document, kid="old",
                     left=300, waits=False, former=False)
"""
PLAY = [
    {
        "hosts": "slurmctld:slurmdbd:slurmrest_gateway",
        "gather_facts": False,
        "any_errors_fatal": True,
        "tasks": [
            {"ansible.builtin.import_role": {"name": "slurmrest.toolkit.slurmrest_gateway", "tasks_from": "rotate"}}
        ],
    }
]
ROTATED = [
    *("look gw", "begin gw", "set old next", "judge gw", "switch gw"),
    *("withdraw gw", "set next", "forget gw"),
]


@dataclass
class Run:
    """What came of a run: the notes in their order, one for all hosts of a kind, and what Ansible said."""

    status: int
    steps: list[str]
    output: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in which hosts take notes."""
    top = tmp_path_factory.mktemp("site")
    collection = top / "ansible_collections" / "slurmrest" / "toolkit"
    collection.mkdir(parents=True)
    for name in ("galaxy.yml", "meta"):
        (collection / name).symlink_to(ROOT / name)
    for name in ("roles", "plugins"):
        (collection / name).mkdir()
        for path in (ROOT / name).iterdir():
            if path.name not in ("slurm_jwks", "slurm_common", "modules"):
                (collection / name / path.name).symlink_to(path)
    modules = collection / "plugins" / "modules"
    modules.mkdir()
    key = '{"step": {}, "account": {}, "hosts": {"type": "list", "elements": "str"}, "switched": {"type": "bool"}}'
    result = KEY.strip("\n").lstrip()
    (modules / "gateway_key.py").write_text(MODULE.format(act='"key"', spec=key, result=result))
    done = "module.exit_json(changed=True)"
    (modules / "have_set.py").write_text(MODULE.format(act='"set"', spec='{"documents": {}, "host": {}}', result=done))
    for role, tasks in {
        "slurm_common": [{"ansible.builtin.set_fact": {"ansible_facts": {"slurmrest": {"os": {"family": "Debian"}}}}}],
        "slurm_jwks": [
            {
                "slurmrest.toolkit.have_set": {
                    "host": "{{ inventory_hostname }}",
                    "documents": "{{ hostvars['gw1'].__slurmrest_gateway_document }}",
                }
            }
        ],
    }.items():
        (collection / "roles" / role / "tasks").mkdir(parents=True)
        (collection / "roles" / role / "tasks" / "main.yml").write_text(yaml.safe_dump(tasks))
    consent = {"ansible.builtin.assert": {"that": "consent | default(true)", "fail_msg": "without consent"}}
    (collection / "roles" / "slurm_jwks" / "tasks" / "consent.yml").write_text(yaml.safe_dump([consent]))
    (top / "play.yml").write_text(yaml.safe_dump(PLAY))
    groups: dict[str, Any] = {name: {"hosts": {host: {} for host in hosts}} for name, hosts in HOSTS.items()}
    (top / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    return top


def rotate(site: Path, *words: str, faults: list[dict[str, Any]] | None = None, **variables: Any) -> Run:
    """Run the role's tasks."""
    notes = site / "notes"
    notes.write_text("")
    whole = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "slurmrest_gateway_identity": "pam",
        "slurmrest_gateway_key_withdraw_at_once": True,
        "__slurmrest_gateway_settings": {"hosts": ["127.0.0.1:6820"]},
        **variables,
    }
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(site),
        "ANSIBLE_LOCAL_TEMP": str(site / "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "NOTES": str(notes),
        "FAULTS": json.dumps(faults or []),
    }
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    command = [str(program), "-i", str(site / "hosts.yml"), str(site / "play.yml"), "-e", json.dumps(whole), *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    seen = [json.loads(line) for line in notes.read_text().splitlines()]
    steps = [f"set {line['documents']}" if line["act"] == "set" else f"{line['step']} gw" for line in seen]
    return Run(done.returncode, list(dict.fromkeys(steps)), " ".join((done.stdout + done.stderr).split()))


def test_the_set_with_both_is_loaded_before_the_next_key_signs(site: Path) -> None:
    run = rotate(site)
    assert run.status == 0, run.output
    assert run.steps == ROTATED


def test_check_mode_begins_nothing(site: Path) -> None:
    run = rotate(site, "--check")
    assert run.status == 0, run.output
    assert run.steps == ["look gw", "begin gw"]
    assert "would load the next key of each gateway" in run.output
    assert "and after 300 s they" in rotate(site, "--check", slurmrest_gateway_key_withdraw_at_once=False).output


@pytest.mark.parametrize("fault", [{"act": "set", "host": "db"}, {"act": "set", "host": "ctl"}])
def test_a_host_that_does_not_take_the_set_has_all_as_it_was(site: Path, fault: dict[str, Any]) -> None:
    run = rotate(site, faults=[{**fault, "documents": "old next"}])
    assert run.status != 0
    assert run.steps == ["look gw", "begin gw", "set old next", "back gw", "set old"]
    assert f"the next one is gone: {fault['host']}: it refuses. " in run.output


@pytest.mark.parametrize("step", ["judge", "switch"])
def test_a_key_that_does_not_sign_has_all_as_it_was(site: Path, step: str) -> None:
    run = rotate(site, faults=[{"act": "key", "step": step}])
    assert run.status != 0
    assert run.steps[-2:] == ["back gw", "set old"]
    assert "withdraw gw" not in run.steps
    assert "gw1: it refuses; gw2: it refuses" in run.output


def test_what_is_left_of_the_way_back_is_said(site: Path) -> None:
    run = rotate(site, faults=[{"act": "key", "step": "judge"}, {"act": "set", "documents": "old", "host": "db"}])
    assert "good for nothing any more: db: it refuses. playbooks/deploy.yml removes it." in run.output


def test_a_former_key_that_stays_good_is_said_and_kept(site: Path) -> None:
    run = rotate(site, faults=[{"act": "set", "documents": "next", "host": "ctl"}])
    assert run.status != 0
    assert run.steps == ROTATED[:-1]
    assert "the former one is still good: ctl: it refuses. Run this again" in run.output


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (("--limit", "ctl,gw1"), {}, "this run leaves out db, gw2"),
        ((), {"slurmrest_gateway_identity": "token"}, "no host of the group slurmrest_gateway has a key"),
        ((), {"consent": False}, "without consent"),
        ((), {"slurmrest_gateway_clusters": {"second": ["x:6820"]}}, "signs for second, too"),
    ],
)
def test_what_is_refused_before_anything_changes(
    site: Path, words: tuple[str, ...], variables: dict[str, Any], said: str
) -> None:
    run = rotate(site, *words, **variables)
    assert run.status != 0
    assert said in run.output
    assert set(run.steps) <= {"look gw"}
