"""What is on this host: Slurm, its packages, plugins, configuration, units and the service account.

The one module that looks around. It changes nothing, runs a handful of programs at once, and gives a plain dictionary
(JSON-able, free of secrets) also where there is no Slurm, no systemd, or not enough permission to read everything.
"""

from __future__ import annotations

import glob
import grp
import hashlib
import json
import os
import posixpath
import pwd
import re
import shutil
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..auth import keys
from ..errors import InputError
from ..host import proc as processes
from ..host import programs
from ..host.files import read_if_there
from ..host.programs import Started, finish, start
from ..slurm import conf as slurmconf
from ..slurm.releases import Version, lookup
from ..slurmrestd import adoption, running
from ..slurmrestd import unit as units
from ..slurmrestd.running import glob_files, our_dropin, unit_files
from ..systemd import systemctl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd", "slurmd")
MARKER = "slurmrest.toolkit wrote this file"
DEFAULT_ENVIRONMENT_FILE = "/etc/default/slurmrestd"
OWN_UNIT = f"/etc/systemd/system/{units.UNIT}"
DPKG = "/var/lib/dpkg"
GONE = " (deleted)"
"""Of what /proc says of a file whose name leads to another one by now, or to none."""
MUNGE_KEY = "/etc/munge/munge.key"
OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")

