"""The package manager as it is asked, refused and run: with what it really said on Debian 13, and a played one."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.packages import manager as package_manager
from slurmrest.packages.manager import POLICY_TEXT, Apt, Dnf, PackageRequest, install, manager, restore_policy, settle
from slurmrest.slurm import package_plan
from slurmrest.transaction.baseline import Baseline

if TYPE_CHECKING:
    from collections.abc import Sequence

EVIDENCE = Path(__file__).parents[1] / "evidence" / "packages"
REMEDY = "Allowed: none."


class Played:
    """A host whose programs say what they are told to say."""

    def __init__(self, simulated: str, *, status: int = 0, update: int = 0) -> None:
        self.simulated, self.status, self.update = simulated, status, update
        self.asked: list[list[str]] = []
        self.policy = ""
        self.active = "inactive"

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        """Answer one program."""
        self.asked.append(list(argv))
        if "--simulate" in argv or "--assumeno" in argv:
            return subprocess.CompletedProcess(argv, self.status, self.simulated, "")
        if argv[-1] == "update":
            return subprocess.CompletedProcess(argv, self.update, "", "E: Failed to fetch https://me:hunter2@index\n")
        if argv[0] == "env":
            self.policy = Path(package_manager.POLICY).read_text()
        return subprocess.CompletedProcess(argv, 0, f"ActiveState={self.active}\n", "")

    def runs(self) -> list[list[str]]:
        """What was run that changes the host, without environment and options."""
        words = [[word for word in argv if "=" not in word] for argv in self.asked if argv[0] == "env"]
        return [argv for argv in words if "--simulate" not in argv]


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host with no lock held and no policy of its own."""
    monkeypatch.setattr(package_manager, "POLICY", str(tmp_path / "policy-rc.d"))
    monkeypatch.setattr(package_manager, "POLICY_KEPT", str(tmp_path / "policy-rc.d.slurmrest-kept"))
    monkeypatch.setattr(settle, "__defaults__", (str(tmp_path / "lock"), 5.0))
    return tmp_path


def said(name: str) -> str:
    return (EVIDENCE / f"{name}.txt").read_text()


def test_a_site_keeps_its_slurm() -> None:
    played = Played(said("apt-debian-over-smd"))
    with pytest.raises(SlurmrestError) as caught:
        install(PackageRequest(("slurmrestd",)), Apt(played), check=False, remedy=REMEDY)
    words = str(caught.value)
    for name in ("", "-client", "-slurmctld", "-slurmd", "-slurmdbd", "-slurmrestd"):
        assert f"slurm-smd{name} 24.11.5-1" in words
    assert "The whole plan: remove: slurm-smd 24.11.5-1, " in words
    assert "install: slurm-wlm-basic-plugins 24.11.5-4+deb13u1" in words
    assert words.endswith(REMEDY)
    assert [argv[-1] for argv in played.runs()] == ["update"]


def test_what_only_adds_is_installed_and_remembered(host: Path) -> None:
    played = Played(said("apt-install"))
    origin = Baseline(state_dir=str(host / "state"))
    remember = "slurmrestd_service-beta"
    asked = PackageRequest(("slurmrestd",))
    done = install(asked, Apt(played), check=False, remedy=REMEDY, remember=remember, origin=origin)
    assert done["changed"]
    assert done["installed"] == ["libhttp-parser2.9", "slurmrestd"]
    assert done["plan"] == ["install: libhttp-parser2.9 2.9.4-6+b2, slurmrestd 24.11.5-4+deb13u1"]
    assert done["warnings"] == []
    assert sorted(origin.remembered(remember)["packages"]) == ["libhttp-parser2.9", "slurmrestd"]
    ran = played.asked[-1]
    assert ran[ran.index("--assume-yes") :] == ["--assume-yes", "--no-remove", "install", "slurmrestd"]
    assert played.policy == POLICY_TEXT
    assert not Path(package_manager.POLICY).exists()


