"""A rotation over several hosts: the order, refusals, failures at every step, kills at every step."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.key_files import ended_without, is_retired
from slurmrest.errors import SlurmrestError
from slurmrest.rotation import host as rotation
from slurmrest.rotation.order import Refused, RotationFailed, RotationOptions, decided, plan, warning

from tests.unit.rotation_lab import GOOD, NEW, OLD, Host, Killed, Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THIRD = b"a third key, thirty-two bytes....."


def split(tmp_path: Path, *, rereads: bool = False) -> Lab:
    """Two slurmdbd hosts, a primary and a backup controller."""
    hosts = {
        "ctl": Host(tmp_path / "ctl", ("slurmctld",), rereads),
        "ctl2": Host(tmp_path / "ctl2", ("slurmctld",), rereads),
        "db": Host(tmp_path / "db", ("slurmdbd",)),
    }
    return Lab(hosts, "ctl")


def single(tmp_path: Path, *, rereads: bool = False) -> Lab:
    return Lab({"node1": Host(tmp_path / "node1", ("slurmdbd", "slurmctld"), rereads)}, "node1")


@pytest.fixture(autouse=True)
def _nothing_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of journals are written here: do not wait for the disk, and do not fork to read a key."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(rotation, "readable_as", lambda _path, _account: True)


def folder(tmp_path: Path, name: object) -> Path:
    path = tmp_path / str(name)
    path.mkdir()
    return path


LAYOUTS: list[Callable[..., Lab]] = [single, split]
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def looks(**hosts: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: {"components": components, "active": components, "reconfigure": True}
        for name, components in hosts.items()
    }


def test_the_order_is_backups_slurmdbd_primary() -> None:
    found = plan(looks(ctl=("slurmctld",), ctl2=("slurmctld",), db1=("slurmdbd",), db2=("slurmdbd",)), "ctl")
    assert list(map(str, found)) == [
        "ctl2: replace the key by rename, restart slurmctld",
        "db2: replace the key by rename, restart slurmdbd",
        "db1: replace the key by rename, restart slurmdbd",
        "ctl: replace the key by rename, reconfigure slurmctld",
    ]


def test_neighbouring_steps_on_a_host_are_one() -> None:
    assert list(map(str, plan(looks(one=("slurmdbd", "slurmctld")), "one"))) == [
        "one: replace the key by rename, restart slurmdbd, reconfigure slurmctld"
    ]
    found = plan(looks(ctl=("slurmctld", "slurmdbd"), ctl2=("slurmctld",)), "ctl")
    assert [(step.host, step.daemons) for step in found] == [
        ("ctl2", ("slurmctld",)),
        ("ctl", ("slurmdbd", "slurmctld")),
    ]
    found = plan(looks(ctl=("slurmctld",), ctl2=("slurmctld", "slurmdbd")), "ctl")
    assert [(step.host, step.daemons, step.reconfigure) for step in found] == [
        ("ctl2", ("slurmctld", "slurmdbd"), False),
        ("ctl", ("slurmctld",), True),
    ]


def test_a_daemon_that_does_not_run_is_not_started() -> None:
    found = looks(ctl=("slurmctld",), ctl2=("slurmctld",))
    found["ctl2"]["active"] = ()
    assert [(step.host, step.daemons) for step in plan(found, "ctl")] == [("ctl2", ()), ("ctl", ("slurmctld",))]


@each_layout
@pytest.mark.parametrize("rereads", [False, True])
def test_a_rotation(tmp_path: Path, layout: Callable[..., Lab], rereads: bool) -> None:
    lab = layout(tmp_path, rereads=rereads)
    done = lab.run()
    lab.assert_one_key(NEW)
    assert done["changeover"] == 0.2
    assert done["proof"] == {"/slurm": "accepted", "/slurmdb": "accepted"}
    assert list(done["steps"]) == done["plan"]
    assert lab.stopped == 1


def test_nobody_stands_by_while_the_primary_restarts(tmp_path: Path) -> None:
    lab = split(tmp_path)
    seen: dict[str, object] = {}
    ctl, backup = lab.hosts["ctl"], lab.hosts["ctl2"]
    load, database = ctl.load, lab.hosts["db"].load
    ctl.load = lambda name: (seen.update(ctl=backup.loaded[name]), load(name))[-1]  # type: ignore[method-assign]
    lab.hosts["db"].load = lambda name: (seen.update(db=backup.loaded["slurmctld"]), database(name))[-1]  # type: ignore[method-assign]
    lab.run()
    assert lab.away == [("ctl2", NEW)], "it has shown before that it runs on the new key"
    assert seen == {"ctl": None, "db": None}
    lab.assert_one_key(NEW)


def test_nobody_leaves_for_a_reconfigure(tmp_path: Path) -> None:
    lab = split(tmp_path, rereads=True)
    lab.run()
    assert lab.away == []


@pytest.mark.parametrize("name", ["db", "ctl"])
def test_who_was_stopped_is_back_where_the_rotation_fails(tmp_path: Path, name: str) -> None:
    lab = split(tmp_path)
    lab.hosts[name].refuses = {NEW}
    with pytest.raises(RotationFailed):
        lab.run()
    assert [host for host, _key in lab.away] == ["ctl2"]
    lab.assert_one_key(OLD)


@pytest.mark.parametrize("killed", [False, True])
def test_nobody_stands_by_while_the_primary_goes_back(tmp_path: Path, killed: bool) -> None:
    lab = split(tmp_path)
    ctl, backup = lab.hosts["ctl"], lab.hosts["ctl2"]
    seen: list[bytes | None] = []
    load = ctl.load

    def look_and_load(name: str) -> None:
        seen.append(backup.loaded[name])
        load(name)

    ctl.load = look_and_load  # type: ignore[method-assign]
    proving = lab.watch

    def refused(step: str) -> Any:
        if step == "prove-new":
            raise Killed if killed else SlurmrestError("the proof fails")
        return proving(step)

    lab.watch = refused  # type: ignore[method-assign]
    with pytest.raises(Killed if killed else RotationFailed):
        lab.run()
    if killed:
        lab.watch = proving  # type: ignore[method-assign]
        lab.revive()
        assert lab.prepare()["repaired"] == "undone"
    assert lab.away == [("ctl2", NEW), ("ctl2", OLD)], "it has shown before that it is back on the old key"
    assert seen == [None, None]
    lab.assert_one_key(OLD)


def test_who_did_not_get_the_new_key_goes_back_without_a_restart(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["ctl2"].refuses = {NEW}
    with pytest.raises(RotationFailed):
        lab.run()
    assert lab.away == []
    assert not [call for call in lab.hosts["ctl"].calls if "restart" in call]


def test_who_does_not_run_is_not_started(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["ctl2"].loaded["slurmctld"] = None
    lab.run()
    assert lab.away == []
    assert lab.hosts["ctl2"].loaded["slurmctld"] is None


def test_without_confirmation_it_says_what_would_happen_and_does_nothing(tmp_path: Path) -> None:
    lab = split(tmp_path)
    with pytest.raises(Refused) as caught:
        lab.prepare(RotationOptions(consent=True))
    assert "slurm_jwt_key_rotate_confirm: false is refused" in str(caught.value)
    assert "every outstanding token" in str(caught.value)
    assert "3. ctl: replace the key by rename, restart slurmctld" in str(caught.value)
    lab.assert_one_key(OLD)


def test_check_mode_says_the_same_and_does_nothing(tmp_path: Path) -> None:
    lab = split(tmp_path)
    prepared = lab.prepare(RotationOptions(consent=True), check=True)
    assert prepared["plan"] == [str(step) for step in plan(lab.conductor().looks, "ctl")]
    assert len(prepared["refused"]) == 1
    assert warning(plan(lab.conductor().looks, "ctl")) in "\n".join(lab.said)
    lab.assert_one_key(OLD)
    lab.said.clear()
    assert lab.prepare(check=True)["refused"] == []
    assert "refuses" not in "\n".join(lab.said)


def problem(lab: Lab, changes: dict[str, Any], host: str = "ctl", options: RotationOptions = GOOD) -> str:
    conductor = lab.conductor()
    conductor.looks[host] = {**conductor.looks[host], **changes}
    with pytest.raises(Refused) as caught:
        conductor.prepare(options, check=False)
    lab.assert_one_key(OLD)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": {"exists": False, "refusals": [], "proof": ""}}, "there is no key"),
        ({"key": {"exists": True, "refusals": ["mode 0644"], "proof": "x"}}, "ctl: mode 0644"),
        ({"shared_filesystem": "nfs4"}, "is on nfs4"),
        ({"copy": True}, "left a rollback copy"),
        ({"configured": {"slurmctld": "/other"}}, "slurmctld loads /other by its configuration"),
        ({"configured": {"slurmctld": ""}}, "slurmctld loads no HS256 key"),
        (
            {"newer": {"slurmctld": "/etc/slurm/slurm.conf changed after slurmctld was started"}},
            "slurmctld was started, and",
        ),
        ({"clusters": {"lab": "ctl", "other": ""}}, "slurmdbd also serves other"),
        ({"named": {"slurmctld": ["a", "b", "c"]}}, "slurmctld runs on a, b, c by the configuration, but of these"),
        ({"named": {"slurmdbd": ["db", "db2"]}}, "slurmdbd runs on db, db2 by the configuration, but of these only db"),
        (
            {"controllers": {"primary ctl": "DOWN", "backup ctl2": "UP"}},
            "slurmctld does not answer as the one in charge",
        ),
        ({"active": []}, "slurmctld does not answer as the one in charge"),
    ],
)
def test_refused_before_anything_changes(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in problem(split(tmp_path), changes)


def test_a_backup_in_charge_leads_while_the_primary_is_down(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.primary = "ctl2"
    lab.hosts["ctl"].loaded["slurmctld"] = None
    conductor = lab.conductor()
    conductor.looks["ctl2"] = {
        **conductor.looks["ctl2"],
        "controllers": {"primary ctl": "DOWN", "backup ctl2": "UP"},
    }
    conductor.prepare(GOOD, check=False)
    steps = plan(conductor.looks, "ctl2")
    assert [(step.host, step.daemons) for step in steps] == [
        ("ctl", ()),
        ("db", ("slurmdbd",)),
        ("ctl2", ("slurmctld",)),
    ]
    conductor.looks["ctl2"] = {**conductor.looks["ctl2"], "controllers": {"primary ctl": "DOWN", "backup ctl2": "DOWN"}}
    with pytest.raises(Refused, match="does not answer as the one in charge"):
        conductor.prepare(GOOD, check=False)


def test_without_a_controller_that_is_down_for_good_its_old_key_does_not_come_back(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.primary = "ctl2"
    gone = lab.hosts.pop("ctl")
    conductor = lab.conductor()
    named = {"slurmctld": ["ctl", "ctl2"]}
    conductor.looks["ctl2"] = {
        **conductor.looks["ctl2"],
        "named": named,
        "controllers": {"primary ctl": "DOWN", "backup ctl2": "UP"},
    }
    with pytest.raises(Refused, match="slurmctld runs on ctl, ctl2 by the configuration"):
        conductor.prepare(GOOD, check=False)
    without = replace(GOOD, without=["ctl"])
    conductor.prepare(without, check=False)
    conductor.without = without.without
    for host in lab.hosts.values():
        host.next.write_bytes(NEW)
        host.next.chmod(0o600)
    conductor.looks.update({name: {**look, **lab.look(name)} for name, look in conductor.looks.items()})
    conductor.rotate()
    for host in lab.hosts.values():
        assert host.path.read_bytes() == NEW
        state = str(host.directory / "state")
        assert is_retired(str(host.path), OLD, state) == ["ctl"]
        assert is_retired(str(host.path), NEW, state) == []
        assert ended_without(str(host.path), state) == ["ctl"]
        assert OLD not in (host.directory / "state" / "retired-jwt.key.json").read_bytes()
        host.key().keep()
        assert is_retired(str(host.path), OLD, state) == [], "a rotation of all hosts forgets it"
        assert ended_without(str(host.path), state) == []
    assert gone.path.read_bytes() == OLD


def test_a_run_that_another_controller_led_is_finished_too(tmp_path: Path) -> None:
    lab = split(tmp_path)
    found = {host: lab.look(host) for host in lab.hosts}
    found["ctl2"]["pending"] = {"phase": "decided"}
    assert decided(found, "ctl")
    found["ctl2"]["pending"] = {"phase": "begun"}
    assert not decided(found, "ctl")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    words = problem(split(tmp_path), {"shared_filesystem": "nfs", "clusters": {"lab": "", "a": "", "b": ""}})
    assert "is on nfs" in words
    assert "also serves a, b," in words


def test_keys_that_differ_are_refused(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["db"].path.write_bytes(THIRD)
    with pytest.raises(Refused, match="the keys differ: db has another one than ctl"):
        lab.prepare()


@pytest.mark.parametrize("layout", [single, split])
def test_all_named_hosts_are_there(tmp_path: Path, layout: Callable[..., Lab]) -> None:
    lab = layout(tmp_path)
    conductor = lab.conductor()
    names = {"slurmctld": ["one"] * (1 if layout is single else 2), "slurmdbd": ["localhost"]}
    conductor.looks = {host: {**look, "named": names} for host, look in conductor.looks.items()}
    assert conductor.prepare(GOOD, check=False)["refused"] == []


def test_slurmdbd_in_no_group_is_refused(tmp_path: Path) -> None:
    lab = split(tmp_path)
    del lab.hosts["db"]
    assert "slurmdbd runs on db by the configuration, but of these only none" in problem(
        lab, {"named": {"slurmdbd": ["db"]}}
    )


def of_two_clusters(tmp_path: Path) -> Lab:
    """The second controller is another cluster's, which is connected to the same slurmdbd."""
    lab = split(tmp_path)
    lab.hosts["ctl"].known_clusters = ("lab|ctl", "other|10.0.0.9")
    lab.hosts["ctl2"].cluster = "Other"
    return lab


