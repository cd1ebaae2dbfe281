"""What sites say of issuers and tokens, as it arrives in slurm.conf, slurmdbd.conf and the units of the timer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.errors import AnsibleError
from slurmrest.slurm.releases import RELEASES

from tests.meta import tree
from tests.render.roles import evaluate

if TYPE_CHECKING:
    from pathlib import Path

ISSUERS = [{"name": "login", "url": "https://login.example.org/jwks"}]
BASIC = "jwt_key=/var/lib/slurm/jwt/jwt_hs256.key"
WITH_KEYS = f"{BASIC},jwks=/var/lib/slurmrest-jwks/jwks.json"
UNITS = ("service", "timer")


def facts(version: str = "26.05.5", **other: Any) -> dict[str, Any]:
    conf = {"exists": False, "ours": False, "jwt_key_path": "", "jwks": ""}
    return {"version": version, "slurm_conf": conf, "slurmdbd_conf": conf, **other}


def conf(name: str, version: str = "26.05.5", **variables: Any) -> str:
    """AuthAltParameters of a file that this toolkit writes whole."""
    lookup = f"lookup('ansible.builtin.template', '{name}.j2')"
    known = {"slurm_conf_cluster_name": "c", "slurm_common_dbd_host": "db", **variables}
    text = evaluate("slurm_conf", lookup, known, facts(version))
    (value,) = re.findall(r"^AuthAltParameters=(.*)$", text, re.MULTILINE)
    return str(value)


@pytest.mark.parametrize("name", ["slurm.conf", "slurmdbd.conf"])
def test_both_files_say_the_same(name: str) -> None:
    assert conf(name) == BASIC
    assert conf(name, slurm_jwks_issuers=ISSUERS) == WITH_KEYS
    assert conf(name, slurm_jwks_issuers=ISSUERS, slurm_common_hs256=False) == WITH_KEYS.split(",")[1]
    options: dict[str, Any] = {
        "slurm_conf_userclaimfield": "email",
        "slurm_conf_disable_token_creation": True,
        "slurm_conf_max_token_lifespan": "3600",
        "slurm_conf_client_ids": "only",
    }
    assert conf(name, **options) == (
        f"{BASIC},userclaimfield=email,disable_token_creation,max_token_lifespan=3600,use_jwt_client_ids_only"
    )


@pytest.mark.parametrize(("ours", "there", "found"), [
    (False, None, "/var/spool/slurmd"), (True, None, "/var/spool/slurmd"), (False, "/x", "/var/spool/slurmd"),
    (True, "/var/lib/slurm/slurmd", "/var/lib/slurm/slurmd"),
])  # fmt: skip
def test_slurmd_s_state_is_a_place_of_root_s_or_where_it_is(ours: bool, there: str | None, found: str) -> None:
    known = facts()
    known["slurm_conf"] = {**known["slurm_conf"], "ours": ours, "slurmd_spool_dir": there}
    lookup = "lookup('ansible.builtin.template', 'slurm.conf.j2')"
    assert f"\nSlurmdSpoolDir={found}\n" in evaluate("slurm_conf", lookup, {"slurm_conf_cluster_name": "c"}, known)


def test_a_site_with_a_key_set_alone_gets_no_key() -> None:
    """Its tokens come from an issuer: a key that nobody asked for would make root's tokens for whoever reads it."""
    own = {"path": "/etc/slurm/slurm.conf", "exists": True, "ours": False, "jwt_key_path": "", "jwt_key": ""}
    own["jwks"] = "/etc/slurm/site.jwks"
    dbd = {**own, "jwks": ""}
    known = facts(release={"auth_prefix_required": False, "include_beside_includer": False}, prefix="/usr")
    known.update(slurm_conf=own, slurmdbd_conf=dbd)
    assert evaluate("slurm_conf", "slurm_common_hs256", {}, known) is False
    request = evaluate("slurm_conf", "__slurm_conf_request", {}, known)
    assert (request["jwt_key"], request["parameters"]) == ("", ["jwks=/etc/slurm/site.jwks"])
    asked = evaluate("slurm_conf", "__slurm_conf_request", {"slurm_common_hs256": True}, known)
    assert (asked["jwt_key"], asked["parameters"]) == (BASIC.partition("=")[2], [])
    for other in ({"jwt_key": "/k"}, {"jwks": "/var/lib/slurm/jwks/jwks.json"}, {"jwks": ""}):
        assert evaluate("slurm_conf", "slurm_common_hs256", {}, {**known, "slurm_conf": {**own, **other}}) is True


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.series)
def test_a_release_without_an_option_stops_the_run_by_the_name_of_the_variable(release: Any) -> None:
    wishes = {
        "slurm_jwks_issuers": ("jwks", ISSUERS),
        "slurm_conf_userclaimfield": ("userclaimfield", "email"),
        "slurm_conf_max_token_lifespan": ("max_token_lifespan", 60),
        "slurm_conf_client_ids": ("use_jwt_client_ids", "use"),
    }
    for variable, (column, value) in wishes.items():
        if getattr(release, column):
            assert "," in conf("slurm.conf", release.last_known, **{variable: value})
            continue
        with pytest.raises(AnsibleError, match=f"{variable}: .* is refused: Slurm {re.escape(release.last_known)}"):
            conf("slurm.conf", release.last_known, **{variable: value})


