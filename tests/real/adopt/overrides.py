"""Overrides of slurmrestd's unit as the quick start and sites write them."""

OVERRIDE = "/etc/systemd/system/slurmrestd.service.d/override.conf"
COMMAND = "ExecStart=\nExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS"
UNIX = "Environment=SLURM_JWT=daemon SLURMRESTD_LISTEN=unix:/run/rest/rest.socket"
ACCOUNT = "User=slurmrestd\nGroup=slurmrestd"
REFUSED = {
    "quick-start": (f"{ACCOUNT}\n{COMMAND}\nEnvironment=SLURM_JWT=daemon SLURMRESTD_LISTEN=:6820", "ExecStart", 5),
    "quick-start-unix": (
        f"{ACCOUNT}\nRuntimeDirectory=rest\n{COMMAND}\n{UNIX}",
        "ExecStart",
        6,
    ),
    "listener-in-command": (f"{ACCOUNT}\n{COMMAND} 127.0.0.1:6820\nEnvironment=SLURM_JWT=daemon", "ExecStart", 5),
    "command-not-reset": (f"{ACCOUNT}\nExecStart=/usr/sbin/slurmrestd 127.0.0.1:6820", "ExecStart", 4),
    "other-configuration": (f"{ACCOUNT}\nEnvironment=SLURM_CONF=/etc/slurm/rest/slurmrestd.conf", "SLURM_CONF", 4),
    "no-environment-files": (f"{ACCOUNT}\nEnvironmentFile=", "EnvironmentFile", 4),
    "no-variables": (f"{ACCOUNT}\nEnvironment=", "SLURM_JWT", 4),
    "account-of-a-moment": ("DynamicUser=yes\nUser=slurmrestd", "DynamicUser", 2),
    "flags-of-an-account": (f"{ACCOUNT}\n{COMMAND} -u slurmrestd -g slurmrestd", "ExecStart", 5),
    "check-of-the-account-off": (
        f"{ACCOUNT}\nEnvironment=SLURMRESTD_SECURITY=disable_user_check",
        "SLURMRESTD_SECURITY",
        4,
    ),
}
"""Lines of override.conf by name, what is said to be decided there, and in which line of the file."""
