"""Causes in the JWT key, in auth/jwt's configuration, and in clocks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ..auth import keys
from ..slurm.package_plan import parts
from .model import CONFS, Cluster, Host, Rule, Sign
from .named_keys import ASKED, ROLE, UNKNOWN, mended, of_root, seen
from .remedies import DEPLOY_RESTARTING, everywhere, join, restart, start_again, word
from .rules_controllers import in_charge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Key = Mapping[str, Any]

JWT = "jwt.html, Setup"
CLOCK_SECONDS = 30.0
"""How far clocks may be apart: a token's ``exp`` is compared without leeway, munge allows five minutes."""

ANSWERS = ("token-not-minted", "token-refused", "accounting-refused")
REFUSALS = ("slurmctld-failed", "slurmdbd-failed", "plugin-fails", *ANSWERS)
_IN_ORDER = ("slurmdbd", "slurmctld", "slurmrestd")
KEY_FATALS = r"auth/jwt: .*(?:cannot stat|Could not load key)|create_mmap"


# --- the key ---------------------------------------------------------------------------------------------------------


def each_key(cluster: Cluster) -> Iterator[tuple[Host, str, Key]]:
    """Every key that was seen; daemons that share a file share its faults, so it comes once a host."""
    for host in cluster.hosts:
        done = set()
        for daemon, key in host["keys"].items():
            if key["error"] is None and key["path"] not in done:
                done.add(key["path"])
                yield host, daemon, key


def key_words(host: Host) -> list[str]:
    """What the daemons said of their key when they ended."""
    return [
        text
        for daemon in CONFS
        if daemon in host.roles and host.down(daemon)
        for text in host.said(daemon, r"auth/jwt|key file|create_mmap")[:1]
    ]


def _key_rule(fault: Callable[[Key], bool], cause: str, remedy: str) -> Callable[[Cluster], Iterator[Sign]]:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host, daemon, key in each_key(cluster):
            if fault(key) and not (fault is _missing and _unnamed(host, daemon)):
                where = host.line(CONFS[daemon], "AuthAltParameters")
                yield Sign(
                    host.name,
                    cause.format(reader=key["reader"]),
                    [seen(key), where, *key_words(host)],
                    mended(cluster, key, remedy),
                )

    return look


def _missing(key: Key) -> bool:
    return not key["exists"]


def _unnamed(host: Host, daemon: str) -> bool:
    """Whether a configuration has AuthAltTypes alone: no key is named, and no set of keys."""
    conf = host.facts[CONFS[daemon]]
    return bool(conf["jwt"] and not conf["jwt_key"] and not conf["jwks"])


def _empty(key: Key) -> bool:
    return bool(key["exists"]) and key["size"] == 0


def _short(key: Key) -> bool:
    return bool(key["exists"]) and 0 < key["size"] < keys.MINIMUM_BYTES


def _open(key: Key) -> bool:
    """Its mode lets others in; an owner who is wrong himself is another fault."""
    return bool(key["exists"]) and bool(key["mode"] & 0o037) and not _owned_wrongly(key)


def _owned_wrongly(key: Key) -> bool:
    if not key["exists"]:
        return False
    return key["uid"] not in (0, key["reader_uid"]) or not key["readable"]


def _differ(cluster: Cluster) -> Iterator[Sign]:
    found: dict[str, list[tuple[Host, str, Key]]] = {}
    for host in cluster.hosts:
        for daemon, key in host["keys"].items():
            if key["fingerprint"]:
                found.setdefault(key["fingerprint"], []).append((host, daemon, key))
    if len(found) < 2:
        return
    groups = [
        ", ".join(f"{daemon} on {host.name} ({key['path']})" for host, daemon, key in group) for group in found.values()
    ]
    evidence = [f"key {number}: {group}" for number, group in enumerate(groups, start=1)]
    words = "The daemons check tokens with different keys, so a token that one makes is refused by another."
    back = [
        (host.name, key)
        for group, other in itertools.permutations(found.values(), 2)
        for host, _daemon, key in group
        if any(host.name in remembers.get("ended_without", ()) for _host, _daemon, remembers in other)
    ]
    if back:
        name, key = back[0]
        yield Sign(
            name,
            f"{words} {name} is back with the one that a rotation without it has ended.",
            evidence,
            f"systemctl stop slurmctld; rm {word(key['path'])} on {name}. Once a backup is in charge, {ROLE} gives it "
            "the new key."
            if of_root(cluster, key)
            else UNKNOWN,
        )
        return
    yield Sign(
        min(found.values(), key=len)[0][0].name,
        words,
        evidence,
        f"{ROLE} gives all of them the key of the primary controller; then {restart(cluster, 'slurmdbd', 'slurmctld')}",
    )


