"""One tree, two packagings: a collection and a Python distribution that agree."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from tests.meta import tree

PROJECT = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())


def test_versions_agree() -> None:
    """The collection and the distribution have the same version, and it is in the changelog."""
    version = PROJECT["project"]["version"]
    assert version == tree.load(tree.ROOT / "galaxy.yml")["version"]
    assert version in tree.load(tree.ROOT / "changelogs" / "changelog.yaml")["releases"]


def test_command_exists() -> None:
    """The entry point of the distribution is there."""
    module, function = PROJECT["project"]["scripts"]["slurmrest"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_requirements_are_pinned_and_hashed() -> None:
    """Every pin has a hash, none an address, and each name that is asked for is pinned."""
    for kind in ("run", "test"):
        pins = (tree.ROOT / "requirements" / f"{kind}.txt").read_text()
        blocks = re.findall(r"^([a-z0-9][^\s=]*)==.*(?:\n[ ].*)*", pins, re.MULTILINE)
        assert blocks
        assert pins.count("--hash=sha256:") >= len(blocks)
        assert re.findall(r"^(?:-i|--index|--extra-index|--find-links).*|https?://\S+", pins, re.MULTILINE) == []
        asked = "\n".join(PROJECT["project"]["optional-dependencies"]["cluster"])
        if kind == "test":
            asked += "\n" + (tree.ROOT / "requirements" / "test.in").read_text()
        names = re.findall(r"^[a-z][a-z0-9_-]*", asked.lower(), re.MULTILINE)
        assert set(names) <= {block.lower() for block in blocks}


def test_packages_of_the_tests_provider_are_pinned_and_hashed() -> None:
    """The same for what tests install with npm: names, versions and hashes, no addresses."""
    (lock,) = (path for path in tree.files() if path.endswith("package-lock.json"))
    text = (tree.ROOT / lock).read_text()
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert "://" not in text


def test_collection_holds_what_a_site_needs(tmp_path: Path) -> None:
    """The built collection has roles, playbooks and plugins, and nothing of the workshop."""
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    build = [str(galaxy), "collection", "build", str(tree.ROOT), "--output-path", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    (archive,) = tmp_path.glob("slurmrest-toolkit-*.tar.gz")
    with tarfile.open(archive) as tar:
        top = {member.name.split("/")[0] for member in tar if member.isfile()}
    needed = {"roles", "playbooks", "plugins", "meta", "docs", "README.md", "LICENSE", "CHANGELOG.rst", "SECURITY.md"}
    assert top == needed | {"CONTRIBUTING.md", "changelogs", "MANIFEST.json", "FILES.json"}
