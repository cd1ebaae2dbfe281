"""Base images of nodes: a plain Debian with systemd and SSH, from the distribution's packages or an ordinary image.

An image's tag names a hash of everything that went in, and it is tagged only when complete.
"""

from __future__ import annotations

import platform
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.prerequisites import for_building, refused
from slurmrest_toolkit.containers.programs import ensure_programs
from slurmrest_toolkit.images.recipes import VERSION_LABEL, Image, digest, remove_old
from slurmrest_toolkit.images.suites import check_series, offered_version, refuse_expired, suite_of
from slurmrest_toolkit.support import processes
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.locks import BUILD, locked, make_private, runtime_directory, state_directory

if TYPE_CHECKING:
    import subprocess

    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.containers.host import Host
    from slurmrest_toolkit.support.progress import Progress

BASE = "localhost/slurmrest-base"
"""Repository of the base images; their tags begin with the suite."""

PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "less",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
"""What a base image has beyond the essential packages: what a minimal server has, and what Ansible needs."""

UNUSED_TOOLS = (
    *("aria_*", "innochecksum", "myisam*", "perror", "replace", "resolve_stack_dump", "mariadbd-safe-helper"),
    *(f"mariadb-{name}" for name in ("binlog", "check", "conv", "import", "plugin", "show", "slap")),
    *(f"mariadb-{name}" for name in ("tzinfo-to-sql", "upgrade", "waitpid")),
)
"""Programs of MariaDB's packages, 5 MB each, that nothing on a node runs."""

DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/lib/*/perl/*/CORE/*",
    *(f"path-exclude=/usr/lib/*/perl/*/auto/Encode/{script}/*" for script in ("CN", "JP", "KR", "TW")),
    *(f"path-exclude=/usr/bin/{tool}" for tool in UNUSED_TOOLS),
)
"""Written to the image's dpkg configuration too: a node that lives for minutes needs no fsync, manuals or headers."""

ASK = """\
APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --simulate install slurmrestd >"$1/asked" || exit
line=$(grep '^Inst slurmrestd ' "$1/asked"); rm "$1/asked"; echo "$line"
case $line in 'Inst slurmrestd ({series}.'*) ;; *) exit 1 ;; esac"""
"""mmdebstrap's hook that ends a build of a suite which offers another series than this one."""

PREPARE = Path(__file__).with_name("prepare-base.sh")


def base_key(*ingredients: str) -> str:
    """Return the digest of everything that goes into a base image."""
    return digest((*ingredients, platform.machine(), *PACKAGES, *DPKG_OPTIONS, PREPARE.read_text(encoding="utf-8")))


def suite_name(series: str) -> str:
    """Return the name of the base image of the suite that carries a Slurm series, made or not."""
    suite = suite_of(series)
    return f"{BASE}:{suite}-{base_key(suite)}"


def suite_image(engine: Engine, host: Host, progress: Progress, series: str, *, allow_stale: bool) -> Image:
    """Return the base image of the suite that carries a Slurm series, building it where it is not there yet.

    Args:
        engine: the container engine.
        host: the host as detected.
        progress: told what happens.
        series: the Slurm series.
        allow_stale: build from a package index past its Valid-Until date; the image is the same.

    Raises:
        CannotRunError: the suite has moved on to another series, or the mirror lags behind.
        ClusterFailedError: the image could not be built.
    """
    suite = suite_of(series)
    name = suite_name(series)
    with locked(
        runtime_directory() / f"image-{suite}.lock",
        waiting=lambda: progress.say(f"waiting for another run that builds the {suite} image"),
    ):
        labels = engine.image_labels(name)
        if labels is not None:
            check_series(labels[VERSION_LABEL], series, f"{suite} has moved on to")
            return Image(name, labels[VERSION_LABEL])
        ensure_programs(for_building(host), host, progress)
        if lacks := refused():
            raise CannotRunError(*lacks)
        options = ('Acquire::Check-Valid-Until "false"',) if allow_stale else ()
        progress.update(f"building {suite} from the distribution's packages")
        version = build_suite(engine, series, options, name)
        remove_old(engine, BASE, f"{suite}-", keep=name)
        return Image(name, version)


def build_suite(engine: Engine, series: str, options: tuple[str, ...], name: str) -> str:
    """Build and import the base image of the suite with a Slurm series; returns the version that the suite offers now.

    mmdebstrap's own mirror and the host's proxy settings apply. As soon as it has read the suite's index, slurmrestd is
    looked for, and the build ends where it is of another series.

    Raises:
        CannotRunError: the suite has moved on to another series, or the mirror lags behind.
        ClusterFailedError: mmdebstrap failed.
    """
    suite = suite_of(series)
    workshop = state_directory() / BUILD
    shutil.rmtree(workshop / suite, ignore_errors=True)  # what a killed run left
    make_private(workshop)
    (workshop / suite).mkdir(mode=0o700)
    archive = workshop / suite / "root.tar"
    try:
        done = processes.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                *(f"--aptopt={option}" for option in options),
                *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
                f"--extract-hook={ASK.format(series=series)}",
                f"--customize-hook=upload {shlex.quote(str(PREPARE))} /root/prepare-base.sh",
                '--customize-hook=chroot "$1" sh /root/prepare-base.sh',
                '--customize-hook=rm "$1"/root/prepare-base.sh',
                suite,
                str(archive),
            ]
        )
        version = judge(done, suite, series)
        engine.import_image(archive, name, {VERSION_LABEL: version})
    finally:
        shutil.rmtree(workshop / suite, ignore_errors=True)
    return version


def judge(done: subprocess.CompletedProcess[str], suite: str, series: str) -> str:
    """Return the version that a suite offers from what mmdebstrap came to.

    Raises:
        CannotRunError: the suite has moved on to another series or has no Slurm, or the mirror lags behind.
        ClusterFailedError: mmdebstrap failed.
    """
    refuse_expired(done.stdout, suite)
    last = "\n".join(done.stdout.splitlines()[-12:])
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    failed = ClusterFailedError(f"mmdebstrap could not build {suite} ({ended}):\n{last}")
    told = re.search(r"^(Inst slurmrestd |E: )", done.stdout, re.MULTILINE)
    if done.returncode < 0 or (done.returncode and not told):  # killed, by the kernel for want of memory perhaps
        raise failed
    version = offered_version(done.stdout, suite)
    check_series(version, series, f"{suite} has moved on to")
    if done.returncode:
        raise failed
    return version


def ordinary_image(engine: Engine, progress: Progress, base: str, series: str | None) -> Image:
    """Return a base image made from an ordinary image such as ``debian:12``, which is pulled where it is not there.

    Args:
        engine: the container engine.
        progress: told what happens.
        base: the image's name.
        series: the Slurm series asked for; None takes what the image's package sources offer.

    Raises:
        CannotRunError: the image has no apt, or offers another Slurm series.
        ClusterFailedError: it could not be pulled or prepared.
    """
    with locked(
        runtime_directory() / "image-ordinary.lock",
        waiting=lambda: progress.say("waiting for another run that prepares an image"),
    ):
        if engine.image_labels(base) is None:
            progress.update(f"pulling {base}")
            engine.call("pull", base)
        identity = engine.call("image", "inspect", "--format={{.Id}}", base).strip()
        name = f"{BASE}:image-{base_key(identity)}"
        labels = engine.image_labels(name)
        if labels is None:
            progress.update(f"preparing {base}")
            prepare_ordinary(engine, base, name, series)
            labels = engine.image_labels(name) or {}
        version = labels[VERSION_LABEL]
        if series is not None:
            check_series(version, series, f"{base} offers")
        return Image(name, version)


def prepare_ordinary(engine: Engine, base: str, name: str, series: str | None) -> None:
    """Install what an ordinary image lacks in a container made from it, and commit that as a base image."""
    label = f"slurmrest.build={runtime_directory()}"  # where the lock is: accounts that share a Docker have others
    engine.remove_containers([left.name for left in engine.containers(label)])  # of a killed run: this one has the lock
    container = engine.call("run", "--detach", f"--label={label}", base, "sleep", "3600").strip()
    try:
        if engine.try_call("exec", container, "sh", "-c", "command -v apt-get") is None:
            raise CannotRunError(f"--image {base} has no apt-get.", "Use an image of Debian or Ubuntu.")
        engine.execute(container, "apt-get", "-qq", "update")
        simulation = engine.execute(container, "apt-get", "--simulate", "install", "slurmrestd")
        version = offered_version(simulation, base)
        if series is not None:
            check_series(version, series, f"{base} offers")
        options = "\n".join(DPKG_OPTIONS)
        engine.execute(container, "sh", "-c", "cat >/etc/dpkg/dpkg.cfg.d/50-slurmrest", text=f"{options}\n")
        install = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install"
        engine.execute(container, "sh", "-c", f"{install} {' '.join(PACKAGES)} && apt-get clean")
        engine.execute(container, "sh", text=PREPARE.read_text(encoding="utf-8"))
        engine.commit(container, name, {VERSION_LABEL: version})
    finally:
        engine.remove_containers([container])
