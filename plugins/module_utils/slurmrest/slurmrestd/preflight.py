"""Judge what is wanted against what is on the host, before anything changes.

Pure: variables and the facts of ``detect`` go in, problems come out. Only variables that are given are judged, so that
each role can ask about its own; what depends on the release is judged where Slurm is installed.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, cast

from ..errors import InputError
from ..redaction import REDACTED, redacted
from ..slurm.package_plan import parts
from ..slurm.ports import port_range
from ..slurm.releases import RELEASES, first_with
from ..systemd import unit_files
from ..systemd.values import no_environment_value
from . import account as accounts
from . import address, adoption, listeners, spelling, unit_places
from . import unit as units
from .host_facts import ExistingPathFacts, HostFacts
from .problem import HIDDEN_DIRECTORIES, Problem, sandbox_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    Judge = Callable[[Mapping[str, Any], HostFacts], Iterator["Problem"]]

PRIVILEGED_PORTS = range(1, 1024)
"""Only root, or a process with CAP_NET_BIND_SERVICE, binds these (capabilities(7))."""

LISTEN = address.VARIABLE
THREADS = "slurmrestd_service_threads"
ENVIRONMENT = "slurmrestd_service_environment"
DEBUG = "slurmrestd_service_debug"
LISTEN_VARIABLE = "SLURMRESTD_LISTEN"
EXTRA_OPTIONS = "slurmrestd_service_extra_options"
AUTH = "slurmrestd_service_auth"
OPENAPI = "slurmrestd_service_openapi_plugins"
PARSERS = "slurmrestd_service_data_parsers"
TLS_CACERT = "slurmrestd_service_tls_cacert"
TLS_NAME = "slurmrestd_service_tls_name"
SOCKET_GROUP = "slurmrestd_service_socket_group"
CLIENTS = "slurmrestd_service_clients"
SANDBOX = "slurmrestd_service_sandbox"
KEY_PATH = "slurm_common_jwt_key_path"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_KEY_PATH = re.compile(r"/[A-Za-z0-9_.@+~:/-]*[A-Za-z0-9_@+~:-]")
_LONG_VALUE = 40
_OTHER_VARIABLES = {
    "SLURM_JWT": f"{AUTH}, which sets or unsets it",
    "SLURMRESTD_LISTEN": LISTEN,
    "SLURMRESTD_OPTIONS": EXTRA_OPTIONS,
    "SLURMRESTD_DEBUG": DEBUG,
    "SLURMRESTD_AUTH_TYPES": AUTH,
    "SLURMRESTD_OPENAPI_PLUGINS": OPENAPI,
    "SLURMRESTD_DATA_PARSER_PLUGINS": PARSERS,
    "SLURM_CONF": "slurm_common_config_dir",
    **{name: variable for variable, (_flag, name, _column) in adoption.NUMBERS.items() if name},
}
_OTHER_OPTIONS = {
    "-a": AUTH,
    "-s": OPENAPI,
    "-d": PARSERS,
    "-f": "slurm_common_config_dir",
    "-u": accounts.USER_VARIABLE,
    "-g": accounts.GROUP_VARIABLE,
    **{flag: variable for variable, (flag, _name, _column) in adoption.NUMBERS.items()},
}
_ENDING_OPTIONS = ("-V", "-h", "--help", "--generate-openapi-spec", "--autocomplete")
_REFUSED_SECURITY = {
    "disable_user_check": "it lets slurmrestd run as root or SlurmUser",
    "become_user": "it needs root and inetd mode, and does not go together with JWT",
}
_CONSEQUENCES = {
    "ExecStart": ": slurmrestd would run without the options of this role, the kind of authentication (-a) among them",
    "EnvironmentFile": ": the file with the options and variables of this role would not be read",
    "SLURM_CONF": ": slurmrestd would serve the cluster of another slurm.conf",
    "SLURM_CONF_SERVER": ": slurmrestd would take its configuration from that controller",
}


def problems(variables: Mapping[str, Any], facts: Mapping[str, Any], *, installed: bool = False) -> list[Problem]:
    """Everything that is wrong, not only the first.

    Args:
        variables: values by the names of the roles' variables. Absent ones are not judged.
        facts: what ``detect.detect`` found, asked for :func:`paths_of_interest`.
        installed: slurmrestd must be there by now; otherwise its absence is no problem (check mode on a fresh host).
    """
    judges: list[Judge] = [
        _release,
        _account,
        _listen,
        _auth,
        _tls_variables,
        _sockets,
        _socket_group,
        _threads,
        _numbers,
        _debug,
        _plugins,
        _extra_options,
        _environment,
        _clients,
        _sandbox,
        _key_path,
        _unit,
    ]
    found = [problem for judge in judges for problem in judge(variables, cast("HostFacts", facts))]
    return found + (installation_problems(facts, auth=variables.get(AUTH, "jwt")) if installed else [])


def without(facts: Mapping[str, Any], aside: Collection[str]) -> dict[str, Any]:
    """The facts as they will be once some files of the site are set aside."""
    unit, own = facts["unit"], facts["environment_file"]
    gone = {**own, "variables": []} if own["path"] in aside else own
    files = [file for file in unit["environment_files"] if file["path"] not in aside]
    # A drop-in of the site may bring in an environment file: the line that reads it goes with the others.
    files = [file for file in files if file["origin"].rpartition(":")[0] not in aside]
    kept = {own["path"], *(file["path"] for file in files)}
    left = [
        item
        for item in facts["contradictions"]
        if item["file"] not in aside
        and (item["file"] in kept or item["file"] not in {file["path"] for file in unit["environment_files"]})
    ]
    return {**facts, "environment_file": gone, "contradictions": left, "unit": {**unit, "environment_files": files}}


def verdict(variables: Mapping[str, Any], facts: Mapping[str, Any], *, installed: bool) -> dict[str, Any]:
    """The result of a task that refuses what cannot work; see :func:`problems`."""
    found = [str(problem) for problem in problems(variables, facts, installed=installed)]
    if found:
        msg = "Nothing was changed. " + "\n".join(found)
        return {"changed": False, "problems": found, "failed": True, "msg": msg}
    directories = dict.fromkeys(listener.directory for listener in _parsed(variables) if listener.kind == "unix")
    given = [path for path in directories if facts["paths"].get(path, {}).get("given")]
    return {"changed": False, "problems": [], "warnings": warnings(variables), "given": given}


def is_evidence(facts: Mapping[str, Any], variables: Mapping[str, Any]) -> bool:
    """Whether facts hold all that :func:`problems` wants to know about these variables."""
    if not {"account", "paths", "groups"} <= set(facts):
        return False
    return (
        variables.get(accounts.USER_VARIABLE, facts["account"]["name"]) == facts["account"]["name"]
        and set(paths_of_interest(variables)) <= set(facts["paths"])
        and set(groups_of_interest(variables)) <= set(facts["groups"])
    )


def warnings(variables: Mapping[str, Any]) -> list[str]:
    """What works but is unwise: addresses that other hosts reach, since tokens travel there in clear."""
    public = [str(listener) for listener in _parsed(variables) if listener.is_public and not listener.is_tls]
    if not public:
        return []
    return [
        (
            f"{LISTEN}: other hosts can reach {', '.join(public)}, and slurmrestd does not encrypt: tokens can be read "
            "on the way. Put a TLS proxy in front of a loopback address, use https://host:port where the release and "
            "the build have it, or keep the network trusted."
        )
    ]


def paths_of_interest(variables: Mapping[str, Any]) -> list[str]:
    """The paths that :func:`problems` wants facts of: UNIX sockets and their directories, the authorities of TLS."""
    sockets = [listener for listener in _parsed(variables) if listener.kind == "unix"]
    authorities = variables.get(TLS_CACERT)
    known = {authorities} if isinstance(authorities, str) and posixpath.isabs(authorities) else set()
    return sorted(known | {path for listener in sockets for path in (listener.path, listener.directory)})


def groups_of_interest(variables: Mapping[str, Any]) -> list[str]:
    """The groups that :func:`problems` wants facts of."""
    group = variables.get(SOCKET_GROUP)
    return [group] if isinstance(group, str) and group else []


def installation_problems(facts: Mapping[str, Any], auth: str = "jwt") -> list[Problem]:
    """What the installation lacks for slurmrestd, with the package or build option that brings it."""
    daemon, plugins, jwt = parts(facts)
    binary = facts["slurmrestd"]
    variable = "slurm_common_slurmrestd_path"
    if not binary["path"]:
        reason = "there is no slurmrestd on this host"
        return [Problem(variable, "", "the path of an installed slurmrestd", reason, f"Install {daemon}.")]
    if binary["missing_library"]:
        reason = f"it does not start without {binary['missing_library']}"
        return [Problem(variable, binary["path"], "a slurmrestd with its libraries", reason, f"Install {plugins}.")]
    if binary["error"]:
        reason = f"'{binary['path']} -V' says: {binary['error']}"
        return [Problem(variable, binary["path"], "a slurmrestd that runs", reason)]
    wanted = {f"rest_auth_{auth}": plugins, **({"auth_jwt": jwt} if auth == "jwt" else {})}
    return [
        Problem(
            AUTH,
            auth,
            f"what the plugins in {facts['plugin_dir'] or 'the plugin directory, which was not found,'} can do",
            f"{name}.so is missing",
            f"Install {package}.",
        )
        for name, package in wanted.items()
        if not facts["plugins"].get(name)
    ]


# --- identity --------------------------------------------------------------------------------------------------------


def _release(_: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    if facts.get("release_error"):
        allowed = f"Slurm {RELEASES[0].series} to {RELEASES[-1].series}, and newer with a warning"
        reason = "the release table does not go back that far"
        yield Problem("installed Slurm", facts["version"], allowed, reason, "Upgrade Slurm first.")


def _account(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    user, group = variables.get(accounts.USER_VARIABLE), variables.get(accounts.GROUP_VARIABLE)
    if accounts.USER_VARIABLE not in variables and accounts.GROUP_VARIABLE not in variables:
        return
    account = facts["account"] if facts["account"]["exists"] and facts["account"]["name"] == user else None
    slurm = facts.get("slurm_user") or {"name": variables.get("slurm_common_slurm_user")}
    for refusal in accounts.refusals(user, group if group is not None else user, account, slurm):
        yield Problem(refusal.variable, refusal.value, refusal.allowed, refusal.reason, refusal.remedy)
    for path in facts.get("exposed", ()) if account else ():
        reason = f"it can read {path}, and whoever can is root on the cluster"
        remedy = f"Take that right away (ls -l {path}), or choose another account."
        yield Problem(accounts.USER_VARIABLE, user, "an account that can read no key of Slurm", reason, remedy)
    if facts["slurmrestd"]["path"] and slurm.get("exists") is False:
        reason = "there is no such account on this host, and slurmrestd ends over it"
        remedy = "Make it with the uid that it has on the controllers; it needs no home and no shell."
        yield Problem("SlurmUser", slurm["name"], "an account of this host", reason, remedy)
    conf = facts["slurm_conf"]
    for path in conf.get("unreadable_by_account", ()) if not conf.get("ours") else ():
        reason = f"it cannot read {path}, and slurmrestd ends without it"
        remedy = f"On this host: chmod o+r {path} (and o+x above it)."
        yield Problem(accounts.USER_VARIABLE, user, "an account that can read slurm.conf", reason, remedy)
    if variables.get("slurmrestd_user_manage") is False and account is None:
        allowed = "an account that exists, where slurmrestd_user_manage is false"
        yield Problem(accounts.USER_VARIABLE, user, allowed, "there is no such account on this host")
    for variable, now in (
        ("slurmrestd_user_uid", account and account["uid"]),
        ("slurmrestd_user_gid", account and account["gid"]),
    ):
        yield from _fixed_id(variable, variables.get(variable), now)


def _fixed_id(variable: str, value: Any, now: int | None) -> Iterator[Problem]:
    if value in (None, ""):
        return
    number = _number(value)
    allowed = "a number from 1 to 65533, but not 99; empty leaves it to the host"
    if number is None or not 0 < number < 65534 or number in accounts.NOBODY_IDS:
        yield Problem(variable, value, allowed, "it is no id for an account of its own")
    elif now is not None and now != number:
        remedy = f"Leave {variable} empty, or remove the account first."
        yield Problem(variable, value, f"{now}, as it is", "the account exists with another one", remedy)


# --- listeners -------------------------------------------------------------------------------------------------------


def _parsed(variables: Mapping[str, Any]) -> list[address.Listener]:
    """Those that can be understood."""
    found = []
    texts = variables.get(LISTEN)
    for text in texts if isinstance(texts, (list, tuple)) else ():
        listener = spelling.read(text) if isinstance(text, str) else None
        found += [listener] if listener else []
    return found


def _listen(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    if LISTEN not in variables:
        return
    texts = variables[LISTEN]
    if not isinstance(texts, (list, tuple)) or not texts:
        reason = "the daemon ends at once, and without a message, when it has nothing to listen on"
        yield Problem(LISTEN, texts, f"a list of at least one of {listeners.ALLOWED}", reason)
        return
    judged = [_judged(text) for text in texts]
    yield from (item for item in judged if isinstance(item, Problem))
    good = [item for item in judged if isinstance(item, address.Listener)]
    for conflict in listeners.conflicts(good):
        yield Problem(LISTEN, f"{conflict.first}, {conflict.second}", "listeners that do not overlap", conflict.reason)
    for listener in good:
        if listener.kind == "tcp":
            yield from _tcp(listener, facts)
        yield from _of_its_kind(listener, variables, facts)


def _judged(text: object) -> address.Listener | Problem:
    try:
        return listeners.parse(text)
    except InputError as error:
        return Problem.of(error)


def _of_its_kind(listener: address.Listener, variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    kind = address.KINDS[listener.scheme]
    if kind.since and not _release_value(facts, kind.since, default=True):
        reason = (
            f"Slurm {facts['version']} does not bind {kind.written}; slurmrestd does since {first_with(kind.since)}"
        )
        yield Problem(LISTEN, str(listener), "host:port, on this release", reason, "Put a proxy in front of it.")
    elif listener.is_tls:
        yield from _tls(listener, facts)
    if listener.kind != "unix" and variables.get(AUTH) == "local":
        reason = f"{AUTH} is local, and local authentication works over UNIX sockets only"
        yield Problem(LISTEN, str(listener), "unix:/absolute/path", reason)


def _tcp(listener: address.Listener, facts: HostFacts) -> Iterator[Problem]:
    if listener.port in PRIVILEGED_PORTS:
        reason = "the service account may not bind a port below 1024"
        yield Problem(LISTEN, str(listener), "a port from 1024 to 65535", reason, "Put a proxy in front of it.")
    for owner, ports in _slurm_ports(facts):
        if listener.port in ports:
            yield Problem(LISTEN, str(listener), f"a port that is not {owner}'s", f"{owner} is {_spoken(ports)}")
    if listeners.names_ipv6(listener) and _release_value(facts, "ipv6_by_config") and _no_ipv6(facts):
        reason = "this release binds IPv6 addresses only with CommunicationParameters=EnableIPv6 in slurm.conf"
        yield Problem(LISTEN, str(listener), "an IPv4 address, or [::]:port", reason)


def _tls_variables(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    """How verification knows the daemon's certificate."""
    path, name = variables.get(TLS_CACERT) or "", variables.get(TLS_NAME) or ""
    if path and (not isinstance(path, str) or not posixpath.isabs(path)):
        yield Problem(TLS_CACERT, path, "an absolute path on the REST host, or empty", "it is none")
    elif path and path in facts["paths"] and not facts["paths"][path]["exists"]:
        allowed = "a file of PEM certificates on the REST host, or empty"
        yield Problem(TLS_CACERT, path, allowed, "there is no such file on this host")
    if name and (not isinstance(name, str) or not listeners.is_host(name)):
        yield Problem(TLS_NAME, name, "a host name or an address, or empty", "no certificate can be for it")


