"""What the benchmarks make of their raw data, and that their scripts are shell."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


def test_load_is_a_table_for_each_release() -> None:
    row = {"setting": "4 threads", "path": "diag", "clients": 16, "requests": 500, "failures": 0, "seconds": 5.0}
    rows = [
        {**row, "release": "22.05", "address": "unix:/s", "p50": 1.5, "p99": 9.0},
        {**row, "release": "24.11", "address": "127.0.0.1:6820", "p50": 2.0, "p99": 8.0},
    ]
    text = report.page({**RESULTS, "load": rows})
    assert "### 22.05\n" in text
    assert "| 4 threads | diag | UNIX | 16 | 100 | 1.5 | 9.0 | 0 |" in text
    assert "| 4 threads | diag | TCP | 16 | 100 | 2.0 | 8.0 | 0 |" in text


def test_load_client_counts_answers_and_failures() -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            good = self.headers["X-SLURM-USER-TOKEN"] == "sesame" and self.path == "/good"
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_words: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    for path, key in (("/good", "requests"), ("/bad", "failures")):
        argv = [sys.executable, str(FOLDER / "load_client.py"), address, path, "2", "0.2"]
        done = subprocess.run(argv, input="sesame\n", capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        assert found[key] > 0
        assert found[{"requests": "failures", "failures": "requests"}[key]] == 0
        assert (found["p50"] is None) == (key == "failures")
    server.shutdown()
    server.server_close()