@pytest.mark.parametrize("flags", [(), ("--assume-yes", "--no-remove")], ids=["asked", "run"])
def test_nothing_else_happens_whatever_the_host_configured(flags: tuple[str, ...]) -> None:
    played = Played(said("apt-install"))
    install(PackageRequest(("slurmrestd",)), Apt(played), check=False, remedy=REMEDY)
    words = next(argv for argv in played.asked if set(flags or ("--simulate",)) <= set(argv))
    for word in (
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C",
        "NEEDRESTART_SUSPEND=1",
        "--no-install-recommends",
        "--option=APT::Get::AutomaticRemove=false",
        "--option=APT::Get::allow-downgrades=false",
        "--option=Dpkg::Options::=--force-confold",
        "--option=Dpkg::Options::=--force-confdef",
    ):
        assert word in words, word


def test_check_mode_asks_with_an_index_of_its_own() -> None:
    played = Played(said("apt-install"))
    done = install(PackageRequest(("slurmrestd",)), Apt(played), check=True, remedy=REMEDY)
    assert done["plan"] == ["install: libhttp-parser2.9 2.9.4-6+b2, slurmrestd 24.11.5-4+deb13u1"]
    assert done["changed"]
    for argv in played.asked:
        assert any(word.startswith("--option=Dir::State::Lists=") for word in argv), argv
    assert [argv[-1] for argv in played.runs()] == ["update"]


def test_an_index_that_cannot_be_read_is_said_and_the_old_one_used() -> None:
    played = Played(said("apt-install"), update=100)
    done = install(PackageRequest(("slurmrestd",)), Apt(played), check=False, remedy=REMEDY)
    assert done["warnings"] == ["apt-get update: E: Failed to fetch https://(redacted)@index"]
    played = Played(said("apt-install"), update=100)
    install(PackageRequest(("slurmrestd",)), Apt(played), check=True, remedy=REMEDY)
    assert not [word for word in played.asked[-1] if word.startswith("--option=Dir::")]


def test_where_the_index_could_not_be_read_that_comes_before_what_is_not_in_it() -> None:
    """The remedy was dpkg's, of which nothing had been interrupted."""
    with pytest.raises(SlurmrestError) as caught:
        install(PackageRequest(("slurmrestd",)), Apt(Played("", status=100, update=100)), check=False, remedy=REMEDY)
    assert str(caught.value).startswith("apt-get update: E: Failed to fetch https://(redacted)@index apt-get cannot")
    assert caught.value.remedy == "Mend the package sources first."


def deb(package: str, version: str, *needs: str) -> str:
    depends = "".join(f"Depends: {', '.join(needs)}\n" if needs else "")
    return f"Package: {package}\nVersion: {version}\n{depends}"


FILES = {
    "/tmp/a.deb": deb("slurm-smd", "25.05.9-1", "libc6 (>= 2.38)", "munge"),
    "/tmp/b.deb": deb("slurm-smd-client", "25.05.9-1", "slurm-smd (= 25.05.9-1)", "munge"),
    "/tmp/c.deb": deb("slurm-smd-slurmctld", "25.05.9-1", "slurm-smd (= 25.05.9-1)"),
    "/tmp/d.deb": deb("slurm-smd-slurmrestd", "25.05.9-1", "slurm-smd (= 25.05.9-1)", "libhttp-parser2.9"),
}


