#!/usr/bin/env bash
# Software: slurmrestd 22.05.8 (Debian 12) and curl
# Expected: a body in chunks (RFC 9112, 7.1: every HTTP/1.1 server must be able to read it) is read like one with a Content-Length.
# Seen: the body with a Content-Length reaches the handler ("Job script not specified"); the same in chunks is answered with 406, Not
#   Acceptable, which speaks of what the client accepts, and the connection ends while the client may still write.
# Meaning: libraries that send a stream or a generator in chunks (requests, httpx, aiohttp, fetch) cannot submit a job that way; some report
#   406, others a broken connection. Give the whole body, or put a proxy in front that reads it first.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

if [ -z "${WORK:-}" ]; then # outside: packages into a temporary folder, then the daemon in namespaces of its own
  [ "$(id -u)" = 0 ] # namespaces want root
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  cd "$work"
  slurm=22.05.8-4+deb12u3
  apt-get -qq download slurm-wlm-basic-plugins=$slurm slurmrestd=$slurm libhttp-parser2.9=2.9.4-5 libjson-c5=0.16-2 \
    libyaml-0-2=0.2.5-1 libjwt0=1.10.2-1+deb12u1 libb64-0d=1.2-5+b1 libmunge2=0.5.15-2+deb12u1 2>/dev/null
  for package in *.deb; do dpkg-deb -x "$package" root; done
  cd "$OLDPWD"
  code=0
  WORK=$work timeout -k 5 60 unshare -n -u -p -f --kill-child bash "$0" || code=$?
  [ "$code" -le 2 ] || code=2
  exit "$code"
fi

cd "$WORK"
export LD_LIBRARY_PATH=$WORK/root/usr/lib/x86_64-linux-gnu:$WORK/root/usr/lib/x86_64-linux-gnu/slurm-wlm
export SLURM_CONF=$WORK/slurm.conf
hostname finding
ip link set lo up
cat >slurm.conf <<END
ClusterName=finding
SlurmctldHost=finding(127.0.0.1)
PluginDir=$WORK/root/usr/lib/x86_64-linux-gnu/slurm-wlm
NodeName=node1 State=FUTURE
PartitionName=all Nodes=node1 Default=YES
END
mkdir run && chown nobody run
setpriv --reuid nobody --regid nogroup --clear-groups root/usr/sbin/slurmrestd -a rest_auth/local -s openapi/v0.0.38 \
  unix:"$WORK/run/socket" 2>slurmrestd.log &
for _ in $(seq 60); do [ ! -S run/socket ] || break; sleep 0.5; done

post() { # prints the status of an empty job, with whatever else curl is told
  env -u LD_LIBRARY_PATH curl -s -o answer -w '%{http_code}' --unix-socket run/socket -H 'Content-Type: application/json' \
    -d '{}' "$@" http://localhost/slurm/v0.0.38/job/submit || true
}
{
  echo "with a length: $(post) $(grep -o 'Job script not specified' answer || true)"
  echo "in chunks: $(post -H 'Transfer-Encoding: chunked')"
} >seen
cat seen
[ "$(cat seen)" = "with a length: 500 Job script not specified
in chunks: 406" ] || exit 1
