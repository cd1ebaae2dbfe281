"""Causes in what a unit takes away from slurmrestd: a view of files, a network, families of addresses, threads, files.

A site may confine its slurmrestd as it likes, so that only trouble which fits makes such a line a cause.
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from ..slurmrestd import unit_places
from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, without
from .rules_units import DOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Line = Mapping[str, str]  # key, value, origin
    Found = tuple[Line, str, Sequence[str]]  # the line, what it means, what else was seen

_UNSEEN = r"cannot stat|Permission denied|No such file|[Uu]nable to (?:stat|open|read|process)|configuration source"
_HIDING = ("InaccessiblePaths", "TemporaryFileSystem")
_NETWORKS = ("PrivateNetwork", "NetworkNamespacePath")
_FAMILIES = "RestrictAddressFamilies"
_SPECIAL = {
    "any": ("0.0.0.0/0", "::/0"),
    "localhost": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/64"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
}
"""Words for networks, see systemd.resource-control(5), IPAddressAllow=."""

_UNHEARD = r"(?i)unable to contact|connect|timed out|unreachable"
_FORBIDDEN = ("SystemCallFilter", "SocketBindDeny")
_MAY_NOT = r"(?i)(?:socket|bind|listen).*operation not permitted|status=31/SYS"
_RESOLVES_NOT = r"get address: Temporary failure in name resolution"
"""What glibc says to an address, which needs no name server, where it gets no socket."""
_LIMITS = (
    (
        ("TasksMax", "LimitNPROC"),
        r"pthread_create|[Rr]esource temporarily unavailable|[Ff]ailed to (?:fork|spawn)",
        8,
        False,
    ),
    (("LimitNOFILE",), r"Too many open files(?! in system)", 24, True),
)
"""Limits of one kind, how slurmrestd or systemd tells that one was reached, below which number no slurmrestd starts,
and whether that number is reason enough without such words: containers may pass a limit of a cgroup over."""

_MEMORY = ("LimitAS", "LimitDATA", "MemoryMax")
_UNITS = "KMGTPE"
_LITTLE_MEMORY = 256 << 20
"""With less address space or data slurmrestd may start and yet get no further."""
_NO_MEMORY = r"(?i)malloc failed|cannot allocate memory|out of memory|oom-kill|OOM killer"

_WORDS = (
    r"(?i)cannot stat|no such file|permission denied|unable to (?:bind|open|read|process|create)|address family"
    r"|pthread_create|temporarily unavailable|too many open files|plugin|configuration source|operation not permitted"
    r"|name resolution|malloc|allocate memory|out of memory"
)


def _takes(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        lines: Sequence[Line] = host.evidence.get("confining") or ()
        missed = _missed(cluster, host) if lines else []
        if not lines or not (missed or _in_trouble(host)):
            continue
        for look in (_hides, _apart, partial(_filtered, missed=missed), _families, _forbidden, _limits, _memory):
            found = look(host, lines)
            if found:
                line, cause, seen = found
                yield Sign(host.name, cause, [_quoted(line), *seen], _remedy(host, line))
                break


def _in_trouble(host: Host) -> bool:
    own = any(entry["program"] == "slurmrestd" for entry in host["listening"])
    diag = host.http.get("diag") or {"good": True}
    return host.down("slurmrestd") or not own or diag["good"] is False or bool(_unanswered(host))


def _unanswered(host: Host) -> list[Mapping[str, Any]]:
    """Listeners with an address that give no answer."""
    told = host.http.get("listeners") or ()
    return [entry for entry in told if entry["status"] is None and _has_port(entry)]


def _hides(host: Host, lines: Sequence[Line]) -> Found | None:
    """A line that hides slurm.conf: then it is there for everybody but slurmrestd."""
    conf = host.facts["slurm_conf"]
    for line in lines if conf["exists"] else ():
        for word in line["value"].split() if line["key"] in _HIDING else ():
            path = word.lstrip("-+").partition(":")[0].rstrip("/")
            if path.startswith("/") and f"{conf['path']}/".startswith(f"{path}/"):
                said = [text for text in host.words("slurmrestd") if re.search(_UNSEEN, text)]
                if host.down("slurmrestd") and not said:
                    continue  # it ended over something else
                return line, f"The unit hides {path} from slurmrestd, and {conf['path']} is there.", said[:1]
    return None


def _apart(host: Host, lines: Sequence[Line]) -> Found | None:
    """A network of its own, where it has one: containers pass that directive over."""
    process = host["processes"].get("slurmrestd") or {}
    apart = process.get("network_apart")
    heard = any(entry["status"] is not None for entry in host.http.get("listeners") or () if _has_port(entry))
    if host.down("slurmrestd") or apart is False or (apart is None and heard):
        return None
    for line in lines:
        if line["key"] in _NETWORKS and line["value"].lower() not in ("no", "false", "off", "0"):
            cause = (
                "The unit gives slurmrestd a network of its own: nobody reaches its ports, and it reaches no slurmctld."
            )
            return line, cause, [f"no port of slurmrestd in the network of {host.name}"]
    return None


def _has_port(entry: Mapping[str, Any]) -> bool:
    return not str(entry["url"]).startswith("unix:")


def _missed(cluster: Cluster, host: Host) -> list[Mapping[str, Any]]:
    """What gateways say whose connections to this slurmrestd get no answer."""
    told = [entry for other in cluster.hosts for entry in (other.evidence.get("gateway") or {}).get("hosts") or ()]
    lost = [entry for entry in told if "timed out" in entry["error"] and entry.get("from")]
    return [entry for entry in lost if len(cluster.rest) == 1 or entry["host"].rpartition(":")[0] == host.name]


def _filtered(host: Host, lines: Sequence[Line], missed: Sequence[Mapping[str, Any]]) -> Found | None:
    """Packets that systemd drops, where they are missing: a listener that gives no answer, a slurmctld not reached."""
    denied = [line for line in lines if line["key"] == "IPAddressDeny"]
    if not denied or host.down("slurmrestd"):
        return None
    for entry in _unanswered(host) if _listens(host) else ():
        if entry["kind"] == "timeout" and _drops(lines, _address(entry["url"])):
            cause = "The unit has systemd drop the packets of clients: slurmrestd listens, and they get no answer."
            return denied[-1], cause, [f"{entry['url']}: {entry['kind']}: {entry['words']}"]
    for entry in missed if _listens(host) else ():
        if _drops(lines, entry["from"]):
            cause = "The unit has systemd drop the packets of the gateway: slurmrestd listens, and it gets no answer."
            return denied[-1], cause, [f"connect from {entry['from']} to {entry['host']}: {entry['error']}"]
    diag = host.http.get("diag") or {"good": True}
    if diag["good"] is False and re.search(_UNHEARD, diag["words"]):
        for entry in host.evidence.get("reach") or ():
            for address in entry["addresses"] if not entry["error"] else ():
                if _drops(lines, address):
                    cause = f"The unit has systemd drop the packets between slurmrestd and {entry['daemon']}."
                    reached = f"connect to {entry['host']} ({address}), port {entry['port']}: others of this host may"
                    return denied[-1], cause, [reached, diag["words"]]
    return None


def _listens(host: Host) -> bool:
    return any(entry["program"] == "slurmrestd" and entry["kind"] == "tcp" for entry in host["listening"])


def _address(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]")


def _drops(lines: Sequence[Line], text: str) -> bool:
    """Whether systemd drops what goes to or comes from an address: what is allowed goes before what is denied."""
    try:
        address = ip_address("127.0.0.1" if text == "localhost" else text)
    except ValueError:
        return False

    def covered(key: str) -> bool:
        words = [word for line in lines if line["key"] == key for word in line["value"].split()]
        networks = [network for word in words for network in _SPECIAL.get(word, (word,))]
        return any(address in ip_network(network, strict=False) for network in networks if _is_network(network))

    return covered("IPAddressDeny") and not covered("IPAddressAllow")


def _is_network(text: str) -> bool:
    try:
        return bool(ip_network(text, strict=False))
    except ValueError:
        return False


def _forbidden(host: Host, lines: Sequence[Line]) -> Found | None:
    """A line of the site's that denies what opens a listener; what this toolkit and the vendor wrote lets it."""
    stated = [line for line in lines if line["key"] in _FORBIDDEN and not _is_own(host, line)]
    calls = any(line["key"] == "SystemCallFilter" for line in stated)
    pattern = f"{_MAY_NOT}|{_RESOLVES_NOT}" if calls else _MAY_NOT
    said = [text for text in host.words("slurmrestd") if re.search(pattern, text)] if host.down("slurmrestd") else []
    if not stated or not said:
        return None
    return stated[-1], f"The unit forbids slurmrestd what it does at its start: {stated[-1]['key']}=.", said[:1]


