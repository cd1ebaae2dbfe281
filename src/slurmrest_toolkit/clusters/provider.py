"""The test provider of a gateway's logins (``--identity oidc``): run in its node, gone through as a browser does."""

from __future__ import annotations

import html
import http.cookiejar
import json
import re
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from slurmrest_toolkit.clusters.logins import PROVIDED, password_file
from slurmrest_toolkit.containers.engine import PROVIDER_PORT
from slurmrest_toolkit.nodes.inventory import GATEWAY_DIRECTORY, PROVIDER_CLIENT, PROVIDER_ISSUER
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

SOURCE = Path(__file__).parents[1] / "nodes" / "provider.py"
NAME = "slurmrest-test-provider"
_START = f"""
set -eu
umask 077
mkdir -p "$(dirname {PROVIDED})"
touch {PROVIDED}
cat > /etc/systemd/system/{NAME}.service <<'END'
[Unit]
Description=Test provider of OpenID Connect, of a test cluster alone
[Service]
ExecStart=/usr/bin/python3 -I /usr/local/lib/{NAME}.py /etc/{NAME}.json
Restart=on-failure
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet {NAME}
systemctl restart {NAME}
for attempt in $(seq 100); do
    curl -sf -o /dev/null --cacert {GATEWAY_DIRECTORY}/authority.pem {PROVIDER_ISSUER}/jwks && exit 0
    sleep 0.2
done
systemctl status {NAME} >&2
exit 1
"""
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_PATIENCE = 30.0


def run(engine: Engine, cluster: Cluster) -> None:
    """Have the provider in the gateway's node, and wait until it answers.

    Raises:
        EngineError: it does not, with what systemd says of it.
    """
    assert cluster.gateway_node is not None
    node = cluster.gateway_node.container
    settings = {
        "issuer": PROVIDER_ISSUER,
        "public": cluster.provider_url,
        "port": PROVIDER_PORT,
        "client_id": PROVIDER_CLIENT,
        "redirect": f"{cluster.gateway_url}/auth/callback",
        "certificate": f"{GATEWAY_DIRECTORY}/certificate.pem",
        "key": f"{GATEWAY_DIRECTORY}/key.pem",
        "users": PROVIDED,
    }
    for path, text in (
        (f"/usr/local/lib/{NAME}.py", SOURCE.read_text(encoding="utf-8")),
        (f"/etc/{NAME}.json", json.dumps(settings)),
    ):
        engine.execute(node, "sh", "-c", 'cat >"$0"', path, text=text)
    engine.execute(node, "sh", "-c", _START)


def log_in(cluster: Cluster, user: str, ca_file: Path) -> tuple[dict[str, Any], str]:
    """Log in at the gateway as a browser does that trusts one authority.

    Returns:
        What /auth/session says, and the cookie of the session.

    Raises:
        ClusterFailedError: the provider or the gateway refuses that.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(jar)
    )
    password = password_file(cluster, user).read_text(encoding="utf-8").strip()
    try:
        with browser.open(f"{cluster.gateway_url}/auth/login?return=/auth/session", timeout=_PATIENCE) as answer:
            page = answer.read().decode()
        kept = {name: html.unescape(value) for name, value in _HIDDEN.findall(page)}
        form = urlencode({**kept, "user": user, "password": password}).encode()
        with browser.open(f"{cluster.provider_url}/authorize", form, timeout=_PATIENCE) as answer:
            shown: dict[str, Any] = json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise ClusterFailedError(f"{user} cannot log in at {cluster.gateway_url}: {error}") from error
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar if cookie.name == "__Host-slurmrest")
    return shown, cookies
