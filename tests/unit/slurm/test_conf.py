"""The reader for slurm.conf and slurmdbd.conf."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.redaction import REDACTED, is_secret
from slurmrest.slurm import conf as module
from slurmrest.slurm.conf import INCLUDE_DEPTH, SlurmConf, read

MAIN = "/etc/slurm/slurm.conf"


def load(text: str, **includes: str) -> SlurmConf:
    files = {MAIN: text, **{f"/etc/slurm/{name}": content for name, content in includes.items()}}
    conf = read(MAIN, files.get)
    assert conf is not None
    return conf


def test_keys_in_any_case_and_the_last_one_counts() -> None:
    conf = load("ClusterName=One\nclustername = two\nCLUSTERNAME= Three\n")
    assert conf.get("ClusterName") == "Three"
    assert conf.all("clusterNAME") == ["One", "two", "Three"]
    assert conf.get("SlurmUser", "root") == "root"
    assert conf.get("SlurmUser") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Key=a # b", "a"),
        ("Key=a#b", "a"),
        (r"Key=a\#b", "a#b"),
        ('Key="a b"', "a b"),
        ('Key="a # b"', '"a'),
        ('Key=""', ""),
        ("Key=a\\\nb", "ab"),
        ("Key= \\  \r\n  a\r\n", "a"),
        ("Key=a \\ # ends here\n", "a"),
        ("\tKey\t=\ta\t", "a"),
        ("Key=a\r\n", "a"),
        ("Key=a=b", "a=b"),
        (r"Key=a\\b", r"a\b"),
        ("#Key=a", None),
        ("Key=", None),
        ("Key", None),
    ],
)
def test_values(text: str, value: str | None) -> None:
    conf = load(text)
    assert conf.get("Key") == value
    assert bool(conf.errors) == (value is None and not text.startswith("#"))


def test_entries_remember_file_and_line() -> None:
    conf = load("# first\n\nA=1\nB=\\\n2\nC=3\n")
    assert [(entry.key, entry.value, entry.file, entry.line) for entry in conf.entries] == [
        ("A", "1", MAIN, 3),
        ("B", "2", MAIN, 4),
        ("C", "3", MAIN, 6),
    ]


def test_records_have_several_keys_a_line() -> None:
    conf = load(
        "NodeName=c[1-4] CPUs=2 \\\n  RealMemory=100\n"
        'PartitionName=p Nodes=ALL Default=YES Comment="a b"\n'
        "NodeName=d1\n"
    )
    nodes = conf.entries_of("nodename")
    assert [entry.value for entry in nodes] == ["c[1-4]", "d1"]
    assert nodes[0].fields == (("CPUs", "2"), ("RealMemory", "100"))
    assert str(conf.entries_of("PartitionName")[0]) == "PartitionName=p Nodes=ALL Default=YES Comment=a b"
    assert conf.errors == ()


def test_a_second_key_on_an_ordinary_line_is_an_error_as_it_is_for_slurm() -> None:
    conf = load("ClusterName=a SlurmUser=slurm\nSlurmUser=bob\n")
    assert conf.errors == (f"{MAIN}:1",)
    assert conf.get("SlurmUser") == "bob"


def test_includes_stand_where_they_are_written() -> None:
    conf = load(
        "ClusterName=TEST\nSlurmUser=a\nINCLUDE sub/%c.conf\nInclude /srv/abs.conf\nInclude gone.conf\n"
        "SlurmUser=z\n Include indented\n",
        **{"sub/test.conf": "SlurmUser=b\nSlurmctldHost=h1\n"},
    )
    assert conf.all("SlurmUser") == ["a", "b", "z"]
    assert conf.files == (MAIN, "/etc/slurm/sub/test.conf")
    assert conf.missing == ("/srv/abs.conf", "/etc/slurm/gone.conf")
    assert conf.errors == (f"{MAIN}:7",)


def test_two_names_behind_one_include_are_an_error() -> None:
    conf = load("A=1\nInclude one.conf two.conf\nInclude one.conf # and a comment\n", **{"one.conf": "B=2\n"})
    assert (conf.all("B"), conf.errors) == (["2", "2"], (f"{MAIN}:2",))


def test_circles_of_includes_end() -> None:
    conf = load("A=1\nInclude slurm.conf\n")
    assert conf.all("A") == ["1"] * (INCLUDE_DEPTH + 1)
    assert conf.missing == (MAIN,)


def test_files_that_include_each_other_are_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bound ten lines would be read 10^10 times: slurmdbd.conf is SlurmUser's, and root reads it."""
    monkeypatch.setattr(module, "MOST_FILES", 50)
    left = iter(range(60))

    def same(_path: str) -> str | None:
        next(left)  # StopIteration ends a reader that goes on
        return f"A=1\nInclude {MAIN}\n" * 10

    conf = read(MAIN, same)
    assert conf is not None
    assert len(conf.files) == 50
    assert set(conf.missing) == {MAIN}, "what is left out is told"