class WithFiles(Played):
    """The same, with package files."""

    def __init__(self, simulated: str, installed: str) -> None:
        super().__init__(simulated)
        self.installed = installed

    def __call__(self, argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        """Answer one program."""
        if "dpkg-query" in argv:
            return subprocess.CompletedProcess(argv, 0, self.installed, "")
        if "dpkg-deb" in argv:
            path = argv[list(argv).index("--field") + 1]
            return subprocess.CompletedProcess(argv, 0 if path in FILES else 2, FILES.get(path, ""), "no archive")
        return super().__call__(argv)


@pytest.mark.parametrize(
    ("installed", "taken"),
    [
        ("", ["/tmp/a.deb", "/tmp/d.deb"]),
        ("installed slurm-smd-client 24.11.5-1\nconfig-files slurm-smd-slurmctld 24.11.5-1\n",
         ["/tmp/a.deb", "/tmp/b.deb", "/tmp/d.deb"]),
        ("installed slurm-smd 25.05.9-1\n", ["/tmp/d.deb"]),
    ],
    ids=["bare", "upgrade", "rest of it"],
)  # fmt: skip
def test_a_host_takes_the_files_of_its_components_in_one_transaction(installed: str, taken: list[str]) -> None:
    played = WithFiles(said("apt-smd-upgrade"), installed)
    install(PackageRequest(files=tuple(FILES), components=("slurmrestd",)), Apt(played), check=False, remedy=REMEDY)
    ran = [argv[argv.index("install") + 1 :] for argv in played.asked if "install" in argv]
    assert ran == [taken, taken], "asked, then run"


RENEWED = """\
Inst slurm-smd [25.05.8-1] (25.05.9-1 local [amd64]) []
Inst slurm-smd-slurmctld [25.05.8-1] (25.05.9-1 local [amd64])
Inst slurm-smd-slurmrestd [25.05.8-1] (25.05.9-1 local [amd64])
"""


@pytest.mark.parametrize(
    ("simulated", "active", "consent", "why"),
    [
        (RENEWED, "active", False, "would renew slurm-smd-slurmctld 25.05.8-1 -> 25.05.9-1, which runs and restarts"),
        (RENEWED, "active", True, ""),
        (RENEWED, "inactive", False, ""),
        (
            RENEWED.replace("25.05.8", "24.11.5"),
            "active",
            True,
            "would bring another release under a daemon that runs: slurm-smd-slurmctld 24.11.5-1 -> 25.05.9-1",
        ),
        (RENEWED.replace("25.05.8-1", "site"), "active", True, "which releases these are is not known"),
    ],
    ids=["unasked", "with consent", "not running", "another release", "no versions"],
)
def test_files_renew_daemons_that_run_with_consent_and_within_their_release(
    simulated: str, active: str, consent: bool, why: str
) -> None:
    """A controller that runs was put on other packages by a deployment that was to bring slurmrestd alone."""
    played = WithFiles(simulated, "installed slurm-smd-slurmctld 24.11.5-1\n")
    played.active = active
    request = PackageRequest(files=tuple(FILES), components=("slurmrestd",), consent=consent)
    if why:
        with pytest.raises(SlurmrestError, match=re.escape(why)):
            install(request, Apt(played), check=False, remedy=REMEDY)
        assert [argv[-1] for argv in played.runs()] == ["update"]
    else:
        assert install(request, Apt(played), check=False, remedy=REMEDY)["changed"]


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        ({"slurmctld": "25.05.9-1", "slurmrestd": "25.05.9-1"}, ""),
        ({"slurmctld": "25.05.8-2", "slurmrestd": "25.05.9-1"}, "bring slurmctld 25.05.9-1, and 25.05.8-2 was judged"),
        ({"slurmrestd": "25.05.9-1"}, "would bring slurmctld 25.05.9-1, and no change was judged"),
        (
            {"slurmctld": "25.05.9-1", "slurmdbd": "25.05.9-1", "slurmrestd": "25.05.9-1"},
            "would bring slurmdbd as it is, and 25.05.9-1 was judged",
        ),
    ],
)
def test_an_upgrade_is_the_one_that_was_judged(judged: dict[str, str], why: str) -> None:
    """The index was older than the sources when it was judged, and a controller became another release unseen."""
    played = Played(RENEWED)
    request = PackageRequest(("slurm-smd",), upgrade=True, judged=judged)
    if why:
        with pytest.raises(SlurmrestError, match=why):
            install(request, Apt(played), check=False, remedy=REMEDY)
        assert [argv[-1] for argv in played.runs()] == ["update"]
    else:
        assert install(request, Apt(played), check=False, remedy=REMEDY)["changed"]


