"""The command line: ``slurmrest cluster …`` and, handed on to the engine, ``slurmrest verify …``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from slurmrest import cli as verification
from slurmrest.doctor.render import render_text
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.users import cli as users

from slurmrest_toolkit.clusters import cluster as clusters
from slurmrest_toolkit.clusters import doctor as doctors
from slurmrest_toolkit.clusters import rest, rotation, tokens
from slurmrest_toolkit.clusters.state import LAYOUTS, Cluster, choose, cluster_names, load, validate_name, write_private
from slurmrest_toolkit.images import archive
from slurmrest_toolkit.images.suites import DEFAULT_SERIES, SUITES
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130
DEFAULT_NAME = "default"
CAPABILITIES = ("SYS_ADMIN",)
DEFAULT_LIFESPAN = 1800

EPILOG = """\
exit codes:
  0    done
  1    it was tried and failed; the message says where
  2    it cannot run: bad arguments, or something is missing on this host
  130  interrupted
  shell passes on the exit code of what it ran.

A cluster is known under its name; where there is only one, --name can be left out.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="slurmrest",
        description="Throwaway Slurm clusters with a REST API, and proof that a slurmrestd works.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    cluster = commands.add_parser(
        "cluster",
        help="start and use throwaway clusters",
        description="Real Slurm clusters in containers, deployed by this project's playbooks.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    add_cluster_commands(cluster)
    verify = commands.add_parser(
        "verify",
        help="prove over HTTP that a slurmrestd works",
        description=verification.DESCRIPTION,
        epilog=verification.EPILOG,
        formatter_class=raw,
    )
    verification.add_arguments(verify)
    verify.set_defaults(run=lambda options, _progress: verification.run(options))
    users.add_commands(commands)
    add_doctor_command(commands)
    return parser


