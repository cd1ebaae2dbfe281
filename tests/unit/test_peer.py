"""Modules that take or return secrets run in private, or not at all."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError

peer = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.peer")


class Connection:
    """A connection that can pipeline, or cannot."""

    def __init__(self, *, able: bool = True) -> None:
        self.able = able
        self.always_pipeline_modules = False
        self._play_context = SimpleNamespace(no_log=False)

    def is_pipelining_enabled(self) -> bool:
        return self.able and self.always_pipeline_modules

    @property
    def state(self) -> tuple[bool, bool]:
        return self.always_pipeline_modules, self._play_context.no_log


def test_within_it_nothing_is_written_or_shown_and_afterwards_all_is_as_before() -> None:
    connection = Connection()
    with peer.private(SimpleNamespace(_connection=connection)):
        assert connection.state == (True, True)
    assert connection.state == (False, False)


def test_a_connection_without_pipelining_is_refused() -> None:
    connection = Connection(able=False)
    with (
        pytest.raises(AnsibleError, match="cannot use standard input"),
        peer.private(SimpleNamespace(_connection=connection)),
    ):
        pytest.fail("it ran")
    assert connection.state == (False, False)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("ANSIBLE_KEEP_REMOTE_FILES", "would be written to a temporary file: ANSIBLE_KEEP_REMOTE_FILES is set"),
        ("ANSIBLE_DEBUG", "would be shown: ANSIBLE_DEBUG is set"),
    ],
)
def test_what_would_give_a_secret_away_is_refused(variable: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    connection = Connection(able=variable != "ANSIBLE_KEEP_REMOTE_FILES")
    with pytest.raises(AnsibleError, match=words), peer.private(SimpleNamespace(_connection=connection)):
        pytest.fail("it ran")
