"""The faults, group by group."""

from __future__ import annotations

from tests.real.faults.fault import BACKUP, Client, Fault
from tests.real.faults.further import FURTHER
from tests.real.faults.gateway import GATEWAY
from tests.real.faults.untold import UNTOLD

KEY_USERS = ("slurmdbd", "slurmctld")

QUICK_START = (
    Fault(
        "bind-permission",
        "Cannot bind: the socket's directory does not let the service account write",
        "bind-permission",
        "sed -i 's#unix:/run/slurmrestd/slurmrestd.socket#unix:/run/rest.socket#' $DROPIN; again slurmrestd",
        bounded=True,
    ),
    Fault(
        "bind-privileged-port",
        "Cannot bind: a port below 1024",
        "bind-permission",
        "sed -i 's#0.0.0.0:6820#0.0.0.0:820#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "listener-duplicate",
        "Address already in use: two listeners exclude each other",
        "listener-duplicate",
        "sed -i 's#0.0.0.0:6820#0.0.0.0:6820,127.0.0.1:6820#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "port-taken",
        "Address already in use: another process has the port",
        "port-taken",
        "systemctl stop slurmrestd\n"
        "systemd-run --quiet --unit=port-thief python3 -m http.server 6820\n"
        "for i in $(seq 50); do ss -Hlnt 'sport = 6820' | grep -q . && break; sleep 0.1; done\n"
        "again slurmrestd",
        undo="systemctl stop port-thief || true",
    ),
    Fault(
        "not-running",
        "Connection refused: slurmrestd does not run",
        "slurmrestd-stopped",
        "systemctl stop slurmrestd",
    ),
    Fault(
        "listens-elsewhere",
        "Connection refused: slurmrestd listens on another address",
        "listens-elsewhere",
        "sed -i 's#0.0.0.0:6820#127.0.0.1:6999#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "token-expired",
        "Authentication error: the client's token has expired",
        "request-token-expired",
        client=Client(token="expired"),
        restart=(),
        bounded=True,
    ),
    Fault(
        "token-missing",
        "Authentication error: the client sends no token",
        "request-token-missing",
        client=Client(token="none"),
        restart=(),
    ),
    Fault(
        "token-forged",
        "Authentication error: the client's token has a wrong signature",
        "request-token-wrong",
        client=Client(token="forged"),
        restart=(),
    ),
    Fault(
        "token-garbage",
        "Authentication error: what the client sends is no token",
        "request-token-wrong",
        client=Client(token="garbage"),
        restart=(),
    ),
    Fault(
        "token-of-another",
        "Authentication error: another user's name beside an ordinary user's token",
        "request-token-wrong",
        client=Client(user="root"),
        restart=(),
    ),
    Fault(
        "user-header-missing",
        "Authentication error: no user header on a release that wants one",
        "request-user-missing",
        client=Client(user=""),
        restart=(),
        releases=("22.05",),
        elsewhere="newer releases take the user from the token",
    ),
    Fault(
        "wrong-version",
        "404: an API version that is not served",
        "request-version",
        client=Client("GET /slurm/v0.0.99/diag"),
        restart=(),
    ),
    Fault(
        "wrong-method",
        "404 or 405: a method that the URL does not take",
        "request-method",
        client=Client("DELETE /slurm/{api}/diag"),
        restart=(),
    ),
    Fault(
        "wrong-family",
        "404: slurm instead of slurmdb",
        "request-family",
        client=Client("GET /slurm/{api}/accounts"),
        restart=(),
    ),
    Fault(
        "unknown-url",
        "404: no such URL",
        "request-url",
        client=Client("GET /slurm/{api}/nonsense"),
        restart=(),
    ),
    Fault(
        "url-character",
        "400 (404 on newer releases): a character that is not escaped",
        "request-character",
        client=Client("GET /slurm/{api}/node/{{n1}}"),
        restart=(),
    ),
    Fault(
        "jwt-not-loaded",
        "auth/jwt not loaded: SLURM_JWT is not set",
        "slurm-jwt-not-daemon",
        "sed -i 's#^Environment=SLURM_JWT=.*#UnsetEnvironment=SLURM_JWT#' $DROPIN; again slurmrestd",
        bounded=True,
    ),
    Fault(
        "jwt-exported",
        "Other Slurm commands fail because SLURM_JWT is set",
        "slurm-jwt-exported",
        "echo 'export SLURM_JWT=not-a-token' > /etc/profile.d/slurm.sh",
        on="slurmctld",
        restart=(),
    ),
)

