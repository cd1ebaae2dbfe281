#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""One secret key, the same on several hosts (entry file; the transport is the action plugin of the same name)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shared_key
short_description: Make a key on one host and place the same key on others
description:
  - On the host named O(source) the key is made when it is absent and kept when it is there.
  - Every other host gets a copy, through the controller's memory only.
  - A key that is short, or that others could have read, is refused rather than mended, because it may be known already.
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
  source: {description: Inventory name of the host that makes the key (read by the action plugin)., type: str}
  source_path: {description: "Path of the key there, where it is another one (read by the action plugin).", type: path}
  supplied: {description: "Path of a key on the controller to use instead (read by the action plugin).", type: path}
  named_by:
    description:
      - File and line that name O(path), where that is slurmdbd.conf alone. It belongs to SlurmUser, who could name any
        path of this host, so that nothing is made there; a key that is there already is taken.
    type: str
    default: ""
  source_named_by: {description: The same for O(source_path) (read by the action plugin)., type: str, default: ""}
  content: {description: The key in base64; given by the action plugin., type: str}
  fetch: {description: Return the key; used by the action plugin., type: bool, default: false}
  allow_restart:
    description: Whether a unit that has the old key loaded may be restarted.
    type: bool
    default: true
  services:
    description: Units as in M(slurmrest.toolkit.host_transaction); C(if_running) ones restart when a key is replaced.
    type: list
    elements: dict
    default: []
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Never shows the key.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have one JWT key on all controllers
  slurmrest.toolkit.shared_key:
    path: /var/lib/slurm/jwt/jwt_hs256.key
    owner: slurm
    group: slurm
    source: "{{ slurm_common_controllers[0] }}"
"""

RETURN = r"""
replaced: {description: Whether another key was there before., returned: success, type: bool}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
"""

import base64
import contextlib
import os
import pwd
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.auth.keys import (
    ALLOWED,
    MAXIMUM_BYTES,
    MINIMUM_BYTES,
    generate,
    inspect,
    is_retired,
    refusals,
    rotation_record,
)
from ..module_utils.slurmrest.errors import InputError, SlurmrestError
from ..module_utils.slurmrest.host.files import load_record
from ..module_utils.slurmrest.host.lock import host_lock
from ..module_utils.slurmrest.host.places import read
from ..module_utils.slurmrest.systemd.systemctl import Systemd
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.comparison import octal
from ..module_utils.slurmrest.transaction.judges import SLURM
from ..module_utils.slurmrest.transaction.specs import DirectorySpec, FileSpec, ServiceSpec
from ..module_utils.slurmrest.transaction.transaction import Transaction


def _present(path: str) -> bytes | None:
    try:
        return read(path, MAXIMUM_BYTES)
    except FileNotFoundError:
        return None


def _refuse_unsafe(path: str, owner: str, check: bool) -> None:
    """Raise SlurmrestError for a key, or a place for one, that others may read or change."""
    try:
        account = pwd.getpwnam(owner)
    except KeyError:
        if check:  # the packages that bring the account are installed by the real run
            return
        raise InputError("owner", owner, "an account of this host") from None
    reasons = refusals(inspect(path), {"name": owner, "uid": account.pw_uid, "gid": account.pw_gid})
    if reasons:
        raise SlurmrestError("The key is refused: " + "; ".join(reasons))


def place(wanted: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Have the key in its place; with ``fetch`` its content is in the result.

    Several hosts may ask the source for the key at the same time, so the decision to make one is taken under a lock.
    """
    path: str = wanted["path"]
    name = os.path.basename(path)
    with contextlib.nullcontext() if check else host_lock(name=f"lock-{name}"):
        if load_record(rotation_record(path)):
            raise SlurmrestError(
                f"A rotation of {path} was interrupted on this host.", "Run playbooks/rotate_jwt_key.yml again first."
            )
        _refuse_unsafe(path, wanted["owner"], check)
        now = _present(path)
        if now is None and wanted["named_by"]:
            raise InputError(
                "jwt_key in AuthAltParameters",
                path,
                "a path that slurm.conf of the primary controller names, or one where the key is already",
                f"{wanted['named_by']} alone names it, a file of SlurmUser's, and nothing is there",
                f"Take jwt_key out there, or make the key yourself: {ALLOWED}.",
            )
        content = base64.b64decode(wanted["content"]) if wanted["content"] else now or generate(wanted["size"])
        if len(content) < MINIMUM_BYTES:
            raise InputError("supplied", f"a key of {len(content)} bytes", f"{MINIMUM_BYTES} bytes or more")
        back = is_retired(path, content) if now != content else []
        if back:
            raise SlurmrestError(
                f"The key that would be placed is the one that a rotation without {', '.join(back)} has ended: that "
                "host is back with it. Nothing was changed.",
                f"On {', '.join(back)}: systemctl stop slurmctld; rm {path}. Once a backup is in charge, "
                "playbooks/deploy.yml gives that host the new key.",
            )
        replaced = now is not None and now != content
        asked = map(ServiceSpec.from_mapping, wanted["services"])
        services = [service for service in asked if service.state == "started" or replaced]
        if replaced and not wanted["allow_restart"]:
            _refuse_restart(path, services)
        owned = wanted["owner"], wanted["group"]
        file = FileSpec(path, content, "present", *owned, octal(wanted["mode"]), sensitive=True)
        directory = DirectorySpec(os.path.dirname(path), *owned, octal(wanted["directory_mode"]))
        outcome = Transaction(
            name=f"shared_key-{name}",
            files=[file] if now != content else [],
            directories=[] if os.path.isdir(directory.path) else [directory],
            services=services,
            origin=Baseline(),
            judges=SLURM,
        ).apply(check=check)
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "diff": outcome.diff,
        "replaced": replaced,
        "restarted": outcome.restarted,
    }
    if wanted["fetch"]:
        result["content"] = base64.b64encode(content).decode()
    return result


def _refuse_restart(path: str, services: list[ServiceSpec]) -> None:
    """Raise SlurmrestError when a unit runs that has the key loaded, since replacing it means a restart."""
    running = [service.name for service in services if Systemd().show(service.name).get("ActiveState") == "active"]
    if running:
        raise SlurmrestError(
            f"{path} differs from the key of the primary controller, and {', '.join(running)} has it loaded. Nothing "
            "was changed.",
            "Set slurmrest_allow_controller_restart to true to replace the key and restart.",
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "mode": {"type": "str", "default": "0600"},
            "directory_mode": {"type": "str", "default": "0700"},
            "size": {"type": "int", "default": 32},
            "source": {"type": "str"},
            "source_path": {"type": "path"},
            "supplied": {"type": "path"},
            "named_by": {"type": "str", "default": ""},
            "source_named_by": {"type": "str", "default": ""},
            "content": {"type": "str", "no_log": True},
            "fetch": {"type": "bool", "default": False, "no_log": False},
            "allow_restart": {"type": "bool", "default": True},
            "services": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: place(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
