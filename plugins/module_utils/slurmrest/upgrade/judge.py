"""What another release of Slurm means for the REST service of a site, before anything is touched.

Pure: what was seen on the hosts goes in (:mod:`.look`, :mod:`..facts.host`), findings come out, each with what
changes, the consequence and a remedy. A blocking one stops the run until its cause is gone or the site accepts it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InputError
from ..host.numbers import whole
from ..slurm.releases import RELEASES, lookup
from ..slurm.version import Version
from ..slurmrestd import adoption, listeners, plugins, spelling
from ..systemd import unit_files
from ..transaction.set_aside import KEPT_SUFFIX
from .beside import beside
from .case import Case, Consequence, after

BACKUP_HOURS = 24
"""A backup that is older does not count as made for this upgrade."""

IDENTITY = ("User", "Group", "DynamicUser", "SupplementaryGroups", "ExecStart", "ExecReload")
"""Keys of a drop-in that this toolkit's own drop-in always states."""

_OWNED_VARIABLES = frozenset(("SLURM_JWT", "SLURMRESTD_LISTEN", "SLURM_CONF", *plugins.PLUGIN_VARIABLES))
_OWNED_OPTIONS = frozenset((*plugins.PLUGIN_OPTIONS, "-f", "-t", "-u", "-g", "-v", "--max-connections"))
_UNIT_COLUMNS = {
    "unit_listeners": "listeners in ExecStart",
    "unit_listen_variable": "SLURMRESTD_LISTEN",
    "unit_sets_jwt": "SLURM_JWT=daemon",
    "unit_user": "User=",
    "unit_exec_reload": "ExecReload=",
}


@dataclass(frozen=True)
class Aside:
    """A file of the site that must not decide any more. ``lines`` go, counted from 1; none given: all of it goes."""

    path: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class UpgradeReport:
    """All findings for one REST host, and what the migration sets aside."""

    version: str
    before: str | None
    findings: tuple[Consequence, ...] = ()
    aside: tuple[Aside, ...] = ()
    accepted: tuple[str, ...] = ()

    @property
    def blocking(self) -> list[Consequence]:
        """What stops the run."""
        return [finding for finding in self.findings if finding.blocking and finding.id not in self.accepted]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "version": self.version,
            "before": self.before,
            "findings": [asdict(finding) for finding in self.findings],
            "set_aside": [{"path": item.path, "lines": list(item.lines)} for item in self.aside],
            "blocking": [finding.id for finding in self.blocking],
            "lines": [line for finding in self.findings for line in finding.lines()],
        }


def report(case: Case, accepted: Sequence[str] = ()) -> UpgradeReport:
    """Compare what is there with what the target needs.

    Raises:
        InputError: ``accepted`` names no finding, or one of the versions is not in the release table.
    """
    for name in accepted:
        if name not in IDS:
            raise InputError("slurmrest_upgrade_accept", name, ", ".join(IDS))
    found = [finding for judge in _JUDGES for finding in judge(case)]
    before = case.before
    return UpgradeReport(
        str(case.target), str(before) if before else None, tuple(found), tuple(set_aside(case)), tuple(accepted)
    )


# --- API versions ----------------------------------------------------------------------------------------------------


def _apis(case: Case) -> Iterator[Consequence]:
    served = case.row.api_versions
    before = lookup(str(case.before)).release.api_versions if case.before else ()
    # What the release before did not serve either has been answered with 404 all along.
    gone = [api for api in case.own["usage"] if api not in served and (api in before or not before)]
    for api in gone:
        yield Consequence(
            "api-gone",
            f"{api} is not served by Slurm {case.target}, and it was asked for {_users(case.own['usage'][api])}",
            f"these clients get 404 on it; served are {', '.join(served)}",
            f"move them to {_common(case, served)} first, or accept it: slurmrest_upgrade_accept: [api-gone]"
            if not case.installed
            else f"move them to {_common(case, served)}",
            blocking=not case.installed,  # afterwards, stopping would help nobody
        )
    unused = [api for api in before if api not in served and api not in gone]
    if unused:
        seen = f"slurmrestd's log of the last {case.own['usage_days']} days has no request for them"
        if not case.own["usage_known"]:
            seen = f"whether anybody uses them is not known, since {case.own['usage_why']}"
        yield Consequence(
            "api-unused",
            f"{', '.join(unused)} go away with Slurm {case.target}; {seen}",
            "a client that has not asked in that time gets 404",
            f"tell your users that {', '.join(served)} are served",
        )
    for api in case.own["usage"]:
        if api in case.row.deprecated_api:
            yield Consequence(
                "api-deprecated",
                f"{api} is served by Slurm {case.target} for the last time; asked for {_users(case.own['usage'][api])}",
                "these clients get 404 after the next upgrade",
                f"move them to {_common(case, [api for api in served if api not in case.row.deprecated_api])}",
            )


