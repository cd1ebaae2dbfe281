"""Certificates made here: of the right name, of another one, past their time, and with another's key."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError
from slurmrest.host.certificate import judge

if TYPE_CHECKING:
    from pathlib import Path

NAME = "slurm.example.org"
VARIABLES = ("certificate", "key", "name")


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and beside good.pem and old.pem, which it signed, their keys; locked.key has a passphrase."""
    directory = tmp_path_factory.mktemp("certificates")
    (directory / "names").write_text(f"subjectAltName=DNS:{NAME},DNS:*.web.example.org\n")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(directory, *new, "-x509", "-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("good", "old"):
        openssl(directory, *new, "-subj", f"/CN={NAME}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    openssl(directory, "x509", "-req", "-in", "good.csr", *signed, "-out", "good.pem")
    when = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    openssl(directory, "ca", "-batch", "-config", write_ca(directory), "-in", "old.csr", *when, "-out", "old.pem")
    openssl(directory, "ec", "-in", "good.key", "-aes128", "-passout", "pass:x", "-out", "locked.key")
    return directory


def write_ca(directory: Path) -> str:
    """Write what ``openssl ca`` needs, which alone sets dates of the past in every version."""
    for name, text in (("index.txt", ""), ("serial", "01\n")):
        (directory / name).write_text(text)
    (directory / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ncertificate=ca.pem\n"
        "private_key=ca.key\ndefault_md=sha256\npolicy=p\nx509_extensions=x\nunique_subject=no\n[p]\ncommonName=supplied\n"
        f"[x]\nsubjectAltName=DNS:{NAME}\n"
    )
    return "ca.cnf"


def judged(made: Path, certificate: str, key: str, name: str = NAME) -> str:
    return judge(str(made / certificate), str(made / key), name, VARIABLES)


def test_a_good_one_says_until_when(made: Path) -> None:
    assert judged(made, "good.pem", "good.key").endswith(" GMT")
    assert judged(made, "good.pem", "good.key", "x.web.example.org").endswith(" GMT")


@pytest.mark.parametrize(
    ("certificate", "key", "name", "said"),
    [
        ("good.pem", "good.key", "other.example.org", "^name: 'other.example.org' is refused: Hostname mismatch"),
        ("old.pem", "old.key", NAME, "^certificate: '.*old.pem' is refused: certificate has expired"),
        ("good.pem", "old.key", NAME, "^certificate, key: .* the private key is another certificate's"),
        ("good.pem", "none.key", NAME, "No such file or directory"),
        ("good.key", "good.pem", NAME, "^certificate, key: .* is refused"),
        ("good.pem", "locked.key", NAME, "a passphrase protects the private key"),
    ],
)
def test_what_clients_would_not_take_is_refused(made: Path, certificate: str, key: str, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        judged(made, certificate, key, name)
