"""Each kind of listener has all that there has to be of it, and one that nobody has yet works by the table."""

from __future__ import annotations

import importlib
import socket
from dataclasses import fields

import pytest
import yaml
from slurmrest.doctor.rules_service import _covers
from slurmrest.errors import InputError
from slurmrest.gateway.settings import _upstream
from slurmrest.host.sockets import LOOKS, listening_sockets
from slurmrest.rest.client import CONNECTIONS, Target
from slurmrest.rest.session import Exchange
from slurmrest.slurm.releases import Release
from slurmrest.slurmrestd.address import KINDS, Listener, ListenerKind
from slurmrest.slurmrestd.listeners import conflicts, parse
from slurmrest.slurmrestd.spelling import read
from slurmrest.slurmrestd.strangers import HOLDERS, strangers
from slurmrest.verify.table import curl_line

from tests.meta.tree import ROOT

filters = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.filter.address_families")

SPECS = ROOT / "roles" / "slurmrestd_service" / "meta" / "argument_specs.yml"
VSOCK = "vsock:3:6820"


def lacking(scheme: str) -> list[str]:
    """What a kind has not, by the place where it belongs."""
    kind = KINDS[scheme]
    options = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
    said = " ".join(options["slurmrestd_service_listen"]["description"])
    there = {
        "CONNECTIONS of rest/client.py": scheme in CONNECTIONS,
        "LOOKS of host/sockets.py": kind.kernel in LOOKS,
        "HOLDERS of slurmrestd/strangers.py": kind.kernel in HOLDERS,
        "a column of the release table": not kind.since or kind.since in {field.name for field in fields(Release)},
        "an address family": kind.kernel == "tcp" or hasattr(socket, f"AF_{kind.kernel.upper()}"),
        str(SPECS.relative_to(ROOT)): f"C({kind.prefix or 'host:port'}" in said,
    }
    return [place for place, found in there.items() if not found]


@pytest.mark.parametrize("scheme", KINDS)
def test_a_kind_has_all_that_belongs_to_it(scheme: str) -> None:
    assert lacking(scheme) == []


@pytest.fixture
def vsock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that no release has."""
    kind = ListenerKind("vsock:CID:port", "vsock:", "vsock", since="slurmrestd_https", curl=None)
    monkeypatch.setitem(KINDS, "vsock", kind)
    monkeypatch.setitem(filters.KINDS, "vsock", kind)  # of the collection, which is loaded beside the engine


@pytest.mark.usefixtures("vsock")
def test_what_a_new_kind_lacks_is_named() -> None:
    assert lacking("vsock") == [
        "CONNECTIONS of rest/client.py",
        "LOOKS of host/sockets.py",
        "HOLDERS of slurmrestd/strangers.py",
        "roles/slurmrestd_service/meta/argument_specs.yml",
    ]


@pytest.mark.usefixtures("vsock")
def test_a_new_kind_is_read_and_written_by_the_table() -> None:
    wanted = Listener("vsock", "3", 6820)
    assert read(VSOCK) == parse(VSOCK) == wanted
    assert str(wanted) == wanted.url == Target.parse(VSOCK).url == VSOCK
    for text in ("vsock:3", "vsock:3:6820 ", "vsock:/run/a"):
        with pytest.raises(InputError):
            parse(text)
    with pytest.raises(InputError, match="the port is missing"):
        Target.parse("vsock:3")
    assert conflicts([wanted, Listener("http", "0.0.0.0", 6820), Listener("unix", path="/run/a")]) == []
    assert len(conflicts([wanted, wanted])) == 1


@pytest.mark.usefixtures("vsock")
def test_nobody_takes_a_new_kind_for_another_one() -> None:
    entry = {"kind": "tcp", "host": "0.0.0.0", "port": 6820, "path": "", "uid": 0}
    assert not _covers(entry, Listener("vsock", "3", 6820))
    assert not _covers({**entry, "kind": "unix", "port": 0, "path": "/run/a"}, Listener("http", "127.0.0.1", 0))
    assert listening_sockets({"vsock": [6820]}) == []
    assert strangers([Listener("vsock", "3", 6820)], set()) == {}
    with pytest.raises(InputError, match="nginx speaks"):
        _upstream("slurmrest_gateway_upstreams", VSOCK)
    exchange = Exchange(Target.parse(VSOCK), "GET", "/slurm/v0.0.42/diag", "none", "", None, 200)
    assert curl_line(exchange).startswith("# curl does not speak vsock: GET vsock:3:6820")


@pytest.mark.usefixtures("vsock")
def test_families_are_those_of_the_listeners() -> None:
    always = ["AF_INET", "AF_INET6", "AF_UNIX"]
    assert filters.address_families(["unix:/run/a", "127.0.0.1:6820", "https://[::1]:6821"]) == always
    assert filters.address_families([VSOCK]) == [*always, "AF_VSOCK"]
