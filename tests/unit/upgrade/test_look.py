"""What an upgrade sees of a host: who used which API, whose state is on disk, what apt would bring."""

from __future__ import annotations

import os
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.slurm.releases import RELEASES
from slurmrest.upgrade.look import backup, candidates, others, protocol_series, readers, state, upgraded_from, usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOG = """\
2026-11-19T10:00:00+0000 rest slurmrestd[7]: operations_router: [[localhost]:35216] GET /slurm/v0.0.40/jobs
2026-11-19T10:00:00+0000 rest slurmrestd[7]: slurmrestd: operations_router: [[localhost]:35216] GET /slurm/v0.0.40/jobs
2026-11-19T10:00:00+0000 rest slurmrestd[7]: rest_auth/jwt: slurm_rest_auth_p_authenticate: [[localhost]:35216] \
attempting user_name portal token authentication pass through
2026-11-20T11:00:00+0000 rest slurmrestd[7]: [2026-11-20T11:00:00.504] operations_router: [login1:42010(fd:10)] \
POST /slurm/v0.0.40/job/submit
2026-11-20T11:00:00+0000 rest slurmrestd[7]: [2026-11-20T11:00:00.505] rest_auth/jwt: slurm_rest_auth_p_authenticate: \
[login1:42010(fd:10)] attempting user_name alice token authentication pass through
2026-11-20T11:00:01+0000 rest slurmrestd[7]: on_request: [unix:/run/slurmrestd/slurmrestd.socket(fd:10)] \
GET /slurmdb/v0.0.42/diag
2026-11-20T11:00:02+0000 rest slurmrestd[7]: operations_router: [[localhost]:35218] GET /openapi/v3
2026-11-20T11:00:02+0000 rest slurmrestd[7]: error: operations_router: [[localhost]:35218] authentication failed: x
"""


def test_users_of_each_api_version() -> None:
    assert usage(LOG.splitlines()) == {
        "v0.0.40": {
            "requests": 2,
            "clients": ["localhost", "login1"],
            "users": ["portal", "alice"],
            "last": "2026-11-20",
        },
        "v0.0.42": {
            "requests": 1,
            "clients": ["/run/slurmrestd/slurmrestd.socket"],
            "users": [],
            "last": "2026-11-20",
        },
    }


def test_our_own_verification_is_nobodys_use() -> None:
    asked = """\
operations_router: [[localhost]:1] GET /slurm/v0.0.40/diag
rest_auth/jwt: slurm_rest_auth_p_authenticate: [[localhost]:1] attempting user_name root token authentication
operations_router: [unix:/run/slurmrestd/slurmrestd.socket(fd:10)] GET /slurm/v0.0.40/diag
slurm_rest_auth_p_authenticate: [unix:/run/slurmrestd/slurmrestd.socket(fd:10)] attempting user_name root token x
operations_router: [[portal]:1] GET /slurm/v0.0.41/diag
slurm_rest_auth_p_authenticate: [[portal]:1] attempting user_name root token x
"""
    assert list(usage(asked.splitlines())) == ["v0.0.41"]


def test_nobody_used_it() -> None:
    assert usage(["-- No entries --", ""]) == {}


def head(number: int) -> bytes:
    text = b"PROTOCOL_VERSION\0"
    return struct.pack("!I", len(text)) + text + struct.pack("!H", number) + b"rest"


PROTOCOLS = {str(row.protocol_version): row.series for row in RELEASES}


@pytest.mark.parametrize("row", RELEASES, ids=lambda row: row.series)
def test_state_names_its_series(row: object, tmp_path: Path) -> None:
    series, number = row.series, row.protocol_version  # type: ignore[attr-defined]
    (tmp_path / "job_state").write_bytes(head(number))
    assert state(str(tmp_path), PROTOCOLS) == {"series": series, "path": str(tmp_path / "job_state")}


def test_the_newest_state_file_counts(tmp_path: Path) -> None:
    (tmp_path / "job_state").write_bytes(head(42 << 8))
    (tmp_path / "last_config_lite").write_bytes(head(45 << 8))
    os.utime(tmp_path / "job_state", (1, 1))
    assert state(str(tmp_path), PROTOCOLS)["series"] == "26.05"


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x11PROTOCOL", head(7), b"x" * 64])
def test_what_is_no_state(data: bytes, tmp_path: Path) -> None:
    assert protocol_series(data, PROTOCOLS) is None
    (tmp_path / "job_state").write_bytes(data)
    assert state(str(tmp_path), PROTOCOLS) == {}
    assert state(str(tmp_path / "gone"), PROTOCOLS) == {}


def test_what_apt_would_upgrade() -> None:
    said = """\
Inst slurm-wlm-basic-plugins [24.11.5-4] (26.05.5-1 Debian:testing [amd64]) []
Inst slurmrestd [24.11.5-4] (26.05.5-1 Debian:testing [amd64])
Inst slurm-smd-slurmctld [24.11.5-1] (26.05.5-1 local [amd64])
Inst libc6 [2.41-12] (2.42-5 Debian:testing [amd64])
Conf slurmrestd (26.05.5-1 Debian:testing [amd64])
"""
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, said, "")

    assert candidates(run, ["slurmrestd"]) == {"slurmrestd": "26.05.5-1", "slurmctld": "26.05.5-1"}
    assert asked[0][-1] == "update"
    assert list(asked[1][-4:]) == ["--simulate", "install", "--only-upgrade", "slurmrestd"]
    for argv in asked:
        assert any(word.startswith("--option=Dir::State::Lists=") for word in argv), "an index of its own"


