#!/usr/bin/env bash
# Software: Slurm 22.05.8 (Debian 12: slurmctld and slurm-wlm-jwt-plugin 22.05.8-4+deb12u3)
# Expected: slurmctld reads the JWT key when it starts; a new key counts after a restart, as for every other part of AuthAltParameters.
# Seen: the key file is mapped into memory, not read. Written over in place (cp, dd, a text editor that keeps the inode) the new key is
#   live in the same second, no reload, no line in the log: all tokens out there are refused, new ones are signed with the new key. A file
#   moved over the old one (mv, install, Ansible's copy) changes nothing until a restart.
# Meaning: "prepare the new key now, restart tonight" is an outage at once or nothing at all, by how the file was written. Replace
#   it by a rename, then restart.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

if [ -z "${WORK:-}" ]; then # outside: packages into a temporary folder, then all daemons in namespaces of their own
  [ "$(id -u)" = 0 ] # namespaces want root
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  cd "$work"
  slurm=22.05.8-4+deb12u3
  apt-get -qq download slurmctld=$slurm slurm-client=$slurm slurm-wlm-basic-plugins=$slurm slurm-wlm-jwt-plugin=$slurm \
    munge=0.5.15-2+deb12u1 libmunge2=0.5.15-2+deb12u1 libjwt0=1.10.2-1+deb12u1 libb64-0d=1.2-5+b1 2>/dev/null
  for package in *.deb; do dpkg-deb -x "$package" root; done
  cd "$OLDPWD"
  code=0
  WORK=$work timeout -k 5 180 unshare -n -u -p -f --kill-child bash "$0" || code=$?
  [ "$code" -le 2 ] || code=2
  exit "$code"
fi

cd "$WORK"
export LD_LIBRARY_PATH=$WORK/root/usr/lib/x86_64-linux-gnu:$WORK/root/usr/lib/x86_64-linux-gnu/slurm-wlm
export PATH=$WORK/root/usr/sbin:$WORK/root/usr/bin:$PATH SLURM_CONF=$WORK/slurm.conf
hostname finding
ip link set lo up
ip address add 10.99.0.1/32 dev lo
for key in munge.key jwt.key; do (umask 077 && head -c 64 /dev/urandom >"$key"); done
munged --force --key-file="$WORK/munge.key" --socket="$WORK/munge" --pid-file="$WORK/munged.pid" \
  --log-file="$WORK/munged.log" --seed-file="$WORK/munged.seed" 2>/dev/null
mkdir state
cat >slurm.conf <<END
ClusterName=finding
SlurmctldHost=finding(10.99.0.1)
SlurmUser=root
PluginDir=$WORK/root/usr/lib/x86_64-linux-gnu/slurm-wlm
AuthInfo=socket=$WORK/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$WORK/jwt.key
StateSaveLocation=$WORK/state
SlurmctldPidFile=$WORK/slurmctld.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
NodeName=node1 State=FUTURE
PartitionName=all Nodes=node1 Default=YES
END
ln -s slurmctld-wlm root/usr/sbin/slurmctld # the name decides what the daemon loads
slurmctld -D 2>slurmctld.log &
for _ in $(seq 60); do ! scontrol ping 2>/dev/null | grep -q UP || break; sleep 0.5; done
scontrol ping | grep -q UP

works() { if SLURM_JWT=$1 squeue -h >/dev/null 2>&1; then echo accepted; else echo refused; fi; }
token() { scontrol token lifespan=600 | cut -d= -f2-; }
new_key() { (umask 077 && head -c 64 /dev/urandom >new.key); }

first=$(token)
before=$(works "$first")
new_key
mv new.key jwt.key
moved=$(works "$first")
mv jwt.key aside.key
kill $!
wait $! || true
mv aside.key jwt.key
slurmctld -D 2>slurmctld2.log &
for _ in $(seq 60); do ! scontrol ping 2>/dev/null | grep -q UP || break; sleep 0.5; done
second=$(token)
restarted=$(works "$first")/$(works "$second")
new_key
cp new.key jwt.key
copied=$(works "$second")/$(works "$(token)")
echo "old token: $before; a new key moved over the file: $moved; after a restart, old/new token: $restarted"
echo "a new key copied into the file of the running daemon, old/new token: $copied"
[ "$before $moved $restarted $copied" = "accepted accepted refused/accepted refused/accepted" ] || exit 1
