# A cluster as a site has it: files of its own, and nothing of this toolkit.
set -e
sed -i -e '/^#/d' -e '/^AuthAlt/d' /etc/slurm/slurm.conf /etc/slurm/slurmdbd.conf
rm -rf /var/lib/slurm/jwt /var/lib/slurmrest
systemctl restart slurmdbd slurmctld slurmd
for _ in $(seq 150); do
    sacctmgr -n list cluster && scontrol ping && exit
    sleep 0.2
done
exit 1
