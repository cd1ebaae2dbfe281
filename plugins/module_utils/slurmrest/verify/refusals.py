"""The checks of what must be refused: tokens that are none, spoilt or another user's, and URLs that are wrong."""

from __future__ import annotations

from collections.abc import Mapping

from ..auth import bearer, claims
from ..rest.causes import Cause
from ..rest.session import (
    ALG_NONE,
    BAD_FORGED,
    BAD_GARBAGE,
    JOB,
    NONE,
    NOT_ORDINARY,
    TOKEN,
    Failed,
    Outcome,
    Session,
    payload_of,
)
from .check import Check

_TRUSTS_PEER = Cause(
    "trusts-peer",
    "rest_auth/local is loaded and trusts the user of this process on the UNIX socket",
    "Give slurmrestd -a rest_auth/jwt.",
)
_OPEN = Cause(
    "open",
    "something in front of slurmrestd authenticates by itself, or this is not slurmrestd",
    "Ask slurmrestd itself, and see the configuration of the proxy.",
)


IGNORES = Cause(
    "token-unchecked",
    "what answers does not check tokens as slurmctld does: a proxy that authenticates by itself, or a faulty auth/jwt",
    "Ask slurmrestd itself, see the configuration of the proxy, and update Slurm.",
)
_ANYBODY = Cause(
    "impersonation",
    "an ordinary user may act for another one: a proxy uses an administrator's token, or auth/jwt is faulty",
    "See what the proxy does with X-SLURM-USER-NAME; Slurm itself allows this to root and SlurmUser only.",
)
_NOT_SLURMRESTD = Cause(
    "other-paths",
    "something in front of slurmrestd, or another program, answers for paths that slurmrestd does not know",
    "See which paths the proxy passes on.",
)
_REWRITES = Cause(
    "rewritten-url",
    "something in front of slurmrestd rewrites URLs before they reach it",
    "Let the proxy pass URLs on as they come.",
)
_ORDINARY_REMEDY = (
    "Name an ordinary user with a token of its own (--job-token-file; or --job-user with --key-file or --scontrol; "
    "in a playbook slurmrest_verify_job_user)."
)
_CERTIFIED = "the client certificate goes with every request from here"
_ADMINISTRATOR = "root"
_UNKNOWN_ENDPOINT = "slurmrest-verify-no-such-endpoint"


def no_token(session: Session) -> Outcome:
    """Ask without a token."""
    if session.credentials.kind == "certificate":
        return Outcome(None, _CERTIFIED)
    return refused(session, {"no token": NONE}, session.release.no_token_status)


def bad_token(session: Session) -> Outcome:
    """Ask with a token that is none, and with the good one under another signature."""
    if session.credentials.kind == "certificate":
        return Outcome(None, _CERTIFIED)
    ways = {"garbage": BAD_GARBAGE}
    if claims.looks_like_jwt(session.credentials.token):
        ways["forged signature"] = BAD_FORGED
        session.made[BAD_FORGED] = claims.with_forged_signature(session.credentials.token)
    return refused(session, ways, session.release.bad_token_status)


def alg_none(session: Session) -> Outcome:
    """Ask with the good token's claims under a header that asks for no signature check."""
    if not claims.looks_like_jwt(session.credentials.token):
        return Outcome(None, "the token is no JWT, so there are no claims to take from it")
    session.made[ALG_NONE] = claims.without_signature(session.credentials.token)
    return refused(session, {"alg none": ALG_NONE}, session.release.bad_token_status, IGNORES)


def other_user(session: Session) -> Outcome:
    """Ask as root with an ordinary user's token, after that token was accepted for its own user."""
    if session.credentials.kind != "token":
        return Outcome(None, "the gateway knows users by their login, and no name is sent beside it")
    sent_as, owner = _ordinary(session)
    if not owner:
        return Outcome(
            None, "no ordinary user's token is at hand: root and SlurmUser may act for others", "", _ORDINARY_REMEDY
        )
    try:
        session.good(session.url("diag"), sent_as=sent_as, user=owner)
    except Failed as failure:
        return Outcome(None, f"{owner}'s token is refused for its own user already ({failure.outcome.detail})")
    status = session.ask(session.url("diag"), sent_as, user=_ADMINISTRATOR).status
    if status >= 300:
        return Outcome(True, _told({f"{owner}'s token for {_ADMINISTRATOR}": status}, session.release.bad_token_status))
    if _may_be_slurm_user(session, sent_as, owner):
        return Outcome(
            None, f"{owner}'s token acts for {_ADMINISTRATOR}; {owner} may be SlurmUser", "", _ORDINARY_REMEDY
        )
    raise Failed(f"{owner}'s token for {_ADMINISTRATOR}: answered with {status} instead of being refused", _ANYBODY)