def test_what_dnf_renews_was_not_installed_for_us() -> None:
    """Its plan does not say what was there before; uninstalling named a library of the site's."""
    said = """\
================================================================================
 Package            Architecture  Version         Repository  Size
================================================================================
Installing:
 slurm-slurmrestd   x86_64        25.05.9-1.el9   site        1.2 M
Upgrading:
 json-c             x86_64        0.15-2.el9      baseos      40 k

Transaction Summary
================================================================================
Install  1 Package
Upgrade  1 Package
"""
    done = install(PackageRequest(("slurm-slurmrestd",)), Dnf(Played(said)), check=True, remedy=REMEDY)
    assert done["installed"] == ["slurm-slurmrestd"]


def test_files_that_dnf_would_renew_under_a_daemon_are_refused() -> None:
    """The scripts of RPMs restart daemons, and nothing tells them not to."""
    plan = package_plan.Plan((package_plan.PackageChange("upgrade", "slurm-slurmctld", "", "25.05.9-1"),))
    (change,) = package_plan.daemons(plan).values()
    assert "scripts restart it unasked" in package_plan.renewed(change, restarts=True, consent=True)


def test_files_that_are_installed_ask_nobody() -> None:
    played = WithFiles("", "installed slurm-smd 25.05.9-1\ninstalled slurm-smd-slurmrestd 25.05.9-1\n")
    request = PackageRequest(files=tuple(FILES), components=("slurmrestd",))
    done = install(request, Apt(played), check=False, remedy=REMEDY)
    assert not done["changed"]
    assert played.asked == []


def test_what_is_no_package_file() -> None:
    with pytest.raises(SlurmrestError, match=r"/tmp/x\.rpm is no package file of Debian: no archive"):
        install(PackageRequest(files=("/tmp/x.rpm",)), Apt(WithFiles("", "")), check=True, remedy=REMEDY)


def test_what_is_there_is_no_change() -> None:
    played = Played(said("apt-smd-same"))
    done = install(PackageRequest(("slurm-smd",)), Apt(played), check=False, remedy=REMEDY)
    assert done == {"changed": False, "plan": [], "installed": [], "warnings": []}
    assert [argv[-1] for argv in played.runs()] == ["update"]


def test_what_cannot_be_installed_is_said_in_apts_words() -> None:
    played = Played(said("apt-smd-upgrade-unmet"), status=100)
    with pytest.raises(SlurmrestError, match=r"slurm-smd-slurmrestd : Depends: slurm-smd \(= 25\.05\.9-1\) but"):
        install(PackageRequest(("slurm-smd-slurmrestd",)), Apt(played), check=False, remedy=REMEDY)


def test_a_policy_of_the_host_comes_back() -> None:
    policy = Path(package_manager.POLICY)
    policy.write_text("#!/bin/sh\nexit 0\n")
    played = Played(said("apt-install"))
    install(PackageRequest(("slurmrestd",)), Apt(played), check=False, remedy=REMEDY)
    assert played.policy == POLICY_TEXT
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert [path.name for path in policy.parent.glob("policy-rc.d*")] == ["policy-rc.d"]


def test_the_policy_of_a_run_that_was_cut_off_goes() -> None:
    policy, kept = Path(package_manager.POLICY), Path(package_manager.POLICY_KEPT)
    policy.write_text(POLICY_TEXT)
    kept.write_text("#!/bin/sh\nexit 0\n")
    restore_policy()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    policy.write_text(POLICY_TEXT)
    restore_policy()
    assert not policy.exists()


def test_which_package_manager() -> None:
    assert isinstance(manager("Debian"), Apt)
    assert isinstance(manager("RedHat"), Dnf)
    with pytest.raises(InputError, match="slurm_packages_source: 'Suse' is refused"):
        manager("Suse")


def test_a_package_manager_at_work_is_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    settle(str(lock))
    lock.touch()
    hold = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SlurmrestError, match=r"has held .*lock for 0 s"):
            settle(str(lock), 0.1)
        threading.Timer(0.3, other.stdin.close).start()
        began = time.monotonic()
        settle(str(lock), 30)
        assert 0.1 < time.monotonic() - began < 20
