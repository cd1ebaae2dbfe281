"""Edits that a daemon has not loaded: merging, a rotation and a refresh of keys all give this one answer."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.host import programs
from slurmrest.merge.host import Part
from slurmrest.merge.request import MergeRequest
from slurmrest.slurm.commands import Slurm
from slurmrest.slurm.conf import read
from slurmrest.slurm.conf_hash import hash_values
from slurmrest.slurm.conf_text import read_text
from slurmrest.systemd.loaded_conf import of_host, unloaded
from slurmrest.systemd.systemctl import Systemd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AGO = 5.0


class Host:
    """A slurmctld that was started a minute ago, its files, and what it has loaded of them."""

    def __init__(self, directory: Path, *, says: bool = True) -> None:
        self.conf = directory / "slurm.conf"
        self.beside = directory / "gres.conf"
        self.conf.write_text("ClusterName=site\nSlurmctldHost=ctl\n")
        self.beside.write_text("")
        scontrol = directory / "bin" / "scontrol"
        scontrol.parent.mkdir()
        scontrol.write_text("")
        scontrol.chmod(0o755)
        self.prefix = str(directory)
        self.active, self.says = "active", says
        self.controllers = ""
        for file in (self.conf, self.beside):
            os.utime(file, (time.time() - 2 * AGO,) * 2)
        self.reconfigure()

    def reconfigure(self) -> None:
        """Load slurm.conf as it is now, in the same process."""
        conf = read(str(self.conf), read_text)
        assert conf is not None
        self.loaded = min(hash_values(conf.raw))

    def __call__(self, argv: Sequence[str], **_how: Any) -> programs.Done[str]:
        words, output = programs.bare(argv), ""
        if words[:2] == ["systemctl", "show"]:
            began = int((time.monotonic() - AGO) * 1e6)
            output = f"ActiveState={self.active}\nExecMainStartTimestampMonotonic={began}\n"
        elif words == ["scontrol", "show", "config"] and self.says:
            conf = read(str(self.conf), read_text)
            assert conf is not None
            same = self.loaded in hash_values(conf.raw)
            output = f"HASH_VAL = {'Match' if same else f'Different Ours=0x1 Slurmctld=0x{self.loaded:x}'}\n"
            output += f"\n{self.controllers}"
        return programs.Done(list(argv), 0, output, "")

    def answers(self) -> set[str]:
        """What each of those who are about to restart slurmctld is told; one word when they agree."""
        slurm, systemd = Slurm(str(self.conf), self.prefix, self), Systemd(self)
        facts = {"release": None, "slurm_conf": {"path": str(self.conf)}}
        others = of_host(facts, ["slurmctld"], slurm=slurm, systemd=systemd)  # rotation and keys of issuers
        part = Part(MergeRequest("slurmctld", str(self.conf), "/k", prefix=self.prefix), self, self.prefix)
        merging = [problem.partition(": a restart would")[0] for problem in part.look().problems]
        return {", ".join(map(str, others.values())), ", ".join(merging)}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_everybody_stops_at_an_edit_and_goes_on_once_it_is_loaded(host: Host) -> None:
    assert host.answers() == {""}
    host.conf.write_text(host.conf.read_text() + "MailProg=/bin/true\n")
    assert host.answers() == {f"{host.conf} is not what slurmctld has loaded"}
    host.reconfigure()
    assert host.answers() == {""}, "though the file is younger than the process"


def test_an_edit_of_what_the_checksum_does_not_cover_is_told_by_its_time(host: Host) -> None:
    os.utime(host.beside)
    assert host.answers() == {f"{host.beside} changed after slurmctld was started"}


def test_a_slurmctld_that_does_not_say_is_judged_by_the_time_of_its_start(tmp_path: Path) -> None:
    host = Host(tmp_path, says=False)
    assert host.answers() == {""}
    os.utime(host.conf)
    assert host.answers() == {f"{host.conf} changed after slurmctld was started"}


def test_a_daemon_that_does_not_run_has_nothing_to_lose(host: Host) -> None:
    os.utime(host.beside)
    host.active = "inactive"
    assert host.answers() == {""}


def test_slurmdbd_is_judged_by_the_time_of_its_start(host: Host, tmp_path: Path) -> None:
    conf = tmp_path / "slurmdbd.conf"
    conf.write_text("DbdHost=db\n")
    found = unloaded("slurmdbd", str(conf), slurm=Slurm(run=host), systemd=Systemd(host))
    assert str(found) == f"{conf} changed after slurmdbd was started"
    assert unloaded("slurmdbd", str(tmp_path / "none"), slurm=Slurm(run=host), systemd=Systemd(host)) is None


PAIR = "Slurmctld(primary) at {} is UP\nSlurmctld(backup) at {} is {}\n"


@pytest.mark.parametrize("domain", ["", ".example.org"])
def test_a_backup_that_has_loaded_other_files_than_the_one_in_charge_goes_on(host: Host, domain: str) -> None:
    """Its key may be at a place of its own; who answers is the primary."""
    own = f"{os.uname().nodename.partition('.')[0]}{domain}"
    host.conf.write_text(host.conf.read_text() + "AuthAltParameters=jwt_key=/own\n")
    os.utime(host.conf, (time.time() - 2 * AGO,) * 2)
    host.controllers = PAIR.format("another", own, "UP")
    assert host.answers() == {""}
    os.utime(host.conf)
    assert host.answers() == {f"{host.conf} changed after slurmctld was started"}
    host.controllers = PAIR.format(own, "another", "UP")
    assert host.answers() == {f"{host.conf} is not what slurmctld has loaded"}
    host.controllers = f"Slurmctld(primary) at another is DOWN\nSlurmctld(backup) at {own} is UP\n"
    assert host.answers() == {f"{host.conf} is not what slurmctld has loaded"}
