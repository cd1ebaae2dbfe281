"""Disks of virtual machines: a Debian from its packages alone, with its kernel; nothing is downloaded besides.

They are kept in the clone, below ``.slurmrest/vm``, under the hash of what went into them. Making one takes root.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".slurmrest" / "vm"
PREPARE = Path(__file__).with_name("prepare.sh")
AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""What this host trusts besides its distribution's authorities, and so do the machines."""

NEEDED = {name: name for name in ("mmdebstrap", "slirp4netns", "patchelf")} | {"mkfs.ext4": "e2fsprogs"}
"""Programs of this host, with Debian's packages of them."""

KERNEL, MODULES = "usr/bin/linux.uml", "usr/lib/uml/modules"
LIBRARIES = ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6")
"""The machine's kernel is its suite's, whatever this host has: a program, with the loader and library it wants."""

SIZE = "24G"
"""Of a disk; what is not written takes no room."""

SUITE = "trixie"
PLAIN = (
    *(
        "systemd-sysv",
        "systemd-timesyncd",
        "udev",
        "kmod",
        "apparmor",
        "apparmor-profiles",
        "dbus",
        "dbus-user-session",
    ),
    *("libpam-systemd", "openssh-server", "sudo", "uidmap", "iproute2", "procps", "ca-certificates", "curl"),
    *("python3", "python3-venv", "python3-apt", "user-mode-linux"),
)
"""A server as an administrator gets it, with an ordinary user."""

DOCKER = ("docker" + ".io", "docker-cli")
FLAVOURS = {
    "engines": (
        "podman",
        "netavark",
        "aardvark-dns",
        "passt",
        "nftables",
        "iptables",
        "crun",
        *DOCKER,
        "mmdebstrap",
        "zstd",
    ),
    "site": (
        *("slurmctld", "slurmdbd", "slurmd", "slurmrestd", "slurm-client", "slurm-wlm-jwt-plugin"),
        *("munge", "mariadb-server"),
    ),
}
"""What machines have besides: container engines, or Slurm as the distribution has it, not configured."""


@dataclass(frozen=True)
class Image:
    """One disk: its ``folder`` holds ``disk``, ``kernel``, the ``known_host``, and the key let in (``id_ed25519``)."""

    flavour: str

    @property
    def packages(self) -> tuple[str, ...]:
        """What is installed."""
        return (*PLAIN, *FLAVOURS[self.flavour])

    @property
    def folder(self) -> Path:
        """Where it is kept, made or not."""
        parts = [SUITE, *self.packages, PREPARE.read_text(encoding="utf-8"), *settings().values()]
        parts += [str(path) for path in trusted()]
        parts.append((ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"))
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return KEPT / f"{self.flavour}-{key}"


def missing() -> list[str]:
    """Return Debian's packages of programs that this host lacks."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [package for program, package in NEEDED.items() if shutil.which(program, path=path) is None]


def trusted() -> list[Path]:
    """Return the certificates that this host trusts besides."""
    return sorted(AUTHORITIES.glob("*.crt"))


def settings() -> dict[str, str]:
    """Return the files by which a machine reaches package servers as this host does: what apt and pip are told here."""
    known = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
    dumped = subprocess.run(["apt-config", "dump", *known], capture_output=True, text=True, check=False).stdout
    variables = {"http_proxy", "https_proxy", "no_proxy"}
    proxies = [f"{name}={value}\n" for name, value in os.environ.items() if name.lower() in variables]
    pip = [f"index-url = {os.environ['PIP_INDEX_URL']}\n"] if "PIP_INDEX_URL" in os.environ else []
    return {
        "/etc/apt/apt.conf.d/90host": dumped,
        "/etc/pip.conf": "".join(("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ntimeout = 180\n", *pip)),
        "/etc/environment": "".join(proxies),
    }


def made(image: Image) -> Path:
    """Return the folder of an image, making it where it is not there yet.

    Raises:
        subprocess.CalledProcessError: a program failed; its words are on the terminal.
    """
    folder = image.folder
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{image.flavour}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making it
        if not (folder / "disk").exists():
            make(image, folder)
    return folder


def make(image: Image, folder: Path) -> None:
    """Make an image in its folder; older ones of its kind go."""
    for old in KEPT.glob(f"{image.flavour}-*"):
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    tree = folder / "tree"
    try:
        build(image, tree)
        key = (tree / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()
        (folder / "known_host").write_text(f"vm {key[0]} {key[1]}\n", encoding="ascii")
        take_kernel(folder, tree)
        run("mkfs.ext4", "-q", "-F", "-d", str(tree), str(folder / "disk.part"), SIZE)
        (folder / "disk.part").rename(folder / "disk")
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def build(image: Image, tree: Path) -> None:
    """Fill a folder with the root file system."""
    folder = tree.parent
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", str(folder / "id_ed25519"))
    given = folder / "given"
    for path, text in settings().items():
        (given / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (given / path[1:]).write_text(text, encoding="utf-8")
    for certificate in trusted():
        (given / str(AUTHORITIES)[1:]).mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, given / str(AUTHORITIES)[1:])
    (given / "root").mkdir()
    shutil.copy(PREPARE, given / "root")
    shutil.copy(folder / "id_ed25519.pub", given / "root/authorized_keys")
    if image.flavour == "engines":
        clone(given / "root/tree")
    run(
        *("mmdebstrap", "--format=directory", "--variant=minbase", f"--include={','.join(image.packages)}"),
        *('--aptopt=Acquire::Check-Valid-Until "false"', "--dpkgopt=force-unsafe-io"),
        f'--customize-hook=tar -C "{given}" --owner=0 --group=0 -c . | tar -C "$1" --keep-directory-symlink -x',
        '--customize-hook=cp /etc/resolv.conf "$1"/etc/resolv.conf',
        '--customize-hook=chroot "$1" sh /root/prepare.sh',
        *(SUITE, str(tree)),
    )
    shutil.rmtree(given)


def take_kernel(folder: Path, tree: Path) -> None:
    """Take the kernel out of a root file system, so that it runs on this host, and leave its modules where it looks."""
    (folder / "kernel").mkdir()
    for name in (KERNEL, *LIBRARIES):
        shutil.copy(tree / name, folder / "kernel")
    loader = folder / "kernel" / Path(LIBRARIES[0]).name
    words = ("--set-interpreter", str(loader), "--set-rpath", str(loader.parent))
    run("patchelf", *words, str(folder / "kernel" / Path(KERNEL).name))
    (tree / "usr/lib/modules").mkdir(exist_ok=True)
    for version in (tree / MODULES).iterdir():
        version.rename(tree / "usr/lib/modules" / version.name)


def clone(target: Path) -> None:
    """Copy what is in version control, as it is in the working tree."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    names = b"\0".join(name for name in listed.split(b"\0") if name and os.path.lexists(ROOT / name.decode()))
    target.mkdir()
    tar = ["tar", "-C", str(ROOT), "--null", "-T", "-", "-c"]
    packed = subprocess.run(tar, input=names, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-C", str(target), "-x"], input=packed, check=True)


def run(*argv: str) -> None:
    """Run a program that must not fail; others on this machine go first."""
    subprocess.run(["nice", "-n", "5", *argv], check=True)