def test_clusters_of_one_slurmdbd_are_rotated_together_when_named(tmp_path: Path) -> None:
    lab = of_two_clusters(tmp_path)
    with pytest.raises(Refused, match="slurmdbd also serves other"):
        lab.run()
    lab.run(options=RotationOptions(confirmed=True, consent=True, clusters=["OTHER"]))
    lab.assert_one_key(NEW)


def test_a_cluster_that_is_connected_and_not_in_the_run_is_refused_also_when_named(tmp_path: Path) -> None:
    lab = of_two_clusters(tmp_path)
    lab.hosts["ctl2"].cluster = "lab"
    named = RotationOptions(confirmed=True, consent=True, clusters=["other"])
    with pytest.raises(Refused, match=r"other \(slurmctld on 10\.0\.0\.9\) would be left with the old key"):
        lab.run(options=named)
    lab.assert_one_key(OLD)
    lab.hosts["ctl"].known_clusters = ("lab|ctl", "other|")
    lab.run(options=named)
    lab.assert_one_key(NEW)


def test_a_cluster_of_others_needs_consent(tmp_path: Path) -> None:
    without = RotationOptions(confirmed=True)
    assert "slurmrest_allow_controller_restart: false" in problem(split(tmp_path), {"ours": False}, "db", without)


