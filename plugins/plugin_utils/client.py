"""A client's request that the doctor explains. Its token is read on the controller, and is in no result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..module_utils.slurmrest.auth.bearer import Token, TokenError
from ..module_utils.slurmrest.auth.claims import owner
from ..module_utils.slurmrest.doctor.request import told_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.parsing.dataloader import DataLoader


def client_token(loader: DataLoader, request: Mapping[str, Any] | None) -> str | None:
    """The client's token, from its file: bare, or as ``scontrol token`` prints it. AnsibleError names the file."""
    path = (request or {}).get("token_file")
    if not path:
        return None
    try:
        text = Path(loader.path_dwim(path)).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise AnsibleError(f"token_file: {path!r} cannot be read: {error}") from None
    return text.rpartition("=")[2].strip() or None


def client_users(loader: DataLoader, request: Mapping[str, Any] | None) -> list[str]:
    """Who a request is of: the user of its header, and whom its token names."""
    token = client_token(loader, request)
    try:
        named = owner(Token(token)) if token else ""
    except TokenError:
        named = ""
    return list(dict.fromkeys(filter(None, [(request or {}).get("user"), named])))


def client_told(request: Mapping[str, Any] | None, token: str | None) -> dict[str, Any] | None:
    """What a request says by itself; None without one. A token that is none is refused by the module, in its words."""
    try:
        given = Token(token) if token else None
    except TokenError:
        given = None
    return told_of(str(request.get("path") or ""), given) if request else None
