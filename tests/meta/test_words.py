"""What no file of the repository may say."""

from __future__ import annotations

import re

from tests.meta import tree

RELEASE_TABLE = "plugins/module_utils/slurmrest/slurm/releases.py"
BESIDE_IT = ("plugins/module_utils/slurmrest/slurm/version.py", "plugins/module_utils/slurmrest/slurm/api_versions.py")
"""How versions are written and ordered, and what each API version looks like: with examples and sources."""

SUITES = "src/slurmrest_toolkit/images/suites.py"
"""Which distribution suite packages which Slurm series."""

PROSE = (
    "ci/",
    "docs/",
    "examples/",
    "findings/",
    "molecule/",
    "inventory/",
    "tests/",
    ".github/",
    "README.md",
    "CHANGELOG.rst",
    "changelogs/",
    "CONTRIBUTING.md",
)
"""Where a Slurm version is an example, a description or a choice; everywhere else it would be a hidden rule."""


def test_slurm_versions_stand_in_the_release_table_only() -> None:
    """A rule that depends on the version is a column of the table."""
    ruled = tuple(
        name
        for name in tree.files()
        if not name.startswith((*PROSE, RELEASE_TABLE, *BESIDE_IT, SUITES, "requirements/"))
    )
    assert tree.matches(r"\b2\d\.(02|05|08|11)\b", ruled) == []


def test_no_version_comparison_in_roles() -> None:
    """Neither Slurm's nor a distribution's version is compared in YAML or a template."""
    names = tuple(name for name in tree.files() if name.startswith(("roles/", "playbooks/")))
    assert tree.matches(r"\bis (version|version_compare)\b|\|\s*version\b|distribution_(major_)?version", names) == []


def test_no_registry_is_named() -> None:
    """Package indexes, mirrors and image registries come from the host's own configuration."""
    images = "docker io, docker com, quay io, ghcr io, gcr io, pkg dev, k8s io, mcr microsoft com, ecr aws"
    packages = "deb debian org, security debian org, archive ubuntu com, download schedmd com"
    languages = "pypi org, pythonhosted org, npmjs org, npmjs com, rubygems org, crates io, galaxy ansible com"
    names = [r"\.".join(name.split()) for name in f"{images}, {packages}, {languages}".split(", ")]
    pattern = r"(?<![\w-])(" + "|".join(names) + r")(?![\w-])"
    assert tree.matches(pattern, tree.files()) == []


def test_no_path_of_the_machine_it_was_written_on() -> None:
    """A path that one machine has is no part of a program for all."""
    places = (r"/(home|root)/[a-z]+/(main|src|work)", r"\. pyenv/versions")
    assert tree.matches("|".join(place.replace(" ", "") for place in places), tree.files()) == []


def test_nothing_is_left_for_later() -> None:
    """Work that is not done is in the issues, not in the files."""
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
    lines = [f"{name}: {line}" for name in tree.files() for line in (tree.ROOT / name).read_text("utf-8").splitlines()]
    assert [line for line in lines if words.search(line)] == []
