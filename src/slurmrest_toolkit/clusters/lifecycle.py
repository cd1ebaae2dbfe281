"""Start a cluster: a list of steps, which leaves nothing behind when one of them fails."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmrest.errors import InputError
from slurmrest.rest.client import Credentials
from slurmrest.slurm.version import Version

from slurmrest_toolkit import collection
from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import controllers, gateway, layouts, logins, provider, rest, tokens, users
from slurmrest_toolkit.clusters.liveness import owned, reusable
from slurmrest_toolkit.clusters.prove import LEVELS, prove, signing_key, tell_job_apart
from slurmrest_toolkit.clusters.remove import give_up, make_room
from slurmrest_toolkit.clusters.state import Cluster, check_conf, validate_name
from slurmrest_toolkit.containers.find import find_engine
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.containers.prerequisites import for_building
from slurmrest_toolkit.images import base, packages, warm
from slurmrest_toolkit.images.recipes import Image
from slurmrest_toolkit.images.suites import DEFAULT_SERIES, asking, check_series, suite_of
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.waiting import LONGEST, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slurmrest.auth.bearer import Token

    from slurmrest_toolkit.clusters.state import Node
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress


PLAYBOOKS = ("cluster.yml", "deploy.yml")


@dataclass(frozen=True)
class Request:
    """What the user asked for; ``series`` is None where an image given with ``image`` decides it, or the default."""

    name: str
    series: str | None = None
    layout: str = layouts.LAYOUTS[0]
    compute_nodes: int = 1
    rest_hosts: int | None = None
    gateway: bool = False
    identity: str = logins.IDENTITIES[0]
    engine: str | None = None
    image: str | None = None
    bare: bool = False
    allow_stale: bool = False
    keep_on_failure: bool = False
    cache: bool = True
    capabilities: tuple[str, ...] = ()
    verify: str = LEVELS[0]
    users: tuple[str, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    reuse: bool = False
    wait: bool = False
    patience: float = LONGEST

    def nodes(self) -> list[Node]:
        """Return the nodes that there shall be.

        Raises:
            InputError: there is no such layout.
        """
        return layouts.plan_nodes(self.name, self.layout, self.compute_nodes, self.rest_hosts, gateway=self.gateway)

    def recipe(self, base_name: str) -> warm.Recipe:
        """Return what the warm images are made of, given the name of the base image."""
        return warm.recipe(base_name, self.layout, self.nodes(), collection.ROOT, self.conf)


@dataclass
class Start:
    """What the steps of one start know and find out.

    ``kept`` are the warm images, where they are there, and ``waited`` the seconds for which jobs alone were waited for.
    """

    request: Request
    host: Host
    engine: Engine
    cluster: Cluster
    progress: Progress
    base: Image | None = None
    kept: warm.Kept | None = None
    secrets: warm.Secrets | None = None
    waited: float = 0.0

    def based_on(self) -> Image:
        """Return the base image, which is there from the first step on."""
        assert self.base is not None
        return self.base

    def enrolment_options(self) -> list[str]:
        """Return the options of slurmrest-enrol."""
        return ["--accept-stale-index"] if self.request.allow_stale else []

    def nodes(self) -> str:
        """Say how many nodes the cluster has."""
        count = len(self.cluster.nodes)
        return f"{count} node{'s' if count > 1 else ''}"

    def run(self) -> None:
        """Take all steps."""
        for step in steps(self):
            step(self)


def steps(start: Start) -> Iterator[Callable[[Start], None]]:
    """Yield the steps of a start, each of which may decide about those after it.

    Warm images are started from at once. Otherwise plain nodes are deployed to, kept as images, and replaced by nodes
    started from these; without the cache the nodes that were deployed to are the cluster, and bare ones stay bare.
    """
    if start.kept is None:
        yield choose_base
    if start.kept is None:
        yield start_plain
        if start.request.gateway:
            yield certify
        if start.request.bare:
            return
        yield install
        yield deploy
        if not start.request.cache:
            yield prove_deployed
            if start.request.identity != logins.IDENTITIES[0]:
                yield log_in
            return
        yield keep
    yield start_kept
    yield serve
    if start.request.identity != logins.IDENTITIES[0]:
        yield log_in


def up(request: Request, progress: Progress) -> Cluster:
    """Start a cluster, and leave nothing behind when that fails.

    Raises:
        CannotRunError: the host or the request does not allow it; nothing was started.
        InputError: a value of the request is refused.
        SlurmrestError: a phase failed; ``progress.current`` names it.
    """
    planned = check(request)
    collection.ensure()
    with owned(request.name, progress if request.wait else None):
        if request.reuse and (there := reusable(request, progress)):
            return there
        progress.phase("host", "this host and its container engine")
        host = Host.detect()
        soon = [] if request.image else for_building(host)
        engine = find_engine(request.engine, host, progress, install=True, soon=soon)
        cluster = Cluster(request.name, "", request.layout, engine.name, planned, bare=request.bare)
        cluster.capabilities, cluster.conf = [*request.capabilities], dict(request.conf)
        cluster.patience, cluster.root = request.patience, host.root if engine.name == "podman" else None
        start = Start(request, host, engine, cluster, progress)
        with ThreadPoolExecutor(max_workers=1) as beside:
            kept = beside.submit(find_kept, engine, request)
            make_room(engine, request.name, progress)
            start.kept = kept.result()
        try:
            start.run()
            progress.finish()
            cluster.ready, cluster.timings = True, tell_job_apart(progress.timings, start.waited)
            cluster.save()
        except BaseException as error:
            progress.stop()
            give_up(engine, cluster, error, progress, keep=request.keep_on_failure)
            raise
    return cluster


def check(request: Request) -> list[Node]:
    """Return the nodes that a request wants, once all of it could be done.

    Raises:
        InputError: a value of the request is refused.
    """
    validate_name(request.name)
    planned = request.nodes()
    if request.image is None:
        suite_of(request.series or DEFAULT_SERIES)
    check_conf(request.conf)
    if request.identity not in logins.IDENTITIES:
        raise InputError("--identity", request.identity, ", ".join(logins.IDENTITIES))
    if request.identity != logins.IDENTITIES[0] and (not request.gateway or request.bare):
        raise InputError("--identity", request.identity, "with --gateway, and without --bare")
    users.check(request.users, tokens.USERS)
    if not 0 < request.patience < math.inf:
        raise InputError("--patience", request.patience, "seconds, more than 0")
    if request.verify not in LEVELS:
        raise InputError("--verify", request.verify, ", ".join(LEVELS))
    return planned


def find_kept(engine: Engine, request: Request) -> warm.Kept | None:
    """Return the warm images for a request; None where they are missing, unwanted, or of a base not known by name."""
    if request.bare or not request.cache or request.image is not None:
        return None
    return warm.find(engine, request.recipe(base.suite_name(request.series or DEFAULT_SERIES)))


def choose_base(start: Start) -> None:
    """Have the base image; warm images made of an ordinary one are known only now."""
    start.progress.phase("image", "base image")
    request = start.request
    if request.image is not None:
        start.base = base.ordinary_image(start.engine, start.progress, request.image, request.series)
    else:
        series, stale = request.series or DEFAULT_SERIES, request.allow_stale
        start.base = base.suite_image(start.engine, start.host, start.progress, series, allow_stale=stale)
    start.cluster.slurm_version = str(Version.parse(start.base.slurm_version))
    start.cluster.save()
    if request.image is not None and request.cache and not request.bare:
        start.kept = warm.find(start.engine, request.recipe(start.base.name))


def start_plain(start: Start) -> None:
    """Start nodes from the base image, or from those with packages where they are there."""
    engine, cluster, plain = start.engine, start.cluster, start.based_on()
    there = {} if cluster.bare else {name: image for name, image in installed(start).items() if has(engine, image)}
    start.progress.phase("nodes", f"{start.nodes()} from {'images with packages' if there else 'the base image'}")
    options = start.enrolment_options()
    nodes.start_nodes(
        engine,
        cluster,
        lambda node: there.get(node.name, plain.name),
        lambda node, client_key: nodes.enrol(engine, node, client_key, *options, patience=cluster.patience),
    )
    nodes.wait_for_ssh_everywhere(cluster)
    cluster.save()


def certify(start: Start) -> None:
    """Have the gateway's node make its certificate, and keep the authority that clients trust."""
    gateway.certify(start.engine, start.cluster)
    gateway.keep_authority(start.engine, start.cluster)


