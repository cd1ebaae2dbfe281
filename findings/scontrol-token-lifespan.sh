#!/usr/bin/env bash
# Software: Slurm 22.05.8 (Debian 12: slurmctld and slurm-client 22.05.8-4+deb12u3)
# Expected: "scontrol token lifespan=" reads times as --time and time_limit do everywhere else in Slurm (1-00:00:00 a day, infinite
#   no end), or refuses what it cannot read.
# Seen: 1-00:00:00, 01:00:00 and 1h are tokens of 1 second, 60m of 60 seconds (the leading digits, taken as seconds), infinite
#   is the default of 1800 seconds. scontrol exits 0 and says nothing.
# Meaning: a token for a day has expired before it is used, and on the wire "expired" looks like any other refused token. Ask for
#   seconds only, and read exp back from the token that came.
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

life() { # $1: lifespan; prints exp - iat of the token that comes
  token=$(scontrol token lifespan="$1" | cut -d= -f2-)
  claims=$(cut -d. -f2 <<<"$token" | tr -- '-_' '+/')
  while [ $((${#claims} % 4)) -ne 0 ]; do claims=$claims=; done
  claims=$(base64 -d <<<"$claims")
  exp=${claims#*\"exp\":} iat=${claims#*\"iat\":}
  echo $((${exp%%[!0-9]*} - ${iat%%[!0-9]*}))
}
seen=
for lifespan in 3600 1-00:00:00 01:00:00 1h 60m infinite; do
  seconds=$(life "$lifespan")
  echo "lifespan=$lifespan: a token of $seconds s"
  seen="$seen $seconds"
done
[ "$seen" = " 3600 1 1 1 60 1800" ] || exit 1