def _common(case: Case, served: Sequence[str]) -> str:
    """A version that both releases serve: clients can move before the upgrade."""
    before = lookup(str(case.before)).release.api_versions if case.before else ()
    both = [api for api in served if api in before]
    return f"{both[-1]} (both releases serve it)" if both else served[-1]


def _users(usage: Mapping[str, Any]) -> str:
    by = ", ".join(usage["users"]) or "nobody in particular"
    return f"{usage['requests']} times by {by} from {', '.join(usage['clients'])}, last {usage['last']}"


# --- versions of the other daemons -----------------------------------------------------------------------------------


def _outdated(case: Case) -> Iterator[Consequence]:
    for daemon in ("slurmdbd", "slurmctld"):
        for host, look in case.daemons(daemon):
            if daemon in look["outdated"] and not look["restarts"]:
                yield Consequence(
                    "daemon-outdated",
                    f"{daemon} on {host} still runs from a binary that was replaced since",
                    "slurmrestd would be newer than it, and Slurm does not serve such clients",
                    "restart slurmdbd, then slurmctld; where they share a host with slurmrestd, "
                    "slurmrest_upgrade_packages: true does it",
                    blocking=True,
                )


def _versions(case: Case) -> Iterator[Consequence]:
    for host, look in case.daemons("slurmctld"):
        version = after(look, "slurmctld")
        if version is None:
            continue
        there = Version.parse(version)
        if (case.target.major, case.target.minor) > (there.major, there.minor):
            yield Consequence(
                "slurmrestd-newer",
                f"slurmrestd would be {case.target}, and slurmctld on {host} is {there}",
                "Slurm does not serve clients that are newer than slurmctld: requests fail",
                "upgrade slurmdbd, then slurmctld, then slurmrestd",
                blocking=True,
            )
        elif case.target.series not in (there.series, *lookup(str(there)).release.upgrades_from):
            yield Consequence(
                "slurmrestd-too-old",
                f"slurmrestd would be {case.target}, and slurmctld on {host} is {there}",
                f"slurmctld {there.series} serves clients of "
                f"{', '.join((there.series, *lookup(str(there)).release.upgrades_from))} only",
                "upgrade the packages of slurmrestd too (slurmrest_upgrade_packages: true)",
                blocking=True,
            )


def _jumps(case: Case) -> Iterator[Consequence]:
    for daemon, thing, before in (("slurmdbd", "database", "versions"), ("slurmctld", "state", "state")):
        for host, look in case.daemons(daemon):
            then, now = after(look, daemon), look["state"].get("series") if before == "state" else None
            now = now or look.get("upgraded_from_" + daemon) or look["versions"].get(daemon)
            if not then or not now:
                continue
            old, new = Version.parse(now), Version.parse(then)
            if (old.major, old.minor) == (new.major, new.minor):
                continue
            yield from _jump(daemon, thing, host, old, new)
            backup = _backup_problem(look["backups"].get(daemon), thing, host)
            if backup:
                how = "mariadb-dump --single-transaction" if thing == "database" else "a copy of StateSaveLocation"
                yield Consequence(
                    f"backup-{thing}",
                    f"no backup of the {thing} from before {daemon} {new.series} is known: {backup}",
                    f"{daemon} converts it at its first start, and {old.series} cannot read it any more: no way back",
                    f"make one ({how}) and set slurmrest_upgrade_{thing}_backup to its path on {host}; it has to be "
                    f"younger than {BACKUP_HOURS} hours",
                    blocking=True,
                )


def _jump(daemon: str, thing: str, host: str, old: Version, new: Version) -> Iterator[Consequence]:
    allowed = lookup(str(new)).release.upgrades_from
    if old.series in allowed:
        return
    known = [row.series for row in RELEASES]
    back = (old.major, old.minor) > (new.major, new.minor)
    via = [series for series in known if old.series in _from(series) and series in allowed]
    if back:
        remedy = f"install {old.series} again: Slurm's {thing} does not go back"
    elif via:
        remedy = f"upgrade to {via[-1]} first and let {daemon} start on it, then to {new.series}"
    else:
        remedy = f"go through the releases in between; {new.series} takes {', '.join(allowed)}"
    yield Consequence(
        f"jump-{thing}",
        f"{daemon} on {host} would go from {old.series} to {new.series}, which Slurm does not allow",
        f"{daemon} {new.series} refuses or discards a {thing} of {old.series}: jobs and accounting are lost",
        remedy,
        blocking=True,
    )