def _tls(listener: address.Listener, facts: HostFacts) -> Iterator[Problem]:
    """Without a plugin or a usable certificate the daemon ends: it does not fall back to plain HTTP."""
    if facts["slurmrestd"]["path"] and not facts["plugins"].get("tls_s2n"):
        reason = f"this build has no TLS plugin (tls_s2n.so is not in {facts['plugin_dir'] or 'the plugin directory'})"
        remedy = "Build Slurm with s2n (--with-s2n), or put a TLS proxy in front of host:port."
        yield Problem(LISTEN, str(listener), "host:port, on this build", reason, remedy)
        return
    for file in facts["slurm_conf"].get("tls_files") or ():
        reason = ""
        if not file["exists"]:
            reason = f"there is no {file['path']}, where slurmrestd reads its certificate or key"
        elif file["readable"] is False:
            reason = f"the service account cannot read {file['path']}"
        elif file["open"]:
            reason = f"others may use {file['path']}, and slurmrestd does not take it then"
        if reason:
            remedy = "Put it there, or name it in TLSParameters (restd_cert_file, restd_cert_key_file) of slurm.conf."
            yield Problem(LISTEN, str(listener), "a listener with certificate and key", reason, remedy)


def _no_ipv6(facts: HostFacts) -> bool:
    return bool(facts["slurm_conf"]["readable"] and not facts["slurm_conf"]["ipv6"])