def install(start: Start) -> None:
    """Install Slurm's packages and keep an image of one node of each kind, unless all of these images are there."""
    images = installed(start)
    if all(has(start.engine, image) for image in images.values()):
        return
    start.progress.phase("packages", "Slurm from the distribution's packages")
    with asking(suite_of(start.request.series or DEFAULT_SERIES)):
        play(start, "--tags=slurm_packages")
    learn_version(start.engine, start.cluster)
    start.progress.update("keeping images with the packages")
    for name, node in {images[node.name]: node for node in start.cluster.nodes}.items():
        image = Image(name, start.cluster.slurm_version)
        packages.keep_installed(start.engine, node, start.based_on(), image)


def deploy(start: Start) -> None:
    """Run the shipped playbooks."""
    start.progress.phase("cluster", "playbooks/cluster.yml: munge, MariaDB, slurmdbd, slurmctld, slurmd")
    play(start, names=(*PLAYBOOKS, "gateway.yml") if start.request.gateway else PLAYBOOKS)


def prove_deployed(start: Start) -> None:
    """Prove the nodes that were deployed to."""
    start.progress.phase("verify", "requests from this host, and a job")
    wait_for_backups(start)
    made = [tokens.renew(start.engine, start.cluster, user) for user in tokens.USERS]
    wait_for_gateway(start, made)
    start.waited = prove(
        start.engine, start.cluster, made, signing_key(start.engine, start.cluster), start.request.verify
    )
    add_users(start)


