"""Scripts as sbatch reads them, asked of the release's own sbatch, and options as they reach slurmctld."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError
from slurmrest.users import batch

from tests.unit.sbatch_corpus import CORPUS, as_sbatch_says, defined

if TYPE_CHECKING:
    from tests.real.users.conftest import LoginHost


def test_the_corpus_is_read_as_this_releases_sbatch_reads_it(login: LoginHost) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, case in CORPUS.items():
            text = case["script"].encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    packed = base64.b64encode(data.getvalue()).decode()
    each = 'for name in *; do printf "== %s\\n" "$name"; sbatch -v --test-only "$name" 2>&1; done'
    done = login.run(f"mkdir -p corpus && cd corpus && base64 -d <<END | tar xz && pwd && {each}\n{packed}\nEND\n")
    directory, _, rest = done.stdout.partition("\n")
    said = dict(part.split("\n", 1) for part in rest.split("== ")[1:])
    assert said.keys() == CORPUS.keys(), done.stderr
    differing = {}
    for name, case in CORPUS.items():
        theirs = defined(said[name], directory)
        try:
            ours = as_sbatch_says(dict(batch.read(case["script"]).options))
        except (batch.ScriptError, InputError):
            ours = None
        if ours != theirs and case.get("here") != "refused":
            differing[name] = (ours, theirs)
    assert differing == {}


@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_what_changes_how_a_job_runs_reaches_slurmctld(login: LoginHost, version: str) -> None:
    wanted = login.served[0 if version == "oldest" else -1]
    options = "--array 1-3%2 --hold --begin now+1hour --mem-per-cpu 100 --exclusive=user -d singleton --comment said"
    login.run("printf '#!/bin/sh\\ntrue\\n' > plain.sh")
    done = login.slurmrest(f"submit plain.sh --json --api-version {wanted} --time 0 {options}")
    job = json.loads(done.stdout)["job_id"]
    try:
        shown = login.run(f"scontrol show job {job}").stdout
        for words in ("ArrayTaskId=1-3", "ArrayTaskThrottle=2", "Priority=0", "Dependency=singleton", "Comment=said"):
            assert words in shown
        for words in ("MinMemoryCPU=100M", "TimeLimit=UNLIMITED", "=USER"):
            assert words in shown
        assert login.slurmrest(f"job show {job}_2").returncode == 0
        assert login.slurmrest(f"job show {job}_9").returncode == 1
        assert login.slurmrest(f"job cancel {job}_2").returncode == 0
        assert "ArrayTaskId=1,3" in login.run(f"scontrol show job {job}").stdout
    finally:
        login.run(f"scancel {job}")