def _from(series: str) -> tuple[str, ...]:
    return next(row.upgrades_from for row in RELEASES if row.series == series)


def _backup_problem(backup: Mapping[str, Any] | None, thing: str, host: str) -> str | None:
    if not backup:
        return f"slurmrest_upgrade_{thing}_backup is not set"
    where = f"{backup['path']} on {host}"
    if not backup["exists"]:
        return f"{where} is not there"
    if not backup["bytes"]:
        return f"{where} is empty"
    return f"{where} is {backup['hours']:.0f} hours old" if backup["hours"] > BACKUP_HOURS else None


# --- unit, overrides, environment ------------------------------------------------------------------------------------


def _style(case: Case) -> Iterator[Consequence]:
    if case.before is None or case.before.series == case.target.series:
        return
    old, new = lookup(str(case.before)).release, case.row
    changed = [
        f"{name} {_spoken(getattr(old, column))} -> {_spoken(getattr(new, column))}"
        for column, name in _UNIT_COLUMNS.items()
        if getattr(old, column) != getattr(new, column)
    ]
    if changed:
        yield Consequence(
            "unit-style",
            f"upstream's unit changes from {case.before.series} to {case.target.series}: {'; '.join(changed)}",
            "an override that was written for the old unit adds to the new one, or contradicts it",
            "nothing for this toolkit's drop-in, which states all of it; overrides of yours are judged below",
        )


def _spoken(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "none")


def _foreign(case: Case) -> list[str]:
    """The site's drop-ins."""
    return [path for path in case.facts["unit"]["dropins"] if path != case.facts["dropin"]]


def _elsewhere(case: Case, path: str) -> bool:
    """Whether a drop-in is not this unit's alone, or no admin's: that of a template, of all services, of a package."""
    return path in _foreign(case) and posixpath.dirname(path) != posixpath.dirname(case.facts["dropin"])


def _harm(case: Case) -> dict[str, list[tuple[int, str]]]:
    """Lines that decide over our drop-in, by file: (line, setting)."""
    found: dict[str, list[tuple[int, str]]] = {}
    for item in case.facts["contradictions"]:
        if item["setting"] == "SLURM_JWT" and case.variables.get("slurmrestd_service_auth") == "local":
            continue
        if item["file"] not in (case.facts["dropin"], case.facts["vendor_unit"]["fragment"]):
            found.setdefault(item["file"], []).append((item["line"], item["setting"]))
    for file in case.facts["unit"]["environment_files"]:
        if file["sectioned"]:
            found.setdefault(file["path"], []).append((1, "a [Section], which an environment file cannot have"))
    return found


def set_aside(case: Case) -> list[Aside]:
    """What the migration takes away, after keeping a copy.

    Of a drop-in those lines that decide what ours states, or that read an environment file which does. An environment
    file that the vendor's unit reads goes as a whole, since it beats the unit.
    """
    own_file = case.facts["environment_file"]
    read_by = {file["path"]: file["origin"].rpartition(":") for file in case.facts["unit"]["environment_files"]}
    lines: dict[str, set[int]] = {}
    whole = [own_file["path"]] if own_file["variables"] and not own_file["ours"] else []
    for path, blamed in _harm(case).items():
        if _elsewhere(case, _stated_in(case, path)):
            continue  # blocks, see _overrides
        if path in _foreign(case):
            lines.setdefault(path, set()).update(_identity_lines(case, path), (line for line, _setting in blamed))
        elif path in read_by and read_by[path][0] in _foreign(case):
            lines.setdefault(read_by[path][0], set()).add(int(read_by[path][2]))
        elif path not in whole:
            whole.append(path)
    found = [Aside(path) for path in whole]
    for path, going in lines.items():
        stated = {entry.origin.line for entry in unit_files.parse_unit(case.texts.get(path, ""), path)}
        found.append(Aside(path, () if going >= stated else tuple(sorted(going))))
    return found


def _stated_in(case: Case, path: str) -> str:
    """The drop-in of the site that reads an environment file; any other file states for itself."""
    origins = {file["path"]: file["origin"].rpartition(":")[0] for file in case.facts["unit"]["environment_files"]}
    return origins[path] if origins.get(path) in _foreign(case) else path


def _identity_lines(case: Case, path: str) -> list[int]:
    """Every line of a drop-in about identity, listeners and authentication."""
    return [
        entry.origin.line
        for entry in unit_files.parse_unit(case.texts.get(path, ""), path)
        if entry.section == "Service" and (entry.key in IDENTITY or _sets(entry.value, entry.key))
    ]


