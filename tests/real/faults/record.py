"""Evidence of real broken clusters, made small and steady for the unit tests: SLURMREST_RECORD=1 scripts/test faults.

Everything that differs from run to run without a meaning (process ids, ages, inodes, fingerprints) is replaced by what
the rules see in it: the same or another, young or old.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.real.clusters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.real.faults.fault import Fault

EVIDENCE = ROOT / "tests" / "unit" / "evidence"
DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd")
PIDS = {"slurmrestd": 101, "slurmctld": 102, "slurmdbd": 103, "munge": 104, "mariadb": 105}
OTHER_PID = 999
RECENT, OLD = 10.0, 500.0
LINES = 6
_FACTS = (
    *("slurmrestd", "version", "release_error", "unit", "slurm_conf", "slurmdbd_conf", "contradictions", "plugins"),
    *("plugin_dir", "slurm_user", "systemd", "units", "packaging", "os"),
)
_TELLING = re.compile(
    r"(?i)fatal|error|restart counter|stopped|unable|unrecognized|unshare|token|nobody|disk|space|timed out|timeout"
)


def record(release: str, version: str, fault: Fault, healthy: Mapping[str, Any], broken: Mapping[str, Any]) -> None:
    """Put the evidence of one fault beside that of the healthy cluster."""
    path = EVIDENCE / f"{release}.json"
    empty: dict[str, Any] = {"slurm_version": version, "healthy": {}, "faults": {}}
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else empty
    base = known["healthy"].setdefault(fault.layout, clean(healthy))
    seen = clean(broken) if fault.in_log else quiet(clean(broken), base)
    changes = differences(base["hosts"], seen["hosts"])
    also = {"also": list(fault.also)} if fault.also else {}
    known["faults"][fault.name] = {"layout": fault.layout, "expect": fault.expect, **also, "changes": list(changes)}
    EVIDENCE.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[list[Any]]:
    """Yield where two values differ: the way there and the new value, or only the way where there is none any more."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield [list(path), after]
        return
    for key in sorted({*before, *after}):
        if key not in after:
            yield [[*path, key]]
        elif key not in before:
            yield [[*path, key], after[key]]
        else:
            yield from differences(before[key], after[key], (*path, key))


def apply(changes: list[Any], evidence: dict[str, Any]) -> None:
    """Make the changes that :func:`differences` found."""
    for (*way, last), *value in changes:
        place = evidence
        for key in way:
            place = place[key]
        if value:
            place[last] = value[0]
        else:
            del place[last]


def quiet(evidence: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Give daemons that run the journal of the healthy cluster: what earlier faults left there is not of this one."""
    for host, seen in evidence["hosts"].items():
        for daemon in DAEMONS:
            if seen["units"].get(daemon, {}).get("active") == "active" and daemon in base["hosts"][host]["journal"]:
                seen["journal"][daemon] = base["hosts"][host]["journal"][daemon]
    return evidence


def clean(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence without what means nothing."""
    prints: dict[str, str] = {}
    return {**evidence, "hosts": {host: clean_host(seen, prints) for host, seen in evidence["hosts"].items()}}


def clean_host(seen: Mapping[str, Any], prints: dict[str, str]) -> dict[str, Any]:
    """Return the evidence of one host without what means nothing; fingerprints of all hosts are numbered together."""
    pids = {fields["pid"]: PIDS[name] for name, fields in seen["units"].items() if fields["pid"] and name in PIDS}
    begin, end = seen["asked"]
    ahead = 0.5 if begin <= seen["now"] <= end else float(round(seen["now"] - begin))
    keys, inodes = clean_keys(seen["keys"], prints)
    return {
        **seen,
        "facts": {name: seen["facts"][name] for name in _FACTS},
        "asked": [0.0, 1.0],
        "now": ahead,
        "units": {name: clean_unit(fields, pids) for name, fields in seen["units"].items()},
        "processes": {name: clean_process(process, pids, inodes) for name, process in seen["processes"].items()},
        "keys": keys,
        "munge": clean_munge(seen["munge"], prints),
        "journal": {name: clean_journal(lines) for name, lines in seen["journal"].items() if name in DAEMONS},
        "listening": [
            {**entry, "pid": entry["pid"] and pids.get(entry["pid"], OTHER_PID)} for entry in seen["listening"]
        ],
        "disks": [clean_disk(disk) for disk in seen["disks"]],
        "files": {path: {**facts, "age": OLD} for path, facts in seen["files"].items()},
    }


def clean_unit(fields: Mapping[str, Any], pids: Mapping[int, int]) -> dict[str, Any]:
    """Return a unit's fields; of restarts only whether they were many."""
    pid = pids.get(fields["pid"], 0)
    return {**fields, "pid": pid, "age": OLD, "restarts": min(fields["restarts"], 5)}


def clean_process(process: Mapping[str, Any], pids: Mapping[int, int], inodes: dict[int, int]) -> dict[str, Any]:
    """Return a process; inodes are numbered as they come."""
    mapped = process["mapped"]
    if mapped is not None:
        mapped = [{**item, "inode": inodes.setdefault(item["inode"], len(inodes) + 1)} for item in mapped]
    return {**process, "pid": pids.get(process["pid"], OTHER_PID), "age": OLD, "mapped": mapped}


def clean_keys(keys: Mapping[str, Any], prints: dict[str, str]) -> tuple[dict[str, Any], dict[int, int]]:
    """Return the keys, and the numbers given to their inodes."""
    inodes: dict[int, int] = {}
    found = {}
    for daemon, key in keys.items():
        found[daemon] = {**key, "age": 2 * OLD}
        if key.get("inode"):
            found[daemon]["inode"] = inodes.setdefault(key["inode"], len(inodes) + 1)
        if key["fingerprint"]:
            found[daemon]["fingerprint"] = prints.setdefault(key["fingerprint"], f"key {len(prints) + 1}")
    return found, inodes


def clean_munge(munge: Mapping[str, Any], prints: dict[str, str]) -> dict[str, Any]:
    """Return what was seen of munge, with a number for the fingerprint of its key."""
    key = munge.get("key")
    return {**munge, "key": key and prints.setdefault(key, f"key {len(prints) + 1}")}


def clean_journal(lines: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the telling lines of the last runs."""
    telling = [line for line in lines if line["run"] < 2 and _TELLING.search(line["text"])][-LINES:]
    loops = [line for line in lines if "restart counter" in line["text"] and line not in telling][-LINES:]
    return [{**line, "age": RECENT if line["age"] < 120 else OLD} for line in [*loops, *telling]]


def clean_disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file system, full or with plenty of room."""
    full = disk["bytes"] < 1 << 20
    return {
        **disk,
        "bytes": disk["bytes"] if full else 1 << 34,
        "total": disk["total"] if full else 1 << 36,
        "inodes": 9999,
    }
