"""Reading what slurmrestd answers: errors, versions, controllers, jobs, and what a refusal means. Pure.

A verifier meets daemons that are broken, so nothing here trusts the shape of an answer: whatever JSON comes, a function
returns what it found and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .releases import ApiVersion, Release

_PATH = re.compile(r"/*(slurm|slurmdb)/(v\d+\.\d+\.\d+)(?:/|\Z)")
_RELEASE = re.compile(r"\d{2}\.\d{2}\.\d+\S*\Z")

TERMINAL_FAILURES = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "DEADLINE",
        "FAILED",
        "LAUNCH_FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "RECONFIG_FAIL",
        "REVOKED",
        "TIMEOUT",
    ]
)
COMPLETED = "COMPLETED"


@dataclass(frozen=True)
class ApiError:
    """One entry of ``errors``: Slurm's error number (None when there is none) and its words."""

    number: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.number in (None, -1) else f"{self.text} ({self.number})"


@dataclass(frozen=True)
class Served:
    """API versions found in the OpenAPI document, oldest first."""

    slurm: tuple[str, ...]
    slurmdb: tuple[str, ...]


@dataclass(frozen=True)
class JobStatus:
    """The part of a job that says how it went. ``states`` is the state and its flags, upper case."""

    states: tuple[str, ...]
    reason: str
    exit_code: int | None
    user: str

    def __str__(self) -> str:
        words = [" ".join(self.states) or "in no known state"]
        if self.exit_code:
            words.append(f"exit code {self.exit_code}")
        if self.reason not in ("", "None"):
            words.append(self.reason)
        return ", ".join(words)

    @property
    def completed(self) -> bool:
        """Ran to its end and said 0."""
        return COMPLETED in self.states

    @property
    def failed(self) -> bool:
        """Ended in any other way."""
        return not TERMINAL_FAILURES.isdisjoint(self.states)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a JSON array; anything else is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value when it is a string, otherwise an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """An integer, plain or as Slurm's ``{"set", "infinite", "number"}``; None when there is none."""
    if isinstance(value, dict):
        return number(value.get("number")) if value.get("set") is not False else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def errors_of(payload: Any) -> list[ApiError]:
    """The ``errors`` of an answer, in the keys of every API version. Entries that are no objects count too."""
    entries = mapping(payload).get("errors")
    if not entries:
        return []
    if not isinstance(entries, list):
        return [ApiError(None, f"errors is not a list: {entries!r}")]
    found = []
    for entry in entries:
        fields = mapping(entry)
        numbers = [number(fields.get(key)) for key in ("error_number", "error_code", "errno")]
        words = [text(fields.get(key)).strip() for key in ("error", "description")]
        said = ": ".join(dict.fromkeys(word for word in words if word)) or repr(entry)
        found.append(ApiError(next((value for value in numbers if value is not None), None), said))
    return found


def slurm_version(payload: Any) -> str | None:
    """The release in ``meta``, such as YY.MM.PATCH; None when it is not there or not a version."""
    meta = mapping(mapping(payload).get("meta"))
    for key in ("slurm", "Slurm"):
        words = text(mapping(meta.get(key)).get("release")).split()
        if words and _RELEASE.match(words[-1]):
            return words[-1]
    return None


def served_versions(document: Any) -> Served:
    """The API versions of an OpenAPI document, from its paths."""
    found: dict[str, set[str]] = {"slurm": set(), "slurmdb": set()}
    for path in mapping(mapping(document).get("paths")):
        match = _PATH.match(path)
        if match:
            found[match[1]].add(match[2])
    return Served(*(tuple(sorted(found[kind], key=_version_key)) for kind in ("slurm", "slurmdb")))


def controllers(payload: Any, api: ApiVersion) -> tuple[tuple[str, bool], ...]:
    """The controllers of a ping answer: host name and whether slurmctld answered there."""
    return tuple(
        (text(ping.get("hostname")) or "?", ping.get(api.ping_key) == api.ping_up)
        for ping in objects(mapping(payload).get("pings"))
    )


def states_of(value: Any) -> tuple[str, ...]:
    """A state as upper-case words: a string in old API versions, a list of state and flags in newer ones."""
    words: Iterable[Any] = value if isinstance(value, list) else [value]
    return tuple(word.upper() for word in words if isinstance(word, str))


def job_status(payload: Any) -> JobStatus:
    """The first job of an answer to ``/job/<id>``."""
    job = next(iter(objects(mapping(payload).get("jobs"))), {})
    code = job.get("exit_code")
    return JobStatus(
        states_of(job.get("job_state")),
        text(job.get("state_reason")),
        number(code["return_code"]) if isinstance(code, dict) and "return_code" in code else number(code),
        text(job.get("user_name")),
    )


def _version_key(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name[1:].split("."))


# --- what a refusal means ---------------------------------------------------------------------------------------------

