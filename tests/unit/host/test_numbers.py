"""Numbers in texts that others have written."""

from __future__ import annotations

import pytest
from slurmrest.host.numbers import whole


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("1" * 18, int("1" * 18)), ("", None), ("-1", None), (" 1", None), ("1\n", None)],
)
def test_a_text_of_digits_is_a_number(text: str, number: int | None) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["²", "٣", "9" * 19, "9" * 5000])
def test_what_only_looks_like_one_is_none(text: str) -> None:
    """str.isdigit() says yes, and int() raises."""
    assert whole(text) is None
