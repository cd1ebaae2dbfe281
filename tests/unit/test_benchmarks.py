"""What the benchmarks make of their raw data, and that their scripts are shell."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
RESULTS: dict[str, Any] = {
    "machine": {"processors": "2", "kernel": "6.1"},
    "rounds": 3,
    "load_before": 0.1,
    "load_median": 0.8,
    "busy": False,
    "seconds": {
        "22.05 warm up": [3.0, 1.0, 2.0],
        "22.05 by hand <all>": [4.0],
        "24.11 warm up": [5.0, 5.0, 6.0],
    },
    "sizes": {"22.05": {"base image": "200 MB"}, "24.11": {"base image": "170 MB"}},
}


def test_page_has_median_and_spread_and_leaves_open_what_was_not_measured() -> None:
    text = report.page(RESULTS)
    assert "| warm up | 2.00 (1.00 to 3.00) | 5.00 (5.00 to 6.00) |" in text
    assert "| by hand <all> | 4.00 |  |" in text
    assert "| base image | 200 MB | 170 MB |" in text
    assert "processors: 2; kernel: 6.1. Rounds: 3." in text
    assert "Load average before: 0.1, median while measuring: 0.8." in text


def test_page_warns_of_a_busy_machine() -> None:
    warning = "busy with other work"
    assert warning not in report.page(RESULTS)
    assert warning in report.page({**RESULTS, "busy": True})


def test_plot_has_a_bar_for_each_measurement() -> None:
    root = ET.fromstring(report.plot(RESULTS))
    name = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{name}text") if text.get("text-anchor") == "end"]
    assert labels == list(RESULTS["seconds"])
    bars = [float(bar.get("width", 0)) for bar in root.iter(f"{name}rect")][1:]
    assert bars[0] * 2 == pytest.approx(bars[1], abs=0.2)
    lines = [(float(line.get("x1", 0)), float(line.get("x2", 0))) for line in root.iter(f"{name}line")]
    assert [low < high for low, high in lines] == [True, False, True]


@pytest.mark.parametrize("script", ["run", "by_hand.sh", "floor.sh"])
def test_scripts_are_shell(script: str) -> None:
    assert subprocess.run(["sh", "-n", str(FOLDER / script)], check=False).returncode == 0
