"""What a package manager would do, read from its own words and judged before it does it.

Pure. Nothing of Slurm on a host is removed, replaced or downgraded by this toolkit, and neither is anything else: an
installation that would is refused with the whole plan in words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, SlurmrestError
from .version import Version

SOURCES = ("auto", "distribution", "repository", "files", "none")

REMOVE, DOWNGRADE, UPGRADE, REINSTALL, INSTALL = "remove", "downgrade", "upgrade", "reinstall", "install"
ACTIONS = (REMOVE, DOWNGRADE, UPGRADE, REINSTALL, INSTALL)
"""In the order in which people shall read them."""

NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # The JWT plugin is a package of its own, and slurmrestd does not depend on the package with its plugins.
    "debian": {
        "slurmctld": ("slurmctld", "slurm-client", "slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin"),
        "slurmdbd": ("slurmdbd", "slurm-wlm-basic-plugins", "slurm-wlm-mysql-plugin", "slurm-wlm-jwt-plugin"),
        "slurmd": ("slurmd", "slurm-client", "slurm-wlm-basic-plugins"),
        "slurmrestd": ("slurmrestd", "slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin"),
    },
    # The debian/control of Slurm's own source: slurm-smd has all plugins, that of JWT too.
    "schedmd-deb": {
        "slurmctld": ("slurm-smd-slurmctld", "slurm-smd-client", "slurm-smd"),
        "slurmdbd": ("slurm-smd-slurmdbd", "slurm-smd"),
        "slurmd": ("slurm-smd-slurmd", "slurm-smd-client", "slurm-smd"),
        "slurmrestd": ("slurm-smd-slurmrestd", "slurm-smd"),
    },
    # The slurm.spec of Slurm's own source; the JWT plugin is in slurm where libjwt was there at build time.
    "rpm": {
        "slurmctld": ("slurm-slurmctld", "slurm"),
        "slurmdbd": ("slurm-slurmdbd", "slurm"),
        "slurmd": ("slurm-slurmd", "slurm"),
        "slurmrestd": ("slurm-slurmrestd", "slurm"),
    },
}
"""Packages by family (as :func:`~..facts.host.look` calls it) and component."""

BESIDE = {"munge": ("munge",), "mariadb": ("mariadb-server",)}
"""What every distribution has itself, under one name."""

_PARTS = {
    "debian": ("slurmrestd", "slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin (Debian 11: slurm-wlm-basic-plugins)"),
    "schedmd-deb": ("slurm-smd-slurmrestd", "slurm-smd", "slurm-smd, built with libjwt-dev"),
    "rpm": ("slurm-slurmrestd, built --with slurmrestd", "slurm", "slurm, built --with jwt"),
    "source": (
        "a build with ./configure --enable-slurmrestd",
        "make install of the same build, and ldconfig where it is in a place of its own",
        "a build with ./configure --with-jwt",
    ),
}
_BY_DISTRIBUTION = {"Debian": "debian", "RedHat": "rpm", "Suse": "rpm"}

FAMILY_WORDS = {
    "debian": "Debian's packages",
    "schedmd-deb": "SchedMD's packages (slurm-smd)",
    "rpm": "RPMs",
    "source": "a build from source",
}

_INST = re.compile(r"^Inst (?P<name>\S+)(?: \[(?P<old>[^\]]*)\])? \((?P<new>\S+)")
_GONE = re.compile(r"^(?:Remv|Purg) (?P<name>\S+)(?: \[(?P<old>[^\]]*)\])?")
_DOWNGRADED = re.compile(r"^The following packages will be DOWNGRADED:\n(?P<names>(?:  .*\n)*)", re.MULTILINE)
_DNF_SECTIONS = {
    "Installing": INSTALL,
    "Installing dependencies": INSTALL,
    "Installing weak dependencies": INSTALL,
    "Upgrading": UPGRADE,
    "Reinstalling": REINSTALL,
    "Removing": REMOVE,
    "Removing dependent packages": REMOVE,
    "Removing unused dependencies": REMOVE,
    "Downgrading": DOWNGRADE,
}
_DNF_REPLACING = re.compile(r"replacing +(?P<name>\S+?)(?:\.\w+)? +(?:\S+ +)?(?P<version>\d\S*)")
_RULE = re.compile(r"^=+$", re.MULTILINE)


@dataclass(frozen=True)
class PackageChange:
    """One package: what becomes of it, its version before (empty where it was not there) and after (where it goes)."""

    action: str
    package: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        versions = " -> ".join(filter(None, (self.before, self.after)))
        return f"{self.package} {versions}".rstrip()


@dataclass(frozen=True)
class Plan:
    """All that a package manager would do."""

    changes: tuple[PackageChange, ...] = ()

    def of(self, *actions: str) -> list[PackageChange]:
        """The changes of some kinds, by name: package managers have an order of their own."""
        return sorted((change for change in self.changes if change.action in actions), key=str)

    def lines(self) -> list[str]:
        """For people: a line an action, what hurts most first."""
        found = ((action, ", ".join(map(str, self.of(action)))) for action in ACTIONS)
        return [f"{action}: {names}" for action, names in found if names]


@dataclass(frozen=True)
class Decision:
    """Where Slurm comes from on one host, why where it was not said, and the packages that are to be there."""

    source: str
    why: str
    names: tuple[str, ...]
    missing: tuple[str, ...]


def decide(
    source: str,
    components: Iterable[str],
    host: Mapping[str, Any],
    others: Mapping[str, str] | None = None,
) -> Decision:
    """The source and the packages of a host.

    Args:
        source: one of :data:`SOURCES`. ``auto`` is the distribution, but ``none`` where Slurm came to this host or to
            one of its controllers from anywhere else: two families of packages remove each other.
        components: what the host shall have.
        host: facts of :func:`~..facts.host.look`: ``os``, ``packaging``, ``packages``.
        others: ``packaging`` of the hosts that this one works with, by name.

    Raises:
        InputError: the source is none, or the distribution's names are not known.
    """
    if source not in SOURCES:
        raise InputError("slurm_packages_source", source, ", ".join(SOURCES))
    own = str(host["packaging"])
    why = ""
    if source == "auto":
        foreign = {name: family for name, family in {**(others or {}), "this host": own}.items() if _foreign(family)}
        where = ", ".join(f"{name} has Slurm from {FAMILY_WORDS[family]}" for name, family in sorted(foreign.items()))
        source, why = ("none", f"{where}, which the distribution's packages would replace") if foreign else (
            "distribution", "Slurm came from nowhere else")  # fmt: skip
    if source == "none":
        return Decision(source, why, (), ())
    if source == "files":
        components = [component for component in components if component in BESIDE]
    operating_system: Mapping[str, str] = host["os"]
    families = {"Debian": "schedmd-deb" if source == "repository" else "debian", "RedHat": "rpm"}
    try:
        known = {**NAMES[families[operating_system["family"]]], **BESIDE}
    except KeyError:
        raise InputError(
            "slurm_packages_source",
            source,
            "none (install Slurm first)",
            f"names of packages are not known for {operating_system.get('id') or 'this distribution'}",
        ) from None
    names = tuple(dict.fromkeys(name for component in components for name in known[component]))
    present: Collection[str] = host["packages"]
    return Decision(source, why, names, tuple(name for name in names if name not in present))


def parts(host: Mapping[str, Any]) -> tuple[str, str, str]:
    """What brings slurmrestd, its plugins and that of JWT to a host; facts as for :func:`decide`."""
    family = host.get("packaging") or "none"
    if family == "none":
        family = _BY_DISTRIBUTION.get((host.get("os") or {}).get("family", ""), "source")
    return _PARTS[family]


def _foreign(family: str) -> bool:
    # RPMs of a distribution and of SchedMD have the same names, and nothing certain tells them apart.
    return family in ("schedmd-deb", "rpm", "source")


@dataclass(frozen=True)
class PackageFile:
    """A package file: where it is, and what it says of itself. ``needs`` are names of packages."""

    path: str
    package: str
    version: str
    needs: tuple[str, ...] = ()


def chosen(files: Sequence[PackageFile], components: Iterable[str], installed: Mapping[str, str]) -> list[PackageFile]:
    """The files that a host is to have: those of its components, what these need, and what it has of them already.

    A package that no component is known to consist of is taken where its name is none of Slurm's: a library, or a
    package of the site. What is installed in the same version is left out.

    Args:
        files: all that the site gives.
        components: what the host shall have.
        installed: versions by package.
    """
    wanted = {name for family in NAMES.values() for part in components for name in family.get(part, ())}
    taken = {file.package for file in files if file.package in {*wanted, *installed} or not is_slurm(file.package)}
    while True:
        more = {name for file in files if file.package in taken for name in file.needs} - taken
        more &= {file.package for file in files}
        if not more:
            break
        taken |= more
    return [file for file in files if file.package in taken and installed.get(file.package) != file.version]


def apt_plan(said: str) -> Plan:
    """The plan in what ``apt-get --simulate`` says with ``LC_ALL=C``."""
    block = _DOWNGRADED.search(said)
    down = {name.rstrip("*") for name in block["names"].split()} if block else set()
    changes: list[PackageChange] = []
    for line in said.splitlines():
        gone, there = _GONE.match(line), _INST.match(line)
        if gone:
            changes.append(PackageChange(REMOVE, gone["name"], gone["old"] or ""))
        elif there:
            name, old, new = there["name"], there["old"] or "", there["new"]
            action = DOWNGRADE if name in down else INSTALL if not old else REINSTALL if old == new else UPGRADE
            changes.append(PackageChange(action, name, old, new))
    return Plan(tuple(changes))


def dnf_plan(said: str) -> Plan:
    """The plan in what ``dnf --assumeno`` says with ``LC_ALL=C``: the tables between the rules, by section.

    Raises:
        SlurmrestError: a section whose meaning is not known.
    """
    tables = _RULE.split(said.partition("\nTransaction Summary")[0])
    changes: list[PackageChange] = []
    section = ""
    row: list[str] = []
    for line in (tables[-2] if len(tables) > 3 else tables[-1]).splitlines() if len(tables) > 2 else []:
        if line[:1].strip() and line.endswith(":"):
            section = line[:-1]
            if section not in _DNF_SECTIONS:
                raise SlurmrestError(f"dnf says something that is not known to be harmless: {line}")
        elif "replacing" in line:
            match = _DNF_REPLACING.search(line)
            changes.append(
                PackageChange(REMOVE, match["name"] if match else line.strip(), match["version"] if match else "")
            )
        elif section and line.strip():
            row += line.split()  # a long name has a line for itself
            if len(row) >= 4:
                changes.append(PackageChange(_DNF_SECTIONS[section], row[0], after=row[2]))
                row = []
    return Plan(tuple(changes))


def is_slurm(package: str) -> bool:
    """Whether a package is part of Slurm, whoever made it."""
    return "slurm" in package or package in ("sackd", "sview")


def refused(plan: Plan, *, upgrade: bool = False) -> list[str]:
    """What may not happen, in words; empty for a plan that only adds, or with ``upgrade`` renews Slurm, too."""
    return list(_refused(plan, upgrade=upgrade))


def _refused(plan: Plan, *, upgrade: bool) -> Iterator[str]:
    for action in (REMOVE, DOWNGRADE):
        if plan.of(action):
            yield f"would {action} {', '.join(map(str, plan.of(action)))}"
    renewed = [change for change in plan.of(UPGRADE, REINSTALL) if is_slurm(change.package)]
    if renewed and not upgrade:
        yield f"would {renewed[0].action} {', '.join(map(str, renewed))}"


def daemons(plan: Plan) -> dict[str, PackageChange]:
    """What would become of the daemons that are there already, by daemon, whatever the family calls its packages."""
    names = {packages[0]: part for family in NAMES.values() for part, packages in family.items()}
    return {names[change.package]: change for change in plan.of(UPGRADE, REINSTALL) if change.package in names}


def unjudged(plan: Plan, judged: Mapping[str, str]) -> list[str]:
    """Why a plan is not the one whose versions were judged, by daemon."""
    found = {daemon: change.after for daemon, change in daemons(plan).items()}
    return [
        f"would bring {daemon} {found.get(daemon) or 'as it is'}, and {judged.get(daemon) or 'no change'} was judged"
        for daemon in sorted({*found, *judged})
        if found.get(daemon) != judged.get(daemon)
    ]


def renewed(change: PackageChange, *, restarts: bool, consent: bool) -> str:
    """Why a daemon that runs is not to be renewed by package files, or nothing.

    Args:
        change: of its package.
        restarts: whether the package manager restarts it, whatever it is told.
        consent: whether the site lets it restart.
    """
    if restarts:
        return f"would renew {change} while it runs, and its package's scripts restart it unasked"
    try:
        before, after = Version.parse(change.before), Version.parse(change.after)
    except InputError:
        return f"would renew {change} while it runs, and which releases these are is not known"
    if before.series != after.series:
        return f"would bring another release under a daemon that runs: {change}"
    if not consent:
        return f"would renew {change}, which runs and restarts with consent only"
    return ""


def refusal(asked: Sequence[str], plan: Plan, reasons: Sequence[str], remedy: str) -> SlurmrestError:
    """The error for a plan that is refused."""
    error = SlurmrestError(
        f"Nothing was installed: {' '.join(asked)} {' and '.join(reasons)}. The whole plan: {'; '.join(plan.lines())}.",
        remedy,
    )
    error.details.update(plan=plan.lines())
    return error
