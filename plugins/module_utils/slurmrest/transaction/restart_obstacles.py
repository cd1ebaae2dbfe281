"""Would a daemon come back from a restart, and with all that it knows? Pure: evidence in, problems out.

A daemon that runs may be one that would not start again: the database was made anew under it, a library or plugin was
removed, its package replaced, its state is not writable any more. A restart or a reconfigure by us would be what ends
it, and the previous files would not help. And slurmctld has things in memory only, which a restart loses: what
``scontrol update`` changed, and pending jobs that ask for a node which is gone.

:mod:`.restart_evidence` gathers the evidence, :mod:`.transaction` asks before it writes anything. Sources: slurmctld
of the tags in the release table (``controller.c``, ``read_config.c``, ``node_mgr.c``, ``partition_mgr.c``), and
slurmctld(8) for what a restart keeps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..host.programs import PATH
from ..slurm import plugin_kinds
from ..slurm.conf import Entry, SlurmConf
from ..slurm.host_lists import MOST_NAMES, expand
from ..slurm.time_limit import minutes
from .restart_columns import RestartColumns

CONTROLLER, DATABASE, REST = "slurmctld", "slurmdbd", "slurmrestd"

PLUGINS: Mapping[str, tuple[str, ...]] = {
    CONTROLLER: (
        *("AccountingStorageType", "AuthAltTypes", "AuthType", "BurstBufferType", "CredType", "JobCompType"),
        *("JobSubmitPlugins", "MCSPlugin", "NodeFeaturesPlugins", "PreemptType", "PrepPlugins", "PriorityType"),
        *("SchedulerType", "SelectType", "SlurmctldPlugstack", "SwitchType", "TopologyPlugin"),
    ),
    DATABASE: ("AuthAltTypes", "AuthType", "StorageType"),
    REST: ("SelectType",),
}
"""What each daemon ends without, when it is named (the ``*_init`` that are fatal in its main()).

slurmrestd ends without its one when it answers about nodes.
"""

_WITHIN = {"cred_slurm": "auth_slurm"}
"""Plugins that another one's file holds: Slurm has no cred_slurm.so, and it serves (seen in Debian 13)."""

_NO_FILE = frozenset(("none", "default", "(null)", ""))
"""Names that some release has no file for, since they mean another one or nothing."""

ALLOW = "slurmrest_allow_state_loss"
"""The variable by which a site accepts what a restart loses."""

_MOST_NAMED = 10


@dataclass(frozen=True)
class Obstacle:
    """One reason not to restart: ``what`` would happen and ``where``, its ``cause``, and the ``remedy``.

    ``loss`` says that the daemon would come back, but with less than it has.
    """

    what: str
    where: str
    cause: str
    remedy: str
    loss: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.cause} {self.remedy}"


@dataclass(frozen=True)
class Evidence:
    """What is known of one running daemon. What it did not tell is None or empty, and no problem by that."""

    daemon: str
    release: RestartColumns | None = None
    conf: SlurmConf | None = None  # as it will be read by the restarted daemon
    loaded: SlurmConf | None = None  # as the files are now
    shown: Mapping[str, str] = field(default_factory=dict)  # what the daemon has in force; keys in lower case
    user: str = ""  # SlurmUser
    # The program: the one that runs, and the one that would be started.
    running_version: str = ""
    program: str = ""
    program_version: str | None = ""  # None: it is not there, or does not even print it
    program_error: str = ""
    replacing: bool = False  # another version is what the restart is for
    plugin_dir: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)  # path of each of named_plugins(); empty: not there
    missing_libraries: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of the program and its plugins
    absent_files: Mapping[str, str] = field(default_factory=dict)  # path: what names it
    state_dir: str = ""
    state_dir_error: str = ""  # why SlurmUser cannot write there
    clustername: str | None = None  # the file of that name in it
    clusters: Mapping[str, tuple[str, str]] | None = None  # of the database: host of slurmctld and id, by name
    database_error: str = ""  # what slurmdbd says when it asks its database
    ports: Mapping[int, str] = field(default_factory=dict)  # its ports that another program holds
    # What only slurmctld's memory has. Records as scontrol shows them.
    nodes: Sequence[Mapping[str, str]] | None = None
    partitions: Sequence[Mapping[str, str]] | None = None
    unaddressed: Sequence[str] = ()  # nodes made with scontrol that lack the address they need
    jobs: Sequence[Mapping[str, str]] = ()  # pending ones that ask for nodes: id, user, nodes
    unasked: Sequence[str] = ()  # programs that would have told, and are not there
    unseen: Sequence[str] = ()  # what nobody could look at, in words


