"""A slurmrestd that somebody else runs, as far as tests need it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.command.token_options import token_from_file, user_in
from slurmrest.rest.contents import slurm_version

from slurmrest_toolkit.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class RemoteUser:
    """The user of a token in a file, which is read anew for each request: somebody may renew it."""

    name: str
    token_file: Path
    url: str
    api_versions: tuple[str, ...]

    def token(self) -> str:
        """Return the token.

        Raises:
            SlurmrestError: there is none in the file.
        """
        return token_from_file(str(self.token_file), "--slurm-token-file").reveal()

    def client(self) -> Client:
        """Return what sends requests as this user."""
        return Client(self.url, self.name, self.token, self.api_versions)


@dataclass(frozen=True)
class RemoteCluster:
    """A cluster that is known by its REST API alone."""

    url: str
    token_file: Path
    user: str = ""

    @cached_property
    def users(self) -> Mapping[str, RemoteUser]:
        """The token's user by its name.

        Raises:
            SlurmrestError: there is no token, it names no user, or nothing answers.
        """
        token = token_from_file(str(self.token_file), "--slurm-token-file")
        name = self.user or user_in(token, "--slurm-user")
        versions = Client(self.url, name, token.reveal).api_versions
        return {name: RemoteUser(name, self.token_file, self.url, versions)}

    @property
    def api_versions(self) -> tuple[str, ...]:
        """Versions of ``/slurm`` that it serves, oldest first."""
        (user,) = self.users.values()
        return user.api_versions

    @cached_property
    def version(self) -> str:
        """The version of Slurm that it names.

        Raises:
            SlurmrestError: nothing answers.
        """
        (user,) = self.users.values()
        return slurm_version(user.client().get("ping").json()) or "unknown"

    @property
    def release(self) -> str:
        """The series of Slurm: the first two numbers of its version."""
        return ".".join(self.version.split(".")[:2])
