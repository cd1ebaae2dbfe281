"""Getting, writing and reading tokens: what is bounded, refused and kept private."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from slurmrest.auth import bearer, jwt, key_files, keys
from slurmrest.auth import minting as tokens
from slurmrest.errors import InputError
from slurmrest.host import programs
from slurmrest.users import command as cli

KEY = jwt.Key(b"k" * 32)
TOKEN = jwt.encode(jwt.claims_for("alice", 600), KEY)


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scontrol that keeps its arguments and environment, and prints what the test wrote into `answer`."""
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "slurm-wlm $VERSION"; exit; fi\n'
        f'echo "$@" > {tmp_path}/arguments; env > {tmp_path}/environment\n'
        f"cat {tmp_path}/problem >&2; cat {tmp_path}/answer\n"
    )
    program.chmod(0o755)
    (tmp_path / "answer").write_text(f"SLURM_JWT={TOKEN.reveal()}\n")
    (tmp_path / "problem").touch()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("VERSION", "24.11.5")
    monkeypatch.setenv("SLURM_JWT", "an-old-token")
    return tmp_path


def test_scontrol_is_asked_without_the_old_token(scontrol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token"]) == cli.OK
    assert capsys.readouterr().out == f"SLURM_JWT={TOKEN.reveal()}\n"
    assert (scontrol / "arguments").read_text() == "token lifespan=1800\n"
    assert "SLURM_JWT" not in (scontrol / "environment").read_text()


def test_scontrol_for_another_user(scontrol: Path) -> None:
    assert cli.main(["token", "--user", "bob", "--lifespan", "60"]) == cli.OK
    assert (scontrol / "arguments").read_text() == "token username=bob lifespan=60\n"


@pytest.mark.usefixtures("scontrol")
def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--plain"]) == cli.OK
    assert capsys.readouterr().out == f"{TOKEN.reveal()}\n"
    assert cli.main(["token", "--header"]) == cli.OK
    assert capsys.readouterr().out == f"X-SLURM-USER-NAME: alice\nX-SLURM-USER-TOKEN: {TOKEN.reveal()}\n"


def test_infinite_only_where_the_release_knows_it(
    scontrol: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["token", "--lifespan", "infinite", "--long"]) == cli.OK
    assert (scontrol / "arguments").read_text() == "token lifespan=infinite\n"
    monkeypatch.setenv("VERSION", "22.05.8")
    (scontrol / "arguments").unlink()
    assert cli.main(["token", "--lifespan", "infinite", "--long"]) == cli.CANNOT_RUN
    assert "since 23.11.2" in capsys.readouterr().err
    assert not (scontrol / "arguments").exists()


@pytest.mark.parametrize("text", ["0", "-1", "86401", "infinite", "1e3", "", "²", "soon"])
def test_lifespans_are_bounded(text: str) -> None:
    with pytest.raises(InputError, match=r"1 to 86400 seconds"):
        tokens.lifespan(text)


def test_longer_lifespans_have_to_be_meant() -> None:
    assert tokens.lifespan("86401", long=True) == 86401
    assert tokens.lifespan("infinite", long=True) is None
    with pytest.raises(InputError):
        tokens.lifespan(str(2**31), long=True)


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("scontrol: error: slurm_fetch_token: error with request: Invalid user id", "Only root and SlurmUser"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "max_token_lifespan"),
        ("Required plugin type not loaded or initialized", "no AuthAltTypes=auth/jwt"),
        ("Unable to contact slurm controller (connect failure)", "scontrol ping"),
    ],
)
def test_why_there_is_no_token(scontrol: Path, problem: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    (scontrol / "answer").write_text("")
    (scontrol / "problem").write_text(problem)
    assert cli.main(["token", "--user", "bob"]) == cli.FAILED
    said = capsys.readouterr().err
    assert problem in said
    assert remedy in said


def test_without_scontrol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["token"]) == cli.FAILED
    assert "no scontrol on this host" in capsys.readouterr().err
    # Who only needs one was asked for something that cannot be done without.
    monkeypatch.delenv("SLURM_JWT", raising=False)
    assert cli.main(["job", "list"]) == cli.CANNOT_RUN
    assert "--token-file FILE, SLURM_JWT, or one that slurmrest token --key-file FILE makes" in capsys.readouterr().err