START = (
    Fault(
        "account-root",
        "Start refused: root",
        "account-root",
        "sed -i 's/^User=.*/User=root/; s/^Group=.*/Group=root/' $DROPIN; again slurmrestd",
        bounded=True,
    ),
    Fault(
        "account-slurm-user",
        "Start refused: SlurmUser",
        "account-slurm-user",
        "sed -i 's/^User=.*/User=slurm/; s/^Group=.*/Group=slurm/' $DROPIN; again slurmrestd",
    ),
    Fault(
        "account-slurm-group",
        "Start refused: SlurmUser's group",
        "account-slurm-group",
        "sed -i 's/^Group=.*/Group=slurm/' $DROPIN; again slurmrestd",
    ),
    Fault(
        "account-extra-groups",
        "Start refused: supplementary groups",
        "account-extra-groups",
        "usermod -aG slurm slurmrestd; again slurmrestd",
    ),
    Fault(
        "account-nobody",
        "Start refused: nobody",
        "account-nobody",
        "sed -i 's/^User=.*/User=nobody/; s/^Group=.*/Group=nogroup/' $DROPIN; again slurmrestd",
    ),
    Fault(
        "account-missing",
        "Start refused: the account does not exist",
        "account-missing",
        "sed -i 's/^User=.*/User=nosuch/; s/^Group=.*/Group=nosuch/' $DROPIN; again slurmrestd",
    ),
    Fault(
        "conf-unreadable",
        "Start refused: slurm.conf cannot be read by the service account",
        "conf-unreadable",
        "chown slurm: $CONF; chmod 0600 $CONF; again slurmrestd",
    ),
    Fault(
        "unshare-denied",
        "Start refused: unshare denied, as in some containers",
        "unshare-denied",
        "printf '[Service]\\nSystemCallFilter=~unshare\\nSystemCallErrorNumber=EPERM\\n' > $DROPINS/zz-sandbox.conf\n"
        "again slurmrestd",
    ),
    Fault(
        "plugin-in-variable",
        "Start refused: a plugin of another release in SLURMRESTD_OPENAPI_PLUGINS",
        "plugin-unknown",
        "echo 'SLURMRESTD_OPENAPI_PLUGINS=openapi/v0.0.35' >> $DEFAULTS; again slurmrestd",
    ),
    Fault(
        "plugin-in-option",
        "Start refused: a plugin of another release in -s",
        "plugin-unknown",
        "sed -i 's#-a rest_auth/jwt#-a rest_auth/jwt -s openapi/v0.0.35#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "parser-in-option",
        "Start refused: a parser of another release in -d",
        "plugin-unknown",
        "sed -i 's#-a rest_auth/jwt#-a rest_auth/jwt -d v0.0.39#' $DROPIN; again slurmrestd",
        releases=("24.11", "26.05"),
        elsewhere="22.05 has no -d",
    ),
    Fault(
        "no-slurmdbd",
        "Start refused: no slurmdbd, and not told so",
        "accounting-plugin",
        "sed -i '/^AccountingStorage/d' $CONF; again slurmrestd",
        releases=("22.05", "24.11"),
        elsewhere="26.05 leaves that plugin out where there is no slurmdbd",
    ),
)

