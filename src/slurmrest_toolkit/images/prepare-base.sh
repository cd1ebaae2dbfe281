#!/bin/sh
# Runs as root inside a Debian root file system that has the packages of images/base.py, and turns it into the
# base image of a node: reachable over SSH, with nothing inside that two nodes should not share.
set -eu

# SSH: keys only, one host key made at first boot, one list of client keys filled at enrolment.
rm -f /etc/ssh/ssh_host_*
install -d -m 0755 /etc/ssh/sshd_config.d /etc/systemd/system/ssh.service.d
cat >/etc/ssh/sshd_config.d/50-slurmrest.conf <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
CONF
cat >/etc/systemd/system/ssh.service.d/50-slurmrest.conf <<'CONF'
[Service]
ExecStartPre=
ExecStartPre=/usr/local/sbin/slurmrest-enrol
ExecStartPre=/usr/sbin/sshd -t
CONF
cat >/usr/local/sbin/slurmrest-enrol <<'SCRIPT'
#!/bin/sh
# Make this node's host key where it is missing, and print its public half.
#   --client-key          replace the list of client keys by standard input
#   --accept-stale-index  let apt use a package index past its Valid-Until date
set -eu
exec 9>/run/lock/slurmrest-enrol
flock 9
[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
for option; do
    case $option in
        --client-key) cat >/etc/ssh/authorized_keys ;;
        --accept-stale-index) echo 'Acquire::Check-Valid-Until "false";' >/etc/apt/apt.conf.d/90slurmrest-stale-index ;;
    esac
done
cat /etc/ssh/ssh_host_ed25519_key.pub
SCRIPT
chmod 0755 /usr/local/sbin/slurmrest-enrol

# The account that administrators of test clusters log in as.
id admin >/dev/null 2>&1 || useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/50-admin
chmod 0440 /etc/sudoers.d/50-admin

# Timers that would take the package manager's lock behind an administrator's back, and consoles nobody looks at.
systemctl mask apt-daily.timer apt-daily-upgrade.timer console-getty.service getty.target
systemctl enable ssh.service

# MariaDB, where it is installed later, for a handful of users: its logs and buffers small, as each start from an image
# copies the files and each node pays for the memory; nothing written twice or waited for that only outlives a crash of
# the host; started without what looks for other releases' tables and for a cluster of databases.
install -d -m 0755 /etc/mysql/mariadb.conf.d /etc/systemd/system/mariadb.service.d
cat >/etc/mysql/mariadb.conf.d/99-slurmrest.cnf <<'CONF'
[mariadbd]
innodb_log_file_size = 4M
innodb_log_buffer_size = 2M
innodb_undo_tablespaces = 0
innodb_autoextend_increment = 1
innodb_temp_data_file_path = ibtmp1:1M:autoextend
innodb_flush_log_at_trx_commit = 2
innodb_doublewrite = OFF
key_buffer_size = 64K
aria_pagecache_buffer_size = 1M
CONF
cat >/etc/systemd/system/mariadb.service.d/50-slurmrest.conf <<'CONF'
[Service]
RuntimeDirectory=mysqld
ExecStartPre=
ExecStart=
ExecStart=/usr/sbin/mariadbd
ExecStartPost=
CONF

# The journal belongs to this start of this node: kept in memory, it is in no image made of it.
install -d -m 0755 /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/50-slurmrest.conf

# Options of apt that were for building this image only.
rm -f /etc/apt/apt.conf.d/99mmdebstrap

# Every start gets a machine id of its own.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