def _ordinary(session: Session) -> tuple[str, str]:
    """The token at hand that belongs to an ordinary user: how it is sent, and its user; empty strings when none is."""
    for sent_as, credentials in ((JOB, session.job_credentials), (TOKEN, session.credentials)):
        try:
            owner = claims.inspect(credentials.token).user
        except bearer.TokenError:
            continue
        if owner and owner not in NOT_ORDINARY:
            return sent_as, owner
    return "", ""


def _may_be_slurm_user(session: Session, sent_as: str, owner: str) -> bool:
    """Whether the user has privileges in slurmdbd, or that cannot be found out: SlurmUser may have any name."""
    if session.options.accounting is False or not session.served.slurmdb:
        return True
    with session.aside():
        status = session.ask(session.url("diag", "slurmdb"), sent_as, user=owner).status
    return status != session.release.plain_user_dbd_diag_status


def unknown_url(session: Session) -> Outcome:
    """Ask for an endpoint that no release has."""
    status = session.ask(session.url(_UNKNOWN_ENDPOINT)).status
    expected = session.release.unknown_url_status
    if status != expected:
        raise Failed(f"{status} instead of {expected}", _NOT_SLURMRESTD)
    return Outcome(True, f"unknown endpoint: {status}")


def escaping(session: Session) -> Outcome:
    """Ask for a node whose name holds an unescaped quotation mark, and for the same node escaped.

    No such node exists, but the escaped question gets as far as Slurm, which answers in JSON, or with nothing.
    """
    twin = session.ask(session.url("node/verify%22"))
    if twin.status != 204 and payload_of(twin) is None:
        return Outcome(None, f"the escaped URL does not reach Slurm either ({twin.status})")
    unescaped = session.ask(session.url('node/verify"'))
    expected = session.release.bad_url_char_status
    if unescaped.status < 300 or payload_of(unescaped) is not None:
        raise Failed(f"unescaped: Slurm was asked ({unescaped.status}) instead of {expected}", _REWRITES)
    return Outcome(
        True, f"{_told({'unescaped': unescaped.status}, expected)}; escaped: Slurm answers with {twin.status}"
    )


def refused(session: Session, ways: Mapping[str, str], expected: int, cause: Cause = _OPEN) -> Outcome:
    """Each way must be refused; another status than the expected one is told, but no failure."""
    seen = {}
    for name, sent_as in ways.items():
        status = session.ask(session.url("diag"), sent_as).status
        if status < 300:
            trusts = session.target.scheme == "unix"
            raise Failed(f"{name}: answered with {status} instead of being refused", _TRUSTS_PEER if trusts else cause)
        seen[name] = status
    if not session.passed("slurm-diag"):
        statuses = _told(seen, None)
        return Outcome(None, f"{statuses}; proves nothing while a good token gets no good answer (see slurm-diag)")
    return Outcome(True, _told(seen, expected))


def _told(seen: Mapping[str, int], expected: int | None) -> str:
    """The statuses of refusals, and whether one is another than the release is known for."""
    statuses = ", ".join(f"{name}: {status}" for name, status in seen.items())
    if expected is None or all(status == expected for status in seen.values()):
        return statuses
    return f"{statuses}; refused, though this release is known to answer {expected}"


TOKENS: tuple[Check, ...] = (
    Check("no-token", "a request without a token is refused", no_token, every_listener=True),
    Check("bad-token", "a garbage and a forged token are refused", bad_token, needs_token=True, every_listener=True),
    Check("alg-none", "a token that asks for no signature check is refused", alg_none, needs_token=True),
)

REQUESTS: tuple[Check, ...] = (
    Check("other-user", "an ordinary user's token does not act for another user", other_user, needs_token=True),
    Check("unknown-url", "an unknown URL is not found", unknown_url, needs_token=True, minor=True),
    Check("escaping", "an unescaped character in a URL is refused", escaping, needs_token=True, minor=True),
)
