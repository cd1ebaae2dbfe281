"""The generator of documents: scripts/render_docs.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

PATH = Path(__file__).resolve().parents[2] / "scripts" / "render_docs.py"
SPEC = importlib.util.spec_from_file_location("render_docs", PATH)
assert SPEC is not None
assert SPEC.loader is not None
render_docs: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(render_docs)

ARGUMENT_SPECS = {
    "argument_specs": {
        "rotate": {"short_description": "Make a new one", "options": {}},
        "main": {
            "short_description": "Do it",
            "description": ["Sets V(a|b)\nof the host."],
            "options": {
                "demo_list": {
                    "type": "list",
                    "elements": "dict",
                    "description": "Some. And more.",
                    "default": [],
                    "options": {"port": {"type": "int", "required": True, "description": "Where."}},
                },
                "demo_name": {"type": "str", "description": "A name, O(demo_list) apart.", "choices": ["a", "b"]},
            },
        },
    }
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one role and a README with both blocks."""
    role = tmp_path / "roles" / "demo"
    (role / "meta").mkdir(parents=True)
    (role / "defaults").mkdir()
    (role / "meta" / "argument_specs.yml").write_text(yaml.safe_dump(ARGUMENT_SPECS))
    (role / "defaults" / "main.yml").write_text('demo_list: []\ndemo_name: "{{ inventory_hostname }}"\n')
    blocks = "".join(f"<!-- begin {name} -->\nold\n<!-- end {name} -->\n" for name in ("variables", "releases"))
    (tmp_path / "README.md").write_text(f"# Before\n{blocks}After\n")
    monkeypatch.setattr(render_docs, "ROOT", tmp_path)
    return tmp_path


def test_role_readme(root: Path) -> None:
    """The main entry point comes first; markup, derived and nested options come out as words."""
    text = render_docs.role_readme(root / "roles" / "demo")
    assert text.index("**Do it**") < text.index("## Entry point `rotate`") < text.index("It has no variables.")
    assert "Sets `a|b` of the host." in text
    assert "| `demo_list` | list of dict | `[]` | Some. And more. |" in text
    assert "| `demo_list.port` | int | required | Where. |" in text
    assert '| `demo_name` | str | derived | A name, `demo_list` apart. One of `"a"`, `"b"`. |' in text


