"""Fetch the token from a controller, put it where its user reads it, and say how long it lives.

This file, and what it imports, is installed on the host that uses the token and run there by a systemd timer, as an
account that may do nothing but ask. A controller answers it with ``scontrol token``, whatever it asks for.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from ..auth import bearer, claims
from ..errors import SlurmrestError
from ..host import acl, files, programs, reading
from ..redaction import redacted

CONFIG = "/etc/slurmrest-token.json"
KNOWN_HOSTS = "/etc/slurmrest-token.known_hosts"
KEY = ".ssh/id"
RECORD = "record.json"
METRICS = "slurmrest_token.prom"
DEMAND = "renew"
"""Names below the home of the account that fetches; a file of the last name asks for a new token at once."""

LARGEST_RECORD = 64 << 10
"""Bytes."""

LATEST = 1e12
"""Seconds; no clock shows more."""

PRIVATE = 0o600
FRESH = 2 / 3  # of its life: with less left, a token is renewed
PATIENCE = 40.0  # seconds that a controller gets; ssh gives up by itself before
TELLING = 2  # lines at the end of what ssh or scontrol says: ssh begins with a poster when a host key is another one
CLOCKS = 60.0  # seconds by which the clocks of two hosts may differ unmentioned
WARNING, NOTICE = "<4>", "<5>"  # what journald reads at the beginning of a line (sd-daemon(3))


class NotRenewed(SlurmrestError):
    """No controller gave a token that can be used."""


@dataclass(frozen=True)
class Controller:
    """Where to ask: ``name`` is the one under which its host keys are pinned."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class FetchSettings:
    """What shall be fetched, and where it belongs: accounts by name, paths absolute."""

    user: str  # whom the token is for: an account of the controllers
    account: str  # who fetches it on this host
    home: str
    owner: str  # whose file it becomes
    path: str
    controllers: tuple[Controller, ...]

    @classmethod
    def read(cls, path: str | None = None) -> FetchSettings:
        """The settings in a file, the usual one by default. Raises SlurmrestError when it is no good."""
        path = path or CONFIG
        try:
            data = json.loads(files.read(path))
            return cls(**{**data, "controllers": tuple(Controller(**entry) for entry in data["controllers"])})
        except (OSError, ValueError, TypeError, KeyError, reading.UnsafePath) as error:
            raise SlurmrestError(f"{path} cannot be used: {error}.", "Run playbooks/tokens.yml.") from None

    def below(self, name: str) -> str:
        """A path in the home of the account that fetches."""
        return os.path.join(self.home, name)


@dataclass(frozen=True)
class Record:
    """What is known of the token that was placed last, without the token. Times are seconds of this host's clock."""

    user: str
    path: str
    issued: float
    expires: float

    @property
    def sound(self) -> bool:
        """Whether names are texts and times are times: the account that fetches can write anything into the file."""
        written: dict[str, object] = dict(self.__dict__)
        times = (written["issued"], written["expires"])
        finite = all(isinstance(time, (int, float)) and abs(time) <= LATEST for time in times)
        return finite and all(isinstance(written[name], str) for name in ("user", "path"))

    def remaining(self, now: float) -> float:
        """Seconds that are left; negative when it has expired."""
        return self.expires - now

    def text(self) -> bytes:
        """As it is written."""
        return json.dumps(self.__dict__).encode()


Ask = Callable[[FetchSettings, Controller], str]


def ssh_command(settings: FetchSettings, controller: Controller) -> list[str]:
    """How a controller is asked: with one key, for one host key, without anybody's configuration, without a command."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "ControlMaster": "no",
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": controller.name,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": settings.below(KEY),
        "LogLevel": "ERROR",
        "PreferredAuthentications": "publickey",
        "ServerAliveCountMax": "2",
        "ServerAliveInterval": "10",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": KNOWN_HOSTS,
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "/dev/null", "-a", "-T", "-x", *words, "-p", str(controller.port), "-l", settings.user,
            controller.address]  # fmt: skip


def ask(settings: FetchSettings, controller: Controller) -> str:
    """What a controller answers. Raises NotRenewed with what ssh or scontrol said, never with the answer."""
    done = programs.run(ssh_command(settings, controller), limit=PATIENCE)
    if done.returncode in (programs.MISSING, programs.TOO_SLOW):
        raise NotRenewed(done.stderr.strip())
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotRenewed(" ".join(said[-TELLING:]) or f"ssh ended with {done.returncode} and said nothing")
    return done.stdout


def accepted(answer: str, user: str) -> tuple[bearer.Token, claims.Inspected]:
    """The token in an answer. Raises NotRenewed when it is none, is another user's, or has no life."""
    name, _equals, value = answer.strip().partition("=")
    if name != "SLURM_JWT":
        raise NotRenewed("the answer is no token")
    try:
        token = bearer.Token(value)
        found = claims.inspect(token)
    except bearer.TokenError as error:
        raise NotRenewed(error.message) from None
    if found.user != user:
        raise NotRenewed(f"the token is for {found.user or 'nobody'}, and {user}'s was asked for")
    if lifetime(found) is None:
        raise NotRenewed("the token does not say how long it lives")
    return token, found


def lifetime(found: claims.Inspected) -> float | None:
    """Seconds from ``iat`` to ``exp``: both are of the controller's clock, so this host's does not matter."""
    issued = found.claims.get("iat")
    if found.expires is None or isinstance(issued, bool) or not isinstance(issued, (int, float)):
        return None
    return found.expires - issued if found.expires > issued else None