_CONTROLLER_DOWN = (
    "slurmctld cannot be reached from the host of slurmrestd",
    "On the controller: systemctl status slurmctld; scontrol ping. On the REST host: SlurmctldHost in slurm.conf.",
)
_NO_ALT_AUTH = (
    "slurmctld does not accept JWT",
    "Set AuthAltTypes=auth/jwt and AuthAltParameters=jwt_key=… in slurm.conf, then restart slurmctld.",
)
_NO_DBD = (
    "slurmrestd cannot talk to slurmdbd: it is down, or it refuses the token",
    (
        "On its host: systemctl status slurmdbd; journalctl -u slurmdbd. slurmdbd.conf needs AuthAltTypes=auth/jwt and "
        "AuthAltParameters=jwt_key=… with the key of slurmctld, and slurmdbd a restart afterwards."
    ),
)
_DBD_DIFFERS = (
    "slurmdbd refuses a token that slurmctld accepts: its key differs, or it was not restarted after the key changed",
    "Compare the key files on both hosts (sha256sum), see AuthAltParameters in slurmdbd.conf, then restart slurmdbd.",
)
_CTLD_DIFFERS = (
    (
        "slurmctld refuses a token that slurmdbd accepts: AuthAltTypes=auth/jwt is missing in slurm.conf, or its key "
        "differs, or it was not restarted after a change"
    ),
    (
        "See AuthAltTypes and AuthAltParameters in slurm.conf, compare the key files on both hosts (sha256sum), then "
        "restart slurmctld; its log has the reason: journalctl -u slurmctld."
    ),
)
_NOT_ACCEPTED = "the token is refused: expired, signed with another key, or made for another user"
_OR_NO_ALT_AUTH = "; or AuthAltTypes=auth/jwt is missing in slurm.conf"
_NEW_ONE = (
    "Get a new one on the controller (unset SLURM_JWT; scontrol token username=USER lifespan=600), compare the clocks "
    "of both hosts, restart slurmctld if its key changed; its log has the reason: journalctl -u slurmctld."
)
_NOT_ADMINISTRATOR = (
    "the user of the token may not do this",
    "Use a token of root, SlurmUser or a Slurm administrator.",
)
_PATIENCE = 2.0  # seconds; a refusal takes milliseconds, a slurmctld that is down is tried for about nine seconds


@dataclass(frozen=True)
class Circumstances:
    """What else is known of a bad answer.

    `daemon` had to answer behind slurmrestd (``slurmctld`` or ``slurmdbd``). `token_expired` says so when the token's
    own ``exp`` has passed by this host's clock. `seconds` is how long the answer took. `accepted_elsewhere`: the other
    daemon accepts the same token.
    """

    daemon: str = "slurmctld"
    unix_socket: bool = False
    token_expired: str = ""
    seconds: float = 0.0
    accepted_elsewhere: bool = False


def explain(
    status: int, errors: Iterable[ApiError], release: Release, known: Circumstances | None = None
) -> tuple[str, str]:
    """Cause and remedy of an answer that should have been good. The faults behind this were run on every release.

    Old releases answer alike for a refused token and for a slurmctld that is down: there the circumstances decide.
    """
    known = known or Circumstances()
    numbers = {error.number for error in errors}
    words = " ".join(error.text for error in errors).lower()
    if status == release.no_token_status:
        return _unauthorised(known.unix_socket)
    if 2002 in numbers or "permission denied" in words:
        return _NOT_ADMINISTRATOR
    alike = known.daemon == "slurmctld" and status == release.bad_token_status == release.ctld_down_status
    if 1800 in numbers or (alike and known.seconds >= _PATIENCE):
        return _CONTROLLER_DOWN
    if known.token_expired and status >= 400:
        return known.token_expired, _NEW_ONE
    if 5005 in numbers and status == release.auth_alt_missing_status:
        return _NO_ALT_AUTH
    if 1007 in numbers or "authentication" in words or (alike and not numbers & {7000, 7008}):
        return _refused(status, release, known)
    if numbers & {7000, 7008} or (known.daemon == "slurmdbd" and status == release.dbd_down_status):
        return _NO_DBD
    return _BY_STATUS.get(status, ("", "See what the daemons say: journalctl -u slurmrestd -u slurmctld -u slurmdbd"))


def _refused(status: int, release: Release, known: Circumstances) -> tuple[str, str]:
    if known.accepted_elsewhere:
        return _DBD_DIFFERS if known.daemon == "slurmdbd" else _CTLD_DIFFERS
    or_not = _OR_NO_ALT_AUTH if known.daemon == "slurmctld" and status == release.auth_alt_missing_status else ""
    return _NOT_ACCEPTED + or_not, _NEW_ONE


def _unauthorised(unix_socket: bool) -> tuple[str, str]:
    if unix_socket:
        why = "on a UNIX socket rest_auth/local decides first when it is loaded"
    else:
        why = "auth/jwt is not active in it, or a proxy drops the headers"
    return f"slurmrestd refuses the token itself: {why}", (
        "Give slurmrestd SLURM_JWT=daemon in its environment and -a rest_auth/jwt, see that the plugin auth_jwt.so is "
        "installed, and restart it."
    )


_BY_STATUS: Mapping[int, tuple[str, str]] = {
    301: ("something in front of slurmrestd redirects", "Give the address of slurmrestd itself."),
    302: ("something in front of slurmrestd redirects", "Give the address of slurmrestd itself."),
    404: (
        "slurmrestd does not know this URL: the API version or the endpoint is not served",
        "See /openapi/v3 for what is served, and -s and -d in the options of slurmrestd.",
    ),
    502: _CONTROLLER_DOWN,
    503: (
        "something in front of slurmrestd has no daemon to ask",
        "See whether slurmrestd runs, and the log of the proxy.",
    ),
    504: ("slurmctld or slurmdbd did not answer in time", "See how busy it is (sdiag), and its log."),
}