KEYS = (
    Fault(
        "key-missing",
        "JWT key: missing",
        "jwt-key-missing",
        "rm $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=KEY_USERS,
        bounded=True,
    ),
    Fault(
        "key-empty",
        "JWT key: empty",
        "jwt-key-empty",
        "new_key 0 $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=KEY_USERS,
    ),
    Fault(
        "key-short",
        "JWT key: too short",
        "jwt-key-short",
        "new_key 8 $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=KEY_USERS,
    ),
    Fault(
        "key-open",
        "JWT key: readable by others",
        "jwt-key-open",
        "chmod 0644 $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=KEY_USERS,
        bounded=True,
    ),
    Fault(
        "key-owner",
        "JWT key: wrong owner",
        "jwt-key-owner",
        "chown nobody: $KEY; again slurmdbd slurmctld",
        on="slurmctld",
        restart=KEY_USERS,
    ),
    Fault(
        "key-directory",
        "JWT key: its directory is writable by others",
        "jwt-key-directory",
        "chmod 0777 $(dirname $KEY)",
        on="slurmctld",
        restart=(),
    ),
    Fault(
        "keys-differ",
        "JWT key: different between slurmctld and slurmdbd on one host",
        "jwt-keys-differ",
        "new_key 32 /var/lib/slurm/jwt/other.key\nsed -i 's#jwt_hs256.key#other.key#' $DBD; again slurmdbd",
        on="slurmdbd",
        restart=KEY_USERS,
    ),
    Fault(
        "keys-differ-between-hosts",
        "JWT key: different between the hosts of slurmctld and slurmdbd",
        "jwt-keys-differ",
        "new_key 32 $KEY; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
        layout="split",
    ),
    Fault(
        "keys-differ-on-backup",
        "JWT key: different on the backup controller",
        "jwt-keys-differ",
        "new_key 32 $KEY; again slurmctld",
        on=BACKUP,
        restart=("slurmctld",),
        layout="backup",
    ),
    Fault(
        "key-not-loaded",
        "JWT key: changed, but slurmctld not restarted",
        "jwt-key-not-loaded",
        "new_key 32 $KEY; again slurmdbd",
        on="slurmctld",
        restart=KEY_USERS,
    ),
    Fault(
        "key-not-loaded-slurmdbd",
        "JWT key: changed, but slurmdbd not restarted",
        "jwt-key-not-loaded",
        "new_key 32 $KEY; again slurmctld",
        on="slurmdbd",
        restart=KEY_USERS,
    ),
    Fault(
        "auth-alt-missing",
        "AuthAltTypes: missing in slurm.conf",
        "auth-alt-missing",
        "sed -i '/^AuthAlt/d' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "auth-alt-missing-slurmdbd",
        "AuthAltTypes: missing in slurmdbd.conf",
        "auth-alt-missing-slurmdbd",
        "sed -i '/^AuthAlt/d' $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "auth-alt-misspelt",
        "AuthAltTypes: rest_auth/jwt in slurm.conf",
        "auth-alt-misspelt",
        "sed -i 's#^AuthAltTypes=.*#AuthAltTypes=rest_auth/jwt#' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "auth-alt-misspelt-slurmdbd",
        "AuthAltTypes: rest_auth/jwt in slurmdbd.conf",
        "auth-alt-misspelt",
        "sed -i 's#^AuthAltTypes=.*#AuthAltTypes=rest_auth/jwt#' $DBD; again slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "jwks-without-key",
        "jwks= without jwt_key= while HS256 tokens are in use",
        "jwks-without-key",
        "n=$(head -c 256 /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d =)\n"
        'printf \'{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"one","n":"%s","e":"AQAB"}]}\' "$n" '
        "> /etc/slurm/jwks.json\n"
        "chown slurm: /etc/slurm/jwks.json; chmod 0600 /etc/slurm/jwks.json\n"
        "sed -i 's#^AuthAltParameters=.*#AuthAltParameters=jwks=/etc/slurm/jwks.json#' $CONF; again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
    ),
    Fault(
        "jwt-plugin-missing",
        "The package of the plugin auth/jwt is missing",
        "jwt-plugin-missing",
        "rm /usr/lib/*/slurm-wlm/auth_jwt.so; again slurmdbd slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmdbd", "slurmctld", "slurmrestd"),
    ),
)

