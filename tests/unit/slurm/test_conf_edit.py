"""The editor for slurm.conf and slurmdbd.conf: over a corpus of nasty files, and over whatever hypothesis thinks of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.redaction import redacted
from slurmrest.slurm.conf import lines, read
from slurmrest.slurm.conf_edit import Edit, Wish, merge, noted, spread, unmerge

from tests.unit import slurm_parser

CORPUS = Path(__file__).parents[1] / "corpus" / "slurmconf"
CASES = sorted(path.name for path in CORPUS.iterdir())
MERGED = [name for name in CASES if not name.startswith("refused-")]
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
TYPES = Wish("AuthAltTypes", "auth/jwt")
PARAMETERS = Wish("AuthAltParameters", f"jwt_key={KEY}")
WISHES = (TYPES, PARAMETERS)
MAIN = "/etc/slurm/slurm.conf"

Files = dict[str, bytes]


def case(name: str) -> tuple[str, Files]:
    """Return the path of the main file of a case, and all its files as they are in /etc/slurm."""
    root = CORPUS / name
    files = {f"/etc/slurm/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return next(path for path in ("/etc/slurm/slurm.conf", "/etc/slurm/slurmdbd.conf") if path in files), files


def decoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: content.decode("utf-8", "surrogateescape") for path, content in files.items()}


def written(files: Files, edit: Edit) -> Files:
    return {**files, **{path: text.encode("utf-8", "surrogateescape") for path, text in edit.texts.items()}}


def merged(main: str, files: Files, *wishes: Wish) -> Files:
    return written(files, merge(main, decoded(files).get, wishes or WISHES))


def unmerged(main: str, files: Files) -> Files:
    return written(files, unmerge(main, decoded(files).get))


def check(main: str, files: Files) -> Files:
    """Assert everything that is promised of one merge; returns the merged files."""
    before = slurm_parser.parse(main, files)
    result = merged(main, files)
    after = slurm_parser.parse(main, result)
    # Slurm sees both items where it looks for them, all that was there before, and nothing else has changed.
    assert b"auth/jwt" in (after.last("AuthAltTypes") or b"").split(b",")
    options = [item for item in (after.last("AuthAltParameters") or b"").split(b",") if item.startswith(b"jwt_key=")]
    assert options[0] == f"jwt_key={KEY}".encode()
    for key in ("AuthAltTypes", "AuthAltParameters"):
        kept = [item for item in (before.last(key) or b"").split(b",") if not item.startswith(b"jwt_key=")]
        assert set(kept) <= {*(after.last(key) or b"").split(b","), b""}
    assert other_pairs(after) == other_pairs(before)
    assert [said.rstrip() for said in after.complaints] == [said.rstrip() for said in before.complaints]
    # Only lines of the two keys and our notes differ.
    for path, content in files.items():
        assert untouched(result[path]) == untouched(content), path
    # Twice is once; absent gives the original back, and is nothing where there is nothing.
    assert merged(main, result) == result
    assert unmerged(main, result) == files
    assert unmerged(main, files) == files
    return result


def other_pairs(seen: slurm_parser.Seen) -> list[tuple[str, bytes]]:
    return [pair for pair in seen.pairs if pair[0] not in ("authalttypes", "authaltparameters")]


def untouched(content: bytes) -> list[str]:
    """Return the lines that have nothing to do with the two keys; line breaks are the business of the inverse."""
    physical = content.decode("utf-8", "surrogateescape").split("\n")
    text = "\n".join("#" if noted(line) else line for line in physical)
    raw = [text[line.start : line.end] for line in lines(text) if "authalt" not in line.text.lower()]
    kept = [re.sub(r"(\r?\n#)+$", "", line.rstrip("\r\n")) for line in raw]
    return [line.rstrip("\r\n") for line in kept if line not in ("", "#")]


@pytest.mark.parametrize("name", MERGED)
def test_corpus(name: str) -> None:
    check(*case(name))


@pytest.mark.parametrize("name", sorted(set(CASES) - set(MERGED)))
def test_what_cannot_be_merged_is_refused(name: str) -> None:
    main, files = case(name)
    with pytest.raises(SlurmrestError, match="/etc/slurm"):
        merged(main, files)


def test_the_corpus_is_large_enough_and_has_what_it_promises() -> None:
    contents = {name: b"".join(case(name)[1].values()) for name in CASES}
    assert len(CASES) >= 40
    for what in (b"\r\n", b"\t", b"\xfc", b"\\\n", b'"', b"Include", b"%c", b"NodeName", b"StoragePass"):
        assert any(what in content for content in contents.values()), what
    assert any(not content.endswith(b"\n") for content in contents.values() if content)


def conf(text: str, *wishes: Wish) -> str:
    return merged(MAIN, {MAIN: text.encode()}, *wishes)[MAIN].decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "A=1\n",
            'A=1\n# slurmrest.toolkit added the line AuthAltTypes: "auth/jwt"\nAuthAltTypes=auth/jwt\n',
        ),
        ("AuthAltTypes=auth/jwt", "AuthAltTypes=auth/jwt"),
        (
            "x\nAuthAltTypes=auth/slurm # why\n",
            'x\n# slurmrest.toolkit added to AuthAltTypes: "auth/jwt"\nAuthAltTypes=auth/slurm,auth/jwt # why\n',
        ),
        (
            'authalttypes = "auth/slurm"\r\n',
            '# slurmrest.toolkit added to AuthAltTypes: "auth/jwt"\r\nauthalttypes = "auth/slurm,auth/jwt"\r\n',
        ),
        (
            'AuthAltTypes=""',
            '# slurmrest.toolkit added to AuthAltTypes: "auth/jwt"\nAuthAltTypes="auth/jwt"',
        ),
    ],
)
def test_exact_result(before: str, after: str) -> None:
    assert conf(before, TYPES) == after


def test_another_value_of_an_option_is_replaced_and_comes_back() -> None:
    before = "AuthAltParameters=a,jwt_key=/o\\\\l\\#d,b # c\n"
    after = conf(before, PARAMETERS)
    assert after.splitlines()[1] == f"AuthAltParameters=a,jwt_key={KEY},b # c"
    other = conf(after, Wish("AuthAltParameters", "jwt_key=/third"))
    assert other.splitlines()[1:] == ["AuthAltParameters=a,jwt_key=/third,b # c"]
    assert unmerged(MAIN, {MAIN: other.encode()}) == {MAIN: before.encode()}


def test_an_option_behind_a_blank_is_replaced_with_its_blank_and_comes_back() -> None:
    before = 'AuthAltParameters="a, jwt_key=/old"\n'
    loose = Wish("AuthAltParameters", f"jwt_key={KEY}", loose=True)
    after = conf(before, loose)
    assert after.splitlines()[1] == f'AuthAltParameters="a,jwt_key={KEY}"'
    assert unmerged(MAIN, {MAIN: after.encode()}) == {MAIN: before.encode()}
    assert conf(before, Wish("AuthAltParameters", "jwt_key=/old", loose=True)) == before
    assert conf(before, Wish("AuthAltParameters", "jwt_key=/old")) != before


def test_a_key_with_odd_characters_is_escaped() -> None:
    after = conf("", Wish("AuthAltParameters", "jwt_key=/a\\b#c/ü"))
    assert slurm_parser.parse(MAIN, {MAIN: after.encode()}).last("AuthAltParameters") == "jwt_key=/a\\b#c/ü".encode()
    assert merge(MAIN, {MAIN: after}.get, [Wish("AuthAltParameters", "jwt_key=/a\\b#c/ü")]).texts == {}


@pytest.mark.parametrize("item", ["", "a b", "a,b", 'a"b', "a\nb", "a\tb", "a\0", "a\x9b"])
def test_an_item_that_no_value_can_hold_is_refused(item: str) -> None:
    with pytest.raises(InputError, match="AuthAltTypes"):
        Wish("AuthAltTypes", item)


def test_what_does_as_well_is_left_alone() -> None:
    assert conf("AuthAltTypes=jwt\n", Wish("AuthAltTypes", "auth/jwt", accepted=("jwt",))) == "AuthAltTypes=jwt\n"
    assert "jwt,auth/jwt" in conf("AuthAltTypes=jwt\n", TYPES)


def test_a_new_line_stands_beside_its_sibling() -> None:
    files = {MAIN: b"Include auth.conf\nA=1\n", "/etc/slurm/auth.conf": b"AuthAltTypes=auth/jwt\nB=1\n"}
    result = merged(MAIN, files)
    assert result[MAIN] == files[MAIN]
    assert result["/etc/slurm/auth.conf"].decode().splitlines()[2:] == [f"AuthAltParameters=jwt_key={KEY}", "B=1"]


def test_changes_are_told_as_of_the_file_that_is_there() -> None:
    text = "A=1\nAuthAltTypes=auth/slurm\nB=1\nAuthAltParameters=x,\\\ny\nC=1\n"
    told = [(change.where, change.old, change.new) for change in merge(MAIN, {MAIN: text}.get, WISHES).changes]
    assert told == [
        (f"{MAIN}, line 2", "AuthAltTypes=auth/slurm", "AuthAltTypes=auth/slurm,auth/jwt"),
        (f"{MAIN}, line 4", "AuthAltParameters=x,\\\ny", f"AuthAltParameters=x,\\\ny,jwt_key={KEY}"),
    ]
    new = merge(MAIN, {MAIN: "A=1\n"}.get, WISHES).changes
    assert [(change.where, change.old) for change in new] == [(f"{MAIN}, at the end", None)] * 2
    new = merge(MAIN, {MAIN: "A=1\n\nAuthAltTypes=auth/jwt"}.get, WISHES).changes
    assert [(change.where, change.old) for change in new] == [(f"{MAIN}, after line 3", None)]


@pytest.mark.parametrize(
    ("edited", "left"),
    [
        # The site added something of its own to our line, moved it, or wrote it anew.
        ("{0}\nAuthAltTypes=auth/jwt,auth/site\n", "AuthAltTypes=auth/site\n"),
        ("{0}\nA=1\nAuthAltTypes=auth/site,auth/jwt\n", "A=1\nAuthAltTypes=auth/site\n"),
        ("AuthAltTypes=auth/jwt\n{0}\nA=1\n", "A=1\n"),
        ("{0}\nAuthAltTypes=auth/site\n", "AuthAltTypes=auth/site\n"),
        ("{0}\n", ""),
        ("A=1\n{0}", "A=1\n"),
        ("{1}\nAuthAltTypes=auth/jwt\nA=1\n", "A=1\n"),
        ("{1}\nAuthAltTypes=auth/jwt,auth/a,auth/b\n", "AuthAltTypes=auth/a,auth/b\n"),
        ("{0}\n{0}\nAuthAltTypes=auth/jwt\n", ""),
    ],
)
def test_absent_after_somebody_edited_the_file(edited: str, left: str) -> None:
    notes = [f'# slurmrest.toolkit {what} AuthAltTypes: "auth/jwt"' for what in ("added the line", "added to")]
    assert unmerged(MAIN, {MAIN: edited.format(*notes).encode()})[MAIN].decode() == left


def test_what_the_site_wrote_itself_stays() -> None:
    text = b"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key=/site\n"
    assert unmerged(MAIN, {MAIN: text}) == {MAIN: text}


def test_no_file() -> None:
    nothing: dict[str, str] = {}
    with pytest.raises(SlurmrestError, match="is not there"):
        merge(MAIN, nothing.get, WISHES)
    with pytest.raises(SlurmrestError, match="is not there"):
        unmerge(MAIN, nothing.get)


# --- whatever hypothesis thinks of -----------------------------------------------------------------------------------

WHITE = st.text(" \t\x0b\x0c", max_size=3)
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n"])
COMMENTS = st.one_of(
    st.just(""),
    st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]), max_size=12).map(
        lambda text: f"#{text}"
    ),
)
ITEMS = st.lists(
    st.one_of(
        st.sampled_from(["auth/slurm", "auth/jwt", "disable_token_creation", "jwt_key=/o", "", "jwks=/j"]),
        st.from_regex(r"[a-zA-Z_=/.\\#\\\\]{1,8}", fullmatch=True),
    ),
    max_size=4,
).map(",".join)


@st.composite
def settings_lines(draw: st.DrawFn) -> str:
    """Return one logical line with a key, odd in every way that Slurm allows."""
    key = draw(st.sampled_from(["AuthAltTypes", "AuthAltParameters", "AuthType", "SlurmUser", "MailDomain"]))
    key = "".join(draw(st.sampled_from([character, character.swapcase()])) for character in key)
    value = draw(ITEMS)
    quoted = draw(st.booleans()) or not value
    pieces = [draw(WHITE), key, draw(WHITE), "=", draw(WHITE), f'"{value}"' if quoted else value, draw(WHITE)]
    pieces = [piece.replace("\\", r"\\").replace("#", r"\#") for piece in pieces]
    if draw(st.booleans()):  # continued, anywhere but inside an escape
        index = draw(st.integers(0, len(pieces) - 1))
        pieces[index] += "\\" + draw(WHITE) + draw(ENDS)
    return "".join(pieces) + draw(COMMENTS)


OTHER_LINES = st.one_of(
    WHITE,
    COMMENTS,
    st.sampled_from(
        [
            "NodeName=c[1-4] CPUs=2 \\\n RealMemory=100",
            'PartitionName=p Nodes=ALL Comment="a b"',
            "ClusterName=Big",
            "Include sub.conf",
            "include\tsub.conf # twice",
            "Include %c.conf",
            "StoragePass=secret",
        ]
    ),
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Return a file: lines with their line breaks, the last one perhaps without, perhaps continued into nothing."""
    parts = draw(st.lists(st.one_of(settings_lines(), OTHER_LINES), max_size=8))
    text = "".join(part + draw(ENDS) for part in parts)
    tail = draw(st.sampled_from([b"", b"A=1 \\", b"A=1 \\\n", b"#x\\", b"# \xff\xfe", b"#\0 x\n", b"A=1 \\\n#\0"]))
    if not tail and draw(st.booleans()):
        text = text.rstrip("\r\n")
    return text.encode("utf-8") + tail


