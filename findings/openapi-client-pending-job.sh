#!/usr/bin/env bash
# Software: openapi-python-client 0.29.1 with Slurm 24.11.5 (Debian 13), API v0.0.42
# Expected: a client generated from slurmrestd's own OpenAPI document reads what this slurmrestd answers.
# Seen: it submits a job and dies with a TypeError when it asks for it: "job_resources" is null until a job has nodes, and the document says
#   that it is an object (job_res, not nullable). The same answer is plain JSON and right.
# Meaning: submit-and-wait with a generated client fails for every job that has to wait, and works on an idle cluster, where it was tried.
#   Make job_resources nullable in the document before the client is generated.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

if [ -z "${WORK:-}" ]; then # outside: packages into a temporary folder, then all daemons in namespaces of their own
  [ "$(id -u)" = 0 ] # namespaces want root
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  slurm=24.11.5-4+deb13u1
  packages=slurmctld=$slurm,slurmrestd=$slurm,slurm-client=$slurm,slurm-wlm-basic-plugins=$slurm,slurm-wlm-jwt-plugin=$slurm,munge
  mmdebstrap --quiet --variant=extract --include="$packages" trixie "$work/root" 2>/dev/null
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" -q install openapi-python-client==0.29.1 2>/dev/null
  code=0
  WORK=$work timeout -k 5 180 unshare -m -n -u -p -f --kill-child bash "$0" || code=$?
  [ "$code" -le 2 ] || code=2
  exit "$code"
fi

cd "$WORK/root"
for folder in bin sbin lib lib64; do [ -e $folder ] || ln -s usr/$folder $folder; done
ln -s slurmctld-wlm usr/sbin/slurmctld
mkdir -p dev proc tmp etc/slurm tmp/state
mount --rbind /dev dev
mount -t proc proc proc
hostname finding
ip link set lo up
ip address add 10.99.0.1/32 dev lo
printf '%s:x:%s:%s::/:/bin/sh\n' root 0 0 api 2000 2000 >etc/passwd
printf '%s:x:%s:\n' root 0 api 2000 >etc/group
for key in munge.key jwt.key; do (umask 077 && head -c 64 /dev/urandom >"tmp/$key"); done
chroot . munged --force --key-file=/tmp/munge.key --socket=/tmp/munge --pid-file=/tmp/munged.pid \
  --log-file=/tmp/munged.log --seed-file=/tmp/munged.seed 2>/dev/null
cat >etc/slurm/slurm.conf <<END
ClusterName=finding
SlurmctldHost=finding(10.99.0.1)
SlurmUser=root
AuthInfo=socket=/tmp/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=/tmp/jwt.key
StateSaveLocation=/tmp/state
SlurmctldPidFile=/tmp/slurmctld.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
NodeName=node1 CPUs=4 RealMemory=8000 State=DOWN
PartitionName=all Nodes=node1 Default=YES
END
chroot . slurmctld -D 2>tmp/slurmctld.log &
for _ in $(seq 60); do ! chroot . scontrol ping | grep -q UP || break; sleep 0.5; done
token=$(chroot . scontrol token lifespan=600 | cut -d= -f2-)
SLURM_JWT=daemon chroot --userspec=2000:2000 --groups=2000 . slurmrestd -a rest_auth/jwt -s slurmctld -d v0.0.42 127.0.0.1:6820 2>tmp/rest.log &
for _ in $(seq 60); do ! (: >/dev/tcp/127.0.0.1/6820) 2>/dev/null || break; sleep 0.5; done
api() { # $1: path, the rest goes to curl; the body into answer.json, prints the status
  local url=http://127.0.0.1:6820/slurm/v0.0.42/$1
  shift
  curl -s -o answer.json -w '%{http_code}' -H "X-SLURM-USER-TOKEN: $token" "$url" "$@"
}
submit() { # $1: more fields of the job; prints its id
  job='{"name": "n", "current_working_directory": "/tmp", "environment": ["PATH=/bin"]'"$1}"
  api job/submit -H 'Content-Type: application/json' -d '{"script": "#!/bin/sh\nsleep 9\n", "job": '"$job}" >status
  [ "$(cat status)" = 200 ]
  sed -n 's/^  "job_id": \([0-9]*\).*/\1/p' answer.json
}

SLURM_CONF=/dev/null chroot . slurmrestd --generate-openapi-spec -s slurmctld -d v0.0.42 >document.json 2>/dev/null
timeout 150 "$WORK/venv/bin/openapi-python-client" generate --path document.json --meta none --output-path "$WORK/slurmclient" >said 2>&1
id=$(submit "")
cat >ask.py <<END
import sys
sys.path.insert(0, "$WORK")
import json
from slurmclient.models.v0042_openapi_job_info_resp import V0042OpenapiJobInfoResp
answer = json.load(open("answer.json"))
print(answer["jobs"][0]["job_state"], "job_resources:", answer["jobs"][0]["job_resources"])
try:
    V0042OpenapiJobInfoResp.from_dict(answer)
    print("read")
except TypeError as error:
    print("TypeError:", error)
END
status=$(api "job/$id")
"$WORK/venv/bin/python" ask.py >seen
echo "job $id: $status"
cat seen
[ "$status" = 200 ] && grep -q "'PENDING'.*job_resources: None" seen && grep -q ^TypeError seen || exit 1