@pytest.mark.parametrize("value", ["1h", "-5", -1, 2**31, "infinite"])
def test_a_limit_that_is_none_is_refused_and_not_taken_for_no_limit(value: Any) -> None:
    with pytest.raises(AnsibleError, match=rf"slurm_conf_max_token_lifespan: '?{value}'? is refused. Allowed: 0 "):
        conf("slurm.conf", slurm_conf_max_token_lifespan=value)


def test_a_site_s_own_files_are_asked_for_the_same() -> None:
    known = facts(release={"auth_prefix_required": False, "include_beside_includer": False}, prefix="/usr")
    request = evaluate("slurm_conf", "__slurm_conf_request", {"slurm_jwks_issuers": ISSUERS}, known)
    assert (request["jwt_key"], request["parameters"]) == (BASIC.partition("=")[2], [WITH_KEYS.split(",")[1]])
    alone = {"slurm_jwks_issuers": ISSUERS, "slurm_common_hs256": False}
    assert evaluate("slurm_conf", "__slurm_conf_request", alone, known)["jwt_key"] == ""


# --- the timer -------------------------------------------------------------------------------------------------------


def unit(kind: str, **variables: Any) -> str:
    lookup = f"lookup('ansible.builtin.template', 'etc/systemd/system/slurmrest-jwks.{kind}.j2')"
    result = {"__slurm_jwks_result": {"python": "/usr/bin/python3"}}
    text: str = evaluate("slurm_jwks", lookup, {"slurm_jwks_issuers": ISSUERS, **result, **variables}, facts())
    return text


