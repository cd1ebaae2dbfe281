"""What an answer means that should have been good: the cause, and what to do about it. Pure.

The faults behind this were made and their answers read on every release; where releases answer differently, columns of
the release table decide, and where one release answers alike for several faults, the circumstances do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .answer_columns import Answering
from .answers import ApiError

PATIENCE = 2.0  # seconds; a refusal takes milliseconds, a slurmctld that is down is tried for nine seconds


@dataclass(frozen=True)
class Cause:
    """Why something failed. `id` is stable and for programs; `text` and `remedy` are for people."""

    id: str
    text: str
    remedy: str


@dataclass(frozen=True)
class Circumstances:
    """What else is known of a bad answer.

    `daemon` had to answer behind slurmrestd (``slurmctld`` or ``slurmdbd``). `token_fault` is what can be seen wrong
    with the token itself, such as its expiry. `seconds` is how long the answer took. `elsewhere` is whether the other
    daemon accepts the same token; None when that is not known. `unreached` is why slurmdbd cannot be connected to from
    the host of slurmrestd, empty where it can be; None where nobody tried.
    """

    daemon: str = "slurmctld"
    unix_socket: bool = False
    token_fault: Cause | None = None
    seconds: float = 0.0
    elsewhere: bool | None = None
    unreached: str | None = None


def explain(status: int, errors: Iterable[ApiError], release: Answering, known: Circumstances) -> Cause:
    """The cause of an answer that should have been good. Its text is empty where none is known."""
    numbers = {error.number for error in errors}
    words = " ".join(error.text for error in errors).lower()
    if status == release.no_token_status:
        return _LOCAL_FIRST if known.unix_socket else _JWT_INACTIVE
    if 2002 in numbers or "permission denied" in words:
        return _NOT_ADMINISTRATOR
    alike = numbers <= {None, -1} and status == release.bad_token_status == release.ctld_down_status
    alike = alike and known.daemon == "slurmctld"
    if 1800 in numbers or (alike and known.seconds >= PATIENCE):
        return _CONTROLLER_DOWN
    if 5005 in numbers and status == release.auth_alt_missing_status != release.bad_token_status:
        return _NO_ALT_AUTH
    if 6010 in numbers:
        return _NOBODY
    # Old releases answer a submission with a refused token by 5005, and the rest by -1.
    alike = alike or (5005 in numbers and status == release.bad_token_status and known.daemon == "slurmctld")
    if 1007 in numbers or "authentication error" in words or alike:
        return _refused(status, release, known)
    if known.daemon == "slurmdbd" or numbers & {7000, 7008}:
        return _refused(status, release, known) if known.elsewhere is False else _without_slurmdbd(numbers, known)
    return _BY_STATUS.get(status, _UNKNOWN)


def expired(seconds: float) -> Cause:
    """That the token's ``exp`` lies `seconds` in the past."""
    return Cause(TOKEN_REFUSED, f"the token expired {seconds:.0f} s ago by the clock of this host", _NEW_ONE)


def never_good(fault: str) -> Cause:
    """That the token counts as expired whatever the clock says."""
    remedy = "Have it made with an exp of whole seconds since 1970 (scontrol token does so), not milliseconds or text."
    return Cause(TOKEN_REFUSED, f"the token cannot be good: {fault}", remedy)


def another_user(owner: str, user: str) -> Cause:
    """That the token is `owner`'s while `user` is asked for."""
    return Cause(
        TOKEN_REFUSED,
        f"the token is {owner}'s, and only root and SlurmUser may act for another user ({user})",
        f"Use {user}'s own token, or ask as {owner}.",
    )


TOKEN_REFUSED = "token-refused"  # noqa: S105 - the id of a cause
_NEW_ONE = (
    "Get a new one on the controller (unset SLURM_JWT; scontrol token username=USER lifespan=600), compare the clocks "
    "of both hosts, restart slurmctld if its key changed; its log has the reason: journalctl -u slurmctld."
)
_ACTIVATE = (
    "Give slurmrestd SLURM_JWT=daemon in its environment and -a rest_auth/jwt, see that the plugin auth_jwt.so is "
    "installed, and restart it."
)


def _refused(status: int, release: Answering, known: Circumstances) -> Cause:
    if known.token_fault:
        return known.token_fault
    if known.elsewhere:
        return _DBD_DIFFERS if known.daemon == "slurmdbd" else _CTLD_DIFFERS
    text = "the token is refused: expired, signed with another key, or made for another user"
    if known.daemon == "slurmctld" and status == release.auth_alt_missing_status:
        text += "; or AuthAltTypes=auth/jwt is missing in slurm.conf"
    return Cause(TOKEN_REFUSED, text, _NEW_ONE)


