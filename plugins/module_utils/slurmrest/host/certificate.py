"""A certificate as a client would take it: matching its key, in its time, and of the right name.

OpenSSL judges: a server with the certificate and a client that trusts just this one shake hands in memory.
"""

from __future__ import annotations

import contextlib
import ssl

from ..errors import InputError

_PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN of OpenSSL, which trusts a certificate without its issuer. Python names it from 3.10 on."""

_ROUNDS = 4  # more than the messages of a handshake in one direction


def judge(certificate: str, key: str, name: str, variables: tuple[str, str, str]) -> str:
    """Return until when a certificate is valid, as OpenSSL writes dates.

    Args:
        certificate: path of the PEM file, the server's own certificate first.
        key: path of its private key.
        name: what clients call the server.
        variables: how the certificate, the key and the name are called where they come from.

    Raises:
        InputError: it cannot be read, is not that of the key, is out of date, or is for other names.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable(certificate, key, variables, error) from None
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= _PARTIAL_CHAIN
    try:
        client.load_verify_locations(certificate)
        valid_until = _shake_hands(server, client, name)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or str(error)
        if "ostname" in why or "IP address" in why:
            raise InputError(
                variables[2], name, f"a name that {certificate} is for", why.rstrip("."), "Or get one for it."
            ) from None
        raise InputError(variables[0], certificate, "a certificate that is valid now", why.rstrip(".")) from None
    except ssl.SSLError as error:
        raise InputError(variables[0], certificate, "a certificate that TLS takes", error.reason) from None
    return valid_until


def no_authorities(path: str) -> str:
    """Why a file holds no certificates of authorities that could be trusted; empty where it does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        return error.reason or "no certificate in PEM"
    except OSError as error:
        return error.strerror or str(error)
    return "" if context.get_ca_certs() else "it holds no certificate of an authority (CA:TRUE)"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Shake hands in memory and return the certificate's end; SSLError where one side refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS):
        for side in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return str((asking.getpeercert() or {}).get("notAfter", ""))


def _no_password() -> str:
    raise ValueError("a passphrase protects the private key, and nobody is there to type it at boot")


def _unusable(certificate: str, key: str, variables: tuple[str, str, str], error: Exception) -> InputError:
    """What is wrong with the two files, each looked at on its own where the words do not tell."""
    allowed = "files in PEM: the certificate with its chain, and its private key"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "no certificate, or no private key, in PEM"
        if reason == "KEY_VALUES_MISMATCH":
            reason = "the private key is another certificate's"
    else:
        reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{variables[0]}, {variables[1]}", f"{certificate}, {key}", allowed, reason)
