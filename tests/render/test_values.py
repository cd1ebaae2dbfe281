"""Every variable that gets into a file is judged before: a line end in it is refused, by the name of the variable.

Which variables those are is read from templates, tasks and ``vars/main.yml``: a new one that nobody judges turns this
red.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleError
from jinja2 import nodes
from slurmrest.facts.detection import detect
from slurmrest.service_token.hosts import consumer_problems
from slurmrest.slurm.conf import SlurmConf, read
from slurmrest.slurmrestd.preflight import problems

from tests.meta import tree
from tests.render.roles import evaluate
from tests.unit.gateway.test_settings import GOOD as GATEWAY

SYNTAX = jinja2.Environment()
REFUSED = {
    "slurm_common": "__slurm_common_refused",
    "slurm_conf": "__slurm_conf_refused",
    "slurm_cluster": "__slurm_cluster_refused",
    "slurm_jwks": "__slurm_jwks_refused",
    "slurmrest_token": "__slurmrest_token_refused",
}
COMMANDS = ["roles/slurm_cluster/tasks/database.yml", "roles/slurm_cluster/tasks/accounts.yml"]
"""Text for MariaDB and sacctmgr, which is no template file."""

WHOLE = {"slurm_conf_cluster_name": "c1"}
FACTS = {
    "slurm_conf": {"exists": False, "ours": False, "jwks": ""},
    "slurmdbd_conf": {"exists": False, "ours": False, "jwks": ""},
    "version": "24.11.5",
}
LINE_END = {"str": "x\ny", "path": "/x\ny", "int": "5\n6", "float": "5\n6"}
NOT_A_VALUE = {
    "slurm_common_controllers": "names by which hosts are looked up; what is written is slurm_conf_controllers",
    "slurm_common_components": "choices of the role, which ansible-core holds it to; the files hold none of them",
    "slurmrestd_service_accounting": "a choice that decides about options; ansible-core holds the role to it",
    "slurm_jwks_issuers": "what is written of it is JSON; how many there are is all that the unit says",
}


@cache
def _options() -> dict[str, dict[str, Any]]:
    """The spec of every public variable."""
    found: dict[str, dict[str, Any]] = {}
    for role in tree.ROLES:
        for entry in tree.load(role / "meta" / "argument_specs.yml")["argument_specs"].values():
            found.update(entry.get("options") or {})
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _names(texts: Iterator[str]) -> set[str]:
    """The variables that templates name, also as texts: map(attribute='…')."""
    found: set[str] = set()
    for text in texts:
        parsed = SYNTAX.parse(text)
        named: list[Any] = [node.name for node in parsed.find_all(nodes.Name)]
        named += [node.value for node in parsed.find_all(nodes.Const)]
        found |= {name for name in named if isinstance(name, str) and re.match(r"(__)?slurm", name)}
    return found


def _set_facts(tasks: Any) -> Iterator[tuple[str, Any]]:
    for task in tasks or ():
        yield from (task.get("ansible.builtin.set_fact") or {}).items()
        yield from _set_facts(task.get("block"))


@cache
def _private() -> dict[str, set[str]]:
    """What each variable that is not public is made of."""
    found: dict[str, set[str]] = {}
    for role in tree.ROLES:
        path = role / "vars" / "main.yml"
        known = list((tree.load(path) if path.exists() else {}).items())
        for tasks in role.glob("tasks/*.yml"):
            known += _set_facts(tree.load(tasks))
        for name, value in known:
            found.setdefault(name, set()).update(_names(_strings(value)))
    return found


def written() -> list[str]:
    """The public variables whose values get into a file or a command."""
    texts = [path.read_text() for path in tree.ROOT.glob("roles/*/templates/**/*.j2")]
    texts += [text for path in COMMANDS for text in _strings(tree.load(tree.ROOT / path))]
    todo, seen = _names(iter(texts)), set[str]()
    while todo - seen:
        for name in todo - seen:
            seen.add(name)
            todo = todo | (_private().get(name, set()) if name not in _options() else set())
    return sorted(name for name in seen if name in _options() and name not in NOT_A_VALUE)


def bad_values(spec: dict[str, Any]) -> Iterator[Any]:
    """Values of a variable with a line end in one place each; none of a truth value, which is written in our words."""
    if spec["type"] == "bool":
        return
    if spec["type"] == "dict":
        yield {"Key": "x\ny"}
        yield {"Key\ny": "x"}
    elif spec.get("options"):
        good = {
            key: 1 if option["type"] == "int" else "x"
            for key, option in spec["options"].items()
            if option.get("required")
        }
        for key, option in spec["options"].items():
            yield from ([{**good, key: bad}] for bad in bad_values(option))
    elif spec["type"] == "list":
        yield from ([bad] for bad in bad_values({"type": spec["elements"]}))
    else:
        yield LINE_END[spec["type"]]


@cache
def _token_variables() -> dict[str, Any]:
    """What the role of service tokens has judged, by its task."""
    (judge,) = [
        task["slurmrest.toolkit.service_token"]["variables"]
        for task in tree.load(tree.ROOT / "roles/slurmrest_token/tasks/key.yml")
        if task.get("slurmrest.toolkit.service_token", {}).get("step") == "judge"
    ]
    return dict(judge)


def refusals(name: str, value: Any) -> list[str]:
    """What those who judge for the roles say of one value, as the roles ask them."""
    said: list[str] = []
    for role, expression in REFUSED.items():
        if name in _private()[expression]:
            said += evaluate(role, expression, {**WHOLE, name: value}, FACTS)
    if name in _private()["__slurmrestd_service_stated"]:
        stated = evaluate("slurmrestd_service", "__slurmrestd_service_stated", {name: value}, FACTS)
        said += map(str, problems({name: stated[name]}, _host()))
    if name in _private()["__slurm_conf_auth_wishes"]:
        try:
            evaluate("slurm_conf", "__slurm_conf_auth_parameters", {name: value}, FACTS)
        except AnsibleError as error:
            said.append(str(error))
    if name in _private()["__slurmrest_gateway_stated"]:
        try:
            evaluate("slurmrest_gateway", "__slurmrest_gateway_settings", {**GATEWAY, name: value}, FACTS)
        except AnsibleError as error:
            said.append(str(error))
    if name in _token_variables():
        usual = tree.load(tree.ROOT / "roles/slurmrest_token/defaults/main.yml")
        here = {"slurm_common_controllers": ["ctl"], "slurmrest_token_user": "portal", "slurmrest_token_owner": "root"}
        said += map(str, consumer_problems({**usual, **here, name: value}))
    return said


@cache
def _host() -> dict[str, Any]:
    return detect({"account": "nobody-has-this-name"})


CASES = [(name, value) for name in written() for value in bad_values(_options()[name])]


def test_the_stock_is_what_one_sees_in_the_templates() -> None:
    """A guard of the guard: it finds what is written by way of other variables, too."""
    assert {
        "slurm_conf_options",
        "slurm_conf_storage_pass",
        "slurmrestd_service_clients",
        "slurmrest_gateway_name",
    } < set(written())
    assert {"slurm_common_config_dir", "slurm_common_jwks_path", "slurmrest_token_user"} < set(written())
    assert {"slurm_common_slurm_user", "slurm_cluster_account", "slurm_cluster_users"} < set(written())
    assert len(CASES) > 40


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}-{value!r}" for name, value in CASES])
def test_a_line_end_is_refused_by_the_name_of_the_variable(name: str, value: Any) -> None:
    """One refusal at least names the variable, and none of them has a line end, or the secret, in it."""
    said = refusals(name, value)
    assert any(name in words for words in said)
    assert "\n" not in "".join(words for words in said if name in words and "slurm_common_jwt_key_path" not in words)
    assert name != "slurm_conf_storage_pass" or "y" not in "".join(said).partition("Allowed")[0].partition("refused")[0]


def test_a_good_value_is_refused_by_nobody() -> None:
    for role, expression in REFUSED.items():
        assert evaluate(role, expression, {**WHOLE, "inventory_hostname": "ctl"}, FACTS) == []


def test_the_files_of_a_site_are_not_judged() -> None:
    """Values that nobody writes are in nobody's way."""
    facts = {**FACTS, "slurm_conf": {"exists": True, "ours": False, "jwks": ""}}
    assert evaluate("slurm_conf", "__slurm_conf_refused", {"slurm_common_slurm_user": "a b"}, facts) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"slurm_conf_options": {"Epilog": "/x\ny"}},
        {"slurm_conf_nodes": [{"name": "n1", "cpus": "1\n"}]},
        {"slurm_conf_nodes": [{"name": "n1", "extra": {"Feature": "a\nb"}}]},
        {"slurm_conf_partitions": [{"name": "a\nb"}]},
        {"slurm_conf_controllers": ["a\nb"]},
    ],
)
def test_what_is_refused_cannot_even_be_rendered(variables: dict[str, Any]) -> None:
    known = {**WHOLE, "slurm_common_components": ["slurmctld"], **variables}
    with pytest.raises(AnsibleError, match="line end"):
        evaluate("slurm_conf", "__slurm_conf_files", known, FACTS)


