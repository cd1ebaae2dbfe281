"""What may stand in a unit and in an environment file: what is accepted is read back as it was, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.systemd import values
from slurmrest.systemd.environment_files import parse_environment_file
from slurmrest.systemd.unit_files import parse_unit

TEXT = st.one_of(st.text(alphabet="aB1 \t\\\"'`$%#;=[]\n\r\0\x1b", max_size=12), st.text(max_size=12))


@given(TEXT)
def test_a_directive_is_one_line_of_the_unit(value: str) -> None:
    if values.no_directive(value) is not None:
        return
    unit = parse_unit(f"[Service]\nUser=a\nIOWeight={value}\nGroup=b\n", "unit")
    assert [(item.key, item.value) for item in unit] == [("User", "a"), ("IOWeight", value.strip()), ("Group", "b")]


@given(TEXT)
def test_a_variable_is_read_back(value: str) -> None:
    if values.no_environment_value(value) is not None:
        return
    found = parse_environment_file(f"A=1\nSITE={values.quoted(value)}\nB=2\n", "file")
    assert [(item.name, item.value) for item in found] == [("A", "1"), ("SITE", value), ("B", "2")]


@pytest.mark.parametrize("value", ["16G", "50%", "%t/x", "", 5, 0.5, "@system-service ~@mount", "a\tb"])
def test_what_a_site_may_say(value: object) -> None:
    assert values.no_directive(value) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("yes\nUser=nobody", "line end"),
        ("yes\rno", "line end"),
        ("yes\0", "control"),
        ("yes\\", "backslash"),
        (True, "Python"),
        (["a"], "no text"),
        (None, "no text"),
    ],
)
def test_what_is_refused_and_why(value: object, reason: str) -> None:
    assert reason in str(values.no_directive(value))


@pytest.mark.parametrize("value", ["a\nB=c", "a\rb", "a\x1bb", "\ud800", True, None, ["a"]])
def test_a_variable_that_systemd_would_drop_or_split_is_refused(value: object) -> None:
    assert values.no_environment_value(value) is not None
