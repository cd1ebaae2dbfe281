"""What SlurmUser puts in the way of root below its own directory: links, FIFOs. Root refuses, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.attacks.conftest import KEY, Attacked

if TYPE_CHECKING:
    from collections.abc import Iterator

FARM = "/root/farm"
JWT, NAME = KEY.rsplit("/", 1)
PICTURE = f"find {FARM} -printf '%p %m %u %g %s %T@ %C@\\n' | sort"
FARMS = {
    "a link in place of the key's directory": f"mv {JWT} {JWT}.away; ln -s {FARM} {JWT}",
    "a dangling link in place of the key": f"mv {KEY} {KEY}.away; ln -s {FARM}/made {KEY}",
    "a link to a file in place of the key": f"mv {KEY} {KEY}.away; ln -s {FARM}/{NAME} {KEY}",
    "a FIFO in place of the key": f"mv {KEY} {KEY}.away; mkfifo {KEY}",
}
AGAIN = f"for it in {JWT} {KEY}; do [ ! -e $it.away ] || {{ rm -f $it; mv $it.away $it; }}; done"


@pytest.fixture
def farm(attacked: Attacked) -> Iterator[str]:
    """A directory of root's with a harmless file; how it looks."""
    attacked.ssh(f"mkdir -m 700 {FARM}; echo untouched >{FARM}/{NAME}; chmod 640 {FARM}/{NAME}")
    yield attacked.ssh(PICTURE)
    attacked.ssh(f"{AGAIN}; rm -rf {FARM}")


@pytest.mark.parametrize("what", FARMS)
@pytest.mark.parametrize("words", [("deploy.yml",), ("deploy.yml", "--skip-tags=doctor"), ("uninstall.yml",)])
def test_a_link_farm_leads_root_nowhere(attacked: Attacked, farm: str, what: str, words: tuple[str, ...]) -> None:
    said = attacked.as_user("slurm", FARMS[what])
    assert said.splitlines()[-1] == "status 0", said
    # An uninstallation goes as far as the key only where it is asked to take that, too.
    variables = {"slurmrest_uninstall_key": True, "slurmrest_allow_controller_restart": True}
    run = attacked.live.playbook(*words, variables=variables if words == ("uninstall.yml",) else None)
    assert attacked.ssh(PICTURE) == farm, run.output
    if words != ("uninstall.yml",):
        # The doctor stops the run before anything changes; without it, the key's own task does.
        assert run.status != 0, run.output
        assert FARM in run.output or KEY in run.output, run.output
    attacked.ssh(AGAIN)
    attacked.live.playbook("deploy.yml").good()
