"""What slurmctld and slurmd serve themselves: told as a note, and as a warning where it tells of jobs."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from slurmrest.verify import page_notes, pages

Answers = dict[str, tuple[int, bytes]]
DEFAULT: Answers = {"/healthz": (204, b""), "/metrics/jobs": (200, b"")}


@contextmanager
def daemon(answers: Answers) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert "X-SLURM-USER-TOKEN" not in self.headers
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_what_a_daemon_answers_by_default_is_a_note() -> None:
    with daemon(DEFAULT) as port:
        found = pages.look([("slurmctld", "127.0.0.1", port)])
    assert list(page_notes.warnings(found)) == []
    (note,) = page_notes.notes(found)
    assert note.startswith(f"slurmctld on 127.0.0.1 answers /healthz, /metrics/jobs on port {port} without a token, to")
    assert "slurm_conf_daemon_http: false" in note


def test_metrics_that_tell_of_jobs_are_a_warning() -> None:
    with daemon({**DEFAULT, "/metrics/jobs": (200, b"slurm_jobs 4\n")}) as port:
        found = pages.look([("slurmd", "127.0.0.1", port)])
    (warning,) = page_notes.warnings(found)
    assert "slurmd on 127.0.0.1 shows jobs and users under /metrics" in warning


@pytest.mark.parametrize("answers", [{}, {"/healthz": (401, b""), "/metrics/jobs": (401, b"no")}])
def test_what_is_closed_is_not_told(answers: Answers) -> None:
    with daemon(answers) as port:
        assert pages.look([("slurmctld", "127.0.0.1", port)]) == []


def test_a_daemon_that_speaks_no_http_or_is_not_there_is_left_out() -> None:
    with daemon(DEFAULT) as port:
        pass
    assert pages.look([("slurmctld", "127.0.0.1", port), ("slurmctld", "no-such-host.invalid", 6817)]) == []
