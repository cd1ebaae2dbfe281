#!/usr/bin/env bash
# Software: Slurm 22.05.8 (Debian 12: slurmctld 22.05.8-4+deb12u3)
# Expected: AuthAltTypes=auth/jwt loads the JWT plugin, or slurmctld says why not, by whatever name the program is started.
# Seen: Debian's file is /usr/sbin/slurmctld-wlm; /usr/sbin/slurmctld is an alternative pointing to it. Started as slurmctld-wlm
#   the daemon runs, is UP, logs not one word about JWT, and "scontrol token" says "Error fetching token", no more. The same
#   file started through a link named slurmctld issues tokens. Slurm asks for the program's own name before it loads AuthAltTypes.
# Meaning: units, containers and supervisors have to start slurmctld by exactly this name. Under another one it is a cluster
#   without JWT whose configuration is right and whose log is clean.
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

token() { # $1: the name to start the daemon by; prints what "scontrol token" says
  "$1" -D 2>"$1.log" &
  for _ in $(seq 60); do ! scontrol ping 2>/dev/null | grep -q UP || break; sleep 0.5; done
  scontrol ping | grep -q UP
  scontrol token lifespan=60 2>&1 | sed 's/\(SLURM_JWT=...\).*/\1.../'
  kill $! && wait $! || true
}
ln -s slurmctld-wlm root/usr/sbin/slurmctld
real=$(token slurmctld-wlm)
link=$(token slurmctld)
echo "slurmctld-wlm: scontrol token says '$real', lines about jwt in its log: $(grep -ci jwt slurmctld-wlm.log || true)"
echo "slurmctld:     scontrol token says '$link'"
case "$real|$link" in "Error fetching token|SLURM_JWT="*) ;; *) exit 1 ;; esac
