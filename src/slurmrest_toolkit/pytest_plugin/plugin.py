"""Fixtures and hooks. What starts clusters is imported when a test wants one."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.pytest_plugin import settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from slurmrest_toolkit.api import RunningCluster, User
    from slurmrest_toolkit.client import Client
    from slurmrest_toolkit.pytest_plugin.remote import RemoteCluster, RemoteUser

CLUSTER, RELEASE, SLURMRESTD = "slurm_cluster", "slurm_release", "slurmrestd"
LINES = 200
"""Of the journal of all nodes, at the end of a failed test's report."""

BATCH = 8
"""So many users are made at once, for the next tests of this process: one call of a node costs more than one user."""

SOON = 20.0
"""Seconds that a start takes at most where there are images; whoever waits longer is told why."""

_RUN = pytest.StashKey[str]()
_BEGUN = pytest.StashKey[float]()
_TEST = pytest.StashKey[pytest.Item]()
"""The test that runs."""

_READY = pytest.StashKey[float]()
"""When the newest cluster was there: what its daemons logged at their start is no test's."""

_KEPT = pytest.StashKey[list[str]]()
_LEFT = pytest.StashKey[list[str]]()
"""What could not be removed at the end, and why."""

_HELD = pytest.StashKey[contextlib.ExitStack]()
"""What a worker holds to its end; only then does the run's main process remove what none of them holds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options and keys."""
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and name the run, alike in all its processes."""
    config.addinivalue_line("markers", f"{settings.MARK}(versions): run for these releases of Slurm only: '>=YY.MM'")
    config.stash[_KEPT], config.stash[_HELD], config.stash[_READY] = [], contextlib.ExitStack(), 0.0
    shared = getattr(config, "workerinput", None)
    config.stash[_RUN] = shared["testrunuid"] if shared else uuid.uuid4().hex
    if settings.any_given(config):
        _releases(config)
        settings.agree(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that wants a cluster on each release that was asked for."""
    if RELEASE in metafunc.fixturenames and (series := _releases(metafunc.config)):
        metafunc.parametrize(RELEASE, series, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is not for a release; with --dist=loadgroup pytest-xdist keeps the tests of one together."""
    series = {found for item in items if (found := _release_of(item))}
    for item in items:
        release = _release_of(item)
        if release and (reason := settings.unwanted(item, release)):
            item.add_marker(pytest.mark.skip(reason=reason))
        if release and len(series) > 1 and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"slurm-{release}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Note which test begins and when, and fail it before it wants a cluster where its mark means nothing."""
    item.stash[_BEGUN], item.config.stash[_TEST] = time.time(), item
    try:
        list(settings.versions(item))
    except InputError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield
    except (Exception, pytest.fail.Exception):
        _keep_to_mark(item, _release_at(item))  # what its fixtures ask for need not be there in other releases
        raise
    _keep_to_mark(item, _release_at(item))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Forget that the cluster's fixture skipped a test, for pytest would let it skip all that come after."""
    try:
        return (yield)
    except pytest.skip.Exception:
        if fixturedef.argname == CLUSTER and fixturedef.func.__module__ == __name__:
            fixturedef.finish(request)  # type: ignore[arg-type]
        raise


def _cluster_of(item: pytest.Item) -> Any:
    """Return the cluster that a test has; None where it has none, or not yet."""
    return getattr(item, "funcargs", {}).get(CLUSTER)


def _release_at(item: pytest.Item) -> str:
    """Return the release of that cluster, which without a mark nobody asks for it."""
    return getattr(_cluster_of(item), "release", "") if item.get_closest_marker(settings.MARK) else ""


def _keep_to_mark(item: pytest.Item, release: str) -> None:
    """Skip a test whose mark names other releases than the one of its cluster, where that is known."""
    if release and (reason := settings.unwanted(item, release)):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons logged while a test failed."""
    report = yield
    logs = getattr(_cluster_of(item), "logs", None)
    if report.failed and logs is not None:
        from slurmrest.errors import SlurmrestError

        try:
            words = logs(since=max(item.stash[_BEGUN], item.config.stash[_READY]))
        except SlurmrestError as error:
            words = f"it could not be read: {error}"
        lines = list(_once(words.splitlines()))
        left = f"(the last {LINES} of {len(lines)} lines)\n" if len(lines) > LINES else ""
        report.sections.append(("journal of Slurm's daemons", left + "\n".join(lines[-LINES:]) or "nothing"))
    return report


def _once(lines: Iterable[str]) -> Iterator[str]:
    """Leave out what slurmrestd says twice: to the journal, and with its name before it to its standard error."""
    mark = f": {SLURMRESTD}: "
    said: dict[bool, set[str]] = {True: set(), False: set()}
    for line in lines:
        marked, key = mark in line, line.replace(mark, ": ", 1)
        if key not in said[not marked]:
            said[marked].add(key)
            yield line


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what no process uses any more: in a run with workers these have all ended now."""
    session.config.stash[_HELD].close()
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[CLUSTER] = session.config.stash[_KEPT]
        return
    with contextlib.suppress(ImportError):  # then nothing was started
        from slurmrest_toolkit.pytest_plugin import sharing

        session.config.stash[_LEFT] = sharing.sweep()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Learn from a worker which clusters it left standing."""
    config: pytest.Config = node.config
    kept = config.stash[_KEPT]
    kept += getattr(node, "workeroutput", {}).get(CLUSTER, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the clusters that were left standing, and those that could not be removed."""
    kept = config.stash[_KEPT]
    for words in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"slurmrest: could not be removed: {words}")
    for name in sorted(set(kept)):
        terminalreporter.write_line(f"kept: {name} (--slurm-cluster {name}; slurmrest cluster down {name})")