def test_an_upgrade_that_would_take_something_away_is_refused() -> None:
    said = "Remv slurmctld [24.11.5-4]\nInst slurmrestd [24.11.5-4] (26.05.5-1 Debian:testing [amd64])\n"
    with pytest.raises(SlurmrestError, match=r"would remove slurmctld 24\.11\.5-4\. The whole plan: .*26\.05\.5-1"):
        candidates(lambda argv, **_how: subprocess.CompletedProcess(argv, 0, said, ""), ["slurmrestd"])


def test_what_apt_cannot_tell_is_no_upgrade_of_nothing() -> None:
    with pytest.raises(SlurmrestError, match="Unmet dependencies"):
        candidates(
            lambda argv, **_how: subprocess.CompletedProcess(argv, 100, "", "E: Unmet dependencies.\n"), ["slurmrestd"]
        )


def test_who_else_reads_an_environment_file() -> None:
    said = {
        "slurmctld.service": "EnvironmentFiles=/etc/default/slurmctld (ignore_errors=yes)\n"
        "EnvironmentFiles=/etc/sysconfig/slurm (ignore_errors=no)\n",
        "slurmd.service": "EnvironmentFiles=/etc/sysconfig/slurm (ignore_errors=no)\n",
    }

    def run(argv: Sequence[str], **_how: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, said.get(argv[-1], ""), "")

    assert readers(run) == {
        "/etc/default/slurmctld": ["slurmctld"],
        "/etc/sysconfig/slurm": ["slurmctld", "slurmd"],
    }


def test_other_instances_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said = """\
MainPID=70
Id=slurmrestd.service
ActiveState=active

MainPID=71
Id=slurmrestd@alpha.service
ActiveState=active

MainPID=72
Id=slurmrestd@beta.service
ActiveState=active

MainPID=0
Id=slurmrestd@gone.service
ActiveState=inactive
"""
    monkeypatch.setattr("slurmrest.upgrade.look.outdated", "71".__eq__)
    found = others(lambda argv, **_how: subprocess.CompletedProcess(argv, 0, said, ""), "slurmrestd@beta.service")
    assert found == {"slurmrestd.service": False, "slurmrestd@alpha.service": True}
    assert others(lambda argv, **_how: subprocess.CompletedProcess(argv, 0, "\n", ""), "slurmrestd.service") == {}


def test_backups(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    assert backup(str(dump)) == {"path": str(dump), "exists": False, "bytes": 0, "hours": 0.0}
    dump.write_bytes(b"x" * 10)
    os.utime(dump, (dump.stat().st_mtime - 7200, dump.stat().st_mtime - 7200))
    seen = backup(str(tmp_path))
    assert (seen["exists"], seen["bytes"], round(seen["hours"])) == (True, 10, 2)
    (tmp_path / "empty").mkdir()
    assert backup(str(tmp_path / "empty"))["bytes"] == 0


def test_what_dpkg_remembers(tmp_path: Path) -> None:
    log = tmp_path / "dpkg.log"
    assert upgraded_from("slurmrestd", str(log)) is None
    log.write_text(
        "2026-01-01 10:00:00 upgrade slurmrestd:amd64 22.05.8-4 23.02.3-1\n"
        "2026-01-01 10:00:00 status installed slurmrestd:amd64 23.02.3-1\n"
        "2026-11-01 10:00:00 upgrade slurmrestd:amd64 23.02.3-1 24.11.5-4\n"
        "2026-11-01 10:00:00 upgrade slurmctld:amd64 24.11.5-4 26.05.5-1\n"
    )
    assert upgraded_from("slurmrestd", str(log)) == "23.02.3-1"
    assert upgraded_from("slurmd", str(log)) is None
    log.write_text("2026-01-01 10:00:00 upgrade slurm-smd-slurmdbd:amd64 23.11.11-1 25.05.8-1\n")
    assert upgraded_from("slurmdbd", str(log)) == "23.11.11-1"


def test_what_dnf_remembers(tmp_path: Path) -> None:
    dpkg, rpm = str(tmp_path / "dpkg.log"), tmp_path / "dnf.rpm.log"
    rpm.write_text(
        "2026-01-14T09:30:12+0000 SUBDEBUG Upgrade: slurm-slurmrestd-23.11.10-1.el9.x86_64\n"
        "2026-01-14T09:30:13+0000 SUBDEBUG Upgraded: slurm-slurmrestd-23.02.7-1.el9.x86_64\n"
        "2026-11-14T09:30:12+0000 SUBDEBUG Upgrade: slurm-slurmrestd-24.11.5-1.el9.x86_64\n"
        "2026-11-14T09:30:14+0000 SUBDEBUG Upgraded: slurm-slurmrestd-23.11.10-1.el9.x86_64\n"
        "2026-11-14T09:30:14+0000 SUBDEBUG Upgraded: slurm-slurmdbd-ohpc-1:23.11.9-320.ohpc.3.1.x86_64\n"
        "2026-11-14T09:30:15+0000 SUBDEBUG Upgraded: slurm-23.11.10-1.el9.x86_64\n"
    )
    assert upgraded_from("slurmrestd", dpkg, str(rpm)) == "23.11.10"
    assert upgraded_from("slurmdbd", dpkg, str(rpm)) == "23.11.9"
    assert upgraded_from("slurmd", dpkg, str(rpm)) is None