def _families(host: Host, lines: Sequence[Line]) -> Found | None:
    stated = [line for line in lines if line["key"] == _FAMILIES]
    words = " ".join(line["value"] for line in stated).split()
    denying = bool(words) and words[0].startswith("~")
    names = {word.lstrip("~") for word in words}
    if not stated or ("AF_INET" in names) is not denying:
        return None
    said = host.said("slurmrestd", r"(?i)address family not supported")
    cause = (
        "The unit lets slurmrestd have no socket of the family AF_INET, over which clients and slurmctld are reached."
    )
    return (stated[-1], cause, said[:1]) if said or not host.down("slurmrestd") else None


def _limits(host: Host, lines: Sequence[Line]) -> Found | None:
    """The tightest limit of a kind, for that one is reached; those of this toolkit leave enough unless tiny."""
    words = host.words("slurmrestd") if host.down("slurmrestd") else []
    last = {line["key"]: line for line in lines}  # a later line of a key replaces the one before
    for keys, pattern, fewest, silent in _LIMITS:
        stated = [last[key] for key in keys if key in last and _number(last[key]) is not None]
        line = min(stated, key=lambda entry: _number(entry) or 0, default=None)
        if line is None or not words:
            continue
        said = [text for text in words if re.search(pattern, text)]
        tiny = (_number(line) or 0) < fewest
        if (said and (tiny or not _is_own(host, line))) or (tiny and silent):
            return line, f"The unit leaves slurmrestd too little: {line['key']}={line['value']}.", (said or words)[:1]
    return None


