"""Connections that are held open after an answer."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping

from .client import DEFAULT_TIMEOUT, MAX_BODY, Target, client_error, connection_to, cut_off, read_answer


def open_idle(
    target: Target,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    context: ssl.SSLContext | None = None,
) -> http.client.HTTPConnection:
    """Ask once with keep-alive, read the answer, and leave the connection open for the caller to close.

    Its ``sock`` is None where the server did not want to keep it. Raises ClientError.
    """
    connection = connection_to(target, timeout, context)
    try:
        connection.connect()
        with cut_off(connection.sock, timeout) as cut:
            try:
                connection.request("GET", path, None, {"Connection": "keep-alive", **(headers or {})})
                read_answer(connection.getresponse(), MAX_BODY)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if cut.is_set():
                    raise TimeoutError(0, "cut off") from error
                raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        raise client_error(error, target, timeout) from None
    return connection