_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/slurm*/sbin", "/opt/slurm*/*/sbin")
_PLUGIN_DIRECTORIES = ("lib/*/slurm-wlm", "lib/*/slurm", "lib64/slurm", "lib/slurm", "lib64/slurm-wlm", "lib/slurm-wlm")
_UNIT_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload,MainPID,Result"
)
_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: (?P<name>[^:\s]+)")
_INSTALLED = "\nStatus: install ok installed\n"
_STANZA_LINE = re.compile(r"^(Package|Version): (\S+)$", re.MULTILINE)


def detect(options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the roles want to know of this host; ``digest`` is the same as long as all the rest is.

    Args:
        options: all optional. ``account``: the service account (default slurmrestd). ``slurmrestd``: path of the
            binary. ``slurm_conf``: path of slurm.conf. ``instance``: that of slurmrestd@INSTANCE.service, where
            several serve on this host. ``paths``: paths whose owner, mode and use to the account are wanted.
            ``groups``: group names to look up. ``owned``: paths of unit and environment files that count as ours
            besides the usual ones.

    Raises:
        InputError: an instance that can be none.
    """
    names = units.unit_names(options.get("instance") or "")
    binaries = _binaries(options.get("slurmrestd"))
    started = _start_programs(binaries, names[0])
    account = account_facts(options.get("account") or "slurmrestd")
    os_release = _os_release()
    fragment, dropins = unit_files(names)
    shown = _units(finish(started["systemctl"]).stdout, names[0], fragment, dropins)
    fragment = shown["slurmrestd"]["fragment"]
    prefix = _prefix(binaries)
    packages = _dpkg() or _rpm(started, binaries)
    daemons = {name: _daemon(binaries.get(name), started.get(name), packages) for name in DAEMONS}
    version = next((item["version"] for item in daemons.values() if item["version"]), None)
    release, warning, release_error = _release(version)
    beside_includer = release is not None and bool(release["include_beside_includer"])
    unit = units.effective(fragment or None, dropins, read_if_there, glob_files).as_dict()
    slurm_conf_path = options.get("slurm_conf") or _slurm_conf_path(unit, prefix)
    slurm_conf, conf = _slurm_conf(slurm_conf_path, account, beside_includer)
    pids = {name: fields.pop("pid") for name, fields in shown.items()}
    adopted = _adopted(our_dropin(names), pids["slurmrestd"], str(slurm_conf["slurm_user"]), unit["environment"])
    elsewhere = options.get("slurm_conf") or adopted["adopted"].get("slurm_common_config_dir")
    wanted = _wanted_dropin(account, "-f slurm.conf" if elsewhere else "")
    unit_facts = _unit_facts(names, fragment, dropins, wanted, options.get("owned") or ())
    slurmdbd_conf = _slurmdbd_conf(posixpath.join(posixpath.dirname(slurm_conf_path), "slurmdbd.conf"), beside_includer)
    plugin_dir, plugins = _plugins(conf, prefix)
    packaging, package = _packaging(binaries, packages)
    found = {
        **daemons,
        "euid": os.geteuid(),
        "processors": os.cpu_count() or 1,
        "os": os_release,
        "packages": sorted(packages.versions),
        "packaging": packaging,
        "package": package,
        "version": version,
        "release": release,
        "warning": warning,
        "release_error": release_error,
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
        "running": [item.as_dict() for item in running.look(names, pids["slurmrestd"])],
        "account": account,
        "exposed": _exposed(slurm_conf, account),
        "slurm_user": _slurm_user(slurm_conf, slurmdbd_conf),
        "groups": {name: _gid(name) for name in options.get("groups") or ()},
        "paths": {path: describe(path, account) for path in options.get("paths") or ()},
    }
    return {**found, "digest": hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()}


def describe(path: str, account: Mapping[str, Any]) -> dict[str, Any]:
    """Owner, mode and use of a path.

    ``enter`` and ``write`` say whether the account (anyone, where it does not exist) can reach the path and enter it,
    or create files in it, as far as owners and modes tell. For a path that is not there they are those of ``nearest``,
    the closest directory above it that exists.
    """
    nearest = os.path.abspath(path)
    while not os.path.lexists(nearest) and nearest != "/":
        nearest = posixpath.dirname(nearest)
    facts: dict[str, Any] = {"exists": os.path.lexists(path), "nearest": nearest, "kind": None}
    facts.update(enter=False, write=False)
    try:
        status = os.stat(nearest)
        reach = all(keys.may(above, account, 1) for above in _above(nearest))
    except OSError:
        return facts
    own = {"uid": status.st_uid, "gid": status.st_gid, "mode": status.st_mode}
    facts["enter"] = reach and keys.may(own, account, 1)
    facts["write"] = reach and keys.may(own, account, 3)
    if facts["exists"]:
        facts.update(
            kind=_kind(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            owner=_user_name(status.st_uid),
            group=_group_name(status.st_gid),
            mode=f"{stat.S_IMODE(status.st_mode):04o}",
            others_write=bool(status.st_mode & 0o022),
        )
    return facts


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "other")


# --- programs --------------------------------------------------------------------------------------------------------


def _binaries(given: str | None) -> dict[str, str]:
    """Paths of the daemons. The others are looked for beside slurmrestd first: a host may have several Slurms."""
    found: dict[str, str] = {}
    for name in DAEMONS:
        beside = [posixpath.dirname(path) for path in found.values()]
        path = given if name == "slurmrestd" and given else _find(name, beside)
        if path and os.access(path, os.X_OK) and os.path.isfile(path):
            found[name] = path
    return found


def _find(name: str, first: Iterable[str]) -> str | None:
    usual = [directory for pattern in _SBIN for directory in sorted(glob.glob(pattern), reverse=True)]
    path = os.environ.get("PATH", "").split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join([*first, *path, *usual]))


def _start_programs(binaries: Mapping[str, str], unit: str) -> dict[str, Started]:
    """Start all programs at once: together they take as long as the slowest."""
    started = {name: start([path, "-V"]) for name, path in binaries.items()}
    names = [unit, *(f"{name}.service" for name in DAEMONS if name != "slurmrestd")]
    started["systemctl"] = start(systemctl.command(names, _UNIT_PROPERTIES))
    started["systemd"] = start(["systemctl", "--version"])
    if binaries and programs.find("rpm") and not os.path.exists(f"{DPKG}/status"):
        started["owners"] = start(["rpm", "-qf", "--queryformat", "%{NAME}\\n", *binaries.values()])
        started["packages"] = start(["rpm", "-qa", "--queryformat", "%{NAME} %{VERSION}\\n"])
    return started


def _systemd_version(answer: str) -> int | None:
    """The number in "systemd 252 (252.39-1~deb12u1)"; None without systemd."""
    match = re.match(r"systemd (\d+)", answer)
    return int(match[1]) if match else None


def _daemon(path: str | None, asked: Started | None, packages: _Packages) -> dict[str, Any]:
    """One daemon's binary. ``-V`` needs the libraries, and slurmdbd's a sound configuration: else its package tells."""
    facts: dict[str, Any] = {"path": path or "", "version": None, "error": None, "missing_library": None}
    if path is None or asked is None:
        return facts
    answer = finish(asked)
    code, output, errors = answer.returncode, answer.stdout, answer.stderr
    missing = _MISSING_LIBRARY.search(errors)
    facts["missing_library"] = missing["name"] if missing else None
    if code != 0:
        # Not what slurmdbd says: it reads its configuration first, and quotes lines it does not understand.
        said = errors.strip() if posixpath.basename(path) != "slurmdbd" or missing else ""
        facts["error"] = said or f"exit code {code}"
    text = output if code == 0 else packages.versions.get(packages.owner(path) or "", "")
    try:
        facts["version"] = str(Version.parse(text.rpartition(":")[2]))
    except InputError:
        facts["error"] = facts["error"] or f"'{path} -V' says {output.strip()!r}, which is no version"
    return facts


def _release(version: str | None) -> tuple[dict[str, Any] | None, str | None, str | None]:
    """The row of the release table, what is to be said about it, and why there is none."""
    if version is None:
        return None, None, None
    try:
        row = lookup(version, "installed Slurm")
    except InputError as error:
        return None, str(error), str(error)
    return row.as_dict(), row.warning, None


@dataclass(frozen=True)
class _Packages:
    """What the package manager knows: versions by name of package, packages by path."""

    manager: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def owner(self, path: str) -> str | None:
        return self.owners.get(path) or self.owners.get(os.path.realpath(path))


def _dpkg() -> _Packages | None:
    """Read from dpkg's own files, which takes a tenth of the time of asking it. Owners of Slurm's files only."""
    text = read_if_there(f"{DPKG}/status")
    if text is None:
        return None
    stanzas = (dict(_STANZA_LINE.findall(stanza)) for stanza in text.split("\n\n") if _INSTALLED in stanza)
    versions = {stanza["Package"]: stanza.get("Version", "") for stanza in stanzas if "Package" in stanza}
    owners: dict[str, str] = {}
    for name in versions:
        if "slurm" in name:
            lists = glob.glob(f"{DPKG}/info/{name}.list") + glob.glob(f"{DPKG}/info/{name}:*.list")
            owners.update((path, name) for file in lists for path in (read_if_there(file) or "").split("\n"))
    return _Packages("dpkg", versions, owners)


def _rpm(started: Mapping[str, Started], binaries: Mapping[str, str]) -> _Packages:
    """From the programs that were started; nothing where there is no rpm."""
    lines = [line.split() for line in _lines(started.get("packages"))]
    owners = zip(binaries.values(), _lines(started.get("owners")))
    return _Packages(
        "rpm",
        {line[0]: line[1] for line in lines if len(line) == 2},
        {path: owner for path, owner in owners if " " not in owner},
    )


def _lines(asked: Started | None) -> list[str]:
    return finish(asked).stdout.splitlines() if asked else []


def _packaging(binaries: Mapping[str, str], packages: _Packages) -> tuple[str, str | None]:
    """Family (debian, schedmd-deb, rpm, source or none) and package of slurmrestd, else of the first daemon found."""
    for path in binaries.values():
        owner = packages.owner(path)
        if owner:
            debian = "schedmd-deb" if owner.startswith("slurm-smd") else "debian"
            return (debian if packages.manager == "dpkg" else "rpm"), owner
    return "source" if binaries else "none", None


# --- the host --------------------------------------------------------------------------------------------------------


def _os_release() -> dict[str, str]:
    """Which distribution: ``family`` is Debian, RedHat, Suse or empty."""
    text = next(filter(None, map(read_if_there, OS_RELEASE)), "")
    fields = {item.name: item.value for item in units.parse_environment_file(text, OS_RELEASE[0])}
    kin = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
    families = (("Debian", {"debian", "ubuntu"}), ("RedHat", {"rhel", "fedora", "centos"}), ("Suse", {"suse", "sles"}))
    return {
        "family": next((family for family, names in families if kin & names), ""),
        "id": fields.get("ID", ""),
        "version": fields.get("VERSION_ID", ""),
        "codename": fields.get("VERSION_CODENAME", ""),
    }


def account_facts(name: str) -> dict[str, Any]:
    """What the host knows of an account; ids are None where it does not exist. A number is looked up as a uid."""
    facts: dict[str, Any] = {"name": name, "exists": False, "uid": None, "gid": None, "group": None}
    facts.update(supplementary_groups=[], gids=[], home=None, shell=None)
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return facts
    gids = sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid)) - {entry.pw_gid})
    facts.update(
        name=entry.pw_name,
        exists=True,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        group=_group_name(entry.pw_gid),
        gids=gids,
        supplementary_groups=[_group_name(gid) for gid in gids],
        home=entry.pw_dir,
        shell=entry.pw_shell,
    )
    return facts


def _gid(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _readable_text(path: str) -> str:
    """Text of a file, nothing where there is none or it may not be read."""
    try:
        return read_if_there(path) or ""
    except PermissionError:
        return ""


def _names(directory: str) -> list[str]:
    """What is in a directory; nothing where it is not there or may not be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _above(path: str) -> list[dict[str, Any]]:
    """Owner and mode of every directory above a path, links resolved."""
    found = []
    directory = os.path.realpath(path)
    while directory != "/":
        directory = posixpath.dirname(directory)
        found.append(keys.ownership(directory))
    return found


# --- units -----------------------------------------------------------------------------------------------------------


def _units(answer: str, unit: str, fragment: str, dropins: Sequence[str]) -> dict[str, dict[str, Any]]:
    """State of each daemon's unit, from one call of systemctl; without systemd, what the disk says."""
    shown = systemctl.by_unit(answer)
    result: dict[str, dict[str, Any]] = {}
    for name in DAEMONS:
        fields = shown.get(unit if name == "slurmrestd" else f"{name}.service", {})
        result[name] = {
            "load": fields.get("LoadState", "not-found"),
            "active": fields.get("ActiveState", "inactive"),
            "sub": fields.get("SubState", "dead"),
            "enabled": systemctl.enabled(fields),
            "result": fields.get("Result", ""),
            "fragment": fields.get("FragmentPath", ""),
            "dropins": fields.get("DropInPaths", "").split(),
            "needs_reload": fields.get("NeedDaemonReload") == "yes",
            "outdated": outdated(fields.get("MainPID", "0")),
            "pid": systemctl.number(fields, "MainPID"),
        }
    restd = result["slurmrestd"]
    restd["fragment"] = restd["fragment"] or fragment
    restd["dropins"] = list(dropins)
    return result


def outdated(pid: str) -> bool:
    """Whether a process still runs from a binary, or with a library of Slurm, that was replaced or removed since."""
    try:
        owner = os.stat(f"/proc/{pid}")
    except OSError:
        return False
    found = processes.link(int(pid), "exe", owner.st_uid, owner.st_gid)
    if found is not None and found.endswith(GONE):
        return True
    return replaced_library(processes.private(int(pid), "maps", owner.st_uid, owner.st_gid) or "")


def replaced_library(maps: str) -> bool:
    """Whether a /proc/PID/maps has a shared library or plugin of Slurm that is not there any more."""
    paths = (line.split(None, 5)[5:] for line in maps.splitlines() if line.endswith(GONE) and "slurm" in line)
    return any(".so" in posixpath.basename(path[0]) for path in paths if path)


def _unit_facts(
    names: Sequence[str], fragment: str, dropins: Sequence[str], wanted: str, owned: Iterable[str]
) -> dict[str, Any]:
    """The vendor's unit alone, the one without our drop-in, and what contradicts the one that is wanted."""
    path = fragment or None
    vendor = units.effective(path, [], read_if_there, glob_files)
    dropin, own_unit = our_dropin(names), OWN_UNIT.replace(units.UNIT, names[-1])
    environment_file = _environment_file(vendor, names[0])
    stronger = f"{DEFAULT_ENVIRONMENT_FILE}-slurmrest".replace("slurmrestd", names[0].replace(".service", ""), 1)
    ours = {dropin, own_unit, environment_file, stronger, *owned}
    others = [dropin for dropin in dropins if dropin not in ours]

    def as_wanted(path: str) -> str | None:
        if path == dropin:
            return wanted
        return None if path in ours and path != fragment else read_if_there(path)

    contradictions = units.contradictions(units.effective(path, [*others, dropin], as_wanted, glob_files), ours)
    return {
        "vendor_unit": vendor.as_dict(),
        "unit_without_ours": units.effective(path, others, read_if_there, glob_files).as_dict(),
        "contradictions": [{**item.as_dict(), "text": str(item)} for item in contradictions],
        "environment_file": _environment_file_facts(environment_file),
        "fragment_ours": fragment == own_unit and MARKER in _readable_text(own_unit),
    }


def _adopted(dropin: str, pid: int, slurm_user: str, unit_environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What is to stay of a service that ran before our drop-in came: what that remembers, or what the process says.

    ``not_adopted`` is what it has and cannot keep.
    """
    ours = read_if_there(dropin)
    if ours is not None:
        return {"adopted": adoption.remembered(ours), "not_adopted": {}}
    running = processes.process(pid) if pid else None
    if running is None:
        return {"adopted": {}, "not_adopted": {}}
    environment = running["environment"] or unit_environment
    user, group = _user_name(running["uid"]), _group_name(running["gid"])
    process = adoption.Process(running["command"], environment, user, group)
    directories = (posixpath.dirname(listener.path) for listener in process.listeners if listener.path)
    nobody = {"uid": None, "gid": None}
    kept, lost = adoption.found(process, slurm_user, {path: describe(path, nobody) for path in directories})
    return {"adopted": kept, "not_adopted": lost}


def _environment_file(vendor: units.EffectiveUnit, unit: str) -> str:
    """The environment file that is ours to write: the one the vendor's unit reads last, else one of the unit's name."""
    usual = posixpath.join(posixpath.dirname(DEFAULT_ENVIRONMENT_FILE), unit.replace(".service", ""))
    return vendor.environment_files[-1].path if vendor.environment_files else usual


def _environment_file_facts(path: str) -> dict[str, Any]:
    """Whether the environment file that is ours to write holds somebody else's variables (names only)."""
    text = _readable_text(path)
    names = sorted({variable.name for variable in units.parse_environment_file(text, path)})
    return {"path": path, "ours": MARKER in text, "variables": names}


def _wanted_dropin(account: Mapping[str, Any], conf: str) -> str:
    """What our drop-in decides, whatever its exact text: to see what would beat it, before and after it is written.

    Its command is like nobody else's: a command of the site that reads the same as the beginning of ours has none of
    our options.
    """
    return "\n".join(
        [
            "[Service]",
            f"User={account['name']}",
            f"Group={account['group'] or account['name']}",
            "SupplementaryGroups=",
            "Environment=SLURM_JWT=daemon",
            "Environment=SLURMRESTD_LISTEN=",
            "ExecStart=",
            f"ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS -a rest_auth/{units.OUR_COMMAND} {conf}",
            "ExecReload=",
        ]
    )


# --- Slurm -----------------------------------------------------------------------------------------------------------


def _prefix(binaries: Mapping[str, str]) -> str | None:
    """Installation prefix: /usr for /usr/sbin/slurmrestd."""
    path = next(iter(binaries.values()), None)
    return posixpath.dirname(posixpath.dirname(os.path.realpath(path))) if path else None


def _slurm_conf_path(unit: Mapping[str, Any], prefix: str | None) -> str:
    """Where slurmrestd looks for slurm.conf: what its unit says, then the prefix, then the usual places."""
    said = [option["value"] for option in unit["options"] if option["flag"] == "-f" and option["value"]]
    said += [unit["environment"]["SLURM_CONF"]] if "SLURM_CONF" in unit["environment"] else []
    conditions = [line.partition("=")[2] for line in unit["conditions"] if line.startswith("ConditionPathExists=")]
    said += [path for path in conditions if posixpath.basename(path) == "slurm.conf"]
    usual = [f"{prefix}/etc/slurm.conf"] if prefix and prefix != "/usr" else []
    usual += ["/etc/slurm/slurm.conf", "/run/slurm/conf/slurm.conf"]
    existing = (path for path in [*said, *usual] if os.path.exists(path))
    return next(existing, said[0] if said else "/etc/slurm/slurm.conf")


def _conf_facts(path: str, beside_includer: bool) -> tuple[dict[str, Any], slurmconf.SlurmConf | None]:
    """What slurm.conf and slurmdbd.conf have in common."""
    facts: dict[str, Any] = {"path": path, "exists": os.path.lexists(path)}
    try:
        conf = slurmconf.read(path, read_if_there, beside_includer=beside_includer)
    except PermissionError:
        conf = None
    facts.update(readable=conf is not None, ours=MARKER in _readable_text(path))
    conf_or_empty = conf or slurmconf.SlurmConf(path, (), (), (), ())
    types = [item.strip() for item in (conf_or_empty.get("AuthAltTypes") or "").split(",") if item.strip()]
    parameters, named = conf_or_empty.options("AuthAltParameters"), conf_or_empty.entry("AuthAltParameters")
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


def _slurm_conf(
    path: str, account: Mapping[str, Any], beside_includer: bool
) -> tuple[dict[str, Any], slurmconf.SlurmConf]:
    facts, found = _conf_facts(path, beside_includer)
    conf = found or slurmconf.SlurmConf(path, (), (), (), ())
    storage = conf.get("AccountingStorageType", "accounting_storage/none") or ""
    # An account that is still to be made will be in no group that matters.
    new = account if account["exists"] else {"exists": True, "uid": None, "gid": None}
    communication = (conf.get("CommunicationParameters") or "").lower().split(",")
    hosts = conf.all("SlurmctldHost") or [*conf.all("ControlMachine"), *conf.all("BackupController")]
    facts.update(
        cluster_name=conf.get("ClusterName"),
        slurmctld_hosts=[re.sub(r"\(.*\)$", "", host) for host in hosts],
        slurmctld_port=conf.get("SlurmctldPort", "6817"),
        slurmd_port=conf.get("SlurmdPort", "6818"),
        state_save_location=conf.get("StateSaveLocation", "/var/spool"),
        jwt_key_path=_jwt_key_path(facts, conf.get("StateSaveLocation", "/var/spool")),
        accounting_storage_type=storage,
        accounting_storage_host=conf.get("AccountingStorageHost"),
        accounting_storage_hosts=_named(conf, "AccountingStorageHost", "AccountingStorageBackupHost"),
        accounting=storage.endswith("slurmdbd"),
        ipv6="enableipv6" in communication,
        tls_files=_tls_files(conf, path, account),
        readable_by_account=_readable(path, account) if facts["exists"] else None,
        unreadable_by_account=[file for file in dict.fromkeys(conf.files) if _readable(file, new) is False],
    )
    return facts, conf


def _tls_files(conf: slurmconf.SlurmConf, path: str, account: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Certificate and key of slurmrestd's TLS listeners, and whether the account may read them (tls_s2n.c)."""
    stated = conf.options("TLSParameters")
    found = []
    for option, usual in (("restd_cert_file", "restd_cert.pem"), ("restd_cert_key_file", "restd_cert_key.pem")):
        file = stated.get(option) or posixpath.join(posixpath.dirname(path), usual)
        exists = os.path.exists(file)
        facts = {"path": file, "exists": exists, "readable": _readable(file, account) if exists else None}
        others = os.stat(file).st_mode & 0o007 if exists else 0
        found.append({**facts, "open": bool(others & (0o007 if option.endswith("key_file") else 0o002))})
    return found


def _slurm_user(*confs: Mapping[str, Any]) -> dict[str, Any] | None:
    """SlurmUser as the first readable file has it: a host of slurmdbd may have no slurm.conf."""
    said = [conf["slurm_user"] for conf in confs if conf["readable"]]
    return account_facts(said[0]) if said else None


def _jwt_key_path(facts: Mapping[str, Any], state_save_location: str | None) -> str:
    """Where slurmctld reads its key from: where the file says, or beside its state; empty while it reads none."""
    if facts["jwt_key"] or not facts["jwt"] or facts["jwks"]:
        return str(facts["jwt_key"])
    return posixpath.join(state_save_location or "", "jwt_hs256.key")


def _slurmdbd_conf(path: str, beside_includer: bool) -> dict[str, Any]:
    facts, found = _conf_facts(path, beside_includer)
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


def _readable(path: str, account: Mapping[str, Any]) -> bool | None:
    """Whether owners and modes let the account read a file; None where nobody can tell."""
    if not account["exists"]:
        return None
    try:
        owned = keys.ownership(path)
        reach = all(keys.may(above, account, 1) for above in _above(path))
    except OSError:
        return None
    return reach and keys.may(owned, account, 4)


def _exposed(conf: Mapping[str, Any], account: Mapping[str, Any]) -> list[str]:
    """Keys of Slurm that the account may read, and must not."""
    found = [posixpath.join(posixpath.dirname(conf["path"]), "slurm.key"), MUNGE_KEY, conf["jwt_key_path"]]
    return [path for path in dict.fromkeys(found) if path and _readable(path, account)]


def _plugins(conf: slurmconf.SlurmConf, prefix: str | None) -> tuple[str | None, dict[str, Any]]:
    """The plugin directory (PluginDir, or the usual one of the prefix that has most of them) and what is in it."""
    stated = [path for path in (conf.get("PluginDir") or "").split(":") if path]
    usual = [path for name in _PLUGIN_DIRECTORIES for path in sorted(glob.glob(f"{prefix}/{name}"))] if prefix else []
    found = {path: {name[:-3] for name in _names(path) if name.endswith(".so")} for path in stated or usual}
    chosen = max(found, key=lambda path: len(found[path]), default=None)
    names = set().union(*found.values()) if stated else found.get(chosen or "", set())
    single = ("auth_jwt", "auth_munge", "auth_slurm", "rest_auth_jwt", "rest_auth_local", "tls_s2n")
    return chosen, {
        **{name: name in names for name in single},
        "openapi": sorted(_spoken(name, "openapi_") for name in names if name.startswith("openapi_")),
        "data_parser": sorted(_spoken(name, "data_parser_") for name in names if name.startswith("data_parser_")),
    }


def _spoken(name: str, prefix: str) -> str:
    """As the command line names it: openapi_dbv0_0_38 is dbv0.0.38."""
    return re.sub(r"_(?=\d)", ".", name[len(prefix) :])
