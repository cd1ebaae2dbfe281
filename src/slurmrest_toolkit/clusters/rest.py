"""Talk to a cluster's REST API with curl, the token never on a command line."""

from __future__ import annotations

import itertools
import shlex
import subprocess
from typing import TYPE_CHECKING

from slurmrest.rest.answers import is_good
from slurmrest.rest.client import ClientError, Target, request
from slurmrest.rest.session import payload_of
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.client import FAMILIES, complete_path
from slurmrest_toolkit.clusters import liveness, tokens
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.waiting import wait_until

if TYPE_CHECKING:
    import ssl

    from slurmrest.rest.client import Credentials

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

READY_SECONDS = 60.0
PAUSE_SECONDS = 0.03


def wait_until_served(engine: Engine, cluster: Cluster, credentials: Credentials) -> None:
    """Wait until each REST host serves slurmctld's and slurmdbd's statistics: a family's ``diag`` answers with 200.

    Raises:
        ClusterFailedError: one of them is not, and for a minute nothing got on; with the last answer.
    """
    version = lookup(cluster.slurm_version).release.newest_api
    for url, family in itertools.product(cluster.base_urls, FAMILIES):
        wait_for(engine, cluster, f"{url}/{family}/{version}/diag", credentials)


def wait_for(
    engine: Engine,
    cluster: Cluster,
    address: str,
    credentials: Credentials,
    context: ssl.SSLContext | None = None,
) -> None:
    """Wait until a path has a good answer.

    Args:
        engine: the container engine.
        cluster: whose nodes may be at work yet.
        address: the path, with where it is served.
        credentials: as whom.
        context: whom to trust over TLS.

    Raises:
        ClusterFailedError: it has none, and for a minute nothing got on; with the last answer.
    """
    url, slash, rest = address.partition("/slurm")
    target, path = Target.parse(url), slash + rest

    def missing() -> str:
        try:
            response = request(target, "GET", path, headers=credentials.headers(), context=context)
        except ClientError as error:
            return str(error)
        return "" if is_good(response.status, payload_of(response)) else f"{response.status} {response.text}"

    wait_until(
        missing,
        f"{address} is not served",
        PAUSE_SECONDS,
        quiet=READY_SECONDS,
        longest=cluster.patience,
        busy=lambda: liveness.booting(engine, cluster),
    )


def curl_argv(cluster: Cluster, path: str, *, user: str, method: str | None, body: str | None) -> list[str]:
    """Return curl's command line for a request as a user; the token is in the header file that it names.

    A ~/.curlrc changes none of it, which ``--disable`` says as the first word alone; a path is sent as it is.
    """
    arguments = ["curl", "--disable", "--globoff", "--silent", "--show-error", "--noproxy", "*"]
    arguments += ["-H", f"@{tokens.header_file(cluster, user)}"]
    if method is not None:
        arguments += ["-X", method]
    if body is not None:
        arguments += ["-H", "Content-Type: application/json", "--data-binary", body]
    return [*arguments, f"{cluster.base_url}{path}"]


def example(cluster: Cluster) -> str:
    """Return a curl line for people to paste."""
    path = complete_path("diag", cluster.api_versions[-1])
    return f"curl -s -H @{shlex.quote(str(tokens.header_file(cluster, tokens.ADMINISTRATOR)))} {cluster.base_url}{path}"


def curl(engine: Engine, cluster: Cluster, path: str, *, user: str, method: str | None, body: str | None) -> int:
    """Send a request and show the answer; a token that is about to expire is renewed first.

    Returns:
        0 when the answer's status was below 400, otherwise 1.

    Raises:
        InputError: the path or the user is refused.
        CannotRunError: the cluster has no REST API.
    """
    if not cluster.api_versions:
        raise CannotRunError(f"The cluster {cluster.name} has no REST API (it is bare, or was not finished).")
    completed = complete_path(path, cluster.api_versions[-1])
    if not tokens.usable(cluster, user):
        tokens.renew(engine, cluster, user)
    argv = curl_argv(cluster, completed, user=user, method=method, body=body)
    return 1 if subprocess.run([*argv, "--fail-with-body"], check=False).returncode else 0
