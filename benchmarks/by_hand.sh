#!/bin/sh
# What a quick start has one type, as a script: run as root on a plain Debian with systemd, called node1. It ends when
# slurmrestd serves slurmctld's and slurmdbd's statistics. $1 is the newest API version, $2 the CgroupPlugin or "-".
set -eu
if ! command -v slurmrestd >/dev/null; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install munge mariadb-server slurmctld slurmdbd \
        slurmd slurmrestd slurm-client slurm-wlm-basic-plugins slurm-wlm-mysql-plugin slurm-wlm-jwt-plugin >/dev/null
    rm /usr/sbin/policy-rc.d
fi
dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
chown munge:munge /etc/munge/munge.key
chmod 0400 /etc/munge/munge.key
install -d -o slurm -g slurm -m 0755 /var/lib/slurm
install -d -o slurm -g slurm -m 0700 /var/lib/slurm/slurmctld /var/lib/slurm/jwt
install -d -m 0755 /var/lib/slurm/slurmd
dd if=/dev/urandom of=/var/lib/slurm/jwt/jwt_hs256.key bs=32 count=1 status=none
chown slurm:slurm /var/lib/slurm/jwt/jwt_hs256.key
chmod 0600 /var/lib/slurm/jwt/jwt_hs256.key
auth='AuthType=auth/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/var/lib/slurm/jwt/jwt_hs256.key
SlurmUser=slurm'
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=slurmrest
SlurmctldHost=node1
$auth
CredType=cred/munge
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SelectType=select/cons_tres
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=node1
NodeName=node1 CPUs=$(nproc)
PartitionName=main Nodes=ALL Default=YES
CONF
[ "$2" = - ] || echo "CgroupPlugin=$2" >/etc/slurm/cgroup.conf
cat >/etc/slurm/slurmdbd.conf <<CONF
DbdHost=node1
$auth
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
CONF
chown slurm:slurm /etc/slurm/slurmdbd.conf
chmod 0600 /etc/slurm/slurmdbd.conf
printf '[mariadbd]\nloose_innodb_snapshot_isolation = OFF\n' >/etc/mysql/mariadb.conf.d/90-slurmdbd.cnf
systemctl restart mariadb munge
mariadb --execute "CREATE DATABASE slurm_acct_db; CREATE USER slurm@localhost IDENTIFIED VIA unix_socket;
    GRANT ALL ON slurm_acct_db.* TO slurm@localhost"
systemctl restart slurmdbd
until sacctmgr --noheader show cluster >/dev/null 2>&1; do sleep 0.05; done
systemctl restart slurmctld slurmd
id slurmrestd >/dev/null 2>&1 || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin slurmrestd
install -d /etc/systemd/system/slurmrestd.service.d
cat >/etc/systemd/system/slurmrestd.service.d/override.conf <<'UNIT'
[Service]
User=slurmrestd
Group=slurmrestd
Environment=SLURM_JWT=daemon
ExecStart=
ExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt 0.0.0.0:6820
ExecReload=
UNIT
systemctl daemon-reload
systemctl enable --quiet mariadb munge slurmdbd slurmctld slurmd slurmrestd 2>/dev/null
systemctl restart slurmrestd
until token=$(scontrol token 2>/dev/null); do sleep 0.05; done
for family in slurm slurmdb; do
    until printf 'X-SLURM-USER-NAME: root\nX-SLURM-USER-TOKEN: %s\n' "${token#SLURM_JWT=}" |
        curl --silent --fail --output /dev/null -H @- "http://127.0.0.1:6820/$family/$1/diag"; do sleep 0.05; done
done
