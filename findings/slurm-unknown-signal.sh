#!/usr/bin/env bash
# Software: Slurm 24.11.5 (Debian 13), API v0.0.42
# Expected: DELETE /job/ID?signal=NAME with a signal that does not exist is refused and the job stays as it was.
# Seen: the answer is 200 with errors[] = "Unknown signal (null)", error_number 0, "No error" - and the job is CANCELLED.
# Meaning: a slip in a name (SIGUSR3, USR-1) given to wake or checkpoint a job kills it, and by status the request was a success.
#   Check names against a list of your own before they are sent; number and name forms that exist are fine.
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

id=$(submit "")
state() { chroot . scontrol show job "$id" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p'; }
before=$(state)
status=$(api "job/$id?signal=SIGUSR3" -X DELETE)
said=$(sed -n 's/^ *"\(description\|error\|error_number\)": /\1: /p' answer.json | tr -d '\n')
after=$(state)
echo "job $id is $before; DELETE ?signal=SIGUSR3: $status, $said; the job is $after"
[ "$before $status $after" = "PENDING 200 CANCELLED" ] && grep -q 'Unknown signal' answer.json || exit 1
