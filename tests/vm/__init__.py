"""What no container can show: whole hosts as people have them, as virtual machines made from Debian's packages."""
