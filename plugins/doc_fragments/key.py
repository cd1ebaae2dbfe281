# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What shared_key and shared_key_change are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  path: {description: Absolute path of the key., type: path, required: true}
  owner: {description: Account that reads the key., type: str, required: true}
  group: {description: Group of a key that is made here., type: str, required: true}
  mode: {description: Permissions of a key that is made here., type: str, default: "0600"}
  directory_mode:
    description: Permissions of the key's directory where that does not exist yet; an existing one is left alone.
    type: str
    default: "0700"
  size: {description: Bytes of a new key., type: int, default: 32}
  named_by:
    description:
      - File and line that name O(path), where that is slurmdbd.conf alone. It belongs to SlurmUser, who could name any
        path of this host, so that nothing is made there; a key that is there already is taken.
    type: str
    default: ""
  content: {description: The key in base64; given by the action plugin., type: str}
  fetch: {description: Return the key; used by the action plugin., type: bool, default: false}
  allow_restart:
    description: Whether a unit that has the old key loaded may be restarted.
    type: bool
    default: true
  remember:
    description: Whether it is remembered that there was no key before, so that uninstalling removes it.
    type: bool
    default: true
  services:
    description: Units as in M(slurmrest.toolkit.host_transaction); C(if_running) ones restart when a key is replaced.
    type: list
    elements: dict
    default: []
"""
