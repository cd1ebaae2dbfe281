#!/usr/bin/env bash
# Software: Slurm 22.05.8 (Debian 12) and PyJWT 2.15.1
# Expected: exp is a NumericDate, which RFC 7519 lets have a fraction; time.time() + 600, signed and verified by PyJWT, is a good
#   claim for slurmctld too.
# Seen: PyJWT encodes and verifies both tokens. Slurm takes exp=int(...) and refuses the same token with a fraction in exp:
#   squeue says "Zero Bytes were transmitted or received", slurmctld logs "token expired" ten minutes before that is so.
# Meaning: the log sends people to their clocks and lifetimes, while the number's type is the cause. Whoever makes tokens for Slurm
#   writes exp as a whole number.
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
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" -q install PyJWT==2.15.1 2>/dev/null
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

ask() { # $1: exp as a Python expression
  token=$("$WORK/venv/bin/python" -c "import jwt, time
key = open('$WORK/jwt.key', 'rb').read()
token = jwt.encode({'sun': 'root', 'exp': $1}, key, 'HS256')
jwt.decode(token, key, ['HS256'])
print(token)")
  if SLURM_JWT=$token squeue -h >answer 2>&1; then echo accepted; else echo "refused: $(tail -1 answer)"; fi
}
whole=$(ask 'int(time.time()) + 600')
fraction=$(ask 'int(time.time()) + 600.5')
echo "exp whole:         $whole"
echo "exp with fraction: $fraction; slurmctld: $(grep expired slurmctld.log || true)"
[ "$whole" = accepted ] && [ "${fraction%%:*}" = refused ] && grep -q 'token expired' slurmctld.log || exit 1
