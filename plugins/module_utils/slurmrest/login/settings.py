"""What the identity service is told: the file that role slurmrest_gateway writes for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlurmrestError
from ..host.files import read
from ..host.reading import UnsafePath
from .policy import Policy

PAM, MTLS, OIDC = "pam", "mtls", "oidc"


@dataclass(frozen=True)
class LoginSettings:
    """How users show who they are, and what they get.

    ``proxy`` is the account whose word about clients counts, nginx'; ``key`` the path of the key that signs; times are
    in seconds. ``origins`` are those besides the gateway's own whose pages may use it. ``subjects`` are the names of
    client certificates, each with its user. ``provider`` is what :class:`.oidc.Client` is made of, with the path of its
    secret.
    """

    identity: str
    proxy: str
    key: str
    name: str
    token_seconds: int
    session_seconds: int
    policy: Policy
    origins: tuple[str, ...] = ()
    pam_socket: str = ""
    subjects: Mapping[str, str] = field(default_factory=dict)
    provider: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> LoginSettings:
        """Read the file. Raises SlurmrestError where it cannot be read."""
        try:
            return cls.from_mapping(json.loads(read(path)))
        except (OSError, ValueError, KeyError, TypeError, UnsafePath) as error:
            raise SlurmrestError(f"{path} cannot be read: {error!r}", "Run playbooks/gateway.yml again.") from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> LoginSettings:
        """Read what the role wrote."""
        plain = {name: str(data[name]) for name in ("identity", "proxy", "key", "name")}
        return cls(
            **plain,
            token_seconds=int(data["token_seconds"]),
            session_seconds=int(data["session_seconds"]),
            policy=Policy.from_mapping(data["policy"]),
            origins=tuple(data.get("origins") or ()),
            pam_socket=str(data.get("pam_socket") or ""),
            subjects=dict(data.get("subjects") or {}),
            provider={name: str(value) for name, value in (data.get("provider") or {}).items()},
        )