def test_a_configuration_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 100)
    conf = load("A=1\nInclude long.conf\nInclude short.conf\n", **{"long.conf": "B=2\n" * 30, "short.conf": "C=3\n"})
    assert (conf.all("A"), conf.all("B"), conf.all("C")) == (["1"], [], ["3"])
    assert conf.missing == ("/etc/slurm/long.conf",)
    assert load("A=1\n" * 30).missing == (MAIN,)


def test_no_file_is_none_and_an_unreadable_one_is_an_error() -> None:
    def refuse(path: str) -> str | None:
        raise PermissionError(path)

    assert read(MAIN, lambda _: None) is None
    with pytest.raises(PermissionError):
        read(MAIN, refuse)


def test_an_unreadable_include_counts_as_missing() -> None:
    def some(path: str) -> str | None:
        if path == MAIN:
            return "Include private.conf\nA=1\n"
        raise PermissionError(path)

    conf = read(MAIN, some)
    assert conf is not None
    assert conf.missing == ("/etc/slurm/private.conf",)
    assert conf.get("A") == "1"


def test_options_of_a_value() -> None:
    conf = load("AuthAltParameters=jwt_key=/var/lib/slurm/jwt.key,disable_token_creation,,max_token_lifespan=60\n")
    assert conf.options("authaltparameters") == {
        "jwt_key": "/var/lib/slurm/jwt.key",
        "disable_token_creation": None,
        "max_token_lifespan": "60",
    }
    assert load("").options("AuthAltParameters") == {}


@pytest.mark.parametrize("key", ["StoragePass", "storagepass", "AccountingStoragePass", "JobCompPass", "Password"])
def test_passwords_are_in_no_repr(key: str) -> None:
    conf = load(f"{key}=hunter2\n")
    assert conf.get(key) == "hunter2"
    assert is_secret(key)
    entry = conf.entries[0]
    assert entry.shown == REDACTED
    assert "hunter2" not in f"{conf!r} {entry!r} {entry} {conf}"


def test_ordinary_keys_are_no_secrets() -> None:
    assert not is_secret("AuthAltParameters")
    assert not is_secret("PassengerCount")


KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda key: key.lower() not in {"include", "nodename", "nodeset", "downnodes"}
)
VALUES = st.text(string.ascii_letters + string.digits + " ./,:=()[]-_#\\", min_size=1, max_size=20)


@given(st.lists(st.tuples(KEYS, VALUES)), st.sampled_from(["\n", "\r\n", "  \n", "\t# comment\n"]))
def test_what_is_written_quoted_comes_back(pairs: list[tuple[str, str]], end: str) -> None:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace("#", "\\#")

    conf = load("".join(f'{key}="{escape(value)}"{end}' for key, value in pairs))
    assert [(entry.key, entry.value) for entry in conf.entries] == pairs
    assert conf.errors == ()


@given(st.text())
def test_wild_text_is_read_without_an_error(text: str) -> None:
    conf = load(text)
    assert all(entry.line <= text.count("\n") + 1 for entry in conf.entries)
