#!/usr/bin/env bash
# Software: openapi-python-client 0.29.1 and the document of slurmrestd 22.05.8 (Debian 12)
# Expected: the generator makes one function for each operation, or says which it leaves out.
# Seen: slurmrestd gives operations of two API versions the same operationId (slurmctld_get_jobs and others, 11 of them). The
#   generator names its files by operationId and lets the second overwrite the first: 42 operations, 31 files, exit 0.
#   Its warnings are about other things (YAML bodies).
# Meaning: the client has get_jobs for one version, whichever came last, and none for the other. Serve the generator one version
#   only (slurmrestd -s openapi/v0.0.38) and count what came out.
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
    munge=0.5.15-2+deb12u1 libmunge2=0.5.15-2+deb12u1 libjwt0=1.10.2-1+deb12u1 libb64-0d=1.2-5+b1 slurmrestd=$slurm \
    libhttp-parser2.9=2.9.4-5 libjson-c5=0.16-2 libyaml-0-2=0.2.5-1 2>/dev/null
  for package in *.deb; do dpkg-deb -x "$package" root; done
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" -q install openapi-python-client==0.29.1 2>/dev/null
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
mkdir run && chown nobody run
setpriv --reuid nobody --regid nogroup --clear-groups slurmrestd -a rest_auth/local -s openapi/v0.0.36,openapi/v0.0.37,openapi/v0.0.38 \
  unix:"$WORK/run/socket" 2>slurmrestd.log &
for _ in $(seq 60); do [ ! -S run/socket ] || break; sleep 0.5; done

curl -s --unix-socket run/socket http://localhost/openapi >openapi.json
counts=$(python3 -c "import json
methods = [m for p in json.load(open('openapi.json'))['paths'].values() for k, m in p.items() if k in ('get', 'post', 'put', 'delete')]
ids = [m['operationId'] for m in methods if 'operationId' in m]
print(len(methods), len(ids) - len(set(ids)))")
read -r operations ids <<<"$counts"
code=0
timeout 120 "$WORK/venv/bin/openapi-python-client" generate --path openapi.json --meta none --output-path client >said 2>&1 || code=$?
files=$(find client/api -name '*.py' ! -name __init__.py | wc -l)
echo "$operations operations, $ids of them with an operationId used before; generator: exit $code, $files files"
echo "what it said about a duplicate: $(grep -ciE 'duplicate|overwrit|already' said || true) lines; said: $(head -c 300 said | tr '\n' ' ')"
[ "$code" -eq 0 ] && [ "$files" -eq $((operations - ids)) ] && [ "$ids" -gt 0 ] && ! grep -qiE 'duplicate|overwrit|already' said || exit 1
