"""A cause for every fault of the catalogue, from the answers that the releases give."""

from __future__ import annotations

from typing import Any

import pytest
from slurmrest.rest.answers import ApiError
from slurmrest.rest.causes import Circumstances, expired, explain
from slurmrest.rest.whole_table import TABLE

AUTH = ApiError(1007, "Protocol authentication error")
CTLD = ApiError(1800, "Unable to contact slurm controller (connect failure)")
ZERO = ApiError(5005, "Zero Bytes were transmitted or received")
DBD = ApiError(7000, "Failed to open slurmdbd connection")
VAGUE = ApiError(-1, "Unspecified error")


DBD_AUTH = ApiError(7000, "Failed to open slurmdbd connection, authentication error")
LATE = {"token_fault": expired(9)}
AT_DBD = {"daemon": "slurmdbd"}
ELSEWHERE = {"elsewhere": True}
NOWHERE = {"elsewhere": False}


@pytest.mark.parametrize(
    ("version", "status", "errors", "known", "cause"),
    [
        ("24.11.5", 401, [], {}, "auth/jwt is not active in it, or a proxy drops"),
        ("24.11.5", 401, [], {"unix_socket": True}, "on a UNIX socket rest_auth/local decides first"),
        ("24.11.5", 511, [AUTH], {}, "made for another user; or AuthAltTypes=auth/jwt is missing"),
        ("24.11.5", 511, [AUTH], LATE, "the token expired 9 s ago"),
        ("24.11.5", 511, [AUTH], ELSEWHERE, "refuses a token that slurmdbd accepts: AuthAltTypes=auth/jwt is missing"),
        ("26.05.5", 511, [AUTH], {}, "the token is refused: expired, signed with another key"),
        ("26.05.5", 502, [ZERO], {}, "slurmctld does not accept JWT"),
        ("26.05.5", 502, [CTLD], {}, "slurmctld cannot be reached"),
        ("24.11.5", 502, [CTLD], LATE, "slurmctld cannot be reached"),
        ("24.11.5", 502, [DBD], AT_DBD, "cannot talk to slurmdbd; it says the same"),
        (
            "24.11.5",
            502,
            [DBD],
            AT_DBD | {"unreached": "db, port 6819: Connection refused"},
            "db, port 6819: Connection",
        ),
        ("24.11.5", 502, [DBD], AT_DBD | {"unreached": ""}, "slurmdbd takes connections, and refuses"),
        (
            "24.11.5",
            500,
            [ApiError(111, "Slurmdb query failed")],
            AT_DBD | {"unreached": ""},
            "is up, and cannot answer",
        ),
        ("26.05.5", 502, [DBD], AT_DBD | NOWHERE | {"unreached": ""}, "the token is refused: expired"),
        ("25.11.7", 502, [DBD_AUTH], AT_DBD | {"unreached": "db: timed out"}, "the token is refused: expired"),
        ("24.11.5", 502, [DBD], AT_DBD | ELSEWHERE, "cannot talk to slurmdbd"),
        ("25.11.7", 502, [DBD_AUTH], AT_DBD, "the token is refused: expired"),
        ("25.11.7", 502, [DBD_AUTH], AT_DBD | LATE, "the token expired 9 s ago"),
        ("25.11.7", 502, [DBD_AUTH], AT_DBD | ELSEWHERE, "slurmdbd refuses a token that slurmctld accepts"),
        ("26.05.5", 502, [DBD], AT_DBD | NOWHERE, "the token is refused: expired"),
        ("26.05.5", 502, [DBD], AT_DBD | NOWHERE | LATE, "the token expired 9 s ago"),
        ("26.05.5", 500, [ApiError(6010, "Rejecting authentication of user nobody")], {}, "not know the user"),
        ("26.05.5", 502, [], AT_DBD, "cannot talk to slurmdbd"),
        ("23.02.8", 500, [DBD], {}, "cannot talk to slurmdbd"),
        ("22.05.8", 200, [ApiError(7008, "invalid")], AT_DBD, "cannot talk to slurmdbd"),
        ("22.05.8", 500, [VAGUE], {"seconds": 0.02}, "made for another user; or AuthAltTypes=auth/jwt is missing"),
        ("22.05.8", 500, [VAGUE], {"seconds": 9.0}, "slurmctld cannot be reached"),
        ("22.05.8", 500, [VAGUE], {"seconds": 9.0} | LATE, "slurmctld cannot be reached"),
        ("22.05.8", 500, [VAGUE], ELSEWHERE, "refuses a token that slurmdbd accepts: AuthAltTypes=auth/jwt is missing"),
        ("22.05.8", 500, [VAGUE], LATE, "the token expired 9 s ago"),
        ("22.05.8", 500, [AUTH], AT_DBD, "the token is refused: expired"),
        ("24.11.5", 500, [ApiError(2002, "Access/permission denied")], {}, "the user of the token may not"),
        ("22.05.8", 500, [ApiError(2000, "Invalid partition name specified")], {}, ""),
        ("24.11.5", 500, [ApiError(111, "Slurmdb query failed")], AT_DBD, "cannot talk to slurmdbd"),
        ("24.11.5", 404, [], {}, "does not know this URL"),
        ("24.11.5", 302, [], {}, "redirects"),
        ("24.11.5", 504, [], {}, "did not answer in time"),
    ],
)
def test_causes(version: str, status: int, errors: list[ApiError], known: dict[str, Any], cause: str) -> None:
    found = explain(status, errors, TABLE.at(version)[0], Circumstances(**known))
    assert cause in found.text
    assert bool(found.text) == bool(cause)
    assert ("AuthAltTypes" in found.text) == cause.endswith("is missing")
    assert found.remedy
    assert found.id


def test_without_a_known_cause_there_is_still_somewhere_to_look() -> None:
    found = explain(418, [], TABLE.at("24.11.5")[0], Circumstances())
    assert (found.id, found.text) == ("unknown", "")
    assert "journalctl" in found.remedy
