"""Start clusters, tell how they are, and remove them."""

from __future__ import annotations

import base64
import contextlib
import errno
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest import verify
from slurmrest.client import Credentials, Target
from slurmrest.jwt import Key
from slurmrest.releases import Version
from slurmrest.report import render_table

from slurmrest_toolkit import collection
from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import rest, tokens
from slurmrest_toolkit.clusters.state import (
    CLUSTER_LABEL,
    STATE_LABEL,
    Cluster,
    Node,
    cluster_directory,
    cluster_names,
    load,
    plan_nodes,
    validate_name,
    write_private,
)
from slurmrest_toolkit.containers import host as hosts
from slurmrest_toolkit.containers.engine import EngineError
from slurmrest_toolkit.images import base as images
from slurmrest_toolkit.images import warm
from slurmrest_toolkit.images.suites import DEFAULT_SERIES, check_series, suite_of
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError, NoEngineError
from slurmrest_toolkit.support.locks import locked, state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slurmrest.jwt import Token

    from slurmrest_toolkit.containers.engine import Container, Engine
    from slurmrest_toolkit.images.base import Image
    from slurmrest_toolkit.support.progress import Progress

IDLE_CLIENTS = 8
"""Connections held open while another client must be served: a few of the least that a daemon allows."""

UNITS = ("munge", "mariadb", "slurmdbd", "slurmctld", "slurmd", "slurmrestd")
JOURNAL_LINES = 12
_TROUBLE = re.compile(r"error|fatal|fail|refus|denied|cannot|unable", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """What the user asked ``up`` for; ``series`` is None where an image given with ``image`` decides it."""

    name: str
    series: str | None
    layout: str
    compute_nodes: int
    engine: str | None
    image: str | None
    bare: bool
    allow_stale: bool
    keep_on_failure: bool
    cache: bool
    capabilities: tuple[str, ...] = ()


@contextlib.contextmanager
def owned(name: str) -> Iterator[None]:
    """Hold a cluster's lock, without waiting for it.

    Raises:
        CannotRunError: another process holds it.
    """
    with locked(state_directory() / "locks" / f"{name}.lock", waiting=None) as held:
        if not held:
            raise CannotRunError(f"Another process is working on the cluster {name}.", "Wait for it, or use --name.")
        yield


def up(request: Request, progress: Progress) -> Cluster:
    """Start a cluster, and leave nothing behind when that fails.

    Raises:
        CannotRunError: the host or the request does not allow it; nothing was started.
        InputError: a value of the request is refused.
        SlurmrestError: a phase failed; ``progress.current`` names it.
    """
    validate_name(request.name)
    planned = plan_nodes(request.name, request.layout, request.compute_nodes)
    if request.image is None:
        suite_of(request.series or DEFAULT_SERIES)
    collection.ensure()
    with owned(request.name):
        progress.phase("host", "this host and its container engine")
        host = hosts.Host.detect()
        engine = hosts.find_engine(request.engine, host, progress, install=True)
        hosts.ensure_programs(["ssh", "curl"], host, progress)
        cluster = Cluster(request.name, "", request.layout, engine.name, planned, bare=request.bare)
        cluster.capabilities = [*request.capabilities]
        with ThreadPoolExecutor(max_workers=1) as beside:
            kept = beside.submit(find_kept, engine, request)
            make_room(engine, request.name, progress)
            found = kept.result()
        try:
            if found is not None:
                warm_start(engine, cluster, found, progress, allow_stale=request.allow_stale)
            else:
                cold_start(engine, cluster, host, request, progress)
            progress.finish()
            cluster.ready, cluster.timings = True, tell_job_apart(progress.timings, cluster.verify)
            cluster.save()
        except BaseException as error:
            progress.stop()
            give_up(engine, cluster, error, progress, keep=request.keep_on_failure)
            raise
    return cluster


def tell_job_apart(timings: dict[str, float], report: dict[str, Any] | None) -> dict[str, float]:
    """Return the seconds of the phases with those of the test job, which waits for its scheduler, on their own."""
    job = sum(check["seconds"] for check in (report or {"checks": []})["checks"] if check["id"].startswith("job"))
    if "verify" not in timings:
        return timings
    return {**timings, "verify": round(timings["verify"] - job, 2), "job": round(job, 2)}


def recipe(request: Request, base: str) -> warm.Recipe:
    """Return what the warm images for a request are made of, given the name of the base image."""
    return warm.recipe(base, request.layout, request.compute_nodes, collection.ROOT)


def save_images(series: str, layout: str, compute_nodes: int, target: Path, progress: Progress) -> None:
    """Write the warm images of a layout to an archive.

    Raises:
        CannotRunError: they are not there, or the file cannot be written.
        ClusterFailedError: they could not be read.
        InputError: there is no such layout, or the number of nodes does not go with it.
    """
    wanted = warm.recipe(images.suite_name(series), layout, compute_nodes, collection.ROOT)
    warm.save(engine_of(None, progress), wanted, target)


def load_images(source: Path, progress: Progress) -> list[str]:
    """Read warm images from an archive, and return the names of those that were not there.

    Raises:
        CannotRunError: there is no such file, or it holds something else than warm images; nothing was loaded.
        EngineError: the engine refuses it.
    """
    return warm.load(hosts.find_engine(None, hosts.Host.detect(), progress, install=True), source)


def prune(*, everything: bool, progress: Progress) -> list[str]:
    """Remove the images kept between clusters, and return their names; see :func:`.images.warm.prune`."""
    return warm.prune(engine_of(None, progress), everything=everything)


def find_kept(engine: Engine, request: Request) -> warm.Kept | None:
    """Return the warm images for a request; None where they are missing, unwanted, or of a base not known by name."""
    if request.bare or not request.cache or request.image is not None:
        return None
    return warm.find(engine, recipe(request, images.suite_name(request.series or DEFAULT_SERIES)))


def make_room(engine: Engine, name: str, progress: Progress) -> None:
    """Remove what is left of an earlier cluster of this name.

    Raises:
        CannotRunError: it is alive, here or for another state directory.
    """
    containers = engine.containers(f"{CLUSTER_LABEL}={name}")
    found = judge(load(name), containers, state_directory())
    if found == "ours":
        raise CannotRunError(
            f"The cluster {name} exists.", f"Use another --name, or remove it: slurmrest cluster down {name}"
        )
    if found == "foreign":
        raise CannotRunError(f"Another state directory has a cluster called {name}.", "Use another --name.")
    shutil.rmtree(failure_directory(name), ignore_errors=True)
    if found == "leftovers" or engine.networks(f"{CLUSTER_LABEL}={name}"):
        progress.say(f"removing what is left of an earlier cluster {name}")
        remove(engine, name)


def judge(known: Cluster | None, containers: Sequence[Container], state: Path) -> str:
    """Say what is there under a cluster's name: ``nothing``, ``leftovers``, ``ours`` (alive) or ``foreign`` (alive).

    Args:
        known: what our state directory says.
        containers: the engine's containers of that name.
        state: our state directory.
    """
    alive = [container for container in containers if container.running]
    if any(container.labels.get(STATE_LABEL) != str(state) for container in alive) and any(
        Path(
            container.labels.get(STATE_LABEL, ""), "clusters", container.labels[CLUSTER_LABEL], "cluster.json"
        ).exists()
        for container in alive
    ):
        return "foreign"
    if known is not None and known.ready and alive:
        return "ours"
    return "leftovers" if known is not None or containers else "nothing"


def base_image(engine: Engine, host: hosts.Host, request: Request, progress: Progress) -> Image:
    """Return the image that the nodes start from."""
    if request.image is not None:
        return images.ordinary_image(engine, progress, request.image, request.series)
    series = request.series or DEFAULT_SERIES
    return images.suite_image(engine, host, progress, series, allow_stale=request.allow_stale)


def cold_start(engine: Engine, cluster: Cluster, host: hosts.Host, request: Request, progress: Progress) -> None:
    """Start plain nodes and, unless the cluster is bare, deploy Slurm to them, keep them as images, start from these.

    With ``--no-cache`` the nodes that were deployed to are the cluster.
    """
    progress.phase("image", "base image")
    base = base_image(engine, host, request, progress)
    cluster.slurm_version = str(Version.parse(base.slurm_version))
    cluster.save()
    wanted = recipe(request, base.name)
    if request.image is not None and request.cache and not request.bare:
        found = warm.find(engine, wanted)
        if found is not None:
            warm_start(engine, cluster, found, progress, allow_stale=request.allow_stale)
            return
    installed = {node.name: images.installed_name(base, node.roles, collection.ROOT) for node in cluster.nodes}
    there = {} if cluster.bare else {name: image for name, image in installed.items() if has_image(engine, image)}
    progress.phase("nodes", f"{count_of(cluster)} from {'images with packages' if there else 'the base image'}")
    options = enrolment_options(allow_stale=request.allow_stale)
    nodes.start_nodes(
        engine,
        cluster,
        lambda node: there.get(node.name, base.name),
        lambda node, client_key: nodes.enrol(engine, node, client_key, *options),
    )
    nodes.wait_for_ssh_everywhere(cluster)
    cluster.save()
    if cluster.bare:
        return
    if len(there) < len(cluster.nodes):
        progress.phase("packages", "Slurm from the distribution's packages")
        play(cluster, ["cluster.yml", "deploy.yml"], progress, "--tags=slurm_packages")
        learn_version(engine, cluster)
        progress.update("keeping images with the packages")
        keep_packages(engine, cluster, base, installed)
    progress.phase("cluster", "playbooks/cluster.yml: munge, MariaDB, slurmdbd, slurmctld, slurmd")
    play(cluster, ["cluster.yml", "deploy.yml"], progress)
    if not request.cache:
        progress.phase("verify", "requests from this host, and a job")
        made = [tokens.renew(engine, cluster, user) for user in tokens.USERS]
        prove(engine, cluster, made, signing_key(engine, cluster))
        return
    progress.phase("keep", "the nodes as images, without keys")
    found = warm.keep(engine, cluster, wanted)
    warm_start(engine, cluster, found, progress, allow_stale=request.allow_stale)


def warm_start(engine: Engine, cluster: Cluster, found: warm.Kept, progress: Progress, *, allow_stale: bool) -> None:
    """Start a cluster from the images of converged nodes, with keys of its own, and prove that it works.

    Args:
        engine: the container engine.
        cluster: the cluster.
        found: the images.
        progress: told what happens.
        allow_stale: let the nodes use a package index past its Valid-Until date.
    """
    progress.phase("nodes", f"{count_of(cluster)} from images of converged nodes")
    cluster.slurm_version, cluster.machine = found.slurm_version, found.machine
    cluster.save()
    secrets = warm.Secrets.make(found)
    options = enrolment_options(allow_stale=allow_stale)

    def enrol(node: Node, client_key: str) -> str:
        return warm.renew(engine, node, secrets.lines(found.paths(node), client_key), *options)

    nodes.start_nodes(engine, cluster, found.recipe.image, enrol)
    with ThreadPoolExecutor(max_workers=1) as beside:
        logins = beside.submit(nodes.wait_for_ssh_everywhere, cluster)
        progress.phase("daemons", "munge, MariaDB, slurmdbd, slurmctld, slurmd, slurmrestd")
        made = [secrets.token(user, tokens.KEPT_LIFESPAN) for user in tokens.USERS]
        for user, token in zip(tokens.USERS, made, strict=True):
            tokens.keep(cluster, user, token)
        rest.wait_until_served(cluster, Credentials(tokens.ADMINISTRATOR, made[0]))
        progress.phase("verify", "requests from this host, and a job")
        prove(engine, cluster, made, secrets.signing_key)
        logins.result()


def count_of(cluster: Cluster) -> str:
    """Say how many nodes a cluster has."""
    return f"{len(cluster.nodes)} node{'s' if len(cluster.nodes) > 1 else ''}"


def enrolment_options(*, allow_stale: bool) -> list[str]:
    """Return the options of slurmrest-enrol."""
    return ["--accept-stale-index"] if allow_stale else []


def has_image(engine: Engine, name: str) -> bool:
    """Is the image there?"""
    return engine.image_labels(name) is not None


def play(cluster: Cluster, names: Sequence[str], progress: Progress, *arguments: str) -> playbooks.Run:
    """Run playbooks against a cluster; a whole run moves on to the phase ``deploy`` with deploy.yml."""

    def on_playbook(name: str) -> None:
        if name == "deploy.yml" and not arguments:
            progress.phase("deploy", "playbooks/deploy.yml: slurmrestd, and its verification on the REST host")

    return playbooks.run(
        cluster.directory / "inventory" / "hosts.yml",
        names,
        cluster.directory / "logs" / "ansible.log",
        arguments=arguments,
        on_playbook=on_playbook,
        on_task=progress.update,
    )


def learn_version(engine: Engine, cluster: Cluster) -> None:
    """Take the version of Slurm from what was installed.

    Raises:
        CannotRunError: the suite has moved on to another series since its image was built.
    """
    installed = engine.execute(cluster.controller.container, "slurmctld", "-V").strip()
    check_series(installed, Version.parse(cluster.slurm_version).series, "the distribution has moved on to")
    cluster.slurm_version = str(Version.parse(installed))
    cluster.save()


def keep_packages(engine: Engine, cluster: Cluster, base: Image, installed: dict[str, str]) -> None:
    """Keep an image of one node of each kind, so that the next cluster needs no network for its packages."""
    for name, node in {installed[node.name]: node for node in cluster.nodes}.items():
        images.keep_installed(engine, node, base, images.Image(name, cluster.slurm_version))


def prove(engine: Engine, cluster: Cluster, made: Sequence[Token], key: Key) -> None:
    """Verify the cluster from this host over its published port, with a job of the ordinary user.

    Args:
        engine: the container engine.
        cluster: the cluster.
        made: tokens of ``tokens.USERS``.
        key: the key that signs tokens, for those that must be refused.

    Raises:
        ClusterFailedError: a check failed or was skipped, for here everything can be proven; with the report.
    """
    root, ordinary = made
    report = verify.verify(
        [Target.parse(cluster.base_url)],
        Credentials(tokens.ADMINISTRATOR, root),
        verify.Options(accounting=True, job=verify.JobOptions(), idle_clients=IDLE_CLIENTS),
        job_credentials=Credentials(inventory.ORDINARY_USER, ordinary),
        key=key,
        read_output=lambda path: take_file(engine, cluster, path),
    )
    cluster.verify = report.as_dict()
    cluster.api_versions = list(report.api_versions)
    if not all(check.ok for check in report.checks):
        raise ClusterFailedError(f"the verification did not prove everything\n{render_table(report)}")


def signing_key(engine: Engine, cluster: Cluster) -> Key:
    """Read the key that signs the cluster's tokens; it stays in this process."""
    encoded = engine.execute(cluster.controller.container, "base64", warm.JWT_KEY)
    return Key(base64.b64decode(encoded))


def take_file(engine: Engine, cluster: Cluster, path: str) -> str:
    """Read and remove a file that a job left on one of the compute nodes.

    Raises:
        FileNotFoundError: none of them has it.
    """
    for node in cluster.nodes:
        if "slurmd" in node.roles:
            done = engine.run("exec", node.container, "sh", "-c", 'cat -- "$1" && rm -- "$1"', "sh", path)
            if done.returncode == 0:
                return done.stdout
    raise FileNotFoundError(errno.ENOENT, "no compute node has it", path)


def failure_directory(name: str) -> Path:
    """Where the logs of the last failed ``up`` of this name are kept until the next one."""
    return state_directory() / "failed" / name


def give_up(engine: Engine, cluster: Cluster, error: BaseException, progress: Progress, *, keep: bool) -> None:
    """Show why a cluster could not be started, save its logs, and remove it unless it is to be kept."""
    if not isinstance(error, KeyboardInterrupt):
        with contextlib.suppress(EngineError):
            show_journals(engine, cluster, getattr(error, "hosts", [node.name for node in cluster.nodes]), progress)
    if keep:
        progress.say(f"kept as it is: {cluster.directory}; remove it with: slurmrest cluster down {cluster.name}")
        return
    logs = cluster.directory / "logs"
    if logs.is_dir() and not isinstance(error, KeyboardInterrupt):
        target = failure_directory(cluster.name)
        shutil.copytree(logs, target, dirs_exist_ok=True)
        progress.say(f"logs: {target}")
    progress.say(f"removing {cluster.name}")
    remove(engine, cluster.name)


def journal(engine: Engine, node: Node, units: Sequence[str]) -> str:
    """Return what some units of a node wrote to the journal, or an empty string."""
    options = ("--no-pager", "--quiet", "--output=short-iso", *(f"--unit={unit}" for unit in units))
    return engine.run("exec", node.container, "journalctl", *options).stdout


def show_journals(engine: Engine, cluster: Cluster, names: Sequence[str], progress: Progress) -> None:
    """Save the journal of Slurm's units on each node, and show the troubles in it for the nodes named."""
    for node in cluster.nodes:
        text = journal(engine, node, UNITS)
        write_private(cluster.directory / "logs" / f"{node.name}.journal", text)
        lines = [line for line in text.splitlines() if _TROUBLE.search(line)]
        if node.name in names and lines:
            progress.say(f"troubles in the journal of {node.name}:")
            progress.quote(lines[-JOURNAL_LINES:])


def engine_of(cluster: Cluster | None, progress: Progress) -> Engine:
    """Return the engine that runs a cluster, or any that is here; installs nothing.

    Raises:
        CannotRunError: there is none.
    """
    return hosts.find_engine(cluster.engine if cluster else None, hosts.Host.detect(), progress, install=False)


def down(names: Sequence[str], progress: Progress) -> None:
    """Remove clusters, complete or not.

    Raises:
        CannotRunError: another process is working on one of them, or there is no trace of it.
    """
    for name in names:
        with owned(name):
            recorded = cluster_directory(name).exists()
            unknown = f"There is no cluster called {name} (there: {', '.join(cluster_names()) or 'none'})."
            try:
                engine = engine_of(load(name), progress)
            except NoEngineError as error:
                raise error if recorded else CannotRunError(unknown) from None
            if not recorded and not engine.containers(f"{CLUSTER_LABEL}={name}"):
                raise CannotRunError(unknown)
            remove(engine, name)
            shutil.rmtree(failure_directory(name), ignore_errors=True)
            progress.say(f"removed {name}")


def refresh(cluster: Cluster, progress: Progress) -> dict[str, bool]:
    """Ask the engine which nodes run, and follow their ports where those have changed.

    Returns:
        For each node's name whether it is running.
    """
    engine = engine_of(cluster, progress)
    containers = {container.name: container for container in engine.containers(f"{CLUSTER_LABEL}={cluster.name}")}
    running = {node.name: node.container in containers and containers[node.container].running for node in cluster.nodes}
    before = [(node.ssh_port, node.rest_port) for node in cluster.nodes]
    for node in cluster.nodes:
        if running[node.name]:
            try:
                nodes.read_ports(engine, node)
            except EngineError:  # removed or stopped since it was listed
                running[node.name] = False
    if before != [(node.ssh_port, node.rest_port) for node in cluster.nodes]:
        cluster.save()
        nodes.write_access_files(cluster)
    return running


def remove(engine: Engine, name: str) -> None:
    """Remove a cluster's containers, network and files, whatever state they are in."""
    label = f"{CLUSTER_LABEL}={name}"
    engine.remove_containers([container.name for container in engine.containers(label)])
    for network in engine.networks(label):
        engine.call("network", "rm", network)
    shutil.rmtree(cluster_directory(name), ignore_errors=True)


def node_object(node: Node) -> dict[str, Any]:
    """Describe a node for machines."""
    rest = None if node.rest_port is None else {"host": "127.0.0.1", "port": node.rest_port}
    return {
        "name": node.name,
        "roles": node.roles,
        "ssh": {"host": "127.0.0.1", "port": node.ssh_port},
        "rest": rest,
    }


def describe(cluster: Cluster) -> dict[str, Any]:
    """Describe a cluster for machines: what ``up --json`` prints, without any secret."""
    directory = cluster.directory
    served = not cluster.bare
    return {
        "name": cluster.name,
        "slurm_version": cluster.slurm_version,
        "layout": cluster.layout,
        "nodes": [node_object(node) for node in cluster.nodes],
        "base_url": cluster.base_url if served else None,
        "unix_socket": inventory.SOCKET if served else None,
        "token": str(tokens.token_file(cluster, tokens.ADMINISTRATOR)) if served else None,
        "user_token": str(tokens.token_file(cluster, inventory.ORDINARY_USER)) if served else None,
        "api_versions": cluster.api_versions,
        "timings": cluster.timings,
        "verify": cluster.verify,
        "inventory": str(directory / "inventory" / "hosts.yml"),
        "ssh_config": str(directory / "ssh_config"),
    }
