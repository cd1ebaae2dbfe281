"""What is on this host: Slurm, its packages, plugins, configuration, units and the service account.

It changes nothing, runs a handful of programs at once, and gives a plain dictionary
(JSON-able, free of secrets) also where there is no Slurm, no systemd, or not enough permission to read everything.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, Any

from ..host.identity import account_facts, gid_of
from ..host.programs import finish
from ..host.reading import read_if_there
from ..slurm.daemons import DAEMONS
from ..slurm.version import columns_of
from ..slurmrestd import drift, unit_places
from ..slurmrestd import unit as units
from ..slurmrestd.drift import glob_files, our_dropin, unit_files
from ..systemd import environment_files
from .conf import decisive, exposed_keys, slurm_conf_facts, slurm_conf_path_of, slurmdbd_conf_facts, told
from .installation import (
    daemon_of,
    find_binaries,
    from_dpkg,
    from_rpm,
    packaging_of,
    plugins_of,
    prefix_of,
    start_programs,
)
from .run_directories import paths_of
from .units import adopted_of, other_unit, unit_facts_of, units_shown, wanted_dropin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..slurm.version import Excerpt

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


COLUMNS = ("include_beside_includer", "auth_alt_items", "daemon_http")
"""Of the release table: how a configuration is read, and who serves pages."""


def look(options: Mapping[str, Any], columns: Excerpt) -> dict[str, Any]:
    """Everything the roles want to know of this host, but what the release table says (:mod:`.detection`).

    Args:
        options: all optional. ``account``: the service account (default slurmrestd). ``slurmrestd``: path of the
            binary. ``slurm_conf``: path of slurm.conf. ``instance``: that of slurmrestd@INSTANCE.service, where
            several serve on this host. ``paths``: paths whose owner, mode and use to the account are wanted.
            ``groups``: group names to look up. ``owned``: paths of unit and environment files that count as ours
            besides the usual ones.
        columns: :data:`COLUMNS` of the release table.

    Raises:
        InputError: an instance that can be none.
    """
    names = unit_places.unit_names(options.get("instance") or "")
    binaries = find_binaries(options.get("slurmrestd"))
    started = start_programs(binaries, names[0])
    account = account_facts(options.get("account") or "slurmrestd")
    fragment, dropins = unit_files(names)
    shown = units_shown(finish(started["systemctl"]).stdout, names[0], fragment, dropins)
    fragment = shown["slurmrestd"]["fragment"]
    prefix = prefix_of(binaries)
    packages = from_dpkg() or from_rpm(started, binaries)
    daemons = {name: daemon_of(binaries.get(name), started.get(name), packages) for name in DAEMONS}
    version = next((item["version"] for item in daemons.values() if item["version"]), None)
    release = columns_of(columns, version)
    unit = units.effective(fragment or None, dropins, read_if_there, glob_files).as_dict()
    slurm_conf_path = options.get("slurm_conf") or slurm_conf_path_of(unit, other_unit(shown["slurmctld"]), prefix)
    slurm_conf, conf = slurm_conf_facts(slurm_conf_path, account, release)
    pids = {name: fields.pop("pid") for name, fields in shown.items()}
    slurm_user = str(slurm_conf["slurm_user"])
    stated = [*told(unit), *_sockets(unit)]
    adopted = adopted_of(our_dropin(names), pids["slurmrestd"], slurm_user, unit["environment"], stated)
    elsewhere = options.get("slurm_conf") or adopted["adopted"].get("slurm_common_config_dir")
    wanted = wanted_dropin(account, "-f slurm.conf" if elsewhere else "")
    unit_facts = unit_facts_of(names, fragment, dropins, wanted, options.get("owned") or ())
    slurmdbd_conf = slurmdbd_conf_facts(posixpath.join(posixpath.dirname(slurm_conf_path), "slurmdbd.conf"), release)
    said = decisive(slurm_conf, slurmdbd_conf)
    plugin_dir, plugins = plugins_of(conf, prefix)
    packaging, package = packaging_of(binaries, packages)
    return {
        **daemons,
        "euid": os.geteuid(),
        "processors": os.cpu_count() or 1,
        "os": _os_release(),
        "packages": sorted(packages.versions),
        "packaging": packaging,
        "package": package,
        "version": version,
        "prefix": prefix,
        "config_dir": posixpath.dirname(slurm_conf_path),
        "plugin_dir": plugin_dir,
        "plugins": plugins,
        "slurm_conf": slurm_conf,
        "slurmdbd_conf": slurmdbd_conf,
        "systemd": os.path.isdir("/run/systemd/system"),
        "systemd_version": _systemd_version(finish(started["systemd"]).stdout),
        "units": shown,
        "unit": unit,
        **unit_facts,
        "dropin": our_dropin(names),
        **adopted,
        "running": [item.as_dict() for item in drift.look(names, pids["slurmrestd"])],
        "account": account,
        "exposed": exposed_keys(slurm_conf, account),
        "slurm_user": account_facts(said["slurm_user"]) if said["readable"] else None,
        "groups": {name: gid_of(name) for name in options.get("groups") or ()},
        "paths": paths_of(options.get("paths") or (), account, pids["slurmrestd"]),
    }


def _sockets(unit: Mapping[str, Any]) -> list[str]:
    """The UNIX sockets that a unit names."""
    return [item["listener"]["path"] for item in unit["listeners"] if item["listener"] and item["listener"]["path"]]


def _systemd_version(answer: str) -> int | None:
    """The number in "systemd 252 (252.39-1~deb12u1)"; None without systemd."""
    match = re.match(r"systemd (\d+)", answer)
    return int(match[1]) if match else None


def _os_release() -> dict[str, str]:
    """Which distribution: ``family`` is Debian, RedHat, Suse or empty."""
    text = next(filter(None, map(read_if_there, OS_RELEASE)), "")
    fields = {item.name: item.value for item in environment_files.parse_environment_file(text, OS_RELEASE[0])}
    kin = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
    families = (("Debian", {"debian", "ubuntu"}), ("RedHat", {"rhel", "fedora", "centos"}), ("Suse", {"suse", "sles"}))
    return {
        "family": next((family for family, names in families if kin & names), ""),
        "id": fields.get("ID", ""),
        "version": fields.get("VERSION_ID", ""),
        "codename": fields.get("VERSION_CODENAME", ""),
    }