def keep(start: Start) -> None:
    """Make images out of the nodes, which are gone afterwards."""
    start.progress.phase("keep", "the nodes as images, without keys")
    start.kept = warm.keep(start.engine, start.cluster, start.request.recipe(start.based_on().name))


def start_kept(start: Start) -> None:
    """Start nodes from the images of converged ones, with keys of their own."""
    assert start.kept is not None
    engine, cluster, kept = start.engine, start.cluster, start.kept
    start.progress.phase("nodes", f"{start.nodes()} from images of converged nodes")
    cluster.slurm_version, cluster.machine = kept.slurm_version, kept.machine
    cluster.save()
    start.secrets = secrets = warm.Secrets.make(kept)
    options = start.enrolment_options()

    def enrol(node: Node, client_key: str) -> str:
        return warm.renew(engine, node, secrets.lines(kept.paths(node), client_key), *options)

    nodes.start_nodes(engine, cluster, kept.recipe.image, enrol)


def serve(start: Start) -> None:
    """Wait for the daemons of nodes started from images, and prove them."""
    assert start.secrets is not None
    cluster, secrets = start.cluster, start.secrets
    with side_by_side(1) as beside:
        logins = beside.submit(nodes.wait_for_ssh_everywhere, cluster)
        start.progress.phase("daemons", "munge, MariaDB, slurmdbd, slurmctld, slurmd, slurmrestd")
        made = [secrets.token(user, tokens.KEPT_LIFESPAN) for user in tokens.USERS]
        for user, token in zip(tokens.USERS, made, strict=True):
            tokens.keep(cluster, user, token)
        rest.wait_until_served(start.engine, cluster, Credentials(tokens.ADMINISTRATOR, made[0]))
        wait_for_backups(start)
        wait_for_gateway(start, made)
        start.progress.phase("verify", "requests from this host, and a job")
        start.waited = prove(start.engine, cluster, made, secrets.signing_key, start.request.verify)
        logins.result()
    add_users(start)


def add_users(start: Start) -> None:
    """Make the users that were asked for besides."""
    if start.request.users:
        start.progress.phase("users", ", ".join(start.request.users))
        users.add(start.engine, start.cluster, start.request.users)


def log_in(start: Start) -> None:
    """Have users log in at the gateway: after all else, since images hold no key that signs for them."""
    engine, cluster = start.engine, start.cluster
    start.progress.phase("logins", f"playbooks/deploy.yml and gateway.yml: identity {start.request.identity}")
    cluster.identity = start.request.identity
    if cluster.identity == "oidc":
        provider.run(engine, cluster)
    nodes.write_access_files(cluster)
    play(start, names=("deploy.yml", "gateway.yml"), phases=False)
    logins.give(engine, cluster, [name for name in users.known(cluster) if name != tokens.ADMINISTRATOR])
    gateway.wait_until_logged_in(cluster)


def wait_for_backups(start: Start) -> None:
    """Wait until all controllers are up, where there are several; a single one has answered already."""
    if len(start.cluster.controllers) > 1:
        controllers.wait_until_up(start.engine, start.cluster)


def wait_for_gateway(start: Start, made: Sequence[Token]) -> None:
    """Wait until the gateway serves over TLS, where there is one; ``made`` are the tokens of ``tokens.USERS``."""
    if start.cluster.gateway_node is not None:
        gateway.wait_until_served(start.engine, start.cluster, Credentials(tokens.USERS[-1], made[-1]))


def installed(start: Start) -> dict[str, str]:
    """Return the image with packages for each node's name, made or not."""
    return {
        node.name: packages.installed_name(
            start.based_on(), node.roles, collection.ROOT, start.cluster.volumes_of(node).values()
        )
        for node in start.cluster.nodes
    }


def has(engine: Engine, image: str) -> bool:
    """Is the image there?"""
    return engine.image_labels(image) is not None


def play(start: Start, *arguments: str, names: Sequence[str] = PLAYBOOKS, phases: bool = True) -> playbooks.Run:
    """Run playbooks against the cluster; a whole run moves on to the phases ``deploy`` and ``gateway`` with theirs."""
    cluster, progress = start.cluster, start.progress

    def on_playbook(name: str) -> None:
        if name == "deploy.yml" and not arguments:
            progress.phase("deploy", "playbooks/deploy.yml: slurmrestd, and its verification on the REST host")
        elif name == "gateway.yml":
            progress.phase("gateway", "playbooks/gateway.yml: nginx with TLS")

    return playbooks.run(
        cluster.directory / "inventory" / "hosts.yml",
        names,
        cluster.directory / "logs" / "ansible.log",
        arguments=arguments,
        on_playbook=on_playbook if phases else progress.update,
        on_task=progress.update,
    )


def learn_version(engine: Engine, cluster: Cluster) -> None:
    """Take the version of Slurm from what was installed.

    Raises:
        CannotRunError: the suite has moved on to another series since its image was built.
    """
    found = engine.execute(cluster.controller.container, "slurmctld", "-V").strip()
    check_series(found, Version.parse(cluster.slurm_version).series, "the distribution has moved on to")
    cluster.slurm_version = str(Version.parse(found))
    cluster.save()
