"""Columns of the release table whose cells are proved on the release that runs; docs/releases.md shows which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import ROOT, live_cluster
from tests.real.release_table.trials import IN_A_CONTAINER, LISTENER, NODE, SERVICE, Asked

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = ROOT / "docs" / "data" / "releases.json"
FOLDER = "/tmp/trials"
SOCKET = f"{FOLDER}/slurmrestd.socket"
UNIX = f"unix:{SOCKET}"
CLEAN = f"rm -rf {FOLDER}; install -d -o {SERVICE} -g {SERVICE} {FOLDER}"
STALE = f"""{CLEAN}
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("{SOCKET}")'
chown {SERVICE}:{SERVICE} {SOCKET}"""
PLUGIN = "$(find /usr/lib -name auth_jwt.so)"
ASIDE = "/root/auth_jwt.so"

Look = Callable[[Asked], Any]


def socket_mode(asked: Asked) -> bool:
    """Whether everybody may connect although the umask is strict."""
    assert asked.starts(UNIX, before=f"{CLEAN}; umask 077", after=f"stat -c %a {SOCKET} > {FOLDER}.mode", signal="KILL")
    return asked.live.ssh(NODE, f"cat {FOLDER}.mode").strip() == "777"


def removes_socket(asked: Asked) -> bool:
    """Whether no file is left after SIGTERM."""
    assert asked.starts(UNIX, before=CLEAN)
    return not asked.shows(f"test -e {SOCKET}")


def without_plugin(asked: Asked) -> bool:
    """Whether it ends where auth_jwt.so is not there."""
    back = f"cp -p {ASIDE} $plugin"
    return not asked.starts(before=f"plugin={PLUGIN}; cp -p $plugin {ASIDE}; rm $plugin", after=back)


def refused_words(asked: Asked) -> tuple[str, ...]:
    """The words of SLURMRESTD_SECURITY that it does not end with, and that the table has; the unknown one is fatal."""
    harmless = [word for word in asked.release.security_values if word.startswith("disable_unshare")]
    assert not asked.starts(SLURMRESTD_SECURITY=f"{','.join(harmless)},disable_everything")
    assert asked.starts(SLURMRESTD_SECURITY=",".join(harmless))
    return asked.release.security_values


def debug_levels(asked: Asked) -> tuple[str, ...]:
    """The levels of the table, where its first and last are taken and a word that is none is not."""
    levels = asked.release.debug_levels
    assert not asked.starts(SLURMRESTD_DEBUG="loud")
    assert asked.starts(SLURMRESTD_DEBUG=levels[0])
    assert asked.starts(SLURMRESTD_DEBUG=levels[-1])
    assert asked.starts(SLURMRESTD_DEBUG="10")
    assert asked.starts(SLURMRESTD_DEBUG="debug2") is ("debug2" in levels)
    return levels


def threads(asked: Asked) -> int:
    """The least number of threads, where one less is refused or that is not fatal."""
    low = asked.release.min_threads
    assert asked.starts(f"-t {low} {LISTENER}")
    assert asked.starts(f"-t {low - 1} {LISTENER}") is not asked.release.thread_limits_fatal
    return low


STARTED: dict[str, Look] = {
    "data_parser_flag": lambda asked: asked.starts(f"-d {asked.release.newest_api} {LISTENER}"),
    "data_parser_latest": lambda asked: asked.starts(f"-d latest {LISTENER}"),
    "max_connections_flag": lambda asked: asked.starts(f"--max-connections 10 {LISTENER}"),
    "generate_openapi_spec": lambda asked: asked.shows("SLURM_JWT=daemon slurmrestd --generate-openapi-spec"),
    "min_threads": threads,
    "thread_limits_fatal": lambda asked: not asked.starts(f"-t {asked.release.max_threads + 1} {LISTENER}"),
    "debug_levels": debug_levels,
    "security_values": refused_words,
    "duplicate_listener_fatal": lambda asked: not asked.starts(f"{LISTENER} {LISTENER}"),
    "socket_mode_0777": socket_mode,
    "unlinks_stale_socket": lambda asked: asked.starts(UNIX, before=STALE),
    "removes_socket_on_sigterm": removes_socket,
    "refuses_root": lambda asked: not asked.starts(user="root"),
    "refuses_root_group": lambda asked: not asked.starts(group="root"),
    "refuses_slurm_user": lambda asked: not asked.starts(user="slurm"),
    "refuses_slurm_group": lambda asked: not asked.starts(group="slurm"),
    "refuses_nobody": lambda asked: not asked.starts(user="99", group="99"),
    "missing_jwt_plugin_fatal": without_plugin,
    "disable_user_check_aborts": lambda asked: (
        not asked.starts(SLURMRESTD_SECURITY=f"{IN_A_CONTAINER},disable_user_check")
    ),
}
"""What the daemon takes, started by hand with one thing that differs."""


def header_needed(asked: Asked) -> bool:
    """Whether a token alone is refused."""
    alone = {name: value for name, value in asked.headers.items() if name.endswith("TOKEN")}
    return asked.slurm("diag", headers=alone) != 200


def bearer(asked: Asked) -> bool:
    """Whether the token is good as ``Authorization: Bearer``."""
    token = next(value for name, value in asked.headers.items() if name.endswith("TOKEN"))
    return asked.slurm("diag", headers={"Authorization": f"Bearer {token}"}) == 200


def bad_token(asked: Asked) -> int:
    """The status for a token with another signature."""
    bad = {name: value[:-8] + "AAAAAAAA" if name.endswith("TOKEN") else value for name, value in asked.headers.items()}
    return asked.slurm("diag", headers=bad)


def submitted(asked: Asked, kind: str) -> int:
    """The status for a body of that type; without one for an empty text."""
    path = f"/slurm/{asked.release.newest_api}/job/submit"
    named = {"Content-Type": kind} if kind else {}
    return asked.status(path, "POST", {**asked.headers, **named}, b"{}")


def served(asked: Asked, part: str) -> tuple[str, ...]:
    """The versions below a part of the API that answer."""
    series = [f"v0.0.{number}" for number in range(35, 48)]
    return tuple(api for api in series if asked.status(f"/{part}/{api}/diag") == 200)


ANSWERED: dict[str, Look] = {
    "api_versions": lambda asked: served(asked, "slurm"),
    "slurmdb_api_versions": lambda asked: served(asked, "slurmdb"),
    "user_header_required": header_needed,
    "bearer": bearer,
    "no_token_status": lambda asked: asked.slurm("diag", headers={}),
    "bad_token_status": bad_token,
    "plain_user_dbd_diag_status": lambda asked: asked.slurmdb("diag", asked.of("alice")),
    "unknown_url_status": lambda asked: asked.slurm("nowhere"),
    "wrong_method_status": lambda asked: asked.status(f"/slurm/{asked.release.newest_api}/diag", "PUT"),
    "bad_url_char_status": lambda asked: asked.slurm('node/verify"'),
    "bad_query_char_status": lambda asked: asked.slurm("nodes?update_time=1:1"),
    "bad_content_type_status": lambda asked: submitted(asked, "application/json; charset=utf-8"),
    "no_content_type_status": lambda asked: submitted(asked, ""),
    "bad_accept_status": lambda asked: asked.slurm("diag", headers={**asked.headers, "Accept": "text/html"}),
    "unknown_job_status": lambda asked: asked.slurm("job/999999"),
    "health_endpoints": lambda asked: asked.status("/healthz") == 204,
    "lifespan_infinite": lambda asked: asked.lasts("infinite") > 10**9,
    "token_for_oneself": lambda asked: asked.shows("runuser -u alice -- scontrol token username=alice"),
}
"""What it answers while all daemons run."""

WITHOUT: dict[str, tuple[str, Look]] = {
    "dbd_down_status": ("slurmdbd", lambda asked: asked.slurmdb("clusters")),
    "dbd_down_diag_status": ("slurmdbd", lambda asked: asked.slurmdb("diag")),
    "api_fails_with_slurmdbd": (
        "slurmdbd",
        lambda asked: tuple(api for api in asked.release.api_versions if asked.status(f"/slurm/{api}/diag") != 200),
    ),
    "ctld_down_status": ("slurmctld", lambda asked: asked.slurm("diag")),
    "ping_lies": ("slurmctld", lambda asked: asked.slurm("ping") == 200),
}
"""What it answers while one of the others does not run."""


@pytest.fixture(scope="module", name="asked")
def a_cluster(release: str) -> Iterator[Asked]:
    with live_cluster("table", release) as live:
        yield Asked(live)


@pytest.fixture(scope="module")
def proved(asked: Asked) -> Iterator[list[str]]:
    """Collect columns that were right, and keep them for docs/releases.md when SLURMREST_RECORD is set."""
    found: list[str] = []
    yield found
    if os.environ.get("SLURMREST_RECORD"):
        data = json.loads(RECORDED.read_text())
        data["run"][asked.release.series] = {"version": asked.state.slurm_version, "columns": sorted(found)}
        RECORDED.write_text(json.dumps(data, indent=1) + "\n")


@pytest.mark.parametrize("column", [*STARTED, *ANSWERED])
def test_the_cell_is_what_the_release_does(asked: Asked, proved: list[str], column: str) -> None:
    assert {**STARTED, **ANSWERED}[column](asked) == getattr(asked.release, column)
    proved.append(column)


@pytest.mark.parametrize("daemon", ["slurmdbd", "slurmctld"])
def test_the_cell_is_what_happens_without_a_daemon(asked: Asked, proved: list[str], daemon: str) -> None:
    asked.live.ssh(NODE, f"systemctl stop {daemon}")
    try:
        seen = {column: look(asked) for column, (missing, look) in WITHOUT.items() if missing == daemon}
    finally:
        asked.live.ssh(NODE, f"systemctl start {daemon}")
    assert seen == {column: getattr(asked.release, column) for column in seen}
    proved += seen