def add_doctor_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slurmrest doctor``."""
    doctor = commands.add_parser(
        "doctor",
        help="name the cause when a test cluster's slurmrestd does not work",
        description="Looks at every host of a test cluster, changes nothing, and names causes, most likely first. "
        "For hosts of your own: ansible-playbook playbooks/doctor.yml",
    )
    doctor.add_argument("--name", help="the cluster (default: the only one there is)")
    doctor.add_argument("--json", action="store_true", help="JSON on standard output")
    doctor.add_argument(
        "--request", metavar="LINE", help="explain a client's request, such as 'GET /slurm/v0.0.42/diag'"
    )
    doctor.add_argument("--user", default="", help="what that client sends as X-SLURM-USER-NAME (default: nothing)")
    doctor.add_argument("--token-file", metavar="FILE", default="", help="the token it sends (default: none)")
    doctor.add_argument("--evidence", metavar="FILE", help="keep what was seen as JSON; it holds no secrets")
    doctor.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace, progress: Progress) -> int:
    """Print what is wrong with a cluster; fails when something is."""
    request = doctors.ClientRequest(options.request, options.user, options.token_file) if options.request else None
    report = doctors.examine(choose(options.name), progress, client=request, evidence=options.evidence)
    print(json.dumps(report, indent=2) if options.json else render_text(report, colour=sys.stdout.isatty()).rstrip())
    return OK if report["healthy"] else FAILED


def add_cluster_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands of ``slurmrest cluster``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", help="the cluster (default: the only one there is)")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="JSON on standard output")

    kind = argparse.ArgumentParser(add_help=False)
    kind.add_argument(
        "--slurm",
        choices=tuple(SUITES),
        metavar="SERIES",
        help=f"Slurm release: {', '.join(SUITES)} (default: {DEFAULT_SERIES}, or what --image offers)",
    )
    kind.add_argument(
        "--layout",
        choices=LAYOUTS,
        default=LAYOUTS[0],
        help="single: everything on one node; split: controller, database, REST host and compute nodes apart",
    )
    kind.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="compute nodes of the split layout (default: 1)"
    )

    add_up(actions, [as_json, kind])

    listing = actions.add_parser("list", parents=[as_json], help="list clusters")
    listing.set_defaults(run=run_list)

    status = actions.add_parser("status", parents=[as_json], help="tell all about a cluster")
    status.add_argument("name", nargs="?", metavar="NAME", help="the cluster (default: the only one there is)")
    status.set_defaults(run=run_status)

    token = actions.add_parser("token", parents=[named], help="make a token")
    token.add_argument("--user", default=tokens.ADMINISTRATOR, help="whose (default: %(default)s)")
    token.add_argument("--lifespan", type=int, default=DEFAULT_LIFESPAN, metavar="SECONDS", help="default: %(default)s")
    token.add_argument("--output", metavar="FILE", help="write it there, readable by you alone, instead of printing it")
    token.set_defaults(run=run_token)

    curl = actions.add_parser(
        "curl", parents=[named], help="send a request", description="PATH: diag, /slurmdb/diag, /openapi/v3, …"
    )
    curl.add_argument("--user", default=tokens.ADMINISTRATOR, help="as whom (default: %(default)s)")
    curl.add_argument("-X", dest="method", metavar="METHOD", help="default: GET, or POST with -d")
    curl.add_argument("-d", dest="body", metavar="BODY", help="JSON, or @FILE, or @- for standard input")
    curl.add_argument("path", metavar="PATH")
    curl.set_defaults(run=run_curl)

    shell = actions.add_parser("shell", parents=[named], help="a shell or a command on a node")
    shell.add_argument("--user", default="root", help="as whom (default: %(default)s)")
    shell.add_argument("node", metavar="NODE")
    shell.add_argument("words", nargs="*", metavar="-- COMMAND", help="run with its arguments as they are, no shell")
    shell.set_defaults(run=run_shell)

    add_rotate_command(actions, [named, as_json])
    logs = actions.add_parser("logs", parents=[named], help="show what the daemons logged")
    logs.add_argument("node", nargs="?", metavar="NODE", help="default: all nodes")
    logs.add_argument("--unit", action="append", help=f"default: {', '.join(clusters.UNITS)}")
    logs.set_defaults(run=run_logs)

    add_image_commands(actions, kind)

    down = actions.add_parser("down", help="remove clusters")
    down.add_argument("names", nargs="*", metavar="NAME", help="default: the only one there is")
    down.add_argument("--all", action="store_true", help="all of them")
    down.set_defaults(run=run_down)


def add_image_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], kind: argparse.ArgumentParser
) -> None:
    """Add the commands for the images kept between clusters; ``kind`` has the options that choose a kind of cluster."""
    prune = actions.add_parser("prune", help="remove the images of converged nodes: the next up deploys anew")
    prune.add_argument("--all", action="store_true", help="base images and images with packages too")
    prune.set_defaults(run=run_prune)

    cache = actions.add_parser("cache", help="carry the images of converged nodes to another machine")
    directions = cache.add_subparsers(dest="direction", metavar="DIRECTION", required=True)
    save = directions.add_parser("save", parents=[kind], help="write what such a cluster starts from, without keys")
    save.add_argument("file", metavar="FILE")
    save.set_defaults(run=run_cache_save)
    load_images = directions.add_parser(
        "load",
        help="read it; up then starts from it, with the same clone. Trusted like code",
        description=f"Reads images of converged nodes, under this command's own names only. {archive.TRUST}",
    )
    load_images.add_argument("file", metavar="FILE")
    load_images.set_defaults(run=run_cache_load)


def run_prune(options: argparse.Namespace, progress: Progress) -> int:
    """Remove images that no container uses."""
    for name in clusters.prune(everything=options.all, progress=progress):
        progress.say(f"removed {name}")
    return OK


def run_cache_save(options: argparse.Namespace, progress: Progress) -> int:
    """Write warm images to a file."""
    target = Path(options.file).absolute()
    clusters.save_images(options.slurm or DEFAULT_SERIES, options.layout, options.nodes, target, progress)
    progress.say(f"{target}: {target.stat().st_size / 1e6:.0f} MB")
    return OK


def run_cache_load(options: argparse.Namespace, progress: Progress) -> int:
    """Read warm images from a file."""
    names = clusters.load_images(Path(options.file).absolute(), progress)
    progress.say(f"new: {', '.join(names)}" if names else "nothing new: all images were there")
    return OK


def add_rotate_command(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], parents: list[argparse.ArgumentParser]
) -> None:
    """Add ``slurmrest cluster rotate-key``."""
    rotate = actions.add_parser("rotate-key", parents=parents, help="give the cluster a new JWT key")
    rotate.add_argument("--yes", action="store_true", help="every token made before is refused afterwards: I want that")
    rotate.set_defaults(run=run_rotate_key)


def add_up(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], parents: list[argparse.ArgumentParser]
) -> None:
    """Add ``slurmrest cluster up``."""
    up = actions.add_parser("up", parents=parents, help="start a cluster and prove that it works")
    up.add_argument("--name", default=DEFAULT_NAME, help="name of the cluster (default: %(default)s)")
    up.add_argument("--engine", choices=("podman", "docker"), help="container engine (default: what works here)")
    up.add_argument("--image", metavar="BASE", help="start from an ordinary image, such as debian:12")
    up.add_argument(
        "--allow-stale-mirror", action="store_true", help="accept a package index past its Valid-Until date"
    )
    up.add_argument("--keep-on-failure", action="store_true", help="leave what was started for a look at it")
    up.add_argument(
        "--no-cache", action="store_true", help="deploy anew instead of starting from images of converged nodes"
    )
    up.add_argument("--bare", action="store_true", help="nodes and inventory only, without Slurm")
    up.add_argument(
        "--capability",
        action="append",
        default=[],
        metavar="NAME",
        choices=CAPABILITIES,
        help=f"give the containers a capability: {', '.join(CAPABILITIES)}, with which systemd makes mount namespaces",
    )
    up.set_defaults(run=run_up)


def run_up(options: argparse.Namespace, progress: Progress) -> int:
    """Start a cluster and print its summary, its description, or for a bare one its inventory."""
    request = clusters.Request(
        name=options.name,
        series=options.slurm,
        layout=options.layout,
        compute_nodes=options.nodes,
        engine=options.engine,
        image=options.image,
        bare=options.bare,
        allow_stale=options.allow_stale_mirror,
        keep_on_failure=options.keep_on_failure,
        cache=not options.no_cache,
        capabilities=tuple(options.capability),
    )
    cluster = clusters.up(request, progress)
    if options.json:
        print(json.dumps(clusters.describe(cluster), indent=2))
    elif cluster.bare:
        print(cluster.directory / "inventory" / "hosts.yml")
    else:
        print(summary(cluster))
    return OK


def summary(cluster: Cluster) -> str:
    """Return what a person wants to know about a running cluster."""
    lines = [f"Cluster {cluster.name}: Slurm {cluster.slurm_version}, {cluster.layout}", ""]
    width = max(len(node.name) for node in cluster.nodes)
    lines += [
        f"  {node.name:<{width}}  ssh 127.0.0.1:{node.ssh_port}  {' '.join(node.roles)}" for node in cluster.nodes
    ]
    # As the user called it, so that the lines work when pasted.
    command = os.environ.get("SLURMREST_COMMAND", "slurmrest")
    name = "" if cluster.name == DEFAULT_NAME and len(cluster_names()) == 1 else f" --name {cluster.name}"
    if not cluster.bare:
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in cluster.timings.items())
        lines += [
            "",
            f"  REST API      {cluster.base_url}",
            f"  in {cluster.rest_node.name:<10} 0.0.0.0:6820, unix:{inventory.SOCKET}",
            f"  API versions  {' '.join(cluster.api_versions)}",
            f"  users         {', '.join(tokens.USERS)}",
            f"  seconds       {phases}; {sum(cluster.timings.values()):.1f} in all",
            "",
            "  ask it        " + rest.example(cluster),
            f"  or            {command} cluster curl{name} diag",
            f"  a token       {command} cluster token{name} --user {inventory.ORDINARY_USER}",
        ]
    lines += [
        f"  a shell       {command} cluster shell{name} {cluster.controller.name}",
        f"  remove it     {command} cluster down {cluster.name}",
    ]
    return "\n".join(lines)


def run_list(options: argparse.Namespace, progress: Progress) -> int:
    """List the clusters of this user."""
    rows = []
    for name in cluster_names():
        cluster = load(name)
        if cluster is None or not cluster.ready:
            rows.append({"name": name, "state": "not finished"})
            continue
        running = clusters.refresh(cluster, progress)
        state = "running" if all(running.values()) else f"{sum(running.values())} of {len(running)} nodes running"
        rows.append(
            {
                "name": name,
                "state": state,
                "slurm_version": cluster.slurm_version,
                "layout": cluster.layout,
                "base_url": "" if cluster.bare else cluster.base_url,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        progress.say("there are no clusters; start one with: slurmrest cluster up")
    else:
        columns = ("name", "slurm_version", "layout", "state", "base_url")
        table = [
            ("NAME", "SLURM", "LAYOUT", "STATE", "REST API"),
            *[[row.get(key, "") for key in columns] for row in rows],
        ]
        widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
        for row in table:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return OK


def run_status(options: argparse.Namespace, progress: Progress) -> int:
    """Tell about one cluster; fails when a node is not running."""
    cluster = choose(options.name)
    running = clusters.refresh(cluster, progress)
    if options.json:
        print(json.dumps(clusters.describe(cluster) | {"running": running}, indent=2))
    else:
        print(summary(cluster))
    stopped = [name for name, up in running.items() if not up]
    if stopped:
        progress.say(f"not running: {', '.join(stopped)}; start anew with: slurmrest cluster up --name {cluster.name}")
        return FAILED
    return OK


def run_token(options: argparse.Namespace, progress: Progress) -> int:
    """Make a token and print it, or write it to a file that only its owner reads."""
    cluster = choose(options.name)
    token = tokens.mint(clusters.engine_of(cluster, progress), cluster, options.user, options.lifespan)
    if options.output:
        write_private(Path(options.output).absolute(), f"{token.reveal()}\n")
    else:
        print(token.reveal())
    return OK


def run_curl(options: argparse.Namespace, progress: Progress) -> int:
    """Send a request with the base URL, version and token filled in."""
    cluster = choose(options.name)
    engine = clusters.engine_of(cluster, progress)
    return rest.curl(engine, cluster, options.path, user=options.user, method=options.method, body=options.body)


def run_shell(options: argparse.Namespace, _progress: Progress) -> NoReturn:
    """Become ssh: its exit code is that of the command."""
    cluster = choose(options.name)
    command = nodes.ssh_command(cluster, cluster.node(options.node), user=options.user)
    if sys.stdin.isatty() and sys.stdout.isatty():
        command.insert(1, "-t")
    words = [shlex.join(options.words)] if options.words else []
    os.execvp(command[0], [*command, *words])  # noqa: S606 - arguments are a list: there is no shell on this side


def run_rotate_key(options: argparse.Namespace, progress: Progress) -> int:
    """Replace the JWT key of a cluster and tell for how long requests failed."""
    cluster = choose(options.name)
    done = rotation.rotate(cluster, progress, confirmed=options.yes)
    print(json.dumps(done, indent=2) if options.json else rotation.render(cluster, done))
    return OK


def run_logs(options: argparse.Namespace, progress: Progress) -> int:
    """Show the journal of Slurm's units, node by node."""
    cluster = choose(options.name)
    engine = clusters.engine_of(cluster, progress)
    for node in [cluster.node(options.node)] if options.node else cluster.nodes:
        if len(cluster.nodes) > 1 and not options.node:
            print(f"==> {node.name} <==")
        print(clusters.journal(engine, node, options.unit or clusters.UNITS), end="")
    return OK


