"""A cluster whose files the site wrote by hand: adopted, refused, rolled back and given back, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.slurm.releases import excerpt
from slurmrest.transaction.restart_columns import COLUMNS

from tests.real.clusters import ROOT, LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

# The group variables of a test cluster name it: empty here, since the site owns the files.
SITE: dict[str, Any] = {"slurm_conf_cluster_name": ""}
CONSENT = {**SITE, "slurmrest_allow_controller_restart": True}
ROLES = ("--tags", "slurm_jwt_key,slurm_conf")
HOLDERS = ("ctl", "rest", "c1")
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"

# What the toolkit wrote becomes what somebody wrote in ten years: Latin-1, CRLF, tabs, an included file, no newline at
# the end.
TO_SITE = r"""
set -e
cd /etc/slurm
[ -e /root/toolkit ] || { mkdir /root/toolkit; cp -p slurm*.conf /root/toolkit/; }
rm -rf conf.d *.key
if [ -e /root/toolkit/slurm.conf ]; then
    mkdir conf.d
    printf '# f\374r die Anmeldung\r\nAuthAltParameters=disable_token_creation\t# since 2019' > conf.d/auth.conf
    { printf '### Cluster der Fakult\344t, gepflegt von J\366rg\r\n'
      grep -v -e '^#' -e '^AuthAlt' -e '^NodeName' /root/toolkit/slurm.conf
      printf 'include\tconf.d/auth.conf # see there\r\n#AuthAltTypes=auth/jwt\n'
      grep '^NodeName' /root/toolkit/slurm.conf | sed 's/ CPUs/ \\\n    CPUs/'
      printf 'MailProg\t=\t/bin/true'
    } > slurm.conf
    chown root:slurm slurm.conf conf.d/auth.conf
    chmod 0640 conf.d/auth.conf; chmod 0664 slurm.conf
    if [ -e /usr/sbin/slurmrestd ]; then chmod 0644 conf.d/auth.conf; fi
fi
if [ -e /root/toolkit/slurmdbd.conf ]; then
    { grep -v -e '^#' -e '^AuthAlt' /root/toolkit/slurmdbd.conf
      printf '#StoragePass=hunter2-old\nStoragePass=hunter2\n'; } > slurmdbd.conf
    chown slurm:slurm slurmdbd.conf; chmod 0600 slurmdbd.conf
fi
rm -rf /var/lib/slurm/jwt
for unit in slurmdbd slurmctld slurmd; do
    if systemctl is-enabled --quiet $unit 2>/dev/null; then systemctl reset-failed $unit; systemctl restart $unit; fi
done
"""
STATE = r"""
cd /etc/slurm; find . -type f -name '*.conf*' ! -path './plugstack*' -exec sha256sum {} + | sort -k2
find . -exec stat -c '%n %U:%G %a' {} + | sort
for unit in slurmdbd slurmctld; do systemctl show -p MainPID -p ActiveState $unit; done
"""


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("merge", release, "--layout", "split", "--nodes", "1") as live:
        yield live


@pytest.fixture
def site(cluster: LiveCluster) -> LiveCluster:
    """Return the cluster as the site has it, its daemons running on it."""
    for node in ("db", *HOLDERS):
        cluster.ssh(node, TO_SITE)
    answers(cluster)
    return cluster


def answers(cluster: LiveCluster) -> None:
    """Wait until slurmctld and slurmdbd answer."""
    cluster.ssh(
        "ctl", "for n in $(seq 100); do sacctmgr -n list cluster && scontrol ping && exit; sleep 0.2; done; exit 1"
    )


def state(cluster: LiveCluster) -> dict[str, str]:
    """Return files with owners and modes, and the daemons' processes."""
    return {node: cluster.ssh(node, STATE) for node in ("db", *HOLDERS)}


def files(cluster: LiveCluster) -> dict[str, str]:
    """Return files with owners and modes only."""
    return {node: text.partition("MainPID")[0] for node, text in state(cluster).items()}


def deploy(cluster: LiveCluster, variables: dict[str, Any], *words: str) -> Play:
    """Deploy with the site's own files; whatever happens, no password is shown."""
    play = cluster.playbook("deploy.yml", "--diff", *words, variables=variables)
    assert "hunter2" not in play.output
    return play


