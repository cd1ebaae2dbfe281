"""Tokens that a command is given: by file, standard input or environment, never as an argument."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from ..auth.bearer import TOKEN_HEADER, Token, TokenError
from ..auth.claims import inspect
from ..errors import SlurmrestError

_MAX_SECRET = 65536  # bytes of a token or key file
STDIN = "-"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class UsageError(SlurmrestError):
    """The command cannot run as it was asked to."""


def token_from_environment(name: str) -> Token:
    """The token in an environment variable of this name. Raises UsageError."""
    if not _NAME.match(name):
        raise UsageError("--token-env wants the name of an environment variable, such as SLURM_JWT, not its value.")
    if not os.environ.get(name):
        raise UsageError(f"--token-env: the environment variable {name} is not set.")
    return token_from_text(os.environ[name], f"--token-env {name}")


def token_from_file(path: str, option: str) -> Token:
    """The token in a file, or from standard input for ``-``; warns when everybody can read it. Raises UsageError."""
    if path == STDIN:
        return token_from_text(sys.stdin.read(_MAX_SECRET), f"{option} -")
    data, mode = read_secret(path, option)
    if mode & stat.S_IROTH:
        sys.stderr.write(f"warning: {path} has mode {mode:04o}: everybody on this host can use the token in it\n")
    return token_from_text(data.decode("utf-8", "replace"), f"{option} {path}")


def token_from_text(text: str, origin: str) -> Token:
    """The token in a file's text: alone, as `scontrol token` prints it, or in header lines. Raises UsageError."""
    value = text.strip().split("SLURM_JWT=", 1)[-1].split(f"{TOKEN_HEADER}: ", 1)[-1]
    try:
        return Token(value)
    except TokenError as error:
        raise UsageError(f"{origin}: {error.message}.", "Get one with: scontrol token lifespan=600") from None


def user_in(token: Token, option: str) -> str:
    """The user a token names; old releases want the name beside the token. Raises UsageError."""
    try:
        user = inspect(token).user
    except TokenError as error:
        raise UsageError(f"the token does not name its user ({error.message}).", f"Give {option} NAME.") from None
    if not user:
        raise UsageError("the token does not name its user (neither sun nor username).", f"Give {option} NAME.")
    return user


def read_secret(path: str, option: str) -> tuple[bytes, int]:
    """Content and permission bits of a file that holds a secret."""
    try:
        with Path(path).open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            data = stream.read(_MAX_SECRET + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option} {path}: {why}.") from None
    if not data:
        raise UsageError(f"{option} {path}: the file is empty.")
    if len(data) > _MAX_SECRET:
        raise UsageError(f"{option} {path}: more than {_MAX_SECRET} bytes, this is something else.")
    return data, mode