def analyzed(folder: Path, *words: str) -> str:
    """What systemd-analyze says of both units; the interpreter is one that is surely there."""
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: install the package systemd"
    for kind in UNITS:
        (folder / f"slurmrest-jwks.{kind}").write_text(unit(kind).replace("/usr/bin/python3", "/bin/true"))
    files = [str(folder / f"slurmrest-jwks.{kind}") for kind in UNITS]
    done = subprocess.run([analyze, *words, *files], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    assert analyzed(tmp_path, "verify") == ""


LOOK = "from slurmrest.host.programs import run, whom; print(run(['id', '-u'], **whom(65534, 65534)).stdout)"
"""What is done before a restart: a program of the daemon is run as the daemon's account."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_its_sandbox_lets_it_look_at_daemons_as_their_account() -> None:
    rights = re.findall(r"^CapabilityBoundingSet=(.+)$", unit("service"), re.MULTILINE)[0].lower().split()
    bounds = ",".join(["-all", *(f"+{right.removeprefix('cap_')}" for right in rights)])
    command = ["setpriv", f"--bounding-set={bounds}", sys.executable, "-c", LOOK]
    engine = {"PYTHONPATH": str(tree.ROOT / "plugins" / "module_utils")}
    done = subprocess.run(command, env={**os.environ, **engine}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "65534"


def test_the_timer_s_interval_and_patience_are_the_site_s() -> None:
    assert "OnUnitInactiveSec=15min\n" in unit("timer")
    assert "RandomizedDelaySec=60\n" in unit("timer")
    assert "RandomizedDelaySec=6\n" in unit("timer", slurm_jwks_interval=1)
    assert "TimeoutStartSec=630\n" in unit("service", slurm_jwks_issuers=ISSUERS * 2)
    assert "ReadWritePaths=/srv/keys /var/lib/slurmrest\n" in unit("service", slurm_common_jwks_path="/srv/keys/j.json")


def test_the_timer_goes_before_other_keys_come() -> None:
    """A look that it begins after them, by the former issuers, would put theirs back."""
    tasks = yaml.safe_load((tree.ROOT / "roles" / "slurm_jwks" / "tasks" / "main.yml").read_text())
    files = [task.get("ansible.builtin.import_tasks") for task in tasks]
    assert files.index("remove.yml") < files.index("place.yml") < files.index("timer.yml")


def test_sets_that_are_files_here_travel_with_the_task(tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"keys": []}))
    both = {"slurm_jwks_issuers": [*ISSUERS, {"name": "file", "file": str(file)}]}
    assert evaluate("slurm_jwks", "__slurm_jwks_documents", both, facts()) == {str(file): '{"keys": []}'}
    assert evaluate("slurm_jwks", "__slurm_jwks_documents", {"slurm_jwks_issuers": ISSUERS}, facts()) == {}
    # By mistake: no host is to be told, for a module tells the journal what it was given before it refuses it.
    private = tmp_path / "private.json"
    private.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "k", "d": "private-part"}]}))
    mistaken = {"slurm_jwks_issuers": [{"name": "file", "file": str(private)}]}
    with pytest.raises(AnsibleError, match=r"private\.json: key 1 has private parts \(d\)") as refused:
        evaluate("slurm_jwks", "__slurm_jwks_documents", mistaken, facts())
    assert "private-part" not in str(refused.value)


@pytest.mark.parametrize(
    ("exists", "ours", "consent", "timer"),
    [
        (False, False, False, True),
        (True, True, False, True),
        (True, False, False, False),
        (True, False, True, True),
    ],
)
def test_a_site_s_daemons_are_loaded_by_a_timer_with_consent_only(
    exists: bool, ours: bool, consent: bool, timer: bool
) -> None:
    known = facts()
    known["slurm_conf"] = {**known["slurm_conf"], "exists": exists, "ours": ours}
    variables = {"slurmrest_allow_controller_restart": consent, "slurm_common_components": ["slurmctld"]}
    found = evaluate("slurm_jwks", "__slurm_jwks_timer", {"slurm_jwks_issuers": ISSUERS, **variables}, known)
    assert bool(found) is timer
    alone = {"slurm_jwks_issuers": [{"name": "file", "file": "x"}], **variables}
    assert not evaluate("slurm_jwks", "__slurm_jwks_timer", alone, known)


# --- gateways that sign ----------------------------------------------------------------------------------------------


def gateways(**hosts: dict[str, Any]) -> dict[str, Any]:
    return {"groups": {"slurmrest_gateway": list(hosts)}, "hostvars": hosts}


def test_a_gateway_that_signs_is_an_issuer() -> None:
    document = '{"keys": []}'
    signs = {"slurmrest_gateway_identity": "pam", "__slurmrest_gateway_document": document}
    variables = gateways(gate1=signs, gate2={}, gate3={**signs, "slurmrest_gateway_state": "absent"})
    found = evaluate("slurm_jwks", "__slurm_common_issuers", {**variables, "slurm_jwks_issuers": ISSUERS}, facts())
    assert found == [*ISSUERS, {"name": "gateway-gate1", "file": "gateway gate1"}]
    assert evaluate("slurm_jwks", "__slurm_jwks_documents", variables, facts()) == {"gateway gate1": document}
    assert conf("slurm.conf", **variables) == WITH_KEYS
    assert conf("slurm.conf", **gateways(gate2={})) == BASIC


def test_a_gateway_without_a_key_yet_is_none() -> None:
    """As in check mode, before the first run."""
    variables = gateways(gate={"slurmrest_gateway_identity": "pam", "__slurmrest_gateway_document": ""})
    assert evaluate("slurm_jwks", "__slurm_common_issuers", variables, facts()) == []
    assert conf("slurm.conf", **variables) == BASIC


def test_a_gateway_that_was_not_reached_keeps_its_key() -> None:
    """Other playbooks go on; the one that would write the set without it ends."""
    variables = gateways(gate={"slurmrest_gateway_identity": "pam"})
    assert conf("slurm.conf", **variables) == WITH_KEYS
    with pytest.raises(AnsibleError, match=r"key of the gateway on gate is not known"):
        evaluate("slurm_jwks", "__slurm_jwks_documents", variables, facts())
