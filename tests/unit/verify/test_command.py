"""The command: what it accepts, what it refuses with exit code 2, and that no secret leaves it."""

from __future__ import annotations

import io
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.host import programs
from slurmrest.rest.client import Target
from slurmrest.slurmrestd import strangers
from slurmrest.systemd import systemctl as systemd
from slurmrest.verify import command as cli
from slurmrest.verify import listener_watch
from slurmrest.verify.gateway import GATEWAY_CHECKS
from slurmrest.verify.run import CHECKS

from tests.unit.fake_slurmrestd import KEY, STYLES, FakeSlurmrestd, serving, token
from tests.unit.rest.test_client import self_signed

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_slurmrestd.py"
KEY_TEXT = "the key of the fake slurmctld, 32+ bytes"
DOCS = Path(__file__).parents[3] / "docs" / "verify.md"


@pytest.fixture
def daemon() -> FakeSlurmrestd:
    return FakeSlurmrestd(STYLES["24.11"])


@pytest.fixture
def target(daemon: FakeSlurmrestd) -> Iterator[Target]:
    with serving(daemon) as where:
        yield where


def secret_file(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    return secret_file(tmp_path / "token", token("root").reveal())


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    return secret_file(tmp_path / "key", KEY_TEXT)


def test_all_good(target: Target, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--url", target.url, "--token-file", token_file]) == cli.OK
    shown = capsys.readouterr()
    assert f"{target.url}  Slurm 24.11.5" in shown.out
    assert "all good: 14 ok, 0 failed, 7 skipped" in shown.out
    assert "\033" not in shown.out
    assert shown.err == ""


def test_a_failed_check(
    daemon: FakeSlurmrestd, target: Target, token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.faults.add("ping-down")
    assert cli.main(["--url", target.url, "--token-file", token_file]) == cli.CHECK_FAILED
    assert "FAILED   ping" in capsys.readouterr().out


def test_unreachable_is_a_failed_check(tmp_path: Path, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--url", f"unix:{tmp_path}/none", "--token-file", token_file]) == cli.CHECK_FAILED
    assert f"there is no socket {tmp_path}/none" in capsys.readouterr().out


def test_json(target: Target, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--url", target.url, "--token-file", token_file, "--json", "--show-curl"]) == cli.OK
    shown = capsys.readouterr()
    assert json.loads(shown.out)["ok"] is True
    assert "curl -sS" in shown.err


def test_curl_lines_follow_the_table(target: Target, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--url", target.url, "--token-file", token_file, "--show-curl"]) == cli.OK
    out = capsys.readouterr().out
    assert out.index("all good") < out.index("curl -sS")
    assert token_file in out


def test_listeners_side_by_side(daemon: FakeSlurmrestd, target: Target, tmp_path: Path, token_file: str) -> None:
    with serving(daemon, tmp_path / "socket") as unix:
        assert cli.main(["--url", target.url, "--url", unix.url, "--token-file", token_file]) == cli.OK


# --- where tokens come from -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "{}\n", "SLURM_JWT={}\n", "\n  {}  \n"])
def test_a_token_file(form: str, target: Target, tmp_path: Path) -> None:
    path = secret_file(tmp_path / "t", form.format(token("root").reveal()))
    assert cli.main(["--url", target.url, "--token-file", path]) == cli.OK


def test_a_token_file_that_everybody_can_read(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = secret_file(tmp_path / "t", token("root").reveal(), 0o644)
    assert cli.main(["--url", target.url, "--token-file", path]) == cli.OK
    assert f"warning: {path} has mode 0644" in capsys.readouterr().err


def test_an_environment_variable(
    target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", token("root").reveal())
    assert cli.main(["--url", target.url, "--token-env", "MY_TOKEN", "--show-curl"]) == cli.OK
    assert '"$MY_TOKEN"' in capsys.readouterr().out


def test_standard_input(target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"SLURM_JWT={token('root').reveal()}\n"))
    assert cli.main(["--url", target.url, "--token-file", "-", "--show-curl"]) == cli.OK
    assert "scontrol token username=root" in capsys.readouterr().out


def test_a_key(daemon: FakeSlurmrestd, target: Target, key_file: str, tmp_path: Path) -> None:
    job = ["--job", "--job-user", "alice", "--job-directory", str(tmp_path)]
    assert cli.main(["--url", target.url, "--key-file", key_file, "--user", "root", *job]) == cli.OK
    sent: dict[str, str] = {}
    for *_request, headers in daemon.requests:
        if "x-slurm-user-token" in headers:
            sent.setdefault(headers["x-slurm-user-name"], headers["x-slurm-user-token"])
    for user in ("root", "alice"):
        found = jwt.verify(bearer.Token(sent[user]), KEY)
        assert found.user == user
        assert found.claims["exp"] - found.claims["iat"] == cli.SIGNED_LIFESPAN


def test_the_job_user_by_name_or_by_token(
    daemon: FakeSlurmrestd, target: Target, token_file: str, tmp_path: Path
) -> None:
    alice = secret_file(tmp_path / "alice", token("alice").reveal())
    base = ["--url", target.url, "--token-file", token_file, "--job", "--job-directory", str(tmp_path)]
    assert cli.main([*base, "--job-user", "alice"]) == cli.OK
    assert cli.main([*base, "--job-token-file", alice]) == cli.OK
    assert {job["user"] for job in daemon.jobs.values()} == {"alice"}
    submissions = [headers for method, _path, headers in daemon.requests if method == "POST"]
    assert [jwt.inspect(bearer.Token(headers["x-slurm-user-token"])).user for headers in submissions] == [
        *["root"] * 2,
        *["alice"] * 2,
    ]


def scontrol(directory: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = directory / "bin" / "scontrol"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_scontrol(daemon: FakeSlurmrestd, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"token lifespan=600": "bob", **{f"token username={user} lifespan=600": user for user in ("root", "alice")}}
    cases = "".join(f"'{words}') echo SLURM_JWT={token(user).reveal()};; " for words, user in made.items())
    scontrol(tmp_path, f'[ -z "$SLURM_JWT" ] || exit 1; case "$*" in {cases} *) exit 2;; esac', monkeypatch)
    monkeypatch.setenv("SLURM_JWT", "daemon")
    assert cli.main(["--url", target.url, "--scontrol"]) == cli.OK
    assert {
        headers["x-slurm-user-name"] for *_request, headers in daemon.requests if headers.get("x-slurm-user-name")
    } == {
        "bob",
        "root",  # the name that bob's token must not act for
    }
    daemon.requests.clear()
    job = ["--job", "--job-user", "alice", "--job-directory", str(tmp_path)]
    assert cli.main(["--url", target.url, "--scontrol", "--user", "root", *job]) == cli.OK
    submissions = [headers for method, _path, headers in daemon.requests if method == "POST"]
    assert {jwt.inspect(bearer.Token(headers["x-slurm-user-token"])).user for headers in submissions} == {"alice"}


def test_a_scontrol_that_makes_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol(tmp_path, "echo 'scontrol: error: Invalid user id' >&2; exit 1", monkeypatch)
    assert "scontrol made no token: scontrol: error: Invalid user id" in refused(capsys, "--scontrol", "--user", "root")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no scontrol on this host" in refused(capsys, "--scontrol")


# --- other forms of output --------------------------------------------------------------------------------------------


def test_nagios(daemon: FakeSlurmrestd, target: Target, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--url", target.url, "--token-file", token_file, "--nagios"]
    for faults, code, words in (
        (set[str](), 0, "SLURMREST OK - 0 failed, 14 ok, 7 skipped; Slurm 24.11.5 at "),
        ({"rewrites"}, 1, "SLURMREST WARNING - escaping: unescaped: Slurm was asked"),
        ({"ping-down"}, 2, "SLURMREST CRITICAL - ping: 200, but no answer from slurmctld on ctl; 1 failed, "),
    ):
        daemon.faults = faults
        assert cli.main(base) == code
        shown = capsys.readouterr()
        assert shown.out.startswith(words)
        assert shown.err == ""
    for wrong, words in (
        (["--token-env", "UNSET_VARIABLE"], "--token-env"),
        (["--timeout", "never"], "bad arguments"),
        (["--json"], "bad arguments"),
    ):
        assert cli.main(["--nagios", *wrong]) == 3
        assert capsys.readouterr().out.startswith(f"SLURMREST UNKNOWN - could not run: {words}")


def test_files_beside_the_table(
    daemon: FakeSlurmrestd, target: Target, token_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.faults.add("ping-down")
    names = {"--html": "<!DOCTYPE html>", "--junit": "<?xml", "--prometheus": "# HELP slurmrest_verify_ok "}
    options = [word for option in names for word in (option, str(tmp_path / option[2:]))]
    assert cli.main(["--url", target.url, "--token-file", token_file, *options]) == cli.CHECK_FAILED
    assert "FAILED   ping" in capsys.readouterr().out
    for option, beginning in names.items():
        assert (tmp_path / option[2:]).read_text().startswith(beginning)
    nowhere = refused(capsys, "--url", target.url, "--token-file", token_file, "--html", f"{tmp_path}/no/page.html")
    assert "No such file or directory" in nowhere


# --- https ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    certificate, key = self_signed(tmp_path)
    return str(certificate), str(key)


def server_side(files: tuple[str, str], *, client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files[0])
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 a client learns of its refusal only later
    return context


def test_https(
    daemon: FakeSlurmrestd, files: tuple[str, str], token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(daemon, tls=server_side(files)) as target:
        base = ["--url", target.url, "--token-file", token_file]
        assert cli.main([*base, "--cacert", files[0]]) == cli.OK
        trusted = capsys.readouterr()
        assert cli.main(base) == cli.CHECK_FAILED
        unknown = capsys.readouterr()
    assert re.search(r"\(status 401\), TLSv1\.\d, certificate valid until .* GMT\n", trusted.out)
    assert "WARNING" not in trusted.out + trusted.err
    assert "FAILED   reach" in unknown.out
    assert "certificate" in unknown.out
    assert len([headers for *_request, headers in daemon.requests if "x-slurm-user-token" in headers]) > 10


def test_insecure_is_said_loudly_everywhere(
    daemon: FakeSlurmrestd,
    files: tuple[str, str],
    token_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("html", "junit", "prometheus")
    written = [word for name in names for word in (f"--{name}", str(tmp_path / name))]
    with serving(daemon, tls=server_side(files)) as target:
        base = ["--url", target.url, "--token-file", token_file, "--insecure"]
        for form, code in (([], 0), (["--json"], 0), (["--nagios"], 1)):
            assert cli.main([*base, *form, *written]) == code
            shown = capsys.readouterr()
            assert "the certificate was not checked" in shown.out
            assert shown.err.startswith("WARNING: --insecure: the certificate was not checked")
    assert "certificate was not checked" in (tmp_path / "html").read_text()
    assert "certificate was not checked" in (tmp_path / "junit").read_text()
    assert f'slurmrest_verify_warnings{{url="{target.url}"}} 1\n' in (tmp_path / "prometheus").read_text()


def test_a_client_certificate(
    daemon: FakeSlurmrestd, files: tuple[str, str], token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(daemon, tls=server_side(files, client=True)) as target:
        base = ["--url", target.url, "--token-file", token_file, "--cacert", files[0]]
        assert cli.main([*base, "--cert", files[0], "--key", files[1]]) == cli.OK
        both = Path(files[0]).with_name("both.pem")
        both.write_text("".join(Path(path).read_text() for path in files))
        assert cli.main([*base, "--cert", str(both)]) == cli.OK
        capsys.readouterr()
        assert cli.main(base) == cli.CHECK_FAILED
        assert "FAILED   reach" in capsys.readouterr().out
    assert "--cert/--key" in refused(capsys, *base, "--cert", files[0])  # its key is elsewhere
    locked = Path(files[0]).with_name("locked.pem")
    command = ["openssl", "pkey", "-in", files[1], "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    assert "a passphrase protects the private key" in refused(capsys, *base, "--cert", files[0], "--key", str(locked))


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *argv: str, code: int = cli.COULD_NOT_RUN) -> str:
    assert cli.main(argv) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_refusals(tmp_path: Path, token_file: str, key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    empty = secret_file(tmp_path / "empty", "")
    blank = secret_file(tmp_path / "blank", " \n")
    opaque = secret_file(tmp_path / "opaque", "opaque-token")
    nobody = secret_file(tmp_path / "nobody", jwt.encode({"exp": 2**40}, KEY).reveal())
    huge = secret_file(tmp_path / "huge", "x" * 70_000)
    open_key = secret_file(tmp_path / "open", "k" * 32, 0o604)
    cases: dict[tuple[str, ...], str] = {
        (): "there is no token. Give --token-file",
        ("--token-file", f"{tmp_path}/none"): f"--token-file {tmp_path}/none: No such file or directory",
        ("--token-file", str(tmp_path)): "Is a directory",
        ("--token-file", empty): "the file is empty",
        ("--token-file", blank): "the token is empty",
        ("--token-file", huge): "more than 65536 bytes",
        ("--token-file", opaque): "Give --user NAME",
        ("--token-file", nobody): "neither sun nor username",
        ("--token-file", "a\0b"): "null",
        ("--token-env", "UNSET_VARIABLE"): "UNSET_VARIABLE is not set",
        ("--key-file", key_file): "--key-file needs --user",
        ("--key-file", open_key, "--user", "root"): "mode 0604 lets everybody",
        ("--token-file", token_file, "--key-file", key_file): "not allowed with",
        ("--token-file", token_file, "--url", "ftp://x"): "--url: 'ftp://x' is refused",
        ("--token-file", token_file, "--user", "a\nb"): "user: 'a\\nb' is refused",
        ("--token-file", token_file, "--api-version", "42"): "api_version: '42' is refused",
        ("--token-file", token_file, "--timeout", "0"): "'0' is not a number of seconds above 0",
        ("--token-file", token_file, "--job-timeout", "soon"): "'soon' is not a number of seconds above 0",
        ("--token-file", token_file, "--timeout", "nan"): "'nan' is not a number of seconds above 0",
        ("--token-file", token_file, "--job"): "the job would run as root",
        ("--token-file", token_file, "--job", "--job-user", "nobody"): "the job would run as nobody",
        ("--token-file", token_file, "--job-user", "alice"): "belong to --job",
        ("--token-file", token_file, "--job", "--job-user", "a", "--job-directory", "tmp"): "job directory: 'tmp'",
        ("--token-file", "-", "--job", "--job-token-file", "-"): "cannot both be standard input",
        ("--nonsense",): "unrecognized arguments",
        ("--token-file", token_file, "--samples", "0"): "samples: 0 is refused",
        ("--token-file", token_file, "--idle-clients", "5000"): "idle clients: 5000 is refused",
        ("--token-file", token_file, "--insecure"): "belong to an https:// --url",
        ("--token-file", token_file, "--url", "https://x", "--key", "k"): "--key is the private key of --cert",
        ("--token-file", token_file, "--url", "https://x", "--cacert", f"{tmp_path}/none"): "No such file",
        ("--token-file", token_file, "--url", "https://x", "--cacert", empty): "--cacert",
        ("--token-file", token_file, "--scontrol"): "not allowed with",
    }
    for argv, words in cases.items():
        monkey = io.StringIO(token("root").reveal())
        sys.stdin, before = monkey, sys.stdin
        try:
            assert words in refused(capsys, *argv), argv
        finally:
            sys.stdin = before


def test_a_token_given_in_place_of_a_name_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    secret = token("root").reveal()
    assert secret not in refused(capsys, "--token-env", secret)


def test_a_broken_token_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = secret_file(tmp_path / "t", "half-a-secret and-the-rest")
    shown = refused(capsys, "--token-file", path)
    assert "half-a-secret" not in shown
    assert "scontrol token" in shown


def test_interrupted(
    target: Target, token_file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "verify", interrupt)
    assert refused(capsys, "--url", target.url, "--token-file", token_file, code=130) == "interrupted\n"


# --- the script -------------------------------------------------------------------------------------------------------


def script(*argv: str, python: tuple[str, ...] = (sys.executable, "-I")) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*python, str(SCRIPT), *argv], env=clean, cwd="/", capture_output=True, text=True, check=False
    )


def test_the_script_runs_from_anywhere_without_packages(target: Target, token_file: str) -> None:
    for python in ((sys.executable, "-I", "-S"), ()):  # no site-packages; by its own first line
        done = script("--url", target.url, "--token-file", token_file, "--json", python=python)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["slurm_version"] == "24.11.5"
    assert script().returncode == cli.COULD_NOT_RUN


def test_help_names_exit_codes_and_examples() -> None:
    text = script("--help").stdout
    for words in (
        "exit codes:",
        "examples:",
        "  1    a check failed",
        "  130  interrupted",
        "verify_slurmrestd.py --token-file token",
    ):
        assert words in text


def test_no_option_takes_a_token() -> None:
    takers = [
        action.option_strings[0] for action in cli.build_parser()._actions if "token" in str(action.option_strings)
    ]
    assert takers == ["--token-file", "--token-env", "--job-token-file"]
    assert next(action for action in cli.build_parser()._actions if "--scontrol" in action.option_strings).nargs == 0


def test_every_option_and_check_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for action in cli.build_parser()._actions:
        for option in action.option_strings:
            assert option in ("-h", "--help") or f"`{option}" in text, option
    documented = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert documented == [check.id for check in (*CHECKS, *GATEWAY_CHECKS)]


@pytest.mark.parametrize("fault", ["none", "no-jwt", "ctld-down", "dbd-down", "trusts-peer"])
def test_no_secret_in_any_output(fault: str, tmp_path: Path, key_file: str, capfd: pytest.CaptureFixture[str]) -> None:
    token_file = secret_file(tmp_path / "token", token("root", cli.SIGNED_LIFESPAN - 1).reveal())  # not what it signs
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={fault})
    job = ["--job", "--job-user", "alice", "--job-directory", str(tmp_path), "--show-curl"]
    files = [tmp_path / name for name in ("page.html", "junit.xml", "metrics.prom")]
    written = [
        word
        for option, path in zip(("--html", "--junit", "--prometheus"), files, strict=True)
        for word in (option, str(path))
    ]
    shown = ""
    with serving(daemon) as target:
        for source in (["--token-file", token_file], ["--key-file", key_file, "--user", "root"]):
            for form in ([], ["--json"], ["--nagios"]):
                cli.main(["--url", target.url, *source, *job, *form, *written])
                shown += "".join((*capfd.readouterr(), *(path.read_text() for path in files)))
    sent = {headers["x-slurm-user-token"] for *_request, headers in daemon.requests if "x-slurm-user-token" in headers}
    parts = {part for token in sent for part in token.split(".")[1:]}  # claims and signature; the header is no secret
    secrets = {part for part in parts if len(part) > 20 and not part.startswith("AAAA")}
    assert len(secrets) >= 4
    secrets.add(KEY_TEXT)
    assert not [part for part in secrets if part in shown]


# --- whoever took slurmrestd's place ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "code"), [("loaded", cli.COULD_NOT_RUN), ("not-found", cli.OK)])
def test_root_sends_no_token_to_another_account(
    daemon: FakeSlurmrestd,
    target: Target,
    token_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    state: str,
    code: int,
) -> None:
    unit = f"Id=slurmrestd.service\nLoadState={state}\nUser=root\nMainPID=0\n"

    def systemctl(argv: Sequence[str], **_how: Any) -> programs.Done[str]:
        return programs.Done(list(argv), 0, unit, "")

    held = [{"kind": "tcp", "host": "127.0.0.1", "uid": 4321}]
    monkeypatch.setattr(listener_watch, "Systemd", lambda: systemd.Systemd(systemctl))
    monkeypatch.setattr(programs, "run", systemctl)
    monkeypatch.setattr(strangers, "listening_ports", lambda *_which: held)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cli.main(["--url", target.url, "--token-file", token_file]) == code
    assert bool(daemon.requests) is (code == cli.OK)
    assert ("is held by 4321" in capsys.readouterr().err) is (code != cli.OK)
    daemon.requests.clear()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(["--url", target.url, "--token-file", token_file]) == cli.OK
