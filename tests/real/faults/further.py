"""Faults between the daemons and their surroundings."""

from __future__ import annotations

from tests.real.faults.fault import Client, Fault

CHECKED_IDS = ("24.11", "26.05")
"""Releases on which slurmctld compares its cluster's id with the database's."""

SAYS = (
    "if slurmctld -V | grep -q ' 22.05'; then install -d -o slurm /var/log/slurm\n"
    "echo SlurmctldLogFile=/var/log/slurm/slurmctld.log >> $CONF\n"
    "echo LogFile=/var/log/slurm/slurmdbd.log >> $DBD; fi\n"
)
"""22.05 writes to the journal's socket nothing of a start that fails: as at most sites, it has a file."""

CONFIGURATION = (
    Fault(
        "job-submit-missing",
        "A plugin's file is missing (job_submit.lua), and beside it the key's directory is writable by others",
        "plugin-fails",
        f"{SAYS}chmod 0777 $(dirname $KEY); echo JobSubmitPlugins=lua >> $CONF; again slurmctld",
        also=("jwt-key-directory",),
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "library-missing",
        "A library is out of the loader's path: one finding for all daemons of the host",
        "plugin-fails",
        f"{SAYS}tar cPf /root/libjwt.tar /usr/lib/*/libjwt.so*; rm /usr/lib/*/libjwt.so*\n"
        "again slurmdbd slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld", "slurmrestd"),
        undo="tar xPf /root/libjwt.tar",
    ),
    Fault(
        "accounting-localhost",
        "AccountingStorageHost=localhost, and slurmdbd is on another host",
        "daemon-unreached",
        "sed -i 's/^AccountingStorageHost=.*/AccountingStorageHost=localhost/' $CONF\nagain slurmctld slurmrestd",
        on="slurmctld,slurmrestd,slurmd",
        restart=("slurmctld", "slurmrestd"),
        layout="split",
    ),
    Fault(
        "accounting-port",
        "AccountingStoragePort is not where slurmdbd listens",
        "accounting-port-differs",
        "echo AccountingStoragePort=6999 >> $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
        bounded=True,
    ),
    Fault(
        "dbd-port",
        "DbdPort changed, and slurm.conf does not know",
        "accounting-port-differs",
        "echo DbdPort=6829 >> $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "ports-equal",
        "SlurmctldPort is slurmdbd's port",
        "ports-collide",
        "echo SlurmctldPort=6819 >> $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "include-missing",
        "An included file is missing: slurmrestd runs and does not listen yet",
        "include-missing",
        "echo 'Include /etc/slurm/extra.conf' >> $CONF; again slurmrestd",
    ),
    Fault(
        "plugin-removed",
        "SelectType=select/cons_res, which the release does not have any more",
        "plugin-removed",
        "sed -i 's#select/cons_tres#select/cons_res#' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        releases=("24.11", "26.05"),
        elsewhere="22.05 has select/cons_res still",
    ),
    Fault(
        "unit-masked",
        "systemd: the unit is masked",
        "unit-masked",
        "systemctl stop slurmrestd; systemctl --quiet mask slurmrestd",
    ),
    Fault(
        "conf-redirected",
        "systemd: an environment file sends slurmrestd to another slurm.conf",
        "conf-redirected",
        "mkdir -p /srv/other; cp $CONF /srv/other/slurm.conf\n"
        "echo SLURM_CONF=/srv/other/slurm.conf >> $DEFAULTS; again slurmrestd",
        undo="rm -rf /srv/other",
    ),
    Fault(
        "stop-needs-kill",
        "systemd: slurmrestd did not end when it was stopped, and was killed",
        "stop-needs-kill",
        # A signal that it does not care for stands for the one on which it does not end under load.
        "sed -i 's/^KillSignal=.*/KillSignal=SIGWINCH/; s/^TimeoutStopSec=.*/TimeoutStopSec=2/' $DROPIN\n"
        "again slurmrestd",
        in_log=True,
    ),
    Fault(
        "binary-replaced",
        "slurmrestd's program was replaced while it runs",
        "daemon-outdated",
        "cp -p /usr/sbin/slurmrestd /usr/sbin/slurmrestd.new; mv /usr/sbin/slurmrestd.new /usr/sbin/slurmrestd",
    ),
    Fault(
        "auth-not-named",
        "The quick start's UNIX way: a UNIX socket, SLURM_JWT, and no -a",
        "auth-plugin-not-named",
        "sed -i 's# -a rest_auth/jwt##' $DROPIN; again slurmrestd",
    ),
)

