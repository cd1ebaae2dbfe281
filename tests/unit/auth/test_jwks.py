"""Key sets: what is used, what is left out and why, what is refused; and where they come from."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from slurmrest.auth import jwks
from slurmrest.auth.jwks import JwksError, KeySet, PublicKey
from slurmrest.errors import InputError
from slurmrest.jwks import sources as module
from slurmrest.jwks.sources import Source, read_all, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
PUBLIC = [RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for key in PRIVATE]
WEAK = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)


def entry(kid: str | None = "a", number: int = 0, **members: Any) -> dict[str, Any]:
    """A key as a provider publishes it; a member that is None is missing."""
    found = {**{name: PUBLIC[number][name] for name in ("kty", "n", "e")}, "kid": kid, **members}
    return {name: value for name, value in found.items() if value is not None}


def document(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def parsed(*entries: Any) -> KeySet:
    return jwks.parse(document(*entries), "site")


# --- one set ---------------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_slurm_reads() -> None:
    found = parsed(entry("b", 1, alg="RS256", x5c=["MIIC"]), entry("a", use="sig", key_ops=["verify"]))
    written = json.loads(found.render())
    assert [sorted(key) for key in written["keys"]] == [["alg", "e", "kid", "kty", "n", "use"]] * 2
    assert [(key["kid"], key["kty"], key["alg"]) for key in written["keys"]] == [
        ("a", "RSA", "RS256"),
        ("b", "RSA", "RS256"),
    ]
    assert [key["n"] for key in written["keys"]] == [PUBLIC[0]["n"], PUBLIC[1]["n"]]
    assert jwks.parse(found.render(), "again").render() == found.render()
    assert found.dropped == ()


def test_a_number_has_no_leading_zeros() -> None:
    padded = base64.urlsafe_b64encode(bytes(2) + base64.urlsafe_b64decode(PUBLIC[0]["n"] + "==")).decode().rstrip("=")
    assert parsed(entry(n=padded)).render() == parsed(entry()).render()


@pytest.mark.parametrize(
    ("useless", "reason"),
    [
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "x"}, "its kty is 'EC'"),
        ({"kid": "x"}, "its kty is None"),
        (entry("x", 1, use="enc"), "its use is 'enc'"),
        (entry("x", 1, alg="PS256"), "its alg is 'PS256'"),
        (entry("x", 1, alg=["RS256"]), "its alg is ["),
        (entry("x", 1, key_ops=["encrypt"]), "its key_ops"),
        (entry(None, 1), "it has no kid"),
        (entry("", 1), "it has no kid"),
        ({**WEAK, "kid": "x"}, "it has 1024 bits, and 2048 are needed"),
    ],
)
def test_what_slurm_has_no_use_for_is_left_out_with_its_reason(useless: dict[str, Any], reason: str) -> None:
    found = parsed(entry("a", alg=None), useless)
    assert [key.kid for key in found.keys] == ["a"]
    assert len(found.dropped) == 1
    assert found.dropped[0].startswith("site: key 2")
    assert reason in found.dropped[0]
    with pytest.raises(JwksError, match="no key for RS256") as caught:
        parsed(useless)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(n=None), "its n is missing"),
        (entry(e=65537), "its e is missing, or not base64url"),
        (entry(n=PUBLIC[0]["n"] + "="), "not base64url"),
        (entry(n=PUBLIC[0]["n"].replace("-", "+") + "/AA"), "not base64url"),
        (entry(n="A" * 345), "not base64url"),
        (entry(e="AQ"), "no RSA key"),
        (entry(e="AAAC"), "no RSA key"),
        (entry(e="_" * 24), "no RSA key"),
        (entry(n="_" * 1368), "no RSA key"),
        (entry(n="_" * 341 + "A"), "no RSA key"),
        (entry(7), "its kid is no string"),  # type: ignore[arg-type]
        (entry("a\0b"), "its kid is no string"),
        (entry("\ud800"), "its kid is no string"),
        (entry("k" * 257), "its kid is no string"),
    ],
)
def test_what_cannot_be_meant_is_refused(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(JwksError, match="site: key 2") as caught:
        parsed(entry("good", 1), bad)
    assert reason in str(caught.value)


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth"])
def test_a_private_key_is_refused_and_not_shown(member: str) -> None:
    with pytest.raises(JwksError, match=rf"private parts \({member}\)") as caught:
        parsed(entry("good", 1), {**entry(), member: "c2VjcmV0"})
    assert "c2VjcmV0" not in str(caught.value)
    with pytest.raises(JwksError, match="private parts"):
        parsed(entry("good", 1), {"kty": "oct", "k": "c2VjcmV0", "kid": "x"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"keys": [\xff]}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no key set"),
        (b"{}", "no key set"),
        (b'{"keys": {}}', "no key set"),
        (b'{"keys": [[]]}', "no key set"),
        (b'{"keys": []}', "no key for RS256"),
        (b" " * (jwks.MAXIMUM_BYTES + 1), "bytes, and"),
        (document(*[entry()] * (jwks.MAXIMUM_KEYS + 1)), "101 keys, and 100"),
    ],
)
def test_what_is_no_set_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(JwksError, match=reason):
        jwks.parse(text, "site")


def test_one_kid_is_one_key() -> None:
    assert len(parsed(entry(), entry()).keys) == 1
    with pytest.raises(JwksError, match="site: the kid 'a' stands for two different keys"):
        parsed(entry(), entry(number=1))


# --- several issuers -------------------------------------------------------------------------------------------------


def test_issuers_are_merged_and_clashes_refused() -> None:
    one, two = parsed(entry("a"), entry(None)), parsed(entry("b", 1))
    both = jwks.merge({"one": one, "two": two})
    assert [key.kid for key in both.keys] == ["a", "b"]
    assert both.dropped == one.dropped
    assert both.render() == jwks.merge({"two": two, "one": one}).render()
    assert jwks.merge({"one": one, "three": one}).keys == one.keys
    with pytest.raises(JwksError, match="one and two: the kid 'a' stands for two different keys"):
        jwks.merge({"one": one, "two": parsed(entry("a", 1))})


def test_too_many_keys_together_are_refused() -> None:
    sets = {
        str(half): KeySet(tuple(PublicKey(f"{half}-{number}", 2**2047 + 1, 3) for number in range(60)))
        for half in range(2)
    }
    with pytest.raises(JwksError, match="0, 1: 120 keys together"):
        jwks.merge(sets)


# --- whatever a provider says -----------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
members = st.fixed_dictionaries(
    {},
    optional={
        "kty": st.sampled_from(["RSA", "EC", "oct"]) | anything,
        "kid": st.text(max_size=300) | anything,
        "alg": st.sampled_from(["RS256", "ES256"]) | anything,
        "use": st.sampled_from(["sig", "enc"]) | anything,
        "key_ops": st.just(["verify"]) | anything,
        "n": st.sampled_from([PUBLIC[0]["n"], PUBLIC[1]["n"], WEAK["n"]]) | st.text() | anything,
        "e": st.sampled_from(["AQAB", "Aw"]) | st.text() | anything,
        "d": anything,
    },
)


def judged(text: bytes) -> KeySet | None:
    """The set, or None where it is refused; anything but these two is a failure."""
    try:
        return jwks.parse(text, "site")
    except JwksError as error:
        assert str(error).startswith("site: ")  # noqa: PT017
        return None


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_any_document_is_read_or_refused(text: bytes) -> None:
    judged(text)


@given(st.lists(members | anything.filter(lambda value: isinstance(value, dict)), max_size=4))
def test_what_is_accepted_is_safe_to_hand_to_slurm(entries: list[Any]) -> None:
    found = judged(document(*entries))
    if found is None:
        return
    written = json.loads(found.render())["keys"]
    assert len({key["kid"] for key in written}) == len(written) > 0
    for key in written:
        assert set(key) == {"kid", "kty", "alg", "use", "n", "e"}
        assert all(isinstance(value, str) and value for value in key.values())
        assert "\0" not in key["kid"]
        RSAAlgorithm.from_jwk(key)
    assert jwks.parse(found.render(), "again") == KeySet(found.keys)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 1])), min_size=2, max_size=4))
def test_merging_does_not_depend_on_order(names: list[tuple[str, int]]) -> None:
    sets = {str(place): parsed(entry(kid, number)) for place, (kid, number) in enumerate(names)}
    clash = len({kid for kid, _number in names}) < len(set(names))
    backwards = dict(reversed(sets.items()))
    if clash:
        for some in (sets, backwards):
            with pytest.raises(JwksError, match="two different keys"):
                jwks.merge(some)
    else:
        assert jwks.merge(sets).keys == jwks.merge(backwards).keys


# --- where sets come from --------------------------------------------------------------------------------------------


@contextmanager
def provider(answer: bytes, status: int = 200, certificate: Path | None = None, pause: float = 0) -> Iterator[str]:
    """A web server on loopback; with a pause (seconds) it sends one byte after the other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            for piece in (answer,) if not pause else (answer[i : i + 1] for i in range(len(answer))):
                time.sleep(pause)
                try:
                    self.wfile.write(piece)
                except OSError:
                    return

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that does not trust the certificate hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}/jwks?x=1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and the certificate that it signed itself for 127.0.0.1, in one file."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    made = subprocess.run(
        ["openssl", *words.split(), "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=True
    )
    file.write_text(made.stdout)
    return file


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of a test's own provider is one that any account may have."""
    monkeypatch.setattr(module, "UNPRIVILEGED_PORTS", 65536)


