"""The unit model: what systemd makes of several files, and who decided it."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.redaction import REDACTED
from slurmrest.slurm.releases import RELEASES, lookup
from slurmrest.slurmrestd.contradictions import contradictions
from slurmrest.slurmrestd.unit import EffectiveUnit, effective, specifiers
from slurmrest.slurmrestd.unit_places import DROPIN, order_dropins
from slurmrest.systemd.environment_files import parse_environment_file
from slurmrest.systemd.unit_files import Place, parse_unit, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNITS = Path(__file__).resolve().parents[2] / "render" / "units"
FRAGMENT = "/usr/lib/systemd/system/slurmrestd.service"
DEFAULTS = "/etc/default/slurmrestd"
OVERRIDE = "/etc/systemd/system/slurmrestd.service.d/override.conf"
EARLIER = "/etc/systemd/system/slurmrestd.service.d/10-site.conf"

OURS = """\
[Service]
User=slurmrestd
Group=slurmrestd
SupplementaryGroups=
Environment=SLURM_JWT=daemon
Environment=SLURMRESTD_LISTEN=127.0.0.1:6820,unix:/run/slurmrestd/slurmrestd.socket
ExecStart=
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS -a rest_auth/jwt
ExecReload=
"""


def load(files: Mapping[str, str], **dropins: str) -> EffectiveUnit:
    """A unit of files in memory; those in a .d directory are its drop-ins."""
    everything = {**files, **dropins}
    fragment = FRAGMENT if FRAGMENT in everything else None
    return effective(fragment, [path for path in everything if ".d/" in path], everything.get)


def vendor(name: str) -> str:
    return (UNITS / f"{name}.service").read_text(encoding="utf-8")


# --- unit files ------------------------------------------------------------------------------------------------------


def test_comments_continuations_and_blanks() -> None:
    text = (
        "# a comment\n"
        "; another\n"
        "[Service]\n"
        "  User = alice  \n"
        "ExecStart=/bin/true one \\\n"
        "# inside a continued line\n"
        "    two \\\n"
        "    three\n"
        "not an assignment\n"
        "[Broken\n"
        "User=ignored\n"
        "[X-Ours]\n"
        "Key=a=b\n"
    )
    found = [(entry.section, entry.key, entry.value, entry.origin.line) for entry in parse_unit(text, "/u")]
    assert found == [
        ("Service", "User", "alice", 4),
        ("Service", "ExecStart", "/bin/true one  two  three", 5),
        ("X-Ours", "Key", "a=b", 13),
    ]


def test_a_blank_line_ends_a_continued_one() -> None:
    entries = parse_unit("[Service]\nUser=a \\\n\nGroup=b\n", "/u")
    assert [(entry.key, entry.value) for entry in entries] == [("User", "a"), ("Group", "b")]


def test_carriage_returns_end_lines() -> None:
    assert [entry.value for entry in parse_unit("[Service]\r\nUser=a\r\nGroup=b\r\n", "/u")] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("\"a b\" 'c d'", ["a b", "c d"]),
        ('"A=b c" D=e', ["A=b c", "D=e"]),
        (r"a\ b a\sb", [r"a\ b", "a b"]),
        (r"tab\tx \x41 \101 \u00e4", ["tab\tx", "A", "A", "ä"]),
        (r'"say \"hi\"" \'x\'', ['say "hi"', "'x'"]),
        ("x'y z'w", ["xy zw"]),
        ('"not closed', ["not closed"]),
        ("back\\", ["back\\"]),
    ],
)
def test_words_quotes_and_escapes(text: str, words: list[str]) -> None:
    assert split_words(text) == words


WORD = st.text(string.printable.replace("\x0b", "").replace("\x0c", "") + "äß", min_size=1, max_size=12)


@given(st.lists(WORD))
def test_quoted_words_come_back(words: list[str]) -> None:
    escaped = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    assert split_words(" ".join(f'"{word}"' for word in escaped)) == words


@given(st.text())
def test_wild_text_is_read_without_an_error(text: str) -> None:
    parse_unit(text, "/u")
    split_words(text)
    parse_environment_file(text, "/e")
    unit = load({FRAGMENT: f"[Service]\nExecStart=/usr/sbin/slurmrestd {text}\nEnvironmentFile=/e\n", "/e": text})
    assert json.loads(json.dumps(unit.as_dict())) == unit.as_dict()


def test_specifiers_that_are_the_same_everywhere() -> None:
    assert specifiers("unix:%t/%N/x %% %n %H") == "unix:/run/slurmrestd/x % slurmrestd.service %H"


# --- drop-ins --------------------------------------------------------------------------------------------------------


def test_dropins_sort_by_name_whatever_the_directory_and_hide_their_namesakes() -> None:
    assert order_dropins(
        [
            "/usr/lib/systemd/system/slurmrestd.service.d/50-slurmrest.conf",
            "/usr/lib/systemd/system/slurmrestd.service.d/90-vendor.conf",
            "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf",
            "/etc/systemd/system/slurmrestd.service.d/override.conf",
            "/run/systemd/system/slurmrestd.service.d/10-run.conf",
            "/usr/lib/systemd/system/service.d/10-run.conf",
            "/usr/lib/systemd/system/service.d/20-all.conf",
            "/etc/systemd/system/slurmrestd.service.d/README",
        ]
    ) == [
        "/run/systemd/system/slurmrestd.service.d/10-run.conf",
        "/usr/lib/systemd/system/service.d/20-all.conf",
        "/etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf",
        "/usr/lib/systemd/system/slurmrestd.service.d/90-vendor.conf",
        "/etc/systemd/system/slurmrestd.service.d/override.conf",
    ]


def test_upper_case_sorts_before_lower_case_as_in_c() -> None:
    directory = "/etc/systemd/system/slurmrestd.service.d/"
    assert order_dropins([directory + "a.conf", directory + "Z.conf"]) == [directory + "Z.conf", directory + "a.conf"]


def test_lists_add_up_and_an_empty_value_resets() -> None:
    unit = load(
        {
            FRAGMENT: "[Unit]\nConditionPathExists=/a\n[Service]\nExecStart=/bin/a\n"
            "SupplementaryGroups=x y\nUser=one\n",
            EARLIER: "[Unit]\nConditionPathExists=/b\n[Service]\nSupplementaryGroups=z\nUser=two\n",
            OVERRIDE: "[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=/bin/b\nUser=\n",
        }
    )
    assert unit.as_dict()["exec_start"] == [["/bin/b"]]
    assert unit.words("SupplementaryGroups") == ["x", "y", "z"]
    assert unit.user is None
    assert unit.setting("User").reset == Place(OVERRIDE, 6)
    assert unit.conditions == []
    assert unit.dropins == (EARLIER, OVERRIDE)


def test_a_host_without_the_unit_gives_an_empty_model() -> None:
    unit = effective(None, [], lambda _: None)
    assert unit.as_dict()["exec_start"] == []
    assert unit.listeners == ()


# --- environment files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("  A = b c  \n", "b c"),
        ("A='b # c'", "b # c"),
        ('A="b \\"c\\" \\$d \\e"', 'b "c" $d \\e'),
        ("A=b#c ; d", "b#c ; d"),
        ("A=it's", "it's"),
        ("A=\"b\"'c' d", "bcd"),
        ("A=b\\\nc", "bc"),
        ("A=b\\ \n", "b "),
        ('A="b\nc"', "b\nc"),
        ("A=\n", ""),
        ("A=1\nA=2\n", "2"),
        ("A=$B", "$B"),
        ("#A=1\n;A=2\nA=3\r\n", "3"),
    ],
)
def test_values_of_environment_files(text: str, value: str) -> None:
    assert {item.name: item.value for item in parse_environment_file(text, "/e")} == {"A": value}


@pytest.mark.parametrize("text", ["export A=b", "A b", "=b", "1A=b", "[Service]", "# A=b", "A-B=c"])
def test_lines_that_systemd_ignores(text: str) -> None:
    assert parse_environment_file(text, "/e") == []


def test_variables_remember_their_line() -> None:
    found = parse_environment_file("# one\n\nA=b\\\nc\n'x\nB=d\n", "/e")
    assert [(item.name, item.origin.line) for item in found] == [("A", 3), ("B", 6)]


SECRETS = ("JWT", "TOKEN", "PASS", "SECRET", "KEY")
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
SAFE = NAMES.filter(lambda name: not any(secret in name for secret in SECRETS))


@given(st.dictionaries(SAFE, st.text().filter(lambda text: not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text))))
def test_quoted_values_come_back(variables: dict[str, str]) -> None:
    escaped = {k: "".join(f"\\{c}" if c in '"\\`$' else c for c in v) for k, v in variables.items()}
    text = "".join(f'{name}="{value}"\n' for name, value in escaped.items())
    assert {item.name: item.value for item in parse_environment_file(text, "/e")} == variables


def test_a_file_beats_the_unit_and_a_later_file_beats_an_earlier_one() -> None:
    unit = load(
        {
            FRAGMENT: (
                "[Service]\nEnvironmentFile=-/etc/sysconfig/slurmrestd\nEnvironmentFile=/etc/default/slurmrestd\n"
                'Environment=A=unit "B=unit word" C=unit\nUnsetEnvironment=C\n'
            ),
            "/etc/sysconfig/slurmrestd": "A=first\nD=first\n",
            DEFAULTS: "A=second\n",
        }
    )
    assert {name: item.value for name, item in unit.environment.items()} == {
        "A": "second",
        "B": "unit word",
        "D": "first",
    }
    assert unit.environment["A"].origin == Place(DEFAULTS, 1)
    assert [(item.path, item.optional, item.present) for item in unit.environment_files] == [
        ("/etc/sysconfig/slurmrestd", True, True),
        (DEFAULTS, False, True),
    ]


def test_a_unit_file_in_the_place_of_an_environment_file_is_recognised() -> None:
    unit = load({FRAGMENT: vendor("debian-24.11"), DEFAULTS: "[Service]\nEnvironment=SLURM_JWT=daemon\n"})
    assert [item.sectioned for item in unit.environment_files] == [True]


def test_an_environment_file_may_be_a_pattern() -> None:
    files = {FRAGMENT: "[Service]\nEnvironmentFile=/etc/d/*\n", "/etc/d/1": "A=1\n", "/etc/d/2": "A=2\n"}
    unit = effective(
        FRAGMENT, [], files.get, glob=lambda pattern: ["/etc/d/1", "/etc/d/2"] if "*" in pattern else [pattern]
    )
    assert unit.environment["A"].value == "2"


def test_what_may_not_be_read_is_named() -> None:
    def read(path: str) -> str | None:
        if path == DEFAULTS:
            raise PermissionError(path)
        return vendor("debian-24.11") if path == FRAGMENT else None

    assert effective(FRAGMENT, [], read).unreadable == (DEFAULTS,)


def test_secrets_are_never_kept() -> None:
    unit = load(
        {
            FRAGMENT: "[Service]\nExecStart=/usr/sbin/slurmrestd ${SLURM_JWT} $MY_TOKEN\nEnvironmentFile=-/e\n"
            "Environment=SLURM_JWT=eyJhbGci.x.y\n",
            "/e": "MY_TOKEN=hunter2\nDB_PASSWORD='hunter 2'\n",
        }
    )
    assert unit.environment["SLURM_JWT"].value == REDACTED
    shown = repr(unit) + json.dumps(unit.as_dict())
    assert "eyJ" not in shown
    assert "hunter" not in shown
    wrapped = "/usr/bin/env SLURM_JWT=hunter SLURM_CONF=/s.conf /usr/sbin/slurmrestd"
    command = load({FRAGMENT: f"[Service]\nExecStart={wrapped}\n"}).as_dict()["exec_start"][0]
    assert command == wrapped.replace("hunter", REDACTED).split()


# --- command lines ---------------------------------------------------------------------------------------------------


def start(line: str, environment: str = "") -> EffectiveUnit:
    return load({FRAGMENT: f"[Service]\nExecStart={line}\nEnvironmentFile=-{DEFAULTS}\n", DEFAULTS: environment})


@pytest.mark.parametrize(
    ("line", "environment", "argv"),
    [
        ("/usr/sbin/slurmrestd $O :6820", "", ["/usr/sbin/slurmrestd", ":6820"]),
        ("/usr/sbin/slurmrestd $O :6820", "O=-v -t 5\n", ["/usr/sbin/slurmrestd", "-v", "-t", "5", ":6820"]),
        (
            "/usr/sbin/slurmrestd $O",
            "O='-a \"rest_auth/jwt\" x'\n",
            ["/usr/sbin/slurmrestd", "-a", "rest_auth/jwt", "x"],
        ),
        ("/usr/sbin/slurmrestd a${O}b", "O=x y\n", ["/usr/sbin/slurmrestd", "ax yb"]),
        ("/usr/sbin/slurmrestd ${NONE} $$O", "O=x\n", ["/usr/sbin/slurmrestd", "", "$O"]),
        (":/usr/sbin/slurmrestd $O", "O=x\n", ["/usr/sbin/slurmrestd", "$O"]),
        ("-!/usr/sbin/slurmrestd 'a b' \\; c", "", ["/usr/sbin/slurmrestd", "a b", ";", "c"]),
    ],
)
def test_variables_in_command_lines(line: str, environment: str, argv: list[str]) -> None:
    assert start(line, environment).as_dict()["exec_start"] == [argv]


def test_several_commands_in_one_line() -> None:
    assert start("/bin/a x ; /bin/b y").as_dict()["exec_start"] == [["/bin/a", "x"], ["/bin/b", "y"]]


@pytest.mark.parametrize(
    ("arguments", "listeners"),
    [
        ("", []),
        (
            "-a rest_auth/jwt -s openapi/slurmctld -d v0.0.42 -t 20 -f /etc/slurm.conf -u x -g y 127.0.0.1:6820",
            ["127.0.0.1:6820"],
        ),
        ("-vvt20 :6820", [":6820"]),
        ("-vv :6820 -a list unix:/run/x", [":6820", "unix:/run/x"]),
        ("--max-connections 5 :6820", [":6820"]),
        ("--max-connections=5 :6820 --generate-openapi-spec", [":6820"]),
        ("-- -v", ["-v"]),
        ("-t", []),
    ],
)
def test_listeners_are_what_is_no_option_and_no_value_of_one(arguments: str, listeners: list[str]) -> None:
    assert [item.text for item in start(f"/usr/sbin/slurmrestd {arguments}").listeners] == listeners


def test_a_wrapper_in_front_of_the_daemon_is_seen_through() -> None:
    assert [item.text for item in start("/usr/bin/nice -n 5 /opt/slurm/sbin/slurmrestd -v :6820").listeners] == [
        ":6820"
    ]


def test_options_and_listeners_remember_who_gave_them() -> None:
    unit = start("/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS :6820", "# x\nSLURMRESTD_OPTIONS=-u root -v :6821\n")
    assert [(item.text, str(item.origin)) for item in unit.listeners] == [
        (":6821", f"{DEFAULTS}:2"),
        (":6820", f"{FRAGMENT}:2"),
    ]
    assert [(item.flag, item.value, item.origin.file) for item in unit.options] == [
        ("-u", "root", DEFAULTS),
        ("-v", None, DEFAULTS),
    ]


def test_the_variable_is_added_to_the_command_line_and_comes_first() -> None:
    unit = start("/usr/sbin/slurmrestd :6820", "SLURMRESTD_LISTEN=,127.0.0.1:6821,unix:/run/x,junk\n")
    assert [item.text for item in unit.listeners] == ["127.0.0.1:6821", "unix:/run/x", "junk", ":6820"]
    assert [item.listener is None for item in unit.listeners] == [False, False, True, False]


# --- the units that are shipped --------------------------------------------------------------------------------------


@pytest.mark.parametrize("series", [row.series for row in RELEASES])
def test_upstream_units_are_what_the_release_table_says(series: str) -> None:
    release = lookup(next(row.last_known for row in RELEASES if row.series == series)).release
    unit = load({FRAGMENT: vendor(f"upstream-{series}")})
    variable = [release.unit_listen_variable] if release.unit_listen_variable else []
    assert [item.text for item in unit.listeners] == [*variable, *release.unit_listeners]
    assert ("SLURM_JWT" in unit.environment) == release.unit_sets_jwt
    assert unit.user == unit.group == release.unit_user
    assert bool(unit.setting("ExecReload").values) == release.unit_exec_reload
    assert tuple(item.path for item in unit.environment_files) == release.unit_environment_files
    assert unit.conditions == ["ConditionPathExists=/etc/slurm/slurm.conf"]


@pytest.mark.parametrize("version", ["25.05.0", "25.11.0"])
def test_first_units_of_a_series_that_still_reload(version: str) -> None:
    unit = load({FRAGMENT: vendor(f"upstream-{version}")})
    assert bool(unit.setting("ExecReload").values) is lookup(version).release.unit_exec_reload is True


@pytest.mark.parametrize(
    ("name", "listeners", "jwt"),
    [
        ("debian-20.11", ["unix:/run/slurmrestd.socket"], False),
        ("debian-22.05", ["unix:/run/slurmrestd.socket"], False),
        ("debian-24.11", ["unix:/run/slurmrestd.socket", "0.0.0.0:6820"], True),
        ("debian-26.05", ["unix:/run/slurmrestd.socket", "0.0.0.0:6820"], True),
    ],
)
def test_debian_units(name: str, listeners: list[str], jwt: bool) -> None:
    unit = load({FRAGMENT: vendor(name)})
    assert [item.text for item in unit.listeners] == listeners
    assert ("SLURM_JWT" in unit.environment) is jwt
    assert unit.user is None
    assert [item.path for item in unit.environment_files] == [DEFAULTS]
    assert unit.setting("ExecReload").values


@pytest.mark.parametrize("name", sorted(path.stem for path in UNITS.glob("*.service")))
def test_our_dropin_decides_over_every_shipped_unit(name: str) -> None:
    unit = load({FRAGMENT: vendor(name), DROPIN: OURS})
    assert contradictions(unit, [DROPIN]) == []
    assert [item.text for item in unit.listeners] == ["127.0.0.1:6820", "unix:/run/slurmrestd/slurmrestd.socket"]
    assert (unit.user, unit.group) == ("slurmrestd", "slurmrestd")
    assert unit.setting("ExecReload").values == ()
    assert unit.environment["SLURM_JWT"].value == "daemon"


# --- contradictions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (OVERRIDE, "[Service]\nUser=root\n", [("User", "root", 2)]),
        (OVERRIDE, "[Service]\nUser=\n", [("User", "(reset)", 2)]),
        (OVERRIDE, "[Service]\nGroup=slurm\n", [("Group", "slurm", 2)]),
        (OVERRIDE, "[Service]\nDynamicUser=yes\n", [("DynamicUser", "yes", 2)]),
        (OVERRIDE, "[Service]\nSupplementaryGroups=video\n", [("SupplementaryGroups", "video", 2)]),
        (OVERRIDE, "[Service]\nExecReload=/bin/kill -HUP $MAINPID\n", [("ExecReload", "/bin/kill -HUP $MAINPID", 2)]),
        (
            OVERRIDE,
            "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd :1\n",
            [("ExecStart", "/usr/sbin/slurmrestd :1", 3)],
        ),
        (OVERRIDE, "[Service]\nExecStart=/usr/sbin/slurmrestd :1\n", [("ExecStart", "/usr/sbin/slurmrestd :1", 2)]),
        (OVERRIDE, "[Service]\nExecStart=\n", [("ExecStart", "(reset)", 2)]),
        (OVERRIDE, "[Service]\nUnsetEnvironment=SLURM_JWT\n", [("SLURM_JWT", "(unset)", 2)]),
        (OVERRIDE, "[Service]\nEnvironment=SLURMRESTD_LISTEN=:6820\n", [("SLURMRESTD_LISTEN", ":6820", 2)]),
        (DEFAULTS, "#\nSLURMRESTD_LISTEN=:6820\n", [("SLURMRESTD_LISTEN", ":6820", 2)]),
        (DEFAULTS, "SLURM_JWT=eyJ\n", [("SLURM_JWT", REDACTED, 1)]),
        (DEFAULTS, "SLURMRESTD_OPTIONS=-v :6820\n", [("listener", ":6820", 1)]),
        (DEFAULTS, "SLURMRESTD_OPTIONS='-u root -g root'\n", [("-u", "root", 1), ("-g", "root", 1)]),
        (
            DEFAULTS,
            "SLURMRESTD_SECURITY=disable_unshare_sysv,disable_user_check\n",
            [("SLURMRESTD_SECURITY", "disable_unshare_sysv,disable_user_check", 1)],
        ),
    ],
)
def test_what_beats_our_dropin_is_named_with_file_and_line(
    path: str, text: str, expected: list[tuple[str, str, int]]
) -> None:
    unit = load({FRAGMENT: vendor("debian-24.11"), DROPIN: OURS, path: text})
    found = contradictions(unit, [DROPIN])
    assert [(item.setting, item.value, item.origin.file, item.origin.line) for item in found] == [
        (setting, value, path, line) for setting, value, line in expected
    ]
    assert all(f"{path}:{item.origin.line}" in str(item) for item in found)
    assert all(json.dumps(item.as_dict()) for item in found)


def test_a_reset_of_the_whole_environment_is_named() -> None:
    unit = load({FRAGMENT: vendor("debian-24.11"), DROPIN: OURS, OVERRIDE: "[Service]\nEnvironment=\n"})
    found = {item.setting: str(item.origin) for item in contradictions(unit, [DROPIN])}
    assert found == {"SLURM_JWT": f"{OVERRIDE}:2", "SLURMRESTD_LISTEN": f"{OVERRIDE}:2"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (EARLIER, "[Service]\nUser=root\nExecStart=\nExecStart=/bin/x\nEnvironment=SLURMRESTD_LISTEN=:1\n"),
        (OVERRIDE, "[Service]\nUser=slurmrestd\nGroup=slurmrestd\nEnvironment=SLURM_JWT=daemon\nNice=5\n"),
        (OVERRIDE, "[Service]\nUser=\nUser=slurmrestd\n"),
        (DEFAULTS, "SLURMRESTD_OPTIONS=-v\nSLURMRESTD_SECURITY=disable_unshare_files\nSLURMRESTD_DEBUG=5\n"),
        (DEFAULTS, '#SLURMRESTD_OPTIONS=""\n'),
    ],
)
def test_what_does_no_harm_is_not_named(path: str, text: str) -> None:
    assert contradictions(load({FRAGMENT: vendor("debian-24.11"), DROPIN: OURS, path: text}), [DROPIN]) == []


def test_files_that_are_ours_too_are_not_foreign() -> None:
    unit = load({FRAGMENT: vendor("debian-24.11"), DROPIN: OURS, DEFAULTS: "SLURMRESTD_LISTEN=127.0.0.1:1\n"})
    assert contradictions(unit, [DROPIN, DEFAULTS]) == []


def test_a_sorted_late_dropin_of_the_vendor_is_foreign() -> None:
    path = "/usr/lib/systemd/system/slurmrestd.service.d/90-vendor.conf"
    unit = load({FRAGMENT: vendor("upstream-25.05"), DROPIN: OURS, path: "[Service]\nUser=nobody\n"})
    assert [str(item) for item in contradictions(unit, [DROPIN])] == [f"{path}:2 decides User: nobody"]


def test_a_masked_dropin_reads_as_empty() -> None:
    reader: Callable[[str], str | None] = {FRAGMENT: vendor("debian-24.11"), DROPIN: ""}.get
    assert effective(FRAGMENT, [DROPIN], reader).dropins == (DROPIN,)
