"""Causes in what is installed of slurmrestd: its program, the libraries of it, its plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..slurm.package_plan import parts
from .model import CONFS, Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, word
from .rules_units import STARTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def _missing(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        binary, program = host.facts["slurmrestd"], host.evidence.get("program") or {}
        if not binary["path"] and program.get("exists") and not program["executable"]:
            yield Sign(
                host.name,
                f"{program['path']}, which the unit runs, is there and cannot be executed.",
                [f"{program['path']}: mode {program['mode']}"],
                f"`chmod 0755 {word(program['path'])}`, then {start_again([host.rest_unit])}",
            )
        elif not binary["path"] or binary["missing_library"]:
            what = binary["missing_library"]
            yield Sign(
                host.name,
                f"slurmrestd does not start without {what}." if what else "slurmrestd is not installed.",
                [binary["error"] or "no slurmrestd in the usual places"],
                f"Install {parts(host.facts)[1 if what else 0]}; then {DEPLOY}, which from the distribution does both.",
            )
        else:
            yield from _without_plugins(host)


def _without_plugins(host: Host) -> Iterator[Sign]:
    """Its package is there, and files of it are not: of one kind of plugin there is none."""
    there, release = host.facts["plugins"], host.release
    kinds = {
        "openapi": there["openapi"],
        "data_parser": there["data_parser"] if release and release.data_parser_flag else True,
        "rest_auth": there["rest_auth_jwt"] or there["rest_auth_local"],
    }
    gone = [kind for kind, found in kinds.items() if not found]
    if not gone or not release or not host.facts["plugin_dir"] or not host.down("slurmrestd"):
        return
    yield Sign(
        host.name,
        f"slurmrestd is there, and of its plugins {' and '.join(gone)} there is none.",
        [
            *(f"{host.facts['plugin_dir']}/{kind}_*.so: no such file" for kind in gone),
            *host.said("slurmrestd", r"(?i)plugin")[:1],
        ],
        "Reinstall the package that has them (on a host that has them, dpkg -S or rpm -qf "
        f"{host.facts['plugin_dir']}/{gone[0]}_*.so says which), then systemctl restart {host.rest_unit}.",
    )


def _not_deployed(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        unit, fields = host.unit, host.evidence["units"].get("slurmrestd") or {}
        if unit["fragment"] and not unit["dropins"] and host.state("slurmrestd") == "stopped" and not fields["enabled"]:
            yield Sign(
                host.name,
                "slurmrestd is installed and nobody has set it up, or it was taken away again: it neither runs nor is "
                "enabled, and its unit is as it was brought.",
                [f"{unit['fragment']}, without a drop-in", f"systemctl is-enabled {host.rest_unit}: no"],
                DEPLOY,
            )


def _no_slurm(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon in cluster.each("slurmdbd", "slurmctld"):
        conf = host.facts[CONFS[daemon]]
        if host.state(daemon) == "absent" and not conf["exists"] and not host.planned:
            yield Sign(
                host.name,
                f"The host is in the group {daemon}, and {daemon} was never set up on it.",
                [f"systemctl show {host.service(daemon)}: LoadState=not-found", f"{conf['path']} does not exist"],
                "ansible-playbook playbooks/cluster.yml makes a new cluster, to which REST is then added. Where the "
                f"cluster is there, name the host that has {daemon} in that group.",
            )


RULES = (
    Rule(
        "cluster-missing",
        "There is no Slurm on a host that should have it",
        "quickstart_admin.html, Quick Start Administrator Guide",
        _no_slurm,
        explains=(
            *("slurmctld-stopped", "slurmdbd-stopped", "slurm-conf-missing"),
            *("token-refused", "accounting-refused", "token-not-minted"),
        ),
        preflight=True,
        by_hand="whether a new cluster is meant is the site's to say",
    ),
    Rule(
        "not-deployed",
        "slurmrestd was never set up on a host that should have it",
        "rest_quickstart.html",
        _not_deployed,
        explains=(
            *("slurmrestd-stopped", "listens-elsewhere", "not-listening", "token-refused", "accounting-refused"),
            *("account-root", "account-slurm-user", "account-slurm-group", "account-nobody", "account-missing"),
            *("account-extra-groups", "slurm-jwt-not-daemon", "auth-plugin-not-named", "no-listener"),
            *("socket-directory-missing", "accounting-plugin", "restart-missing"),
        ),
    ),
    Rule(
        "slurmrestd-missing",
        "slurmrestd, or a part of it, is not installed",
        "quickstart_admin.html",
        _missing,
        explains=STARTS,
        fatals="shared librar|EXEC|plugin",
        by_hand="which package has a plugin differs with who packaged Slurm",
    ),
)
