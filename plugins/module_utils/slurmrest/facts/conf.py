"""What slurm.conf and slurmdbd.conf of this host say."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, Any

from ..host.access import readable
from ..host.numbers import whole
from ..host.our_files import MARKER
from ..host.reading import read_if_there, readable_text
from ..slurm import auth_parameters
from ..slurm import conf as slurmconf
from ..slurm.daemons import SLURMCTLD_TIMEOUT
from ..slurm.fallback_key import STATE_DIRECTORY, fallback_key

if TYPE_CHECKING:
    from collections.abc import Mapping

MUNGE_KEY = "/etc/munge/munge.key"


def told(unit: Mapping[str, Any]) -> list[str]:
    """The configuration that a unit names on its command line, then in its environment."""
    said = []
    for command in unit["exec_start"]:
        for word, following in zip(command, [*command[1:], ""]):
            said += [following] if word == "-f" and following else [word[2:]] if re.match("-f.", word) else []
    return said + ([unit["environment"]["SLURM_CONF"]] if "SLURM_CONF" in unit["environment"] else [])


def _of_the_cluster(path: str) -> list[str]:
    """The cluster's slurm.conf behind a file that slurmrestd reads.

    slurmrestd may have a file of its own that includes slurm.conf and sets AuthType=auth/jwt, which no other daemon
    can have: then what it includes counts, and that file is never changed.
    """
    try:
        conf = slurmconf.read(path, read_if_there)
    except PermissionError:
        conf = None
    if conf is None or conf.get("AuthType") not in ("auth/jwt", "jwt"):
        return [path]
    return [included for _file, _line, included in conf.includes if posixpath.basename(included) == "slurm.conf"]


def slurm_conf_path_of(unit: Mapping[str, Any], controller: Mapping[str, Any], prefix: str | None) -> str:
    """Where slurm.conf is: what slurmctld of this host was told, then slurmrestd, the prefix, the usual places."""
    said = told(controller) + [path for told in told(unit) for path in _of_the_cluster(told)]
    conditions = [line.partition("=")[2] for line in unit["conditions"] if line.startswith("ConditionPathExists=")]
    said += [path for path in conditions if posixpath.basename(path) == "slurm.conf"]
    usual = [f"{prefix}/etc/slurm.conf"] if prefix and prefix != "/usr" else []
    usual += ["/etc/slurm/slurm.conf", "/run/slurm/conf/slurm.conf"]
    existing = (path for path in [*said, *usual] if os.path.exists(path))
    return next(existing, said[0] if said else "/etc/slurm/slurm.conf")


def _conf_facts(path: str, release: Mapping[str, Any] | None) -> tuple[dict[str, Any], slurmconf.SlurmConf | None]:
    """What slurm.conf and slurmdbd.conf have in common."""
    facts: dict[str, Any] = {"path": path, "exists": os.path.lexists(path)}
    known = release or {"include_beside_includer": False, "auth_alt_items": tuple(auth_parameters.SEARCHED)}
    try:
        conf = slurmconf.read(path, read_if_there, beside_includer=known["include_beside_includer"])
    except PermissionError:
        conf = None
    facts.update(readable=conf is not None, ours=MARKER in readable_text(path))
    conf_or_empty = conf or slurmconf.SlurmConf(path, (), (), (), ())
    types = [item.strip() for item in (conf_or_empty.get("AuthAltTypes") or "").split(",") if item.strip()]
    named = conf_or_empty.entry("AuthAltParameters")
    parameters = auth_parameters.read(named.value if named else "", known["auth_alt_items"])
    facts.update(
        files=list(conf_or_empty.files),
        missing_includes=list(conf_or_empty.missing),
        errors=list(conf_or_empty.errors),
        slurm_user=conf_or_empty.get("SlurmUser", "root"),
        auth_type=conf_or_empty.get("AuthType", "auth/munge"),
        auth_alt_types=types,
        auth_alt_parameters=parameters,
        jwt=bool({"auth/jwt", "jwt"} & set(types)),
        jwt_key=parameters.get("jwt_key") or "",
        jwt_key_origin=f"{named.file}:{named.line}" if named and parameters.get("jwt_key") else "",
        jwks=parameters.get("jwks") or "",
    )
    return facts, conf


def slurm_conf_facts(
    path: str, account: Mapping[str, Any], release: Mapping[str, Any] | None
) -> tuple[dict[str, Any], slurmconf.SlurmConf]:
    """What slurm.conf says, and the file itself; ``account`` has to read it, ``release`` is a row as a dictionary."""
    facts, found = _conf_facts(path, release)
    conf = found or slurmconf.SlurmConf(path, (), (), (), ())
    storage = conf.get("AccountingStorageType", "accounting_storage/none") or ""
    # An account that is still to be made will be in no group that matters.
    new = account if account["exists"] else {"exists": True, "uid": None, "gid": None}
    communication = (conf.get("CommunicationParameters") or "").lower().split(",")
    timeout = whole(conf.get("SlurmctldTimeout") or "")
    hosts = conf.all("SlurmctldHost") or [*conf.all("ControlMachine"), *conf.all("BackupController")]
    facts.update(
        cluster_name=conf.get("ClusterName"),
        slurmctld_hosts=[re.sub(r"\(.*\)$", "", host) for host in hosts],
        slurmctld_addresses=[host.partition("(")[2].rstrip(")") or host for host in hosts],
        slurmctld_timeout=SLURMCTLD_TIMEOUT if timeout is None else timeout,
        slurmctld_port=conf.get("SlurmctldPort", "6817"),
        slurmd_port=conf.get("SlurmdPort", "6818"),
        state_save_location=conf.get("StateSaveLocation", STATE_DIRECTORY),
        slurmd_spool_dir=conf.get("SlurmdSpoolDir"),
        jwt_key_path=_jwt_key_path(facts, conf.get("StateSaveLocation", STATE_DIRECTORY)),
        accounting_storage_type=storage,
        accounting_storage_host=conf.get("AccountingStorageHost"),
        accounting_storage_hosts=_named(conf, "AccountingStorageHost", "AccountingStorageBackupHost"),
        accounting_storage_port=conf.get("AccountingStoragePort", "6819"),
        accounting=storage.endswith("slurmdbd"),
        ipv6="enableipv6" in communication,
        tls_files=_tls_files(conf, path, account),
        readable_by_account=readable(path, account) if facts["exists"] else None,
        unreadable_by_account=[file for file in dict.fromkeys(conf.files) if readable(file, new) is False],
    )
    return facts, conf


def _tls_files(conf: slurmconf.SlurmConf, path: str, account: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Certificate and key of slurmrestd's TLS listeners, and whether the account may read them (tls_s2n.c)."""
    stated = conf.options("TLSParameters")
    found = []
    for option, usual in (("restd_cert_file", "restd_cert.pem"), ("restd_cert_key_file", "restd_cert_key.pem")):
        file = stated.get(option) or posixpath.join(posixpath.dirname(path), usual)
        exists = os.path.exists(file)
        facts = {"path": file, "exists": exists, "readable": readable(file, account) if exists else None}
        others = os.stat(file).st_mode & 0o007 if exists else 0
        found.append({**facts, "open": bool(others & (0o007 if option.endswith("key_file") else 0o002))})
    return found