@given(texts(), texts(), texts())
@example(b"A=1 \\", b"", b"")
@example(b"Include sub.conf\nInclude sub.conf", b"AuthAltTypes=auth/jwt,", b"")
def test_any_file(main: bytes, sub: bytes, named: bytes) -> None:
    included = re.sub(rb"(?i)include", b"exclude", sub), re.sub(rb"(?i)include", b"exclude", named)
    files = {MAIN: main, "/etc/slurm/sub.conf": included[0], "/etc/slurm/big.conf": included[1]}
    files["/etc/slurm/%c.conf"] = included[1]
    check(MAIN, files)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_come_back(content: bytes) -> None:
    files = {MAIN: content}
    try:
        result = merged(MAIN, files)
    except SlurmrestError:
        return
    assert merged(MAIN, result) == result
    assert unmerged(MAIN, result) == files


@given(texts())
def test_logical_lines_are_the_whole_text(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    found = list(lines(text))
    assert "".join(text[line.start : line.end] for line in found) == text
    for line in found:
        spans = spread(line)
        assert len(spans) == len(line.text)
        assert [text[end - 1] for _start, end in spans] == list(line.text)
        assert all(line.start <= start < end <= line.end for start, end in spans)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


@given(texts())
def test_the_reader_sees_what_slurm_sees(content: bytes) -> None:
    files = {MAIN: content, "/etc/slurm/sub.conf": b"B=1\n", "/etc/slurm/big.conf": b"C=1"}
    found = read(MAIN, decoded(files).get)
    seen = slurm_parser.parse(MAIN, files)
    assert found is not None
    for key in ("AuthAltTypes", "AuthAltParameters", "AuthType", "SlurmUser", "A", "B", "C"):
        value = seen.last(key)
        assert found.get(key) == (None if value is None else value.decode("utf-8", "surrogateescape"))


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("dbd-")])
def test_no_password_is_shown(name: str) -> None:
    main, files = case(name)
    for path, content in merged(main, files).items():
        text = content.decode()
        shown = redacted(text)
        assert "hunter2" not in shown
        assert ("StoragePass" in text) == ("StoragePass" in shown), path
        assert "# slurmrest" not in text or "# slurmrest" in shown
