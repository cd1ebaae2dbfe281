"""Faults that nobody had told the doctor about: limits of a unit, names, addresses, a database that is another one.

Of what a unit may take away containers know limits and families of addresses; namespaces and cgroups they pass over.
"""

from __future__ import annotations

from tests.real.faults.fault import Fault

_SITE = "> $DROPINS/zz-site.conf; again slurmrestd"

LIMITS = (
    Fault(
        "not-deployed",
        "slurmrestd is as its package brought it, disabled",
        "not-deployed",
        "systemctl disable --now slurmrestd; rm -r $DROPINS $DEFAULTS; systemctl daemon-reload",
    ),
    Fault(
        "address-families",
        "systemd: a drop-in lets slurmrestd have UNIX sockets only",
        "unit-confines",
        f"printf '[Service]\\nRestrictAddressFamilies=\\nRestrictAddressFamilies=AF_UNIX\\n' {_SITE}",
    ),
    Fault(
        "threads-few",
        "systemd: a drop-in leaves slurmrestd no room for threads",
        "unit-confines",
        f"printf '[Service]\\nLimitNPROC=1\\n' {_SITE}",
    ),
    Fault(
        "files-few",
        "systemd: a drop-in lets slurmrestd open hardly any files",
        "unit-confines",
        f"printf '[Service]\\nLimitNOFILE=6\\n' {_SITE}",
    ),
    Fault(
        "socket-removed",
        "The socket's file was removed while slurmrestd runs",
        "socket-removed",
        "rm /run/slurmrestd/slurmrestd.socket",
    ),
    Fault(
        "listen-unresolved",
        "slurmrestd shall listen at a name that nobody knows",
        "listener-not-here",
        "sed -i 's#0.0.0.0:6820#rest.nowhere.invalid:6820#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "parsers-gone",
        "The files of the data parsers are gone",
        "slurmrestd-missing",
        "d=$(dirname /usr/lib/*/slurm-wlm/rest_auth_jwt.so); mkdir /root/parsers; mv $d/data_parser_* /root/parsers/\n"
        "again slurmrestd",
        undo="d=$(dirname /usr/lib/*/slurm-wlm/rest_auth_jwt.so); mv /root/parsers/* $d/; rmdir /root/parsers",
        releases=("24.11", "26.05"),
        elsewhere="22.05 has no data parsers",
    ),
)

NAMES = (
    Fault(
        "cluster-name",
        "ClusterName is another than that of the state",
        "slurmctld-failed",
        "sed -i 's/^ClusterName=.*/ClusterName=another/' $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "dbd-host",
        "DbdHost is another host's name",
        "slurmdbd-failed",
        "sed -i 's/^DbdHost=.*/DbdHost=elsewhere/' $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "slurm-user-gone",
        "SlurmUser in slurm.conf is nobody",
        "slurm-user-missing",
        "sed -i 's/^SlurmUser=.*/SlurmUser=slurmm/' $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "key-parameter-misspelt",
        "AuthAltParameters=jwtkey=…, which no daemon reads",
        "jwt-key-unset",
        "sed -i 's/^AuthAltParameters=jwt_key=/AuthAltParameters=jwtkey=/' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "node-twice",
        "A node has two lines in slurm.conf",
        "slurmctld-failed",
        "grep -m1 ^NodeName $CONF >> $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "partition-of-nobody",
        "A partition names a node that there is not",
        "slurmctld-failed",
        "echo 'PartitionName=other Nodes=nosuchnode' >> $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "munge-elsewhere",
        "AuthInfo names a socket of munge that is not there",
        "munge-stopped",
        "echo AuthInfo=socket=/run/munge/none.socket >> $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
    ),
    Fault(
        "key-directory-closed",
        "JWT key: SlurmUser may not enter a directory above it",
        "jwt-key-closed",
        "chown root: /var/lib/slurm/jwt; chmod 0700 /var/lib/slurm/jwt; again slurmdbd slurmctld",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld"),
    ),
)

