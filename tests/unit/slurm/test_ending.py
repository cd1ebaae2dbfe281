"""The line that decides among those with which a daemon of Slurm ends."""

from __future__ import annotations

import pytest
from slurmrest.slurm.ending import MOST_LINES, ending

DLOPEN = (
    "error: plugin_load_from_file: dlopen(/usr/lib/x86_64-linux-gnu/slurm-wlm/auth_jwt.so): libjwt.so.2: cannot open "
    "shared object file: No such file or directory"
)
MISMATCH = (
    "fatal: CLUSTER ID MISMATCH.",
    'slurmctld has been started with "ClusterID=2675", but the DBD thinks it should be "1744".',
    "Running multiple clusters from a shared StateSaveLocation WILL CAUSE CORRUPTION.",
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [
                "error: Configured MailProg is invalid",
                DLOPEN,
                "error: Couldn't load specified plugin name for auth/jwt: Dlopen of plugin file failed",
                "error: cannot create auth context for auth/jwt",
                "fatal: failed to initialize auth plugin",
                "slurmctld.service: Main process exited, code=exited, status=1/FAILURE",
            ],
            (1, 5),
        ),
        (
            [
                "error: job_submit/lua: Unable to stat /etc/slurm/job_submit.lua: No such file or directory",
                "error: Couldn't load specified plugin name for job_submit/lua: Plugin init() callback failed",
                "error: Configured MailProg is invalid",
                "error: cannot create job_submit context for job_submit/lua",
                "fatal: failed to initialize job_submit plugin",
            ],
            (0, 2, 3, 5),
        ),
        (
            [
                'error: s_p_parse_file: unable to read "/etc/slurm/slurm.conf": Permission denied',
                "error: ClusterName needs to be specified",
                "fatal: Unable to process configuration file",
            ],
            (0, 3),
        ),
        (["error: something of before", *MISMATCH, "slurmctld.service: Failed with result 'exit-code'."], (1, 4)),
        (["error: of the run before", "fatal: first", "error: then", "fatal: second"], (3, 4)),
        (["/usr/sbin/slurmctld: error while loading shared libraries: libx.so: cannot open"], (0, 1)),
        (
            ["error: Unable to open pidfile `/run/x': Permission denied", "fatal: failed to initialize auth plugin"],
            (1, 2),
        ),
        (["fatal: one", "error: told by another thread"], (0, 1)),
        (["error: not an end", "slurmctld.service: Failed with result 'signal'."], (0, 0)),
        ([], (0, 0)),
    ],
)
def test_an_end_is_told_from_its_cause(lines: list[str], expected: tuple[int, ...]) -> None:
    ranges = zip(expected[::2], expected[1::2], strict=True)
    assert ending(lines) == [line for start, end in ranges for line in lines[start:end]]


def test_a_long_end_keeps_its_cause_and_its_fatal() -> None:
    lines = ["error: cause", *["error: cannot create x context for y"] * 20, "fatal: failed to initialize x plugin"]
    found = ending([*lines, *["more"] * 20])
    assert found[0] == "error: cause"
    assert "fatal: failed to initialize x plugin" in found
    assert len(found) == 2 * MOST_LINES