def test_check_shows_what_is_stale_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check is 1 with a diff before writing, 0 afterwards."""
    before = (root / "README.md").read_text()
    assert render_docs.main(["--check"]) == 1
    assert "-old\n" in capsys.readouterr().out
    assert (root / "README.md").read_text() == before
    assert render_docs.main([]) == 0
    assert render_docs.main(["--check"]) == 0
    text = (root / "README.md").read_text()
    assert text.startswith("# Before\n<!-- begin variables -->\n")
    assert text.endswith("<!-- end releases -->\nAfter\n")
    assert "| `demo_list` | [demo](roles/demo/README.md) | Some. |" in text


@pytest.mark.parametrize(
    "text", ["", "<!-- end x --><!-- begin x -->", "<!-- begin x --><!-- begin x --><!-- end x -->"]
)
def test_markers_must_be_there(text: str) -> None:
    """A README that lost a marker is an error, not a document without its table."""
    with pytest.raises(ValueError, match="begin x"):
        render_docs.with_blocks(text, {"x": "block"})


def test_every_column_of_the_release_table_is_shown() -> None:
    """The matrix has each column of the class once, in a named group, with the comment beside it as its meaning."""
    grouped = [(group, name, meaning) for group, members in render_docs.columns() for name, meaning in members]
    assert [name for _, name, _ in grouped] == list(render_docs.releases.Release.__dataclass_fields__)
    assert all(group for group, _, _ in grouped)
    assert {name: meaning for _, name, meaning in grouped}["ping_lies"].startswith("ping answers 200 although")


def test_cells_show_changes_inside_a_series() -> None:
    """A cell that changed at a patch release says since when."""
    text = render_docs.release_matrix({"read": [], "run": {}})
    assert "since " in text
    for release in render_docs.releases.RELEASES:
        assert f"| {release.series} | {release.source} |" in text


def test_cells_show_how_they_are_known() -> None:
    """What ran is bold, what was read is plain, and what only the row before says is in italics."""
    evidence = {"read": ["bearer"], "run": {"22.05": {"version": "22.05.8", "columns": ["jwks"]}}}
    rows = {line.split(" | ")[0]: line for line in render_docs.release_matrix(evidence).splitlines()}
    assert rows["| `jwks`"].startswith("| `jwks` | no | yes | **yes** | *yes* |")
    assert rows["| `bearer`"].startswith("| `bearer` | no | no | no | yes | yes |")


def test_evidence_names_columns_that_there_are() -> None:
    """Else a column that was renamed would count as inferred, unseen."""
    evidence = json.loads((PATH.parents[1] / "docs" / "data" / "releases.json").read_text())
    named = {*evidence["read"], *(name for row in evidence["run"].values() for name in row["columns"])}
    assert named <= set(render_docs.releases.Release.__dataclass_fields__)


def test_faults_are_told_apart_from_those_that_were_not_run() -> None:
    first, second, third = render_docs.faults.FAULTS[:3]
    good = {"expect": first.expect, "found": [first.expect]}
    wrong = {**good, "expect": second.expect, "found": ["restart-loop", "munge-stopped"]}
    nothing = {"expect": third.expect, "found": []}
    faults = {first.name: good, second.name: wrong, third.name: nothing}
    followed = {"healed": "named, healed", "by hand": "named, by hand", "not healed": "named, **not healed**"}
    for remedy, cell in followed.items():
        assert f"| {cell} |" in render_docs.faults_table(
            {"24.11": {"faults": {first.name: {**good, "remedy": remedy}}}}
        )
    cells = [*followed.values(), "named, healed", "named"]
    assert render_docs.remedies_line(cells) == (
        "Remedies followed word by word: 3, of which 2 healed. 1 are for people; 1 were not followed."
    )
    beside = {**good, "also": ["munge-stopped"], "found": ["munge-stopped", first.expect]}
    assert render_docs.fault_cell(beside) == "named"
    table = render_docs.faults_table({"24.11": {"faults": faults}})
    assert table.startswith("1 of ")
    assert "Mended" not in table
    timed = {**faults, first.name: {**good, "mended_in": 2.5}, third.name: {**nothing, "mended_in": 4.0}}
    timed_table = render_docs.faults_table({"24.11": {"faults": timed}})
    assert "Mended in 3.2 s (median), 4.0 s at most." in timed_table
    assert "| not run | named | not run |" in table
    assert "| not run | **found: restart-loop, munge-stopped** | not run |" in table
    assert "**found: nothing**" in table


def test_gaps_of_several_controllers_say_what_was_not_run() -> None:
    data = {
        "machine": "2 processors",
        "events": {"kill": "it is killed", "back": "it is back"},
        "releases": {"24.11": {"gaps": {"kill": 14.96}}},
    }
    shown = render_docs.gaps_table(data)
    assert shown.startswith("Seconds. 2 processors.")
    assert "| it is killed | not run | 15.0 | not run |" in shown
    assert "| it is back | not run | not run | not run |" in shown


def test_sound_variants_are_healthy_or_say_what_was_found() -> None:
    first, second = render_docs.healthy.HEALTHY[0], render_docs.healthy.HEALTHY[2]
    seen = {first.name: {"found": []}, second.name: {"found": ["user-unknown"]}}
    shown = render_docs.healthy_table({"24.11": {"healthy": seen}})
    assert f"| {first.text} | not run | healthy | not run |" in shown
    assert f"| {second.text} | not run | **found: user-unknown** | not run |" in shown


def test_rotations_are_shown_as_median_and_maximum() -> None:
    runs = [{"changeover": value, "slurm": 0.1, "slurmdb": 1.0, "load": value} for value in (3.0, 1.0, 1.25)]
    split = {"slurm_version": "24.11.5", "rotations": runs}
    shown = render_docs.rotations_table({"machine": "2 processors", "releases": {"24.11": {"split": split}}})
    assert "| 24.11.5 | split | 3 | 1.25 (3.00) | 0.10 (0.10) | 1.00 (1.00) |" in shown
    assert "2 processors; load before each rotation: 1.0 to 3.0" in shown
    assert "Not measured" in render_docs.rotations_table({"machine": "", "releases": {}})


def test_every_finding_that_a_fault_shall_lead_to_exists() -> None:
    known = {one["id"] for one in render_docs.diagnosis.catalogue()}
    assert {fault.expect for fault in render_docs.faults.FAULTS} <= known
    assert all(f"`{one}`" in render_docs.findings_table() for one in known)


def test_recorded_scores_and_memory_become_tables() -> None:
    scores = {
        "26.05": {"systemd": "262", "ours": 1.1, "vendor": 9.2},
        "24.11": {"systemd": "257", "ours": 1, "vendor": 9},
    }
    assert render_docs.scores_table(scores).splitlines()[2:] == [
        "| 24.11 | 257 | 1.0 | 9.0 |",
        "| 26.05 | 262 | 1.1 | 9.2 |",
    ]
    memory = {"24.11": [{"jobs": 1000, "clients": 4, "answer": 3 * 2**20, "peak_mib": 77}]}
    assert render_docs.memory_table(memory).splitlines()[2:] == ["| 24.11 | 1000 | 3.0 | 4 | 77 |"]


def test_no_documented_score_is_above_the_bar() -> None:
    """The shipped unit is at 1.5 or lower on every systemd that was asked, far below the vendor's."""
    recorded = json.loads((render_docs.ROOT / "docs" / "data" / "security.json").read_text())
    assert recorded["scores"]
    for found in recorded["scores"].values():
        assert found["ours"] <= 1.5
        assert found["vendor"] > 9


def test_where_a_fault_cannot_happen_the_data_says_why() -> None:
    odd = [f.name for f in render_docs.faults.FAULTS if (f.releases != render_docs.ALL) is not bool(f.elsewhere)]
    assert odd == []
