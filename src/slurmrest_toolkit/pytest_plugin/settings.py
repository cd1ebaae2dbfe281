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
    """One choice: ``--slurm-NAME`` on the command line, ``slurm_NAME`` in the ini file and as a fixture."""

    name: str
    help: str
    metavar: str = ""  # none: it is switched on

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
    Setting("cluster", "use this running test cluster instead of starting any", "NAME"),
    Setting("url", "use this slurmrestd instead of starting a cluster", "URL"),
    Setting("token_file", "with --slurm-url: the file of a token; all tests are its user", "FILE"),
    Setting("user", "with --slurm-url: the name beside the token, where that does not tell it", "NAME"),
)
STANDING = "SLURMREST_CLUSTER"
"""The variable by which ci/gitlab.yml and action.yml name the cluster that they have started."""

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
    """Return a setting: the option's value, else the key's; an empty string or False where neither is given."""
    (setting,) = (one for one in SETTINGS if one.name == name)
    given = config.getoption(setting.option)
    said = config.getini(setting.key) if given is None else given
    return _standing(config) if name == "cluster" and not said else said


def _standing(config: pytest.Config) -> str:
    """Return the cluster that a pipeline has started for its tests, where the command line asks for no other."""
    other = config.getoption(f"--{SERIES}") or chosen(config, "url")
    return "" if other else os.environ.get(STANDING, "")


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
        UsageError: one of them is unknown, or a running cluster is to be used, which has one.
    """
    asked = list(config.getoption(f"--{SERIES}") or config.getini(SERIES))
    for series in asked:
        if series not in (*known, ALL):
            raise refused(f"--{SERIES}", series, ", ".join((*known, ALL)))
    found = list(dict.fromkeys(one for series in asked for one in (known if series == ALL else (series,))))
    running = next((name for name in ("cluster", "url") if chosen(config, name)), None)
    if running and config.getoption(f"--{SERIES}"):
        raise pytest.UsageError(f"--{SERIES} starts clusters; --slurm-{running} uses a running one: give one of them")
    return [] if running else found


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
    if url and token_file and not os.access(token_file, os.R_OK):
        raise refused("--slurm-token-file", token_file, "a file that can be read")
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
