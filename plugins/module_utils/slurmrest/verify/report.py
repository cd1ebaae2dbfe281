"""What a verification found: a result of each check, and the report of all."""

from __future__ import annotations

from dataclasses import dataclass

from ..redaction import redacted
from ..rest.session import Exchange

LIMITATIONS = (
    "Slurm does not look at the claims nbf, iat, iss and aud: until its exp a token is good, whatever they say.",
)


@dataclass(frozen=True)
class Result:
    """A check and its outcome. ``seconds`` is the time spent in its requests, and in waiting for the job."""

    id: str
    title: str
    ok: bool | None
    seconds: float
    detail: str
    cause: str
    remedy: str
    exchanges: tuple[Exchange, ...] = ()
    cause_id: str = ""
    minor: bool = False

    def __post_init__(self) -> None:
        # They quote what the daemon answered, and anything may be in that.
        for name in ("detail", "cause", "remedy"):
            object.__setattr__(self, name, redacted(getattr(self, name)))

    @property
    def method(self) -> str:
        """The method of the first request, or an empty string."""
        return self.exchanges[0].method if self.exchanges else ""

    @property
    def path(self) -> str:
        """The path of the first request, or an empty string."""
        return self.exchanges[0].path if self.exchanges else ""


@dataclass(frozen=True)
class Report:
    """The results of one run. ``seconds`` is the whole run, ``requests`` the number of requests sent.

    ``latency`` holds the samples (seconds) of the check of that name. ``warnings`` is what takes away from the proof as
    a whole, ``limitations`` what nobody can prove because Slurm does not do it.
    """

    url: str
    slurm_version: str | None
    api_versions: tuple[str, ...]
    api_version: str | None
    checks: tuple[Result, ...]
    seconds: float
    requests: int
    latency: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    limitations: tuple[str, ...] = LIMITATIONS

    def __post_init__(self) -> None:
        for name in ("warnings", "limitations"):
            object.__setattr__(self, name, tuple(map(redacted, getattr(self, name))))

    @property
    def ok(self) -> bool:
        """No check failed."""
        return all(check.ok is not False for check in self.checks)
