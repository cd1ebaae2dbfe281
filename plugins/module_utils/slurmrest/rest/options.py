"""Wishes for a verification, as people state them: refused where they cannot be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import InputError
from .session import Wishes

MAX_IDLE_CLIENTS = 1000
MAX_SAMPLES = 10000

_API_VERSION = re.compile(r"v\d+\.\d+\.\d+\Z")


@dataclass(frozen=True)
class Options(Wishes):
    """What to verify, as :class:`.session.Wishes` says. Raises InputError for a bad value."""

    def __post_init__(self) -> None:
        if self.api_version is not None and not _API_VERSION.match(self.api_version):
            raise InputError("api_version", self.api_version, "a version such as v0.0.42")
        if not self.timeout > 0:
            raise InputError("timeout", self.timeout, "seconds, more than 0")
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise InputError("samples", self.samples, f"1 to {MAX_SAMPLES}")
        if not 0 <= self.idle_clients <= MAX_IDLE_CLIENTS:
            raise InputError("idle clients", self.idle_clients, f"0 to {MAX_IDLE_CLIENTS}")
        if self.job and not self.job.timeout > 0:
            raise InputError("job timeout", self.job.timeout, "seconds, more than 0")
        if self.job and not os.path.isabs(self.job.directory):
            raise InputError("job directory", self.job.directory, "an absolute path on the compute nodes")