UNITS = (
    Fault(
        "execstart-two-commands",
        "systemd: ExecStart not reset, two commands",
        "execstart-not-reset",
        "sed -i '/^ExecStart=$/d' $DROPIN; again slurmrestd",
    ),
    Fault(
        "execstart-two-listeners",
        "systemd: ExecStart not reset, the vendor's listeners stay",
        "execstart-not-reset",
        "sed -i '/^ExecStart=/d' $DROPIN; again slurmrestd",
    ),
    Fault(
        "environment-file-sectioned",
        "systemd: a sectioned file used as environment file",
        "environment-file-sectioned",
        "printf '[Service]\\nEnvironment=\"SLURMRESTD_LISTEN=127.0.0.1:6999\"\\n' > $DEFAULTS; again slurmrestd",
    ),
    Fault(
        "environment-file-wins",
        "systemd: the environment file overrides the drop-in",
        "environment-file-wins",
        "echo SLURMRESTD_LISTEN=127.0.0.1:6999 >> $DEFAULTS; again slurmrestd",
        bounded=True,
    ),
    Fault(
        "dropin-writable",
        "systemd: the drop-in is writable by the service account",
        "dropin-writable",
        "chown slurmrestd $DROPIN",
        restart=(),
    ),
    Fault(
        "foreign-dropin",
        "systemd: a foreign drop-in sorts later and wins",
        "foreign-dropin",
        "printf '[Service]\\nEnvironment=SLURMRESTD_LISTEN=127.0.0.1:6999\\n' > $DROPINS/zz-site.conf\n"
        "again slurmrestd",
    ),
    Fault(
        "no-listener",
        "systemd: ExecStart without a listener, exit code 0 and no word",
        "no-listener",
        "sed -i '/SLURMRESTD_LISTEN/d' $DROPIN; again slurmrestd",
    ),
    Fault(
        "daemon-reload-missing",
        "systemd: daemon-reload forgotten",
        "daemon-reload-missing",
        "sed -i 's#0.0.0.0:6820#0.0.0.0:6820,127.0.0.2:6999#' $DROPIN",
    ),
    Fault(
        "restart-missing",
        "systemd: restart forgotten after a change",
        "restart-missing",
        "sed -i 's#0.0.0.0:6820#0.0.0.0:6820,127.0.0.2:6999#' $DROPIN; systemctl daemon-reload",
    ),
    Fault(
        "tokens-in-log",
        "DebugFlags=Network writes tokens into the log",
        "tokens-in-log",
        "echo DebugFlags=Network >> $CONF; again slurmrestd",
    ),
    Fault(
        "slurm-jwt-token",
        "SLURM_JWT holds something else than daemon",
        "slurm-jwt-not-daemon",
        "sed -i 's#^Environment=SLURM_JWT=.*#Environment=SLURM_JWT=something-else#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "condition-failed",
        "systemd: enabled, but a condition failed",
        "condition-failed",
        "sed -i 's#^StartLimitBurst=.*#&\\nConditionPathExists=/etc/slurm-llnl/slurm.conf#' $DROPIN; again slurmrestd",
    ),
    Fault(
        "restart-loop",
        "systemd: restart loop",
        "restart-loop",
        "printf '[Service]\\nRuntimeMaxSec=1ms\\n' > $DROPINS/zz-site.conf; again slurmrestd",
    ),
)

