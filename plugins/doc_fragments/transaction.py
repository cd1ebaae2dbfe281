# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What host_transaction and host_change are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  name:
    description: Name of the transaction, usually the role.
    type: str
    required: true
  files:
    description: Files as they shall be.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: The text., type: str}
      secret_content: {description: "The text where it holds a secret: never in logs and differences.", type: str}
      state: {description: Whether the file shall be there., type: str, choices: [present, absent], default: present}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Permissions as a quoted octal number., type: str, default: "0644"}
  directories:
    description: Directories as they shall be.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Permissions as a quoted octal number., type: str, default: "0755"}
  set_aside:
    description:
      - Files of the site that must not decide any more. A copy with the suffix C(.slurmrest-kept) stays beside each.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      lines:
        description: Lines of a unit file to take away, counted from 1; all of the file where none is given.
        type: list
        elements: int
        default: []
  remember:
    description: Whether to remember what was there before the first change, for M(slurmrest.toolkit.host_origin).
    type: bool
    default: false
  services:
    description: Units in the order in which they are restarted.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Unit name., type: str, required: true}
      state:
        description:
          - C(started) brings the unit up, and restarts it when systemd has not loaded the unit that is on disk,
            C(if_running) only restarts it when it runs already and a file changes,
            C(restarted) does so without a change, too.
        type: str
        choices: [started, if_running, restarted]
        default: started
      enabled: {description: "Whether systemd starts it at boot; left alone when not given.", type: bool}
      restart: {description: Whether a change restarts the unit., type: bool, default: true}
      reload:
        description: Whether a change is taken by a reload instead, as by a daemon that serves others, too.
        type: bool
        default: false
      replacing:
        description: Whether another release than the one that runs is what slurmctld or slurmdbd restarts for.
        type: bool
        default: false
      becomes:
        description: Version of that release, where it is not installed yet; what it does not have any more is refused.
        type: str
        default: ""
      allow_state_loss:
        description: Whether a restart may take what only the memory of slurmctld has.
        type: bool
        default: false
      timeout: {description: Patience for all probes in seconds., type: float, default: 30}
      probes:
        description:
          - "Questions to be answered: C({listeners: [ADDRESS]}), C({command: [ARGV]}), C({tcp: HOST:PORT}) or
            C({gateway: [ADDRESS, NAME, REVISION]})."
        type: list
        elements: dict
        default: []
"""