def conf_of(text: str) -> SlurmConf:
    conf = read("/f", {"/f": text}.get)
    assert conf is not None
    return conf


def test_what_is_rendered_says_what_the_variables_say() -> None:
    variables = {
        **WHOLE,
        "slurm_common_components": ["slurmctld", "slurmdbd"],
        "slurm_common_dbd_host": "db",
        "slurm_conf_controllers": ["c1(192.0.2.1)"],
        "slurm_conf_nodes": [
            {"name": "n[1-2]", "cpus": 2, "real_memory": 900, "extra": {"Feature": "a,b", "Comment": "two words"}},
            {"name": "n3"},
        ],
        "slurm_conf_partitions": [
            {"name": "p", "default": True, "extra": {"MaxTime": "1-0"}},
            {"name": "q", "nodes": "n3"},
        ],
        "slurm_conf_options": {"EnforcePartLimits": True, "MailDomain": "a#b", "NodeSet": "s Feature=a"},
        "slurm_conf_storage_pass": "correct horse\\#",
    }
    files = {
        entry["path"]: conf_of(str(entry.get("content") or entry["secret_content"]))
        for entry in evaluate("slurm_conf", "__slurm_conf_files", variables, FACTS)
    }
    slurm, slurmdbd = files["/etc/slurm/slurm.conf"], files["/etc/slurm/slurmdbd.conf"]
    assert (slurm.errors, slurmdbd.errors) == ((), ())
    assert [str(entry) for entry in slurm.entries_of("NodeName")] == [
        "NodeName=n[1-2] CPUs=2 RealMemory=900 Feature=a,b Comment=two words",
        "NodeName=n3 CPUs=1",
    ]
    assert [str(entry) for entry in slurm.entries_of("PartitionName")] == [
        "PartitionName=p Nodes=ALL Default=YES MaxTime=1-0",
        "PartitionName=q Nodes=n3 Default=NO",
    ]
    assert [slurm.get(key) for key in ("EnforcePartLimits", "MailDomain", "SlurmctldHost")] == [
        "YES",
        "a#b",
        "c1(192.0.2.1)",
    ]
    assert slurm.entries_of("NodeSet")[0].fields == (("Feature", "a"),)
    assert slurmdbd.get("StoragePass") == "correct horse\\#"


