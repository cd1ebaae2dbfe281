"""The Slurm that is installed on this host: programs, packages, release and plugins."""

from __future__ import annotations

import glob
import os
import posixpath
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..host import programs
from ..host.decider import decider, groups_of
from ..host.programs import NOBODY, Started, finish, start, whom
from ..host.reading import names_in, read_if_there
from ..slurm import conf as slurmconf
from ..slurm.daemons import DAEMONS, DATABASE
from ..slurm.version import Version
from ..systemd import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DPKG = "/var/lib/dpkg"

_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/slurm*/sbin", "/opt/slurm*/*/sbin")

_PLUGIN_DIRECTORIES = ("lib/*/slurm-wlm", "lib/*/slurm", "lib64/slurm", "lib/slurm", "lib64/slurm-wlm", "lib/slurm-wlm")

_UNIT_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload,MainPID,Result,"
    "InactiveExitTimestampMonotonic,Job"
)

_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: (?P<name>[^:\s]+)")

_INSTALLED = "\nStatus: install ok installed\n"

_STANZA_LINE = re.compile(r"^(Package|Version|Architecture): (\S+)$", re.MULTILINE)


def find_binaries(given: str | None) -> dict[str, str]:
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


def start_programs(binaries: Mapping[str, str], unit: str) -> dict[str, Started]:
    """Start all programs at once: together they take as long as the slowest."""
    started = {name: start([path, "-V"]) for name, path in binaries.items() if name != DATABASE}
    if DATABASE in binaries:
        started[DATABASE] = start([binaries[DATABASE], "-V"], **_whose_database(prefix_of(binaries)))
    names = [unit, *(f"{name}.service" for name in DAEMONS if name != "slurmrestd")]
    started["systemctl"] = start(show.command(names, _UNIT_PROPERTIES))
    started["systemd"] = start(["systemctl", "--version"])
    if binaries and programs.find("rpm") and not os.path.exists(f"{DPKG}/status"):
        started["owners"] = start(["rpm", "-qf", "--queryformat", "%{NAME}\\n", *binaries.values()])
        started["packages"] = start(["rpm", "-qa", "--queryformat", "%{NAME} %{VERSION}\\n"])
    return started


def _whose_database(prefix: str | None) -> dict[str, Any]:
    """As whom slurmdbd is asked: it reads its file first, which is SlurmUser's, with all that it includes."""
    if os.geteuid() != 0:
        return {}
    usual = (f"{directory}/slurmdbd.conf" for directory in (f"{prefix}/etc", f"{prefix}/etc/slurm", "/etc/slurm"))
    there = [path for path in usual if os.path.exists(path)]
    uid = decider(there) if there else NOBODY
    return whom(uid, *groups_of(uid)) if uid else {}


def daemon_of(path: str | None, asked: Started | None, packages: Packages) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Packages:
    """What the package manager knows: versions by name of package, packages by path."""

    manager: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def owner(self, path: str) -> str | None:
        """The package that a file is from; None where none has it."""
        return self.owners.get(path) or self.owners.get(os.path.realpath(path))


def from_dpkg() -> Packages | None:
    """Read from dpkg's own files, which takes a tenth of the time of asking it. Owners of Slurm's files only."""
    text = read_if_there(f"{DPKG}/status")
    if text is None:
        return None
    stanzas = (dict(_STANZA_LINE.findall(stanza)) for stanza in text.split("\n\n") if _INSTALLED in stanza)
    versions: dict[str, str] = {}
    owners: dict[str, str] = {}
    for stanza in stanzas:
        if name := stanza.get("Package"):
            versions[name] = stanza.get("Version", "")
            for end in ("", f":{stanza.get('Architecture')}") if "slurm" in name else ():
                paths = read_if_there(f"{DPKG}/info/{name}{end}.list") or ""
                owners.update((path, name) for path in paths.split("\n"))
    return Packages("dpkg", versions, owners)


def from_rpm(started: Mapping[str, Started], binaries: Mapping[str, str]) -> Packages:
    """From the programs that were started; nothing where there is no rpm."""
    lines = [line.split() for line in _lines(started.get("packages"))]
    owners = zip(binaries.values(), _lines(started.get("owners")))
    return Packages(
        "rpm",
        {line[0]: line[1] for line in lines if len(line) == 2},
        {path: owner for path, owner in owners if " " not in owner},
    )


def _lines(asked: Started | None) -> list[str]:
    return finish(asked).stdout.splitlines() if asked else []


def packaging_of(binaries: Mapping[str, str], packages: Packages) -> tuple[str, str | None]:
    """Family (debian, schedmd-deb, rpm, source or none) and package of slurmrestd, else of the first daemon found."""
    for path in binaries.values():
        owner = packages.owner(path)
        if owner:
            debian = "schedmd-deb" if owner.startswith("slurm-smd") else "debian"
            return (debian if packages.manager == "dpkg" else "rpm"), owner
    return "source" if binaries else "none", None


def prefix_of(binaries: Mapping[str, str]) -> str | None:
    """Installation prefix: /usr for /usr/sbin/slurmrestd."""
    path = next(iter(binaries.values()), None)
    return posixpath.dirname(posixpath.dirname(os.path.realpath(path))) if path else None


def plugins_of(conf: slurmconf.SlurmConf, prefix: str | None) -> tuple[str | None, dict[str, Any]]:
    """The plugin directory (PluginDir, or the usual one of the prefix that has most of them) and what is in it."""
    stated = [path for path in (conf.get("PluginDir") or "").split(":") if path]
    usual = [path for name in _PLUGIN_DIRECTORIES for path in sorted(glob.glob(f"{prefix}/{name}"))] if prefix else []
    found = {path: {name[:-3] for name in names_in(path) if name.endswith(".so")} for path in stated or usual}
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
