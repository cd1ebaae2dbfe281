"""What others' pipelines include: valid by the published schemas, the shell of each step run with played programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement

from slurmrest_toolkit.images.suites import SUITES
from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.played_pytest import Trial

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
ACTION, CLEANUP, GITLAB = (ROOT / name for name in ("action.yml", "ci/cleanup/action.yml", "ci/gitlab.yml"))
TOLD: dict[str, Any] = {
    "base_url": "http://127.0.0.1:40001",
    "token": "/state/token.root",
    "user_token": "/state/token.alice",
    "api_versions": ["v0.0.41", "v0.0.42"],
    "gateway": None,
}
GATEWAY = {"url": "https://127.0.0.1:40002", "ca_file": "/state/ca.pem"}
PLAYED = f"""#!/bin/sh
printf '%s\\n' "$*" >>"$NOTES"
case "$*" in ${{FAILING:-nothing}}) echo "$* failed" >&2; exit 3 ;; esac
case "$*" in
    *"cache key"*) echo trixie-0123 ;;
    *"cluster up"*--gateway*) echo '{json.dumps({**TOLD, "gateway": GATEWAY})}' ;;
    *"cluster up"*) echo '{json.dumps(TOLD)}' ;;
    *"cache save"*) for file; do :; done; : >"$file" ;;
