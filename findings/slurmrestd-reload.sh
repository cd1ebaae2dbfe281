#!/usr/bin/env bash
# Software: slurmrestd 22.05.8 and its unit (Debian 12: slurmrestd 22.05.8-4+deb12u3)
# Expected: "systemctl reload slurmrestd" reads the configuration anew: the unit has ExecReload=/bin/kill -HUP $MAINPID.
# Seen: slurmrestd has no handler for SIGHUP and ends by it (128+1), without a line in its log; requests under way are cut off.
# Meaning: reload is a stop, and the unit has no Restart=. Handlers and hooks that prefer reload to restart take the service down. Reset
#   ExecReload= in a drop-in; restart instead.
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

unit=root/lib/systemd/system/slurmrestd.service
grep -E '^(ExecReload|Restart)=' "$unit"
setpriv --reuid nobody --regid nogroup --clear-groups slurmrestd -s openapi/v0.0.38 127.0.0.1:6820 2>slurmrestd.log &
for _ in $(seq 60); do ! (: >/dev/tcp/127.0.0.1/6820) 2>/dev/null || break; sleep 0.5; done
(: >/dev/tcp/127.0.0.1/6820)
kill -HUP $!
code=0
wait $! 2>/dev/null || code=$?
echo "after its reload signal slurmrestd ended with $code; its log has $(wc -l <slurmrestd.log) lines"
[ "$code" -eq 129 ] && grep -q '^ExecReload=.*-HUP' "$unit" && ! grep -q '^Restart=' "$unit" || exit 1