def _not_loaded(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for daemon, key in host["keys"].items():
            process = host["processes"].get(daemon)
            if not process or key["error"] or not key["exists"]:
                continue
            old = _old_key(process, key)
            if old:
                led, release = in_charge(cluster), host.release
                # A reconfigure goes to the one in charge.
                gently = release and release.reconfigure_rereads_key and (led is None or led.leader == host.name)
                again = "`scontrol reconfigure`" if gently else "`systemctl restart slurmctld`"
                yield Sign(
                    host.name,
                    f"{daemon} still works with the key that was there before: a new one counts once it is loaded.",
                    [old],
                    f"`systemctl restart {daemon}`" if daemon == "slurmdbd" else again,
                )


def _old_key(process: Mapping[str, Any], key: Key) -> str:
    """Evidence that a process has another file in memory than the one that is there now; empty when it has not."""
    if process["mapped"] is None:
        newer = key["age"] < process["age"]
        return (
            f"{key['path']} changed {key['age']:.0f} s ago, the process is {process['age']:.0f} s old" if newer else ""
        )
    mapped = [item for item in process["mapped"] if item["path"] in (key["path"], key["real_path"])]
    if mapped and (mapped[0]["deleted"] or mapped[0]["inode"] != key["inode"]):
        loaded = mapped[0]["inode"]
        return f"process {process['pid']} has inode {loaded} of {key['path']} in memory, now it is {key['inode']}"
    return ""


# --- configuration ---------------------------------------------------------------------------------------------------


def _conf_hosts(cluster: Cluster) -> Iterator[tuple[Host, str, str, Mapping[str, Any]]]:
    """Each daemon that checks tokens, with the configuration it reads."""
    for host, daemon in cluster.each(*CONFS):
        conf = host.facts[CONFS[daemon]]
        if conf["exists"] and conf["readable"]:
            yield host, daemon, CONFS[daemon], conf


def _misspelt(host: Host, conf: Mapping[str, Any]) -> list[str]:
    """Types that no release takes, or that this one takes only with auth/ before them."""
    release = host.release
    known = {"auth/jwt", "auth/munge", "auth/slurm", "auth/none"}
    if release is not None and not release.auth_prefix_required:
        known |= {name.partition("/")[2] for name in known}
    return [name for name in conf["auth_alt_types"] if name not in known]


def _spelling(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon, name, conf in _conf_hosts(cluster):
        wrong = _misspelt(host, conf)
        if wrong:
            yield Sign(
                host.name,
                f"AuthAltTypes names {', '.join(wrong)}, which is no authentication plugin of {daemon} (rest_auth/jwt "
                "is slurmrestd's own).",
                [
                    host.line(name, "AuthAltTypes"),
                    *host.said(daemon, r"auth plugin|auth context|authentication plugin")[:1],
                ],
                f"{everywhere(cluster, host, name, 'AuthAltTypes', 'AuthAltTypes=auth/jwt')}; then "
                f"{start_again([daemon])}",
            )


def _absent(daemon: str) -> Callable[[Cluster], Iterator[Sign]]:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host, name, conf_name, conf in _conf_hosts(cluster):
            if name == daemon and not conf["jwt"] and not _misspelt(host, conf):
                said = host.said(daemon, r"auth/jwt\(102\) not found|plugin_id 102|Header lengths")
                yield Sign(
                    host.name,
                    f"{daemon} does not accept tokens: AuthAltTypes=auth/jwt is missing in its configuration.",
                    [host.line(conf_name, "AuthAltTypes"), *said[:1]],
                    f"{DEPLOY_RESTARTING} states AuthAltTypes=auth/jwt and AuthAltParameters=jwt_key=… in "
                    f"{conf['path']} "
                    f"and restarts {daemon}.",
                )

    return look


def _no_key(cluster: Cluster) -> Iterator[Sign]:
    """One cause for both daemons: slurmctld has a default, and slurmdbd has none."""
    for host, daemon, name, conf in _conf_hosts(cluster):
        if not _unnamed(host, daemon):
            continue
        key = host["keys"].get(daemon)
        if daemon == "slurmdbd":
            cause = "slurmdbd has no default for its JWT key, and its configuration names none."
        elif key and not key["error"] and not key["exists"]:
            cause = f"{conf['path']} names no JWT key, and slurmctld's default, {key['path']}, does not exist."
        else:
            continue
        yield Sign(
            host.name,
            cause,
            [host.line(name, "AuthAltParameters"), *host.said(daemon, r"jwt_key|auth/jwt|key file|create_mmap")[:1]],
            f"{ROLE} states it, then {start_again([daemon])}; or by hand AuthAltParameters=jwt_key=PATH in "
            f"{conf['path']}, the same key in slurm.conf and slurmdbd.conf.",
        )


def _jwks_only(cluster: Cluster) -> Iterator[Sign]:
    """Only where HS256 is in use: a site whose tokens all come from an identity provider is healthy like this."""
    hs256 = [
        f"{host.name}: {host.line(name, 'AuthAltParameters')}"
        for host, _, name, conf in _conf_hosts(cluster)
        if conf["jwt_key"]
    ]
    hs256 += [
        f"the client's token is signed with {token['algorithm']}"
        for host in cluster.rest
        for token in [(host.http.get("client") or {}).get("token") or {}]
        if token.get("algorithm") == "HS256"
    ]
    for host, daemon, name, conf in _conf_hosts(cluster):
        if conf["jwt"] and conf["jwks"] and not conf["jwt_key"] and hs256:
            yield Sign(
                host.name,
                f"With jwks= alone {daemon} loads no HS256 key: tokens of scontrol are neither made nor accepted.",
                [host.line(name, "AuthAltParameters"), *hs256, *host.said(daemon, r"no key loaded")[:1]],
                f"Set `slurm_common_hs256: true`; {DEPLOY_RESTARTING} adds jwt_key=… to AuthAltParameters in "
                f"{conf['path']}.",
            )


def _no_plugin(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        facts, plugins = host.facts, host.facts["plugins"]
        wants = [daemon for daemon, conf in CONFS.items() if daemon in host.roles and facts[conf]["jwt"]]
        if "slurmrestd" in host.roles and "SLURM_JWT" in host.unit["environment"]:
            wants.append("slurmrestd")
        if wants and facts["plugin_dir"] and not plugins["auth_jwt"]:
            said = [text for daemon in wants for text in host.said(daemon, r"auth/jwt|auth context|auth plugin")[:1]]
            yield Sign(
                host.name,
                f"The plugin auth_jwt.so, which {' and '.join(wants)} need, is not installed.",
                [f"{facts['plugin_dir']}/auth_jwt.so does not exist", *said],
                join(
                    (_installed(host), start_again([host.service(daemon) for daemon in _IN_ORDER if daemon in wants]))
                ),
            )


def _installed(host: Host) -> str:
    """The package of auth_jwt.so, anew: its file may be gone and the package still be there."""
    name = parts(host.facts)[2]
    return (
        f"`apt-get update && apt-get install --reinstall --yes {name.split()[0]}`"
        if name.startswith("slurm-wlm")
        else f"Install {name}"
    )


def _clocks(cluster: Cluster) -> Iterator[Sign]:
    """Each clock lies in an interval as seen by the Ansible controller; intervals that cannot meet are apart."""
    offsets = {}
    for host in cluster.hosts:
        begin, end = host["asked"]
        offsets[host.name] = (host["now"] - end, host["now"] - begin)
    if len(offsets) < 2:
        return
    early = min(offsets, key=lambda name: offsets[name][1])
    late = max(offsets, key=lambda name: offsets[name][0])
    apart = offsets[late][0] - offsets[early][1]
    if apart > CLOCK_SECONDS:
        yield Sign(
            late,
            f"The clocks of {late} and {early} are {apart:.0f} s apart: a token is expired for one while the other "
            "still takes it, and munge refuses what comes from too far away.",
            [f"the clock of {late} is {apart:.0f} s ahead of that of {early}"],
            "Have all hosts keep time by the same servers: timedatectl, chronyc tracking.",
        )


RULES = (
    Rule(
        "jwt-plugin-missing",
        "The plugin auth/jwt is not installed",
        "jwt.html, Prerequisites",
        _no_plugin,
        explains=(*REFUSALS, "slurmrestd-failed", "restart-loop", "slurmrestd-stopped", "listens-elsewhere"),
        fatals=r"jwt",
    ),
    Rule(
        "auth-alt-misspelt",
        "AuthAltTypes is misspelt",
        "slurm.conf(5), AuthAltTypes; jwt.html, Setup",
        _spelling,
        explains=(*REFUSALS, "configuration-differs"),
        fatals=r"auth plugin|auth context|authentication plugin|missing symbols",
    ),
    Rule(
        "auth-alt-missing",
        "slurmctld does not accept tokens",
        JWT,
        _absent("slurmctld"),
        explains=(*ANSWERS, "configuration-differs"),
    ),
    Rule(
        "auth-alt-missing-slurmdbd",
        "slurmdbd does not accept tokens",
        JWT,
        _absent("slurmdbd"),
        explains=("accounting-refused", "token-refused"),
    ),
    Rule(
        "jwks-without-key",
        "There are JWKS and no HS256 key, but HS256 tokens are in use",
        "jwt.html, Integration with JWKS",
        _jwks_only,
        explains=(*ANSWERS, "configuration-differs"),
    ),
    Rule(
        "jwt-key-unset",
        "The configuration names no JWT key",
        JWT,
        _no_key,
        explains=(*REFUSALS, "jwt-key-not-loaded", "jwt-keys-differ"),
        fatals=rf"jwt_key|auth/jwt|{KEY_FATALS}",
    ),
    Rule(
        "jwt-key-missing",
        "The JWT key is not there",
        JWT,
        _key_rule(
            _missing,
            "The file that AuthAltParameters names does not exist.",
            f"{ROLE} makes or copies the key; then {{again}}",
        ),
        explains=(*REFUSALS, "jwt-key-not-loaded"),
        fatals=KEY_FATALS,
    ),
    Rule(
        "jwt-key-empty",
        "The JWT key is empty",
        JWT,
        _key_rule(
            _empty,
            "The key file is empty, which the daemons refuse.",
            f"`rm {{path}}`, then {ROLE}, then {{again}}",
        ),
        explains=(*REFUSALS, "jwt-key-not-loaded", "jwt-keys-differ"),
        fatals=KEY_FATALS,
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-key-short",
        "The JWT key is too short",
        JWT,
        _key_rule(
            _short,
            "Slurm takes any length, but an HS256 key under 32 bytes can be guessed from a single token.",
            f"`rm {{path}}`, then {ROLE}, then {{again}}. Tokens that are out stop working.",
        ),
        explains=("jwt-key-not-loaded",),
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-key-owner",
        "The JWT key belongs to the wrong account",
        JWT,
        _key_rule(
            _owned_wrongly,
            "The key must belong to root or {reader}, and {reader} must be able to read it.",
            "`{given}`, then {again}",
        ),
        explains=REFUSALS,
        fatals=rf"{KEY_FATALS}|key file is insecure",
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-key-open",
        "The JWT key is open to others",
        JWT,
        _key_rule(
            _open,
            "Who reads the key can make tokens for any user, root included; newer releases refuse such a key.",
            f"Make a new one, since this one may be known: `rm {{path}}`, then {ROLE}, then {{again}}",
        ),
        explains=REFUSALS,
        fatals=r"key file is insecure",
        preflight=True,
        by_hand=ASKED,
    ),
    Rule(
        "jwt-keys-differ",
        "The JWT keys of the daemons differ",
        "jwt.html, Setup; jwt.html, Compatibility",
        _differ,
        explains=("accounting-refused", "token-refused"),
    ),
    Rule(
        "jwt-key-not-loaded",
        "A daemon has not loaded the changed key",
        JWT,
        _not_loaded,
        explains=("accounting-refused", "token-refused"),
    ),
    Rule(
        "clocks-apart",
        "The clocks are apart",
        "jwt.html, Setup; munge(7)",
        _clocks,
        explains=(*REFUSALS, "munge-stopped", "cluster-not-registered", "slurmrestd-failed", "gateway-key-refused"),
        by_hand="which clock is right, and what sets it, is not seen here",
        fatals=r"(?i)credential|expired|rewound|clock",
        anywhere=True,
        preflight=True,
    ),
)
