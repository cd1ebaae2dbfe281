"""The gateway of a test cluster: its certificate is made on its own node, whose authority clients then trust."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from slurmrest.errors import SlurmrestError
from slurmrest.rest.client import Target
from slurmrest.rest.tls import Tls
from slurmrest.slurm.releases import lookup
from slurmrest.verify.login import credentials_of

from slurmrest_toolkit.client import complete_path
from slurmrest_toolkit.clusters import logins, provider, rest, tokens, users
from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.images.warm import CERTIFY
from slurmrest_toolkit.nodes.inventory import GATEWAY_DIRECTORY, ORDINARY_USER
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from slurmrest.rest.client import Credentials

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

PROGRAM = "/usr/local/sbin/slurmrest-certify"
"""Where a node has it: one that starts from an image makes itself a new certificate with it."""


def ca_file(cluster: Cluster) -> Path:
    """Where the authority of the gateway's certificate is kept here, for ``curl --cacert``."""
    return cluster.directory / "gateway-ca.pem"


def certify(engine: Engine, cluster: Cluster) -> None:
    """Have the gateway's node make its certificate, before the playbook that needs it.

    Raises:
        EngineError: it cannot.
    """
    assert cluster.gateway_node is not None
    script = CERTIFY.read_text(encoding="utf-8")
    words = ("sh", "-c", 'cat >"$0" && chmod 0755 "$0" && "$0"', PROGRAM)
    engine.execute(cluster.gateway_node.container, *words, text=script)


def keep_authority(engine: Engine, cluster: Cluster) -> None:
    """Fetch the authority that signed the certificate of the gateway's node."""
    assert cluster.gateway_node is not None
    authority = engine.execute(cluster.gateway_node.container, "cat", f"{GATEWAY_DIRECTORY}/authority.pem")
    write_private(ca_file(cluster), authority)


def wait_until_served(engine: Engine, cluster: Cluster, credentials: Credentials) -> None:
    """Have the authority, and wait until slurmctld's statistics come over TLS from there.

    Raises:
        ClusterFailedError: they do not, and for a minute nothing got on; with the last answer.
    """
    keep_authority(engine, cluster)
    context = Tls(cacert=str(ca_file(cluster))).context()
    path = f"/slurm/{lookup(cluster.slurm_version).release.newest_api}/diag"
    rest.wait_for(engine, cluster, f"{cluster.gateway_url}{path}", credentials, context)


def wait_until_logged_in(cluster: Cluster) -> None:
    """Log in as the ordinary user, as clients do.

    Raises:
        ClusterFailedError: the gateway refuses that.
    """
    if cluster.identity == "oidc":
        provider.log_in(cluster, ORDINARY_USER, ca_file(cluster))
        return
    context = Tls(cacert=str(ca_file(cluster))).context()
    file = str(logins.password_file(cluster, ORDINARY_USER))
    try:
        credentials_of(Target.parse(str(cluster.gateway_url)), ORDINARY_USER, file, context)
    except SlurmrestError as error:
        raise ClusterFailedError(str(error)) from None


def describe(cluster: Cluster) -> dict[str, Any] | None:
    """Describe the gateway for machines, without any secret; None where there is none.

    Each of ``users`` has the file of what shows who it is: a ``token``, or a ``password`` to log in with, which a test
    provider asks for at ``provider``.
    """
    if cluster.gateway_node is None:
        return None
    names = users.known(cluster)
    if cluster.identity == "token":
        known = [{"name": name, "token": str(tokens.token_file(cluster, name))} for name in names]
    else:
        files = {name: logins.password_file(cluster, name) for name in names if name != tokens.ADMINISTRATOR}
        known = [{"name": name, "password": str(path)} for name, path in files.items()]
    return {
        "url": cluster.gateway_url,
        "ca_file": str(ca_file(cluster)),
        "identity": cluster.identity,
        "provider": cluster.provider_url,
        "users": known,
    }


def example(cluster: Cluster) -> str:
    """Return a line through TLS for people to paste: a request or a login with curl, or a verification."""
    trusted = f"--cacert {shlex.quote(str(ca_file(cluster)))}"
    if cluster.identity == "oidc":
        return _provided(cluster, trusted)
    if cluster.identity != "token":
        file = _quoted(cluster)
        command = os.environ.get("SLURMREST_COMMAND", "slurmrest")
        how = f"--login {ORDINARY_USER} --password-file {file}"
        return f"{command} verify --gateway {cluster.gateway_url} {trusted} {how}"
    header, path = tokens.header_file(cluster, ORDINARY_USER), complete_path("diag", cluster.api_versions[-1])
    return f"curl -s {trusted} -H @{shlex.quote(str(header))} {cluster.gateway_url}{path}"


def _provided(cluster: Cluster, trusted: str) -> str:
    """A login at the provider: where browsers begin, and with curl, which keeps the session in a file of cookies."""
    begin, jar = f"{cluster.gateway_url}/auth/login", shlex.quote(str(cluster.directory / "cookies"))
    curl, kept = f"curl -sL {trusted} -c {jar}", f"--data-urlencode password@{_quoted(cluster)}"
    form = f"$({curl} -o /dev/null -w '%{{url_effective}}' '{begin}?return=/auth/session')"
    return (
        f"{begin} in a browser, with the password in {_quoted(cluster)}\n"
        f'  or with curl  {curl} -b {jar} --data-urlencode user={ORDINARY_USER} {kept} "{form}"'
    )


def _quoted(cluster: Cluster) -> str:
    return shlex.quote(str(logins.password_file(cluster, ORDINARY_USER)))
