# The binary that a daemon runs from: binary.sh DAEMON. Root may not look at processes of others in every container.
pid=$(systemctl show --value --property=MainPID "$1")
readlink "/proc/$pid/exe" || runuser -u "$(stat -c %U "/proc/$pid")" -- readlink "/proc/$pid/exe"
