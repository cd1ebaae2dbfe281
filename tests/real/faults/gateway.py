"""Faults of a gateway with logins, on the host of everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tests.real.faults.fault import Fault

if TYPE_CHECKING:
    from tests.real.clusters import LiveCluster

ON = "slurmrest_gateway"
SOCKET = "/run/slurmrestd/slurmrestd.socket"
VARIABLES: dict[str, Any] = {
    "slurmrest_gateway_identity": "pam",
    "slurmrestd_service_listen": ["127.0.0.1:6820", f"unix:{SOCKET}"],
    "slurmrestd_service_socket_group": "www-data",
    "slurmrest_gateway_upstreams": [f"unix:{SOCKET}"],
}
"""With logins, and so that nginx reaches slurmrestd over a socket and needs its group."""

_CERTIFIED = """
certified() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$1" -subj /CN=gateway \
    -addext "subjectAltName=$2" -keyout /etc/slurmrest-gateway/key.pem -out /etc/slurmrest-gateway/certificate.pem \
    2>/dev/null; }
SITE=/etc/nginx/conf.d/zz-slurmrest-gateway.conf
"""


def _fault(name: str, text: str, expect: str, script: str, **more: Any) -> Fault:
    restart = more.pop("restart", ("slurmrest-identity.socket", "slurmrest-identity", "nginx"))
    return Fault(name, text, expect, _CERTIFIED + script, on=ON, layout="gateway", restart=restart, **more)


GATEWAY = (
    _fault("gateway-stopped", "Gateway: nginx is stopped", "gateway-stopped", "systemctl stop nginx", bounded=True),
    _fault(
        "gateway-broken",
        "Gateway: nginx ended over a line of the site's",
        "gateway-stopped",
        "echo 'no such directive;' > /etc/nginx/conf.d/site.conf; systemctl stop nginx; systemctl start nginx || true",
    ),
    _fault(
        "gateway-not-loaded",
        "Gateway: its file was changed and not loaded",
        "gateway-not-loaded",
        "sed -i 's/\\(X-Slurmrest-Gateway \\)[0-9a-f]\\{12\\}/\\1000000000000/' $SITE",
    ),
    _fault(
        "gateway-certificate-near",
        "Gateway: its certificate ends in three days",
        "gateway-certificate",
        "certified 3 DNS:localhost,IP:127.0.0.1; systemctl reload nginx",
        bounded=True,
    ),
    _fault(
        "gateway-certificate-name",
        "Gateway: its certificate is of another name",
        "gateway-certificate",
        "certified 90 DNS:other.example.org; systemctl reload nginx",
    ),
    _fault(
        "gateway-certificate-former",
        "Gateway: its certificate was renewed, and nginx was not reloaded",
        "gateway-certificate-former",
        "certified 90 DNS:localhost,IP:127.0.0.1",
        bounded=True,
    ),
    _fault(
        "gateway-upstream",
        "Gateway: it asks for slurmrestd where nothing listens",
        "gateway-upstream",
        f"sed -i 's#server unix:{SOCKET} #server 127.0.0.1:6999 #' $SITE; systemctl reload nginx",
    ),
    _fault(
        "gateway-socket-closed",
        "Gateway: nginx' account may not use slurmrestd's socket",
        "gateway-socket-closed",
        "chgrp root /run/slurmrestd; chmod 2750 /run/slurmrestd",
        undo="chgrp www-data /run/slurmrestd",
    ),
    _fault(
        "gateway-cache-missing",
        "Gateway: the directory of kept answers is gone",
        "gateway-directories",
        "rm -rf /run/slurmrest-gateway/cache",
        undo="systemd-tmpfiles --create /etc/tmpfiles.d/slurmrest-gateway.conf",
    ),
    _fault(
        "gateway-cache-open",
        "Gateway: others may read the kept answers",
        "gateway-directories",
        "chmod 0755 /run/slurmrest-gateway/cache",
        undo="chmod 0700 /run/slurmrest-gateway/cache",
    ),
    _fault(
        "gateway-descriptors",
        "Gateway: nginx may open fewer files than it may have connections",
        "gateway-descriptors",
        "printf '[Service]\\nLimitNOFILE=256\\n' > /etc/systemd/system/nginx.service.d/90-site.conf\nagain nginx",
    ),
    _fault(
        "gateway-identity-stopped",
        "Gateway: the identity service is stopped",
        "gateway-identity",
        "systemctl stop slurmrest-identity.service slurmrest-identity.socket",
    ),
    _fault(
        "gateway-key-unknown",
        "Gateway: it signs with a key that is not in the cluster's set",
        "gateway-key-refused",
        "cd /var/lib/slurmrest-identity; openssl genrsa -out new.pem 3072 2>/dev/null; chmod 0600 new.pem\n"
        "chown slurmrest-identity: new.pem; mv new.pem key.pem",
        restart=("slurmdbd", "slurmctld", "slurmrest-identity", "nginx"),
        bounded=True,
    ),
    _fault(
        "gateway-key-withdrawn",
        "Gateway: the cluster's set has lost its key",
        "gateway-key-refused",
        'openssl genrsa -out /root/other.pem 2048 2>/dev/null; python3 - <<"END"\n'
        "import base64, json, subprocess\n"
        "words = ['openssl', 'rsa', '-in', '/root/other.pem', '-noout', '-modulus']\n"
        "modulus = bytes.fromhex(subprocess.run(words, capture_output=True, text=True).stdout.strip().split('=')[1])\n"
        "text = base64.urlsafe_b64encode(modulus).rstrip(b'=').decode()\n"
        "key = {'kty': 'RSA', 'kid': 'other', 'alg': 'RS256', 'use': 'sig', 'n': text, 'e': 'AQAB'}\n"
        "open('/var/lib/slurmrest-jwks/jwks.json', 'w').write(json.dumps({'keys': [key]}))\n"
        "END\n"
        "again slurmdbd slurmctld",
        restart=("slurmdbd", "slurmctld"),
    ),
    _fault(
        "gateway-refusals",
        "Gateway: a client asks on and on with a session that is none",
        "gateway-refuses-on-and-on",
        "for number in $(seq 40); do\n"
        "  curl -sk -o /dev/null -H 'Authorization: Bearer none' https://localhost/slurm/v0.0.1/diag; done",
        undo=": > /var/log/nginx/slurmrest-gateway.access.log",
        restart=(),
    ),
)


def over_a_socket(live: LiveCluster) -> None:
    """Have nginx ask slurmrestd over a UNIX socket, as a site would: by the inventory."""
    inventory = live.inventory()
    inventory["all"]["vars"].update(VARIABLES)
    (live.directory / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    for playbook in ("deploy.yml", "gateway.yml"):
        live.playbook(playbook).good()
