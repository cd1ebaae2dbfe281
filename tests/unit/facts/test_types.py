"""The types of the facts: those of what a host gives, and seen by the checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from slurmrest.facts.detection import detect
from slurmrest.slurmrestd.host_facts import HostFacts

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="it evaluates X | None, which that Python reads as text only"
)

ENGINE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils"


def differences(value: Any, kind: Any, where: str = "facts") -> list[str]:
    """Where a value is not what its type says, by path."""
    if kind is Any:
        return []
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{where}: {type(value).__name__}"]
        wrong = [f"{where}.{name}: unknown" for name in set(value) - set(get_type_hints(kind))]
        wrong += [f"{where}.{name}: missing" for name in kind.__required_keys__ - set(value)]
        hints = get_type_hints(kind)
        return wrong + [line for name in value if name in hints for line in differences(
            value[name], hints[name], f"{where}.{name}")]  # fmt: skip
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (list, dict) and not isinstance(value, origin):
        return [f"{where}: {type(value).__name__}"]
    if origin is list:
        return [line for number, item in enumerate(value) for line in differences(item, inner[0], f"{where}[{number}]")]
    if origin is dict:
        return [line for name, item in value.items() for line in differences(item, inner[1], f"{where}.{name}")]
    if origin is not None:  # Optional
        found = [differences(value, one, where) for one in inner]
        return [] if [] in found else found[0]
    return [] if type(value) is kind else [f"{where}: {type(value).__name__} instead of {kind}"]


def test_a_host_gives_what_the_types_say() -> None:
    assert (
        differences(detect({"paths": ["/etc", "/no/such/path"], "groups": ["root", "no-such-group"]}), HostFacts) == []
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 24}, ["facts.version: int instead of <class 'str'>"]),
        ({"units": {}}, ["facts.units.slurmd: missing"]),
        ({"slurm_con": {}}, ["facts.slurm_con: unknown"]),
    ],
)
def test_it_can_fail(change: dict[str, Any], said: list[str]) -> None:
    found = differences({**detect({}), **change}, HostFacts)
    assert set(said) <= set(found)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('facts["slurm_conf"]["accounting"]', False),
        ('facts["slurm_conf"]["acounting"]', True),
        ('facts["slurmconf"]', True),
        ('facts["units"]["slurmd"]["activ"]', True),
    ],
)
def test_a_misspelt_key_is_an_error_of_the_checker(line: str, wrong: bool, tmp_path: Path) -> None:
    program = tmp_path / "reads.py"
    head = "from slurmrest.slurmrestd.host_facts import HostFacts\n\n\ndef read(facts: HostFacts) -> object:\n"
    program.write_text(f"{head}    return {line}\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={tmp_path.parent}/mypy",
        str(program),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"MYPYPATH": str(ENGINE), "PATH": "/usr/bin"}
    )
    assert ("has no key" in done.stdout) is wrong, done.stdout + done.stderr