DATABASE = (
    Fault(
        "database-too-new",
        "The database was converted by a newer slurmdbd",
        "database-unusable",
        "mariadb -e 'CREATE TABLE slurm_acct_db.kept AS SELECT * FROM slurm_acct_db.convert_version_table; "
        "UPDATE slurm_acct_db.convert_version_table SET version = 99'; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        undo="mariadb -e 'UPDATE slurm_acct_db.convert_version_table SET version = (SELECT version FROM "
        "slurm_acct_db.kept); DROP TABLE slurm_acct_db.kept'",
        releases=("24.11", "26.05"),
        elsewhere="22.05 does not look at it",
    ),
    Fault(
        "database-connections",
        "The database gives slurmdbd one connection",
        "database-unusable",
        "mariadb -e 'ALTER USER slurm@localhost WITH MAX_USER_CONNECTIONS 1'; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        undo="mariadb -e 'ALTER USER slurm@localhost WITH MAX_USER_CONNECTIONS 0'",
    ),
    Fault(
        "database-host",
        "StorageHost is a name that nobody knows",
        "database-unusable",
        "sed -i '/^StorageHost=/d' $DBD; echo StorageHost=db.nowhere.invalid >> $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "database-named-otherwise",
        "StorageLoc is a database that slurmdbd may not make",
        "database-unusable",
        "sed -i '/^StorageLoc=/d' $DBD; echo StorageLoc=other_acct_db >> $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
)

NETWORK = (
    Fault(
        "munge-keys-differ",
        "munge's keys differ between the hosts of slurmctld and slurmdbd",
        "munge-keys-differ",
        "cp -p /etc/munge/munge.key /root/; head -c 1024 /dev/urandom > /etc/munge/munge.key; again munge slurmdbd",
        on="slurmdbd",
        restart=("munge", "slurmdbd"),
        undo="cp -p /root/munge.key /etc/munge/; systemctl restart munge slurmdbd",
        layout="split",
    ),
    Fault(
        "controller-on-loopback",
        "The controller knows itself as 127.0.1.1 and listens there only",
        "daemon-unreached",
        "cp /etc/hosts /root/hosts; { echo 127.0.1.1 $(hostname); cat /root/hosts; } > /etc/hosts\n"
        "echo CommunicationParameters=NoCtldInAddrAny >> $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="cat /root/hosts > /etc/hosts",
        also=("configuration-differs",),
        layout="split",
    ),
    Fault(
        "controller-elsewhere",
        "The REST host has another address for the controller",
        "daemon-unreached",
        "cp /etc/hosts /root/hosts; { echo 127.0.9.9 $(sed -n 's/^SlurmctldHost=//p' $CONF); cat /root/hosts; } "
        "> /etc/hosts; again slurmrestd",
        undo="cat /root/hosts > /etc/hosts",
        layout="split",
    ),
)

PLUGINS = "$(dirname /usr/lib/*/slurm-wlm/rest_auth_jwt.so)"

FILES = (
    Fault(
        "conf-directory-closed",
        "Start refused: the directory of slurm.conf is closed to the service account",
        "conf-unreadable",
        "chmod 0700 /etc/slurm; again slurmrestd",
        undo="chmod 0755 /etc/slurm",
    ),
    Fault(
        "plugin-dir-lacks",
        "PluginDir is a directory without rest_auth_jwt.so",
        "plugin-file-missing",
        f"mkdir -p /opt/plugins; cp -a {PLUGINS}/. /opt/plugins/; rm /opt/plugins/rest_auth_jwt.so\n"
        "echo PluginDir=/opt/plugins >> $CONF; again slurmrestd",
        undo="rm -rf /opt/plugins",
    ),
    Fault(
        "plugin-dir-without-jwt",
        "PluginDir is a directory without auth_jwt.so: one finding for all daemons of the host",
        "plugin-file-missing",
        f"mkdir -p /opt/plugins; cp -a {PLUGINS}/. /opt/plugins/; rm /opt/plugins/auth_jwt.so\n"
        "echo PluginDir=/opt/plugins >> $CONF; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmrestd"),
        undo="rm -rf /opt/plugins",
    ),
    Fault(
        "plugin-gone",
        "The file of the plugin rest_auth/jwt is gone",
        "plugin-file-missing",
        f"mv {PLUGINS}/rest_auth_jwt.so /root/; again slurmrestd",
        undo="mv -n /root/rest_auth_jwt.so /usr/lib/*/slurm-wlm/; rm -f /root/rest_auth_jwt.so",
    ),
    Fault(
        "serializer-gone",
        "The file of the plugin serializer/json is gone",
        "plugin-file-missing",
        f"mv {PLUGINS}/serializer_json.so /root/; again slurmrestd",
        undo="mv -n /root/serializer_json.so /usr/lib/*/slurm-wlm/; rm -f /root/serializer_json.so",
    ),
    Fault(
        "plugin-closed",
        "The service account may not read rest_auth_jwt.so",
        "plugin-file-unreadable",
        f"chmod 0600 {PLUGINS}/rest_auth_jwt.so; again slurmrestd",
        undo="chmod 0644 /usr/lib/*/slurm-wlm/rest_auth_jwt.so",
    ),
    Fault(
        "jwt-plugin-closed",
        "Neither SlurmUser nor the service account may read auth_jwt.so",
        "plugin-file-unreadable",
        f"chmod 0600 {PLUGINS}/auth_jwt.so; again slurmdbd slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld", "slurmrestd"),
        undo="chmod 0644 /usr/lib/*/slurm-wlm/auth_jwt.so",
    ),
)