ACCOUNTING = (
    Fault(
        "database-refuses",
        "The database refuses slurmdbd's login",
        "database-unusable",
        "mariadb -e \"ALTER USER slurm@localhost IDENTIFIED BY 'another'\"; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        undo='mariadb -e "ALTER USER slurm@localhost IDENTIFIED VIA unix_socket"',
        in_log=True,
    ),
    Fault(
        "database-read-only",
        "The database is read-only",
        "database-unusable",
        f"{SAYS}mariadb -e 'SET GLOBAL read_only=ON'; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        undo="mariadb -e 'SET GLOBAL read_only=OFF'",
    ),
    Fault(
        "cluster-id",
        "The database was made anew, and the cluster was added with sacctmgr: CLUSTER ID MISMATCH",
        "cluster-id-mismatch",
        "cd /var/lib/slurm/slurmctld; cp -p clustername /root/\n"
        "mariadb-dump --databases slurm_acct_db > /root/accounts.sql\n"
        "systemctl stop slurmctld slurmdbd\n"
        "mariadb -e 'DROP DATABASE slurm_acct_db; CREATE DATABASE slurm_acct_db'; systemctl start slurmdbd\n"
        "for i in $(seq 300); do sacctmgr -n show cluster >/dev/null 2>&1 && break; sleep 0.1; done\n"
        "sacctmgr -iQ add cluster slurmrest; again slurmctld",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld"),
        undo="systemctl stop slurmctld slurmdbd; mariadb -e 'DROP DATABASE slurm_acct_db'\n"
        "mariadb < /root/accounts.sql; cp -p /root/clustername /var/lib/slurm/slurmctld/",
        releases=CHECKED_IDS,
        elsewhere="22.05 does not compare the ids",
    ),
    Fault(
        "state-file",
        "A file of slurmctld's state was removed",
        "state-file-missing",
        "systemctl stop slurmctld; cd /var/lib/slurm/slurmctld; rm -f resv_state.old; mv resv_state /root/\n"
        "systemctl start slurmctld || true",
        on="slurmctld",
        restart=("slurmctld",),
        undo="mv /root/resv_state /var/lib/slurm/slurmctld/",
        releases=("26.05",),
        elsewhere="slurmctld begins without it before 25.05",
    ),
    Fault(
        "user-not-looked-up",
        "The association was made before the account",
        "user-not-looked-up",
        "sacctmgr -iQ add account late; sacctmgr -iQ add user late account=late\n"
        "late='scontrol show assoc_mgr users=late flags=users'\n"
        "for i in $(seq 300); do $late | grep -q 4294967294 && break; sleep 0.1; done\n"
        "useradd --uid 2077 --no-create-home late",
        on="slurmctld",
        restart=(),
        undo="sacctmgr -iQ delete user late; sacctmgr -iQ delete account late",
        client=Client("GET /slurm/{api}/jobs", user="late"),
    ),
    Fault(
        "token-of-nobody",
        "The token's own user is unknown on the controller, and no user header says who it is",
        "user-unknown",
        client=Client("GET /slurm/{api}/jobs", user="", owner="ghost"),
        restart=(),
        releases=("24.11", "26.05"),
        elsewhere="22.05 refuses a token without a user header",
    ),
)

DAEMONS = (
    Fault(
        "slurmctld-halted",
        "slurmctld is there and does nothing: SIGSTOP, as a debugger leaves it",
        "daemon-halted",
        "systemctl kill --signal=SIGSTOP slurmctld",
        on="slurmctld",
        restart=(),
        undo="systemctl kill --signal=SIGCONT slurmctld",
        bounded=True,
    ),
    Fault(
        "slurmdbd-halted",
        "slurmdbd is there and does nothing",
        "daemon-halted",
        "systemctl kill --signal=SIGSTOP slurmdbd",
        on="slurmdbd",
        restart=(),
        undo="systemctl kill --signal=SIGCONT slurmdbd",
    ),
    Fault(
        "slurmdbd-conf-open",
        "slurmdbd.conf may be read by others, so that slurmdbd does not start",
        "slurmdbd-conf-open",
        "chmod 0644 $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "state-unwritable",
        "StateSaveLocation belongs to root",
        "state-unwritable",
        "chown root: /var/lib/slurm/slurmctld; chmod 0755 /var/lib/slurm/slurmctld; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="chown slurm: /var/lib/slurm/slurmctld; chmod 0700 /var/lib/slurm/slurmctld",
    ),
    Fault(
        "controller-name",
        "SlurmctldHost is another host's name",
        "slurmctld-failed",
        "sed -i 's/^SlurmctldHost=.*/SlurmctldHost=elsewhere/' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "slurmctld-masked",
        "systemd: the controller's unit is masked",
        "slurmctld-stopped",
        "systemctl stop slurmctld; systemctl --quiet mask --runtime slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="systemctl --quiet unmask --runtime slurmctld",
    ),
)

