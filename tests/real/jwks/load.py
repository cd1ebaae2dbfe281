"""Constant load with tokens that are all good: what was answered, when nothing was, and whether one was refused."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from slurmrest.rest.client import ClientError

if TYPE_CHECKING:
    from tests.real.jwks.conftest import Issued

GOOD, REFUSED, FAILED = "good", "refused", "failed"
PAUSE = 0.02
FAMILIES = {"slurm": "nodes", "slurmdb": "clusters"}
"""What an ordinary user may ask of slurmctld and of slurmdbd."""


@dataclass(frozen=True)
class Sample:
    """One question: monotonic seconds around it, and what became of it."""

    sent: float
    done: float
    verdict: str
    words: str = ""


def judge(issued: Issued, token: str, family: str) -> tuple[str, str]:
    """Ask once. Where the release does not tell a refusal from a daemon that is down, either is a failure."""
    try:
        answer = issued.ask(token, FAMILIES[family], family=family)
        data = answer.json()
    except (ClientError, ValueError) as error:
        return FAILED, str(error)
    words = f"{answer.status} {data.get('errors')}"
    if answer.status == 200 and not data.get("errors") and data.get(FAMILIES[family]):
        return GOOD, words
    distinct = issued.release.bad_token_status != issued.release.ctld_down_status
    refused = answer.status in {401, 403, 511} or (distinct and "authentication" in answer.text.lower())
    return (REFUSED if refused else FAILED), words


class Load:
    """Threads that ask with each token of each daemon, until it ends."""

    def __init__(self, issued: Issued) -> None:
        self.issued = issued
        self.samples: dict[tuple[str, str], list[Sample]] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Load:  # noqa: PYI034 - a test's helper without heirs
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def add(self, name: str, token: str) -> None:
        """Ask with one more token from now on."""
        for family in FAMILIES:
            self.samples[name, family] = []
            thread = threading.Thread(target=self._ask, args=(name, token, family))
            thread.start()
            self._threads.append(thread)

    def _ask(self, name: str, token: str, family: str) -> None:
        while not self._stop.is_set():
            sent = time.monotonic()
            verdict, words = judge(self.issued, token, family)
            self.samples[name, family].append(Sample(sent, time.monotonic(), verdict, words))
            time.sleep(PAUSE)

    def goods(self, since: float) -> int:
        """The least number of good answers that any token has had of any daemon since a time."""
        return min(
            sum(one.verdict == GOOD and one.sent > since for one in list(found)) for found in self.samples.values()
        )

    def longest_gap(self, family: str) -> float:
        """Seconds of the longest time without a good answer of a daemon, to any token; pauses are in it."""
        longest = 0.0
        for (_name, asked), found in self.samples.items():
            good = [one for one in found if one.verdict == GOOD]
            gaps = (later.done - earlier.sent for earlier, later in pairwise(good))
            longest = max(longest, *gaps) if asked == family else longest
        return longest

    def not_good(self) -> list[tuple[str, str, Sample]]:
        """Every question without a good answer, with its token and daemon."""
        return [(*which, one) for which, found in self.samples.items() for one in found if one.verdict != GOOD]
