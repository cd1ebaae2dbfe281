"""What else of a host an upgrade would touch, besides its slurmrestd and the daemons that the inventory names."""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Consequence


def beside(case: Case) -> Iterator[Consequence]:
    """Judge other instances, daemons that no group names, and files that other daemons read."""
    yield from _others(case)
    yield from _unlisted(case)
    yield from _shared_environment(case)


def _unlisted(case: Case) -> Iterator[Consequence]:
    look = case.own
    for daemon in look["candidates"]:
        if daemon in look["running"] and daemon not in look["components"]:
            yield Consequence(
                "daemon-unlisted",
                f"{daemon} runs on {case.host}, which is not in the group {daemon} of the inventory",
                "its package would be upgraded with slurmrestd's, and nobody has judged what that means for it, asked "
                "for a backup, or would restart it",
                f"name {case.host} in the group {daemon}",
                blocking=True,
            )


def _shared_environment(case: Case) -> Iterator[Consequence]:
    file = case.facts["environment_file"]
    readers = case.own["readers"].get(file["path"], ())
    if file["variables"] and not file["ours"] and readers:
        yield Consequence(
            "environment-shared",
            f"{file['path']} on {case.host} is also read by {', '.join(readers)}",
            "this run would put its own text there, and their next start would lack what it says",
            "give slurmrestd a file of its own: EnvironmentFile= and the path of another one in a drop-in of "
            "slurmrestd.service, after an empty EnvironmentFile=",
            blocking=True,
        )


def _others(case: Case) -> Iterator[Consequence]:
    """Other instances of slurmrestd run from the same binary."""
    others = case.own["others"]
    if not others or (case.installed and not any(others.values())):
        return
    names = ", ".join(others if not case.installed else [name for name, outdated in others.items() if outdated])
    yield Consequence(
        "other-instances",
        f"{names} on {case.host} runs from the same binary, for a cluster that this inventory does not know"
        if not case.installed
        else f"{names} on {case.host} still runs from the binary that was replaced",
        f"its next start is on Slurm {case.target}, whether the slurmctld of its cluster serves that or not",
        "upgrade the controllers of these clusters first, then accept it: slurmrest_upgrade_accept: [other-instances]"
        if not case.installed
        else "run this playbook with the inventory of that cluster, too",
        blocking=not case.installed,
    )
