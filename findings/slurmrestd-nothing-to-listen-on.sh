#!/usr/bin/env bash
# Software: slurmrestd 22.05.8 (Debian 12)
# Expected: a daemon without an address to listen on says so and fails, as slurmctld does without a port.
# Seen: without arguments and SLURMRESTD_LISTEN it takes standard input for a connection (as under inetd). With /dev/null there, as
#   under systemd, it ends at once: exit 0, not one line.
# Meaning: a drop-in that empties ExecStart's addresses and misspells the variable is "inactive (dead)", Result=success; Restart=on-failure
#   does not act and nothing is in the journal. After a start, look at the socket, not at the unit's result.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

if [ -z "${WORK:-}" ]; then # outside: packages into a temporary folder, then all daemons in namespaces of their own
  [ "$(id -u)" = 0 ] # namespaces want root
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  cd "$work"
  slurm=22.05.8-4+deb12u3
  apt-get -qq download slurmrestd=$slurm libhttp-parser2.9=2.9.4-5 libjson-c5=0.16-2 libyaml-0-2=0.2.5-1 \
    slurm-wlm-basic-plugins=$slurm 2>/dev/null
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
cat >slurm.conf <<END
ClusterName=finding
SlurmctldHost=finding(10.99.0.1)
SlurmUser=root
PluginDir=$WORK/root/usr/lib/x86_64-linux-gnu/slurm-wlm
NodeName=node1 State=FUTURE
PartitionName=all Nodes=node1 Default=YES
END

code=0
setpriv --reuid nobody --regid nogroup --clear-groups env SLURMRESTD_LISTENS=127.0.0.1:6820 \
  timeout 20 slurmrestd -s openapi/v0.0.38 </dev/null >said 2>&1 || code=$?
echo "slurmrestd with a misspelt SLURMRESTD_LISTEN: exit $code, $(wc -c <said) bytes of output"
[ "$code" -eq 0 ] && [ ! -s said ] || exit 1
