#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Look whether a transaction has anything to do (entry file; see slurmrest/transaction/comparison.py).

What is to be done the action plugin of the same name has host_change do, which takes far more files along.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_transaction
short_description: Write files, restart units and ask them for an answer, or put everything back
description:
  - Compares, writes by rename, reloads systemd, restarts the units whose files changed and waits until each probe is
    answered. Where a daemon refuses, the previous files and states return and the module fails with the daemon's words.
  - Before it restarts a slurmctld or slurmdbd that runs, it looks whether that would start again, and with all that it
    knows. Otherwise it fails and changes nothing, in check mode, too.
  - Holds a lock on the host and keeps a journal; what a killed run left half-way is undone by the next one.
extends_documentation_fragment: [slurmrest.toolkit.transaction]
options:
  sight:
    description:
      - What M(slurmrest.toolkit.slurm_gather) saw of this host. Where by that nothing is to be done, the host is not
        asked again (judged by the action plugin). It counts for five minutes, and as long as the facts stay the same.
    type: dict
  asks:
    description:
      - Whether the host is asked where it cannot be told by O(sight). Otherwise nothing is done, and RV(seen) is empty
        (judged by the action plugin).
    type: bool
    default: true
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Shows every change but secrets.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Bring up slurmrestd
  slurmrest.toolkit.host_transaction:
    name: slurmrestd_service
    files:
      - path: /etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf
        content: "{{ lookup('slurmrest.toolkit.rendered', '50-slurmrest.conf.j2') }}"
    services:
      - name: slurmrestd
        enabled: true
        probes: [{listeners: ["127.0.0.1:6820"]}]
"""

RETURN = r"""
changed_paths: {description: Files and directories that changed., returned: success, type: list, elements: str}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
started: {description: Units that were started., returned: success, type: list, elements: str}
recovered: {description: Files that a killed run had left half-way., returned: success, type: list, elements: str}
seconds: {description: Duration., returned: success, type: float}
seen:
  description: The digest of the facts by which nothing is to be done; empty where they do not tell that.
  returned: where the host was not asked
  type: str
rolled_back: {description: Files that came back to their previous text., returned: failure, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.transaction.comparison import Applied, Wanted
from ..module_utils.slurmrest.transaction.entry import ARGUMENTS, result, wanted


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare; SlurmrestError for what is refused."""
    return {**result(Applied()), "settled": Wanted(**wanted(module.params)).settled()}


def main() -> None:
    """Run the module."""
    spec = {**ARGUMENTS, "sight": {"type": "dict"}, "asks": {"type": "bool", "default": True}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
