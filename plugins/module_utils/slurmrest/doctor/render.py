"""A report of the doctor for people. Pure."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from .remedies import TYPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDTH = 110
_INDENT = "     "
_KEPT = "\0"  # in place of a blank where no line may end


def render_text(report: Mapping[str, Any], *, colour: bool = False) -> str:
    """The report that :meth:`Report.as_dict` gives, as text that ends with a line break.

    Of one host alone it says what that host cannot show (``host`` and ``unseen`` of :class:`here.Examination`).
    """
    version = f"Slurm {report['slurm_version']}" if report["slurm_version"] else "no Slurm found"
    if "host" in report:
        version = f"{version} on {report['host']}"
    return "\n".join([*_findings(report, version, colour=colour), *_unseen(report.get("unseen") or ())]) + "\n"


def _findings(report: Mapping[str, Any], version: str, *, colour: bool) -> list[str]:
    findings = report["findings"]
    if not findings:
        return [f"{_paint('healthy', '32', colour)}: {version}, nothing found"]
    count = "1 cause" if len(findings) == 1 else f"{len(findings)} causes, most likely first"
    lines = [f"{_paint('not healthy', '1;31', colour)}: {version}, {count}"]
    told: dict[str, int] = {}
    for number, finding in enumerate(findings, start=1):
        lines += ["", f"{number:>3}. {_paint(finding['title'], '1', colour)}  [{finding['id']}] on {finding['host']}"]
        lines += _body(finding, number, told)
    return lines


def _unseen(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield from ("", "not seen from this host:")
    for sentence in sentences:
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="   - ", subsequent_indent=_INDENT)


def _body(finding: Mapping[str, Any], number: int, told: dict[str, int]) -> Iterator[str]:
    """The lines of a finding; a consequence that several may have is told under the first of them."""
    yield from _wrapped("", finding["cause"])
    for text in finding["evidence"]:
        yield from _wrapped("seen:    ", text)
    where = [told.setdefault(text, number) for text in finding["consequences"]]
    for text in (text for text, first in zip(finding["consequences"], where) if first == number):
        yield from _wrapped("hence:   ", text)
    for first in sorted({*where} - {number}):
        yield from _wrapped("hence:   ", f"also what is told under {first}")
    yield from _remedy(finding["remedy"])
    if finding["by_hand"]:
        yield from _wrapped("by hand: ", finding["by_hand"])
    yield from _wrapped("see:     ", finding["documentation"])


def _remedy(words: str) -> Iterator[str]:
    """What is typed stays on one line, so that it can be copied."""
    kept = TYPED.sub(lambda match: match[0].replace(" ", _KEPT), words)
    yield from (line.replace(_KEPT, " ") for line in _wrapped("remedy:  ", kept))


def _wrapped(label: str, text: str) -> list[str]:
    blank = " " * len(label)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=_INDENT + label,
        subsequent_indent=_INDENT + blank,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colour else text