def _sets(value: str, key: str) -> bool:
    """Whether an ``Environment=`` states a variable that is ours to state."""
    if key not in ("Environment", "UnsetEnvironment"):
        return False
    return any(word.partition("=")[0] in _OWNED_VARIABLES for word in unit_files.split_words(value))


def _overrides(case: Case) -> Iterator[Consequence]:
    twice = len(case.facts["unit_without_ours"]["exec_start"]) > 1
    for path, blamed in _harm(case).items():
        settings = ", ".join(dict.fromkeys(f"{setting} (line {line})" for line, setting in blamed))
        consequence = (
            "two commands add up, and systemd refuses such a unit"
            if twice and any(setting == "ExecStart" for _line, setting in blamed)
            else "it decides over this toolkit's drop-in: the service fails, or is not what the inventory says"
        )
        place = _stated_in(case, path)
        if _elsewhere(case, place):
            yield Consequence(
                "override-elsewhere",
                f"{path} states {settings}",
                f"{consequence}; {place} is not a drop-in of this unit alone, so this run does not change it",
                f"take it away there, or hide it from this unit by a file {posixpath.basename(place)} in "
                f"{posixpath.dirname(case.facts['dropin'])}, with what of it shall stay",
                blocking=True,
            )
            continue
        yield Consequence(
            "override-harmful",
            f"{path} states {settings}",
            consequence,
            f"this run keeps a copy as {path}{KEPT_SUFFIX} and takes these lines away",
        )
    for path in _foreign(case):
        if path in _harm(case):
            continue
        keys = [entry.key for entry in unit_files.parse_unit(case.texts.get(path, ""), path)]
        needless = [key for key in dict.fromkeys(keys) if key in IDENTITY]
        if needless:
            yield Consequence(
                "override-needless",
                f"{path} states {', '.join(needless)} as this toolkit's drop-in does",
                "nothing today; it will decide over the toolkit when one of them changes",
                f"remove these lines from {path}",
            )


def _environment(case: Case) -> Iterator[Consequence]:
    file = case.facts["environment_file"]
    if file["ours"]:
        return
    stated = case.variables.get("slurmrestd_service_environment") or {}
    unit = case.facts["unit"]["environment"]
    left = [
        name
        for name in file["variables"]
        if name not in _OWNED_VARIABLES
        and name != "SLURMRESTD_OPTIONS"
        and not re.search(r"[^A-Z0-9_]", name)
        and name not in IDENTITY
        and str(stated.get(name, "")) != unit.get(name)
        and not (name == "SLURMRESTD_DEBUG" and case.variables.get("slurmrestd_service_debug") == unit.get(name))
    ]
    extra = str(case.variables.get("slurmrestd_service_extra_options") or "")
    options = [
        option["flag"]
        for option in case.facts["unit"]["options"]
        if option["origin"].rpartition(":")[0] == file["path"]
        and option["flag"] not in _OWNED_OPTIONS
        and option["flag"] not in extra.split()
    ]
    if left or options:
        what = [f"slurmrestd_service_environment: {', '.join(left)}"] if left else []
        what += [f"slurmrestd_service_extra_options: {' '.join(options)}"] if options else []
        yield Consequence(
            "environment-unstated",
            f"{file['path']} has settings that the inventory does not: {'; '.join(what)}",
            "the file becomes this toolkit's, and they are gone from the service",
            "state them in these variables, or accept it: slurmrest_upgrade_accept: [environment-unstated]",
            blocking=True,
        )


def _listeners(case: Case) -> Iterator[Consequence]:
    texts = case.variables.get("slurmrestd_service_listen")
    if not texts:
        return
    wanted = [found for found in map(spelling.read, texts) if found]
    running = case.facts["units"]["slurmrestd"]["active"] == "active"
    fragment = case.facts["unit"]["fragment"]
    lost = []
    for entry in case.facts["unit"]["listeners"]:
        told = spelling.read(entry["text"])
        stated = entry["origin"].rpartition(":")[0] != fragment
        if told and (running or stated) and not any(listeners.covers(one, told) for one in wanted):
            lost.append(f"{told} ({entry['origin']})")
    if lost:
        yield Consequence(
            "listener-lost",
            f"the unit listens on {', '.join(dict.fromkeys(lost))}, which slurmrestd_service_listen does not have",
            "clients that ask there are cut off",
            "add it to slurmrestd_service_listen, or accept it: slurmrest_upgrade_accept: [listener-lost]",
            blocking=True,
        )


# --- options and plug-ins --------------------------------------------------------------------------------------------