STARTS = (
    Fault(
        "type-forking",
        "systemd: a drop-in waits for slurmrestd to go to the background, which it does not",
        "unit-type",
        f"printf '[Service]\\nType=forking\\nTimeoutStartSec=5\\n' {_SITE}",
    ),
    Fault(
        "type-notify",
        "systemd: a drop-in waits for a notice that slurmrestd does not give, while it serves",
        "unit-type",
        "printf '[Service]\\nType=notify\\nTimeoutStartSec=120\\n' > $DROPINS/zz-site.conf; systemctl daemon-reload\n"
        "systemctl restart --no-block slurmrestd",
    ),
    Fault(
        "option-unknown",
        "Start refused: an option that slurmrestd does not have",
        "option-unknown",
        """echo 'SLURMRESTD_OPTIONS="--nosuch"' >> $DEFAULTS; again slurmrestd""",
    ),
    Fault(
        "command-before",
        "systemd: a command that a drop-in has run before slurmrestd fails",
        "unit-command-fails",
        f"printf '[Service]\\nExecStartPre=/bin/sh -c \"exit 3\"\\n' {_SITE}",
    ),
    Fault(
        "controllers-condition",
        "systemd: a drop-in of slurmctld has a command that says it shall not run",
        "unit-command-fails",
        "mkdir -p /etc/systemd/system/slurmctld.service.d\n"
        "printf '[Service]\\nExecCondition=/bin/false\\n' "
        "> /etc/systemd/system/slurmctld.service.d/zz-site.conf; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "environment-file-missing",
        "systemd: a drop-in wants an environment file that is not there",
        "environment-file-missing",
        f"printf '[Service]\\nEnvironmentFile=/etc/default/slurmrest-site\\n' {_SITE}",
    ),
    Fault(
        "controllers-environment-file-missing",
        "systemd: a drop-in of slurmctld wants an environment file that is not there",
        "environment-file-missing",
        "mkdir -p /etc/systemd/system/slurmctld.service.d\n"
        "printf '[Service]\\nEnvironmentFile=/etc/default/slurmctld-site\\n' "
        "> /etc/systemd/system/slurmctld.service.d/zz-site.conf; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "socket-call-denied",
        "systemd: a drop-in denies slurmrestd socket(2)",
        "unit-confines",
        f"printf '[Service]\\nSystemCallFilter=~socket\\n' {_SITE}",
    ),
)

UNTOLD = (*FILES, *STARTS, *LIMITS, *NAMES, *DATABASE, *NETWORK)
