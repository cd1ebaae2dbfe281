"""Whether a password is a user's, asked of PAM: a program for one login, as systemd starts it for each connection.

PAM loads what the site has configured into the process that asks. So it is a process of its own, with an account that
may read the hashes of passwords and nothing of the gateway, and ends with its answer. It reads one line of JSON,
``{"user": …, "password": …}``, from standard input, which is the connection, and writes ``yes`` or ``no`` there.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import SlurmrestError

SUCCESS, CONV_ERR, BUF_ERR = 0, 19, 5
PROMPT_ECHO_OFF, ERROR_MSG, TEXT_INFO = 1, 3, 4
USER_ITEM = 2
SILENT, NO_EMPTY_PASSWORD = 0x8000, 0x1
"""Numbers of ``security/_pam_types.h``."""

MAXIMUM = 4096
"""Bytes of a question."""


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class _Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]


_TALK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = [("talk", _TALK), ("data", ctypes.c_void_p)]


class Pam:
    """libpam of this host.

    Raises:
        SlurmrestError: there is none.
    """

    def __init__(self) -> None:
        try:
            self._pam = ctypes.CDLL(ctypes.util.find_library("pam") or "libpam.so.0")
        except OSError as error:
            raise SlurmrestError(f"libpam cannot be loaded: {error}") from None
        self._pam.pam_start.argtypes = (
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.POINTER(_Conversation),
            ctypes.POINTER(ctypes.c_void_p),
        )
        self._pam.pam_authenticate.argtypes = self._pam.pam_acct_mgmt.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._pam.pam_end.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._pam.pam_get_item.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p))
        self._libc = ctypes.CDLL(None)
        self._libc.calloc.restype = ctypes.c_void_p
        self._libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)

    def is_password(self, service: str, user: str, password: str) -> bool:
        """Whether PAM takes this password of this user, and lets the account in.

        Args:
            service: the file in ``/etc/pam.d``.
            user: the name; one that PAM would turn into another is refused.
            password: answers each question that is not to be seen while it is typed.
        """
        conversation = _Conversation(_TALK(self._answers(password.encode())), None)
        handle = ctypes.c_void_p()
        name = user.encode()
        if self._pam.pam_start(service.encode(), name, ctypes.byref(conversation), ctypes.byref(handle)) != SUCCESS:
            return False
        # Whatever its modules are told: an account without a password would let in whoever names it.
        flags = SILENT | NO_EMPTY_PASSWORD
        status = self._pam.pam_authenticate(handle, flags)
        if status == SUCCESS:
            status = self._pam.pam_acct_mgmt(handle, flags)
        same = status == SUCCESS and self._user(handle) == name
        self._pam.pam_end(handle, status)
        return same

    def _user(self, handle: ctypes.c_void_p) -> bytes | None:
        item = ctypes.c_void_p()
        self._pam.pam_get_item(handle, USER_ITEM, ctypes.byref(item))
        return ctypes.cast(item, ctypes.c_char_p).value if item.value else None

    def _answers(self, password: bytes) -> Any:
        """What PAM calls with its questions. It frees what it gets, so that has to be the C library's."""

        def talk(count: int, questions: Any, answers: Any, _data: Any) -> int:
            block = self._libc.calloc(count, ctypes.sizeof(_Response))
            if not block:
                return BUF_ERR
            replies = ctypes.cast(block, ctypes.POINTER(_Response))
            answers[0] = replies
            for number in range(count):
                style = questions[number].contents.style
                if style == PROMPT_ECHO_OFF:
                    copy = self._libc.calloc(len(password) + 1, 1)
                    if not copy:
                        return BUF_ERR
                    ctypes.memmove(copy, password, len(password))
                    replies[number].text = copy
                elif style not in (ERROR_MSG, TEXT_INFO):
                    return CONV_ERR
            return SUCCESS

        return talk


def question(line: bytes) -> tuple[str, str]:
    """User and password of one line. ValueError for anything else."""
    data = json.loads(line)
    if not isinstance(data, dict) or set(data) != {"user", "password"}:
        raise ValueError("no question")
    user, password = data["user"], data["password"]
    if not isinstance(user, str) or not isinstance(password, str) or not user or not password:
        raise ValueError("no names")
    if "\0" in user + password:
        raise ValueError("a NUL")
    return user, password


def main(argv: Sequence[str]) -> int:
    """Answer one question; ``argv`` is the name of the service in ``/etc/pam.d``. Returns 0 where it did."""
    line = b""
    while not line.endswith(b"\n") and len(line) <= MAXIMUM:
        more = os.read(0, MAXIMUM)
        if not more:
            break
        line += more
    try:
        user, password = question(line)
    except (ValueError, RecursionError):
        return 1
    try:
        good = Pam().is_password(argv[0], user, password)
    except SlurmrestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    os.write(1, b"yes\n" if good else b"no\n")
    return 0
