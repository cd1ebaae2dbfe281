"""What the last words of a daemon mean for who runs it, and what to do about them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_STEPS = (
    ("CHDIR", "enter the directory that the unit names", "WorkingDirectory="),
    ("NICE|IOPRIO|SETSCHEDULER|CPUAFFINITY", "give it the turns that the unit names", "Nice=, IO… and CPU…="),
    ("LIMITS", "set a limit of the unit", "the lines Limit…="),
    ("OOM_ADJUST", "set how soon it is killed for want of memory", "OOMScoreAdjust="),
    ("STDIN", "open what it shall read from", "StandardInput="),
    ("STDOUT|STDERR", "open the file or the directory that its output goes to", "StandardOutput= and StandardError="),
    ("CHROOT", "enter the tree of files that the unit names", "RootDirectory="),
    ("USER|GROUP", "become the account or the group of the unit", "User=, Group= and SupplementaryGroups="),
    ("CAPABILITIES|SECUREBITS", "set its capabilities", "CapabilityBoundingSet= and AmbientCapabilities="),
    ("CGROUP", "put it into its control group", "Slice= and Delegate="),
    ("PAM", "open its session of PAM", "PAMName="),
    ("NETWORK", "set up its network", "PrivateNetwork= and NetworkNamespacePath="),
    ("SECCOMP|ADDRESS_FAMILIES", "restrict its system calls", "SystemCallFilter= and RestrictAddressFamilies="),
    ("SELINUX_CONTEXT|APPARMOR|SMACK_PROCESS_LABEL", "set its label", "SELinuxContext= and AppArmorProfile="),
    (
        "(?:RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY",
        "make a directory of the unit, or give it to its account",
        "RuntimeDirectory=, StateDirectory=, CacheDirectory=, LogsDirectory= and ConfigurationDirectory=",
    ),
    ("CREDENTIALS", "read a credential that the unit names", "LoadCredential= and SetCredential="),
    ("BPF", "load what filters its packets", "IPAddressDeny=, SocketBindDeny= and RestrictNetworkInterfaces="),
)
"""Steps of systemd before it runs a program (systemd.exec(5), Process Exit Codes): what it cannot do, what says so."""

# Patterns of what slurmctld, slurmdbd and slurmrestd (src/slurmctld, src/slurmdbd, src/common) and systemd say.
_KNOWN = (
    (
        r"not a valid controller",
        "slurm.conf names other controllers than this host.",
        "Compare SlurmctldHost in slurm.conf with what hostname -s says here, and state the one that is meant",
    ),
    (
        r"not configured to run SlurmDBD",
        "slurmdbd.conf names another host for slurmdbd than this one.",
        "Compare DbdHost in slurmdbd.conf with what hostname -s says here, and state the one that is meant",
    ),
    (
        r"CLUSTER NAME MISMATCH",
        "ClusterName is another than that of the state in StateSaveLocation.",
        (
            "State the old ClusterName again; where the new one is meant, and the jobs of the old cluster may go, "
            "remove clustername from StateSaveLocation"
        ),
    ),
    (
        r"[Pp]arsing error|[Uu]nrecognized key|[Pp]arse error|invalid line",
        "The configuration has a line that this release does not take.",
        "Correct that line, in every copy of the file",
    ),
    (
        r"Invalid user for SlurmUser|SlurmUser .* (?:not found|unknown)",
        "There is no account of the name that SlurmUser has.",
        "Make the account, with the same uid on every host, or correct SlurmUser",
    ),
    (
        r"(?i)address already in use",
        "Another process has its port.",
        "ss -lntp shows who has it; end that, or give one of them another port",
    ),
    (
        r"No (?:nodes|partitions) (?:configured|defined)|Duplicated? NodeName|Unable to resolve .* hostlist",
        "What slurm.conf says of nodes and partitions does not go together.",
        "Correct the lines NodeName and PartitionName",
    ),
    (
        r"Incompatible versions|[Cc]an not recover .* state|incompatible version",
        "The state was written by another release, which this one does not read.",
        "Install the release that wrote it, or one up to two releases newer; -i throws the state away, and all jobs",
    ),
    (
        r"status=203/EXEC|Failed to execute|Failed at step EXEC",
        "systemd cannot run the program that the unit names.",
        (
            "See whether the file is there and executable (systemctl cat names it); reinstall its package, or correct "
            "ExecStart="
        ),
    ),
    (
        r"status=226/NAMESPACE|Failed at step NAMESPACE",
        "systemd cannot set up what the unit shall see: a path that it names is not there.",
        "systemctl cat shows ReadOnlyPaths=, ReadWritePaths= and BindPaths=; correct the one that systemd names",
    ),
    *(
        (
            rf"status=2\d\d/(?:{steps})\b|Failed at step (?:{steps})\b",
            f"systemd cannot {what}.",
            f"systemctl cat shows {lines}; correct what it names, or that line",
        )
        for steps, what, lines in _STEPS
    ),
    (
        r"start(?:-pre|-post)? operation timed out",
        "systemd waited in vain for its start to be done.",
        "systemctl cat shows Type=, ExecStartPre= and TimeoutStartSec=; correct the one that does not fit its command",
    ),
    (
        r"Could not establish a configuration source",
        "It finds no slurm.conf that it may read, and no controller that would send it one.",
        "Put slurm.conf back, where its account may read it; a configless host needs --conf-server or an SRV record",
    ),
    (
        r"oom-kill|[Oo]ut of memory|A process of this unit has been killed by the OOM killer",
        "It was killed for want of memory.",
        "Raise MemoryMax= of the unit where it has one, or give the host more; see what asked for so much",
    ),
    (
        r"core-dump|status=11/SEGV|status=6/ABRT|segfault",
        "It crashed.",
        "coredumpctl info says where; look for the release's known bugs before it is started again",
    ),
)


def meaning(words: Iterable[str]) -> tuple[str, str] | None:
    """What the words with which a daemon ended mean, and what to do (without a full stop); None where no row fits."""
    text = "\n".join(words)
    return next(((cause, remedy) for pattern, cause, remedy in _KNOWN if re.search(pattern, text)), None)


_LOG_KEYS = {"slurmctld": "SlurmctldLogFile", "slurmdbd": "LogFile"}


OF_SYSTEMD = range(200, 246)
"""Exit statuses of systemd's own, before a program runs (systemd.exec(5), Process Exit Codes)."""


def silent(ended: Sequence[str], daemon: str, user: str, exit_status: int = 0) -> tuple[str, str]:
    """The same of words that mean nothing here, and of a daemon of SlurmUser's that left none.

    Older releases tell the journal nothing of a start that fails; a terminal or a file hears of it.
    """
    if exit_status in OF_SYSTEMD:
        return "systemd gives up before it runs: see systemd's words.", "Mend the line of the unit that they mean"
    if ended or daemon not in _LOG_KEYS:
        return "See its own words.", "Mend what it says"
    where = f"setpriv --reuid={user} --regid={user} --init-groups {daemon} -D says it in a terminal"
    return "It left no word of why in the journal.", f"{where}, or set {_LOG_KEYS[daemon]}; mend what it says"
