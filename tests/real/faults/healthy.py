"""Variants of a cluster that are sound: nothing may be found."""

from __future__ import annotations

from slurmrest.slurm.releases import lookup

from tests.real.faults.fault import ALL, Client, Fault

PLAIN = "openapi/slurmctld"
"""What a release serves without accounting that needs not be told so where there is none."""


def _without_accounting(release: str) -> str:
    """What a site states that has no slurmdbd: without telling, some releases load the plugin for it."""
    needed = lookup(release).release.openapi_without_accounting
    told = f"""echo 'SLURMRESTD_OPTIONS="-s {needed}"' >> $DEFAULTS\n""" if needed else ""
    return f"sed -i '/^AccountingStorage/d' $CONF\n{told}again slurmctld slurmrestd"


HEALTHY = (
    Fault(
        "node-powering-up",
        "A cloud node is powering up",
        "",
        "printf '%s\\n' ResumeProgram=/bin/true SuspendProgram=/bin/true SuspendTime=600 ResumeTimeout=600 "
        "'NodeName=cloud1 CPUs=1 State=CLOUD' >> $CONF; again slurmctld\n"
        "for i in $(seq 300); do scontrol update nodename=cloud1 state=power_up 2>/dev/null && break; sleep 0.1; done\n"
        "scontrol show node cloud1 | grep -E 'POWER(ED|ING)?_UP'",
        on="slurmctld",
        restart=("slurmctld",),
        bounded=True,
    ),
    Fault(
        "node-dynamic",
        "A dynamic node, which slurm.conf does not have",
        "",
        "echo MaxNodeCount=16 >> $CONF; again slurmctld\n"
        "for i in $(seq 300); do scontrol create nodename=dynamic1 State=CLOUD 2>/dev/null && break; sleep 0.1; done\n"
        "scontrol show node dynamic1 | grep -q NodeName=dynamic1",
        on="slurmctld",
        restart=("slurmctld",),
        undo="scontrol delete nodename=dynamic1",
    ),
    Fault(
        "user-in-capitals",
        "A user whose name has capitals",
        "",
        "useradd --badname --uid 2078 --no-create-home Carla\n"
        "sacctmgr -iQ add account capitals; sacctmgr -iQ add user Carla account=capitals",
        on="slurmctld",
        restart=(),
        undo="sacctmgr -iQ delete user carla; sacctmgr -iQ delete account capitals",
        client=Client("GET /slurm/{api}/jobs", user="Carla"),
    ),
    Fault(
        "own-configuration",
        "slurmrestd has a configuration of its own (-f), which includes the cluster's",
        "",
        "printf 'include %s\\nAuthType=auth/jwt\\n' $CONF > /etc/slurm/slurmrestd.conf\n"
        "sed -i 's# -a rest_auth/jwt# -f /etc/slurm/slurmrestd.conf -a rest_auth/jwt#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "names-in-capitals",
        "A node, a partition, an account and a user whose names have capitals",
        "",
        "echo 'NodeName=Big-A CPUs=1 State=CLOUD' >> $CONF; echo 'PartitionName=Large Nodes=Big-A' >> $CONF\n"
        "again slurmctld; useradd --badname --uid 2079 --no-create-home Dora\n"
        "for i in $(seq 300); do sacctmgr -iQ add account Physics 2>/dev/null && break; sleep 0.1; done\n"
        "sacctmgr -iQ add user Dora account=Physics; scontrol show partition Large | grep -q Big-A",
        on="slurmctld",
        restart=("slurmctld",),
        undo="sacctmgr -iQ delete user dora; sacctmgr -iQ delete account physics",
        client=Client("GET /slurm/{api}/partition/Large", user="Dora"),
    ),
    Fault(
        "configless",
        "A configless REST host: slurm.conf is only where sackd or slurmd puts what it fetches",
        "",
        "mkdir -p /run/slurm/conf; mv $CONF /run/slurm/conf/slurm.conf\n"
        "sed -i 's# -a rest_auth/jwt# -f /run/slurm/conf/slurm.conf -a rest_auth/jwt#' $DROPIN\n"
        "printf '[Unit]\\nConditionPathExists=\\nConditionPathExists=/run/slurm/conf/slurm.conf\\n' >> $DROPIN\n"
        "again slurmrestd",
        undo="rm -rf /run/slurm/conf",
        layout="split",
    ),
    Fault(
        "jwks-alone",
        "The daemons take tokens of issuers only: jwks= and no key, so that they make none",
        "",
        "n=$(head -c 256 /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d =)\n"
        'printf \'{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"one","n":"%s","e":"AQAB"}]}\' "$n" '
        "> /etc/slurm/jwks.json\n"
        "chown slurm: /etc/slurm/jwks.json; chmod 0600 /etc/slurm/jwks.json\n"
        "sed -i 's#^AuthAltParameters=.*#AuthAltParameters=jwks=/etc/slurm/jwks.json#' $CONF $DBD\n"
        "again slurmdbd slurmctld",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld"),
    ),
    Fault(
        "several-rest-hosts",
        "Two REST hosts",
        "",
        layout="several",
    ),
    *(
        Fault(
            "rest-without-accounting",
            "A cluster with accounting, and slurmrestd does not serve it",
            "",
            f"""echo 'SLURMRESTD_OPTIONS="-s {lookup(release).release.openapi_without_accounting or PLAIN}"' """
            ">> $DEFAULTS; again slurmrestd",
            releases=(release,),
        )
        for release in ALL
    ),
    *(
        Fault(
            "no-accounting",
            "A cluster without accounting",
            "",
            _without_accounting(release),
            on="slurmctld",
            restart=("slurmctld", "slurmrestd"),
            releases=(release,),
        )
        for release in ALL
    ),
)
"""Variants that are sound."""
