"""What logins need of a host: a key that one account reads, a cluster that takes it, and files that are there."""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import jwks
from slurmrest.auth.rs256 import KeyFormatError, PrivateKey
from slurmrest.errors import InputError, SlurmrestError
from slurmrest.gateway import judge_logins as judging
from slurmrest.gateway import programs, signing
from slurmrest.gateway.judge_logins import judge_logins
from slurmrest.gateway.settings import settle
from slurmrest.login.oidc import CodeFlow, LoginError
from slurmrest.rest import key_trial
from slurmrest.rest.client import ClientError, Response

from tests.unit.gateway.test_settings import GOOD, LOGINS
from tests.unit.login.test_sessions import PEM

if TYPE_CHECKING:
    from slurmrest.gateway.settings import Settings

ME = pwd.getpwuid(os.getuid()).pw_name
DOCUMENT: dict[str, Any] = {"paths": {"/slurm/v0.0.41/diag": {}, "/slurm/v0.0.42/diag": {}}}
HELD = PrivateKey.load(PEM, "gateway")
GOOD_DIAG = {"statistics": {"parts_packed": 1}, "errors": []}
REFUSED = {"errors": [{"error_number": 1007, "error": "Protocol authentication error", "description": "no"}]}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "identity"
    monkeypatch.setattr(signing, "DIRECTORY", str(found))
    for name, file in (("KEY", "key.pem"), ("NEXT", "key-next.pem"), ("FORMER", "key-former.pem")):
        monkeypatch.setattr(signing, name, str(found / file))
    monkeypatch.setattr(signing, "SECRET", str(found / "client-secret"))
    monkeypatch.setattr("slurmrest.host.files.make_directory", lambda path, *_owners: Path(path).mkdir(exist_ok=True))
    return found


def test_the_key_is_made_once_for_one_account(directory: Path) -> None:
    foreseen = signing.have_key(ME, check=True)
    assert (foreseen.changed, foreseen.document, directory.exists()) == (True, "", False)
    made = signing.have_key(ME)
    status = (directory / "key.pem").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.getuid())
    (key,) = jwks.parse(made.document.encode(), "gateway").keys
    assert (made.changed, key.bits) == (True, 3072)
    assert key.kid.startswith("slurmrest-gateway-")
    assert "PRIVATE" not in made.document
    again = signing.have_key(ME)
    assert (again.changed, again.document) == (False, made.document)
    (directory / "key.pem").write_text("x")
    with pytest.raises(KeyFormatError):
        signing.have_key(ME)


def test_without_openssl(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurmrest.host.programs.find", lambda _name: None)
    with pytest.raises(SlurmrestError, match="package openssl"):
        signing.have_key(ME)
    assert not directory.exists()


def settings(identity: str, **more: Any) -> Settings:
    variables = {**GOOD, **LOGINS, "slurmrest_gateway_identity": identity}
    return settle({**variables, **{f"slurmrest_gateway_{name}": value for name, value in more.items()}})


def answering(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, Any] | ClientError) -> list[str]:
    """Have slurmrestd answer so, one after the other; returns the paths that are asked for."""
    waiting, asked = list(answers), []

    def request(target: Any, _method: str, path: str, headers: dict[str, str]) -> Response:
        asked.append(f"{target}{path} {headers['X-SLURM-USER-NAME']}")
        answer = waiting.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        status, data = answer
        return Response(status, {}, data if isinstance(data, bytes) else json.dumps(data).encode(), 0.0)

    monkeypatch.setattr(key_trial, "request", request)
    return asked


def test_a_key_that_the_cluster_takes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not directory.exists()
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_identity: 'pam' .*is missing.*playbooks/deploy.yml"):
        judge_logins(settings("pam"))
    signing.have_key(ME)
    asked = answering(monkeypatch, (200, DOCUMENT), (200, GOOD_DIAG))
    judge_logins(settings("pam"))
    assert [line.partition("6820")[2] for line in asked] == ["/openapi/v3 nobody", "/slurm/v0.0.42/diag nobody"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(200, DOCUMENT), (511, REFUSED)], "slurmctld does not take what .*Protocol authentication error"),
        ([(200, DOCUMENT), (200, REFUSED)], "slurmctld does not take what .*Protocol authentication error"),
        ([(401, b"x"), (200, b"x")], "no slurmrestd says whether .*not slurmrestd's"),
        (
            [ClientError("refused", "refused"), ClientError("refused", "reset")],
            "no slurmrestd says whether .*refused.*; reset",
        ),
    ],
)
def test_a_key_that_it_does_not_take(
    directory: Path, monkeypatch: pytest.MonkeyPatch, answers: list[Any], said: str
) -> None:
    signing.have_key(ME)
    assert directory.exists()
    answering(monkeypatch, *answers)
    with pytest.raises(SlurmrestError, match=said):
        judge_logins(settings("pam"))


