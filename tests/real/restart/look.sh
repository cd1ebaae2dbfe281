# What must be as before: the daemons' processes, what they run on, and what waits.
for unit in slurmdbd slurmctld slurmrestd; do
    echo "$unit $(systemctl show -p MainPID,ActiveState "$unit" 2>/dev/null | tr '\n' ' ')"
done
for path in /etc/slurm /etc/default/slurmrestd /etc/systemd/system /var/lib/slurm/jwt /var/lib/slurm/jwks; do
    find "$path" -type f -exec sha256sum {} + 2>/dev/null
done | sort -k2
squeue --all --noheader --format='%i %u %T'
cat /var/lib/slurm/slurmctld/clustername
