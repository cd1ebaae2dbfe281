"""What the benchmarks make of their raw data, and that their scripts are shell."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast
from xml.etree import ElementTree as ET

import pytest

from benchmarks import capacity, cli, commands, gateway, hosts, load_client, modules, pairs, report, sizes
from benchmarks.load_client import Client, Refused
from benchmarks.results import Results, rounds
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
MACHINE = {"processors": "2", "kernel": "6.1"}
COMMON: dict[str, Any] = {"commit": "c0ffee", "date": "2026-01-02", "complete": True, "others": [0.01, 0.25, 0.02]}
HOSTS = {f"second deploy.yml, {name}": [seconds] for name, seconds in (("1 host", 4.0), ("20 hosts", 42.0))}
ALONE = "warm up: without the job check"
RESULTS: dict[str, Any] = {
    "machine": MACHINE,
    "parts": {
        "start": {
            "24.11": {**COMMON, "complete": False, "seconds": {"warm up": [5.0, 5.0, 6.0], ALONE: [4.5]}},
            "22.05": {**COMMON, "seconds": {"warm up": [3.0, 1.0, 2.0], ALONE: [2.0], "by hand <all>": [4.0]}},
        },
        "hosts": {"24.11": {**COMMON, "seconds": HOSTS}},
    },
}


def test_page_has_median_and_spread_and_leaves_open_what_was_not_measured() -> None:
    text = report.page(RESULTS)
    assert "| warm up | 2.00 (1.00 to 3.00) | 5.00 (5.00 to 6.00) |" in text
    assert "| by hand <all> | 4.00 |  |" in text
    assert "processors: 2; kernel: 6.1." in text


def test_page_says_what_misses_a_bar() -> None:
    text = report.page(RESULTS)
    assert "| warm up, single, all but the jobs | 2 s | 2.00 | **4.50** |" in text
    assert "| each further host, as against one | 0.5 times |  | 0.50 |" in text
    assert "| second deploy.yml, 5 hosts | 12 s |  |  |" in text


def test_page_says_how_quiet_the_machine_was_and_what_is_not_complete() -> None:
    text = report.page(RESULTS)
    assert "| start | 22.05 | 2026-01-02 | c0ffee | yes | 2 % (25 %) |" in text
    assert "| start | 24.11 | 2026-01-02 | c0ffee | **no** | 2 % (25 %) |" in text


def test_times_of_a_busy_machine_are_not_shown() -> None:
    row = {"setting": "s", "jobs": 1, "path": "diag", "over": "TCP", "clients": 1, "requests": 4321, "seconds": 1.0}
    row |= {"p50": 12.34, "p99": 56.78, "failures": 0, "peak_mib": 77}
    seconds = {"warm up": [98.7], "second deploy.yml: processor time of the node": [2.5]}
    busy = {**COMMON, "others": [0.9, 0.8, 0.1], "seconds": seconds, "rows": [row]}
    quiet = {**busy, "others": [0.1]}
    for record, shown in ((busy, False), (quiet, True)):
        text = report.page({**RESULTS, "parts": {"start": {"24.11": record}, "load": {"24.11": record}}})
        assert ("98.70" in text, "4321" in text, "12.34" in text) == (shown, shown, shown)
        assert "| second deploy.yml: processor time of the node | 2.50 |" in text
        assert "| 0 | 77 |" in text


def test_page_shows_where_the_time_goes() -> None:
    phases = {"host": 0.1, "nodes": 0.5, "daemons": 1.0, "verify": 0.7, "job": 1.2}
    start = {
        **COMMON,
        "seconds": {"second deploy.yml, single node": [9.0, 4.0]},
        "phases": [phases, {**phases, "nodes": 0.7}],
        "tasks": [("detect | Read", 2.0), ("small", 0.01), ("Ask", 1.0)],
    }
    text = report.page({**RESULTS, "parts": {"start": {"24.11": start}}})
    assert "| network, containers, keys | 0.60 |" in text
    assert "(24.11, one run of 4.00 s)" in text
    assert "| start of ansible-playbook | 0.99 |\n| detect | Read | 2.00 |" not in text
    assert "| start of ansible-playbook | 0.99 |\n| detect: Read | 2.00 |\n| Ask | 1.00 |" in text
    assert "| all other tasks | 0.01 |" in text


def test_page_shows_memory_and_images() -> None:
    record = {
        **COMMON,
        "seconds": {},
        "memory": {"mariadbd": {"rss": 90 * 2**20, "pss": 80 * 2**20}, "sh": {"rss": 2**20, "pss": 2**19}},
        "images": {"base image": 200_000_000},
        "archive": 150_400_000,
    }
    text = report.page({**RESULTS, "parts": {**RESULTS["parts"], "sizes": {"24.11": record}}})
    assert "| resident, all processes (MiB) | 91 |" in text
    assert "| of that mariadbd | 80 |" in text
    assert "of that sh" not in text
    assert "| memory of an idle single node | 120 MiB |  | 80.50 |" in text
    assert "| cache file | 80 MB |  | **150.40** |" in text
    assert "| image, base image (MB) | 200 |\n| cache file (MB) | 150 |" in text


def test_plot_has_a_bar_for_each_measurement_and_release() -> None:
    root = ET.fromstring(report.plot(RESULTS))
    name = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{name}text") if text.get("text-anchor") == "end"]
    assert labels[:4] == ["warm up", "22.05", "24.11", ALONE]
    bars = [float(bar.get("width", 0)) for bar in root.iter(f"{name}rect")][1:]
    assert len(bars) == 7
    assert bars[0] * 2.5 == pytest.approx(bars[1], abs=0.2)
    lines = [(float(line.get("x1", 0)), float(line.get("x2", 0))) for line in root.iter(f"{name}line")]
    assert [low < high for low, high in lines] == [True, True, *[False] * 5]


def test_page_and_plot_of_nothing() -> None:
    nothing: dict[str, Any] = {"machine": {}, "parts": {}}
    assert "# Benchmarks" in report.page(nothing)
    ET.fromstring(report.plot(nothing))


def results(path: Path) -> Results:
    return Results(path / "deeper" / "raw.json", Progress())


def test_every_measurement_is_on_disk_at_once(tmp_path: Path) -> None:
    first = results(tmp_path)
    first.on(MACHINE)
    record = first.begin("start", "24.11", "c0ffee")
    assert not first.path.exists()
    record.add("warm up", 1.23456)
    record.listen()
    found = results(tmp_path)
    assert found.data["parts"]["start"]["24.11"]["seconds"] == {"warm up": [1.235]}
    assert not found.complete("start", "24.11", "c0ffee")
    record.finish()
    found = results(tmp_path)
    assert found.complete("start", "24.11", "c0ffee")
    assert not found.complete("start", "24.11", "another")
    assert not found.complete("start", "22.05", "c0ffee")
    assert all(0 <= share <= 1 for share in found.data["parts"]["start"]["24.11"]["others"])


def test_what_was_measured_stays_until_there_is_something_new(tmp_path: Path) -> None:
    first = results(tmp_path)
    first.on(MACHINE)
    first.begin("start", "24.11", "old").add("warm up", 1.0)
    second = results(tmp_path)
    second.on(MACHINE)
    record = second.begin("start", "24.11", "new")
    assert second.data["parts"]["start"]["24.11"]["commit"] == "old"
    record.add("warm up", 2.0)
    assert second.data["parts"]["start"]["24.11"]["seconds"] == {"warm up": [2.0]}


def test_results_of_another_machine_do_not_stay(tmp_path: Path) -> None:
    first = results(tmp_path)
    first.on(MACHINE)
    first.begin("start", "24.11", "old").add("warm up", 1.0)
    second = results(tmp_path)
    second.on({**MACHINE, "processors": "64"})
    assert second.data["parts"] == {}


def test_rounds_end_before_the_deadline_and_there_is_one_at_least() -> None:
    clock = iter([0.0, 40.0, 40.0, 70.0, 70.0]).__next__
    assert list(rounds(5, 100.0, clock)) == [0, 1]  # a third one could take as long as the longest, 40
    assert list(rounds(5, -1.0, iter([0.0, 1.0, 1.0]).__next__)) == [0]
    assert list(rounds(3, 100.0, lambda: 0.0)) == [0, 1, 2]


@pytest.mark.parametrize("wanted", [5, 20])
def test_so_many_hosts_are_deployed_to(wanted: int) -> None:
    nodes = hosts.planned(wanted)
    concerned = [node for node in nodes if {"slurmctld", "slurmdbd", "slurmrestd"} & {*node.roles}]
    assert len(concerned) == wanted
    assert len({node.name for node in nodes}) == len({node.container for node in nodes}) == len(nodes)


def test_memory_of_a_container_is_that_of_its_processes(tmp_path: Path) -> None:
    def process(number: int, space: str, name: str, rss: int, pss: int) -> None:
        (tmp_path / f"{number}" / "ns").mkdir(parents=True)
        (tmp_path / f"{number}" / "ns" / "pid").symlink_to(f"pid:[{space}]")
        (tmp_path / f"{number}" / "comm").write_text(f"{name}\n")
        rollup = f"1000-2000 ---p 0 00:00 0 [rollup]\nRss: {rss} kB\nPss: {pss} kB\nPss_Dirty: 1 kB\n"
        (tmp_path / f"{number}" / "smaps_rollup").write_text(rollup)

    process(10, "1", "systemd", 8, 4)
    process(11, "1", "slurmctld", 20, 16)
    process(12, "1", "slurmctld", 20, 16)
    process(13, "2", "other", 99, 99)
    (tmp_path / "14").mkdir()  # it ended meanwhile
    assert sizes.memory(10, tmp_path) == {
        "slurmctld": {"rss": 40 * 1024, "pss": 32 * 1024},
        "systemd": {"rss": 8 * 1024, "pss": 4 * 1024},
    }


def test_processor_time_is_that_of_programs_and_of_all_containers(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    for file, used in zip(files, (1_500_000, 250_000), strict=True):
        file.write_text(f"usage_usec {used}\nuser_usec 1\nsystem_usec 2\n")
    before = commands.now(files)
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    after = commands.now(files)
    assert before.nodes == after.nodes == 1.75
    assert (after - before).controller > 0


def test_time_of_a_task_that_comes_twice() -> None:
    profile = commands.Profile(9.0, 1.0, 2.0, [("a", 1.0), ("b", 2.0), ("a", 4.0)], 0)
    assert profile.of("a") == 5.0
    with pytest.raises(commands.MeasurementError, match="'c'"):
        profile.of("c")


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--part", "nonsense"])
    assert "'start'" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["run", "by_hand.sh", "floor.sh"])
def test_scripts_are_shell(script: str) -> None:
    assert subprocess.run(["sh", "-n", str(FOLDER / script)], check=False).returncode == 0


def test_load_is_a_table_for_each_release() -> None:
    row = {"setting": "ours", "jobs": 3000, "path": "diag", "clients": 16, "requests": 500, "failures": 0}
    row = {**row, "seconds": 5.0, "peak_mib": 120}
    parts = {
        "load": {
            "22.05": {**COMMON, "seconds": {}, "rows": [{**row, "over": "UNIX", "p50": 1.5, "p99": 9.0}]},
            "24.11": {**COMMON, "seconds": {}, "rows": [{**row, "over": "TCP", "p50": 2.0, "p99": 8.0}]},
        },
        "threads": {
            "24.11": {**COMMON, "seconds": {}, "rows": [{**row, "requests": 6, "over": "TCP", "p50": 2.0, "p99": 8.0}]}
        },
    }
    text = report.page({**RESULTS, "parts": parts})
    assert "### 22.05\n" in text
    assert "| ours | 3000 | diag | UNIX | 16 | 100 | 1.5 | 9.0 | 0 | 120 |" in text
    assert "| ours | 3000 | diag | TCP | 16 | 100 | 2.0 | 8.0 | 0 | 120 |" in text
    assert "### 24.11, numbers of threads\n" in text
    assert "| 1.2 | 2.0 |" in text


class Handler(BaseHTTPRequestHandler):
    """A daemon that closes every third connection after an answer, without a word."""

    protocol_version = "HTTP/1.1"
    answers = 0
    asked: ClassVar[set[tuple[str, str | None]]] = set()

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        self.answer(b"{}" * 200_000 if self.path == "/large" else b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body)

    def answer(self, body: bytes) -> None:
        Handler.asked.add((self.headers["X-SLURM-USER-TOKEN"], self.headers["Cache-Control"]))
        good = self.headers["X-SLURM-USER-TOKEN"] == "sesame" and self.headers["X-SLURM-USER-NAME"] == "alice"
        self.send_response(429 if self.path == "/busy" else 200 if good and self.path != "/bad" else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        Handler.answers += 1
        self.close_connection = Handler.answers % 3 == 0

    def log_message(self, *_words: object) -> None:
        """Stay silent."""


@pytest.fixture(name="daemon")
def a_daemon() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/good", "", "requests"),
        ("/large", "", "requests"),
        ("/submit", '{"job": 1}', "requests"),
        ("/bad", "", "failures"),
    ],
)
def test_load_client_counts_answers_and_failures(daemon: str, path: str, body: str, expected: str) -> None:
    argv = [sys.executable, str(FOLDER / "load_client.py"), daemon, path, "2", "10", "--most", "20"]
    done = subprocess.run(argv, input=f"alice\nsesame\n{body}\n", capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found[expected] == 20
    assert found["requests"] + found["failures"] == 20
    assert found["kinds"] == ([] if expected == "requests" else ["401"])
    assert (found["p50"] is None) == (expected == "failures")
    assert found["seconds"] < 10


def clients(daemon: str, path: str, *more: str, words: str = "sesame") -> dict[str, Any]:
    argv = [sys.executable, str(FOLDER / "load_client.py"), daemon, path, *more]
    done = subprocess.run(argv, input=f"alice\n{words}\n\n", capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_load_clients_take_tokens_in_turns(daemon: str) -> None:
    Handler.asked.clear()
    found = clients(daemon, "/good", "2", "0.2", "--fresh", words="sesame thistle")
    assert Handler.asked == {("sesame", "no-cache"), ("thistle", "no-cache")}
    assert found["requests"] > 0
    assert found["kinds"] == ["401"]


def test_load_clients_come_back_when_they_are_told_to(daemon: str) -> None:
    found = clients(daemon, "/busy", "1", "0.5")
    assert (found["requests"], found["failures"], found["kinds"]) == (0, 1, ["429"])


def test_load_clients_give_up(daemon: str) -> None:
    found = clients(daemon, "/slow", "1", "0.3", "--patience", "0.2")
    assert found["requests"] == 0
    assert found["kinds"] == ["TimeoutError"]
    assert found["seconds"] < 1


def test_load_client_speaks_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "2")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    argv = ["openssl", "req", *words, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = served.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"localhost:{server.server_address[1]}"
    trusted = clients(address, "/large", "2", "9", "--most", "6", "--cacert", str(certificate))
    strange = clients(address, "/good", "1", "9", "--most", "1", "--cacert", "/etc/ssl/certs/ca-certificates.crt")
    server.shutdown()
    server.server_close()
    assert (trusted["requests"], trusted["failures"]) == (6, 0)
    assert strange["kinds"] == ["SSLCertVerificationError"]


def test_load_client_ends_in_time(daemon: str) -> None:
    argv = [sys.executable, str(FOLDER / "load_client.py"), daemon, "/good", "2", "2"]
    done = subprocess.run(argv, input="alice\nsesame\n\n", capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["requests"] > 0
    assert 0.2 <= found["seconds"] < 5


def test_load_client_counts_a_daemon_that_closes_at_once_as_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        client = Client(f"127.0.0.1:{listener.getsockname()[1]}", b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(Refused, match="closed"):
            client.ask()
        client.close()


def test_images_are_made_where_they_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        """One that has no image at all."""

        def image_labels(self, _name: str) -> None: ...

        def labels_of(self, _names: object) -> None: ...

    made: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "up", lambda release, *words: made.append((release, *words)))
    monkeypatch.setattr(commands, "down", lambda _engine: None)
    commands.prepare(cast("Any", Engine()), ["24.11"], [(), commands.GATEWAY], Progress(quiet=True))
    assert made == [("24.11", "--no-cache"), ("24.11",), ("24.11", *commands.GATEWAY)]


def test_pairs_are_ratios_with_spread_and_what_misses_its_bar_is_bold(tmp_path: Path) -> None:
    found = results(tmp_path)
    found.on(MACHINE)
    record = found.begin("pairs", "24.11", "c0ffee against efbc4b5")
    for ours, theirs in ((3.0, 4.0), (2.0, 4.0), (2.8, 4.0)):
        record.pair("second deploy.yml", ours, theirs)
        record.pair("second deploy.yml: processor time of both", 2.0, 5.0)
    record.pair("warm up", 6.0, 5.0)
    costs = {"kilobytes": 100.4, "milliseconds": 50.0}
    record.keep(
        "modules", {"a_module": {"ours": costs, "theirs": {**costs, "kilobytes": 300.0}}, "new": {"ours": costs}}
    )
    text = report.page(results(tmp_path).data)
    assert "Commit c0ffee against efbc4b5:" in text
    assert "| second deploy.yml | 2.80 | 4.00 | **0.70 (0.50 to 0.75)** | 0.6 | 3 |" in text
    assert "| second deploy.yml: processor time of both | 2.00 | 5.00 | 0.40 (0.40 to 0.40) | 0.5 | 3 |" in text
    assert "| warm up | 6.00 | 5.00 | 1.20 |  | 1 |" in text
    assert "| `a_module` | 100 | 300 | 50 | 50 |" in text
    assert "| `new` | 100 |  | 50 |  |" in text


def test_a_module_costs_what_it_brings_along_and_what_reading_that_takes(tmp_path: Path) -> None:
    """An import of an import is counted, and what nobody imports is not."""
    deep = "import time\nread = 1\nsum(range(3_000_000))\n"
    for name, text in {
        "plugins/modules/look.py": "from ..module_utils.slurmrest.host.files import read\n",
        "plugins/module_utils/slurmrest/__init__.py": "",
        "plugins/module_utils/slurmrest/host/__init__.py": "",
        "plugins/module_utils/slurmrest/host/files.py": "from .deep import read\n",
        "plugins/module_utils/slurmrest/host/deep.py": deep,
        "plugins/module_utils/slurmrest/host/other.py": "raise SystemExit(1)\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    class Here:
        def execute(self, _container: str, _python: str, *words: str, text: str) -> str:
            words = (sys.executable, *words)
            return subprocess.run(words, input=text, text=True, stdout=subprocess.PIPE, check=True).stdout

    found = modules.costs(cast("Any", Here()), "node", {"ours": tmp_path})
    assert set(found) == {"look"}
    assert found["look"]["ours"]["kilobytes"] == (len("from .deep import read\n") + len(deep)) / 1000
    assert found["look"]["ours"]["milliseconds"] > 1


def test_pairs_are_of_another_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--against", str(tmp_path)]):
        with pytest.raises(SystemExit):
            cli.main(["--part", "pairs", *words])
        assert "--part pairs needs --against DIR, another checkout of this project" in capsys.readouterr().err


def test_each_checkout_goes_first_in_turns_and_its_numbers_stay_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        data: ClassVar[dict[str, Any]] = {}
        found: ClassVar[list[tuple[str, float, float]]] = []

        def listen(self) -> None: ...

        def finish(self) -> None: ...

        def pair(self, name: str, ours: float, theirs: float) -> None:
            self.found.append((name, ours, theirs))

        def keep(self, name: str, value: object) -> None:
            self.data[name] = value

    order = []

    def costs(_engine: object, side: pairs.Side, _release: str) -> list[tuple[str, float]]:
        order.append(side.cluster)
        return [("warm up", 1.0 if side.root == FOLDER.parent else 2.0)]

    monkeypatch.setattr(commands, "up", lambda *_words, **_options: 0.0)
    monkeypatch.setattr(commands, "down", lambda *_words: None)
    monkeypatch.setattr(pairs, "costs", costs)
    monkeypatch.setattr(modules, "costs", lambda _engine, node, roots: (node, list(roots)))
    record = Recorder()
    pairs.measure(cast("Any", None), {"24.11": cast("Any", record)}, 2, 1e9, against=Path("/elsewhere"))
    assert order == ["bench-ours", "bench-theirs", "bench-theirs", "bench-ours"]
    assert record.found == [("warm up", 1.0, 2.0)] * 2
    assert record.data["modules"] == ("slurmrest-bench-ours-node1", ["ours", "theirs"])


def test_a_start_that_was_not_warm_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    side = pairs.Side(Path("/elsewhere"), "bench-theirs")
    monkeypatch.setattr(pairs.Side, "up", lambda *_words: 9.0)
    monkeypatch.setattr(commands, "accounts", lambda *_words: [])
    monkeypatch.setattr(pairs.Side, "phases", lambda _side: {"job": 2.0})
    engine = cast("Any", None)
    assert list(pairs.start(engine, side, "24.11", "warm up"))[:2] == [
        ("warm up", 9.0),
        ("warm up: without the jobs", 7.0),
    ]
    monkeypatch.setattr(pairs.Side, "phases", lambda _side: {"job": 2.0, "deploy": 5.0})
    with pytest.raises(commands.MeasurementError, match="not warm"):
        list(pairs.start(engine, side, "24.11", "warm up"))


def answers(requests: int, p50: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"requests": requests, "failures": 0, "seconds": 2.0, "p50": p50, "p99": 9.0, **more}


def test_capacity_is_each_bar_beside_what_was_measured() -> None:
    """Ratios are those of each round, and what misses its bar is bold."""
    found = {
        "uncached": {
            "alone": [answers(1000, 2.0, worked=1), answers(500, 4.0, worked=1), answers(1000, 2.0, worked=0.5)],
            "gateway": [answers(900, 2.2, worked=1), answers(450, 4.4, worked=1), answers(100, 22.0, worked=0.175)],
        },
        "diag": {"alone": [answers(1000, worked=1)], "gateway": [answers(9000, worked=0.45)]},
        "crowd": {"alone": [answers(1, reached=900)], "gateway": [answers(1, reached=1)]},
        "ping": {"alone": [answers(1, 17_000.0)], "gateway": [answers(40, 25.0)]},
        "impatient": {
            "alone": [answers(0, reached=84, ping=28_000.0)],
            "gateway": [answers(590, reached=2, ping=34.0)],
        },
        "one": {"alone": [answers(1, peak_mib=100)]},
        "memory": {"gateway": [answers(200, peak_mib=131)]},
    }
    seconds = {
        "start of a gateway to its first 200": [0.1, 0.2, 0.3],
    }
    up = {"cluster up, warm, without a gateway": [3.0, 4.0], "cluster up, warm, with a gateway": [3.3, 4.4]}
    under_load = {"24.11": {**COMMON, "found": found, "seconds": seconds}}
    table = capacity.table({"parts": {"gateway": under_load, "gateway_up": {"24.11": {**COMMON, "seconds": up}}}})
    cells = [line.split(" | ")[1:] for line in table.splitlines()[2:]]
    assert cells == [
        ["at least 0.7", "0.90 (500 → 225) |"],
        ["at most 1.4", "1.10 (2.00 → 4.40) |"],
        ["at most 1.43", "**1.50** (1.00 → 1.50 ms) |"],
        ["at least 15", "**9.00** (500 → 4500) |"],
        ["at most 0.067", "0.05 (1.00 → 0.05 ms) |"],
        ["at least 15", " |"],
        ["at most 0.067", " |"],
        ["at most 1", "0.50 (alone 450) |"],
        ["at most 100", "25.0 (alone 17000) |"],
        ["at most 0.05", "0.02 (84.0 → 2.00) |"],
        ["at most 1", "0.03 (alone 28.0) |"],
        ["at most 1.3", "**1.31** (100 → 131 MiB) |"],
        ["at most 1", "0.20 |"],
        ["at most 1.5", "1.10 (3.5 → 3.9 s) |"],
        ["", "2 % |"],
    ]
    assert capacity.table({"parts": {}}) == "Not measured yet."
    assert "| at most 1.5 | 1.10 (3.5 → 3.9 s) |" in capacity.table(
        {"parts": {"gateway_up": {"24.11": {"seconds": up}}}}
    )


def test_a_gateway_is_asked_over_tls_and_the_daemon_is_not() -> None:
    asked: list[tuple[object, ...]] = []

    class Asked:
        def client(self, *words: object, **_more: object) -> None:
            asked.append(words)

    trial = gateway.Trial(cast("Any", Asked()), 1)
    trial.ask(gateway.ALONE, "jobs", 16, 6.0)
    trial.ask(gateway.GATEWAY, "jobs", 6, 4.0, "--patience", 0.3)
    assert asked == [
        ("127.0.0.1:6820", "jobs", "root", 16, 6.0, "--patience", 180.0),
        ("localhost:443", "jobs", "root", 6, 4.0, "--patience", 0.3, "--cacert", gateway.AUTHORITY),
    ]
    for words in (asked[0], asked[1]):
        load_client.arguments([str(words[0]), *map(str, words[1:2]), *map(str, words[3:])])
