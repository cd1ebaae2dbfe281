#!/bin/sh
# How long the daemons themselves take, in a node that runs: all of them stopped, then started in the order of their
# needs, until slurmrestd serves both statistics. Prints the seconds. $1 is the newest API version.
set -eu
systemctl stop slurmrestd slurmd slurmctld
systemctl stop slurmdbd
systemctl stop mariadb munge
now() { cut -d ' ' -f 1 /proc/uptime; }
begin=$(now)
systemctl start mariadb munge
systemctl start slurmdbd
until bash -c ': >/dev/tcp/127.0.0.1/6819' 2>/dev/null; do sleep 0.01; done
systemctl start slurmctld slurmd slurmrestd
until token=$(scontrol token 2>/dev/null); do sleep 0.02; done
for family in slurm slurmdb; do
    until printf 'X-SLURM-USER-NAME: root\nX-SLURM-USER-TOKEN: %s\n' "${token#SLURM_JWT=}" |
        curl --silent --fail --output /dev/null -H @- "http://127.0.0.1:6820/$family/$1/diag"; do sleep 0.02; done
done
echo "$begin $(now)" | awk '{ printf "%.2f\n", $2 - $1 }'
