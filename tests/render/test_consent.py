"""Whose daemons may be restarted without being asked: those whose own configuration this toolkit wrote."""

from __future__ import annotations

import pytest

from tests.render.roles import evaluate


@pytest.mark.parametrize(
    ("components", "slurm_conf", "slurmdbd_conf", "consent"),
    [
        (["slurmctld"], True, False, True),
        (["slurmctld"], False, True, False),
        (["slurmdbd"], False, True, True),  # also where another slurm.conf lies about, or none
        (["slurmdbd"], True, False, False),  # a copy of our slurm.conf beside a slurmdbd of the site
        (["slurmdbd", "slurmctld"], True, False, False),
        (["slurmdbd", "slurmctld"], False, True, False),
        (["slurmdbd", "slurmctld"], True, True, True),
        (["slurmd"], True, False, True),
        ([], False, False, False),
    ],
)
def test_consent(components: list[str], slurm_conf: bool, slurmdbd_conf: bool, consent: bool) -> None:
    facts = {"slurm_conf": {"ours": slurm_conf}, "slurmdbd_conf": {"ours": slurmdbd_conf}}
    variables = {"slurm_common_components": components}
    assert evaluate("slurm_jwt_key", "__slurm_common_consent", variables, facts) is consent
    asked = {**variables, "slurmrest_allow_controller_restart": "true"}
    assert evaluate("slurm_jwt_key", "__slurm_common_consent", asked, facts) is True
