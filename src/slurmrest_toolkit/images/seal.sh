#!/bin/sh
# Runs as root in a node that the playbooks have converged, before an image is made of it. Stops the daemons, takes away
# what belongs to this node and this run alone, and prints the path and size of each shared key. Those files stay, empty,
# with their owner and mode. A node started from the image waits at boot until slurmrest-renew has filled them.
set -eu

for unit in nginx slurmrestd slurmd slurmctld slurmdbd mariadb munge; do
    ! systemctl --quiet is-active "$unit" || systemctl stop "$unit"
done

for key in /etc/munge/munge.key /etc/slurm/slurm.key /var/lib/slurm/jwt/jwt_hs256.key; do
    [ -e "$key" ] || continue
    stat --format='%n:%s' "$key"
    : >"$key"
done
: >/etc/ssh/authorized_keys
rm -f /etc/slurmrest-gateway/*
# Empty, not absent: systemd then makes a new one without taking this for the first boot ever.
: >/etc/machine-id
chmod 0444 /etc/machine-id
rm -rf /etc/ssh/ssh_host_* /etc/apt/apt.conf.d/90slurmrest-stale-index /root/.ansible /home/admin/.ansible \
    /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/munge/munged.seed \
    /var/lib/mysql/ib_buffer_pool /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/lib/apt/lists/*
# Controllers that share their state have it on a volume of the cluster, which is a new one each time and root's.
if mountpoint -q /var/lib/slurm/slurmctld; then
    stat --format='d %n %#a %U %G' /var/lib/slurm/slurmctld >/etc/tmpfiles.d/slurmrest-state.conf
fi
for directory in /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /tmp /var/tmp; do
    [ ! -d "$directory" ] || find "$directory" -mindepth 1 -delete
done
find /var/log -type f -exec truncate --size=0 {} +

cat >/usr/local/sbin/slurmrest-renew <<'SCRIPT'
#!/bin/sh
# slurmrest-renew keys [OPTION …] fill the files named on standard input, one "path base64" a line; let the daemons start;
#                                 print the public host key. Options go to slurmrest-enrol.
# slurmrest-renew wait            wait for that
# slurmrest-renew reach KEY PORT  wait for the daemon on the host that this key of slurm.conf names
set -eu
renewed=/run/slurmrest-renewed
case ${1-} in
    wait)
        mkfifo -m 0600 "$renewed" 2>/dev/null || [ -p "$renewed" ]
        read -r _ <"$renewed"
        ;;
    reach)
        host=$(sed -n "s/^$2=\([^(]*\).*/\1/p" /etc/slurm/slurm.conf | head -n 1)
        # The pause reads from a pipe that nobody writes to: no process is started while the daemons are.
        exec bash -c 'exec 9<> <(:); until { : >"/dev/tcp/$0/$1"; } 2>/dev/null; do read -r -t 0.01 -u 9; done; exit 0' \
            "$host" "$3"
        ;;
    keys)
        shift
        while read -r path data; do
            printf %s "$data" | base64 -d >"$path"
        done
        slurmrest-enrol "$@"
        [ ! -x /usr/local/sbin/slurmrest-certify ] || slurmrest-certify
        mkfifo -m 0600 "$renewed" 2>/dev/null || [ -p "$renewed" ]
        timeout 90 sh -c 'echo >"$1"' sh "$renewed" || {
            echo "no unit of this node waits for its keys (systemctl status slurmrest-renew*)" >&2
            exit 1
        }
        rm -f /etc/systemd/system/multi-user.target.wants/slurmrest-renew*.service
        ;;
esac
SCRIPT
chmod 0755 /usr/local/sbin/slurmrest-renew

# gate NAME ARGUMENTS AFTER BEFORE: a unit that ends when slurmrest-renew does.
gate() {
    cat >"/etc/systemd/system/$1.service" <<UNIT
[Unit]
Description=Gate of the daemons until this node has its keys (slurmrest-renew $2)
After=$3
Before=$4
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/slurmrest-renew $2
TimeoutStartSec=60
UNIT
    ln -s "../$1.service" "/etc/systemd/system/multi-user.target.wants/$1.service"
}
enabled() {
    [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]
}
gate slurmrest-renew wait '' 'munge.service slurmdbd.service slurmctld.service slurmd.service slurmrestd.service nginx.service'
# MariaDB needs nothing of what else happens at boot, and everything waits for it.
if enabled mariadb; then
    printf '[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n' \
        >/etc/systemd/system/mariadb.service.d/60-slurmrest-early.conf
fi
# Without a state of its own, slurmctld ends at once when there is no slurmdbd; slurmd waits long to register again.
if enabled slurmctld && grep -q '^AccountingStorageHost=' /etc/slurm/slurm.conf; then
    gate slurmrest-renew-slurmctld 'reach AccountingStorageHost 6819' \
        'slurmrest-renew.service slurmdbd.service' slurmctld.service
    # slurmctld of newer releases refuses a state of which a file was never saved, which takes it minutes: one that is
    # killed before would not start again. Without its clustername it takes what there is.
    cat >/usr/local/sbin/slurmrest-young <<'SCRIPT'
#!/bin/sh
cd /var/lib/slurm/slurmctld || exit
for file in assoc_usage fed_mgr_state job_state node_state resv_state trigger_state; do
    [ -e "$file" ] || rm -f clustername
done
SCRIPT
    chmod 0755 /usr/local/sbin/slurmrest-young
    mkdir -p /etc/systemd/system/slurmctld.service.d
    printf '[Service]\nExecStartPre=+/usr/local/sbin/slurmrest-young\n' \
        >/etc/systemd/system/slurmctld.service.d/60-slurmrest-young.conf
fi
if enabled slurmd; then
    gate slurmrest-renew-slurmd 'reach SlurmctldHost 6817' 'slurmrest-renew.service slurmctld.service' slurmd.service
fi
