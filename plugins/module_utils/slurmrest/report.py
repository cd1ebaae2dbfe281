"""A verification report for people (table), for programs (JSON) and for doing it by hand (curl lines). Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .client import TOKEN_HEADER, USER_HEADER
from .session import BAD_FORGED, BAD_GARBAGE, GARBAGE, JOB, NONE, TOKEN, Exchange
from .verify import Report, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {True: "ok", False: "FAILED", None: "skipped"}
_COLOURS = {True: "32", False: "1;31", None: "33"}


def render_json(report: Report) -> str:
    """The report as one JSON object, with a line break at its end."""
    return json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n"


def render_table(report: Report, *, colour: bool = False) -> str:
    """The report as a table: outcome, check, seconds and detail; cause and remedy under a failure."""
    width = max(len(check.id) for check in report.checks)
    lines = [f"{report.url}  Slurm {report.slurm_version or 'of unknown version'}", ""]
    explained: dict[str, str] = {}
    for check in report.checks:
        word = _paint(f"{_WORDS[check.ok]:<7}", _COLOURS[check.ok], colour)
        seconds = f"{check.seconds:7.3f}" if check.exchanges else " " * 7
        lines.append(f"  {word}  {check.id:<{width}}  {seconds}  {check.detail}".rstrip())
        indent = " " * (width + 22)
        if check.ok is False:
            lines.append(indent + f"proves: {check.title}")
        lines += [indent + line for line in _advice(check, explained)]
    counts = [f"{sum(check.ok is ok for check in report.checks)} {word}" for ok, word in _COUNTED.items()]
    verdict = _paint("all good" if report.ok else "FAILED", _COLOURS[report.ok], colour)
    requests = "1 request" if report.requests == 1 else f"{report.requests} requests"
    lines += ["", f"{verdict}: {', '.join(counts)}; {requests} in {report.seconds:.2f} s", ""]
    return "\n".join(lines)


_COUNTED = {True: "ok", False: "failed", None: "skipped"}


def _advice(check: Result, explained: dict[str, str]) -> Iterable[str]:
    """Cause and remedy; a cause that an earlier check has explained is only referred to."""
    if check.cause and check.cause in explained:
        yield f"cause:  as for {explained[check.cause]}"
        return
    if check.cause:
        explained[check.cause] = check.id
        yield f"cause:  {check.cause}"
    if check.remedy:
        yield f"remedy: {check.remedy}"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colour else text


@dataclass(frozen=True)
class TokenSource:
    """Where a pasted curl line finds the token again: a `file`, an environment `variable`, or neither.

    Without either, the line asks scontrol for a new one for `user`.
    """

    user: str
    file: str = ""
    variable: str = ""

    def command(self) -> str:
        """A shell command that prints the header with the token; the token is in no command's arguments."""
        header = f"{TOKEN_HEADER}: "
        if self.file:
            return f"sed -n '1{{s/^[[:space:]]*//;s/^SLURM_JWT=//;s/^/{header}/;p}}' {shlex.quote(self.file)}"
        if self.variable:
            return (
                f"printf '{header}%s\\n' \"${self.variable}\""  # printf is part of the shell: no process, no arguments
            )
        return f"env -u SLURM_JWT scontrol token username={shlex.quote(self.user)} | sed -n 's/^SLURM_JWT=/{header}/p'"


_HEADER_FILES = {TOKEN: "SLURMREST_HEADER", JOB: "SLURMREST_JOB_HEADER", BAD_FORGED: "SLURMREST_FORGED_HEADER"}


def render_curl(report: Report, source: TokenSource, job_source: TokenSource) -> str:
    """For each check the curl lines that ask the same, after the lines that make the header files they read.

    The block works when pasted into bash. mktemp makes files that only their owner can read.
    """
    exchanges = [exchange for check in report.checks for exchange in check.exchanges]
    used = {exchange.sent_as for exchange in exchanges}
    lines = ["# The token goes from its place into a private file that curl reads, never onto a command line."]
    if used & {TOKEN, BAD_FORGED}:
        lines.append(_header_file(TOKEN, source.command()))
    if JOB in used:
        lines.append(_header_file(JOB, job_source.command()))
    if BAD_FORGED in used:
        zeros = "A" * 43  # 32 bytes of zeros in base64url: a well-formed signature that no key made
        lines.append(_header_file(BAD_FORGED, f"sed 's/\\.[^.]*$/.{zeros}/' \"${_HEADER_FILES[TOKEN]}\""))
    for check in report.checks:
        if check.exchanges:
            lines += ["", f"# {check.id}: {check.title}"]
            lines += dict.fromkeys(curl_line(exchange) for exchange in check.exchanges)
    files = " ".join(f'"${name}"' for sent_as, name in _HEADER_FILES.items() if any(name in line for line in lines))
    if files:
        lines += ["", f"rm -f {files}"]
    return "\n".join(lines) + "\n"


def curl_line(exchange: Exchange) -> str:
    """The curl command that sends the same request and prints answer and status, or only the status of a refusal."""
    words = ["curl", "-sS", "--noproxy", "'*'"]
    base = exchange.target.url
    if exchange.target.scheme == "unix":
        words += ["--unix-socket", shlex.quote(exchange.target.path)]
        base = "http://localhost"
    if exchange.sent_as in (NONE, BAD_GARBAGE, BAD_FORGED):
        words += ["-o", "/dev/null", "-w", "'%{http_code}\\n'"]
    else:
        words += ["-w", "'\\n%{http_code}\\n'"]
    if exchange.method != "GET":
        words += ["-X", exchange.method]
    if exchange.sent_as in _HEADER_FILES:
        words += ["-H", f'@"${_HEADER_FILES[exchange.sent_as]}"']
    elif exchange.sent_as == BAD_GARBAGE:
        words += ["-H", shlex.quote(f"{TOKEN_HEADER}: {GARBAGE.reveal()}")]
    if exchange.user:
        words += ["-H", shlex.quote(f"{USER_HEADER}: {exchange.user}")]
    if exchange.body is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(exchange.body)]
    words.append(shlex.quote(f"{base}{exchange.path}"))
    return " ".join(words)


def _header_file(sent_as: str, command: str) -> str:
    name = _HEADER_FILES[sent_as]
    return f'{name}=$(mktemp) && {command} > "${name}"'
