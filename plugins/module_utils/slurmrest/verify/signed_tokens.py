"""The checks of tokens that only the key can spoil: rightly signed, and to be refused all the same."""

from __future__ import annotations

from ..auth import bearer, jwt
from ..rest.causes import Cause
from ..rest.session import EXPIRED, USERLESS, Outcome, Session
from .check import Check
from .refusals import IGNORES, refused

EXPIRED_AGO = 3600  # seconds; clocks that are a little apart must not make the token good
SPOILT_LIFESPAN = 600  # seconds

_LATE = Cause(
    "expiry-unchecked",
    "the clock of slurmctld's host is more than an hour behind, or what answers does not look at exp",
    "Compare the clocks (date; chronyc tracking) of the controller and of this host.",
)

KEYLESS = Outcome(None, "no key to sign with", remedy="Where the key may be read: --key-file FILE --user NAME.")


def expired(session: Session) -> Outcome:
    """Ask with a rightly signed token that expired an hour ago."""
    unsigned = _wrong_key(session)
    if unsigned or session.key is None:
        return unsigned or KEYLESS
    session.made[EXPIRED] = jwt.expired(session.credentials.user, session.key, EXPIRED_AGO)
    return refused(session, {"expired": EXPIRED}, session.release.bad_token_status, _LATE)


def userless(session: Session) -> Outcome:
    """Ask with a rightly signed token that names no user, beside the name of one."""
    unsigned = _wrong_key(session)
    if unsigned or session.key is None:
        return unsigned or KEYLESS
    claims = jwt.claims_for("", SPOILT_LIFESPAN)
    del claims["sun"]
    session.made[USERLESS] = jwt.encode(claims, session.key)
    return refused(session, {"no user claim": USERLESS}, session.release.bad_token_status, IGNORES)


def _wrong_key(session: Session) -> Outcome | None:
    """Why nothing can be signed as slurmctld would: no key, or not the one of the token that it accepts."""
    if session.key is None:
        return KEYLESS
    try:
        jwt.verify(session.credentials.token, session.key)
    except bearer.TokenError as error:
        return Outcome(None, f"the key is not the one of the token that slurmctld accepts ({error.message})")
    return None


CHECKS: tuple[Check, ...] = (
    Check("expired-token", "an expired token is refused", expired, needs_token=True),
    Check("userless-token", "a token that names no user is refused", userless, needs_token=True),
)
