"""What an upgrade wants to see of one host, besides what :mod:`..facts.host` finds. Changes nothing."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..facts.host import look as look_at_host
from ..facts.units import outdated
from ..host import programs
from ..host.programs import Run
from ..host.reading import read_beginning, read_if_there
from ..packages.manager import Apt, PackageRequest, settle
from ..slurm.daemons import DAEMONS
from ..slurm.package_plan import daemons, refusal, refused
from ..slurmrestd.unit_places import unit_names
from ..systemd.systemctl import Systemd

USAGE_DAYS = 30
JOURNAL_SECONDS = 60.0
DPKG_LOG, RPM_LOG = "/var/log/dpkg.log", "/var/log/dnf.rpm.log"
STATE_FILES = ("last_config_lite", "job_state", "node_state", "part_state")

_REQUEST = re.compile(r"\w+: \[(?P<client>.+?)\] [A-Z]+ /slurm(?:db)?/(?P<api>v0\.0\.\d+)(?:/|$)")
_USER = re.compile(r"\w+: \[(?P<client>.+?)\] attempting user_name (?P<user>\S+) token")
_STAMP = re.compile(r"(?P<time>\d{4}-\d\d-\d\d)T\S+ \S+ [^:]+: (?P<words>.*)")
_PREFIX = re.compile(r"^(?:slurmrestd: |\[\d{4}-\d\d-\d\dT[\d:.]+\] |rest_auth/\w+: )+")
_ADDRESS = re.compile(r"^(?P<host>\[[^\]]*\]|[^:]*):(?P<port>\d+)")
_LOCAL = ("localhost", "127.0.0.1", "::1", "ip6-localhost")
_MAGIC = b"PROTOCOL_VERSION\0"


def look(options: Mapping[str, Any], run: Run = programs.run) -> dict[str, Any]:
    """Versions now and after, state on disk, backups, and who used which API version.

    Args:
        options: ``components``: daemons that this host is there for. ``backups``: path by daemon. ``packages``: whether
            its packages are to be upgraded. ``slurm_conf``, ``slurmrestd`` and ``instance`` as for
            :func:`..facts.host.look`, which gets ``columns``. ``protocols``: the series of each version of
            slurmctld's protocol, by its number in decimal.
        run: runs a program.

    Raises:
        SlurmrestError: apt is at work for too long, or cannot tell what it would upgrade.
    """
    if options.get("packages"):
        settle()
    facts = look_at_host(
        {name: options.get(name) for name in ("slurmrestd", "slurm_conf", "instance")}, options["columns"]
    )
    unit = unit_names(options.get("instance") or "")[0]
    components = list(options.get("components") or ())
    names = [name for name in facts["packages"] if "slurm" in name]
    seen: dict[str, Any] = {
        "components": components,
        "versions": {name: facts[name]["version"] for name in DAEMONS if facts[name]["version"]},
        "candidates": candidates(run, names) if options.get("packages") and names else {},
        "packages": sorted(names),
        "running": [name for name in DAEMONS if facts["units"][name]["active"] in ("active", "activating")],
        "readers": readers(run),
        "outdated": [name for name in DAEMONS if facts["units"][name]["outdated"]],
        "restarts": bool(options.get("packages")),
        "state": {},
        "backups": {name: backup(path) for name, path in (options.get("backups") or {}).items() if path},
        "usage": {},
        "usage_known": False,
        "usage_why": "there is no log",
        "usage_days": USAGE_DAYS,
        "upgraded_from": upgraded_from("slurmrestd"),
        "others": others(run, unit) if "slurmrestd" in components else {},
    }
    if "slurmctld" in components:
        seen["state"] = state(facts["slurm_conf"]["state_save_location"] or "", options["protocols"])
    if "slurmdbd" in components and (
        facts["units"]["slurmdbd"]["active"] != "active" or "slurmdbd" in seen["outdated"]
    ):
        # It has not started on what is installed: its database is still that of the version before.
        seen["upgraded_from_slurmdbd"] = upgraded_from("slurmdbd")
    if "slurmrestd" in components:
        seen.update(_used(run, unit))
    return seen


def _used(run: Run, unit: str) -> dict[str, Any]:
    """Who used which API, from the journal; and why that is not known."""
    words = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--since=-{USAGE_DAYS}d", f"--unit={unit}"]
    done = run([*words, "--grep= /slurm(db)?/v0[.]0[.]|attempting user_name"], limit=JOURNAL_SECONDS)
    why = "there is no log"
    if done.returncode == programs.TOO_SLOW:
        why = f"slurmrestd's log is so long that {JOURNAL_SECONDS:.0f} s were not enough to search it"
    # 1 means that no line matches.
    known = done.returncode in (0, 1) and not done.stderr.strip()
    return {"usage": usage(done.stdout.splitlines()), "usage_known": known, "usage_why": why}


def candidates(run: Run, packages: Iterable[str]) -> dict[str, str]:
    """The versions that apt would upgrade the daemons to, by daemon; those that stay are not there.

    Raises:
        SlurmrestError: apt cannot tell, or would remove or downgrade something.
    """
    names = tuple(packages)
    apt = Apt(run)
    # The index of the host may be older than the sources that it was told of since, and is left alone.
    with apt.apart():
        plan = apt.plan(PackageRequest(names, upgrade=True))
    reasons = refused(plan, upgrade=True)
    if reasons:
        raise refusal(names, plan, reasons, "Mend the package sources: nothing of Slurm is removed or downgraded.")
    return {daemon: change.after for daemon, change in daemons(plan).items()}


def readers(run: Run) -> dict[str, list[str]]:
    """The daemons of Slurm besides slurmrestd whose units read an environment file, by its path."""
    found: dict[str, list[str]] = {}
    for name in DAEMONS[1:]:
        done = run(["systemctl", "show", "--property=EnvironmentFiles", f"{name}.service"], limit=programs.SECONDS)
        for path in re.findall(r"^EnvironmentFiles=(.+?)(?: \(ignore_errors=\w+\))?$", done.stdout, re.MULTILINE):
            found.setdefault(path, []).append(name)
    return found


def others(run: Run, unit: str) -> dict[str, bool]:
    """The other slurmrestd units that run on this host; whether from a binary that was replaced since."""
    patterns = ["slurmrestd.service", "slurmrestd@*.service"]
    shown = Systemd(run).show_all(patterns, "ActiveState,MainPID")
    return {
        name: outdated(state.get("MainPID", "0"))
        for name, state in shown.items()
        if state.get("ActiveState") in ("active", "activating") and name != unit
    }


def state(directory: str, protocols: Mapping[str, str]) -> dict[str, Any]:
    """The series whose slurmctld wrote the state last: each file of it begins with the version of its protocol."""
    written = []
    for name in STATE_FILES:
        path = posixpath.join(directory, name)
        head = read_beginning(path, 4 + len(_MAGIC) + 2)
        if head is not None:
            with contextlib.suppress(FileNotFoundError):
                written.append((os.stat(path).st_mtime, path, head))
    for _time, path, head in sorted(written, reverse=True):
        series = protocol_series(head, protocols)
        if series:
            return {"series": series, "path": path}
    return {}


def protocol_series(head: bytes, protocols: Mapping[str, str]) -> str | None:
    """The series of the first bytes of a state file (length, PROTOCOL_VERSION, number), None where it is none."""
    if len(head) < 4 + len(_MAGIC) + 2 or head[4 : 4 + len(_MAGIC)] != _MAGIC:
        return None
    number = struct.unpack_from("!H", head, 4 + len(_MAGIC))[0]
    return protocols.get(str(number))


def backup(path: str) -> dict[str, Any]:
    """Size in bytes and age in hours of a file, or of all that is in a directory."""
    facts: dict[str, Any] = {"path": path, "exists": os.path.exists(path), "bytes": 0, "hours": 0.0}
    files = [path] if os.path.isfile(path) else []
    for directory, _names, names in os.walk(path):
        files += [posixpath.join(directory, name) for name in names]
    status = [os.stat(name) for name in files if os.path.exists(name)]
    if status:
        facts["bytes"] = sum(entry.st_size for entry in status)
        facts["hours"] = max(0.0, (time.time() - max(entry.st_mtime for entry in status)) / 3600)
    return facts


def upgraded_from(package: str, dpkg: str = DPKG_LOG, rpm: str = RPM_LOG) -> str | None:
    """The version that a daemon's package was upgraded from, the last time; None where no log of this host knows."""
    lines = [line.split() for line in _log(dpkg) if " upgrade " in line]
    names = (package, f"slurm-smd-{package}")
    found = [line[4] for line in lines if len(line) == 6 and line[3].partition(":")[0] in names and line[4] != "<none>"]
    if not found:  # dnf writes "Upgraded: " and what was there before, NAME-[EPOCH:]VERSION-RELEASE.ARCHITECTURE
        before = re.compile(rf" Upgraded: slurm-{package}(?:-ohpc)?-(?:\d+:)?(\d[^-\s]*)-[^-\s]+$")
        found = [match[1] for match in map(before.search, _log(rpm)) if match]
    return found[-1] if found else None