def _memory(host: Host, lines: Sequence[Line]) -> Found | None:
    """It was killed, or says so; or it runs and cannot listen, or answer, without a word."""
    last = {line["key"]: line for line in lines if line["key"] in _MEMORY}
    stated = [line for line in last.values() if _number(line) is not None]
    line = min(stated, key=lambda entry: _number(entry) or 0, default=None)
    if line is None:
        return None
    said = host.said("slurmrestd", _NO_MEMORY)
    own = any(entry["program"] == "slurmrestd" for entry in host["listening"])
    told = host.http.get("listeners") or ()
    heard = own and (not told or any(entry["status"] is not None for entry in told))
    little = line["key"] != "MemoryMax" and (_number(line) or 0) < _LITTLE_MEMORY
    mute = little and not heard and not host.down("slurmrestd")
    cause = f"The unit leaves slurmrestd too little memory: {line['key']}={line['value']}."
    return (line, cause, said[:1]) if said or mute else None


def _number(line: Line) -> int | None:
    """The limit that counts; ``infinity`` and shares of the host are none that this can weigh."""
    soft = line["value"].partition(":")[0]
    unit = _UNITS.find(soft[-1:]) + 1 if soft[-1:] else 0
    digits = soft[:-1] if unit else soft
    return int(digits) << 10 * unit if digits.isdigit() else None


def _is_own(host: Host, line: Line) -> bool:
    """Whether this toolkit wrote it."""
    own: str = host.facts.get("dropin", unit_places.DROPIN)
    return line["origin"].rpartition(":")[0] == own


def _quoted(line: Line) -> str:
    return f"{line['origin']}: {line['key']}={line['value']}"


def _remedy(host: Host, line: Line) -> str:
    """A line of the site's own drop-in goes; what this toolkit wrote follows a variable."""
    file = line["origin"].rpartition(":")[0]
    if _is_own(host, line) and line["key"] == "IPAddressDeny":
        return f"Name its address in slurmrestd_service_clients, then {DEPLOY}"
    if _is_own(host, line):
        return f"Give it more in slurmrestd_service_sandbox, then {DEPLOY}"
    if file == host.unit["fragment"]:
        return f"Give it more in a drop-in (systemctl edit {host.rest_unit}), then systemctl restart {host.rest_unit}."
    return f"{without([line['origin']])}, `systemctl daemon-reload`, then {start_again([host.rest_unit])}"


RULES = (
    Rule(
        "unit-confines",
        "The unit takes from slurmrestd what it needs",
        "systemd.exec(5), Sandboxing and Process Properties; systemd.resource-control(5)",
        _takes,
        explains=(
            *(*DOWN, "not-listening", "listens-elsewhere", "listener-silent", "bind-permission", "sandbox-refused"),
            *("token-refused", "accounting-refused", "gateway-upstream"),
        ),
        fatals=_WORDS,
        by_hand="a line of the vendor's unit is changed in a drop-in that the site writes",
    ),
)
