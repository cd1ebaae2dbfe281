"""The package manager of this host: asked what it would do first, and let do it where that is harmless.

Whatever the host's own configuration says, packages are added and nothing else happens: no removal, no downgrade, no
recommended package, no cleaning up, no question about a configuration file, no daemon started or restarted, neither
by their scripts (``policy-rc.d``) nor by needrestart.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import posixpath
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError, SlurmrestError
from ..host import files, programs, reading
from ..host.lock import POLL_SECONDS, host_lock
from ..host.login import proxies
from ..host.programs import Done, Run
from ..redaction import redacted
from ..slurm.package_plan import (
    INSTALL,
    PackageFile,
    Plan,
    apt_plan,
    chosen,
    daemons,
    dnf_plan,
    refusal,
    refused,
    renewed,
    unjudged,
)
from ..systemd.show import running
from ..systemd.systemctl import Systemd
from ..transaction.baseline import Baseline

DPKG_LOCK = "/var/lib/dpkg/lock-frontend"
DPKG_SECONDS = 900
"""Patience for a package manager that is at work: unattended upgrades hold its lock for minutes."""

PACKAGES_SECONDS = 7200.0
"""Patience for our own: one that is ended half-way leaves packages half-way, so this only bounds what is stuck."""

POLICY = "/usr/sbin/policy-rc.d"
POLICY_KEPT = POLICY + ".slurmrest-kept"
POLICY_TEXT = "#!/bin/sh\n# slurmrest.toolkit: no daemon starts while its packages are installed.\nexit 101\n"

ENVIRONMENT = (
    "LC_ALL=C",
    "DEBIAN_FRONTEND=noninteractive",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_SUSPEND=1",
    "NEEDRESTART_MODE=l",
)
APT = (
    "apt-get", "--quiet", "--no-install-recommends",
    "--option=APT::Get::AutomaticRemove=false",
    "--option=APT::Get::allow-downgrades=false",
    "--option=APT::Get::allow-remove-essential=false",
    "--option=APT::Get::allow-change-held-packages=false",
    "--option=APT::Get::force-yes=false",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
    f"--option=DPkg::Lock::Timeout={DPKG_SECONDS}",
)  # fmt: skip
DNF = (
    "dnf",
    "--setopt=install_weak_deps=False",
    "--setopt=clean_requirements_on_remove=False",
    "--setopt=best=True",
)


@dataclass(frozen=True)
class PackageRequest:
    """What shall be there.

    ``names`` and ``files`` are packages and package files to install; with ``upgrade`` names that are installed are
    renewed instead, and nothing is added but what they need; ``judged`` has the versions by daemon that this was judged
    by, and a plan with others is refused. Of the files only what belongs to ``components`` is taken, and may renew what
    is there; daemons that run only within their release, and with ``consent``.
    """

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    upgrade: bool = False
    judged: Mapping[str, str] | None = None
    components: tuple[str, ...] = ()
    consent: bool = False

    @property
    def words(self) -> list[str]:
        """For the command line and for people."""
        return [*self.files, *self.names]


@dataclass
class Apt:
    """Debian and its kin."""

    run: Run = programs.run
    options: list[str] = field(default_factory=list)

    def refresh(self) -> str:
        """Read the index anew; returns what was in the way, or nothing."""
        done = _run(self.run, [*APT, *self.options, "--error-on=any", "update"])
        if done.returncode and "error-on" in done.stderr:  # apt before 2.1 does not know it
            done = _run(self.run, [*APT, *self.options, "update"])
        return "" if done.returncode == 0 else f"apt-get update: {_errors(done.stderr)}"

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Read an index of one's own: check mode leaves that of the host alone."""
        with tempfile.TemporaryDirectory(prefix="slurmrest-") as directory:
            os.chmod(directory, 0o711)  # noqa: S103 apt fetches with an account of its own
            for name in ("lists/partial", "cache/archives/partial"):
                files.make_directory(posixpath.join(directory, name), os.geteuid(), os.getegid(), 0o755)
            self.options = [f"--option=Dir::State::Lists={directory}/lists", f"--option=Dir::Cache={directory}/cache"]
            try:
                if self.refresh():
                    self.options = []  # what the host knows is better than nothing
                yield
            finally:
                self.options = []

    def plan(self, request: PackageRequest) -> Plan:
        """What it would do; SlurmrestError where it cannot."""
        done = _run(self.run, [*APT, *self.options, "--simulate", *_apt_words(request)])
        if done.returncode != 0:
            raise SlurmrestError(
                f"apt-get cannot tell how it would install {' '.join(request.words)}: "
                f"{_unmet(done.stdout)}{_errors(done.stderr)}",
                "Mend that first: dpkg --configure --pending ends what was interrupted.",
            )
        return apt_plan(done.stdout)

    def files(self, paths: Sequence[str]) -> list[PackageFile]:
        """What package files say of themselves; SlurmrestError for one that is none."""
        found = []
        for path in paths:
            done = _run(self.run, ["dpkg-deb", "--field", path, "Package", "Version", "Depends"])
            fields = dict(line.partition(": ")[::2] for line in done.stdout.splitlines())
            if done.returncode != 0 or "Package" not in fields:
                raise SlurmrestError(f"{path} is no package file of Debian: {_last(done.stderr)}")
            needs = tuple(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", fields.get("Depends", "")))
            found.append(PackageFile(path, fields["Package"], fields.get("Version", ""), needs))
        return found

    def installed(self) -> dict[str, str]:
        """Versions of the packages that are installed."""
        done = _run(self.run, ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version}\\n"])
        rows = (line.split() for line in done.stdout.splitlines())
        return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"}

    def apply(self, request: PackageRequest) -> None:
        """Do it, and no more than was planned; SlurmrestError with its words where it fails."""
        with no_daemons_started():
            done = _run(self.run, [*APT, "--assume-yes", "--no-remove", *_apt_words(request)])
        if done.returncode != 0:
            raise SlurmrestError(
                f"apt-get could not install {' '.join(request.words)}: {_errors(done.stderr or done.stdout)}",
                "Mend that and run this again; dpkg --configure --pending ends what was interrupted.",
            )


@dataclass
class Dnf:
    """Red Hat and its kin."""

    run: Run = programs.run

    def refresh(self) -> str:
        """Let the metadata expire; dnf reads it with the next question."""
        return ""

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Nothing to keep apart: dnf asks for what is out of date anyway."""
        yield

    def plan(self, request: PackageRequest) -> Plan:
        """What it would do; SlurmrestError where it cannot."""
        done = _run(self.run, [*DNF, "--refresh", "--assumeno", *_dnf_words(request)])
        # 1 is its answer to the "no", too.
        if done.returncode != 0 and "Operation aborted" not in done.stdout + done.stderr:
            raise SlurmrestError(
                f"dnf cannot tell how it would install {' '.join(request.words)}: {_last(done.stderr or done.stdout)}"
            )
        return dnf_plan(done.stdout)

    def files(self, paths: Sequence[str]) -> list[PackageFile]:
        """What package files say of themselves; SlurmrestError for one that is none."""
        found = []
        for path in paths:
            shown = "%{NAME} %{VERSION}-%{RELEASE}\\n[%{REQUIRENAME}\\n]"
            done = _run(self.run, ["rpm", "--query", "--package", f"--queryformat={shown}", path])
            name, _, rest = done.stdout.partition("\n")
            if done.returncode != 0 or len(name.split()) != 2:
                raise SlurmrestError(f"{path} is no RPM: {_last(done.stderr or done.stdout)}")
            package, version = name.split()
            found.append(PackageFile(path, package, version, tuple(rest.split("\n"))))
        return found

    def installed(self) -> dict[str, str]:
        """Versions of the packages that are installed."""
        done = _run(self.run, ["rpm", "--query", "--all", "--queryformat=%{NAME} %{VERSION}-%{RELEASE}\\n"])
        rows = (line.split() for line in done.stdout.splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 2}

    def apply(self, request: PackageRequest) -> None:
        """Do it; SlurmrestError with its words where it fails."""
        done = _run(self.run, [*DNF, "--assumeyes", *_dnf_words(request)])
        if done.returncode != 0:
            raise SlurmrestError(
                f"dnf could not install {' '.join(request.words)}: {_last(done.stderr or done.stdout)}"
            )


def _run(run: Run, argv: Sequence[str]) -> Done[str]:
    return run(["env", *ENVIRONMENT, *argv], limit=PACKAGES_SECONDS, environment=proxies())


def _apt_words(request: PackageRequest) -> list[str]:
    return ["install", *(["--only-upgrade"] if request.upgrade else []), *request.words]


def _dnf_words(request: PackageRequest) -> list[str]:
    # A file is as good as whoever copied it here; what comes from a repository is checked as the repository says.
    checked = ["--setopt=localpkg_gpgcheck=False"] if request.files else []
    return [*checked, "upgrade" if request.upgrade else "install", *request.words]


def manager(family: str, run: Run = programs.run) -> Apt | Dnf:
    """The package manager of a family of distributions; InputError where it is not known."""
    if family == "Debian":
        return Apt(run)
    if family == "RedHat":
        return Dnf(run)
    raise InputError(
        "slurm_packages_source", family or "unknown distribution", "none (install Slurm first) on this distribution"
    )


def install(
    request: PackageRequest,
    with_: Apt | Dnf,
    *,
    check: bool,
    remedy: str,
    remember: str = "",
    origin: Baseline | None = None,
) -> dict[str, Any]:
    """Ask, judge, and do it: ``plan`` in lines, ``installed`` packages, ``warnings``.

    Args:
        request: what shall be there.
        with_: the package manager.
        check: ask and judge only.
        remedy: what a person can do where it is refused.
        remember: name under which the packages that are about to come are remembered, and slurmrestd's unit.
        origin: where to remember that.

    Raises:
        SlurmrestError: the plan is refused, or the package manager cannot do it. Nothing was installed.
    """
    if isinstance(with_, Apt):
        settle()
        restore_policy()
    if request.files:
        taken = chosen(with_.files(request.files), request.components, with_.installed())
        request = replace(request, files=tuple(file.path for file in taken))
    if not request.words:
        return {"changed": False, "plan": [], "installed": [], "warnings": []}
    behind = "" if check else with_.refresh()
    with with_.apart() if check else contextlib.nullcontext():
        plan = _planned(with_, request, behind)
    reasons = _objections(plan, request, with_)
    if reasons:
        raise refusal(request.words, plan, reasons, remedy)
    installed = [change.package for change in plan.changes if change.action == INSTALL]
    if plan.changes and not check:
        if remember and installed:
            origin = origin or Baseline()
            with host_lock(origin.state_dir):
                unit = {"slurmrestd": Systemd(with_.run).show("slurmrestd")}
                origin.remember(remember, units=unit, packages=installed)
        with_.apply(request)
    return {
        "changed": bool(plan.changes),
        "plan": plan.lines(),
        "installed": installed,
        "warnings": [behind] if behind and plan.changes else [],
    }


def _objections(plan: Plan, request: PackageRequest, with_: Apt | Dnf) -> list[str]:
    """Why the plan may not be carried out. Of daemons that run, slurmrestd has no state, and is restarted anyway."""
    found = refused(plan, upgrade=request.upgrade or bool(request.files))
    if request.upgrade and request.judged is not None:
        found += unjudged(plan, request.judged)
    for daemon, change in daemons(plan).items() if request.files else ():
        if daemon != "slurmrestd" and running(Systemd(with_.run).show(daemon)):
            found.append(renewed(change, restarts=isinstance(with_, Dnf), consent=request.consent))
    return [why for why in found if why]


def _planned(with_: Apt | Dnf, request: PackageRequest, behind: str) -> Plan:
    """The plan; where there is none, an index that could not be read anew is the likely reason."""
    try:
        return with_.plan(request)
    except SlurmrestError as error:
        if not behind:
            raise
        raise SlurmrestError(f"{behind} {error.message}", "Mend the package sources first.") from error


# --- daemons that their packages would start -------------------------------------------------------------------------


@contextlib.contextmanager
def no_daemons_started() -> Iterator[None]:
    """Let no script of a package start or restart a daemon that is not configured yet."""
    if os.path.lexists(POLICY):
        files.rename_beside(POLICY, POLICY_KEPT)
    try:
        files.write(POLICY, POLICY_TEXT.encode(), os.geteuid(), os.getegid(), 0o755)
        yield
    finally:
        restore_policy()


def restore_policy() -> None:
    """Bring back the host's own policy, also after a run that was ended in between."""
    if reading.read_if_there(POLICY) == POLICY_TEXT:
        files.remove(POLICY)
    if os.path.lexists(POLICY_KEPT) and not os.path.lexists(POLICY):
        files.rename_beside(POLICY_KEPT, POLICY)


# --- waiting for others ----------------------------------------------------------------------------------------------


def settle(path: str = DPKG_LOCK, timeout: float = DPKG_SECONDS) -> None:
    """Wait until no package manager is at work: that of a run whose controller was killed goes on to its end."""
    deadline = time.monotonic() + timeout
    while _held(path):
        if time.monotonic() > deadline:
            raise SlurmrestError(
                f"A package manager has held {path} for {timeout:.0f} s.", "Run this again when it has ended."
            )
        time.sleep(POLL_SECONDS)


def _held(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError), open(path, "r+b") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _errors(said: str) -> str:
    lines = [line for line in redacted(said).splitlines() if line.startswith(("E:", "W:", "   "))]
    return " ".join(" ".join(lines).split()) or _last(said)


def _unmet(said: str) -> str:
    _, mark, rest = said.partition("The following packages have unmet dependencies:\n")
    return " ".join(rest.split()) + ". " if mark else ""


def _last(said: str) -> str:
    """Without the logins that addresses of repositories and proxies may have."""
    return " ".join(redacted(said).strip().splitlines()[-3:]) or "it says nothing"
