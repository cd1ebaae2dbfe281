"""Runs of pytest with the plugin, on clusters that are played: folders, and notes of what happened to them."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYED = """
    import os, shutil, time
    from pathlib import Path

    import pytest
    from slurmrest_toolkit import api
    from slurmrest_toolkit.clusters import remove
    from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError

    STATE = Path(os.environ["SLURMREST_STATE_DIR"])

    def note(*words):
        with (STATE / "notes").open("a") as stream:
            stream.write(" ".join(map(str, words)) + "\\n")

    class PlayedClient:
        def __init__(self, user):
            self.user = user
            self.url, self.headers, self.api_versions = "http://127.0.0.1:1", {}, ("v0.0.41", "v0.0.42")

        def cancel_jobs(self, *, only_own):
            note("cancel", self.user, only_own)

    class PlayedUser:
        def __init__(self, name):
            self.name = name

        def client(self):
            return PlayedClient(self.name)

    class PlayedCluster:
        def __init__(self, name, release):
            self.name, self.release, self.version = name, release, release + ".5"

        def add_users(self, *names):
            note("users", len(names))
            return tuple(map(PlayedUser, names))

        def remove_users(self, *names):
            note("removed", len(names))

        def logs(self, *, since):
            assert abs(time.time() - since) < 60
            return "slurmctld: error: the cause\\n" * 3

    def start(name, *, slurm, quiet, **how):
        time.sleep(0.2)
        note("start", name, slurm, *how.values())
        (STATE / "locks").mkdir(exist_ok=True)
        (STATE / "locks" / f"{name}.lock").touch()
        if slurm == "22.05" and os.environ.get("BROKEN"):
            raise ClusterFailedError("no room")
        (STATE / "clusters" / name).mkdir(parents=True)
        (STATE / "clusters" / name / "release").write_text(slurm or "24.11")
        return PlayedCluster(name, slurm or "24.11")

    def attach(name):
        try:
            return PlayedCluster(name, (STATE / "clusters" / name / "release").read_text())
        except FileNotFoundError:
            raise CannotRunError(f"There is no cluster called {name}.")

    def down(names, progress):
        for name in names:
            if not (STATE / "clusters" / name).exists():
                raise CannotRunError(f"There is no cluster called {name}.")
            shutil.rmtree(STATE / "clusters" / name)
            note("down", name)

    api.start, api.attach, remove.down = start, attach, down
    import slurmrest_toolkit
    slurmrest_toolkit.attach = attach
"""
SUITE = """
    import pytest

    def test_one(slurmrestd, slurm_cluster):
        assert slurmrestd.user.startswith("test-")

    @pytest.mark.slurm(">=24.11")
    def test_two(slurmrestd):
        pass

    @pytest.mark.slurm("<24.11")
    def test_three(slurmrestd):
        pass

    def test_four():
        pass
"""

TRACED = r"Traceback|\.py:\d+: (UsageError|Failed|in )|^>  "
"""What pytest shows of code."""


class Trial:
    """A folder with a suite, and a state directory beside it."""

    def __init__(self, pytester: pytest.Pytester, state: Path, patch: pytest.MonkeyPatch) -> None:
        self.pytester, self.state = pytester, state
        state.mkdir()
        patch.setenv("SLURMREST_STATE_DIR", str(state))
        patch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "src"), str(ROOT / "plugins/module_utils"))))
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for variable in ("SLURMREST_CLUSTER", "SLURMREST_URL", "SLURMREST_TOKEN_FILE"):
            patch.delenv(variable, raising=False)
        pytester.makeconftest(textwrap.dedent(PLAYED))
        pytester.makepyfile(textwrap.dedent(SUITE))

    def standing(self, name: str, release: str) -> None:
        """Have a cluster that was started before."""
        folder = self.state / "clusters" / name
        folder.mkdir(parents=True)
        (folder / "release").write_text(release)

    @property
    def notes(self) -> list[str]:
        """What happened to the clusters, their names cut to what is the same in each run."""
        file = self.state / "notes"
        text = file.read_text() if file.exists() else ""
        return [re.sub(r"-[0-9a-f]{10}\b", "-X", line) for line in text.splitlines()]

    def count(self, word: str) -> int:
        return sum(line.split()[0] == word for line in self.notes)

    def argv(self, *arguments: str) -> list[str]:
        plugins = ("-p", "slurmrest_toolkit.pytest_plugin.plugin", "-p", "no:cacheprovider")
        return [sys.executable, "-m", "pytest", *plugins, *arguments]

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.run(*self.argv(*arguments), timeout=120)

    def left(self) -> list[str]:
        """What is there of clusters and their users."""
        folders = [*(self.state / "clusters").glob("*"), *(self.state / "pytest").glob("*.users")]
        if not folders:
            folders = [*(self.state / "locks").glob("*")]
        return [path.name for path in folders] + [path.name for path in (self.state / "pytest").glob("*.failed")]