def run_down(options: argparse.Namespace, progress: Progress) -> int:
    """Remove clusters."""
    if options.all and options.names:
        raise CannotRunError("--all and names exclude each other.")
    if options.all:
        clusters.down(cluster_names(), progress)
    elif options.names:
        clusters.down([validate_name(name) for name in options.names], progress)
    else:
        names = cluster_names()
        if len(names) != 1:
            raise CannotRunError(f"Which one? There: {', '.join(names) or 'none'}.", "Name it, or use --all.")
        clusters.down(names, progress)
    return OK


def interrupted(_signal: int, _frame: object) -> NoReturn:
    """Turn a request to end into the exception that cleans up on the way out, which only another Ctrl-C cuts short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line. What a shell on a node is to run begins after ``--``, which argparse only half knows."""
    words: Sequence[str] = ()
    if list(arguments[:2]) == ["cluster", "shell"] and "--" in arguments:
        dashes = arguments.index("--")
        arguments, words = arguments[:dashes], arguments[dashes + 1 :]
    options = build_parser().parse_args(arguments)
    if words:
        options.words += words
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:
        raise SystemExit(verification.refused(sys.argv[1:] if argv is None else argv, end)) from None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    progress = Progress()
    try:
        return users.run(options) if "face" in options else int(options.run(options, progress))
    except KeyboardInterrupt:
        progress.fail("interrupted")
        return INTERRUPTED
    except (CannotRunError, InputError) as error:
        progress.stop()
        progress.say(str(error))
        return CANNOT_RUN
    except SlurmrestError as error:
        progress.fail(str(error))
        return FAILED
