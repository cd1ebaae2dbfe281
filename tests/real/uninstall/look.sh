# All that must be as before: files with owners and modes, accounts, which units run and start at boot, sockets. Copies
# that the account tools keep of their files, and what a package brings, are not ours.
find /etc /var/lib/slurm /var/lib/slurmrest -path '/var/lib/slurm/slurm*' -prune \
    -o ! -type d ! -name '*shadow*' ! -name 'passwd-' ! -name 'group-' \
    ! -name .pwd.lock ! -name ld.so.cache -printf '%p %u:%g %m %l\n' -exec sha256sum {} + 2>/dev/null | sort
find /etc /var/lib/slurm /run/slurmrestd /var/lib/slurmrest -path '/var/lib/slurm/slurm*' -prune \
    -o -type d -printf '%p %u:%g %m\n' 2>/dev/null | grep -v -e ' /etc/.*apt' -e /etc/ssl | sort
getent passwd slurmrestd
getent group slurmrestd
for unit in munge mariadb slurmdbd slurmctld slurmd slurmrestd; do
    echo "$unit $(systemctl is-active $unit) $(systemctl is-enabled $unit 2>/dev/null | grep -x enabled)"
done
ss -Hltn 'sport = :6820'
ls /run/slurmrestd 2>/dev/null
find / -xdev -name '*slurmrest-rollback*'
true