def _slurm_ports(facts: HostFacts) -> Iterator[tuple[str, range]]:
    """SlurmctldPort always, since every host of a cluster knows it; those of other daemons where they are installed."""
    yield "SlurmctldPort", _ports(facts["slurm_conf"]["slurmctld_port"])
    if facts["slurmd"]["path"]:
        yield "SlurmdPort", _ports(facts["slurm_conf"]["slurmd_port"])
    if facts["slurmdbd"]["path"]:
        yield "DbdPort", _ports(facts["slurmdbd_conf"]["dbd_port"])


def _ports(text: str) -> range:
    """Nothing where the configuration is wrong: that is its owner's to see."""
    try:
        return port_range(text)
    except InputError:
        return range(0)


def _spoken(ports: range) -> str:
    return f"{ports[0]}" if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"


def _sockets(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    user = variables.get(accounts.USER_VARIABLE, facts["account"]["name"])
    for listener in _parsed(variables):
        if listener.kind != "unix" or listener.path not in facts["paths"]:
            continue
        present = facts["paths"][listener.path]
        if present["exists"] and present["kind"] != "socket":
            reason = f"there is a {present['kind']} at this path, and the daemon would remove it"
            yield Problem(LISTEN, str(listener), "a path where nothing is, or a socket", reason)
        unusable = _directory(listener.directory, facts["paths"][listener.directory], user)
        if unusable is not None:
            remedy = "Use a directory of its own below /run, such as unix:/run/slurmrestd/slurmrestd.socket."
            yield Problem(LISTEN, str(listener), "a socket in a directory that the service can use", unusable, remedy)


def _directory(path: str, facts: ExistingPathFacts, user: str) -> str | None:
    """Why the service cannot have a socket in this directory; one that it is given is made when it starts."""
    if any(path == hidden or path.startswith(f"{hidden}/") for hidden in HIDDEN_DIRECTORIES):
        return f"{path} is hidden from the service by its sandbox, or from its clients"
    if facts["exists"] and facts["kind"] != "directory":
        return f"{path} is no directory"
    if facts["given"]:
        return None
    if not facts["exists"]:
        return f"{path} does not exist"
    if not facts["enter"]:
        return f"{path} cannot be entered by {user}"
    if not facts["write"]:
        return f"{path} (owner {facts['owner']}:{facts['group']}, mode {facts['mode']}) cannot be written by {user}"
    return None


def _socket_group(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    if SOCKET_GROUP not in variables:
        return
    group = variables[SOCKET_GROUP]
    if not isinstance(group, str) or not _GROUP.fullmatch(group):
        yield Problem(SOCKET_GROUP, group, "the name of a group on this host", "it is no name of a group")
    elif group != variables.get(accounts.GROUP_VARIABLE) and facts["groups"].get(group, 0) is None:
        remedy = f"Create it first: groupadd --system {group}"
        yield Problem(SOCKET_GROUP, group, "the name of a group on this host", "there is no such group", remedy)


# --- numbers and names -----------------------------------------------------------------------------------------------


def _number(value: Any) -> int | None:
    """A whole number, also one that a template made a text."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}", str(value)):
        return None
    return int(value)


def _release_value(facts: HostFacts, column: str, default: Any = None) -> Any:
    release = facts.get("release")
    return release[column] if release else default


def _threads(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    value = variables.get(THREADS)
    low, high = _release_value(facts, "min_threads", 2), _release_value(facts, "max_threads", 1024)
    if value not in (None, "") and _number(value) not in (0, *range(low, high + 1)):
        allowed = f"{low} to {high}, or 0 for the daemon's own choice"
        yield Problem(THREADS, value, allowed, "the daemon would not take it")


def _numbers(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    """Those that not every release takes."""
    for variable, (flag, _name, column) in adoption.NUMBERS.items():
        value = variables.get(variable)
        number = _number(value)
        if not column or value in (None, "") or number == 0:
            continue
        if number is None or number > 65535:
            yield Problem(variable, value, "1 to 65535, or 0 for the daemon's own choice", "it is no such number")
        elif not _release_value(facts, column, default=True):
            reason = f"Slurm {facts['version']} has no option {flag}; it came with {first_with(column)}"
            yield Problem(variable, value, "0, on this release", reason)


def _auth(variables: Mapping[str, Any], _: HostFacts) -> Iterator[Problem]:
    if AUTH in variables and variables[AUTH] not in ("jwt", "local"):
        yield Problem(AUTH, variables[AUTH], "jwt or local", "one instance serves one kind of authentication")


def _debug(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    value = variables.get(DEBUG)
    levels = _release_value(facts, "debug_levels")
    if value in (None, ""):
        return
    if not re.fullmatch(r"[A-Za-z0-9]{1,32}", str(value)):
        allowed = "a level such as info, verbose or debug; empty leaves it to the daemon"
        yield Problem(DEBUG, value, allowed, "it is none")
    elif levels and str(value).lower() not in levels:
        allowed = f"{', '.join(levels)}; empty leaves it to the daemon"
        yield Problem(DEBUG, value, allowed, f"slurmrestd {facts['version']} ends at any other level")


def _plugins(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    yield from _plugin_list(OPENAPI, variables, facts["plugins"]["openapi"], "openapi/")
    accounting = variables.get("slurmrestd_service_accounting", "auto")
    without = accounting is False or (accounting == "auto" and facts["slurm_conf"]["readable"])
    if without and not facts["slurm_conf"]["accounting"]:
        for name in _names(variables.get(OPENAPI)):
            if name.replace("openapi/", "", 1).startswith(("slurmdbd", "dbv")):
                reason = "the daemon ends at once when this plugin is asked for and slurm.conf has no slurmdbd"
                yield Problem(OPENAPI, name, "plugins that do without slurmdbd", reason)
    if not _names(variables.get(PARSERS)):
        return
    if not _release_value(facts, "data_parser_flag", default=True):
        since = first_with("data_parser_flag")
        reason = f"Slurm {facts['version']} has no data_parser plugins to choose from; they came with {since}"
        yield Problem(PARSERS, variables[PARSERS], "an empty list, on this release", reason)
        return
    extra = ["latest"] if _release_value(facts, "data_parser_latest") else []
    yield from _plugin_list(PARSERS, variables, [*facts["plugins"]["data_parser"], *extra], "data_parser/")


def _names(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def _plugin_list(variable: str, variables: Mapping[str, Any], there: Iterable[str], prefix: str) -> Iterator[Problem]:
    value = variables.get(variable)
    known = sorted(there)
    if value is not None and len(_names(value)) != (len(value) if isinstance(value, (list, tuple)) else -1):
        yield Problem(variable, value, "a list of names", "it is none")
        return
    for name in _names(value):
        plain = name.removeprefix(prefix)
        # What follows a plus sign are flags of the plugin.
        if not re.fullmatch(r"[\w.]+(\+\w+)*", plain) or (known and plain.partition("+")[0] not in known):
            allowed = f"among {', '.join(known)}" if known else "names of plugins"
            yield Problem(variable, name, allowed, "there is no such plugin, and the daemon ends when it misses one")


def _extra_options(variables: Mapping[str, Any], _: HostFacts) -> Iterator[Problem]:
    value = variables.get(EXTRA_OPTIONS)
    if not value:
        return
    allowed = "options of slurmrestd that no other variable sets, such as -v"
    reason = "it is no text" if not isinstance(value, str) else no_environment_value(value)
    if reason is not None:
        yield Problem(EXTRA_OPTIONS, value, allowed, reason)
        return
    origin = unit_files.Place(EXTRA_OPTIONS, 1)
    words = [units.Word(word, origin) for word in ["slurmrestd", *unit_files.split_words(value)]]
    options, positional = units.command_line(words)
    for word in positional:
        yield Problem(EXTRA_OPTIONS, word.text, allowed, f"it would be a further listener: use {LISTEN}")
    for option in options:
        if option.flag in _OTHER_OPTIONS:
            yield Problem(EXTRA_OPTIONS, option.flag, allowed, f"use {_OTHER_OPTIONS[option.flag]}")
        elif option.flag in _ENDING_OPTIONS:
            yield Problem(EXTRA_OPTIONS, option.flag, allowed, "the daemon would print something and end")
        elif not option.flag.startswith("--") and option.flag != "-v":
            yield Problem(EXTRA_OPTIONS, option.flag, allowed, "slurmrestd has no such option, and ends")


# --- environment, sandbox and key ------------------------------------------------------------------------------------


def _environment(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    given = variables.get(ENVIRONMENT)
    if given is None:
        return
    if not isinstance(given, dict):
        yield Problem(ENVIRONMENT, given, "a dictionary of names and values", "it is none")
        return
    known = _release_value(facts, "environment")
    settable = ", ".join(name for name in known or () if name not in _OTHER_VARIABLES)
    for name, value in given.items():
        reason = None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            reason = "it is no name of an environment variable"
        elif name in _OTHER_VARIABLES:
            reason = f"use {_OTHER_VARIABLES[name]}"
        elif name.startswith("SLURM") and known and name not in known:
            reason = f"slurmrestd {facts['version']} does not know this variable"
        if reason is not None:
            allowed = f"{settable}, and what is not Slurm's" if settable else "names of variables that no other sets"
            yield Problem(ENVIRONMENT, name, allowed, reason)
            continue
        yield from _environment_value(name, value, facts)


def _environment_value(name: str, value: Any, facts: HostFacts) -> Iterator[Problem]:
    reason = no_environment_value(value)
    if reason is not None:
        # Not shown: it may be anything.
        yield Problem(f"{ENVIRONMENT}.{name}", REDACTED, "one line of text, or a number", reason)
    elif name == "SLURMRESTD_SECURITY":
        words = _release_value(facts, "security_values")
        allowed = [word for word in words or () if word not in _REFUSED_SECURITY]
        for word in str(value).split(","):
            if words is not None and word.lower() not in allowed:
                reason = _REFUSED_SECURITY.get(word.lower(), "the daemon ends at any other word")
                yield Problem(f"{ENVIRONMENT}.{name}", word, ", ".join(allowed) or "nothing, on this release", reason)


def _clients(variables: Mapping[str, Any], _: HostFacts) -> Iterator[Problem]:
    given = variables.get(CLIENTS)
    allowed = "a list of addresses and networks, such as 192.0.2.7 and 2001:db8::/32"
    if given is not None and not isinstance(given, (list, tuple)):
        yield Problem(CLIENTS, given, allowed, "it is no list")
        return
    for text in given or ():
        reason = listeners.no_network(str(text))
        if reason:
            yield Problem(CLIENTS, text, allowed, reason)


def _sandbox(variables: Mapping[str, Any], _: HostFacts) -> Iterator[Problem]:
    if variables.get(SANDBOX) is not None:
        yield from sandbox_problems(SANDBOX, variables[SANDBOX])


def _key_path(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    if KEY_PATH not in variables:
        return
    path = variables[KEY_PATH]
    allowed = "an absolute path without spaces and commas, such as /var/lib/slurm/jwt/jwt_hs256.key"
    in_force = [facts["slurm_conf"].get("jwt_key_path"), facts["slurmdbd_conf"].get("jwt_key_path")]
    if path and path in in_force:
        return  # Slurm reads it already, whatever it looks like
    if not isinstance(path, str) or not _KEY_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        yield Problem(KEY_PATH, path, allowed, "AuthAltParameters cannot carry it")


# --- the unit --------------------------------------------------------------------------------------------------------


def _unit(variables: Mapping[str, Any], facts: HostFacts) -> Iterator[Problem]:
    """What would beat our drop-in. Judged with the listeners: it is the service's concern, not the account's."""
    if LISTEN not in variables:
        return
    state = facts.get("units", {}).get("slurmrestd", {})
    if state.get("load") == "masked":
        reason = f"{state['fragment'] or 'it'} is a link to /dev/null (systemctl mask): systemd starts it for nobody"
        allowed = "a unit that systemd may start"
        yield Problem("the unit", unit_places.UNIT, allowed, reason, "systemctl unmask slurmrestd")
    adopted, file = facts.get("adopted"), facts["environment_file"]
    for item in facts["contradictions"]:
        if item["setting"] == "SLURM_JWT" and item["value"] == "(unset)" and variables.get(AUTH) == "local":
            continue
        if adopted and _kept(item, variables):
            continue
        shown = item["value"] if len(item["value"]) <= _LONG_VALUE else f"{item['value'][:_LONG_VALUE]}…"
        reason = f"line {item['line']} of {item['file']} decides {item['setting']} over our drop-in"
        reason += _CONSEQUENCES.get(item["setting"], "")
        remedy = f"Remove that line (systemctl cat {unit_places.UNIT} shows all of it)."
        if adopted:
            remedy += " What the running service listens on and runs as is kept as long as it runs."
        decided = redacted(f"{item['setting']}={shown}")  # by itself: what is said of it stays
        yield Problem(unit_places.UNIT, decided, "what the variables of this role say", reason, remedy)
    if file["variables"] and not file["ours"] and not adopted:
        reason = f"it holds {', '.join(file['variables'])}, which this toolkit did not write and would overwrite"
        remedy = f"Say the same with {ENVIRONMENT} and {EXTRA_OPTIONS}, and move the file away."
        yield Problem("EnvironmentFile", file["path"], "a file that this toolkit may write", reason, remedy)
    for read in facts["unit"]["environment_files"]:
        if read["sectioned"]:
            allowed = "lines of NAME=value"
            reason = "it has a [Section] like a unit file, and what is below it does not do what it says"
            yield Problem("EnvironmentFile", read["path"], allowed, reason, "Move its directives to a drop-in.")


def _kept(item: Mapping[str, Any], variables: Mapping[str, Any]) -> bool:
    """Whether a line of the site does no harm: it says of the listeners what our drop-in says."""
    wanted = set(_parsed(variables))
    return item["setting"] == LISTEN_VARIABLE and set(adoption.bound(item["value"].split(","))) == wanted
