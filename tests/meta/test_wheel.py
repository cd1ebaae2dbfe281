"""The wheel: the command, the engine and the whole collection, and nothing that others' packages could stumble over."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.images import packages, warm
from slurmrest_toolkit.images.recipes import sources
from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path

COLLECTION = "ansible_collections/slurmrest/toolkit"


@pytest.fixture(scope="module", name="site")
def what_a_wheel_unpacks_to(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=tree.ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("slurmrest_toolkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "site-packages")
    return directory / "site-packages"


def test_top_level_names(site: Path) -> None:
    """Three names: ours, the engine's, and the folder in which Ansible looks for collections."""
    names = {path.name for path in site.iterdir()}
    (info,) = (name for name in names if name.endswith(".dist-info"))
    assert names - {info} == {"slurmrest", "slurmrest_toolkit", "ansible_collections"}


def test_it_carries_what_decides_how_nodes_are_converged(site: Path) -> None:
    """A cluster from the wheel starts from the images of one from the clone: the same files, byte by byte."""
    for ingredients in (warm.INGREDIENTS, packages.INGREDIENTS):
        ours = list(sources(tree.ROOT, ingredients))
        assert len(ours) > 2 * len(ingredients)
        assert list(sources(site / COLLECTION, ingredients)) == ours


def test_every_file_of_the_package_is_there_and_no_cache(site: Path) -> None:
    """Shell scripts and the mark of typed packages, too."""
    names = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    ours = {name.removeprefix("src/") for name in tree.files() if name.startswith("src/")}
    engine = {name.removeprefix("plugins/module_utils/") for name in tree.files() if "module_utils/slurmrest/" in name}
    assert "slurmrest_toolkit/py.typed" in ours
    assert ours | engine <= names
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_users_of_a_cluster_install_nothing_else(site: Path) -> None:
    """Everything that clusters and the playbooks need is in the extra."""
    (info,) = site.glob("*.dist-info")
    metadata = email.message_from_string((info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Requires-Python"] == ">=3.9"
    needed = metadata.get_all("Requires-Dist") or []
    assert [need for need in needed if "extra ==" not in need] == []
    clusters = {re.split(r"[^\w-]", need)[0].lower() for need in needed if "'cluster'" in need}
    assert {"ansible-core", "rich", "filelock", "platformdirs"} <= clusters


def run(site: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(site), "PYTHONPATH": str(site)}
    return subprocess.run(argv, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)


def test_the_command_knows_that_it_is_no_clone(site: Path) -> None:
    """With the standard library alone, as it is installed."""
    done = run(site, sys.executable, "-S", "-P", "-m", "slurmrest_toolkit", "--version")
    assert done.returncode == 0, done.stderr
    version = tree.load(tree.ROOT / "galaxy.yml")["version"]
    assert done.stdout.splitlines()[:2] == [f"slurmrest {version}", f"collection: {site / COLLECTION}"]


def test_ansible_finds_the_collection(site: Path) -> None:
    """By its name, with its roles, wherever one stands."""
    (site.parent / "hosts").write_text("[slurmrestd]\nnode\n", encoding="ascii")
    # The test environment has the clone on its path; what is looked at is the folder that is printed.
    ansible = ("-P", "-m", "ansible", "playbook", "-i", "hosts", "slurmrest.toolkit.deploy")
    done = run(site, sys.executable, *ansible, "--syntax-check")
    assert done.returncode == 0, done.stderr
    assert f"playbook: {site / COLLECTION}/playbooks/deploy.yml" in done.stdout
    tasks = run(site, sys.executable, *ansible, "--list-tasks")
    assert "slurmrest.toolkit.slurmrestd_service : " in tasks.stdout
