"""Make of a test cluster what a site has: its own files, its own slurmrestd, an inventory that says nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.real.clusters import LiveCluster

OURS = ("slurm_conf_", "slurmrestd_service_", "slurm_cluster_", "slurmrest_")


def inventory(
    cluster: LiveCluster, directory: Path, groups: Mapping[str, list[str]] | None = None, **variables: Any
) -> Path:
    """Write the cluster's inventory without what it says of the roles, with other groups where given."""
    data = cluster.inventory()
    kept = {name: value for name, value in data["all"]["vars"].items() if not name.startswith(OURS)}
    data["all"]["vars"] = {**kept, **variables}
    for group, hosts in (groups or {}).items():
        data["all"]["children"][group] = {"hosts": {host: {} for host in hosts}}
    path = directory / "hosts.yml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


OWN_FILES = r"""
set -e
cd /etc/slurm
for file in slurm.conf slurmdbd.conf; do
    if [ -e $file ]; then sed -i -e '/^#/d' -e '/^AuthAlt/d' $file; fi
done
rm -rf /var/lib/slurm/jwt
for unit in slurmdbd slurmctld slurmd; do
    if systemctl is-enabled --quiet $unit 2>/dev/null; then systemctl restart $unit; fi
done
"""
"""Files that nobody's tool wrote, in a cluster that has never heard of JWT."""

NO_REST = r"""
set -e
systemctl stop slurmrestd
rm -rf /etc/systemd/system/slurmrestd.service.d /etc/default/slurmrestd /etc/tmpfiles.d/slurmrest.conf
userdel slurmrestd
export DEBIAN_FRONTEND=noninteractive
apt-get -qq remove -y slurmrestd > /dev/null
systemctl daemon-reload
"""
"""A host that has never had slurmrestd."""

BY_HAND = r"""
set -e
systemctl stop slurmrestd
rm -rf /etc/systemd/system/slurmrestd.service.d /etc/default/slurmrestd
if getent passwd slurmrestd > /dev/null; then userdel slurmrestd; fi
getent passwd rest > /dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin rest
cat > /etc/systemd/system/slurmrestd.service <<'END'
# REST for the portal (J. Doe, 2021)
[Unit]
Description=our slurmrestd
After=network-online.target
[Service]
User=rest
Group=rest
RuntimeDirectory=restapi
Environment=SLURM_JWT=daemon
EnvironmentFile=-/etc/default/slurmrestd
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS unix:/run/restapi/api.socket
[Install]
WantedBy=multi-user.target
END
printf 'SLURMRESTD_OPTIONS="-t 12 -v -v"\nSLURMRESTD_LISTEN=0.0.0.0:6820\nTZ=UTC\n' > /etc/default/slurmrestd
systemctl daemon-reload
systemctl enable --quiet slurmrestd
systemctl restart slurmrestd
"""
"""A slurmrestd that somebody set up."""
