"""Listeners: what is accepted, what is refused and why, which pairs exclude each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.errors import InputError
from slurmrest.slurmrestd.address import SUN_PATH_MAX, Listener
from slurmrest.slurmrestd.listeners import conflicts, covers, parse, parse_all
from slurmrest.slurmrestd.spelling import read

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True)
HOSTS = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"), NAMES)
PATHS = st.from_regex(r"(/[A-Za-z0-9_@+=~-][A-Za-z0-9_.@+=~-]{0,20}){1,4}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("127.0.0.1:6820", Listener("http", host="127.0.0.1", port=6820)),
        ("0.0.0.0:1", Listener("http", host="0.0.0.0", port=1)),
        ("[::1]:65535", Listener("http", host="::1", port=65535)),
        ("[2001:DB8:0::1]:80", Listener("http", host="2001:db8::1", port=80)),
        ("localhost:6820", Listener("http", host="localhost", port=6820)),
        ("Rest-1.Example.org:6820", Listener("http", host="rest-1.example.org", port=6820)),
        ("unix:/run/slurmrestd/rest.socket", Listener("unix", path="/run/slurmrestd/rest.socket")),
    ],
)
def test_portable_spellings(text: str, listener: Listener) -> None:
    assert parse(text) == listener
    assert read(text) == listener


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (":6820", r"write 0\.0\.0\.0:6820 or \[::\]:6820"),
        ("6820", "not host:port"),
        ("127.0.0.1", "not host:port"),
        ("::1:6820", "square brackets"),
        ("127.0.0.1:0", "from 1 to 65535"),
        ("127.0.0.1:65536", "from 1 to 65535"),
        ("127.0.0.1:06820", "from 1 to 65535"),
        ("127.0.0.1:http", "not host:port"),
        ("127.0.0.1:6820 ", "not host:port"),
        ("127.0.0.1:٦٨٢٠", "not host:port"),
        ("999.0.0.1:6820", "neither an IP address nor a host name"),
        ("1.2.3:6820", "neither an IP address nor a host name"),
        ("-bad-:6820", "neither an IP address nor a host name"),
        ("a_b:6820", "neither an IP address nor a host name"),
        ("[127.0.0.1]:6820", "neither an IP address nor a host name"),
        ("[rest]:6820", "neither an IP address nor a host name"),
        ("[fe80::1%eth0]:6820", "neither an IP address nor a host name"),
        ("http://127.0.0.1:6820", "schemes"),
        ("http://127.0.0.1:6820", "only https:// is taken"),
        ("https://:6820", "releases differ in what an empty host binds"),
        ("127.0.0.1:6820,127.0.0.1:6821", "not host:port"),
        ("", "not host:port"),
        ("unix:", "must be absolute"),
        ("unix:run/x", "must be absolute"),
        ("unix:///run/x", "read as a host by newer releases"),
        ("unix:/run/a,b", "letters, digits"),
        ("unix:/run/a b", "letters, digits"),
        ("unix:/run/%n", "letters, digits"),
        ("unix:/run/../x", "without '..'"),
        ("unix:/run/x/", "without '..'"),
        ("unix:/", "without '..'"),
    ],
)
def test_refusals_name_variable_value_reason_and_what_is_allowed(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        parse(text)
    message = str(refused.value)
    assert message.startswith(f"slurmrestd_service_listen: {text!r} is refused")
    assert "Allowed: host:port" in message


@pytest.mark.parametrize("value", [6820, None, ["127.0.0.1:6820"], {"host": "x"}])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="a listener is a text"):
        parse(value)


def test_the_socket_path_ends_at_the_systems_limit() -> None:
    longest = "/" + "a" * (SUN_PATH_MAX - 1)
    assert parse(f"unix:{longest}").path == longest
    with pytest.raises(InputError, match=r"has 108 bytes.*no more than 107"):
        parse(f"unix:{longest}a")


@given(st.one_of(st.builds("{}:{}".format, HOSTS, st.integers(1, 65535)), PATHS.map("unix:{}".format)))
def test_parse_and_format_are_inverse(text: str) -> None:
    listener = parse(text)
    assert parse(listener.format()) == listener
    assert read(listener.format()) == listener
    assert json.loads(json.dumps(listener.as_dict()))["text"] == str(listener)


@given(st.text())
def test_wild_text_is_parsed_or_refused_and_what_is_parsed_is_safe(text: str) -> None:
    read(text)
    try:
        listener = parse(text)
    except InputError:
        return
    assert not set(listener.format()) & set(" \t\r\n,\"'\\%$")


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        (":6820", Listener("http", port=6820)),
        ("http://127.0.0.1:6820", Listener("http", host="127.0.0.1", port=6820)),
        ("https://[::1]:6820/", Listener("https", host="::1", port=6820)),
        ("unix:///run/x", Listener("unix", path="/run/x")),
        ("slurmrestd", None),
        ("-v", None),
        ("unix:relative", None),
        ("host:99999", None),
    ],
)
def test_units_that_are_already_there_may_use_other_spellings(text: str, listener: Listener | None) -> None:
    assert read(text) == listener


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:6820", "127.0.0.1:6820"),
        ("localhost:6820", "127.0.0.1:6820"),
        ("LOCALHOST:6820", "localhost:6820"),
        ("0.0.0.0:6820", "127.0.0.1:6820"),
        ("0.0.0.0:6820", "[::]:6820"),
        ("[::]:6820", "127.0.0.1:6820"),
        ("[::]:6820", "[::1]:6820"),
        ("rest.example.org:6820", "0.0.0.0:6820"),
        ("[::ffff:127.0.0.1]:6820", "127.0.0.1:6820"),
        ("unix:/run/x", "unix:/run/x"),
        ("unix:/run/x", "unix:/var/run/x"),
    ],
)
def test_pairs_that_exclude_each_other(first: str, second: str) -> None:
    for pair in ([first, second], [second, first]):
        assert len(conflicts([parse(text) for text in pair])) == 1
        with pytest.raises(InputError, match=r"slurmrestd_service_listen.*do not overlap"):
            parse_all(pair)


def test_listeners_that_stand_side_by_side() -> None:
    texts = [
        "127.0.0.1:6820",
        "127.0.0.2:6820",
        "[::1]:6820",
        "0.0.0.0:6821",
        "[2001:db8::1]:6821",
        "unix:/run/x",
        "unix:/run/y",
    ]
    assert [listener.format() for listener in parse_all(texts)] == texts


def test_the_old_spelling_of_any_address_conflicts_with_all() -> None:
    anything = read(":6820")
    assert anything is not None
    assert anything.is_any
    assert conflicts([anything, parse("[::1]:6820")])


@pytest.mark.parametrize(
    ("text", "loopback", "public"),
    [
        ("127.0.0.1:1", True, False),
        ("127.8.9.1:1", True, False),
        ("[::1]:1", True, False),
        ("localhost:1", True, False),
        ("0.0.0.0:1", False, True),
        ("[::]:1", False, True),
        ("10.0.0.1:1", False, True),
        ("rest:1", False, True),
        ("unix:/run/x", False, False),
    ],
)
def test_who_can_reach_it(text: str, loopback: bool, public: bool) -> None:
    listener = parse(text)
    assert (listener.is_loopback, listener.is_public) == (loopback, public)


def test_directory_of_a_socket() -> None:
    assert parse("unix:/run/slurmrestd/rest.socket").directory == "/run/slurmrestd"
    assert parse("127.0.0.1:1").directory == ""


def test_a_tls_listener_is_its_own_kind() -> None:
    one = parse("https://0.0.0.0:6820")
    assert (one.kind, one.is_tls, one.url, str(one)) == ("tcp", True, "https://127.0.0.1:6820", "https://0.0.0.0:6820")
    assert read(str(one)) == one
    assert one.as_dict()["scheme"] == "https"
    assert [found.reason for found in conflicts([one, parse("127.0.0.1:6820")])], "a port is one port, TLS or not"
    assert covers(one, parse("https://10.0.0.1:6820"))
    assert not covers(one, parse("10.0.0.1:6820"))
    assert parse("https://[::1]:6821").authority == "[::1]:6821"
