"""What is to be said of a release that the release table does not have."""

from __future__ import annotations


def unlisted(version: object, first: str, last: str, treated: str) -> str:
    """The warning.

    Args:
        version: the release.
        first: the oldest series of the table.
        last: its newest.
        treated: the series that stands for the release.
    """
    return (
        f"Slurm {version} is not in the release table ({first} to {last}): treated like {treated}. Check the result, "
        "and look for a newer slurmrest-toolkit."
    )