@pytest.mark.parametrize("release", [{"daemon_http": True}, {"daemon_http": False}, {}, None])
def test_the_daemons_own_http_is_closed_where_there_is_one(release: dict[str, Any] | None) -> None:
    def communication(**variables: Any) -> str | None:
        known = {**WHOLE, "slurm_conf_daemon_http": False, **variables}
        lookup = "lookup('ansible.builtin.template', 'slurm.conf.j2')"
        text = evaluate("slurm_conf", lookup, known, {**FACTS, "release": release})
        return conf_of(text).get("CommunicationParameters")

    closed = bool(release and release.get("daemon_http"))
    assert communication() == ("disable_http" if closed else None)
    options = {"CommunicationParameters": "EnableIPv6"}
    assert communication(slurm_conf_options=options) == ("EnableIPv6,disable_http" if closed else "EnableIPv6")
    assert communication(slurm_conf_daemon_http=True) is None


PLAY = """
- name: Write the files of a cluster
  hosts: all
  gather_facts: false
  roles:
    - role: slurmrest.toolkit.slurm_conf
"""


def played(directory: Path, options: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """Run the role here, as ansible-playbook does it."""
    variables = {
        **WHOLE,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "slurm_common_components": ["slurmctld"],
        "slurm_common_config_dir": str(directory / "slurm"),
        "slurm_conf_controllers": ["here"],
        "slurm_conf_options": options,
    }
    (directory / "play.yml").write_text(PLAY)
    (directory / "variables.json").write_text(json.dumps(variables))
    return subprocess.run(
        [
            "ansible-playbook",
            "--inventory=here,",
            f"--extra-vars=@{directory}/variables.json",
            *more,
            f"{directory}/play.yml",
        ],
        cwd=tree.ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_refused_run_has_written_nothing(tmp_path: Path) -> None:
    """Whereas the same run with a good value goes on to the files."""
    good = played(tmp_path, {"MailDomain": "a"}, "--check", "--diff")
    assert good.returncode == 0, good.stdout
    assert "+MailDomain=a" in good.stdout
    bad = played(tmp_path, {"MailDomain": "a\nMaxNodeCount=9"})
    assert bad.returncode != 0
    assert "slurm_conf_options.MailDomain: 'a\\nMaxNodeCount=9' is refused: it has a line end" in bad.stdout
    assert "changed=0" in bad.stdout
    assert not (tmp_path / "slurm").exists()


def test_every_template_is_looked_at() -> None:
    assert len(list(Path(tree.ROOT).glob("roles/*/templates/**/*.j2"))) >= 12


def test_a_misspelt_group_of_the_controllers_is_refused_before_any_host_is_asked(tmp_path: Path) -> None:
    """Without slurmdbd, too: the REST host was made ready first, and the run ended in a word of Ansible's."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"slurmctrld": {"hosts": {"here": {}}}, "slurmrestd": {"hosts": {"here": {}}}}))
    done = subprocess.run(
        ["ansible-playbook", f"--inventory={inventory}", "--connection=local", "--check", "playbooks/deploy.yml"],
        cwd=tree.ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    words = " ".join(done.stdout.split())
    assert "Nothing was changed. slurm_common_controllers: [] is refused." in words, done.stdout + done.stderr
    assert "the group slurmctld" in words
    assert "Look at the host before anything changes" not in words


def test_playbooks_ask_for_no_group_that_an_inventory_may_leave_out() -> None:
    lines = [line for file in (tree.ROOT / "playbooks").rglob("*.yml") for line in file.read_text().splitlines()]
    asked = [line for line in lines if re.search(r"groups\['\w+'\]", line) and not line.lstrip().startswith("#")]
    assert asked
    # Behind "in groups", or a slice of the group on whose host it is asked.
    bare = [line for line in asked if re.search(r"groups\['\w+'\](?! \| default)(?!\[:1\])", line)]
    assert bare == []


def test_hosts_come_in_the_order_of_the_inventory() -> None:
    """difference() and its like give a set, in another order each time, and whoever comes first leads."""
    plays = [
        play
        for file in sorted((tree.ROOT / "playbooks").glob("*.yml"))
        for play in yaml.safe_load(file.read_text())
        if "hosts" in play
    ]
    assert plays
    assert [play["name"] for play in plays if re.search(r"\| *(difference|intersect|union)\b", play["hosts"])] == []
