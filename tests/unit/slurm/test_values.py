"""What may stand in slurm.conf: what is written is read back as it was, by our reader and by Slurm's way to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.errors import InputError
from slurmrest.slurm import values
from slurmrest.slurm.conf import read

from tests.unit.slurm_parser import parse

CONF = "/etc/slurm/slurm.conf"
PLAIN = st.text(alphabet="ab1,=\\#\"'% \t\n\r\0;$\x7fé", max_size=12)
ANY = st.one_of(PLAIN, st.text(max_size=12), st.integers(), st.booleans(), st.none())


def meant(value: object) -> str:
    """What Slurm shall have: without the quotes of a value that is in quotes, and YAML's YES for a truth value."""
    text = ("YES" if value else "NO") if isinstance(value, bool) else str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text


def lines_around(line: str) -> str:
    return f"Before=1\n{line}\nAfter=2\n"


@given(ANY, st.sampled_from(["Comment", "StoragePass", "AuthAltParameters"]))
def test_what_is_accepted_is_read_back_and_nothing_else(value: object, key: str) -> None:
    if values.no_value(value, key) is not None:
        with pytest.raises(InputError):
            values.written(value, key)
        return
    text = lines_around(f"{key}={values.written(value, key)}")
    conf = read(CONF, {CONF: text}.get)
    assert conf is not None
    assert [(entry.key, entry.value) for entry in conf.entries] == [
        ("Before", "1"),
        (key, meant(value)),
        ("After", "2"),
    ]
    assert (conf.errors, conf.includes) == ((), ())
    seen = parse(CONF, {CONF: text.encode()})
    assert seen.pairs == [("before", b"1"), (key.lower(), meant(value).encode()), ("after", b"2")]
    assert seen.complaints == []


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_.]{1,8}", fullmatch=True), ANY, max_size=4))
def test_keys_inside_a_record_are_read_back_and_nothing_else(extra: dict[str, object]) -> None:
    if any(values.judge_options("extra", extra, inside_record=True)):
        return
    line = "NodeName=n1" + "".join(f" {key}={values.written(value)}" for key, value in extra.items())
    conf = read(CONF, {CONF: lines_around(line)}.get)
    assert conf is not None
    assert conf.errors == ()
    assert [entry.key for entry in conf.entries] == ["Before", "NodeName", "After"]
    assert conf.entries[1].fields == tuple((key, meant(value)) for key, value in extra.items())


@given(PLAIN, st.sampled_from(["NodeSet", "DownNodes", "SlurmctldHost"]))
def test_a_record_is_one_line_that_is_understood(text: str, key: str) -> None:
    if values.no_value(text, key) is None:
        conf = read(CONF, {CONF: lines_around(f"{key}={values.written(text, key)}")}.get)
        assert conf is not None
        assert [entry.key for entry in conf.entries] == ["Before", key, "After"]
        assert (conf.errors, conf.includes) == ((), ())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("verbose", "verbose"),
        ("a#b", r"a\#b"),
        ("a\\", "a\\\\"),
        ("sched,backfill x", '"sched,backfill x"'),
        ('"a b"', '"a b"'),
        ('a"b', 'a"b'),
        (300, "300"),
        (True, "YES"),
        (False, "NO"),
    ],
)
def test_how_a_value_is_written(value: object, text: str) -> None:
    assert values.written(value, "Key") == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\nSlurmUser=b", "line end"),
        ("a\rb", "line end"),
        ("a\0b", "control character"),
        ("a\x9bb", "control character"),
        ("a\ud800", "valid text"),
        ('a "b"', "double quote"),
        ("", "leave the key out"),
        (None, "neither text"),
        (["a"], "neither text"),
        ({"a": "b"}, "neither text"),
    ],
)
def test_what_is_refused_and_why(value: object, reason: str) -> None:
    assert reason in str(values.no_value(value, "Key"))


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("NodeSet", "gpus Feature=gpu", None),
        ("nodeset", 'gpus\tComment="a b"', None),
        ("SlurmctldHost", "ctl1(192.0.2.10)", None),
        ("NodeSet", "gpus Feature=gpu and more", "further keys"),
        ("NodeSet", "gpus # old", "comment"),
        ("NodeSet", "gpus Feature=a\\", "further keys"),
        ("NodeSet", "gpus\nSlurmUser=a", "line end"),
        ("Epilog", "gpus Feature=gpu", None),
    ],
)
def test_records_as_options(key: str, text: str, reason: str | None) -> None:
    told = values.no_value(text, key)
    assert (told is None) == (reason is None)
    assert reason is None or reason in str(told)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (values.NAME, ["alice", "Alice.Smith", "a@b", "x_1"], ["a b", "a=b", "a,b", "-a", "a'b", "a#b", "", "a\n"]),
        (values.CLUSTER, ["c1", "My-Cluster", "a.b"], ["a b", "a/b", "a;b", "\n"]),
        (values.HOST, ["db", "db.example.org", "192.0.2.1", "::1"], ["db (x)", "db#", "db,x"]),
        (values.CONTROLLER, ["c", "c(192.0.2.1)", "c([2001:db8::1])"], ["c (a)", "c(a", "c a", "c(a) b"]),
        (values.NODES, ["n1", "n[1-4],gpu[01-16]", "ALL", "rack[0-3]_n[1-2]"], ["n1 CPUs=2", "n#", 'n"', "n;m"]),
        (values.NUMBER, ["0", 16, "1024"], ["1\n", "1 2", "-1", "", True, 1.5, "٣"]),
        (values.PATH, ["/etc/slurm", "/opt/slurm-24.11/etc:x=1", "/srv/größe"], ["etc", "/a b", "/a%i", "/a\n", "/a'"]),
    ],
)
def test_names(kind: values.Kind, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if list(kind.judge("variable", value))] == []
    assert [value for value in bad if not list(kind.judge("variable", value))] == []


def test_an_error_names_variable_value_and_what_is_allowed() -> None:
    (error,) = values.NODES.judge("slurm_conf_nodes[0].name", "n1 n2")
    assert str(error) == "slurm_conf_nodes[0].name: 'n1 n2' is refused. Allowed: names of nodes, such as n1,gpu[01-16]."
    (error,) = values.judge_options("slurm_conf_options", {"Epilog Prolog": "x"})
    assert str(error).startswith("slurm_conf_options: 'Epilog Prolog' is refused: it is no name of a key. Allowed:")


def test_the_value_of_a_secret_is_not_in_its_error() -> None:
    (error,) = values.judge_options("slurm_conf_dbd_options", {"StoragePass": "correct horse\nbattery"})
    assert str(error).startswith("slurm_conf_dbd_options.StoragePass is refused: it has a line end")
    assert "horse" not in str(error) + repr(vars(error))


@pytest.mark.parametrize("given", ["a", ["a"], [{"name": "a"}, 1], None])
def test_a_list_of_records_is_one(given: object) -> None:
    assert [str(error).partition(" is")[0] for error in values.judge_records("nodes", given, {})] == [
        f"nodes: {given!r}"
    ]


def test_every_record_has_a_name() -> None:
    judges = {"name": values.NAME.judge, "cpus": values.NUMBER.judge}
    errors = list(values.judge_records("nodes", [{"name": "a", "cpus": ""}, {"cpus": "4\n"}], judges))
    assert [error.variable for error in errors] == ["nodes[1].name", "nodes[1].cpus"]
