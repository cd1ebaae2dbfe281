"""A portal's token: it arrives, works, is kept fresh, survives what fails, and its key opens nothing else.

The tests follow each other on one cluster, as a site would go.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from slurmrest.auth import bearer, jwt

from tests.real.clusters import ROOT
from tests.real.tokens.conftest import CONTROLLER, DATABASE, HOME, OWNER, PORTAL, TOKEN, UNIT, USER, Portal

KEYS = f"/var/lib/slurmrest-token-users/{USER}/.ssh/authorized_keys"
KNOWN_HOSTS = "/etc/slurmrest-token.known_hosts"
SSH = (
    f"ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile={HOME}/.ssh/id "
    f"-o UserKnownHostsFile={KNOWN_HOSTS} -o HostKeyAlias=ctl -o LogLevel=ERROR"
)


def test_bad_input_is_refused_before_anything_changes(portal: Portal) -> None:
    cases: tuple[tuple[str, Any], ...] = (
        ("slurmrest_token_user", "slurm"),
        ("slurmrest_token_owner", "nobody-is-called-so"),
        ("slurmrest_token_lifespan", 60),
        ("slurmrest_token_path", "/home/x/token"),
        ("slurmrest_token_sandbox", {"User": "root"}),
    )
    for variable, value in cases:
        play = portal.tokens(**{variable: value})
        assert play.status != 0
        assert play.changed == 0
        assert f"{variable}: " in play.output
        assert "Nothing was changed." in play.words
        assert "Allowed: " in play.output


def test_check_mode_says_what_would_be_made_and_makes_nothing(portal: Portal) -> None:
    play = portal.tokens("--check", "--diff").good()
    assert play.changed > 3
    assert portal.ssh(f"ls -d {HOME} /etc/slurmrest-token.json 2>/dev/null || true") == ""
    assert portal.ssh(f"getent passwd {USER} || true", CONTROLLER) == ""


def test_the_token_arrives_and_works(portal: Portal) -> None:
    portal.tokens().good()
    assert portal.ssh(f"stat -c '%U %G %a' {TOKEN}").split() == [OWNER, OWNER, "600"]
    status, body = portal.diag()
    assert (status, body["errors"]) == (200, [])
    assert body["statistics"]
    status, body = portal.ask(f"/slurmdb/{portal.newest_api}/clusters")
    assert (status, body["errors"]) == (200, [])
    metrics = portal.metrics()
    assert 3500 < metrics["remaining_seconds"] <= 3600
    assert metrics["renewal_failed"] == 0


def test_a_second_run_changes_nothing(portal: Portal) -> None:
    before = portal.ssh(f"cat {TOKEN}; stat -c %i {TOKEN}")
    assert portal.tokens().good().changed == 0
    assert portal.ssh(f"cat {TOKEN}; stat -c %i {TOKEN}") == before
    assert portal.tokens("--check").good().changed == 0


def test_nobody_else_reads_the_token_or_the_key(portal: Portal) -> None:
    account = "slurmrest-token"
    for user, path in ((account, TOKEN), (OWNER, f"{HOME}/.ssh/id"), ("slurmrestd", TOKEN), ("admin", TOKEN)):
        said = portal.ssh(f"runuser -u {user} -- cat {path} 2>&1 || true")
        assert "Permission denied" in said, f"{user} {path}"
    assert portal.ssh(f"stat -c '%U %a' {HOME}/.ssh/id").split() == [account, "600"]


@pytest.mark.parametrize(
    "words",
    [
        "id",
        "'sh -c id'",
        "'scontrol token username=root'",
        "'scontrol token lifespan=99999999'",
        "'; id'",
        "-s sftp",
        "-o SendEnv=SLURM_JWT -o SetEnv=LC_ALL='$(id)' id",
        "-A -X id",
    ],
)
def test_the_key_gets_a_token_whatever_it_asks_for(portal: Portal, words: str) -> None:
    host = f"-l {USER} ctl"
    options, _, command = words.rpartition(" ") if words.startswith("-") else ("", "", words)
    said = portal.ssh(f"{SSH} {options} {host} {command} 2>&1 < /dev/null || true")
    lines = said.splitlines()
    assert len(lines) == 1, said
    assert lines[0].startswith("SLURM_JWT=ey")
    claims = _claims(lines[0])
    assert (claims["sun"], claims["exp"] - claims["iat"]) == (USER, 3600)


def _claims(line: str) -> dict[str, Any]:
    return dict(jwt.inspect(bearer.Token(line.partition("=")[2])).claims)


def test_the_key_forwards_nothing_and_gets_no_terminal(portal: Portal) -> None:
    said = portal.ssh(
        f"{SSH} -o ExitOnForwardFailure=yes -N -R 127.0.0.1:2222:127.0.0.1:22 -l {USER} ctl 2>&1 </dev/null; echo $?"
    )
    assert "remote port forwarding failed" in said
    assert said.split()[-1] == "255"
    said = portal.ssh(f"{SSH} -W 127.0.0.1:6817 -l {USER} ctl 2>&1 </dev/null; echo $?")
    assert "forwarding failed" in said
    said = portal.ssh(f"{SSH} -tt -l {USER} ctl id 2>&1 </dev/null; echo $?")
    assert "PTY allocation request failed" in said
    assert "uid=" not in said


def test_the_key_opens_no_other_account_and_the_controller_none_here(portal: Portal) -> None:
    for user in ("root", "admin", "slurm"):
        assert "Permission denied" in portal.ssh(f"{SSH} -l {user} ctl id 2>&1 </dev/null || true")
    assert portal.ssh(f"ls {HOME}/.ssh").split() == ["id", "id.pub"], "no key of another host"
    shells = {line.split(":")[0]: line.split(":")[6] for line in portal.ssh("cat /etc/passwd").splitlines()}
    assert shells["slurmrest-token"] == "/usr/sbin/nologin"


def test_the_account_cannot_lift_its_restriction(portal: Portal) -> None:
    for command in (f"sh -c ': >> {KEYS}'", f"mv {KEYS} {KEYS}.old", f"mkdir -p $(dirname {KEYS})/x"):
        said = portal.ssh(f"runuser -u {USER} -- {command} 2>&1 || true", CONTROLLER)
        assert "ermission denied" in said, command
    shadow = portal.ssh(f"getent shadow {USER}", CONTROLLER).split(":")
    assert shadow[1][:1] in ("!", "*"), "it has no password"
    uid = portal.ssh(f"id -u {USER}", CONTROLLER)
    assert portal.ssh(f"id -u {USER}", DATABASE) == uid
    assert portal.ssh(f"test ! -e {KEYS} && echo none", DATABASE).strip() == "none"


def test_the_timer_renews_it_without_anybody(portal: Portal) -> None:
    before = portal.ssh(f"stat -c %i {TOKEN}").strip()
    portal.age(1300)
    portal.wait_for_timer(60, f"test $(stat -c %i {TOKEN}) != {before}")
    assert portal.diag()[0] == 200
    assert portal.metrics()["remaining_seconds"] > 3500


def test_a_failed_renewal_keeps_the_old_token_and_says_so(portal: Portal) -> None:
    portal.age(1300)
    before = portal.ssh(f"cat {TOKEN}; stat -c '%i %Y' {TOKEN}")
    portal.ssh("systemctl stop slurmctld", CONTROLLER)
    portal.ssh(f"systemctl start {UNIT}", check=False)
    assert portal.ssh(f"systemctl show -p Result --value {UNIT}").strip() == "exit-code"
    assert portal.ssh(f"cat {TOKEN}; stat -c '%i %Y' {TOKEN}") == before
    warning = portal.ssh(f"journalctl --quiet --output=cat --priority=4..4 --unit={UNIT}")
    assert "No new token of portal: ctl: " in warning
    assert "The old one stays, good for 22" in warning or "The old one stays, good for 23" in warning
    metrics = portal.metrics()
    assert metrics["renewal_failed"] == 1
    assert 2200 < metrics["remaining_seconds"] <= 2300
    portal.ssh("systemctl start slurmctld", CONTROLLER)
    # Not the unit's Result, which is success from the moment that it starts again.
    portal.wait_for_timer(90, f"grep -q '^slurmrest_token_renewal_failed{{.*}} 0$' {HOME}/slurmrest_token.prom")
    assert portal.ssh(f"cat {TOKEN}; stat -c '%i %Y' {TOKEN}") != before
    assert portal.diag()[0] == 200


def test_another_host_in_the_controller_s_place_is_not_asked(portal: Portal) -> None:
    before = portal.ssh(f"cat {TOKEN}")
    portal.ssh(f"cp -p {KNOWN_HOSTS} /root/kept; ssh-keygen -q -t ed25519 -N '' -f /root/other")
    portal.ssh(f"echo ctl $(cut -d' ' -f1,2 /root/other.pub) > {KNOWN_HOSTS}; touch {HOME}/renew")
    portal.ssh(f"systemctl start {UNIT}", check=False)
    said = portal.ssh(f"journalctl --quiet --output=cat --unit={UNIT} --lines=20")
    assert "Host key verification failed" in said
    assert portal.ssh(f"cat {TOKEN}") == before
    portal.ssh(f"cp -p /root/kept {KNOWN_HOSTS}; rm -f /root/other* {HOME}/renew")


def test_the_unit_has_no_more_rights_than_it_needs(portal: Portal) -> None:
    said = portal.ssh(f"systemd-analyze security --no-pager {UNIT}")
    score = next(line for line in said.splitlines() if "exposure level" in line)
    assert float(score.split(": ")[1].split()[0]) <= 2.0, said


def test_it_is_nowhere_but_in_its_file(portal: Portal) -> None:
    """Neither the journals nor the syslog of both hosts hold the signature of the token."""
    signature = portal.ssh(f"cut -d. -f3 {TOKEN}").strip()
    assert len(signature) > 40
    for node in (PORTAL, CONTROLLER):
        everything = "{ journalctl --quiet --output=cat; grep -rhs . /var/log /etc /run/log; }"
        found = portal.ssh(f"{everything} | grep -c -F -f /dev/fd/3 3<<'END'\n{signature}\nEND\n", node, check=False)
        assert found.strip() == "0", node
    assert portal.ssh(f"grep -c -F -- {signature} {TOKEN}").strip() == "1", "the search works"


def test_a_rotation_ends_with_a_new_token(portal: Portal) -> None:
    old = portal.ssh(f"cat {TOKEN}")
    portal.ssh(f"install -o {OWNER} -m 0600 {TOKEN} /run/old-token")
    play = portal.tokens(playbook="rotate_jwt_key.yml", slurm_jwt_key_rotate_confirm=True).good()
    assert "Have the token" in play.words
    assert portal.ssh(f"cat {TOKEN}") != old
    assert portal.diag()[0] == 200
    assert portal.diag("/run/old-token")[0] in (401, 500, 511)


def test_it_is_there_again_after_a_reboot(portal: Portal) -> None:
    portal.live.reboot(f"slurmrest-{portal.live.name}-{PORTAL}")
    portal.wait_for_timer(60, f"systemctl is-active --quiet slurmrest-token.timer && test -s {TOKEN}")
    portal.wait_for_timer(60, "systemctl is-active --quiet slurmrestd")
    assert portal.diag()[0] == 200


def test_a_host_that_left_the_group_can_ask_no_longer(portal: Portal) -> None:
    portal.group.write_text("slurmrest_token:\n  hosts: {}\n")
    portal.tokens().good()
    assert portal.ssh(f"test ! -e {KEYS} && echo none", CONTROLLER).strip() == "none"
    assert "Permission denied" in portal.ssh(f"{SSH} -l {USER} ctl id 2>&1 </dev/null || true")
    page = (ROOT / "docs" / "tokens.md").read_text()
    block = re.search(r"```\n(  systemctl disable .*?)```", page, re.DOTALL)
    assert block
    portal.ssh(f"set -e\n{block[1]}")
    assert portal.ssh("find / -xdev -name 'slurmrest-token*'").strip() == ""
