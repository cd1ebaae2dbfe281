#!/bin/sh
# Runs as root in a node around the making of an image. `hide` takes away what no two nodes may share and puts it into
# /run, which is not part of an image; `restore` puts it back, but for the key that munge's package made: the roles make
# their own, on this node as on those made of the image. Slurm's daemons are not enabled in the image: a node made
# of it would start them before they are configured.
set -eu
umask 077
stash=/run/slurmrest-hidden
things='etc/ssh/ssh_host_ed25519_key etc/ssh/ssh_host_ed25519_key.pub etc/ssh/authorized_keys etc/machine-id
    etc/apt/apt.conf.d/90slurmrest-stale-index etc/munge/munge.key var/lib/systemd/random-seed'
units='munge slurmdbd slurmctld slurmd slurmrestd'

case $1 in
    hide)
        rm -rf "$stash" /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/lib/apt/lists/* /home/admin/.ansible
        mkdir -p "$stash"
        for thing in $things; do
            [ -e "/$thing" ] || continue
            mkdir -p "$stash/${thing%/*}"
            cp -a "/$thing" "$stash/$thing"
            rm "/$thing"
        done
        for unit in $units; do
            [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] || continue
            echo "$unit" >>"$stash/enabled"
            systemctl --quiet disable "$unit" 2>/dev/null
        done
        # What controllers share is on a volume, which a node made of this image finds as root's: their own again at boot.
        if mountpoint -q /var/lib/slurm/slurmctld; then
            stat --format='d %n %#a %U %G' /var/lib/slurm/slurmctld >/etc/tmpfiles.d/slurmrest-state.conf
        fi
        # Empty, not absent: systemd then makes a new one without taking this for the first boot ever.
        : >/etc/machine-id
        chmod 0444 /etc/machine-id
        ;;
    restore)
        for thing in $things; do
            [ -e "$stash/$thing" ] && [ "$thing" != etc/munge/munge.key ] || continue
            cp -a "$stash/$thing" "/$thing"
        done
        [ ! -e "$stash/enabled" ] || xargs systemctl --quiet enable <"$stash/enabled" 2>/dev/null
        rm -rf "$stash"
        ;;
esac
