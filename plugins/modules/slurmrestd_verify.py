#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Prove that the slurmrestd of this host works (entry file; the checks are in module_utils/slurmrest/verify/run.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrestd_verify
short_description: Ask slurmrestd over every listener and report what was proven
description:
  - Runs on the REST host, so that loopback addresses and UNIX sockets are reached. Changes nothing, except that with
    O(job=true) a short job is submitted as an ordinary user.
  - The action plugin of the same name mints short-lived tokens on the controller and keeps them in memory.
extends_documentation_fragment:
  - slurmrest.toolkit.instance
options:
  mint:
    description:
      - Seconds for which tokens are asked of scontrol on this host instead; given by the action plugin where this host
        is O(controller), which saves a look at another one.
    type: int
  controllers:
    description:
      - Inventory names of the controllers, the primary first. The first that answers makes the tokens (read by the
        action plugin).
    type: list
    elements: str
  controller: {description: "The same where there is one.", type: str}
  tokenless:
    description: Why no controller makes tokens now; given by the action plugin. Only the listeners are asked then.
    type: str
  scontrol:
    description:
      - Whether tokens that C(scontrol) makes are good. By default they are not where slurm.conf has a set of public
        keys and no key. Without O(token_file) nothing is asked then, which is said.
    type: bool
  user:
    description: "Administrator whose token is used: slurmdbd shows its statistics to no one else."
    type: str
    default: root
  token: {description: Token of O(user); given by the action plugin., type: str}
  token_file:
    description:
      - File on the Ansible controller with a token of O(user), where C(scontrol) makes none that is good (read by the
        action plugin). No job is submitted then.
    type: str
  job: {description: Whether to submit a job and follow it to its end., type: bool, default: false}
  job_user: {description: Ordinary user who submits the job., type: str}
  job_token: {description: Token of O(job_user); given by the action plugin., type: str}
  job_timeout: {description: Seconds until the job must have ended., type: float, default: 60}
  urls:
    description: Listeners to ask, as C(http://host:port) or C(unix:/path); those of the unit by default.
    type: list
    elements: str
    default: []
  report_directory:
    description:
      - Directory on the Ansible controller where a page to read (C(HOST.html)) and JUnit XML (C(HOST.xml)) are written
        (by the action plugin, not in check mode).
    type: str
  tls_cacert:
    description: File on this host with the authorities of listeners that speak TLS; those of the host by default.
    type: str
  tls_name: {description: "Name that their certificate must be for, where that is not the address.", type: str}
  accounting: {description: "Whether there is a slurmdbd; taken from slurm.conf by default.", type: bool}
attributes:
  check_mode: {support: full, description: Submits no job.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Prove that slurmrestd works
  slurmrest.toolkit.slurmrestd_verify:
    controllers: "{{ groups['slurmctld'] }}"

- name: Prove that jobs run too, and keep a page of it
  slurmrest.toolkit.slurmrestd_verify:
    controllers: "{{ groups['slurmctld'] }}"
    job: true
    job_user: alice
    report_directory: reports
"""

RETURN = r"""
report: {description: "The report: ok, url, slurm_version, api_versions, checks.", returned: when asked, type: dict}
unasked:
  description: "Why nothing was asked: tokens, for there are none, or stopped, for check mode starts no slurmrestd."
  returned: when nothing was asked
  type: str
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.auth.bearer import Token
from ..module_utils.slurmrest.auth.scontrol import made, of_issuers_alone, on_host
from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.facts.detection import detect
from ..module_utils.slurmrest.host.network import connect
from ..module_utils.slurmrest.rest.client import Credentials, Tls
from ..module_utils.slurmrest.slurm.commands import Slurm
from ..module_utils.slurmrest.slurmrestd import strangers
from ..module_utils.slurmrest.slurmrestd import unit as units
from ..module_utils.slurmrest.slurmrestd.adoption import bound
from ..module_utils.slurmrest.slurmrestd.listeners import port_range
from ..module_utils.slurmrest.systemd import sandbox as confinement
from ..module_utils.slurmrest.verify import pages
from ..module_utils.slurmrest.verify.record import configuration, recorded
from ..module_utils.slurmrest.verify.run import (
    CHECKS,
    LISTENERS,
    JobOptions,
    Options,
    verify,
    with_process,
    without_controller,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def _unreached(conf: Mapping[str, Any]) -> str:
    """Why none of the hosts that slurm.conf names for slurmdbd takes a connection; empty where one does."""
    hosts, port = conf["accounting_storage_hosts"] or ["localhost"], str(conf["accounting_storage_port"])
    tried = {host: connect(host, port)["error"] for host in hosts}
    return "" if "" in tried.values() else "; ".join(f"{host}, port {port}: {why}" for host, why in tried.items())


def _pages(facts: Mapping[str, Any]) -> list[pages.Pages]:
    """What slurmctld, and a slurmd of this host, serve over HTTP themselves, where the release does."""
    if not (facts["release"] or {}).get("daemon_http"):
        return []
    conf = facts["slurm_conf"]
    daemons = [("slurmctld", host, port_range(conf["slurmctld_port"])[0]) for host in conf["slurmctld_hosts"]]
    if facts["units"]["slurmd"]["active"] == "active":
        daemons.append(("slurmd", "127.0.0.1", port_range(conf["slurmd_port"])[0]))
    return pages.look(daemons)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "mint": {"type": "int"},
            "controllers": {"type": "list", "elements": "str"},
            "controller": {"type": "str"},
            "tokenless": {"type": "str", "no_log": False},
            "scontrol": {"type": "bool"},
            "user": {"type": "str", "default": "root"},
            "token": {"type": "str", "no_log": True},
            "token_file": {"type": "str", "no_log": False},
            "job": {"type": "bool", "default": False},
            "job_user": {"type": "str"},
            "job_token": {"type": "str", "no_log": True},
            "job_timeout": {"type": "float", "default": 60},
            "instance": {"type": "str"},
            "urls": {"type": "list", "elements": "str", "default": []},
            "report_directory": {"type": "str"},
            "accounting": {"type": "bool"},
            "tls_cacert": {"type": "str"},
            "tls_name": {"type": "str"},
        },
        supports_check_mode=True,
        required_if=[("job", True, ("job_user",))],
    )
    wanted = dict(module.params)  # a copy: what is in the parameters is shown with the result
    job = wanted["job"] and not module.check_mode
    try:
        facts = detect({"instance": wanted["instance"]})
        if module.check_mode and facts["units"]["slurmrestd"]["active"] != "active":
            module.exit_json(changed=False, unasked="stopped")
        if wanted["mint"] and wanted["scontrol"] is None and of_issuers_alone(facts["slurm_conf"]):
            module.exit_json(changed=False, unasked="tokens")
        if wanted["mint"]:
            ask = on_host(Slurm.of(facts))
            wanted["token"] = made(wanted["user"], str(wanted["mint"]), ask).reveal()
            wanted["job_token"] = made(wanted["job_user"], str(wanted["mint"]), ask).reveal() if job else None
        told = bound(entry["text"] for entry in facts["unit"]["listeners"])
        unit = units.unit_names(wanted["instance"] or "")[0]
        urls = wanted["urls"] or [listener.url for listener in told]
        tls = Tls(cacert=wanted["tls_cacert"] or None, name=wanted["tls_name"] or "")
        targets = [tls.target(url) for url in urls]
        strangers.refuse(targets, strangers.accounts_of(unit, facts["unit"]["user"] or ""))
        accounting = facts["slurm_conf"]["accounting"] if wanted["accounting"] is None else wanted["accounting"]
        report = verify(
            targets,
            Credentials(wanted["user"], Token(wanted["token"] or ("none" if wanted["tokenless"] else ""))),
            Options(
                accounting=accounting,
                job=JobOptions(timeout=wanted["job_timeout"]) if job else None,
                unit=unit.removesuffix(".service"),
            ),
            job_credentials=Credentials(wanted["job_user"], Token(wanted["job_token"] or "")) if job else None,
            context=tls.context() if any(target.is_tls for target in targets) else None,
            checks=LISTENERS if wanted["tokenless"] else CHECKS,
            reach_slurmdbd=lambda: _unreached(facts["slurm_conf"]),
        )
        report = with_process(without_controller(report, wanted["tokenless"] or ""), facts["running"])
        confined = confinement.look(unit)
        served = _pages(facts)
    except SlurmrestError as error:
        module.fail_json(msg=str(error))
    report = replace(
        report,
        warnings=(*report.warnings, *pages.warnings(served)),
        limitations=(*report.limitations, *pages.notes(served)),
    )
    if confined:
        report = replace(
            report,
            warnings=(*report.warnings, *confined.warnings()),
            limitations=(*report.limitations, *confined.notes()),
        )
    # Shown, and taken out of the result, by the action plugin.
    kept = {"record": recorded(report), "configuration": configuration(facts)}
    result: dict[str, Any] = {"changed": False, "report": report.as_dict(), **kept}
    if not report.ok:
        failed = ", ".join(check.id for check in report.checks if check.ok is False)
        module.fail_json(msg=f"slurmrestd does not do what it should: {failed}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
