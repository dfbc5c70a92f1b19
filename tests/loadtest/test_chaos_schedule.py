"""The schedule of faults: the same for the same seed, healed in time, never two of one track at once."""

import itertools

import pytest

from loadtest.chaos_run.schedule import KINDS, SETTLING, Fault, planned, track_of


def schedule(seed: int = 7, seconds: float = 600.0, only: tuple[str, ...] = ()) -> list[Fault]:
    return planned(seed=seed, seconds=seconds, replicas=3, lease=5.0, only=only)


def test_a_seed_gives_the_same_faults_again_and_another_seed_others() -> None:
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_ten_minutes_have_every_kind_of_fault() -> None:
    for seed in range(20):
        assert {fault.kind for fault in schedule(seed)} == set(KINDS)


@pytest.mark.parametrize("seconds", [5.0, 30.0, 600.0])
def test_every_fault_is_over_before_the_traffic_ends(seconds: float) -> None:
    for seed in range(20):
        assert all(fault.at + fault.seconds <= seconds for fault in schedule(seed, seconds))


def test_faults_of_one_track_follow_each_other() -> None:
    for seed in range(20):
        faults = schedule(seed)
        assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
        for track in ("replicas", "stores"):
            mine = [fault for fault in faults if track_of(fault) == track]
            for before, after in itertools.pairwise(mine):
                assert before.at + before.seconds + SETTLING.get(before.kind, 0.0) < after.at


def test_in_the_first_half_faults_stand_alone_and_in_the_second_they_meet() -> None:
    for seed in range(20):
        faults = schedule(seed)
        first = [fault for fault in faults if fault.at < 300.0]
        assert {fault.kind for fault in first} == set(KINDS)
        assert all(one.at + one.seconds + 5.0 < two.at for one, two in itertools.pairwise(first))
        second = [fault for fault in faults if fault.at >= 300.0]
        assert any(one.at + one.seconds > two.at for one, two in itertools.pairwise(second))


def test_replicas_die_while_stores_are_away() -> None:
    faults = schedule()
    stores = [fault for fault in faults if fault.kind.startswith(("postgres", "redis", "stores"))]
    kills = [fault for fault in faults if fault.kind in {"kill", "kill-all", "terminate"}]
    assert any(store.at < kill.at < store.at + store.seconds for store in stores for kill in kills)


def test_only_the_kinds_that_were_asked_for_are_dealt() -> None:
    assert {fault.kind for fault in schedule(only=("kill", "pause"))} == {"kill", "pause"}
