#!/bin/sh
# Inside the new root file system: an ordinary user, the network, and what the kernel wants.
set -eu
update-ca-certificates >/dev/null 2>&1
echo vm >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 vm\n::1 localhost\n' >/etc/hosts
printf '/dev/ubda / ext4 defaults 0 1\n' >/etc/fstab
: >/etc/machine-id
# The network of slirp4netns.
printf '[Match]\nName=vec*\n[Network]\nAddress=10.0.2.100/24\nGateway=10.0.2.2\n' >/etc/systemd/network/10-vm.network
systemctl -q enable systemd-networkd ssh
systemctl -q disable systemd-networkd-wait-online systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer || true
useradd --create-home --shell /bin/bash ci
printf 'ci ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/ci
for home in /root /home/ci; do
    install -d -m 700 "$home/.ssh"
    install -m 600 /root/authorized_keys "$home/.ssh/authorized_keys"
done
chown -R ci:ci /home/ci/.ssh
# MariaDB reserves 8 TiB of addresses, of which this kernel has fewer; in containers of Podman, too.
mkdir -p /etc/mysql/mariadb.conf.d /etc/containers/containers.conf.d
printf '[mariadbd]\nloose_innodb_buffer_pool_size_max = 128M\n' >/etc/mysql/mariadb.conf.d/98-vm.cnf
printf '[containers]\nvolumes = ["%s:%s:ro"]\n' /etc/mysql/mariadb.conf.d/98-vm.cnf /etc/mysql/mariadb.conf.d/98-vm.cnf \
    >/etc/containers/containers.conf.d/20-addresses.conf
for unit in slurmctld slurmdbd slurmd slurmrestd; do
    systemctl -q disable "$unit" 2>/dev/null || true # not configured yet
done
if [ -x /usr/sbin/iptables-legacy ]; then
    # This kernel has no nftables for IPv4; Podman's network and Docker's are made by iptables here.
    printf '[network]\nfirewall_driver = "iptables"\n' >/etc/containers/containers.conf.d/10-kernel.conf
    update-alternatives --set iptables /usr/sbin/iptables-legacy
    update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy
fi
if [ -d /root/tree ]; then
    # The environment of scripts/slurmrest, which is made here so that each machine does not have to.
    mv /root/tree /home/ci/slurmrest-toolkit
    chown -R ci:ci /home/ci/slurmrest-toolkit
    runuser -u ci -- sh -c 'cd && slurmrest-toolkit/scripts/slurmrest --version'
fi
if getent group docker >/dev/null; then
    usermod -aG docker ci
    systemctl -q disable docker.service containerd.service # the socket starts it
    systemctl -q enable docker.socket
fi
echo 'nameserver 10.0.2.3' >/etc/resolv.conf
rm -f /root/prepare.sh /root/authorized_keys