def judge(seen: Evidence) -> list[Obstacle]:
    """Every reason why a restart or reconfigure would take something away, those that end the daemon first."""
    found = [*_program(seen), *_plugins(seen), *_files(seen), *_state(seen), *_database(seen), *_ports(seen)]
    if seen.daemon == CONTROLLER:
        found += [*_identity(seen), *_losses(seen)]
    return found


# --- would it start? --------------------------------------------------------------------------------------------------


def _program(seen: Evidence) -> Iterator[Obstacle]:
    if not seen.program:
        return
    what = f"{seen.daemon} would not start again"
    libraries = seen.missing_libraries.get(seen.program)
    if libraries:
        yield Obstacle(
            what,
            seen.program,
            f"the program lacks {', '.join(libraries)}, which was there when it was started.",
            "Install the library's package again.",
        )
    elif seen.program_version is None:
        cause = "the program that runs was removed, or does not run any more"
        remedy = f"Install the package of {seen.daemon} {seen.running_version} again.".replace("  ", " ")
        if "fatal: " in seen.program_error:
            cause, remedy = "it refuses its configuration as it is", "Mend the file that it names."
        said = f": {seen.program_error}" if seen.program_error else ""
        yield Obstacle(what, seen.program, f"{cause}{said}.", remedy)
    elif not seen.replacing and seen.running_version and seen.program_version not in ("", seen.running_version):
        yield Obstacle(
            f"{seen.daemon} would come back as another release",
            seen.program,
            f"{seen.running_version} runs, and {seen.program_version} was installed since; its first start converts "
            "what was saved, without a way back.",
            f"Restart {seen.daemon} yourself when an upgrade suits you (playbooks/upgrade.yml says what it means), or "
            "install the former packages again.",
        )