def _plugins(case: Case) -> Iterator[Consequence]:
    file = case.facts["environment_file"]
    ours = {case.facts["dropin"], file["path"] if file["ours"] else ""}
    aside = {item.path for item in set_aside(case)}
    for origin, kind, name in plugins.asked_plugins(case.facts["unit"]):
        known = _known(case, kind)
        if not known or name in (*known, "list", "latest"):
            continue
        path = origin.rpartition(":")[0]
        stated = path in ours and _in_inventory(case, kind, name)
        goes = path in aside or (path in ours and not stated)
        variable = "slurmrestd_service_openapi_plugins" if kind == "openapi" else "slurmrestd_service_data_parsers"
        yield Consequence(
            "plugin-gone",
            f"{origin} asks for {kind}/{name}, which Slurm {case.target} does not have",
            "slurmrestd ends at once with 'unable to find plugin'",
            "nothing: this run writes the file anew without it"
            if goes
            else f"leave {variable} empty, or name some of {', '.join(known)}"
            if stated
            else f"remove it from {path}",
            blocking=not goes,
        )


def _known(case: Case, kind: str) -> Collection[str]:
    """Names of plugins that the target has: those that are there, or those of its row before it is installed."""
    if kind == "rest_auth":
        return ("jwt", "local")
    if case.installed:
        names: Collection[str] = case.facts["plugins"][kind]
        return names
    if kind == "data_parser":
        return case.row.api_versions if case.row.data_parser_flag else ()
    versioned = [*case.row.api_versions, *(f"db{api}" for api in case.row.slurmdb_api_versions)]
    named = ["slurmctld", "slurmdbd", "util"]
    return {"versioned": versioned, "named": named, "both": versioned + named}[case.row.openapi_plugins]


def _in_inventory(case: Case, kind: str, name: str) -> bool:
    key = {"openapi": "slurmrestd_service_openapi_plugins", "data_parser": "slurmrestd_service_data_parsers"}.get(kind)
    stated = (case.variables.get(key) if key else None) or ()
    return any(entry.removeprefix(f"{kind}/").partition("+")[0] == name for entry in stated)


def _options(case: Case) -> Iterator[Consequence]:
    """Values that were fine and end the daemon on the target."""
    aside = {item.path for item in set_aside(case)}
    unit = case.facts["unit"]
    columns = {"-d": "data_parser_flag", **{flag: column for flag, _, column in adoption.NUMBERS.values() if column}}
    gone = [flag for flag, column in columns.items() if not getattr(case.row, column)]
    low, high = case.row.min_threads, case.row.max_threads
    said: list[tuple[str, str, str]] = []
    for item in unit["options"]:
        threads = whole(item["value"] or "")
        if item["flag"] == "-t" and case.row.thread_limits_fatal and threads not in (None, *range(low, high + 1)):
            said.append((item["origin"], f"-t {threads}", f"{low} to {high} threads are allowed"))
        if item["flag"] in gone:
            said.append((item["origin"], item["flag"], "there is no such option"))
    for name, allowed in (
        ("SLURMRESTD_DEBUG", case.row.debug_levels),
        ("SLURMRESTD_SECURITY", case.row.security_values),
    ):
        for word in str(unit["environment"].get(name, "")).split(","):
            fatal = word == "disable_user_check" and case.row.disable_user_check_aborts
            if word and allowed and (word.strip().lower() not in allowed or fatal):
                why = "the daemon aborts on it" if fatal else f"allowed are {', '.join(allowed)}"
                said.append((unit["environment_origins"][name], f"{name}={word}", why))
    for origin, what, why in said:
        goes = origin.rpartition(":")[0] in aside
        yield Consequence(
            "option-gone",
            f"{origin} has {what}; on Slurm {case.target} {why}",
            "slurmrestd ends at once",
            "nothing: this run writes the file anew without it" if goes else "change it in the inventory or that file",
            blocking=not goes,
        )


_JUDGES: Sequence[Callable[[Case], Iterator[Consequence]]] = (
    _outdated,
    _versions,
    beside,
    _jumps,
    _apis,
    _style,
    _overrides,
    _environment,
    _listeners,
    _plugins,
    _options,
)

IDS = (
    *("daemon-outdated", "slurmrestd-newer", "slurmrestd-too-old"),
    *("jump-database", "jump-state", "backup-database", "backup-state"),
    *("api-gone", "api-unused", "api-deprecated", "unit-style"),
    *("other-instances", "daemon-unlisted", "environment-shared"),
    *("override-harmful", "override-elsewhere", "override-needless"),
    *("environment-unstated", "listener-lost", "plugin-gone", "option-gone"),
)
"""Ids of all findings."""
