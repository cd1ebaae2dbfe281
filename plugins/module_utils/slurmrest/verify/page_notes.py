"""What is to be said of the pages that daemons serve themselves (:mod:`.pages`). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .pages import Pages

SWITCH = "slurm_conf_daemon_http: false closes it (CommunicationParameters=disable_http)"


def notes(found: Iterable[Pages]) -> Iterator[str]:
    """What the release does by default, and who may use it."""
    for pages in found:
        yield (
            f"{pages.daemon} on {pages.host} answers {', '.join(pages.open)} on port {pages.port} without a token, to "
            f"whoever reaches that port, as this host does; {SWITCH}."
        )


def warnings(found: Iterable[Pages]) -> Iterator[str]:
    """What tells of users and jobs."""
    for pages in found:
        if pages.tells:
            yield (
                f"{pages.daemon} on {pages.host} shows jobs and users under /metrics on port {pages.port} to whoever "
                "reaches it, without a token: set MetricsAuthUsers= with SlurmctldHttpAuthParameters=, or "
                f"{SWITCH}."
            )