FILES = (
    Fault(
        "conf-dangling",
        "slurm.conf is a link that leads nowhere: systemd skips what asks for it",
        "slurm-conf-missing",
        "rm $CONF; ln -s /srv/nothing/slurm.conf $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "program-not-executable",
        "slurmrestd's program is there and may not be executed",
        "slurmrestd-missing",
        "chmod 0644 /usr/sbin/slurmrestd; again slurmrestd",
        undo="chmod 0755 /usr/sbin/slurmrestd",
    ),
    Fault(
        "include-unreadable",
        "slurm.conf includes a file that slurmrestd may not read",
        "conf-unreadable",
        "install -o slurm -m 0600 /dev/null /etc/slurm/extra.conf\n"
        "echo 'Include /etc/slurm/extra.conf' >> $CONF; again slurmctld slurmrestd",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "key-unknown",
        "A key that no daemon knows, in slurm.conf: one finding for all of them",
        "conf-key-unknown",
        "echo SlurmctldPidFyle=/run/x >> $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "key-dangling",
        "JWT key: a link that leads nowhere",
        "jwt-key-missing",
        "rm $KEY; ln -s /srv/nothing.key $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld"),
    ),
    Fault(
        "munge-key-open",
        "munge's key may be read by others, so that munge does not start",
        "munge-stopped",
        "chmod 0644 /etc/munge/munge.key; again munge slurmctld",
        on="slurmctld",
        restart=("munge", "slurmctld"),
        undo="chmod 0400 /etc/munge/munge.key",
    ),
    Fault(
        "slurmctld-redirected",
        "systemd: a variable sends slurmctld to another slurm.conf, with another port",
        "daemon-redirected",
        "mkdir -p /srv/other /etc/systemd/system/slurmctld.service.d\n"
        "sed '/^SlurmctldPort=/d; $aSlurmctldPort=7817' $CONF > /srv/other/slurm.conf\n"
        "printf '[Service]\\nEnvironment=SLURM_CONF=/srv/other/slurm.conf\\n' "
        "> /etc/systemd/system/slurmctld.service.d/zz-site.conf; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="rm -rf /srv/other",
    ),
    Fault(
        "database-rights",
        "The database lets slurmdbd log in, and not write",
        "database-unusable",
        f"{SAYS}mariadb -e 'REVOKE ALL ON slurm_acct_db.* FROM slurm@localhost'\n"
        "mariadb -e 'GRANT SELECT ON slurm_acct_db.* TO slurm@localhost'; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        undo="mariadb -e 'GRANT ALL ON slurm_acct_db.* TO slurm@localhost'",
    ),
)

LEFT_OVER = (
    Fault(
        "port-not-restarted",
        "SlurmctldPort changed, and slurmctld not restarted",
        "daemon-unreached",
        "echo SlurmctldPort=6917 >> $CONF; again slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "munge-closed",
        "munge works for root, and SlurmUser may not reach its socket",
        "munge-stopped",
        "chmod 0700 /run/munge; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="chmod 0755 /run/munge",
    ),
    Fault(
        "slurmdbd-redirected",
        "systemd: a variable sends slurmdbd to a configuration that is not there",
        "daemon-redirected",
        "mkdir -p /etc/systemd/system/slurmdbd.service.d\n"
        "printf '[Service]\\nEnvironment=SLURM_CONF=/srv/none/slurm.conf\\n' "
        "> /etc/systemd/system/slurmdbd.service.d/zz-site.conf; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "manager-environment",
        "systemd: systemctl set-environment sends every service to another slurm.conf",
        "runs-otherwise",
        "systemctl set-environment SLURM_CONF=/srv/none/slurm.conf; again slurmrestd",
        undo="systemctl unset-environment SLURM_CONF",
    ),
)

FURTHER = (*CONFIGURATION, *ACCOUNTING, *DAEMONS, *FILES, *LEFT_OVER)
