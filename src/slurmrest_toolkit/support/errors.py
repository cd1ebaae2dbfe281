"""Errors of the test cluster, told apart by the exit code they end in."""

from __future__ import annotations

from slurmrest.errors import SlurmrestError


class ClusterFailedError(SlurmrestError):
    """Something was tried and failed: exit code 1."""


class CannotRunError(SlurmrestError):
    """This host, or what was asked for, does not allow it; nothing was changed: exit code 2."""


class NoEngineError(CannotRunError):
    """There is no container engine on this host, so there are no containers either."""