def _without_slurmdbd(numbers: Collection[int | None], known: Circumstances) -> Cause:
    """No release's answer tells a slurmdbd that is down from one that lacks auth/jwt: a connection does."""
    if known.unreached:
        text = f"slurmrestd cannot talk to slurmdbd, which is not reached: {known.unreached}"
        return Cause("slurmdbd-down", text, _UP)
    if known.unreached is None:
        text = "slurmrestd cannot talk to slurmdbd; it says the same where that is down and where it refuses the token"
        return Cause("slurmdbd-down", text, f"{_UP} {_DBD_JWT}")
    if set(numbers) & {7000, 7008}:
        text = "slurmdbd takes connections, and refuses slurmrestd's: auth/jwt is missing there, or its key differs"
        return Cause("slurmdbd-differs", text, _DBD_JWT)
    return Cause(
        "slurmdbd-fails", "slurmdbd is up, and cannot answer this", "Its log says why: journalctl -u slurmdbd."
    )


_UP = (
    "On its host: systemctl status slurmdbd; journalctl -u slurmdbd. On the REST host: AccountingStorageHost in "
    "slurm.conf."
)
_DBD_JWT = (
    "slurmdbd.conf needs AuthAltTypes=auth/jwt and AuthAltParameters=jwt_key=… with the key of slurmctld, and slurmdbd "
    "a restart afterwards."
)
_JWT_INACTIVE = Cause(
    "jwt-inactive",
    "slurmrestd refuses the token itself: auth/jwt is not active in it, or a proxy drops the headers",
    _ACTIVATE,
)
_LOCAL_FIRST = Cause(
    "local-first",
    "slurmrestd refuses the token itself: on a UNIX socket rest_auth/local decides first when it is loaded",
    _ACTIVATE,
)
_CONTROLLER_DOWN = Cause(
    "slurmctld-down",
    "slurmctld cannot be reached from the host of slurmrestd",
    "On the controller: systemctl status slurmctld; scontrol ping. On the REST host: SlurmctldHost in slurm.conf.",
)
_NO_ALT_AUTH = Cause(
    "slurmctld-without-jwt",
    "slurmctld does not accept JWT",
    "Set AuthAltTypes=auth/jwt and AuthAltParameters=jwt_key=… in slurm.conf, then restart slurmctld.",
)
_CTLD_DIFFERS = Cause(
    "slurmctld-differs",
    "slurmctld refuses a token that slurmdbd accepts: AuthAltTypes=auth/jwt is missing in slurm.conf, or its key "
    "differs, or it was not restarted after a change",
    "See AuthAltTypes and AuthAltParameters in slurm.conf, compare the key files on both hosts (sha256sum), then "
    "restart slurmctld; its log has the reason: journalctl -u slurmctld.",
)
_DBD_DIFFERS = Cause(
    "slurmdbd-differs",
    "slurmdbd refuses a token that slurmctld accepts: its key differs, or it was not restarted after the key changed",
    "Compare the key files on both hosts (sha256sum), see AuthAltParameters in slurmdbd.conf, then restart slurmdbd.",
)
_NOBODY = Cause("unknown-user", "slurmctld does not know the user", "On the controller: id USER")
_NOT_ADMINISTRATOR = Cause(
    "not-administrator",
    "the user of the token may not do this",
    "Use a token of root, SlurmUser or a Slurm administrator.",
)
_REDIRECTED = Cause(
    "redirected", "something in front of slurmrestd redirects", "Give the address of slurmrestd itself."
)
_UNKNOWN = Cause("unknown", "", "See what the daemons say: journalctl -u slurmrestd -u slurmctld -u slurmdbd")
_BY_STATUS: Mapping[int, Cause] = {
    301: _REDIRECTED,
    302: _REDIRECTED,
    404: Cause(
        "not-served",
        "slurmrestd does not know this URL: the API version or the endpoint is not served",
        "See /openapi/v3 for what is served, and -s and -d in the options of slurmrestd.",
    ),
    502: _CONTROLLER_DOWN,
    503: Cause(
        "no-daemon",
        "something in front of slurmrestd has no daemon to ask",
        "See whether slurmrestd runs, and the log of the proxy.",
    ),
    504: Cause("too-slow", "slurmctld or slurmdbd did not answer in time", "See how busy it is (sdiag), and its log."),
}