@pytest.fixture(scope="session", name=RELEASE)
def slurm_release() -> str | None:
    """The series of Slurm of the cluster: --slurm; None is the default."""
    return None


@pytest.fixture(scope="session")
def slurm_layout(pytestconfig: pytest.Config) -> str:
    """How the nodes are cut: --slurm-layout."""
    return settings.layout(pytestconfig)


@pytest.fixture(scope="session")
def slurm_nodes(pytestconfig: pytest.Config) -> int:
    """Compute nodes of the split layout: --slurm-nodes."""
    return settings.nodes(pytestconfig)


@pytest.fixture(scope="session")
def slurm_keep(pytestconfig: pytest.Config) -> bool:
    """Whether the clusters stay: --slurm-keep."""
    return bool(settings.chosen(pytestconfig, "keep"))


@pytest.fixture(scope="session")
def slurm_allow_stale_mirror(pytestconfig: pytest.Config) -> bool:
    """Whether a package index may be past its date: --slurm-allow-stale-mirror."""
    return bool(settings.chosen(pytestconfig, "allow_stale_mirror"))


@pytest.fixture(scope="session")
def slurm_cluster_name(pytestconfig: pytest.Config) -> str:
    """The running cluster to use: --slurm-cluster; empty where one is started."""
    return str(settings.chosen(pytestconfig, "cluster"))


@pytest.fixture(scope="session")
def slurm_url(pytestconfig: pytest.Config) -> str:
    """The slurmrestd to use: --slurm-url; empty where a cluster is started."""
    return str(settings.chosen(pytestconfig, "url"))


@pytest.fixture(scope="session")
def slurm_token_file(pytestconfig: pytest.Config) -> Path:
    """With a URL, the file of a token: --slurm-token-file."""
    if given := settings.chosen(pytestconfig, "token_file"):
        return Path(given)
    pytest.fail("--slurm-url needs a token: --slurm-token-file=FILE", pytrace=False)


@pytest.fixture(scope="session", name=CLUSTER)
def slurm_cluster(
    request: pytest.FixtureRequest, slurm_release: str | None, slurm_url: str, slurm_cluster_name: str
) -> Iterator[RunningCluster | RemoteCluster]:
    """A cluster for the whole run, shared by the workers of pytest-xdist; with --slurm-url what answers there."""
    if slurm_url:
        from slurmrest_toolkit.pytest_plugin.remote import RemoteCluster

        user = settings.chosen(request.config, "user")
        yield RemoteCluster(slurm_url, request.getfixturevalue("slurm_token_file"), user)
        return
    if slurm_cluster_name:
        from slurmrest_toolkit import attach

        yield attach(slurm_cluster_name)
        return
    from slurmrest_toolkit.images.suites import DEFAULT_SERIES

    item = request.config.stash[_TEST]
    if CLUSTER in getattr(item, "fixturenames", ()):  # else one that asks for it as it runs would be skipped for all
        _keep_to_mark(item, slurm_release or DEFAULT_SERIES)
    with _started(request, slurm_release) as cluster:
        yield cluster


