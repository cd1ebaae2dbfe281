"""Images of converged nodes carried to another machine, and removed from this one."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.images import archive
from slurmrest_toolkit.images.archive import WARM
from slurmrest_toolkit.images.base import BASE
from slurmrest_toolkit.images.packages import INSTALLED
from slurmrest_toolkit.images.warm import find, naming
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.locks import COPY, LOCKS, locked, state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.images.warm import Recipe

LOADING = "cache_load.lock"
"""Beside the locks of clusters, whose names have no underscore."""


def prune(engine: Engine, *, everything: bool) -> list[str]:
    """Remove what is kept between clusters, unless a container uses it.

    Args:
        engine: the container engine.
        everything: the images with packages and the base images too, which are built from the network.

    Returns:
        The names of the images that went.
    """
    repositories = (WARM, INSTALLED, BASE) if everything else (WARM,)
    names = [f"{repository}:{tag}" for repository in repositories for tag in engine.tags(repository)]
    return [name for name in names if engine.remove_image(name)]


def save(engine: Engine, wanted: Recipe, target: Path) -> None:
    """Write the images of a recipe to a compressed archive, with all that they are built on and without keys.

    Raises:
        CannotRunError: they are not there, or the file cannot be written.
        ClusterFailedError: the engine or the compressor fails.
    """
    if find(engine, wanted) is None:
        raise CannotRunError(
            f"There are no warm images called {wanted.prefix}…",
            "Make them: slurmrest cluster up with the same options.",
        )
    program, *options = ["zstd", "-q", "-T0", "-9"] if shutil.which("zstd") else ["gzip", "-1"]
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with (
            temporary.open("xb") as file,
            subprocess.Popen(
                engine.argv(*save_arguments(engine.name), *wanted.names),
                env=engine.environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            ) as source,
        ):
            assert source.stdout is not None
            packed = subprocess.run([program, *options], stdin=source.stdout, stdout=file, check=False)
            source.stdout.close()  # where nobody reads any longer, the engine would wait for ever to write
            source.wait()
        if source.returncode or packed.returncode:
            codes = f"{engine.name} save: {source.returncode}, {program}: {packed.returncode}"
            raise ClusterFailedError(f"The images could not be written; exit codes: {codes}")
        temporary.replace(target)
    except OSError as error:
        raise CannotRunError(f"{target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_arguments(engine: str) -> list[str]:
    """Return the arguments that write several images to standard output."""
    return ["save", "--multi-image-archive"] if engine == "podman" else ["save"]


def load(engine: Engine, source: Path) -> list[str]:
    """Read images from an archive of :func:`save`, and return the names of those that were not there.

    Raises:
        CannotRunError: there is no such file, or it holds something else; nothing was loaded.
        EngineError: the engine refuses it.
    """
    with copied(source) as copy:
        names = archive.names_in(copy, source)
        with naming():
            before = {f"{WARM}:{tag}" for tag in engine.tags(WARM)}
            new = [name for name in names if name not in before]
            if new:
                for name in before.intersection(names):
                    engine.remove_image(name)  # one of a set that is not whole
                engine.call("load", f"--input={copy}")
    return new


@contextlib.contextmanager
def copied(source: Path) -> Iterator[Path]:
    """Copy an archive to where nobody else writes: what was looked at is what is loaded. The copy is gone afterwards.

    Raises:
        CannotRunError: there is no such file, or it cannot be copied.
    """
    with locked(state_directory() / LOCKS / LOADING, waiting=lambda: None):
        for left in state_directory().glob(f"{COPY}*"):  # of a killed run: this one has the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=COPY, dir=state_directory()) as directory:
            copy = Path(directory) / source.name
            try:
                shutil.copyfile(source, copy)
            except FileNotFoundError:
                raise CannotRunError(f"There is no file {source}.") from None
            except (OSError, shutil.SpecialFileError) as error:
                raise CannotRunError(f"{source} cannot be copied below {state_directory()}: {error}") from error
            yield copy
