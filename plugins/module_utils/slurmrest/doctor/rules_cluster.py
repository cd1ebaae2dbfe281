"""Causes in the cluster behind slurmrestd, and the symptoms that are reported where no cause explains them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .endings import meaning, silent
from .model import CONFS, Cluster, Host, Rule, Sign
from .remedies import begin, everywhere, join, on, start_again, state_mark, unmasked, without, word
from .rules_controllers import in_charge, meanwhile
from .rules_database import SYMPTOMS_WITHOUT_SLURMDBD
from .rules_munge import IN_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..slurm.releases import Release

FULL_BYTES = 1 << 20
"""Less than this much room, for others than root, counts as none."""

_ENDED = {
    "slurmdbd": ("slurmdbd-failed",),
    "slurmctld": ("slurmctld-failed",),
    "slurmd": (),
    "slurmrestd": ("slurmrestd-failed", "restart-loop"),
}
_PLUGIN = re.compile(
    r"(?i:plugin) init\(\) callback failed|dlopen|[Cc]annot create \S+ context|cannot find \S+ plugin"
    r"|(?:[Ff]ailed|[Uu]nable) to initialize \S+ plugin|specified plugin name"
)
_LIBRARY = re.compile(r"(?:dlopen\([^)]*\): |shared libraries: )?([\w.+-]+): cannot open shared object file")
_PLACE = re.compile(r"^\S*(?:error|fatal): +|^\w+: (?=\w+: )")
_NETWORK_FLAGS = {"network", "networkraw"}
AGAIN = "systemctl restart slurmctld"
_MISMATCH = "CLUSTER ID MISMATCH"


def _stopped(daemon: str, title: str) -> Callable[[Cluster], Iterator[Sign]]:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host in cluster.role(daemon):
            state = host.state(daemon)
            if state in ("stopped", "absent", "refused") and not _runs_on(host, daemon):
                fields = host["units"].get(daemon, {})
                why = {
                    "absent": "there is no unit of this name",
                    "refused": f"systemd refuses the unit: {fields.get('load_error') or fields.get('load')}",
                }.get(
                    state,
                    "it was stopped, or never started" + ("" if fields.get("enabled") else ", and is not enabled"),
                )
                if host.masked(daemon):
                    why = "its unit is masked, so that systemd starts it for nobody"
                seen = f"{fields.get('active', 'absent')} ({fields.get('sub', '')})"
                more, costs = meanwhile(cluster, host) if daemon == "slurmctld" else ("", "")
                yield Sign(
                    host.name,
                    f"{title}: {why}.{more}",
                    [
                        f"systemctl is-active {host.service(daemon)}: {seen}",
                        *host.said(daemon, r"[Ss]topped|Deactivated", runs=1)[:1],
                    ],
                    f"{begin(host, daemon)}{costs}",
                )

    return look


def _runs_on(host: Host, daemon: str) -> bool:
    """Whether a daemon still runs whose unit systemd would not start any more."""
    return host.state(daemon) == "refused" and host["units"][daemon]["active"] == "active"


def _not_again(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for daemon in host.roles:
            if _runs_on(host, daemon) and host.masked(daemon):
                service = host.service(daemon)
                yield Sign(
                    host.name,
                    f"{service} runs, but its unit is masked: once it has ended, systemd starts it for nobody.",
                    [f"systemctl show {service}: LoadState=masked"],
                    unmasked(service),
                )
            elif _runs_on(host, daemon):
                fields, service = host["units"][daemon], host.service(daemon)
                yield Sign(
                    host.name,
                    f"{service} runs, but systemd refuses its unit as it is now: the next start fails.",
                    [f"systemd says: {fields.get('load_error') or fields.get('load')}"],
                    f"See systemd-analyze verify {service}.service and systemctl cat {service}, and mend that line.",
                )


def _outdated(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for daemon in IN_ORDER:
            facts = (host.facts.get("units") or {}).get(daemon) or {}
            if facts.get("outdated") and facts.get("active") == "active":
                service = host.service(daemon)
                yield Sign(
                    host.name,
                    f"{service} still runs from a binary or library that was replaced or removed since it started: "
                    f"what is installed by now ({host.facts['version'] or 'no version'}) is not what runs, and a "
                    "plugin that it loads late may not fit.",
                    [f"/proc/PID/exe or maps of {service}: (deleted)"],
                    f"`systemctl restart {service}`",
                )


def _failed(daemon: str, states: Sequence[str], cause: str) -> Callable[[Cluster], Iterator[Sign]]:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host in cluster.role(daemon):
            if host.state(daemon) in states:
                fields, service = host["units"][daemon], host.service(daemon)
                seen = f"Result={fields['result']}, exit status {fields['exit_status']}, {fields['restarts']} restarts"
                more, costs = meanwhile(cluster, host) if daemon == "slurmctld" else ("", "")
                words = [*host.words(daemon), f"systemctl show {service}: {seen}"]
                user = str(host.facts[CONFS[daemon]]["slurm_user"]) if daemon in CONFS else ""
                why, what = meaning(words) or silent(host.ended(daemon), daemon, user, fields["exit_status"])
                yield Sign(
                    host.name,
                    f"{cause}. {why}{more}",
                    words,
                    f"{what} (all of its words: journalctl -u {service}); then systemctl reset-failed {service} and "
                    f"systemctl start {service}{costs}.",
                    ended=host.ended(daemon),
                )

    return look


def _plugin(cluster: Cluster) -> Iterator[Sign]:
    """One cause for all daemons of a host that end over one plugin, or over a library that it needs."""
    for host in cluster.hosts:
        found: dict[str, list[str]] = {}
        for daemon in IN_ORDER:
            chain = host.ended(daemon) if daemon in host.roles and host.down(daemon) else []
            if chain and _PLUGIN.search("\n".join(chain)):
                found.setdefault(_PLACE.sub("", chain[0]), []).append(daemon)
        for cause, daemons in found.items():
            library = _LIBRARY.search(cause)
            names = " and ".join(daemons)
            units = " ".join(host.service(daemon) for daemon in daemons)
            yield Sign(
                host.name,
                f"{names} cannot load a plugin: {library[1]} cannot be opened."
                if library
                else f"{names} cannot load or start a plugin that the configuration names: {cause}",
                [text for daemon in daemons for text in host.words(daemon)],
                f"Make {library[1]} known to the loader again (its package, or its directory in /etc/ld.so.conf.d and "
                f"ldconfig); then systemctl restart {units}."
                if library
                else f"Install or mend what that line names, or take the plugin out of the configuration; then "
                f"systemctl restart {units}.",
                explains=[identity for daemon in daemons for identity in _ENDED[daemon]],
                ended=[line for daemon in daemons for line in host.ended(daemon)],
            )


def _halted(cluster: Cluster) -> Iterator[Sign]:
    """A process that is there and does nothing: connections to it are made, and never answered."""
    for host in cluster.hosts:
        for name, process in host["processes"].items():
            service = host.service(name)
            frozen = (host["units"].get(name) or {}).get("frozen")
            if frozen or process.get("halted"):
                yield Sign(
                    host.name,
                    f"The process of {service} is there, but "
                    + ("systemd has frozen it." if frozen else "a signal or a debugger has stopped it."),
                    [
                        f"systemctl show {service}: FreezerState=frozen"
                        if frozen
                        else f"/proc/{process['pid']}/stat: state T (stopped)"
                    ],
                    f"`systemctl thaw {service}`" if frozen else f"`systemctl kill --signal=SIGCONT {service}`",
                    explains=_SYMPTOMS_OF_HALTED.get(name, _SYMPTOMS_WITHOUT_CONTROLLER),
                )


def _skipped(daemon: str) -> Callable[[Cluster], Iterator[Sign]]:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host in cluster.role(daemon):
            if host.state(daemon) == "skipped":
                yield Sign(
                    host.name,
                    f"A condition of {daemon}'s unit does not hold.",
                    [f"systemctl show {daemon}: ConditionResult=no"],
                    f"systemctl cat {daemon} shows it; usually {host.facts[CONFS[daemon]]['path']} is missing.",
                )

    return look


def _not_registered(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        name, answer = host.facts["slurm_conf"]["cluster_name"], host.http.get("clusters")
        none = answer is not None and "Nothing found with query" in answer["words"]  # of some releases: none at all
        if not name or not answer or not (answer["good"] or none) or name.lower() in map(str.lower, answer["names"]):
            continue
        said = [
            text
            for controller in cluster.role("slurmctld")
            for text in controller.said("slurmctld", r"(?i)cluster.*(?:not|n't)|regist")[:1]
        ]
        yield Sign(
            host.name,
            f"The accounting database does not know the cluster {name}, so it takes no jobs, users or usage of it.",
            [
                f"{host.http['url']}{answer['path']}: {', '.join(answer['names']) or 'no cluster at all'}",
                host.line("slurm_conf", "ClusterName"),
                *said,
            ],
            _registration(cluster, host.release, name, state_mark(host)),
        )


def _registration(cluster: Cluster, release: Release | None, name: str, mark: str) -> str:
    """How the database gets to know a cluster; where slurmctld looks at ids, ``add cluster`` would choose another."""
    controllers = [host.name for host in cluster.role("slurmctld")] or ["the controller"]
    if release is None or not release.cluster_id_checked:
        return f"{on(controllers[:1], f'sacctmgr -i add cluster {word(name)}')}, then {on(controllers, AGAIN)}"
    if release.registers_own_cluster_id:
        return (
            f"{on(controllers, AGAIN)}: it registers the cluster itself, by the id that it has (one that sacctmgr adds "
            "gets another)"
        )
    anew = on(controllers, f"systemctl stop slurmctld; rm -f {word(mark)}; systemctl start slurmctld")
    return f"{anew}: it registers the cluster itself (by the id in that file it would end: {_MISMATCH}; jobs are kept)"


def _id_mismatch(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.role("slurmctld"):
        ended = host.ended("slurmctld") if host.down("slurmctld") else []
        if any(_MISMATCH in line for line in ended):
            file = state_mark(host)
            yield Sign(
                host.name,
                "The accounting database knows the cluster by another id than the controller has: it was made anew, or "
                "is another cluster's.",
                [*host.words("slurmctld"), f"{file} has the controller's", host.line("slurm_conf", "ClusterName")],
                f"Where the database is the right one, `rm {word(file)}`, then {start_again(['slurmctld'])}: slurmctld "
                "takes the database's id; jobs are kept.",
            )


def _unknown_user(cluster: Cluster) -> Iterator[Sign]:
    for rest in cluster.rest:
        client = rest.http.get("client") or {}
        user = client.get("user") or (client.get("token") or {}).get("user")
        if not user:
            continue
        for host in cluster.role("slurmctld"):
            known = host["users"].get(user)
            if known is not None and not known["exists"]:
                said = host.said("slurmctld", rf"(?i)nobody|{re.escape(user)}")
                yield Sign(
                    host.name,
                    f"The controller does not know the user {user}: depending on the release his jobs are refused, "
                    "held, or run as nobody (uid 99).",
                    [f"getent passwd {user}: nothing on {host.name}", *said[:1]],
                    f"Make {user} known to every host of the cluster (directory service, or slurm_cluster_users).",
                )


def _disk_full(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for disk in host["disks"]:
            no_inodes = disk["inodes"] is not None and disk["inodes"] < 16
            if disk["bytes"] < min(FULL_BYTES, disk["total"] // 100 or 1) or no_inodes:
                said = [
                    text
                    for daemon in (*CONFS, "slurmrestd")
                    for text in host.said(daemon, r"No space left|[Dd]isk full|I/O error writing", runs=1)[:1]
                ]
                what = "inodes" if no_inodes else "room"
                yield Sign(
                    host.name,
                    f"There is no {what} left where Slurm has to write.",
                    [f"{', '.join(disk['paths'])}: {disk['bytes']} of {disk['total']} bytes free", *said],
                    f"See df -h {disk['paths'][0]} and df -i {disk['paths'][0]}; make room, then restart the daemons.",
                )


def _exported(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        having = {
            daemon: process["pid"]
            for daemon, process in host["processes"].items()
            if daemon in ("slurmctld", "slurmdbd") and "SLURM_JWT" in (process["environment"] or {})
        }
        origins = [*host["exported"], *(f"environment of {daemon}, process {pid}" for daemon, pid in having.items())]
        if origins:
            yield Sign(
                host.name,
                "SLURM_JWT in the environment makes every Slurm command use that token instead of munge: once it has "
                "expired, sinfo, sbatch and all others fail.",
                [f"{origin}: SLURM_JWT" for origin in origins],
                join((without(host["exported"]), f"`systemctl restart {' '.join(having)}`" if having else ""))
                + "; shells that are open: unset SLURM_JWT. Keep tokens in files that clients read.",
            )


def _tokens_in_log(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        entry = host.entry("slurm_conf", "DebugFlags")
        flags = {flag.strip().lower() for flag in (entry[0] if entry else "").split(",")}
        variable = host.unit["environment"].get("SLURM_DEBUG_FLAGS", "")
        in_variable = {flag.strip().lower() for flag in variable.split(",")}
        where = [host.line("slurm_conf", "DebugFlags")] if flags & _NETWORK_FLAGS else []
        if in_variable & _NETWORK_FLAGS:
            where.append(f"{host.unit['environment_origins']['SLURM_DEBUG_FLAGS']}: SLURM_DEBUG_FLAGS={variable}")
        if where:
            yield Sign(
                host.name,
                "With DebugFlags=Network slurmrestd writes the headers of every request into its log, tokens included.",
                where,
                f"{_quiet(cluster, host, flags, in_variable)}; then {start_again([host.rest_unit])}. Every token in "
                "the log "
                "counts as known: make a new key (playbooks/rotate_jwt_key.yml) or wait until they have expired.",
            )


def _quiet(cluster: Cluster, host: Host, flags: set[str], in_variable: set[str]) -> str:
    """Take the flags out where they are: in every copy of slurm.conf, or in the unit's environment."""
    steps = []
    if flags & _NETWORK_FLAGS:
        entry = host.entry("slurm_conf", "DebugFlags")
        left = [flag for flag in (entry[0] if entry else "").split(",") if flag.strip().lower() not in _NETWORK_FLAGS]
        steps.append(
            everywhere(cluster, host, "slurm_conf", "DebugFlags", f"DebugFlags={','.join(left)}" if left else "")
        )
    if in_variable & _NETWORK_FLAGS:
        steps.append(f"{without([host.unit['environment_origins']['SLURM_DEBUG_FLAGS']])}, `systemctl daemon-reload`")
    return join(steps)


