"""What can be chosen: each on the command line, in the ini file, and as a fixture that a conftest.py overrides."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from slurmrest.errors import InputError, SlurmrestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "slurm"
ALL = "all"


@dataclass(frozen=True)
class Setting:
    """One choice: ``--slurm-NAME`` on the command line, ``slurm_NAME`` in the ini file and as a fixture.

    ``variable`` is one of the environment, by which ci/gitlab.yml and action.yml tell of what they have started.
    """

    name: str
    help: str
    metavar: str = ""  # none: it is switched on
    variable: str = ""

    @property
    def option(self) -> str:
        """The option of the command line."""
        return f"--slurm-{self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        """The key of the ini file."""
        return f"slurm_{self.name}"


SETTINGS = (
    Setting("layout", "how the nodes are cut: single, split, … (slurmrest cluster up --help)", "LAYOUT"),
    Setting("nodes", "compute nodes of the split layout", "N"),
    Setting("keep", "leave the clusters standing at the end, and say their names"),
    Setting("allow_stale_mirror", "accept a package index past its Valid-Until date"),
    Setting("cluster", "use this running test cluster instead of starting any", "NAME", "SLURMREST_CLUSTER"),
    Setting("url", "use this slurmrestd instead of starting a cluster", "URL", "SLURMREST_URL"),
    Setting(
        "token_file", "with --slurm-url: the file of a token; all tests are its user", "FILE", "SLURMREST_TOKEN_FILE"
    ),
    Setting("user", "with --slurm-url: the name beside the token, where that does not tell it", "NAME"),
)
RUNNING = ("cluster", "url")
"""Ways to a cluster that runs already."""

SERIES = "slurm"
"""Option, key and (as slurm_release) fixture of the releases, of which there may be several."""


def add_options(parser: pytest.Parser) -> None:
    """Add the options, and the keys of the ini file."""
    group = parser.getgroup("slurm", "Slurm clusters with a REST API")
    group.addoption(
        f"--{SERIES}",
        action="append",
        metavar="SERIES",
        help="Slurm release to test against; again for another one, which runs each test on each; all: every one",
    )
    parser.addini(SERIES, "releases of Slurm, as with --slurm", type="args", default=[])
    for setting in SETTINGS:
        if setting.metavar:
            group.addoption(setting.option, metavar=setting.metavar, help=setting.help)
            parser.addini(setting.key, f"as {setting.option}", type="string", default="")
        else:
            group.addoption(setting.option, action="store_true", default=None, help=setting.help)
            parser.addini(setting.key, f"as {setting.option}", type="bool", default=False)


def chosen(config: pytest.Config, name: str) -> Any:
    """Return a setting: the option's value, else the key's, else the variable's; empty or False where none is given."""
    if name in RUNNING:
        return running(config)[name]
    setting = _setting(name)
    given = config.getoption(setting.option)
    return (config.getini(setting.key) if given is None else given) or os.environ.get(setting.variable, "")


def running(config: pytest.Config) -> dict[str, str]:
    """Return the ways to a running cluster that the first of command line, ini file and environment names.

    A command line that says what is to be started names none. Of the environment, which nobody typed for this run, a
    cluster's name counts more than a URL, and that only beside a token: ``slurmrest submit`` reads the same variable.
    """
    settings = {name: _setting(name) for name in RUNNING}
    typed = {name: config.getoption(setting.option) for name, setting in settings.items()}
    if starting(config) or any(value is not None for value in typed.values()):
        return {name: value or "" for name, value in typed.items()}
    kept = {name: str(config.getini(setting.key)) for name, setting in settings.items()}
    if any(kept.values()):
        return kept
    told = {name: os.environ.get(setting.variable, "") for name, setting in settings.items()}
    return {**told, "url": "" if told["cluster"] or not chosen(config, "token_file") else told["url"]}


def starting(config: pytest.Config) -> list[str]:
    """Return the options of the command line that say what cluster is to be started."""
    options = (f"--{SERIES}", *(_setting(name).option for name in ("layout", "nodes")))
    return [option for option in options if config.getoption(option)]