def test_our_own_cluster_needs_none(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.run(options=RotationOptions(confirmed=True))
    lab.assert_one_key(NEW)


def test_new_keys_that_differ_are_refused_and_removed(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.stage()
    lab.hosts["db"].next.write_bytes(THIRD)
    with pytest.raises(Refused, match="differ between the hosts"):
        lab.conductor().rotate()
    lab.assert_one_key(OLD)


def test_the_old_key_again_is_refused(tmp_path: Path) -> None:
    lab = split(tmp_path)
    with pytest.raises(Refused, match="the new key is the old one"):
        lab.run(OLD)
    lab.assert_one_key(OLD)


def test_a_missing_new_key_is_refused(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.stage()
    lab.hosts["ctl2"].next.unlink()
    with pytest.raises(Refused, match="ctl2: the new key is not there"):
        lab.conductor().rotate()
    lab.assert_one_key(OLD)


def test_a_service_that_does_not_answer_before_is_left_alone(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["db"].loaded["slurmdbd"] = THIRD
    with pytest.raises(Refused, match="does not answer as it should, and the old key stays"):
        lab.run()
    assert [call for call in lab.hosts["ctl"].calls if "systemctl" in call] == []
    assert not lab.hosts["ctl"].next.exists()


@each_layout
@pytest.mark.parametrize("rereads", [False, True])
def test_whichever_host_fails_the_old_key_comes_back_everywhere(
    tmp_path: Path, layout: Callable[..., Lab], rereads: bool
) -> None:
    for name in layout(folder(tmp_path, "names")).hosts:
        lab = layout(folder(tmp_path, name), rereads=rereads)
        lab.hosts[name].refuses = {NEW}
        with pytest.raises(RotationFailed) as caught:
            lab.run()
        lab.assert_one_key(OLD)
        assert "The old key is back on every host (proven over HTTP on /slurm, /slurmdb" in str(caught.value)
        assert "Longest time without an accepted token: slurm 0.1 s" in str(caught.value)
        assert lab.stopped == 1


def test_a_daemon_that_silently_kept_the_old_key_is_found_by_the_proof(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["ctl"].rereads = True
    lab.stage()
    conductor = lab.conductor()
    lab.hosts["ctl"].rereads = False  # reconfigure does nothing
    with pytest.raises(RotationFailed, match="prove-new: not so"):
        conductor.rotate()
    lab.assert_one_key(OLD)


def test_a_host_that_is_lost_on_the_way_back_is_named(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.hosts["ctl"].refuses = {NEW}
    real = lab._call

    def call(host: str, step: str, arguments: Any) -> Any:
        if step == "undo" and host == "db":
            lab.unreachable = {"db"}
        return real(host, step, arguments)

    lab._call = call  # type: ignore[method-assign]
    with pytest.raises(RotationFailed) as caught:
        lab.run()
    assert "but not everywhere (NOT proven over HTTP)" in str(caught.value)
    assert "- db: db cannot be reached" in str(caught.value)
    assert "Run this again" in str(caught.value)
    lab.unreachable, lab.hosts["ctl"].refuses, lab._call = set(), set(), real  # type: ignore[method-assign]
    done = lab.run()
    assert done["repaired"] == "undone"
    lab.assert_one_key(NEW)


def test_a_host_that_is_lost_after_the_proof_is_finished_later(tmp_path: Path) -> None:
    lab = split(tmp_path)
    real = lab._call

    def call(host: str, step: str, arguments: Any) -> Any:
        if step == "keep":
            lab.unreachable = {"db"}
        return real(host, step, arguments)

    lab._call = call  # type: ignore[method-assign]
    with pytest.raises(RotationFailed, match="in force everywhere, but copies of the old one are left: db"):
        lab.run()
    assert lab.hosts["db"].copy.exists()
    lab.unreachable, lab._call = set(), real  # type: ignore[method-assign]
    assert lab.run()["repaired"] == "finished"
    lab.assert_one_key(NEW)


def test_an_uncertain_decision_changes_nothing_more(tmp_path: Path) -> None:
    lab = split(tmp_path)
    real = lab._call

    def call(host: str, step: str, arguments: Any) -> Any:
        if step == "decide":
            real(host, step, arguments)
            lab.unreachable = {"ctl"}
        return real(host, step, arguments)

    lab._call = call  # type: ignore[method-assign]
    with pytest.raises(RotationFailed, match="could not note it"):
        lab.run()
    assert {host.path.read_bytes() for host in lab.hosts.values()} == {NEW}
    lab.unreachable, lab._call = set(), real  # type: ignore[method-assign]
    assert lab.run()["repaired"] == "finished"
    lab.assert_one_key(NEW)


def test_a_lost_measurement_is_no_failure(tmp_path: Path) -> None:
    lab = split(tmp_path)
    real = lab._watch

    def watch(step: str) -> Any:
        if step == "stop":
            raise Refused("lost")
        return real(step)

    lab._watch = watch  # type: ignore[method-assign]
    assert lab.run()["changeover"] is None
    lab.assert_one_key(NEW)
    assert "Not measured: lost" in lab.said


# --- kills ------------------------------------------------------------------------------------------------------------


def complete(tmp_path: Path, layout: Callable[..., Lab], *, rereads: bool = True) -> int:
    """Return how many moments a whole run has."""
    lab = layout(folder(tmp_path, "complete"), rereads=rereads)
    lab.run()
    return lab.ticks


def killed(lab: Lab, content: bytes, **when: int) -> bool:
    """Run and be killed at a moment; tells whether it came to that."""
    for name, tick in when.items():
        setattr(lab, name, lab.ticks + tick)
    try:
        lab.run(content)
    except Killed:
        return True
    finally:
        lab.revive()
    return False


def assert_sound(lab: Lab) -> None:
    """Whatever the key is: one everywhere, and its tokens are accepted."""
    lab.assert_one_key(lab.hosts[lab.primary].path.read_bytes())
    lab._watch("sign")
    assert lab.accepts(lab.tokens["old"])


@pytest.mark.parametrize(("layout", "rereads"), [(single, True), (split, True), (split, False)])
@pytest.mark.parametrize("moment", ["kill_before", "kill_after"])
def test_killed_at_any_step_the_second_run_repairs(
    tmp_path: Path, layout: Callable[..., Lab], rereads: bool, moment: str
) -> None:
    outcomes = []
    for tick in range(1, complete(tmp_path, layout, rereads=rereads) + 1):
        lab = layout(folder(tmp_path, tick), rereads=rereads)
        assert killed(lab, NEW, **{moment: tick})
        outcomes.append(lab.run(THIRD)["repaired"])
        assert_sound(lab)
        assert (lab.hosts[lab.primary].path.read_bytes() == NEW) is (outcomes[-1] == "finished")
    # Nothing to repair at first, then undone, then finished, and nothing again when all was done.
    assert [outcome for outcome, _times in itertools.groupby(outcomes)][:3] == [None, "undone", "finished"]
    assert "undone" not in outcomes[outcomes.index("finished") :]


@each_layout
def test_killed_while_repairing_the_third_run_repairs(tmp_path: Path, layout: Callable[..., Lab]) -> None:
    last = complete(tmp_path, layout)
    for first in range(last // 3, last + 1, 3):
        for second in range(last // 3, last, 4):
            lab = layout(folder(tmp_path, f"{first}-{second}"))
            assert killed(lab, NEW, kill_after=first)
            killed(lab, THIRD, kill_after=second)
            lab.prepare()
            assert_sound(lab)


@pytest.mark.parametrize("calls", range(4))
@pytest.mark.parametrize("name", ["ctl", "ctl2", "db"])
def test_a_host_that_loses_power_is_repaired(tmp_path: Path, name: str, calls: int) -> None:
    lab = split(tmp_path)
    lab.hosts[name].kill_at = calls
    try:
        lab.run()
    except Killed:
        lab.revive()
        assert lab.run()["repaired"] in (None, "undone")
    lab.assert_one_key(NEW)


def test_a_run_that_was_still_alive_is_waited_for_and_left_alone(tmp_path: Path) -> None:
    lab = split(tmp_path)
    assert killed(lab, NEW, kill_before=complete(tmp_path, split) - 8)

    def come_to_an_end() -> None:
        for host in lab.hosts.values():
            host.key().keep()

    lab.while_asleep = come_to_an_end
    before = {name: len(host.calls) for name, host in lab.hosts.items()}
    key = lab.hosts["ctl"].path.read_bytes()
    lab.hosts["db"].load("slurmdbd")
    assert lab.run(THIRD)["repaired"] == "ended"
    assert lab.hosts["ctl"].path.read_bytes() == key
    assert lab.slept == [pytest.approx(30, abs=1)]
    assert all("restart" not in call for name, host in lab.hosts.items() for call in host.calls[before[name] :])


def test_a_run_that_goes_on_and_on_is_left_alone(tmp_path: Path) -> None:
    lab = split(tmp_path)
    assert killed(lab, NEW, kill_before=complete(tmp_path, split) - 8)
    lab.while_asleep = lambda: os.utime(lab.hosts["ctl"].journal)
    with pytest.raises(Refused, match="Another rotation of this key is under way"):
        lab.prepare()
    assert len(lab.slept) == 10


def test_the_last_step_of_a_killed_run_is_waited_for(tmp_path: Path) -> None:
    lab = split(tmp_path)
    assert killed(lab, NEW, kill_before=complete(tmp_path, split) - 8)

    def end_the_step() -> None:
        if len(lab.slept) == 1:
            os.utime(lab.hosts["ctl"].journal)

    lab.while_asleep = end_the_step
    assert lab.run(THIRD)["repaired"] == "undone"
    assert len(lab.slept) == 2
    lab.assert_one_key(THIRD)


def test_check_mode_says_what_would_be_repaired(tmp_path: Path) -> None:
    lab = split(tmp_path)
    lab.stage()
    assert lab.prepare(check=True)["repaired"] == "would"
    assert "would be undone first" in lab.said[-1]
    assert lab.hosts["db"].next.exists()
