"""The drop-in of this toolkit as tests have it: what it decides on a unit."""

OURS = """\
[Service]
User=slurmrestd
Group=slurmrestd
SupplementaryGroups=
Environment=SLURM_JWT=daemon
Environment="SLURMRESTD_LISTEN=127.0.0.1:6820"
ExecStart=
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS -a rest_auth/jwt
ExecReload=
"""
