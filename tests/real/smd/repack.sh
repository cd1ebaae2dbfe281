# repack.sh DEBS OUT [VERSION]: of Debian's packages of Slurm in DEBS, make ones that are named, split and related like
# those of the debian/control in Slurm's own source: one package with every plugin, and each part conflicts with
# Debian's. No account is made and no alternative is used; daemons are enabled and started, as debhelper does it.
set -eu
debs=$1 out=$2
work=$(mktemp -d)
mkdir -p "$out"
upstream=$(dpkg-deb -f "$(ls "$debs"/slurmrestd_*.deb)" Version | sed -e 's/^[0-9]*://' -e 's/-[^-]*$//')
version=${3:-$upstream-1}

pack() { # name, conflicts, Debian's packages...
    name=slurm-smd${1:+-$1} conflicts=$2 depends=munge units=
    tree=$work/$name
    shift 2
    mkdir -p "$tree/DEBIAN"
    for part in "$@"; do
        dpkg-deb -x "$debs/$part"_*.deb "$tree"
        # What Debian's package needs, but for parts of Debian's Slurm.
        depends=$depends,$(dpkg-deb -f "$debs/$part"_*.deb Depends Pre-Depends | sed -e 's/^[A-Za-z-]*://' | tr ',\n' '\n\n' |
            sed -e 's/^ *//' -e '/^ *$/d' | grep -Ev '^(slurm|adduser|ucf|lsb-base|init-system|debconf|libslurm)' | paste -sd,)
    done
    rm -rf "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/lintian" "$tree/etc/init.d"
    for daemon in "$tree"/usr/sbin/*-wlm; do
        if [ -e "$daemon" ]; then mv "$daemon" "${daemon%-wlm}"; fi
    done
    for unit in $(find "$tree" -name 'slurm*.service'); do units="$units ${unit##*/}"; done
    [ "$name" = slurm-smd ] || depends="slurm-smd (= $version),$depends"
    cat > "$tree/DEBIAN/control" <<CONTROL
Package: $name
Source: slurm-smd
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: test of a site <root@localhost>
Depends: $(echo "$depends" | tr ',' '\n' | sed '/^ *$/d' | sort -u | paste -sd, | sed 's/,/, /g')
Conflicts: $conflicts
Section: admin
Priority: optional
Description: Slurm, packed as its own source does it
CONTROL
    if [ -n "$units" ]; then
        cat > "$tree/DEBIAN/postinst" <<POSTINST
#!/bin/sh
set -e
[ "\$1" = configure ] || exit 0
for unit in$units; do
    deb-systemd-helper enable "\$unit" > /dev/null || true
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload > /dev/null || true
        deb-systemd-invoke \$(if [ -n "\$2" ]; then echo restart; else echo start; fi) "\$unit" > /dev/null || true
    fi
done
POSTINST
        chmod 755 "$tree/DEBIAN/postinst"
    fi
    dpkg-deb --root-owner-group -Znone --build "$tree" "$out/${name}_${version}_$(dpkg --print-architecture).deb" > /dev/null
}

library=$(cd "$debs" && for deb in libslurm[0-9]*.deb; do if [ -e "$deb" ]; then echo "${deb%%_*}"; fi; done)
pack "" "slurm-wlm, slurm-wlm-basic-plugins, slurm-wlm-jwt-plugin, slurm-wlm-mysql-plugin, slurm-wlm-plugins" \
    $library slurm-wlm-basic-plugins slurm-wlm-jwt-plugin slurm-wlm-mysql-plugin
pack client "slurm-client, slurm-client-emulator" slurm-client
pack slurmctld slurmctld slurmctld
pack slurmd slurmd slurmd
pack slurmdbd slurmdbd slurmdbd
pack slurmrestd slurmrestd slurmrestd
rm -rf "$work"
