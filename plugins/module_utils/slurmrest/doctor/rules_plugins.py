"""Causes in plugins: a name that the release does not have, a file of it that a daemon does not find, or not read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..slurmrestd.plugins import asked_plugins
from .model import CONFS, Cluster, Host, Rule, Sign
from .remedies import DEPLOY, WHOSE, everywhere, opened, restart, start_again, variables, word
from .rules_conf import ALL_DOWN, READERS, SYMPTOMS_AT_REST
from .rules_munge import IN_ORDER
from .rules_units import STARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..slurm.releases import Release

    Named = Mapping[str, str]  # the plugin's file, without .so, and where it is named

_SPOKEN = re.compile(r"\b([a-z][a-z_]*)/([a-z]\w*(?:\.\d+)*)|(\w+)\.so\b")
_KINDS = ("openapi", "data_parser", "rest_auth")
_WORDS = r"(?i)plugin|dlopen|context|serializer|data_parser"


def _unknown(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        there = host.facts["plugins"]
        authentication = [name for name in ("jwt", "local") if there[f"rest_auth_{name}"]]
        for origin, kind, name in asked_plugins(host.unit):
            known = {**there, "rest_auth": authentication}[kind]
            if known and name not in (*known, "list", "latest") and not _of_release(host.release, kind, name):
                said = host.said("slurmrestd", r"[Uu]nable to (?:find plugin|initialize)|Loading OpenAPI")
                yield Sign(
                    host.name,
                    f"The unit asks for the plugin {kind}/{name}, which this release does not have.",
                    [f"{origin}: {kind}/{name}", f"there: {', '.join(known)}", *said[:1]],
                    _without_plugin(host, origin, name),
                )


def _of_release(release: Release | None, kind: str, name: str) -> bool:
    """Whether the release has a plugin, be its file there or not."""
    if kind == "rest_auth":
        return name in ("jwt", "local")
    if release is None:
        return False
    if kind == "data_parser":
        return release.data_parser_flag and name in release.api_versions
    versions = [*release.api_versions, *(name.replace("v", "dbv", 1) for name in release.slurmdb_api_versions)]
    kinds = {"versioned": versions, "named": _NAMED, "both": [*versions, *_NAMED]}
    return name in kinds[release.openapi_plugins]


_NAMED = ("slurmctld", "slurmdbd")
_NAME = re.compile(r"[A-Za-z0-9_.]+", re.ASCII)


def _without_plugin(host: Host, origin: str, name: str) -> str:
    """A line of an environment file goes; what a command line says is written anew."""
    path = origin.rpartition(":")[0]
    if path in (entry["path"] for entry in host.unit["environment_files"]):
        if not _NAME.fullmatch(name):  # the file may be one that others write, and the name would be a script of sed's
            return f"Take that name out of {path}, then {start_again([host.rest_unit])}"
        return f"`sed -i --follow-symlinks {word(f'/{name}/d')} {word(path)}`, then {start_again([host.rest_unit])}"
    empty: dict[str, object] = {"slurmrestd_service_openapi_plugins": [], "slurmrestd_service_data_parsers": []}
    return f"Leave them to the release: {variables(empty)}, then {DEPLOY}"


def _named(host: Host, daemon: str) -> Named:
    """The plugins over which a daemon ended, by its own words, and those that it is told to load.

    Older releases of slurmctld and slurmdbd end without a word: then auth/jwt counts, where they take tokens.
    """
    found = {}
    if daemon in CONFS and host.facts[CONFS[daemon]]["jwt"] and not host.ended(daemon):
        found["auth_jwt"] = host.line(CONFS[daemon], "AuthAltTypes")
    for origin, kind, name in asked_plugins(host.unit) if daemon == "slurmrestd" else ():
        found[_file(kind, name)] = f"{origin}: {kind}/{name}"
    for text in host.words(daemon):
        for kind, name, file in _SPOKEN.findall(text) if re.search(_WORDS, text) else ():
            found[file or _file(kind, name)] = text
    return found


def _file(kind: str, name: str) -> str:
    """A serializer is named by its media type, too: "Could not find plugin for application/json"."""
    return f"{'serializer' if kind == 'application' else kind}_{name.replace('.', '_')}"


def _ended(cluster: Cluster) -> Iterator[tuple[Host, str, Mapping[str, Any], Named]]:
    """Each daemon that is down, with what was seen of its plugins' files, and those that matter to it."""
    for host in cluster.hosts:
        for daemon in IN_ORDER:
            seen = (host.evidence.get("plugin_files") or {}).get(daemon)
            if seen and host.down(daemon):
                yield host, daemon, seen, _named(host, daemon)