def _setting(name: str) -> Setting:
    """Return a setting by its name."""
    return next(one for one in SETTINGS if one.name == name)


def refused(name: str, value: object, allowed: str) -> pytest.UsageError:
    """Return what ends the run before anything is started."""
    return pytest.UsageError(str(InputError(name, value, allowed)))


def any_given(config: pytest.Config) -> bool:
    """Whether anything was chosen that can be judged before a test is collected."""
    judged = ("layout", "nodes", "cluster", "url")
    return bool(config.getoption(f"--{SERIES}") or config.getini(SERIES)) or any(chosen(config, one) for one in judged)


def releases(config: pytest.Config, known: Sequence[str]) -> list[str]:
    """Return the releases that were asked for, each once; none where nothing was said.

    Raises:
        UsageError: one of them is unknown.
    """
    asked = list(config.getoption(f"--{SERIES}") or config.getini(SERIES))
    for series in asked:
        if series not in (*known, ALL):
            raise refused(f"--{SERIES}", series, ", ".join((*known, ALL)))
    found = list(dict.fromkeys(one for series in asked for one in (known if series == ALL else (series,))))
    return [] if any(running(config).values()) else found  # a running cluster has one


def layout(config: pytest.Config) -> str:
    """Return how the nodes are cut."""
    return chosen(config, "layout") or "single"


def nodes(config: pytest.Config) -> int:
    """Return the number of compute nodes.

    Raises:
        UsageError: it is none.
    """
    given = chosen(config, "nodes") or "1"
    try:
        return int(given)
    except ValueError:
        raise refused("--slurm-nodes", given, "a number") from None


def agree(config: pytest.Config) -> None:
    """Refuse options that go with no cluster; what a conftest.py overrides is seen by the fixtures alone.

    Raises:
        UsageError: one of them cannot be, or not beside another one.
    """
    cluster, url, token_file = (chosen(config, name) for name in ("cluster", "url", "token_file"))
    if cluster and url:
        raise pytest.UsageError("--slurm-cluster and --slurm-url are two ways to a running one: give one of them")
    if (cluster or url) and (options := starting(config)):
        way = _setting("cluster" if cluster else "url").option
        raise pytest.UsageError(f"{options[0]} starts clusters; {way} uses a running one: give one of them")
    if url and token_file and not os.access(token_file, os.R_OK):
        setting = _setting("token_file")
        typed = config.getoption(setting.option) or config.getini(setting.key)
        raise refused(setting.option if typed else setting.variable, token_file, "a file that can be read")
    try:
        if cluster:
            from slurmrest_toolkit.clusters.state import choose, cluster_names

            if cluster not in cluster_names():
                choose(cluster)
        elif not url:
            from slurmrest_toolkit.clusters.layouts import plan_nodes

            plan_nodes("one", layout(config), nodes(config))
    except SlurmrestError as error:
        raise pytest.UsageError(re.sub(r"--(?=layout|nodes)", "--slurm-", str(error))) from None


def versions(item: pytest.Item) -> Iterator[SpecifierSet]:
    """Yield what the marks of a test say of the releases that it is for.

    Raises:
        InputError: a mark does not hold one set of versions.
    """
    for mark in item.iter_markers(MARK):
        try:
            (text,) = mark.args
            wanted = SpecifierSet(text)
            if any(len(Version(one.version.removesuffix(".*")).release) != 2 for one in wanted):
                raise InvalidVersion
        except (TypeError, ValueError, InvalidSpecifier, InvalidVersion):
            words = ", ".join(map(str, mark.args))
            raise InputError(f"mark {MARK}", words, "one text such as '>=YY.MM,<YY.MM'") from None
        yield wanted


def unwanted(item: pytest.Item, series: str) -> str:
    """Say why a test is not for a release (``YY.MM``), or nothing; what cannot be read is said at the test's start."""
    try:
        return next((f"Slurm {series} is not {one}" for one in versions(item) if series not in one), "")
    except InputError:
        return ""
