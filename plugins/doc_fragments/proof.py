# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What slurmrestd_verify and slurmrestd_verify_unseen are told besides (verification.py)."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  tokenless:
    description: Why no controller makes tokens now; given by the action plugin. Only the listeners are asked then.
    type: str
  mint:
    description:
      - The command that makes the token of O(user), where this host is the controller; given by the action plugin. The
        token stays on the host then.
    type: list
    elements: str
"""