def _closed(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon, seen, named in _ended(cluster):
        for name in sorted(named.keys() & seen["closed"].keys()):
            places = seen["closed"][name]
            yield Sign(
                host.name,
                f"{daemon} may not read the plugin {name}.so.",
                [*(f"{entry['path']}: owner {entry['owner']}, mode {entry['mode']}" for entry in places), named[name]],
                opened(places, host.service(daemon)),
            )


def _broken(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon, seen, named in _ended(cluster):
        broken = seen.get("broken") or {}
        for name in sorted(named.keys() & broken.keys()):
            yield Sign(
                host.name,
                f"{name}.so, which {daemon} needs, is no plugin: it is empty or cut off, as an installation leaves it "
                "that was interrupted.",
                [f"{broken[name]} is no whole library", named[name]],
                _reinstalled(host, broken[name], daemon),
            )


def _missing(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon, seen, named in _ended(cluster):
        conf = "slurmdbd_conf" if daemon == "slurmdbd" else "slurm_conf"
        left_out = [name for name in seen["elsewhere"] if name in named or _kind_gone(host, daemon, name)]
        if left_out:
            yield Sign(
                host.name,
                f"PluginDir names a directory without {', '.join(f'{name}.so' for name in left_out)}, which {daemon} "
                "needs and the directory has that Slurm was built with.",
                [
                    host.line(conf, "PluginDir"),
                    *(f"{path}/{left_out[0]}.so does not exist" for path in seen["directories"]),
                    *(named[name] for name in left_out[:1] if name in named),
                ],
                f"{everywhere(cluster, host, conf, 'PluginDir', '')} takes the line out; then "
                f"{restart(cluster, *READERS[conf])}",
            )
            continue
        for name in sorted(named.keys() & set(_gone(host, daemon, seen))):
            path = f"{seen['directories'][0]}/{name}.so"
            yield Sign(
                host.name,
                f"The file of the plugin {name}.so, which this release has and {daemon} needs, is missing.",
                [f"{path} does not exist", named[name]],
                _reinstalled(host, path, daemon),
            )


def _kind_gone(host: Host, daemon: str, name: str) -> bool:
    """Whether a plugin is one of a kind of which slurmrestd needs any, and finds none."""
    there = {**host.facts["plugins"], "rest_auth": host.facts["plugins"]["rest_auth_jwt"]}
    return daemon == "slurmrestd" and any(name.startswith(f"{kind}_") and not there[kind] for kind in _KINDS)


def _gone(host: Host, daemon: str, seen: Mapping[str, Any]) -> Iterator[str]:
    """What this release has and is not there, as far as that is known; of auth/jwt another rule tells."""
    yield from (name for name in seen["gone"] if name != "auth_jwt")
    for _, kind, name in asked_plugins(host.unit) if daemon == "slurmrestd" else ():
        there: Sequence[str] = host.facts["plugins"].get(kind) or ()
        if there and name not in there and _of_release(host.release, kind, name):
            yield _file(kind, name)


def _reinstalled(host: Host, path: str, daemon: str) -> str:
    """Its package, anew; whatever runs from other files of that one is restarted with it."""
    if host.facts.get("packaging") != "debian":
        return (
            f"Install {path} again, with the package that has it (rpm -q --whatprovides {word(path)}) or from the "
            f"build; then systemctl restart {host.service(daemon)}."
        )
    shown = host.facts.get("units") or {}
    running = {name for name, fields in shown.items() if fields.get("active") == "active"}
    units = [host.service(name) for name in IN_ORDER if name in {daemon, *running}]
    whose = f"$(dpkg -S {word(path)} | cut -d: -f1)"
    return f"`apt-get update && apt-get install --reinstall --yes {whose}`, then {start_again(units)}"


_WITHOUT_IT = (*ALL_DOWN, *SYMPTOMS_AT_REST, "listens-elsewhere")
"""What a daemon comes to that has not a plugin's file."""

RULES = (
    Rule(
        "plugin-unknown",
        "A plugin of another release is asked for",
        "slurmrestd(8), -s and -d; rest_quickstart.html, Common Issues",
        _unknown,
        explains=STARTS,
        fatals=r"[Uu]nable to find plugin|Loading OpenAPI|data_parser|failure loading plugins",
        by_hand="what is no name of a plugin is for people to look at",
    ),
    Rule(
        "plugin-file-unreadable",
        "A daemon may not read the file of a plugin",
        "plugins.html; slurm.conf(5), PluginDir",
        _closed,
        explains=_WITHOUT_IT,
        fatals=_WORDS,
        by_hand=WHOSE,
    ),
    Rule(
        "plugin-file-broken",
        "The file of a plugin is empty or cut off",
        "plugins.html; slurm.conf(5), PluginDir",
        _broken,
        explains=_WITHOUT_IT,
        fatals=_WORDS,
        by_hand="which package has a plugin differs with who packaged Slurm",
    ),
    Rule(
        "plugin-file-missing",
        "The file of a plugin is not where it is looked for",
        "plugins.html; slurm.conf(5), PluginDir",
        _missing,
        explains=(*_WITHOUT_IT, "jwt-plugin-missing", "slurmrestd-missing"),
        fatals=_WORDS,
        by_hand="which package has a plugin differs with who packaged Slurm",
    ),
)
