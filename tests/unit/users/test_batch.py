"""Batch scripts and their #SBATCH lines, as sbatch reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from slurmrest.errors import InputError
from slurmrest.rest.payloads import UNLIMITED
from slurmrest.slurm.api_versions import API_VERSIONS, api_version
from slurmrest.users import batch

from tests.unit.sbatch_corpus import CORPUS, as_sbatch_says

OLD = ("v0.0.35", "v0.0.36", "v0.0.37", "v0.0.38")


@pytest.mark.parametrize("name", CORPUS)
def test_a_script_is_read_as_sbatch_reads_it(name: str) -> None:
    case = CORPUS[name]
    if "refused" in case or case.get("here") == "refused":
        with pytest.raises((batch.ScriptError, InputError)):
            batch.read(case["script"])
    else:
        assert as_sbatch_says(dict(batch.read(case["script"]).options)) == case["sbatch"]


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


@pytest.mark.parametrize("text", ["", "1:2:3:4", "-5", "1-", "soon", "99999999999", "١"])
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match="--time"):
        batch.minutes(text)


@pytest.mark.parametrize("text", ["0", "0:0", "-1", "infinite", "UNLIMITED"])
def test_times_without_a_limit(text: str) -> None:
    assert batch.minutes(text) == UNLIMITED


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as inside:
        inside.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_times_to_begin() -> None:
    noon = 1_900_065_600  # 2030-03-18 12:00:00 UTC
    for text, expected in {
        "now": noon,
        "now+90": noon + 90,
        "now+1hour": noon + 3600,
        "now+2days": noon + 2 * 86400,
        "now+1week": noon + 7 * 86400,
        "13:30": noon + 5400,
        "11:00:05": noon + 23 * 3600 + 5,
        "midnight": noon + 12 * 3600,
        "tomorrow": noon + 12 * 3600,
        "2030-03-19": noon + 12 * 3600,
        "2030-03-18T12:00:01": noon + 1,
    }.items():
        assert batch.instant(text, now=noon) == expected, text
    for text in ("", "soon", "now+", "now-1", "25:00", "2030-13-01", "2030-03-17 12:00", "teatime"):
        with pytest.raises(InputError, match="--begin"):
            batch.instant(text, now=noon)


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

   # an indented one
#SBATCH -w n1,n[2,3],n5 --mem=1G
#SBATCH --output="with blank"
#SBATCH --mail-type=END -v
#SBATCH --array 1-3 -H --exclusive
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
        "array": "1-3",
        "hold": True,
        "exclusive": "",
    }
    assert script.ignored == ("--mail-type END (line 9)", "--verbose (line 9)")
    assert script.text == SCRIPT


@pytest.mark.parametrize("words", ["--gpus=1", "--signal=TERM@60", "--export=ALL", "--test-only", "-O", "--clusters=x"])
def test_what_changes_how_a_job_runs_is_never_ignored(words: str) -> None:
    with pytest.raises(batch.ScriptError, match="no place here"):
        batch.read(f"#!/bin/sh\n#SBATCH {words}\n")


def test_pbs_lines_are_passed_over_when_told_so() -> None:
    text = "#!/bin/sh\n#PBS -N x\n#SBATCH -n 2\n"
    assert batch.read(text, ignore_pbs=True).options == {"ntasks": 2}
    assert batch.read(text.replace("-n 2", "-n 2 --ignore-pbs")).options == {"ntasks": 2}


def test_the_command_line_wins_over_what_excludes_it() -> None:
    assert batch.merged({"mem": 5, "time": 1}, {"mem_per_cpu": 7}) == {"time": 1, "mem_per_cpu": 7}
    assert batch.merged({"requeue": True}, {"no_requeue": True}) == {"no_requeue": True}


@pytest.mark.parametrize("name", API_VERSIONS)
def test_every_option_in_the_shape_of_each_version(name: str) -> None:
    api = api_version(name)
    old = name in OLD
    options = batch.read(
        "#!/bin/sh\n#SBATCH -a 1-3%2 -H --gres=gpu:1,shard:2 --mem-per-cpu=1G -d afterok:1 -t 0 -w n1,n[3,4] -n 2\n"
        "#SBATCH -N 1-2 --comment=c -q q -C fast --reservation=r -L l -i /d/in -e /d/err -c 3\n"
        "#SBATCH --ntasks-per-node=2 --no-requeue\n"
    ).options
    job = batch.fields(api, options)
    assert job.pop("memory_per_cpu") == (1024 if old else {"set": True, "infinite": False, "number": 1024})
    assert job.pop("time_limit") == (-1 if old else {"set": True, "infinite": True, "number": 0})
    # Old versions refuse required_nodes as a disabled key, and read a list of nodes without effect.
    assert job.pop("nodelist" if old else "required_nodes") == ("n1,n[3,4]" if old else ["n1", "n[3,4]"])
    kind = "gres:" if name == "v0.0.39" else "gres/"
    assert job.pop("gres" if old else "tres_per_node") == ("gpu:1,shard:2" if old else f"{kind}gpu:1,{kind}shard:2")
    assert job == {
        "array": "1-3%2",
        "hold": True,
        "dependency": "afterok:1",
        "tasks": 2,
        "nodes": "1-2",
        "comment": "c",
        "qos": "q",
        "constraints": "fast",
        "reservation": "r",
        "licenses": "l",
        "standard_input": "/d/in",
        "standard_error": "/d/err",
        "cpus_per_task": 3,
        "tasks_per_node": 2,
        "requeue": False,
    }


@pytest.mark.parametrize("name", API_VERSIONS)
def test_whole_nodes_and_a_time_to_begin(name: str) -> None:
    api = api_version(name)
    old = name in OLD
    when = int(time.time()) + 100_000
    begin = batch.fields(api, {"begin": when})["begin_time"]
    if old:
        assert begin.startswith("now+99") or begin == "now+100000"
    else:
        assert begin == {"set": True, "infinite": False, "number": when}
    kinds = [batch.fields(api, {"exclusive": kind}) for kind in ("", "user")]
    if old:
        assert kinds == [{"exclusive": "exclusive"}, {"exclusive": "user"}]
    elif name in ("v0.0.39", "v0.0.40", "v0.0.41"):
        assert kinds == [{"exclusive": ["true"]}, {"exclusive": ["user"]}]
    else:
        assert kinds == [{"shared": ["none"]}, {"shared": ["user"]}]
    if old:
        with pytest.raises(InputError, match=r"--exclude.*v0\.0\.3"):
            batch.fields(api, {"exclude": ("n1",)})
    else:
        assert batch.fields(api, {"exclude": ("n1", "n2")}) == {"excluded_nodes": ["n1", "n2"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo\n", "does not begin with #!"),
        ("", "does not begin with #!"),
        ("#!/bin/sh\r\ntrue\r\n", "DOS"),
        ("#!/bin/sh\n\0", "zero byte"),
        ("\ufeff#!/bin/sh\n", "byte order mark"),
        ("#!/bin/sh\ntrue\recho\r", r"carriage return \(CR\) in line 2"),
        ("#!/bin/sh\n#SBATCH -J 'open\n", "line 2"),
    ],
)
def test_no_scripts(text: str, words: str) -> None:
    with pytest.raises(batch.ScriptError, match=words):
        batch.read(text)


def test_a_bad_value_names_its_line() -> None:
    with pytest.raises(InputError, match=r"#SBATCH --time \(line 2\)"):
        batch.read("#!/bin/sh\n#SBATCH --time=soon\n")


VALUES = {
    "ntasks": "3",
    "cpus-per-task": "3",
    "ntasks-per-node": "3",
    "nodes": "2-3",
    "mem": "1G",
    "mem-per-cpu": "1G",
    "time": "1:00",
    "array": "1-3",
    "begin": "2030-01-31",
}


@pytest.mark.parametrize(
    "option", [option for option in batch.OPTIONS if option.takes == "required"], ids=lambda option: option.name
)
def test_every_option_in_every_spelling(option: batch.BatchOption) -> None:
    value = VALUES.get(option.name, "x")
    spellings = [f"--{option.name}={value}", f"--{option.name} {value}"]
    if option.short:
        spellings += [f"-{option.short}{value}", f"-{option.short} {value}"]
    for words in spellings:
        assert batch.read(f"#!/bin/sh\n#SBATCH {words}\n").options == {option.key: option.read(value, "here")}


@pytest.mark.parametrize("option", batch.OPTIONS, ids=lambda option: option.name)
def test_every_option_is_heeded(option: batch.BatchOption) -> None:
    """Those without a place in the request are the ones that the command itself heeds."""
    assert (option.put is None) == (option.name in ("job-name", "chdir", "ignore-pbs"))
