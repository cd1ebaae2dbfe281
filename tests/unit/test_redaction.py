"""What people may see: secrets go by their form, words that only look like one stay."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest import redaction
from slurmrest.auth import jwt
from slurmrest.doctor.diagnosis import Finding
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.redaction import REDACTED, is_secret, redacted
from slurmrest.slurm.conf_secrets import without_secrets
from slurmrest.systemd.systemctl import Systemd
from slurmrest.verify.run import Result

TOKEN = jwt.encode({"sun": "alice", "exp": 1900000000}, jwt.Key(b"k" * 32)).reveal()


def part(data: str | bytes) -> str:
    """One part of a token."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


SIGNATURE = part(bytes(range(32)))
HEADERS = [
    '{"alg":"HS256","typ":"JWT"}',
    '{ "alg": "HS256" }',
    '{\n  "typ": "JWT",\n  "alg": "HS256"\n}',
    '\n\t {"alg":"HS256"}',
    "{ \t}",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("claims", ['{"sun":"root"}', "no JSON at all", ""])
def test_a_token_is_known_by_its_structure(header: str, claims: str) -> None:
    token = f"{part(header)}.{part(claims)}.{SIGNATURE}"
    assert redacted(f"error: refused ({token}), token={token}") == f"error: refused ({REDACTED}), token={REDACTED}"


def test_a_token_whose_header_cannot_be_read_is_known_by_its_signature() -> None:
    assert redacted(f"refused AAAA.BBBB.{SIGNATURE} of alice") == f"refused {REDACTED} of alice"


@pytest.mark.parametrize("parts", [["key", "iv", "cipher", "tag"], ["", "iv", "cipher", "tag"]])
def test_an_encrypted_token_has_five_parts(parts: list[str]) -> None:
    token = ".".join([part('{ "alg":"dir","enc":"A256GCM"}'), *parts])
    assert redacted(f"refused {token}, said slurmctld") == f"refused {REDACTED}, said slurmctld"


def test_a_token_that_was_cut_off() -> None:
    header, claims, signature = TOKEN.split(".")
    for cut in (f"{header}.{claims}.{signature[:9]}", f"{header}.{claims}.", f"{header}.{claims[:7]}"):
        assert header not in redacted(f"token {cut}")
        assert claims[:7] not in redacted(f"token {cut}")


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {TOKEN}",
        f"X-SLURM-USER-TOKEN: {TOKEN}",
        f"header X-SLURM-USER-TOKEN={TOKEN} of a client",
        f"SLURM_JWT={TOKEN}",
        f"something with {TOKEN} in the middle",
        "StoragePass=" + TOKEN,
        "log_hex: " + " ".join(f"{byte:02x}" for byte in TOKEN.encode()),
        "packet " + TOKEN.encode().hex(),
        f"-----BEGIN RSA PRIVATE KEY-----\n{TOKEN}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_no_token_passes(line: str) -> None:
    shown = redacted(line)
    assert REDACTED in shown
    for piece in (*TOKEN.split("."), TOKEN.encode().hex(), TOKEN.encode()[:8].hex(" ")):
        assert piece not in shown


@pytest.mark.parametrize(
    "line",
    [
        "X-SLURM-USER-TOKEN: hunter2",
        "Header: X-SLURM-USER-TOKEN Value: hunter2",
        "[[10.0.0.1]:1234] Header: [X-SLURM-USER-TOKEN] Value: [hunter2]",
        "('X-SLURM-USER-TOKEN', 'hunter2')",
        '{"Authorization": "Basic hunter2"}',
        "Proxy-Authorization: hunter2",
        "StoragePass=hunter2",
        "storagepass = two words hunter2",
        "#StoragePass=hunter2",
        'AccountingStoragePass="hunter2"',
        "StoragePasss=hunter2",
        "StoragePassword=hunter2",
        "StoragePass-=hunter2",
        "StoragePass=\\\nhunter2",
        "PrivateKey=hunter2",
        "client_secret=hunter2",
        '{"password": "hunter2"}',
        "password: hunter2",
        "mysql://slurm:hunter2@db.example.org/slurm_acct_db",
        "https://hunter2@db.example.org/",
        "https://slurm:p@ss/hunter2@db.example.org/x",
        "https://slurm:p/hunter2@db",
        "get https://a:hunter2@one, https://b:hunter2@two",
        "https://idp.example.org/keys?access_token=hunter2",
        # Passwords that begin like what is none.
        "StoragePass=no!hunter2",
        "StoragePass=yes/hunter2",
        "password: none+hunter2",
        'MYSQL_PASSWORD="true)hunter2"',
        "token=null;hunter2",
    ],
)
def test_no_password_passes(line: str) -> None:
    assert "hunter2" not in redacted(line)
    assert REDACTED in redacted(line)
    assert redacted(redacted(line)) == redacted(line)


@pytest.mark.parametrize(
    "line",
    [
        "fatal: auth/jwt: key file is insecure: '/var/lib/slurm/jwt/jwt_hs256.key' mode=0644",
        "Access denied for user 'slurm'@'localhost' (using password: YES)",
        "SLURM_JWT=daemon",
        "export SLURM_JWT=",
        "'SLURM_JWT=(unset)' is refused: line 4 of /etc/x decides it",
        "PrivateData=jobs,users",
        "PassEnvironment=HOME",
        "the check passed: all good",
        "authorization failed for uid 2000",
        "the token expired 5 s ago",
        "AuthAltParameters=jwt_key=/etc/slurm/jwt.key,jwks=/etc/slurm/jwks.json",
        "TLSParameters=ctld_cert_key_file=/etc/slurm/ctld.pem",
        "https://idp.example.org/realms/a@b/certs",
        "http://127.0.0.1:6820/slurm/v0.0.42/diag",
        "node1.cluster.example.org: libslurmfull.so.40.0.0, slurm-wlm 24.11.5-4+deb13u1",
        "slurmrest_verify_token_file: /etc/slurm/token",
        "no token: 401",
        "v0.0.40 v0.0.41 v0.0.42",
    ],
)
def test_ordinary_lines_stay(line: str) -> None:
    assert redacted(line) == line


@given(st.text(), st.sampled_from(["StoragePass", "PrivateKey", "password"]), st.text("abcXYZ019#$ \"'", min_size=1))
def test_a_value_never_passes_whatever_is_around_it(before: str, name: str, value: str) -> None:
    marked = f"mark{value}mark"
    shown = redacted(f"{before}\n{name}={marked}\nnext=1\n")
    assert "mark" not in shown.replace(redacted(before), "")
    assert shown.endswith("\nnext=1\n")


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_it_takes_any_text_and_a_second_time_changes_nothing(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize("name", ["StoragePass", "storagepass", "Password", "SLURM_JWT", "private_key", "API_KEY"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["PrivateData", "PassEnvironment", "jwt_key", "AuthAltParameters", "token_file"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


# --- what others say of a file ---------------------------------------------------------------------------------------


def test_what_a_daemon_says_is_told_without_passwords() -> None:
    text = (
        "StorageUser=slurm\nStoragePass=my pass#w0rd!\nJobCompLoc=https://joe:geheim@db/x\n"
        'storagepass = "a \\\nb1c2d3e4"\n'
    )
    said = 'Parse error in line 2: " pass"\nhttps://joe:geheim@db, "b1c2d3e4", StorageUser slurm, passwords'
    told = f'https://{REDACTED}@db, "{REDACTED}", StorageUser slurm, passwords'
    assert without_secrets(said, text) == f'Parse error in line 2: " {REDACTED}"\n{told}'
    shown = f"StorageUser=slurm\nStoragePass={REDACTED}\nJobCompLoc=https://{REDACTED}@db/x\nstoragepass = {REDACTED}\n"
    assert redacted(text) == shown


@pytest.mark.parametrize("password", ["slurm", "database", "root", "1234", "localhost", "accounting"])
def test_a_weak_password_is_not_told_by_its_absence(password: str) -> None:
    """Where an ordinary word is missing from a sentence, everybody sees what the password is."""
    text = f"StorageUser=slurm\nStoragePass={password}\n"
    said = "slurmdbd: error: user slurm: accounting database on localhost, port 1234, refuses root"
    assert without_secrets(said, text) == said
    assert password not in without_secrets(f"StoragePass={password}", text).removeprefix("StoragePass=")
    assert without_secrets(f'Parse error in file slurmdbd.conf line 2: " {password}"', text).endswith(f'" {REDACTED}"')


def test_a_strong_password_is_found_wherever_it_stands() -> None:
    assert "hunter2hunter2" not in without_secrets("odd: hunter2hunter2!", "StoragePass=hunter2hunter2\n")


# --- where it is used ------------------------------------------------------------------------------------------------


def test_no_error_quotes_a_secret() -> None:
    assert TOKEN not in str(SlurmrestError(f"scontrol: {TOKEN}"))
    assert "geheim" not in str(InputError("slurm_jwks_issuers", "https://joe:geheim@idp/", "an https URL"))


def test_no_journal_quotes_a_secret() -> None:
    def run(_argv: object, **_how: object) -> object:
        return type("Done", (), {"stdout": f"slurmdbd: StoragePass=hunter2\nslurmrestd: {TOKEN}\n"})

    words = Systemd(run).journal("slurmdbd", 0.0)  # type: ignore[arg-type]
    assert words == f"slurmdbd: StoragePass={REDACTED}\nslurmrestd: {REDACTED}"


def test_no_report_quotes_a_secret() -> None:
    result = Result("id", "title", False, 0.0, f"said {TOKEN}", f"it said {TOKEN}", "remedy")
    finding = Finding("id", "title", f"because of {TOKEN}", [f"seen {TOKEN}"], [], "", "", "", "host", False)
    shown = json.dumps([result.detail, result.cause, finding.cause, list(finding.evidence)])
    assert not re.search("|".join(map(re.escape, TOKEN.split("."))), shown)


def test_long_lines_take_no_long_time() -> None:
    """Every expression goes over a text once; one that does not would never end on these."""
    for text in ("pass" * 50_000, "a." * 50_000, "://" + "a:" * 50_000, "storagepass" + " " * 100_000, "=" * 200_000):
        assert redaction.redacted(text)


@pytest.mark.parametrize(
    "text", ["token=", "token=no ", "token=\\\n", "password: YES) ", "SLURM_JWT: daemon ", "token=x\n"]
)
def test_many_names_in_a_line_take_no_longer(text: str) -> None:
    """Whoever is quoted could keep root waiting: what is said of one name must not be read anew for each."""
    spent = []
    for count in (200, 6400):
        begin = time.process_time()
        assert redaction.redacted(text * count)
        spent.append(time.process_time() - begin)
    assert spent[1] < 200 * max(spent[0], 0.001), "32 times as much, and not the square of that"


def test_nothing_that_others_wrote_commands_a_terminal() -> None:
    said = "one\x1b]0;title\x07 two\rthree\r\n\tfour\x9b31m\n"
    assert redaction.redacted(said) == "one\ufffd]0;title\ufffd two\ufffdthree\r\n\tfour\ufffd31m\n"
