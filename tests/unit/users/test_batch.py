"""Batch scripts and their #SBATCH lines, as sbatch reads them."""

from __future__ import annotations

import pytest
from slurmrest.errors import InputError
from slurmrest.users import batch


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30),
        ("1:01", 2),
        ("90:00", 90),
        ("2:00:00", 120),
        ("0:0:1", 1),
        ("1-0", 1440),
        ("1-2:30", 1590),
        ("1-02:03:04", 1564),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert batch.minutes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0:0", "1:2:3:4", "-5", "1-", "soon", "infinite", "99999999999", "١"])
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match="--time"):
        batch.minutes(text)


@pytest.mark.parametrize(("text", "expected"), [("2048", 2048), ("2G", 2048), ("1t", 1048576), ("100k", 1), ("0", 0)])
def test_memory(text: str, expected: int) -> None:
    assert batch.mebibytes(text) == expected


@pytest.mark.parametrize("text", ["", "G", "1.5G", "-1", "2P", "9999999T"])
def test_no_memory(text: str) -> None:
    with pytest.raises(InputError, match="--mem"):
        batch.mebibytes(text)


SCRIPT = """\
#!/bin/sh
# a comment
#SBATCH --job-name=five --time 5   # minutes
#SBATCH -n2 -c 3

#SBATCH -w n1,n[2,3],n5 --mem=1G
#SBATCH --output="with blank"
#SBATCH --mail-type=END --exclusive
#SBATCH --array 1-3 -V
##SBATCH --time=99
hostname
#SBATCH --time=77
"""


def test_directives() -> None:
    script = batch.read(SCRIPT)
    assert script.options == {
        "job_name": "five",
        "time": 5,
        "ntasks": 2,
        "cpus_per_task": 3,
        "nodelist": ("n1", "n[2,3]", "n5"),
        "mem": 1024,
        "output": "with blank",
    }
    assert script.ignored == (
        "--mail-type END (line 8)",
        "--exclusive (line 8)",
        "--array 1-3 (line 9)",
        "-V (line 9)",
    )
    assert script.text == SCRIPT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo\n", "does not begin with #!"),
        ("", "does not begin with #!"),
        ("#!/bin/sh\r\ntrue\r\n", "DOS"),
        ("#!/bin/sh\n\0", "zero byte"),
        ("#!/bin/sh\n#SBATCH -J 'open\n", "line 2"),
    ],
)
def test_no_scripts(text: str, words: str) -> None:
    with pytest.raises(batch.ScriptError, match=words):
        batch.read(text)


def test_a_bad_value_names_its_line() -> None:
    with pytest.raises(InputError, match=r"#SBATCH --time \(line 2\)"):
        batch.read("#!/bin/sh\n#SBATCH --time=soon\n")


@pytest.mark.parametrize("option", batch.OPTIONS, ids=lambda option: option.name)
def test_every_option_in_every_spelling(option: batch.Option) -> None:
    value = {"ntasks": "3", "cpus-per-task": "3", "nodes": "2-3", "mem": "1G", "time": "1:00"}.get(option.name, "x")
    spellings = [f"--{option.name}={value}", f"--{option.name} {value}"]
    if option.short:
        spellings += [f"-{option.short}{value}", f"-{option.short} {value}"]
    for words in spellings:
        assert batch.read(f"#!/bin/sh\n#SBATCH {words}\n").options == {option.key: option.read(value, "here")}