def test_a_scontrol_that_hangs() -> None:
    with pytest.raises(tokens.NoTokenError, match="did not answer"):
        tokens.from_scontrol(None, 60, lambda *words: programs.Done(words, programs.TOO_SLOW, "", "too slow"))


@pytest.mark.parametrize("name", ["", "a b", "a=b", "-x", "a/b", "a\nb"])
def test_no_accounts(name: str) -> None:
    with pytest.raises(InputError, match="--user"):
        tokens.account(name)


def test_output_is_private_and_whole(scontrol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scontrol / "token"
    path.write_text("before")
    path.chmod(0o644)
    assert cli.main(["token", "--plain", "--output", str(path)]) == cli.OK
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == f"{TOKEN.reveal()}\n"
    shown = capsys.readouterr()
    assert TOKEN.reveal() not in shown.out + shown.err
    assert [entry.name for entry in scontrol.iterdir() if entry.name.startswith(".token-")] == []


def test_output_replaces_a_link_and_leaves_its_target(scontrol: Path) -> None:
    target = scontrol / "target"
    target.write_text("mine")
    (scontrol / "link").symlink_to(target)
    assert cli.main(["token", "--output", str(scontrol / "link")]) == cli.OK
    assert target.read_text() == "mine"


@pytest.mark.parametrize("path", ["bin", "none/token"])
def test_output_that_cannot_be_written(scontrol: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--output", str(scontrol / path)]) == cli.FAILED
    assert f"--output {scontrol / path}" in capsys.readouterr().err
    assert (scontrol / "bin").is_dir()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key as it should be, in a folder that belongs to its owner alone, and a slurm.conf that names the owner."""
    configuration = tmp_path / "slurm.conf"
    configuration.write_text("SlurmUser=root\n")
    monkeypatch.setenv("SLURM_CONF", str(configuration))
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    path = folder / "jwt.key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    real = key_files.inspect

    def inspect(name: str) -> dict[str, object]:
        """Facts of the key and its folder, without the folders of the test run and their owner."""
        facts = real(name)
        return {**facts, "uid": 0, "gid": 0, "directories": [{**facts["directories"][0], "uid": 0, "gid": 0}]}

    monkeypatch.setattr(keys, "inspect", inspect)
    return path


def test_signed_on_the_host_that_has_the_key(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--key-file", str(key_file), "--user", "bob", "--lifespan", "60", "--plain"]) == cli.OK
    found = jwt.verify(bearer.Token(capsys.readouterr().out.strip()), KEY)
    assert (found.user, found.claims["exp"] - found.claims["iat"]) == ("bob", 60)


def test_signed_for_ever(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--key-file", str(key_file), "--user", "bob", "--lifespan", "infinite", "--long", "--plain"]
    assert cli.main(["token", *arguments]) == cli.OK
    found = jwt.verify(bearer.Token(capsys.readouterr().out.strip()), KEY)
    assert found.claims["exp"] - found.claims["iat"] == 2**31 - 2


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(key_file: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    key_file.chmod(mode)
    assert cli.main(["token", "--key-file", str(key_file), "--user", "bob"]) == cli.FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert f"mode {mode:04o}" in said.err
    assert "can be root on the cluster" in said.err


def test_a_key_without_a_user_and_no_key(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--key-file", str(key_file)]) == cli.CANNOT_RUN
    assert "--user" in capsys.readouterr().err
    key_file.unlink()
    assert cli.main(["token", "--key-file", str(key_file), "--user", "bob"]) == cli.FAILED


def test_slurm_user_comes_from_slurm_conf(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("ClusterName=x\nslurmuser=batch # comment\n")
    assert tokens.configured_slurm_user({"SLURM_CONF": str(tmp_path / "slurm.conf")}) == "batch"


def inspect(token: bearer.Token, tmp_path: Path, *arguments: str) -> int:
    (tmp_path / "token").write_text(f"SLURM_JWT={token.reveal()}\n")
    (tmp_path / "token").chmod(0o600)
    return cli.main(["token", "inspect", "--token-file", str(tmp_path / "token"), *arguments])


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(TOKEN, tmp_path, "--json") == cli.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["user"], found["expired"], found["signature"]) == ("alice", False, "not checked")
    assert 0 < found["remaining"] <= 600
    assert inspect(TOKEN, tmp_path) == cli.OK
    shown = capsys.readouterr().out
    assert "left)" in shown
    assert TOKEN.reveal().rsplit(".", 1)[1] not in shown


def test_inspect_checks_the_signature(key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(TOKEN, tmp_path, "--key-file", str(key_file), "--json") == cli.OK
    assert json.loads(capsys.readouterr().out)["signature"] == "good"
    assert inspect(jwt.with_forged_signature(TOKEN), tmp_path, "--key-file", str(key_file), "--json") == cli.FAILED
    assert json.loads(capsys.readouterr().out)["signature"] == "bad"


@pytest.mark.parametrize("exp", [1900000000.5, 1900000000.0, "1900000000", True, None])
def test_inspect_says_that_an_expiry_that_is_no_whole_number_counts_as_over(
    exp: object, key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = jwt.encode({"sun": "alice", "exp": exp}, KEY)
    assert inspect(token, tmp_path, "--key-file", str(key_file)) == cli.FAILED
    assert "which is no whole number of seconds" in capsys.readouterr().out
    assert inspect(token, tmp_path, "--key-file", str(key_file), "--json") == cli.FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["expired"], found["usable"], found["signature"]) == (True, False, "good")


def test_inspect_warns_of_milliseconds_and_of_a_clock_that_is_ahead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    token = jwt.encode({"sun": "alice", "exp": int(now * 1000), "iat": int(now) + 900}, KEY)
    assert inspect(token, tmp_path) == cli.OK
    shown = capsys.readouterr().out
    assert "note        exp is " in shown
    assert "note        iat lies " in shown


def test_inspect_tells_expired_from_badly_signed(
    key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(jwt.expired("alice", KEY, 5430), tmp_path, "--key-file", str(key_file)) == cli.FAILED
    shown = capsys.readouterr().out
    assert "expired 1 h 30 min ago" in shown
    assert "signature   good" in shown


def test_inspect_warns_of_a_type_that_an_old_libjwt_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(TOKEN, tmp_path) == cli.OK
    assert "type" not in capsys.readouterr().out
    assert inspect(jwt.encode(jwt.claims_for("alice"), KEY, {"typ": "at+jwt"}), tmp_path) == cli.OK
    assert "type        at+jwt, which libjwt before 1.12 refuses\n" in capsys.readouterr().out


def test_inspect_of_tokens_that_slurm_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(jwt.encode({"sun": "alice"}, KEY), tmp_path) == cli.FAILED
    assert "takes it for expired" in capsys.readouterr().out
    assert inspect(jwt.encode({"exp": 4_000_000_000}, KEY), tmp_path) == cli.FAILED
    assert inspect(bearer.Token("no-jwt"), tmp_path) == cli.CANNOT_RUN


def test_inspect_reads_the_variable_and_header_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JWT", TOKEN.reveal())
    assert cli.main(["token", "inspect"]) == cli.OK
    monkeypatch.delenv("SLURM_JWT")
    assert cli.main(["token", "inspect"]) == cli.CANNOT_RUN
    (tmp_path / "header").write_text(tokens.render(TOKEN, "alice", "header"))
    (tmp_path / "header").chmod(0o600)
    assert cli.main(["token", "inspect", "--token-file", str(tmp_path / "header")]) == cli.OK
    assert "alice" in capsys.readouterr().out


def test_control_characters_of_a_token_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(jwt.encode({"sun": "a\033[2Jb", "exp": 4_000_000_000}, KEY), tmp_path) == cli.OK
    assert "\033" not in capsys.readouterr().out
