"""What the key set of this host shall be made of, as a module is told, or the timer's command."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import InputError, SlurmrestError
from ..host.places import read
from ..host.reading import UnsafePath
from ..transaction.specs import ServiceSpec
from .sources import TIMEOUT, Source, sources


@dataclass(frozen=True)
class RefreshSettings:
    """What to have where.

    ``path`` is the file of ``jwks=``; ``daemons`` are those of this host, slurmdbd first, with how to ask them;
    ``primary`` says that slurmctld of this host is the one that ``scontrol reconfigure`` reaches; ``timeout`` is for
    each issuer, in seconds.
    """

    path: str
    issuers: tuple[Source, ...]
    daemons: tuple[ServiceSpec, ...] = ()
    slurm_conf: str | None = None
    primary: bool = False
    timeout: float = TIMEOUT

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], documents: Mapping[str, str] | None = None) -> RefreshSettings:
        """Read module parameters, or the file that the timer's command is given; ``documents`` as for `sources`.

        Raises InputError for a bad value.
        """
        names = [entry.name for entry in fields(cls)]
        unknown = sorted(set(data) - set(names))
        if unknown:
            raise InputError("settings", ", ".join(unknown), ", ".join(names))
        path = str(data.get("path") or "")
        if not path.startswith("/") or posixpath.normpath(path) != path or "," in path or path.split() != [path]:
            raise InputError("slurm_common_jwks_path", path, "an absolute path without blanks and commas")
        return cls(
            path=path,
            issuers=sources(data.get("issuers") or (), documents),
            daemons=tuple(ServiceSpec.from_mapping(daemon) for daemon in data.get("daemons") or ()),
            slurm_conf=data.get("slurm_conf") or None,
            primary=bool(data.get("primary")),
            timeout=float(data.get("timeout") or TIMEOUT),
        )

    @classmethod
    def load(cls, file: str) -> RefreshSettings:
        """Read the file of the timer's command. Raises InputError, or SlurmrestError when it cannot be read."""
        try:
            data = json.loads(read(file))
        except (OSError, ValueError, UnsafePath) as error:
            raise SlurmrestError(f"{file} cannot be read: {error}") from None
        return cls.from_mapping(data)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for :meth:`from_mapping`."""
        daemons = [
            {"name": one.name, "timeout": one.timeout, "probes": [{ask.kind: list(ask.target)} for ask in one.probes]}
            for one in self.daemons
        ]
        issuers = [{name: value for name, value in asdict(issuer).items() if value} for issuer in self.issuers]
        return {**asdict(self), "issuers": issuers, "daemons": daemons}

    def text(self) -> str:
        """The file that :meth:`load` reads."""
        return json.dumps(self.as_dict(), indent=4, sort_keys=True) + "\n"