def decisive(slurm_conf: Mapping[str, Any], slurmdbd_conf: Mapping[str, Any]) -> Mapping[str, Any]:
    """The file that counts for a host: one of slurmdbd may have no slurm.conf."""
    return slurm_conf if slurm_conf["readable"] or not slurmdbd_conf["readable"] else slurmdbd_conf


def _jwt_key_path(facts: Mapping[str, Any], state_save_location: str | None) -> str:
    """Where slurmctld reads its key from: where the file says, or beside its state; empty while it reads none."""
    if facts["jwt_key"] or not facts["jwt"] or facts["jwks"]:
        return str(facts["jwt_key"])
    return fallback_key(state_save_location)


def slurmdbd_conf_facts(path: str, release: Mapping[str, Any] | None) -> dict[str, Any]:
    """What slurmdbd.conf says."""
    facts, found = _conf_facts(path, release)
    conf = found or slurmconf.SlurmConf(path, (), (), (), ())
    facts.update(
        dbd_host=conf.get("DbdHost"),
        dbd_hosts=_named(conf, "DbdHost", "DbdBackupHost"),
        dbd_port=conf.get("DbdPort", "6819"),
        storage_type=conf.get("StorageType"),
        jwt_key_path=facts["jwt_key"],
    )
    return facts


def _named(conf: slurmconf.SlurmConf, *names: str) -> list[str]:
    return [value for value in map(conf.get, names) if value]


def exposed_keys(conf: Mapping[str, Any], account: Mapping[str, Any]) -> list[str]:
    """Keys of Slurm that the account may read, and must not."""
    found = [posixpath.join(posixpath.dirname(conf["path"]), "slurm.key"), MUNGE_KEY, conf["jwt_key_path"]]
    return [path for path in dict.fromkeys(found) if path and readable(path, account)]