# --- symptoms --------------------------------------------------------------------------------------------------------


def _only_issuers(cluster: Cluster) -> bool:
    """Whether the controllers are meant to make no token: they take those of issuers, and have no key of their own."""
    confs = [host.facts["slurm_conf"] for host in cluster.role("slurmctld")]
    return bool(confs) and all(conf["jwt"] and conf["jwks"] and not conf["jwt_key"] for conf in confs)


def _not_minted(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest if not _only_issuers(cluster) else ():
        refused = host.evidence.get("token_refused")
        if refused:
            yield Sign(
                host.name,
                "The controller makes no token, so that no request could be tried.",
                [refused],
                "On the controller, see what env -u SLURM_JWT scontrol token username=root lifespan=60 and journalctl "
                "-u "
                "slurmctld say.",
            )


def _asked(host: Host, answer: Mapping[str, Any]) -> str:
    said = f": {answer['words']}" if answer["words"] else ""
    return f"GET {host.http['url']}{answer['path']} as {answer['as']}: {answer['status'] or answer['kind']}{said}"


def _refused(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        answer = host.http.get("diag")
        if answer and not answer["good"]:
            yield Sign(
                host.name,
                "slurmctld was asked with a fresh token of root and did not answer well.",
                [_asked(host, answer), *_own_pages(host), *_controllers_words(cluster)],
                f"See journalctl -u slurmctld -u {host.rest_unit} on their hosts, and scontrol ping.",
            )


def _own_pages(host: Host) -> list[str]:
    """That slurmctld works apart from tokens, where it says so itself."""
    return [
        f"GET http://{entry['host']}:{entry['port']}/healthz without a token: {entry['answer']}, so slurmctld "
        "itself works"
        for entry in host.evidence.get("reach") or ()
        if (entry.get("answer") or 0) // 100 == 2
    ][:1]


def _controllers_words(cluster: Cluster) -> list[str]:
    return [
        text
        for host in cluster.role("slurmctld")
        for text in host.said("slurmctld", r"auth_g_verify|jwt_decode|cred_verify|token expired|unpack", runs=1)[:1]
    ]


def _accounting(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        answer = host.http.get("clusters")
        if answer and not answer["good"]:
            yield Sign(
                host.name,
                "slurmdbd was asked with a fresh token of root and did not answer well.",
                [_asked(host, answer), *host.said("slurmrestd", r"PersistInit|slurmdbd|persist", runs=1)[:1]],
                f"See journalctl -u slurmdbd on its host, journalctl -u {host.rest_unit}, and sacctmgr show cluster.",
            )


def _silent(cluster: Cluster) -> Iterator[Sign]:
    """A listener of a running slurmrestd that gives no HTTP answer."""
    for host in cluster.rest:
        for entry in host.http.get("listeners") or ():
            if entry["status"] is None and not host.down("slurmrestd"):
                yield Sign(
                    host.name,
                    f"slurmrestd runs, but {entry['url']} gives no answer.",
                    [f"{entry['url']}: {entry['kind']}: {entry['words']}"],
                    f"See systemctl status {host.rest_unit}, ss -lntxp, and journalctl -u {host.rest_unit}.",
                )


def _unreachable(cluster: Cluster) -> Iterator[Sign]:
    found = in_charge(cluster)
    more = f" {found}." if found else ""
    for name, words in cluster.unreachable.items():
        if cluster.preflight:
            yield Sign(
                name,
                "This host could not be looked at. All hosts of slurmctld and slurmdbd have the same key and files, so "
                f"nothing is changed on any of them.{more}",
                [words],
                f"See to its SSH and its Python first: ansible -m ansible.builtin.ping {name}. Until then what runs "
                "goes on as it is.",
            )
            continue
        yield Sign(
            name,
            f"This host could not be looked at, so nothing is known of its daemons.{more}",
            [words],
            f"See to its SSH and its Python first: ansible -m ansible.builtin.ping {name}",
        )


_SYMPTOMS_WITHOUT_CONTROLLER = ("no-controller-in-charge", *SYMPTOMS_WITHOUT_SLURMDBD)
_SYMPTOMS_OF_HALTED = {"slurmrestd": ("listener-silent", "token-refused", "accounting-refused", "listens-elsewhere")}
_TROUBLE = "troubleshoot.html"
_ITS_WORDS = "the cause is no rule's: it is in the words that are quoted"

RULES = (
    Rule(
        "host-unreachable",
        "A host could not be looked at",
        "Ansible: connection",
        _unreachable,
        explains=_SYMPTOMS_WITHOUT_CONTROLLER,
        preflight=True,
        by_hand="nothing of it is seen",
    ),
    Rule(
        "disk-full",
        "A file system is full",
        f"{_TROUBLE}, Slurm is not responding; slurm.conf(5), StateSaveLocation",
        _disk_full,
        explains=(
            *_SYMPTOMS_WITHOUT_CONTROLLER,
            "slurmctld-failed",
            "slurmdbd-failed",
            "database-stopped",
            "slurmrestd-failed",
            "restart-loop",
        ),
        fatals=r"(?i)no space left|disk full|I/O error|quota|unable to write|could not write|save state",
        preflight=True,
        by_hand="what may go is the site's to say",
    ),
    Rule(
        "daemon-halted",
        "A daemon is held up",
        "systemctl(1), freeze and thaw; signal(7), SIGSTOP",
        _halted,
        explains=(
            *_SYMPTOMS_WITHOUT_CONTROLLER,
            "munge-stopped",
            "database-unusable",
            "listener-silent",
            "slurmdbd-not-listening",
        ),
        anywhere=True,
        preflight=True,
    ),
    Rule(
        "slurmctld-stopped",
        "slurmctld does not run",
        _TROUBLE,
        _stopped("slurmctld", "The controller does not run"),
        explains=_SYMPTOMS_WITHOUT_CONTROLLER,
    ),
    Rule(
        "slurmdbd-stopped",
        "slurmdbd does not run",
        "accounting.html, SlurmDBD Configuration",
        _stopped("slurmdbd", "The accounting daemon does not run"),
        explains=SYMPTOMS_WITHOUT_SLURMDBD,
    ),
    Rule(
        "cluster-not-registered",
        "The cluster is not in the accounting database",
        "accounting.html, Database Configuration",
        _not_registered,
        explains=("accounting-refused", "token-refused"),
        anywhere=True,
        passing=True,
    ),
    Rule(
        "cluster-id-mismatch",
        "The database knows the cluster by another id",
        "slurm.conf(5), StateSaveLocation; accounting.html, Database Configuration",
        _id_mismatch,
        explains=("slurmctld-failed", *_SYMPTOMS_WITHOUT_CONTROLLER),
        fatals=_MISMATCH,
    ),
    Rule(
        "user-unknown",
        "The controller does not know the user",
        "quickstart_admin.html, Super Quick Start",
        _unknown_user,
        explains=("request-token-wrong", "request-fails"),
        anywhere=True,
        by_hand="who is a user, and where users come from, is the site's to say",
    ),
    Rule(
        "tokens-in-log",
        "Tokens are written to the log",
        "slurm.conf(5), DebugFlags",
        _tokens_in_log,
        explains=("configuration-differs",),
    ),
    Rule(
        "slurm-jwt-exported",
        "SLURM_JWT is set for everybody's commands",
        "rest_quickstart.html, Common Issues",
        _exported,
        explains=("token-not-minted",),
    ),
)

SYMPTOMS = (
    Rule(
        "plugin-fails",
        "A plugin that the configuration names cannot be loaded",
        "plugins.html; slurm.conf(5), PluginDir",
        _plugin,
        fatals=_PLUGIN.pattern,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "daemon-outdated",
        "A daemon runs from a binary or library that was replaced",
        "upgrades.html",
        _outdated,
    ),
    Rule("unit-refused", "systemd would not start a daemon again", "systemd.unit(5)", _not_again, by_hand=_ITS_WORDS),
    Rule(
        "slurmrestd-stopped",
        "slurmrestd does not run",
        "rest_quickstart.html, Common Issues",
        _stopped("slurmrestd", "Connections are refused because nothing runs"),
        explains=("listens-elsewhere",),
    ),
    Rule(
        "restart-loop",
        "slurmrestd does not stay up",
        "rest_quickstart.html, Common Issues; systemd.service(5), Restart=",
        _failed("slurmrestd", ["looping"], "systemd starts it again and again, and it ends each time"),
        explains=("listens-elsewhere", "token-refused", "accounting-refused"),
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "slurmrestd-failed",
        "slurmrestd does not start",
        "rest_quickstart.html, Common Issues",
        _failed("slurmrestd", ["failed"], "It ended"),
        explains=("listens-elsewhere",),
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "slurmctld-failed",
        "slurmctld does not start",
        _TROUBLE,
        _failed("slurmctld", ["failed", "looping"], "It ended"),
        explains=_SYMPTOMS_WITHOUT_CONTROLLER,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "slurmctld-skipped",
        "slurmctld is skipped",
        _TROUBLE,
        _skipped("slurmctld"),
        explains=_SYMPTOMS_WITHOUT_CONTROLLER,
        by_hand="what the condition asks for is the site's",
    ),
    Rule(
        "slurmdbd-failed",
        "slurmdbd does not start",
        "accounting.html, SlurmDBD Configuration",
        _failed("slurmdbd", ["failed", "looping"], "It ended"),
        explains=SYMPTOMS_WITHOUT_SLURMDBD,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "slurmdbd-skipped",
        "slurmdbd is skipped",
        "accounting.html, SlurmDBD Configuration",
        _skipped("slurmdbd"),
        explains=("accounting-refused", "daemon-unreached"),
        by_hand="what the condition asks for is the site's",
    ),
    Rule(
        "token-not-minted",
        "The controller makes no tokens",
        "jwt.html, Usage",
        _not_minted,
        explains=("token-refused",),
        anywhere=True,
        passing=True,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "token-refused",
        "slurmctld does not answer through slurmrestd",
        "rest_quickstart.html, Common Issues",
        _refused,
        explains=("accounting-refused",),
        anywhere=True,
        passing=True,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "accounting-refused",
        "slurmdbd does not answer through slurmrestd",
        "rest_quickstart.html, Common Issues",
        _accounting,
        anywhere=True,
        passing=True,
        by_hand=_ITS_WORDS,
    ),
    Rule(
        "listener-silent",
        "A listener gives no answer",
        "rest_quickstart.html, Common Issues",
        _silent,
        passing=True,
        by_hand=_ITS_WORDS,
    ),
)
