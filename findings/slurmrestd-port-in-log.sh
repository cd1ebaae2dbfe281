#!/usr/bin/env bash
# Software: slurmrestd 24.11.5 (Debian 13)
# Expected: the log names the address that was asked for, here 127.0.0.1:6820.
# Seen: "[[::]:42010] Unable to bind socket: Address already in use". The port is printed with its two bytes exchanged: 6820 is 0x1AA4,
#   42010 is 0xA41A. The daemon listens on the right one. (The same for every request's line.)
# Meaning: whoever looks for what occupies port 42010 finds nothing, and firewall or audit rules made from the log are for a port that
#   does not exist. Exchange the bytes before you search: printf '%d' 0x1AA4.
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

code=0
SLURM_JWT=daemon chroot --userspec=2000:2000 --groups=2000 . slurmrestd -a rest_auth/jwt -s slurmctld 127.0.0.1:6820 2>tmp/second.log || code=$?
echo "a second slurmrestd on 127.0.0.1:6820: exit $code, $(tail -1 tmp/second.log)"
grep -q ':42010\] Unable to bind socket: Address already in use' tmp/second.log && ! grep -q ':6820\]' tmp/second.log || exit 1
