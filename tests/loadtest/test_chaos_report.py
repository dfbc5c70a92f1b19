"""The figures of a run: latencies, the longest silence after a fault, and the list of what was broken."""

from loadtest.chaos_run.count import Arrived, Broken, judged, reply_to
from loadtest.chaos_run.faults import Done
from loadtest.chaos_run.play import Run
from loadtest.chaos_run.replicas import Life
from loadtest.chaos_run.report import document, figures, latency, text
from loadtest.chaos_run.traffic import Asked
from loadtest.chaos_run.world import Plan

PLAN = Plan(replicas=2, customers=1, seconds=100.0, seed=1, rate=1.0)


def run(*, broken: tuple[Broken, ...] = ()) -> Run:
    """Four messages: two in peace, one acknowledged right before a kill, one while the killed replica is missed."""
    times = [(10.0, 10.1, 10.3), (20.0, 20.1, 20.2), (49.9, 50.0, 57.0), (52.0, 54.0, 57.5)]
    asked = [Asked("9198", number, tried, acked, 1) for number, (tried, acked, _) in enumerate(times)]
    arrived = [
        Arrived("9198", reply_to(one), at, str(one.number)) for one, (_, _, at) in zip(asked, times, strict=True)
    ]
    lives = [Life(0, 0.0, counts={"bot_swept_total": 2.0}), Life(1, 0.0, ended=51.0, how="killed")]
    return Run(
        plan=PLAN,
        began=0.0,
        rested=1.0,
        asked=asked,
        arrived=arrived,
        done=[Done("kill", 51.0, 55.0)],
        lives=lives,
        attempts={"accepted": 4, "refused connection": 2},
        repeated=1,
        verdict=judged(asked, arrived, lives),
        broken=broken,
    )


def test_latencies_are_told_apart_by_the_faults_they_met() -> None:
    found = figures(run())
    assert round(found.ack_quiet.most, 3) == 0.1
    assert round(found.ack.most, 3) == 2.0
    assert round(found.reply_quiet.most, 3) == 0.2
    (kill,) = found.kinds
    assert (kill.kind, kill.times, kill.seconds, kill.reply.count) == ("kill", 1, 4.0, 2)
    assert round(kill.reply.most, 3) == 7.0


def test_how_long_a_conversation_stood_still_is_counted_from_the_fault_or_the_acknowledgement() -> None:
    assert round(figures(run()).kinds[0].went_on, 3) == 6.0


def test_how_long_it_stood_still_is_told_only_of_faults_that_stood_alone() -> None:
    assert figures(run()).kinds[0].alone == 1
    both = run()
    both.done.append(Done("provider-down", 46.5, 47.0))
    assert [(kind.alone, kind.went_on) for kind in figures(both).kinds] == [(0, 0.0), (0, 0.0)]


def test_a_report_says_that_every_promise_was_kept_or_which_was_not() -> None:
    assert text(run()).endswith("Every promise was kept.")
    shown = text(run(broken=(Broken("lost", 2, ("9198 'hello 0'",)),)))
    assert "BROKEN: 2 x lost\n  9198 'hello 0'" in shown
    assert "kept" not in shown


def test_the_document_has_the_plan_the_figures_and_the_faults_in_seconds_from_the_start() -> None:
    shown = document(run())
    assert shown["plan"]["replicas"] == 2
    assert shown["figures"]["acknowledged"] == 4
    assert shown["faults"] == [{"kind": "kill", "began": 51.0, "ended": 55.0, "note": ""}]
    assert shown["broken"] == []


def test_latencies_of_none_and_of_one_are_no_error() -> None:
    assert latency([]).most == 0.0
    assert (latency([0.5]).p50, latency([0.5]).most) == (0.5, 0.5)
