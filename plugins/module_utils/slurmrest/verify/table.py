"""A verification report for people (table), for programs (JSON) and for doing it by hand (curl lines). Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..auth.bearer import TOKEN_HEADER, USER_HEADER
from ..rest.session import (
    ALG_NONE,
    BAD_FORGED,
    BAD_GARBAGE,
    EXPIRED,
    GARBAGE,
    JOB,
    TOKEN,
    USERLESS,
    Exchange,
)
from ..rest.tls import Tls
from ..slurmrestd.address import KINDS
from .run import Report, Result, as_dict
from .signed_tokens import EXPIRED_AGO, SPOILT_LIFESPAN

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {True: "ok", False: "FAILED", None: "skipped"}
_COLOURS = {True: "32", False: "1;31", None: "33"}


def render_json(report: Report) -> str:
    """The report as one JSON object, with a line break at its end."""
    return json.dumps(as_dict(report), indent=2) + "\n"


def render_table(report: Report, *, colour: bool = False) -> str:
    """The report as a table: outcome, check, seconds and detail; cause and remedy under a failure."""
    width = max(len(check.id) for check in report.checks)
    lines = [f"{report.url}  Slurm {report.slurm_version or 'of unknown version'}", ""]
    lines += [_paint(f"  WARNING  {warning}", "1;31", colour) for warning in report.warnings]
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
    lines += ["", *(f"  note: {limitation}" for limitation in report.limitations)]
    lines += [f"{verdict}: {', '.join(counts)}; {requests} in {report.seconds:.2f} s", ""]
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
    """Where a pasted curl line finds the token again: a `file`, an environment `variable`, a signing `key`, or none.

    Without any, the line asks scontrol for a new one for `user`.
    """

    user: str
    file: str = ""
    variable: str = ""
    key: str = ""

    def command(self) -> str:
        """A shell command that prints the header with the token; the token is in no command's arguments."""
        header = f"{TOKEN_HEADER}: "
        if self.file:
            return f"sed -n '1{{s/^[[:space:]]*//;s/^SLURM_JWT=//;s/^/{header}/;p}}' {shlex.quote(self.file)}"
        if self.variable:
            return (
                f"printf '{header}%s\\n' \"${self.variable}\""  # printf is part of the shell: no process, no arguments
            )
        if self.key:
            return signed(self.key, SPOILT_LIFESPAN, self.user)
        return f"env -u SLURM_JWT scontrol token username={shlex.quote(self.user)} | sed -n 's/^SLURM_JWT=/{header}/p'"


_SIGN = """slurmrest_sign() {  # KEY-FILE SECONDS [USER]: the header with a token signed here
  python3 -c 'import base64, hashlib, hmac, json, sys, time
key, seconds, *user = sys.argv[1:]
part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
claims = {"iat": int(time.time()), "exp": int(time.time()) + int(seconds), **({"sun": user[0]} if user else {})}
text = b".".join(part(json.dumps(item).encode()) for item in ({"alg": "HS256", "typ": "JWT"}, claims))
signature = part(hmac.new(open(key, "rb").read(), text, hashlib.sha256).digest())
print("%s:", b".".join((text, signature)).decode())' "$@"
}""".replace("%s", TOKEN_HEADER)


def signed(key: str, seconds: int, user: str = "") -> str:
    """A shell command that prints the header with a token signed with the file `key`; :data:`_SIGN` defines it."""
    return " ".join(["slurmrest_sign", shlex.quote(key), str(seconds), *([shlex.quote(user)] if user else [])])


_HEADER_FILES = {
    TOKEN: "SLURMREST_HEADER",
    JOB: "SLURMREST_JOB_HEADER",
    BAD_FORGED: "SLURMREST_FORGED_HEADER",
    ALG_NONE: "SLURMREST_ALG_NONE_HEADER",
    EXPIRED: "SLURMREST_EXPIRED_HEADER",
    USERLESS: "SLURMREST_USERLESS_HEADER",
}
_NO_ALGORITHM = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"  # {"alg":"none","typ":"JWT"} in base64url


def render_curl(report: Report, source: TokenSource, job_source: TokenSource, tls: Tls | None = None) -> str:
    """For each check the curl lines that ask the same, after the lines that make the header files they read.

    `tls` is how https was spoken. The block works when pasted into bash. mktemp makes files for their owner only.
    """
    exchanges = [exchange for check in report.checks for exchange in check.exchanges]
    used = {exchange.sent_as for exchange in exchanges}
    lines = ["# The token goes from its place into a private file that curl reads, never onto a command line."]
    if used & {EXPIRED, USERLESS} or source.key or job_source.key:
        lines.append(_SIGN)
    if used & {TOKEN, BAD_FORGED, ALG_NONE}:
        lines.append(_header_file(TOKEN, source.command()))
    if JOB in used:
        lines.append(_header_file(JOB, job_source.command()))
    if BAD_FORGED in used:
        zeros = "A" * 43  # 32 bytes of zeros in base64url: a well-formed signature that no key made
        lines.append(_header_file(BAD_FORGED, f"sed 's/\\.[^.]*$/.{zeros}/' \"${_HEADER_FILES[TOKEN]}\""))
    if ALG_NONE in used:
        spoil = f"sed 's/: [^.]*\\.\\([^.]*\\)\\..*$/: {_NO_ALGORITHM}.\\1./'"
        lines.append(_header_file(ALG_NONE, f'{spoil} "${_HEADER_FILES[TOKEN]}"'))
    if EXPIRED in used:
        lines.append(_header_file(EXPIRED, signed(source.key, -EXPIRED_AGO, source.user)))
    if USERLESS in used:
        lines.append(_header_file(USERLESS, signed(source.key, SPOILT_LIFESPAN)))
    for check in report.checks:
        if check.exchanges:
            lines += ["", f"# {check.id}: {check.title}"]
            lines += dict.fromkeys(curl_line(exchange, tls) for exchange in check.exchanges)
    files = " ".join(f'"${name}"' for sent_as, name in _HEADER_FILES.items() if any(name in line for line in lines))
    if files:
        lines += ["", f"rm -f {files}"]
    return "\n".join(lines) + "\n"


def curl_line(exchange: Exchange, tls: Tls | None = None) -> str:
    """The curl command that sends the same request and prints answer and status, or only the status of a refusal."""
    words = ["curl", "-sS", "--noproxy", "'*'"]
    base = exchange.target.url
    option = KINDS[exchange.target.scheme].curl
    if option is None:
        return f"# curl does not speak {exchange.target.scheme}: {exchange.method} {base} {exchange.path}"
    if option:
        words += [option, shlex.quote(exchange.target.path)]
        base = "http://localhost"
    if exchange.target.scheme == "https" and exchange.target.name:
        name, port = exchange.target.name, exchange.target.port
        words += ["--connect-to", shlex.quote(f"{name}:{port}:{exchange.target.authority}")]
        base = f"https://{name}:{port}"
    if exchange.target.scheme == "https" and tls is not None:
        files = (("--cacert", tls.cacert), ("--cert", tls.cert), ("--key", tls.key))
        words += [word for option, path in files if path for word in (option, shlex.quote(path))]
        words += ["--insecure"] if tls.insecure else []
    if exchange.sent_as not in (TOKEN, JOB):
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
