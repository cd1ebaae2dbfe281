"""Throwaway Slurm clusters with a REST API, in containers, deployed by this project's own playbooks.

    import slurmrest_toolkit

    with slurmrest_toolkit.start() as cluster:
        print(cluster.url, cluster.api_versions[-1], cluster.users["alice"].headers())

What it needs besides Python 3.11 comes with the extra ``cluster``. Errors are :class:`SlurmrestError`, whose words say
what is wrong, what is allowed and what helps.
"""

from slurmrest.errors import InputError, SlurmrestError

from slurmrest_toolkit.api import RunningCluster, User, attach, start
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError

__all__ = [
    "CannotRunError",
    "ClusterFailedError",
    "InputError",
    "RunningCluster",
    "SlurmrestError",
    "User",
    "attach",
    "start",
]