def _log(path: str) -> list[str]:
    try:
        return (read_if_there(path) or "").splitlines()
    except PermissionError:
        return []


def usage(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Who asked for which API version, from slurmrestd's log at its usual level (``info``).

    A request gives a line with client, method and path, and another with the user of its token. What goes to both
    syslog and standard error is there twice and counts once. Requests of root from the host itself do not count, as our
    own verification tries each version that there is.
    """
    requests: list[dict[str, str]] = []
    last: dict[str, dict[str, str]] = {}
    recent: list[str] = []
    for line in lines:
        stamp = _STAMP.match(line)
        words = _PREFIX.sub("", stamp["words"] if stamp else line)
        if words in recent:
            continue
        recent = [*recent[-7:], words]
        request, user = _REQUEST.match(words), _USER.match(words)
        if request:
            seen = {"api": request["api"], "client": _client(request["client"]), "user": ""}
            requests.append({**seen, "time": stamp["time"] if stamp else ""})
            last[request["client"]] = requests[-1]
        elif user and user["client"] in last and user["user"] != "(null)":
            last[user["client"]]["user"] = user["user"]
    found: dict[str, dict[str, Any]] = {}
    for one in requests:
        if _ours(one):
            continue
        entry = found.setdefault(one["api"], {"requests": 0, "clients": [], "users": [], "last": ""})
        entry["requests"] += 1
        entry["last"] = one["time"]
        _add(entry["clients"], one["client"])
        _add(entry["users"], one["user"])
    return dict(sorted(found.items()))


def _ours(request: Mapping[str, str]) -> bool:
    """Whether the verification could have asked: root, from this host itself."""
    return request["user"] == "root" and (request["client"] in _LOCAL or request["client"].startswith("/"))


def _add(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < 20:
        names.append(name)


def _client(text: str) -> str:
    """The host of a client; its port tells nobody anything."""
    match = _ADDRESS.match(text)
    return match["host"].strip("[]") if match else text.removeprefix("unix:").partition("->")[0].partition("(")[0]
