"""Ports of slurm.conf."""

from __future__ import annotations

import pytest
from slurmrest.errors import InputError
from slurmrest.slurm.ports import port_range


def test_port_ranges_of_slurmctld() -> None:
    assert list(port_range("6817")) == [6817]
    assert 6825 in port_range("6820-6829")
    assert 6830 not in port_range("6820-6829")
    for bad in ("", "x", "6829-6820", "0", "1-70000", "6820-"):
        with pytest.raises(InputError, match="SlurmctldPort"):
            port_range(bad)
