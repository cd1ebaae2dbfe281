"""What the engine and a role both state: a path or a line that is changed in one place alone turns this red."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest
import slurmrest

from tests.meta import tree

INSTANCE = {"{{ __slurm_common_slurmrestd }}": "slurmrestd", "{{ __slurmrestd_service_suffix }}": ""}
"""What stands in a role's path where there is one service on the host."""

PAIRS = [
    ("MARKER", "slurm_common", "__slurm_common_marker"),
    ("DROPIN", "slurmrestd_service", "__slurmrestd_service_dropin"),
    ("TMPFILES", "slurmrestd_service", "__slurmrestd_service_tmpfiles_path"),
    ("NOTE", "slurmrestd_service", "__slurmrestd_service_note"),
    ("HOME", "slurmrest_token", "__slurmrest_token_home"),
    ("HOMES", "slurmrest_token", "__slurmrest_token_homes"),
    ("RUN", "slurmrest_gateway", "__slurmrest_gateway_run"),
    ("IDENTITY_SETTINGS", "slurmrest_gateway", "__slurmrest_gateway_identity_settings"),
    ("IDENTITY_SOCKET", "slurmrest_gateway", "__slurmrest_gateway_identity_socket"),
]


def constants() -> dict[str, set[Any]]:
    """Return the values of all names in capitals in the engine, by name."""
    found: dict[str, set[Any]] = {}
    for entry in pkgutil.walk_packages(slurmrest.__path__, "slurmrest."):
        for name, value in vars(importlib.import_module(entry.name)).items():
            if name.isupper() and isinstance(value, str):
                found.setdefault(name, set()).add(value)
    return found


CONSTANTS = constants()


@pytest.mark.parametrize(("constant", "role", "variable"), PAIRS)
def test_both_say_the_same(constant: str, role: str, variable: str) -> None:
    """The engine's constant, wherever it stands, is the role's value."""
    said = str(tree.load(tree.ROOT / "roles" / role / "vars" / "main.yml")[variable])
    for templated, plain in INSTANCE.items():
        said = said.replace(templated, plain)
    assert {said} == CONSTANTS[constant]


def test_the_same_place_for_a_new_key() -> None:
    """Warm images empty the key that the role makes where a cluster has none."""
    path = tree.load(tree.ROOT / "roles/slurm_common/vars/main.yml")["__slurm_common_jwt_key_default"]
    warm = importlib.import_module("slurmrest_toolkit.images.warm")
    assert path == warm.JWT_KEY
    assert path in (tree.ROOT / "src/slurmrest_toolkit/images/seal.sh").read_text().replace(";", " ").split()


def test_every_mention_of_the_place_for_a_new_key() -> None:
    """Descriptions, examples and messages name the path that a cluster without a key gets."""
    path = tree.load(tree.ROOT / "roles/slurm_common/vars/main.yml")["__slurm_common_jwt_key_default"]
    folders = (
        "benchmarks/",
        "inventory/",
        "plugins/filter/",
        "plugins/module_utils/",
        "plugins/modules/",
        "roles/",
        "src/",
    )
    said = {
        name: set(re.findall(r"/[\w./-]*/jwt_hs256\.key", (tree.ROOT / name).read_text(encoding="utf-8")))
        for name in tree.files()
        if name.startswith(folders)
    }
    mentions = {name: paths for name, paths in said.items() if paths}
    assert {"roles/slurm_common/meta/argument_specs.yml", "inventory/group_vars/all/slurm.yml"} <= set(mentions)
    assert {name: paths for name, paths in mentions.items() if paths != {path}} == {}


def test_the_same_patience_for_the_first_answer() -> None:
    """What the role slurmrestd_service waits is what a transaction waits; its own specification says so, too."""
    patience = tree.load(tree.ROOT / "roles/slurmrestd_service/defaults/main.yml")["slurmrestd_service_timeout"]
    assert patience == importlib.import_module("slurmrest.transaction.specs").READY_SECONDS


def test_programs_are_looked_for_in_the_same_places() -> None:
    """Tasks that run a program of Slurm do so as the engine does (slurm/commands.py)."""
    clean = tree.load(tree.ROOT / "roles/slurm_common/vars/main.yml")["__slurm_common_clean"]
    programs = importlib.import_module("slurmrest.host.programs")
    assert f"'{programs.PATH}'" in clean


def test_the_files_that_contributors_are_sent_to_exist() -> None:
    """A file that moved takes its line of CONTRIBUTING.md with it."""
    text = (tree.ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("## To change this")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:plugins|roles|src|tests)/[^`]+)`", table)
    assert len(named) >= 15
    assert [name for name in named if not (tree.ROOT / name).exists()] == []