def test_one_host_that_answers_is_enough(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signing.have_key(ME)
    assert directory.exists()
    answering(monkeypatch, ClientError("refused", "refused"), (200, DOCUMENT), (200, GOOD_DIAG))
    judge_logins(settings("pam"))


def test_files_that_the_variables_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "demand", lambda _identity: HELD)
    monkeypatch.setattr(signing, "acceptance_problem", lambda *_words: None)
    monkeypatch.setattr(judging, "SERVICES", str(tmp_path))
    with pytest.raises(SlurmrestError, match="slurmrest_gateway_pam_service: 'site' is refused: no "):
        judge_logins(settings("pam", pam_service="site"))
    (tmp_path / "site").touch()
    judge_logins(settings("pam", pam_service="site"))
    authority = tmp_path / "people.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "people.key"]
    subprocess.run([*new, "-out", "people.pem", "-subj", "/CN=People"], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setattr(judging, "roots_alone", lambda path: path == str(authority))
    judge_logins(settings("mtls", client_ca=str(authority)))
    leaf = tmp_path / "leaf.pem"
    plain = ["-subj", "/CN=leaf", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*new, "-out", "leaf.pem", *plain], cwd=tmp_path, check=True, capture_output=True)
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path, said in ((leaf, "CA:TRUE"), (empty, "slurmrest_gateway_client_ca"), (tmp_path / "none", "No such file")):
        with pytest.raises(SlurmrestError, match=said):
            judge_logins(settings("mtls", client_ca=str(path)))


def test_whoever_else_can_change_an_authority_says_who_is_who(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "demand", lambda _identity: HELD)
    monkeypatch.setattr(signing, "acceptance_problem", lambda *_words: None)
    monkeypatch.setattr("slurmrest.host.certificate.no_authorities", lambda _path: "")
    monkeypatch.setattr(CodeFlow, "begin", lambda _flow, _query: ("", ""))
    authority = tmp_path / "people.pem"
    authority.touch()
    authority.chmod(0o666)
    provider = {"issuer": "https://login.example.org", "client_id": "gateway", "ca_file": str(authority)}
    for said, refused in (
        ("slurmrest_gateway_client_ca: .*others can change it", settings("mtls", client_ca=str(authority))),
        ("slurmrest_gateway_oidc, ca_file: .*others can change it", settings("oidc", oidc=provider)),
    ):
        with pytest.raises(SlurmrestError, match=said):
            judge_logins(refused)


def test_denied_groups_are_those_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "demand", lambda _identity: HELD)
    monkeypatch.setattr(signing, "acceptance_problem", lambda *_words: None)
    judge_logins(settings("pam", groups_denied=["root"]))
    said = r"slurmrest_gateway_groups_denied: .* this host does not know operaters, nor who is a member"
    with pytest.raises(SlurmrestError, match=said):
        judge_logins(settings("pam", groups_denied=["root", "operaters"]))


def test_a_provider_is_asked_before_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "demand", lambda _identity: HELD)
    monkeypatch.setattr(signing, "acceptance_problem", lambda *_words: None)
    asked: list[str] = []

    def begin(flow: Any, _query: str) -> tuple[str, str]:
        asked.append(flow._client.issuer)
        if len(asked) > 1:
            raise LoginError("connection refused")
        return "", ""

    monkeypatch.setattr(CodeFlow, "begin", begin)
    judge_logins(settings("oidc"))
    with pytest.raises(SlurmrestError, match=r"slurmrest_gateway_oidc, issuer.*connection refused"):
        judge_logins(settings("oidc"))
    assert asked == ["https://login.example.org"] * 2


def test_the_provider_s_secret_is_the_service_s_own(directory: Path, tmp_path: Path) -> None:
    directory.mkdir()
    source, copy = tmp_path / "secret", directory / "client-secret"
    source.touch(0o600)
    source.write_text("geheim\n")
    assert not signing.have_secret("", ME)
    assert signing.have_secret(str(source), ME, check=True)
    assert not copy.exists()
    assert signing.have_secret(str(source), ME)
    assert not signing.have_secret(str(source), ME)
    assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode)) == ("geheim\n", 0o600)
    source.chmod(0o644)
    with pytest.raises(InputError, match="mode 0600"):
        signing.have_secret(str(source), ME)
    source.chmod(0o600)
    source.write_text("\n")
    with pytest.raises(InputError, match="mode 0600"):
        signing.have_secret(str(source), ME)
    with pytest.raises(InputError, match="a file of root's"):
        signing.have_secret(str(tmp_path / "none"), ME)
    assert signing.have_secret("", ME)
    assert not copy.exists()


def test_programs_have_names() -> None:
    with pytest.raises(InputError, match="login, pam"):
        programs.have_programs({"other": "/usr/local/lib/slurmrest/other.pyz"}, check=True)