def read_record(settings: FetchSettings) -> Record | None:
    """What was written about the last token, None where there is nothing that can be read."""
    try:
        record = Record(**json.loads(files.read(settings.below(RECORD), LARGEST_RECORD)))
    except (OSError, ValueError, TypeError, RecursionError, reading.UnsafePath):
        return None
    return record if record.sound else None


def reason_to_renew(settings: FetchSettings, record: Record | None, now: float) -> str | None:
    """Why a new token is needed, or None while the one in place is good for long enough."""
    owner = pwd.getpwnam(settings.owner)
    try:
        status = os.lstat(settings.path)
    except FileNotFoundError:
        return f"{settings.path} is not there"
    if record is None or (record.user, record.path) != (settings.user, settings.path):
        return f"it is not known what is in {settings.path}"
    if not stat.S_ISREG(status.st_mode) or (status.st_uid, stat.S_IMODE(status.st_mode)) != (owner.pw_uid, PRIVATE):
        return f"{settings.path} is no file of mode 0600 that belongs to {settings.owner}"
    if acl.acl(settings.path):
        return f"{settings.path} has an access control list by which others may read it"
    if os.path.exists(settings.below(DEMAND)):
        return "a new token is asked for"
    if record.remaining(now) < FRESH * (record.expires - record.issued):
        return "the token is no longer fresh"
    return None


def renew(settings: FetchSettings, ask: Ask = ask, now: Callable[[], float] = time.time) -> tuple[Record, list[str]]:
    """Ask one controller after the other for a new token, and put it in the place of the old one.

    Returns what is known of it, and what should be said though it worked. Raises NotRenewed with what every controller
    said; nothing was changed then.
    """
    failures = []
    for controller in settings.controllers:
        began = now()
        try:
            token, found = accepted(ask(settings, controller), settings.user)
        except NotRenewed as error:
            failures.append(f"{controller.name}: {error}")
            continue
        issued, expires = found.claims["iat"], found.expires or 0.0
        # Its life counts from before it was asked for, by this clock: whichever clock is wrong, it is renewed in time.
        record = Record(settings.user, settings.path, began, began + expires - issued)
        owner = pwd.getpwnam(settings.owner)
        text = f"{token.reveal()}\n".encode("ascii")
        files.write(settings.path, text, owner.pw_uid, owner.pw_gid, PRIVATE, secret=True)
        files.write(settings.below(RECORD), record.text(), os.geteuid(), os.getegid(), PRIVATE, secret=True)
        remarks = [*failures]
        if abs(issued - began) > CLOCKS:
            remarks.append(f"the clock of {controller.name} differs from this host's by {abs(issued - began):.0f} s")
        return record, remarks
    raise NotRenewed("; ".join(failures))


def metrics(user: str, record: Record | None, now: float, *, failed: bool) -> str:
    """The state as a Prometheus text file (node exporter's textfile collector)."""
    rows = (
        ("expires_timestamp_seconds", "When the token in place expires, 0 without one.", record and record.expires),
        (
            "remaining_seconds",
            "Life that the token in place had left when this was written, every few minutes.",
            record and max(0.0, record.remaining(now)),
        ),
        ("renewed_timestamp_seconds", "When the token in place was fetched, 0 without one.", record and record.issued),
        ("renewal_failed", "Whether the last renewal failed; the old token stays in place.", int(failed)),
    )
    lines = []
    for name, text, value in rows:
        full = f"slurmrest_token_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge", f'{full}{{user="{user}"}} {value or 0:.0f}']
    return "\n".join(lines) + "\n"


def run(settings: FetchSettings, ask: Ask = ask, now: Callable[[], float] = time.time) -> tuple[int, list[str]]:
    """Do what the timer is for. Returns the exit status and lines for the journal."""
    record = read_record(settings)
    why = reason_to_renew(settings, record, now())
    status, said = 0, []
    demand = settings.below(DEMAND)
    if why is not None:
        demanded = _written(demand)
        try:
            record, remarks = renew(settings, ask, now)
            said = [f"{WARNING}{remark}" for remark in remarks]
            lives = record.remaining(now())
            said.append(f"{NOTICE}New token of {settings.user}, because {why}; it lives for {lives:.0f} s.")
            if demanded is not None and _written(demand) == demanded:
                files.remove(demand)
        except (NotRenewed, OSError, reading.UnsafePath) as error:
            status = 1
            state = _what_is_left(settings, record, now())
            said = [f"{WARNING}No new token of {settings.user}: {str(error).rstrip('.')}. {state}"]
    text = metrics(settings.user, record, now(), failed=bool(status))
    files.write(settings.below(METRICS), text.encode(), os.geteuid(), os.getegid(), 0o644)
    return status, said


def main(argv: Sequence[str] = ()) -> int:
    """Run for the settings in the usual file, or in the one that is named."""
    try:
        status, said = run(FetchSettings.read(*argv[:1]))
    except (SlurmrestError, KeyError, OSError) as error:
        status, said = 2, [f"{WARNING}{error}"]
    sys.stderr.write("".join(f"{redacted(line)}\n" for line in said))
    return status


def _written(path: str) -> int | None:
    try:
        return os.lstat(path).st_mtime_ns
    except FileNotFoundError:
        return None


def _what_is_left(settings: FetchSettings, record: Record | None, now: float) -> str:
    if record is None or not os.path.exists(settings.path):
        return "There is none."
    left = record.remaining(now)
    return f"The old one stays, good for {left:.0f} s." if left > 0 else f"The old one expired {-left:.0f} s ago."