@pytest.mark.usefixtures("any_port")
def test_a_set_is_fetched() -> None:
    with provider(document(entry())) as url:
        assert [key.kid for key in Source("idp", url).read().keys] == ["a"]
        many = sources(
            [{"name": "idp", "url": url}, {"name": "file", "file": "x"}], {"x": document(entry("b", 1)).decode()}
        )
        assert [key.kid for key in read_all(many).keys] == ["a", "b"]


def test_https_needs_a_certificate_that_is_trusted(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmrest.jwks.sources.roots_alone", lambda _path: True)
    authority = tmp_path / "ca.pem"
    authority.write_text(certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    with provider(document(entry()), certificate=certificate) as url:
        assert len(Source("idp", url, ca_file=str(authority)).read().keys) == 1
        with pytest.raises(JwksError, match="idp"):
            Source("idp", url).read()
        with pytest.raises(InputError, match="slurm_jwks_issuers, idp: ca_file: '/nowhere'"):
            Source("idp", url, ca_file="/nowhere").read()
        other = url.replace("127.0.0.1", "localhost")
        with pytest.raises(JwksError, match="idp"):
            Source("idp", other, ca_file=str(authority)).read()
        # Whoever changes it, and is on the way, puts a key in.
        monkeypatch.undo()
        authority.chmod(0o666)
        with pytest.raises(InputError, match=r"slurm_jwks_issuers, idp: ca_file: .*others can change it"):
            Source("idp", url, ca_file=str(authority)).read()


@pytest.mark.usefixtures("any_port")
@pytest.mark.parametrize("status", [302, 404, 503, 204])
def test_only_200_counts_and_redirections_are_not_followed(status: int) -> None:
    with provider(document(entry()), status) as url, pytest.raises(JwksError, match=f"status {status} instead of 200"):
        Source("idp", url).read()


@pytest.mark.usefixtures("any_port")
def test_size_and_time_are_bounded() -> None:
    with provider(b" " * (jwks.MAXIMUM_BYTES + 1)) as url, pytest.raises(JwksError, match="more than 262144 bytes"):
        Source("idp", url).read()
    begin = time.monotonic()
    with provider(document(entry()), pause=0.05) as url, pytest.raises(JwksError, match="idp"):
        Source("idp", url).read(timeout=0.5)
    assert time.monotonic() - begin < 5


@pytest.mark.usefixtures("any_port")
def test_a_provider_that_is_not_there_is_named() -> None:
    with provider(b"") as url:
        pass
    with pytest.raises(JwksError, match=rf"idp \({url.replace('?', '.')}\): ") as caught:
        Source("idp", url).read()
    assert "slurmrestd" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.org/jwks",
        "http://192.0.2.1/jwks",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1:8080/jwks",
        "http://localhost:1024/",
        "http://[2001:db8::1]/",
        "ftp://127.0.0.1/",
        "https://",
        "https:///jwks",
        "//idp/jwks",
        "idp",
        "https://idp:0/",
        "https://idp:70000/",
        "https://idp/ jwks",
        "https://idp/\r\nX: y",
        "https://idp/#part",
        "https://user:hunter2@idp/",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="slurm_jwks_issuers, idp: url") as caught:
        Source("idp", url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8/a", "http://[::1]/", "http://localhost:8/", "https://idp/x?y=z"])
def test_urls_that_are_allowed(url: str) -> None:
    assert Source("idp", url).where == f"idp ({url})"


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"url": "https://idp/"}],
        [{"name": "a"}],
        [{"name": "a", "file": "not-read.json"}],
        [{"name": "a", "url": "https://idp/", "document": "{}"}],
        [{"name": "a b", "url": "https://idp/"}],
        [{"name": "a", "url": "https://idp/", "audience": "slurm"}],
        [{"name": "a", "url": "https://idp/"}, {"name": "a", "url": "https://idp2/"}],
        [{"name": "a", "url": "http://127.0.0.1/", "ca_file": "/ca.pem"}],
        [{"name": "a", "url": "https://idp/", "ca_file": "ca.pem"}],
        [{"name": "a", "document": "{}", "ca_file": "/ca.pem"}],
    ],
)
def test_issuers_that_are_refused(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="slurm_jwks_issuers"):
        sources(entries)