CLUSTER = (
    Fault(
        "slurmctld-stopped",
        "slurmctld down",
        "slurmctld-stopped",
        "systemctl stop slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        bounded=True,
    ),
    Fault(
        "slurmdbd-stopped",
        "slurmdbd down",
        "slurmdbd-stopped",
        "systemctl stop slurmdbd",
        on="slurmdbd",
        restart=("slurmdbd",),
    ),
    Fault(
        "database-stopped",
        "MariaDB down",
        "database-stopped",
        "systemctl stop mariadb",
        on="slurmdbd",
        restart=("mariadb", "slurmdbd"),
    ),
    Fault(
        "cluster-not-registered",
        "The cluster is not registered in the database",
        "cluster-not-registered",
        # Not by sacctmgr: slurmctld would register itself again.
        "cp -p /var/lib/slurm/slurmctld/clustername /root/\n"
        "mariadb-dump slurm_acct_db cluster_table > /root/clusters.sql\n"
        "mariadb -e 'DELETE FROM slurm_acct_db.cluster_table'",
        on="slurmdbd",
        restart=("slurmdbd", "slurmctld"),
        # The remedy may have it registered by another id.
        undo="systemctl stop slurmctld slurmdbd; mariadb slurm_acct_db < /root/clusters.sql\n"
        "cp -p /root/clustername /var/lib/slurm/slurmctld/",
    ),
    Fault(
        "port-in-range",
        "Port 6820 inside SlurmctldPort's range",
        "port-in-slurmctld-range",
        "sed -i 's/^SlurmctldPort=.*//' $CONF; echo SlurmctldPort=6820-6821 >> $CONF\n"
        "systemctl stop slurmrestd; again slurmctld slurmrestd",
        on="slurmctld",
        restart=("slurmctld", "slurmd", "slurmrestd"),
    ),
    Fault(
        "munge-stopped",
        "munge down",
        "munge-stopped",
        "systemctl stop munge",
        on="slurmctld",
        restart=("munge", "slurmdbd", "slurmctld"),
    ),
    Fault(
        "user-unknown",
        "The user is unknown on the controller",
        "user-unknown",
        client=Client("POST /slurm/{api}/job/submit", user="ghost"),
        restart=(),
    ),
    Fault(
        "configuration-differs",
        "slurm.conf differs between hosts",
        "configuration-differs",
        "echo SlurmctldPort=6999 >> $CONF; again slurmrestd",
        layout="split",
    ),
    Fault(
        "clocks-apart",
        "The clocks of two hosts are apart",
        "clocks-apart",
        # A container has the clock of its host, so every program started from now on is told another time.
        "ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || {\n"
        "  apt-get -qq -o Acquire::Check-Valid-Until=false update\n"
        "  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install libfaketime; } >/dev/null\n"
        "echo +3600 > /etc/faketimerc\n"
        "systemctl set-environment DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1\n"
        "ls /usr/lib/*/faketime/libfaketime.so.1 > /etc/ld.so.preload\n"
        "again munge slurmdbd",
        on="slurmdbd",
        restart=("munge", "slurmdbd"),
        undo="rm -f /etc/ld.so.preload /etc/faketimerc\n"
        "systemctl unset-environment DONT_FAKE_MONOTONIC FAKETIME_DONT_FAKE_MONOTONIC",
        layout="split",
        privileged=True,  # not over SSH, which would end when the time is mended
    ),
    Fault(
        "disk-full",
        "The disk is full",
        "disk-full",
        "systemctl stop slurmctld; cd /var/lib/slurm/slurmctld; tar cf /root/state.tar .\n"
        "mount -t tmpfs -o size=4m,mode=0700,uid=$(id -u slurm),gid=$(id -g slurm) tmpfs /var/lib/slurm/slurmctld\n"
        "cd /var/lib/slurm/slurmctld && tar xf /root/state.tar\n"
        "setpriv --reuid=slurm --regid=slurm --clear-groups dd if=/dev/zero of=filler bs=4k 2>/dev/null || true\n"
        "again slurmctld",
        on="slurmctld",
        restart=("slurmctld",),
        undo="systemctl stop slurmctld; cd /; umount /var/lib/slurm/slurmctld",
        privileged=True,
    ),
    Fault(
        "socket-directory-missing",
        "The socket's directory is gone after a reboot",
        "socket-directory-missing",
        "sed -i '/^RuntimeDirectory/d' $DROPIN; systemctl daemon-reload; systemctl stop slurmrestd\n"
        "rm -rf /run/slurmrestd; again slurmrestd",
    ),
)

FAULTS = (*QUICK_START, *START, *KEYS, *UNITS, *CLUSTER, *FURTHER, *UNTOLD, *GATEWAY)
