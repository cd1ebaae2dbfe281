"""A login at a gateway, for the verification."""

from __future__ import annotations

import json
import secrets
import ssl

from ..auth.bearer import Token
from ..command.token_options import read_secret
from ..errors import SlurmrestError
from ..rest import answers
from ..rest.client import Credentials, Target, request
from ..rest.logins import CertificateCredentials, SessionCredentials
from .gateway import LOGIN_PATH, SESSION_PATH


def credentials_of(gateway: Target, user: str, password_file: str | None, context: ssl.SSLContext) -> Credentials:
    """Log in with the password in a file, or by the certificate of ``context`` where there is no file.

    Raises:
        SlurmrestError: the gateway refuses it, or knows another user by the certificate.
    """
    if password_file is None:
        answer = request(gateway, "GET", SESSION_PATH, headers={}, context=context)
    else:
        password = read_secret(password_file, "--password-file")[0].decode("utf-8", "surrogateescape").rstrip("\r\n")
        said = json.dumps({"user": user, "password": password, "bearer": True}).encode()
        headers = {"Content-Type": "application/json"}
        answer = request(gateway, "POST", LOGIN_PATH, headers=headers, body=said, context=context)
    try:
        found = answers.mapping(answer.json())
    except ValueError:
        found = {}
    if answer.status != 200:
        words = "; ".join(str(error.text) for error in answers.errors_of(found)) or "no words"
        raise SlurmrestError(f"{gateway} refuses the login of {user}: {answer.status}, {words}")
    if found.get("user") != user:
        raise SlurmrestError(f"{gateway} knows this login as {found.get('user')!a}, and not as {user}")
    if password_file is None:
        return CertificateCredentials(user, Token(secrets.token_hex(16)))
    return SessionCredentials(user, Token(str(found.get("bearer"))))