def module(cluster: LiveCluster, node: str, arguments: dict[str, Any]) -> None:
    """Run the module that changes files on a node, as the action does for each of its steps."""
    ansible = [str(Path(sys.executable).with_name("ansible")), node, "--become"]
    inventory = ["--inventory", str(cluster.directory / "inventory" / "hosts.yml")]
    words = ["--module-name", "slurmrest.toolkit.slurm_conf_merge_change", "--args", json.dumps(arguments)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(
        [*ansible, *inventory, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_consent_nothing_changes_and_the_lines_are_shown(site: LiveCluster) -> None:
    before = state(site)
    play = deploy(site, SITE).good()
    assert state(site) == before
    assert "REST cannot work until slurmctld and slurmdbd accept tokens" in play.words
    for line in (
        "/etc/slurm/conf.d/auth.conf, line 2:",
        f"+ AuthAltParameters=disable_token_creation,jwt_key={KEY}",
        "/etc/slurm/conf.d/auth.conf, after line 2:",
        "+ AuthAltTypes=auth/jwt",
        "/etc/slurm/slurmdbd.conf, at the end:",
        "then: systemctl restart slurmdbd",
        "then: systemctl restart slurmctld",
    ):
        assert line in play.output, line
    assert site.ssh("rest", "systemctl is-active slurmrestd").strip() == "active"


def test_with_consent_rest_works_and_absent_gives_every_byte_back(site: LiveCluster) -> None:
    before = state(site)
    job = site.ssh("ctl", "sbatch --parsable -D /tmp -o /dev/null --uid=alice --wrap 'sleep 600'").strip()
    announced = deploy(site, CONSENT, "--check", "-vvv").good()
    assert state(site) == before
    play = deploy(site, CONSENT).good()
    assert "all good" in play.words
    for line in (
        "+# slurmrest.toolkit added to AuthAltParameters",
        f"+AuthAltParameters=disable_token_creation,jwt_key={KEY}",
    ):
        assert line in play.output
        assert line in announced.output
    after = state(site)
    assert {node for node in before if before[node].splitlines()[-4:] != after[node].splitlines()[-4:]} == {"db", "ctl"}
    copies = [site.ssh(node, "cd /etc/slurm; sha256sum slurm.conf conf.d/auth.conf") for node in HOLDERS]
    assert copies == copies[:1] * 3
    assert "HASH_VAL                = Match" in site.ssh("ctl", "scontrol show config")
    assert site.ssh("ctl", "find / -xdev -name '*slurmrest-rollback*' -o -xdev -name 'journal-slurm_conf*'") == ""
    assert site.ssh("ctl", f"squeue -h -j {job} -o %T").strip() in ("RUNNING", "PENDING")
    again = deploy(site, CONSENT).good()
    assert again.changed == 0, again.output
    assert deploy(site, SITE).good().changed == 0
    deploy(site, {**CONSENT, "slurm_conf_state": "absent"}, "--tags", "slurm_conf").good()
    assert files(site) == {node: text.partition("MainPID")[0] for node, text in before.items()}
    answers(site)
    assert site.ssh("ctl", f"squeue -h -j {job} -o %T").strip() in ("RUNNING", "PENDING")
    site.ssh("ctl", f"scancel {job}")


def test_what_slurmctld_refuses_comes_back_on_all_hosts(site: LiveCluster) -> None:
    # A key that the site names, and has for slurmdbd only: the files are sound, slurmdbd takes them, slurmctld ends.
    gone = "/etc/slurm/gone.key"
    site.ssh("ctl", f"sed -i 's|disable_token_creation|jwt_key={gone}|' /etc/slurm/conf.d/auth.conf")
    site.ssh("ctl", "systemctl restart slurmctld")
    site.ssh("db", f"umask 077; head -c 32 /dev/urandom > {gone}; chown slurm: {gone}")
    answers(site)
    before, slurmdbd = files(site), state(site)["db"].splitlines()[-4:]
    play = deploy(site, CONSENT, "--tags", "slurm_conf", "-vvv")
    assert play.status != 0
    assert "/etc/slurm/gone.key" in play.output
    assert "The daemon's own words" in play.words
    assert "The previous files are back on db as well" in play.words
    assert files(site) == before
    assert state(site)["db"].splitlines()[-4:] != slurmdbd, "it ran on the new files, and was started again on the old"
    answers(site)
    assert site.ssh("ctl", "systemctl show -p NRestarts slurmctld").strip() == "NRestarts=0"


def test_an_edit_that_nobody_has_loaded_stops_the_run(site: LiveCluster) -> None:
    site.ssh("ctl", "printf '\\nReturnToService=1\\n' >> /etc/slurm/slurm.conf")
    before = state(site)
    play = deploy(site, CONSENT, *ROLES)
    assert play.status != 0
    assert "is not what slurmctld has loaded" in play.words
    assert state(site) == before
    site.ssh("ctl", "touch /etc/slurm/slurm.conf; scontrol reconfigure")
    answers(site)
    play = deploy(site, CONSENT).good()
    assert "slurm.conf of this host is not the same as on ctl" in play.words


def test_what_slurm_s_parser_refuses_never_goes_live(site: LiveCluster) -> None:
    site.ssh("db", "printf 'StoragePass=hunter2 with a blank\\n' >> /etc/slurm/slurmdbd.conf")
    site.ssh("db", "touch -d '1 day ago' /etc/slurm/slurmdbd.conf")
    before = state(site)
    play = deploy(site, CONSENT, *ROLES)
    assert play.status != 0
    assert "slurmdbd would not start again (/usr/sbin/slurmdbd): it refuses its configuration as it is" in play.words
    assert "/etc/slurm/slurmdbd.conf" in play.words
    assert "with a blank" not in play.words
    assert state(site) == before


def test_what_cannot_be_written_is_named_before_anything_changes(site: LiveCluster) -> None:
    site.privileged("ctl", "mount --bind /etc/slurm /etc/slurm && mount -o remount,bind,ro /etc/slurm")
    try:
        before = state(site)
        play = deploy(site, CONSENT, *ROLES)
    finally:
        site.privileged("ctl", "umount /etc/slurm")
    assert play.status != 0
    assert "/etc/slurm/conf.d/auth.conf cannot be replaced on this host" in play.words
    assert state(site) == before


def test_read_only_copies_follow_the_file_that_they_share_and_others_stay(site: LiveCluster) -> None:
    # rest sees what ctl writes seconds later, as over NFS; what c1 has is its own.
    site.ssh("c1", "printf '\\n# of this node\\n' >> /etc/slurm/slurm.conf")
    for node in ("rest", "c1"):
        site.privileged(
            node,
            "mkdir -p /run/server && mount --bind /etc/slurm /run/server"
            " && mount --bind /etc/slurm /etc/slurm && mount -o remount,bind,ro /etc/slurm",
        )
    own = files(site)["c1"]
    try:
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve, site)
            play = deploy(site, CONSENT)
            served.result()
        said = play.words
        assert play.status == 0, play.output
        assert "all good" in said
        assert files(site)["c1"] == own
        assert "/etc/slurm/conf.d/auth.conf cannot be replaced on this host" in said
        assert "so nobody writes it for this host" in said
        assert site.ssh("rest", "sha256sum < /etc/slurm/conf.d/auth.conf") == site.ssh(
            "ctl", "sha256sum < /etc/slurm/conf.d/auth.conf"
        )
        assert deploy(site, CONSENT).good().changed == 0
    finally:
        for node in ("rest", "c1"):
            site.privileged(node, "umount /etc/slurm; umount /run/server")


def serve(site: LiveCluster) -> None:
    """Let rest see what ctl wrote, three seconds later."""
    site.ssh("ctl", "for n in $(seq 300); do grep -qs jwt_key= /etc/slurm/conf.d/auth.conf && exit; sleep 0.2; done")
    time.sleep(3)
    for name in ("slurm.conf", "conf.d/auth.conf"):
        text = site.ssh("ctl", f"base64 /etc/slurm/{name}")
        site.ssh("rest", f"base64 -d > /run/server/{name} <<'END'\n{text}\nEND")


def test_assert_names_the_lines_and_writes_nothing(site: LiveCluster) -> None:
    before = state(site)
    play = deploy(site, {**CONSENT, "slurm_conf_mode": "assert"}, *ROLES)
    assert play.status != 0
    assert "/etc/slurm/conf.d/auth.conf, line 2:" in play.words
    assert f"+ AuthAltParameters=disable_token_creation,jwt_key={KEY}" in play.words
    assert state(site) == before


def test_the_site_s_key_is_adopted(site: LiveCluster) -> None:
    path = "/etc/slurm/site.key"
    site.ssh("ctl", f"head -c 32 /dev/urandom > {path}; chown root:slurm {path}; chmod 0440 {path}")
    lines = f"sed -i 's|=disable_token_creation|=jwt_key={path},disable_token_creation|' /etc/slurm/conf.d/auth.conf"
    for node in HOLDERS:
        site.ssh(node, f"{lines}; sed -i 's/^#AuthAltTypes/AuthAltTypes/' /etc/slurm/slurm.conf")
    site.ssh("ctl", "systemctl restart slurmctld")
    answers(site)
    key = site.ssh("ctl", "cat /etc/slurm/site.key | sha256sum; stat -c '%U:%G %a' /etc/slurm/site.key")
    before = site.ssh("ctl", STATE)
    play = deploy(site, CONSENT).good()
    assert "all good" in play.words
    assert site.ssh("ctl", "cat /etc/slurm/site.key | sha256sum; stat -c '%U:%G %a' /etc/slurm/site.key") == key
    assert site.ssh("ctl", STATE) == before
    assert "jwt_key=/etc/slurm/site.key" in site.ssh("db", "cat /etc/slurm/slurmdbd.conf")
    assert site.ssh("db", "cat /etc/slurm/site.key | sha256sum").split()[0] == key.split()[0]


def test_a_run_that_was_killed_between_two_hosts_is_healed(site: LiveCluster) -> None:
    deploy(site, SITE, "--tags", "slurm_jwt_key").good()
    parts = [{"kind": "slurmdbd", "path": "/etc/slurm/slurmdbd.conf"}]
    module(site, "db", {"parts": parts, "jwt_key": KEY, "hold": True, "columns": excerpt(*COLUMNS)})
    assert "slurmrest-rollback" in site.ssh("db", "ls -l /etc/slurm")
    assert "-rw------- 1 slurm slurm" in site.ssh("db", "ls -l /etc/slurm/*slurmrest-rollback")
    play = deploy(site, CONSENT).good()
    assert "all good" in play.words
    assert "slurmrest-rollback" not in site.ssh("db", "ls -l /etc/slurm")
    assert deploy(site, CONSENT).good().changed == 0


def test_slurm_reads_every_file_of_the_corpus_as_before(cluster: LiveCluster) -> None:
    corpus = ("tests/unit/corpus", "slurmconf")
    folders = (("plugins/module_utils", "slurmrest"), corpus, ("tests/real/merge", "node_corpus.py"))
    pack = ["tar", "-cf", "-", *(word for folder, name in folders for word in ("-C", str(ROOT / folder), name))]
    packed = subprocess.run(pack, capture_output=True, check=True).stdout
    ssh = ["ssh", "-F", str(cluster.directory / "ssh_config"), "ctl", "sudo tar -C /srv -xf -"]
    subprocess.run(ssh, input=packed, check=True)
    answers(cluster)
    said = cluster.ssh("ctl", f"cd /srv; python3 node_corpus.py slurmconf {cluster.release}")
    verdicts = json.loads(said.splitlines()[-1])
    assert len(verdicts) >= 40
    for name, verdict in verdicts.items():
        assert ("refused" in verdict) == name.startswith("refused-"), (name, verdict)
        if "refused" not in verdict:
            assert bool(verdict["before"]) == bool(verdict["after"]), (name, verdict)
            assert verdict["checksum"] is not False, name
    accepted = [name for name, verdict in verdicts.items() if "refused" not in verdict and not verdict["after"]]
    assert len(accepted) >= 55