def named_plugins(daemon: str, conf: SlurmConf | None, shown: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """File name of each plugin that a daemon loads: ``{"select_cons_tres": ("SelectType", "select/cons_tres")}``.

    The configuration counts, and what it does not name is what the daemon has in force.
    """
    found: dict[str, tuple[str, str]] = {}
    if daemon == REST:
        found = {"auth_jwt": ("SLURM_JWT", "auth/jwt"), "rest_auth_jwt": ("-a", "rest_auth/jwt")}
    for key in PLUGINS[daemon]:
        entry = conf.entry(key) if conf else None
        value = entry.value if entry else shown.get(key.lower(), "")
        where = f"{entry.file}:{entry.line} {key}" if entry else key
        for item in re.split(r"[,\s]+", value):
            kind, name = plugin_kinds.split(key, item)
            if kind and name.lower() not in _NO_FILE and not name.startswith("("):
                file = f"{kind}_{name}".lower()
                found.setdefault(_WITHIN.get(file, file), (where, f"{kind}/{name}"))
    return found


_PACKAGES = {"auth_jwt": " (Debian: slurm-wlm-jwt-plugin)"}


def _plugins(seen: Evidence) -> Iterator[Obstacle]:
    removed = {name.replace("/", "_"): name for name in seen.release.removed_plugins} if seen.release else {}
    what = f"{seen.daemon} would not start again" + (", or end with an answer" if seen.daemon == REST else "")
    now = named_plugins(seen.daemon, seen.loaded, seen.shown)
    for file, (where, name) in named_plugins(seen.daemon, seen.conf, seen.shown).items():
        path = seen.plugins.get(file)
        if file in removed and not path:
            release = seen.release.series if seen.release else ""
            yield Obstacle(
                what,
                where,
                f"Slurm {release} has no {name} any more.",
                "Name one that it has; slurm.conf(5) lists them.",
            )
        elif path == "":
            yield Obstacle(
                what,
                where if file in now else f"{where}, as it would be written",
                f"the plugin {name} is not there: {seen.plugin_dir}/{file}.so.",
                f"Install the package that has it{_PACKAGES.get(file, '')}"
                + (", or take it out of the configuration." if file in now else "."),
            )
        elif path and seen.missing_libraries.get(path):
            yield Obstacle(
                what,
                where,
                f"the plugin {path} lacks {', '.join(seen.missing_libraries[path])}.",
                "Install the library's package again.",
            )


def _files(seen: Evidence) -> Iterator[Obstacle]:
    if seen.conf is not None:
        for path in seen.conf.missing:
            yield Obstacle(
                f"{seen.daemon} would not start again",
                seen.conf.path,
                f"it includes {path}, which is not there or cannot be read.",
                "Bring the file back, or take the Include out.",
            )
    for path, named in seen.absent_files.items():
        yield Obstacle(f"{seen.daemon} would not start again", named, f"{path} is not there.", "Bring the file back.")


def _state(seen: Evidence) -> Iterator[Obstacle]:
    if seen.state_dir_error:
        yield Obstacle(
            f"{seen.daemon} would not start again",
            f"StateSaveLocation {seen.state_dir}",
            f"{seen.state_dir_error}.",
            f"Let {seen.user or 'SlurmUser'} write there again.",
        )


def _database(seen: Evidence) -> Iterator[Obstacle]:
    if seen.database_error:
        yield Obstacle(
            f"{seen.daemon} would not start again",
            seen.conf.path if seen.conf else "slurmdbd.conf",
            f"its database refuses it: {seen.database_error}.",
            "Let StorageUser log in again: compare StorageHost, StorageUser and StoragePass with the database.",
        )


def _ports(seen: Evidence) -> Iterator[Obstacle]:
    for port, holder in seen.ports.items():
        yield Obstacle(
            f"{seen.daemon} would not start again",
            f"port {port}",
            f"{holder} listens there.",
            "Give one of them another port.",
        )


def _identity(seen: Evidence) -> Iterator[Obstacle]:
    """Name and id in the state directory against slurm.conf and the database."""
    name = (seen.conf.get("ClusterName") if seen.conf else None) or seen.shown.get("clustername", "")
    file = f"{seen.state_dir}/clustername"
    saved, _bar, own_id = (seen.clustername or "").strip().partition("|")
    if saved and name and saved != name.lower():
        yield Obstacle(
            "slurmctld would not start again",
            file,
            f"its state is that of the cluster {saved}, and ClusterName is {name} (CLUSTER NAME MISMATCH).",
            f"Set ClusterName={saved} again. A cluster is renamed by removing that file, with slurmctld stopped.",
        )
        return
    release, clusters = seen.release, seen.clusters
    if clusters is None or not release or not release.cluster_id_checked or not name or own_id in ("", "0"):
        return
    known = {cluster.lower(): said for cluster, said in clusters.items()}
    host, other_id = known.get(name.lower(), ("", ""))
    if name.lower() not in known:
        if release.registers_own_cluster_id:
            return
        cause = f"the accounting database does not know the cluster {name}, and would give it another id than {own_id}"
    elif not host:
        cause = f"the accounting database has never seen this slurmctld, so that its id for {name} is not {own_id}"
    elif other_id.strip("0") and other_id != own_id:
        cause = f"the accounting database has the id {other_id} for {name}, and its state {own_id}"
    else:
        return
    yield Obstacle(
        "slurmctld would not start again",
        file,
        f"{cause} (was the database made anew?): CLUSTER ID MISMATCH.",
        f"When that suits you: systemctl stop slurmctld; rm {file}; systemctl start slurmctld. It then takes the id of "
        "the database, and keeps its jobs.",
    )


# --- what would it forget? --------------------------------------------------------------------------------------------


def _losses(seen: Evidence) -> Iterator[Obstacle]:
    if seen.unasked:
        yield Obstacle(
            "slurmctld might lose what nobody can look at",
            seen.program or "slurmctld",
            f"{' and '.join(seen.unasked)} would tell what only its memory has, and is not beside it, nor in {PATH}.",
            f"Install Slurm's client programs there, or accept what a restart loses with {ALLOW}=true.",
            loss=True,
        )
    yield from _jobs(seen)
    if seen.loaded is None:
        return
    changed = [*_partition_changes(seen), *_node_changes(seen)]
    if changed:
        yield Obstacle(
            "slurmctld would forget what was changed with scontrol",
            seen.loaded.path,
            f"{_some(changed)}. The configuration does not say so, and a restart goes by the configuration.",
            f"Write it into the configuration, or accept it with {ALLOW}=true.",
            loss=True,
        )


def _jobs(seen: Evidence) -> Iterator[Obstacle]:
    if seen.nodes is None or seen.conf is None:
        return
    kept = {node["NodeName"] for node in seen.nodes if "DYNAMIC_NORM" in node.get("State", "")}
    kept.update(conf_nodes(seen.conf))
    harmed, left = [], MOST_NAMES
    for job in seen.jobs:
        asked = expand(job["nodes"], left)
        left = max(left - len(asked), 0)
        gone = [node for node in asked if node not in kept]
        if gone:
            harmed.append(f"job {job['id']} of {job['user']} (asks for {', '.join(gone[:3])})")
    if harmed:
        yield Obstacle(
            "slurmctld would end jobs that wait",
            "squeue --states=PD",
            f"{_some(harmed)}: a node that is not there any more ends a job with NODE_FAIL when slurmctld reads its "
            "state.",
            "Have their users cancel or change them (scontrol update JobId=… ReqNodeList=), or accept it with "
            f"{ALLOW}=true.",
            loss=True,
        )


def _some(items: Sequence[str]) -> str:
    more = len(items) - _MOST_NAMED
    return "; ".join(items[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _fields(entries: Sequence[Entry]) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and keys (lower case) of each record; ``DEFAULT`` counts for the records after it."""
    default: dict[str, str] = {}
    for entry in entries:
        fields = {key.lower(): value for key, value in entry.fields}
        if entry.value.upper() == "DEFAULT":
            default.update(fields)
        else:
            yield entry.value, {**default, **fields}


def conf_nodes(conf: SlurmConf) -> dict[str, dict[str, str]]:
    """The nodes of a configuration with their keys in lower case."""
    return _by_name(conf, "NodeName")


def _by_name(conf: SlurmConf, key: str) -> dict[str, dict[str, str]]:
    found = ((name, fields) for text, fields in _fields(conf.entries_of(key)) for name in expand(text))
    return dict(itertools.islice(found, MOST_NAMES))


def _yes(text: str) -> str:
    return {"TRUE": "YES", "FALSE": "NO", "1": "YES", "0": "NO"}.get(text.upper(), text.upper())


def _words(text: str) -> str:
    words = sorted(filter(None, text.lower().split(",")))
    return "" if words in (["all"], ["(null)"], ["n/a"], ["none"]) else ",".join(words)


def _count(text: str) -> str:
    return "" if text.upper() in ("UNLIMITED", "INFINITE", "-1") else text


_PARTITION: Mapping[str, tuple[Callable[[str], str], str]] = {
    "State": (str.upper, "UP"),
    "AllowAccounts": (_words, ""),
    "AllowGroups": (_words, ""),
    "AllowQos": (_words, ""),
    "AllocNodes": (_words, ""),
    "DenyAccounts": (_words, ""),
    "DenyQos": (_words, ""),
    "DefaultTime": (minutes, ""),
    "MaxTime": (minutes, ""),
    "MaxNodes": (_count, ""),
    "Hidden": (_yes, "NO"),
    "RootOnly": (_yes, "NO"),
    "ReqResv": (_yes, "NO"),
    "QoS": (_words, ""),
}
"""Keys of a partition that a configuration and ``scontrol show partition`` call alike: how to compare, the default."""

_NODE: Mapping[str, tuple[str, Callable[[str], str], str]] = {
    "Weight": ("weight", str, "1"),
    "AvailableFeatures": ("features", _words, ""),
}


def _partition_changes(seen: Evidence) -> Iterator[str]:
    if seen.partitions is None or seen.loaded is None:
        return
    flags = (seen.loaded.get("ReconfigFlags") or "").lower() if seen.release and seen.release.part_state_kept else ""
    if "keeppartinfo" in flags:
        return
    said = _by_name(seen.loaded, "PartitionName")
    shown = {partition["PartitionName"]: partition for partition in seen.partitions}
    for name in said.keys() - shown.keys():
        yield f"partition {name} was deleted"
    for name, partition in shown.items():
        if name not in said:
            yield f"partition {name} was created"
            continue
        for key, (normal, default) in _PARTITION.items():
            if key not in partition or (key == "State" and "keeppartstat" in flags):
                continue
            now, then = normal(partition[key]), normal(said[name].get(key.lower(), default))
            if now != then:
                yield f"partition {name} has {key}={partition[key]}"


def _node_changes(seen: Evidence) -> Iterator[str]:
    if seen.nodes is None or seen.loaded is None:
        return
    said = conf_nodes(seen.loaded)
    plugins = seen.loaded.get("NodeFeaturesPlugins") or seen.loaded.get("NodeFeaturesPlugin")
    for node in seen.nodes:
        fields = said.get(node["NodeName"])
        if fields is None:
            if node["NodeName"] in seen.unaddressed:
                yield f"node {node['NodeName']} was created"
            continue
        for key, (conf_key, normal, default) in _NODE.items():
            if key not in node or (plugins and conf_key == "features"):
                continue
            then = fields.get(conf_key, fields.get("feature", default) if conf_key == "features" else default)
            if normal(node[key]) != normal(then):
                yield f"node {node['NodeName']} has {key}={node[key]}"


# --- what is said -----------------------------------------------------------------------------------------------------


def remaining(problems: Sequence[Obstacle], *, allow_loss: bool) -> list[Obstacle]:
    """What remains against a restart once consent is taken into account."""
    return [problem for problem in problems if not (problem.loss and allow_loss)]


def records(output: str) -> list[dict[str, str]]:
    """Records of ``scontrol --oneliner show …``: the ``Key=Value`` words of each line."""
    found: list[dict[str, Any]] = []
    for line in output.splitlines():
        pairs = (word.partition("=") for word in line.split())
        record: dict[str, str] = {}
        for key, equals, value in pairs:
            if equals:
                record.setdefault(key, value)
        if record:
            found.append(record)
    return found