esac
"""
SUDO = """#!/bin/sh
[ -z "${NO_SUDO-}" ] || { echo "sudo: a password is required" >&2; exit 1; }
exec "$@"
"""


class Runner:
    """A machine of a CI service: programs that are played, files that steps write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary, self.notes = folder, folder / "temp", folder / "notes"
        self.outputs, self.environment, self.path = (folder / name for name in ("outputs", "environment", "path"))
        programs = folder / "bin"
        for place in (programs, self.temporary / "slurmrest/bin", folder / "work/.slurmrest-venv/bin"):
            place.mkdir(parents=True)
        self.program(programs / "sudo", SUDO)
        python = f'#!/bin/sh\n[ "$2" = venv ] || exec {sys.executable} "$@"\nprintf "venv %s\\n" "$3" >>"$NOTES"\n'
        self.program(programs / "python3", python)
        for place in (self.temporary / "slurmrest/bin", folder / "work/.slurmrest-venv/bin"):
            self.program(place / "pip", PLAYED)
            self.program(place / "slurmrest", PLAYED)

    def program(self, path: Path, script: str) -> None:
        path.write_text(script, encoding="ascii")
        path.chmod(0o755)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "NOTES": str(self.notes),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ACTION_PATH": "/action",
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_ENV": str(self.environment),
            "GITHUB_PATH": str(self.path),
            **variables,
        }
        # As the service calls it: https://docs.github.com/actions, "shell".
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            shell, cwd=self.folder / "work", env=environment, capture_output=True, text=True, check=False
        )

    def told(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture(name="runner")
def a_runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def steps(file: Path) -> dict[str, dict[str, Any]]:
    action = yaml.safe_load(file.read_text())
    return {step["name"]: step for step in action["runs"]["steps"]}


def play(runner: Runner, file: Path, inputs: Mapping[str, str], **how: str) -> subprocess.CompletedProcess[str]:
    """Run the shell of the steps of an action that are not somebody else's, up to one that fails, and return the last.

    ``how`` are variables of the machine: ``FAILING``, a pattern of what fails there, or ``NO_SUDO``.
    """
    defaults = {name: str(one["default"]) for name, one in yaml.safe_load(file.read_text())["inputs"].items()}
    values = {**defaults, **inputs}
    for step in steps(file).values():
        if "run" in step:
            variables = {
                key: values[text[len("${{ inputs.") : -len(" }}")]] for key, text in step.get("env", {}).items()
            }
            done = runner.run(step["run"], **variables, **how)
            if done.returncode:
                break
    return done


def good(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def judged(file: Path, schema: str, *options: str) -> int:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *options, str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.parametrize("file", [ACTION, CLEANUP], ids=["start", "clean up"])
def test_actions_are_valid_by_the_published_schema(file: Path, tmp_path: Path) -> None:
    assert judged(file, "github-actions") == 0
    spoilt = tmp_path / "action.yml"
    spoilt.write_text(file.read_text().replace("  steps:", "  step:"))
    assert judged(spoilt, "github-actions") == 1


@pytest.mark.parametrize(("when", "verdict"), [("always", 0), ("sometimes", 1)])
def test_jobs_are_valid_by_the_published_schema(tmp_path: Path, when: str, verdict: int) -> None:
    """As jobs that are run: of hidden ones the schema says nothing."""
    document = yaml.safe_load(GITLAB.read_text().replace("when: always", f"when: {when}"))
    shown = {name.lstrip("."): job for name, job in document.items()}
    shown["slurmrest-on-each-release"]["extends"] = "slurmrest"
    shown["slurmrest"]["script"] = ["true"]
    file = tmp_path / "pipeline.yml"
    file.write_text(yaml.safe_dump(shown))
    assert judged(file, "gitlab-ci", "--data-transform", "gitlab-ci") == verdict


def test_nothing_that_a_caller_says_is_part_of_a_script() -> None:
    """Inputs come as variables: what they hold is never read as shell."""
    for file in (ACTION, CLEANUP):
        assert [name for name, step in steps(file).items() if "${{" in step.get("run", "")] == []


def test_the_action_starts_a_cluster_and_says_where_it_is(runner: Runner) -> None:
    inputs = {"slurm": "24.11", "layout": "split", "nodes": "2", "name": "one", "users": "bob carol"}
    good(play(runner, ACTION, inputs))
    kind = "--layout split --nodes 2 --slurm 24.11"
    assert runner.told() == [
        f"venv {runner.temporary}/slurmrest",
        "install --quiet /action[cluster]",
        f"cluster cache key {kind}",
        f"cluster up one {kind} --user bob --user carol --verify full --json",
        f"cluster cache save {kind} {runner.temporary}/slurmrest-images/images.tar",
    ]
    assert runner.outputs.read_text().splitlines() == [
        "package=/action",
        "key=trixie-0123",
        "base-url=http://127.0.0.1:40001",
        "token-file=/state/token.root",
        "user-token-file=/state/token.alice",
        "api-versions=v0.0.41 v0.0.42",
        f"json={runner.temporary}/slurmrest.json",
        "gateway-url=",
        "gateway-ca-file=",
    ]
    assert runner.environment.read_text().splitlines() == [
        f"SLURMREST_STATE_DIR={runner.temporary}/slurmrest-state",
        "SLURMREST_URL=http://127.0.0.1:40001",
        "SLURMREST_TOKEN_FILE=/state/token.alice",
    ]


def test_later_steps_have_the_command_and_a_python_of_their_own(runner: Runner) -> None:
    good(play(runner, ACTION, {"install-only": "true"}))
    folder = runner.path.read_text().strip()
    assert [path.name for path in Path(folder).iterdir()] == ["slurmrest"]
    good(runner.run(f'PATH="{folder}:$PATH" slurmrest cluster list'))
    assert runner.told()[-1] == "cluster list"


def test_what_the_action_exports_is_all_that_pytest_needs(
    runner: Runner, trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the account of the runner, whose own container engine knows nothing of a cluster that root started."""
    token_file = tmp_path / "token.alice"
    token_file.write_text(token("alice").reveal())
    token_file.chmod(0o600)
    trial.pytester.makepyfile("def test(slurmrestd):\n    print('as', slurmrestd.user, 'at', slurmrestd.url)\n")
    with serving(FakeSlurmrestd(STYLES["24.11"], instead={"jobs": (200, {"jobs": []})})) as target:
        told = PLAYED.replace(TOLD["base_url"], target.url).replace(TOLD["user_token"], str(token_file))
        runner.program(runner.temporary / "slurmrest/bin/slurmrest", told)
        good(play(runner, ACTION, {}))
        for name, _, value in (line.partition("=") for line in runner.environment.read_text().splitlines()):
            monkeypatch.setenv(name, value)
        done = trial.run("-s")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"*as alice at {target.url}*"])


def test_a_gateway_comes_with_its_address_and_authority(runner: Runner) -> None:
    good(play(runner, ACTION, {"gateway": "true"}))
    kind = "--layout single --nodes 1 --gateway"
    assert f"cluster cache key {kind}" in runner.told()
    assert f"cluster up default {kind} --verify full --json" in runner.told()
    said = runner.outputs.read_text().splitlines()
    assert said[-2:] == [f"gateway-url={GATEWAY['url']}", f"gateway-ca-file={GATEWAY['ca_file']}"]


def test_what_was_kept_is_loaded_and_not_kept_again(runner: Runner) -> None:
    images = runner.temporary / "slurmrest-images" / "images.tar"
    images.parent.mkdir()
    images.write_text("")
    good(play(runner, ACTION, {}))
    assert "install --quiet /action[cluster]" in runner.told(), "the package is on no index"
    assert f"cluster cache load {images}" in runner.told()
    assert "cluster up default --layout single --nodes 1 --verify full --json" in runner.told()
    assert [line for line in runner.told() if "cache save" in line] == []


def test_without_a_cache_nothing_is_carried(runner: Runner) -> None:
    runner.program(runner.temporary / "slurmrest/bin/slurmrest", PLAYED)
    good(play(runner, ACTION, {"cache": "false"}))
    assert [line for line in runner.told() if "cache load" in line or "cache save" in line] == []


@pytest.mark.parametrize("what", ["install *", "* cache key *", "cluster up *", "sudo"])
def test_what_fails_ends_the_action_and_nothing_is_told(runner: Runner, what: str) -> None:
    """An address of a cluster that is not there would fail the tests instead."""
    done = play(runner, ACTION, {}, **({"NO_SUDO": "1"} if what == "sudo" else {"FAILING": what}))
    assert done.returncode != 0
    assert "failed" in done.stderr or "a password is required" in done.stderr
    said = runner.outputs.read_text() if runner.outputs.exists() else ""
    assert "base-url" not in said
    assert ("key=" in said) is (what in {"cluster up *", "sudo"})
    assert runner.path.exists() is (what != "install *")


def test_a_cluster_starts_without_what_was_kept_where_that_cannot_be_loaded(runner: Runner) -> None:
    images = runner.temporary / "slurmrest-images" / "images.tar"
    images.parent.mkdir()
    images.write_text("")
    done = play(runner, ACTION, {}, FAILING="*cache load*")
    good(done)
    assert "::warning::the images that were kept could not be loaded" in done.stdout
    assert "base-url=" in runner.outputs.read_text()


def test_images_that_cannot_be_kept_fail_nothing_and_are_not_restored_later(runner: Runner) -> None:
    done = play(runner, ACTION, {}, FAILING="*cache save*")
    good(done)
    assert "::warning::the images could not be kept" in done.stdout
    assert "base-url=" in runner.outputs.read_text()
    assert not (runner.temporary / "slurmrest-images").exists()


def test_steps_are_left_out_where_only_the_command_is_wanted() -> None:
    conditions = {name: step.get("if", "") for name, step in steps(ACTION).items()}
    assert conditions.pop("Install slurmrest") == ""
    assert all("inputs.install-only != 'true'" in condition for condition in conditions.values())


TIDIED = [
    "cluster logs --name one --output kept/one",
    "cluster down one",
    "cluster logs --name two --output kept/two",
    "cluster down two",
]


@pytest.fixture(name="untidy")
def a_runner_with_clusters(runner: Runner) -> Runner:
    state = runner.temporary / "slurmrest-state"
    for folder in ("clusters/one", "clusters/two", "failed/three"):
        (state / folder).mkdir(parents=True)
    (state / "failed/three/node1.journal").write_text("why")
    return runner


@pytest.mark.parametrize("failing", ["nothing", "*--output*"])
def test_clusters_go_and_their_logs_stay(untidy: Runner, failing: str) -> None:
    good(play(untidy, CLEANUP, {"logs": "kept"}, FAILING=failing))
    assert untidy.told() == TIDIED
    assert (untidy.folder / "work/kept/three/node1.journal").read_text() == "why"


def test_a_cluster_that_cannot_be_removed_keeps_no_other_and_fails_the_step(untidy: Runner) -> None:
    done = play(untidy, CLEANUP, {"logs": "kept"}, FAILING="cluster down one")
    assert done.returncode == 1
    assert "::error::one could not be removed" in done.stdout
    assert untidy.told() == TIDIED
    assert (untidy.folder / "work/kept/three/node1.journal").read_text() == "why"


def test_without_sudo_the_logs_of_failed_starts_stay(untidy: Runner) -> None:
    assert play(untidy, CLEANUP, {"logs": "kept"}, NO_SUDO="1").returncode == 1
    assert untidy.told() == []
    assert (untidy.folder / "work/kept/three/node1.journal").read_text() == "why"


def test_logs_that_cannot_be_kept_fail_the_step(untidy: Runner) -> None:
    (untidy.folder / "work/kept").mkdir()
    (untidy.folder / "work/kept/three").write_text("in the way")
    done = play(untidy, CLEANUP, {"logs": "kept"})
    assert done.returncode == 1
    assert untidy.told() == TIDIED


def gitlab() -> tuple[dict[str, Any], dict[str, str]]:
    """Return the job that is extended, and its variables."""
    job = yaml.safe_load(GITLAB.read_text())[".slurmrest"]
    variables = {key: str(one) for key, one in job["variables"].items()}
    return job, {"CI_JOB_ID": "7", "CI_PROJECT_DIR": "/project", **variables}


def test_the_jobs_of_gitlab(runner: Runner) -> None:
    job, values = gitlab()
    script = "\n".join(
        [*job["before_script"], 'echo "$SLURMREST_URL $SLURMREST_TOKEN_FILE $SLURMREST_CLUSTER"', *job["after_script"]]
    )
    done = runner.run(script, **{**values, "SLURMREST_SLURM": "22.05", "SLURMREST_PACKAGE": "/w/slurmrest.whl"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "http://127.0.0.1:40001 /state/token.alice job-7"
    assert runner.told() == [
        "venv .slurmrest-venv",
        "install --quiet /w/slurmrest.whl[pytest]",
        "cluster up job-7 --layout single --slurm 22.05 --verify full --json",
        "cluster logs --name job-7 --output slurmrest-logs",
        "cluster down job-7",
    ]
    unnamed = runner.run("set -e\n" + script, **values)
    assert unnamed.returncode != 0
    assert "SLURMREST_PACKAGE" in unnamed.stderr, "no index has it, so that nobody else's is taken for it"
    (matrix,) = yaml.safe_load(GITLAB.read_text())[".slurmrest-on-each-release"]["parallel"]["matrix"]
    assert matrix == {"SLURMREST_SLURM": list(SUITES)}


@pytest.mark.parametrize(
    "address", ["https://host/files/slurmrest_toolkit-0.2.0-py3-none-any.whl", "git+https://host/slurmrest-toolkit@v1"]
)
def test_a_package_at_an_address_is_installed_with_its_extra(runner: Runner, address: str) -> None:
    """Of a path pip takes the extra off; behind an address it would be a part of that."""
    job, values = gitlab()
    good(runner.run("\n".join(job["before_script"]), **{**values, "SLURMREST_PACKAGE": address}))
    (line,) = (line for line in runner.told() if line.startswith("install "))
    wanted = Requirement(line.removeprefix("install --quiet "))
    assert (wanted.name, wanted.url, wanted.extras) == ("slurmrest-toolkit", address, {"pytest"})


@pytest.mark.parametrize("failing", ["install *", "cluster up *"])
def test_a_job_whose_preparation_fails_says_nothing_of_a_cluster(runner: Runner, failing: str) -> None:
    job, values = gitlab()
    script = "\n".join([*job["before_script"], "echo script"])
    done = runner.run(script, **{**values, "SLURMREST_PACKAGE": "/w/slurmrest.whl", "FAILING": failing})
    assert (done.returncode, done.stdout) == (3, "")