@contextlib.contextmanager
def _started(request: pytest.FixtureRequest, release: str | None) -> Iterator[RunningCluster]:
    """Have the cluster that the settings say, for as long as this process needs it."""
    from slurmrest_toolkit.pytest_plugin import sharing

    layout, nodes = request.getfixturevalue("slurm_layout"), request.getfixturevalue("slurm_nodes")
    name = sharing.name_of(request.config.stash[_RUN], release or "", layout, nodes)
    keep = request.getfixturevalue("slurm_keep")
    stale = request.getfixturevalue("slurm_allow_stale_mirror")
    how = {"slurm": release, "layout": layout, "nodes": nodes, "allow_stale_mirror": stale, "keep": keep}
    with contextlib.ExitStack() as own:
        worker = hasattr(request.config, "workerinput")
        held = request.config.stash[_HELD] if worker else own
        with _told(request.config, release):
            cluster = held.enter_context(sharing.shared(name, leave=worker, **how))
        if keep:
            request.config.stash[_KEPT].append(name)
        request.config.stash[_READY] = time.time()
        yield cluster


@contextlib.contextmanager
def _told(config: pytest.Config, release: str | None) -> Iterator[None]:
    """Say what is waited for when it takes long; the workers of pytest-xdist have no terminal to say it on."""
    reporter, capture = map(config.pluginmanager.get_plugin, ("terminalreporter", "capturemanager"))
    if reporter is None:
        yield
        return

    def say() -> None:
        words = f"slurmrest: starting Slurm {release or ''}; the first start makes images, for some minutes"
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            reporter.write_line(f"\n{words}")

    timer = threading.Timer(SOON, say)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@pytest.fixture(scope="session")
def _slurm_users(
    slurm_cluster: RunningCluster | RemoteCluster, slurm_cluster_name: str
) -> Iterator[Iterator[User | RemoteUser]]:
    """Users for this process alone, one after the other; with a URL always the one whose token there is."""
    from slurmrest_toolkit.pytest_plugin.remote import RemoteCluster

    if isinstance(slurm_cluster, RemoteCluster):
        yield itertools.cycle(slurm_cluster.users.values())
        return
    made: list[str] = []

    def users() -> Iterator[User]:
        while True:
            names = [f"test-{secrets.token_hex(5)}" for _ in range(BATCH)]
            found = slurm_cluster.add_users(*names)
            made.extend(names)
            yield from found

    yield users()
    if made and slurm_cluster_name:  # otherwise they go with the cluster
        slurm_cluster.remove_users(*made)


@pytest.fixture
def slurm_user(
    request: pytest.FixtureRequest, slurm_cluster: RunningCluster | RemoteCluster, _slurm_users: Iterator[Any]
) -> User | RemoteUser:
    """An ordinary user whom no other test has; with --slurm-url the one of the token."""
    _keep_to_mark(request.node, slurm_cluster.release)  # a test that asks for it while it runs is met here only
    user: User | RemoteUser = next(_slurm_users)
    return user


@pytest.fixture
def slurmrestd(slurm_user: User | RemoteUser, slurm_url: str) -> Iterator[Client]:
    """Requests as a user of one's own: url, user, token, headers, api_versions, get, post, delete, submit, wait.

    At the end the user's jobs are cancelled; with --slurm-url, where others may have that name, those submitted here.
    """
    client = slurm_user.client()
    yield client
    client.cancel_jobs(only_own=bool(slurm_url))


def _releases(config: pytest.Config) -> list[str]:
    from slurmrest_toolkit.images.suites import SUITES

    return settings.releases(config, tuple(SUITES))


def _release_of(item: pytest.Item) -> str:
    """Return the series that a test is to run on, where that is known before."""
    return str(getattr(getattr(item, "callspec", None), "params", {}).get(RELEASE) or "")
