"""What a reader is told: figures, promises, trends, transcripts."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from loadtest.people_run import open_loop, vitals
from loadtest.people_run.count import judged
from loadtest.people_run.report import KEPT, Spread, document, figures, spread, text, write
from loadtest.people_run.said import Heard, Story
from loadtest.people_run.transcripts import Told, differences, transcript
from loadtest.people_run.trend import settled, trend
from loadtest.soak import BOUNDS, FLAT, Soak
from loadtest.soak import document as soak_document
from loadtest.soak import text as soak_text
from tests.loadtest.test_people_count import FINE, TWO, line, reply, story

PHONE = "917000000001"


def test_percentiles_are_of_the_nearest_rank_and_of_nothing_they_are_nothing() -> None:
    assert spread([float(one) for one in range(1, 101)]) == Spread(100, 50.0, 95.0, 99.0, 100.0)
    assert spread([3.0]) == Spread(1, 3.0, 3.0, 3.0, 3.0)
    assert spread([]) == Spread(0, 0.0, 0.0, 0.0, 0.0)


def shown(told: Story) -> str:
    verdict = judged(told)
    return text(figures(told, verdict), verdict)


def test_a_report_tells_rates_and_latencies_by_kind_and_that_all_was_kept() -> None:
    asked = [*TWO, line(3, "When #1?", question="#1")]
    told = story(asked, [*FINE, reply("#1 Soon. (simulated)", 5.0)])
    found = figures(told, judged(told))
    assert (found.rate, found.reply_rate, found.came, found.unanswered) == (0.3, 0.3, 3, 0)
    assert {kind: one.count for kind, one in found.ends.items()} == {"flow": 2, "model": 1, "agent": 0}
    assert "answered after, model" in shown(told)
    assert shown(told).endswith(KEPT)


def test_a_report_tells_each_broken_promise_with_whom_it_met() -> None:
    told = shown(story(TWO, FINE[:1]))
    assert f"BROKEN: 1 x acknowledged and not answered (P1)\n  {PHONE} 'word 2'" in told
    assert KEPT not in told


def test_the_document_has_figures_and_what_was_broken(tmp_path: Any) -> None:
    told = story(TWO, FINE[:1])
    verdict = judged(told)
    write(str(tmp_path / "x.json"), document(figures(told, verdict), verdict))
    kept = msgspec.json.decode((tmp_path / "x.json").read_bytes())
    assert kept["figures"]["unanswered"] == kept["broken"][0]["count"] == 1
    write(None, {})


# --- transcripts -----------------------------------------------------------------------------------------------------


def told(seq: int, direction: str, words: str | None, status: str = "delivered") -> Told:
    return Told(seq, direction, words, status)


HISTORY = [
    told(1, "inbound", "hello 1", "received"),
    told(2, "outbound", "Heard hello 1"),
    told(3, "inbound", "word 2", "received"),
    told(4, "outbound", "Echo word 2"),
]


def test_a_transcript_that_says_what_happened_differs_in_nothing() -> None:
    assert differences(PHONE, TWO, FINE, HISTORY) == []
    withheld = told(5, "outbound", "too late", "withheld")
    assert differences(PHONE, TWO, FINE, [*HISTORY, withheld]) == []
    image = [line(1, "", "What?"), *TWO[:0]]
    assert differences(PHONE, image, [], [told(1, "inbound", "[image]", "received")]) == []


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (HISTORY[:-1], "was sent 'Echo word 2' as number 1, and the transcript has None"),
        (HISTORY[1:], "said 'hello 1' as number 0, and the transcript has 'word 2'"),
        ([*HISTORY, told(5, "outbound", "more")], "was sent None as number 2, and the transcript has 'more'"),
        ([*HISTORY[:3], told(4, "outbound", "Echo word 2", "sending")], "is still sending"),
    ],
)
def test_a_transcript_that_says_otherwise_is_told(spoilt: list[Told], words: str) -> None:
    (found,) = differences(PHONE, TWO, FINE, spoilt)
    assert words in found


def test_what_was_under_way_at_the_end_may_be_in_the_transcript_or_not() -> None:
    asked = [*TWO, line(3, "word 3", acked=0.0, abandoned=True)]
    assert differences(PHONE, asked, FINE, HISTORY) == []
    assert differences(PHONE, asked, FINE, [*HISTORY, told(5, "inbound", "word 3", "received")]) == []


def test_a_transcript_is_read_over_all_pages_of_all_conversations_of_this_phone() -> None:
    pages: dict[str, Any] = {
        "/conversations?q=1&limit=200&cursor=": {
            "items": [one("b", "1", "2026-01-02"), one("x", "31", "2026-01-01")],
            "next": "more",
        },
        "/conversations?q=1&limit=200&cursor=more": {"items": [one("a", "1", "2026-01-01")], "next": None},
        "/conversations/a?limit=200&cursor=": {"messages": [message("a1")], "messages_next": None},
        "/conversations/b?limit=200&cursor=": {"messages": [message("b2")], "messages_next": "p/2"},
        "/conversations/b?limit=200&cursor=p/2": {"messages": [message("b1")], "messages_next": None},
    }
    assert [found.text for found in transcript(pages.__getitem__, "1")] == ["a1", "b1", "b2"]


def one(identity: str, phone: str, at: str) -> dict[str, str]:
    return {"id": identity, "phone_number": phone, "created_at": at, "more": "is ignored"}


def message(words: str) -> dict[str, Any]:
    return {"seq": 1, "direction": "inbound", "text": words, "delivery_status": "received"}


# --- the open loop ---------------------------------------------------------------------------------------------------


def test_the_open_loop_draws_its_times_beforehand_and_asks_everybody_before_anybody_again() -> None:
    shots = open_loop.planned(["1", "2", "3"], 100.0, 0.5, "seed", 80)
    assert [shot.said.phone for shot in shots[:6]] == ["1", "2", "3"] * 2
    assert len(shots) == 50
    assert [shot.due for shot in shots] == sorted(shot.due for shot in shots)
    assert 0.3 < shots[-1].due < 0.8
    assert (shots[0].said.wants, shots[3].said.wants) == (("Heard hello 0",), ("Echo word 1",))
    assert [shot.due for shot in open_loop.planned(["1"], 100.0, 0.5, "other", 80)] != [shot.due for shot in shots]


def test_a_target_that_was_missed_is_named() -> None:
    slow = story([line(1, "hello 1", "Heard hello 1", ack_seconds=0.5)], FINE[:1])
    found = figures(slow, judged(slow))
    assert open_loop.misses(found) == [
        "MISSED: acknowledgement p99 is 500.0 ms, the target 20 ms",
        "MISSED: end to end p99 is 200.0 ms, the target 60 ms",
    ]
    used = open_loop.Spent(0.1, 2.0, 0.1).since(open_loop.Spent(0.09975, 1.0, 0.0))
    told = open_loop.shown(found, judged(slow), used, ["missed"])
    assert "250 us" in told
    assert "no processor for 10.0% of the time" in told
    assert told.endswith("missed")
    assert "DRIVER WAS LATE" not in told
    late = msgspec.structs.replace(found, late=spread([0.02]))
    assert "DRIVER WAS LATE by 20.0 ms" in open_loop.shown(late, judged(slow), used, [])
    assert open_loop.misses(figures(story([], []), judged(story([], [])))) == []


# --- the soak --------------------------------------------------------------------------------------------------------


def looks(slope: float, *, noise: float = 0.0) -> list[tuple[float, float]]:
    """An hour, a look every ten seconds; `slope` in KB a minute."""
    return [(at, 90_000 + slope * at / 60 + noise * (-1) ** (at // 10)) for at in range(0, 3600, 10)]


def test_the_trend_is_the_slope_of_a_straight_line_with_its_error() -> None:
    found = trend(looks(100.0, noise=500.0))
    assert found.slope == pytest.approx(100.0, abs=3 * found.error)
    assert found.grows(64.0)
    assert not found.grows(200.0)
    assert not trend(looks(0.0, noise=500.0)).grows(0.0)
    assert not trend(looks(100.0)[:2]).grows(0.0)
    assert not trend([(1.0, 1.0)] * 9).grows(0.0)


def test_what_fills_caches_in_the_first_third_is_no_trend() -> None:
    filling = [(at, 90_000.0 + min(at, 1100) * 40) for at in range(0, 3600, 10)]
    assert trend(filling).grows(64.0)
    assert not trend(settled(filling)).grows(64.0)
    assert settled([]) == []


def soak(slope: float) -> Soak:
    seen = [
        vitals.Look(at=at, memory=int(value), descriptors=40, threads=3, connections=8, gauges={})
        for at, value in looks(slope)
    ]
    return Soak(
        looks=seen,
        newcomers=40.0,
        before=[],
        after=[vitals.Table("messages", 2048, 10, 3), vitals.Table("none", 1, 0, 0)],
    )


def test_a_soak_says_whether_memory_grows_and_what_the_tables_hold() -> None:
    assert soak(0.0).problems(BOUNDS) == []
    (found,) = soak(500.0).problems(BOUNDS)
    assert found == "BROKEN: memory grows by 500.0 a minute, error 0.0, bound 64.00"
    assert soak_text(soak(500.0), BOUNDS, [found]).endswith(found)
    flat = soak_text(soak(0.0), BOUNDS, []).splitlines()
    assert flat[-1] == FLAT
    assert flat[-3].split() == ["messages", "0", "2", "10", "3"]
    assert ["memory", "90000", "90000", "90000", "90000", "+0.00", "0.00", "64.00"] in [row.split() for row in flat]
    assert soak_document(soak(0.0))["trends"]["memory"]["points"] == 40


@pytest.mark.parametrize("part", ["descriptors", "threads", "connections"])
def test_a_soak_finds_what_leaks_beside_memory_too(part: str) -> None:
    seen = soak(0.0).looks
    leaking = [msgspec.structs.replace(one, **{part: 10 + int(one.at / 30)}) for one in seen]
    (found,) = Soak(looks=leaking, newcomers=0.0, before=[], after=[]).problems(BOUNDS)
    assert found.startswith(f"BROKEN: {part} grows by 2.0 a minute")
    once = [msgspec.structs.replace(one, connections=8 + (one.at > 2500)) for one in seen]
    assert Soak(looks=once, newcomers=0.0, before=[], after=[]).problems(BOUNDS) == []


def test_what_the_service_remembers_of_newcomers_by_design_is_no_leak() -> None:
    told = soak(70.0)
    assert told.problems(BOUNDS) != []
    assert told.problems(told.bounds(64.0)) == []
    assert "40 newcomers a minute" in soak_text(told, told.bounds(64.0), [])


def test_a_soak_too_short_to_know_anything_is_not_passed() -> None:
    short = msgspec.structs.replace(soak(0.0), looks=soak(0.0).looks[:2])
    assert short.problems(BOUNDS) == ["BROKEN: too few looks to say whether anything grows"]


def test_gauges_are_summed_over_their_series_and_others_left_out() -> None:
    seen = "# TYPE bot_live_conversations gauge\nbot_live_conversations 7.0\nbot_other 1.0\n"
    assert vitals.gauges(seen) == {"bot_live_conversations": 7.0}


def test_what_can_be_tapped_is_read_from_the_providers_list() -> None:
    heard = msgspec.json.decode(
        b'[{"id":"1","to":"2","text":"t","at":1.0,"crqid":"c","content":{"type":"list","sections":'
        b'[{"title":"","rows":[{"id":"r","title":"Tea","description":""}]}]}}]',
        type=list[Heard],
    )
    assert [option.title for option in heard[0].offered] == ["Tea"]


async def fired(port: int, answer: Handler) -> tuple[list[open_loop.Shot], float]:
    """Six messages of three customers in about 60 ms, against a webhook of this test's."""
    app = web.Application()
    app.router.add_post("/webhook/msg91", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    shots = open_loop.planned(["1", "2", "3"], 100.0, 0.06, "seed", port)
    seconds = await open_loop.fire(shots, port)
    await runner.cleanup()
    return shots, seconds


async def test_the_open_loop_waits_for_no_answer_and_counts_what_is_refused(unused_tcp_port: int) -> None:
    held = asyncio.Event()

    async def webhook(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        if "hello 0" in body and '"customerNumber":"1"' in body:
            await held.wait()
        else:
            held.set()  # somebody else got through meanwhile
        return web.Response(status=503 if '"customerNumber":"3"' in body else 200)

    shots, seconds = await fired(unused_tcp_port, webhook)
    assert seconds > shots[-1].due
    assert [bool(shot.said.acked) for shot in shots] == [True, True, False, True, True, False]
    assert all(shot.said.attempts == 1 and shot.late >= 0 for shot in shots)


async def test_what_the_driver_was_kept_from_counts_as_waiting(unused_tcp_port: int) -> None:
    seen: list[float] = []

    async def webhook(request: web.Request) -> web.Response:
        await request.read()
        seen.append(time.perf_counter())
        while len(seen) == 1 and time.perf_counter() < seen[0] + 0.2:
            pass  # the driver is in the same thread
        return web.Response()

    shots, _ = await fired(unused_tcp_port, webhook)
    assert max(shot.late for shot in shots) > 0.05
    assert all(shot.said.ack_seconds >= shot.late for shot in shots)


async def test_where_nobody_listens_everything_is_refused_and_the_run_goes_on(unused_tcp_port: int) -> None:
    shots = open_loop.planned(["1"], 100.0, 0.03, "seed", unused_tcp_port)
    await open_loop.fire(shots, unused_tcp_port)
    assert [(shot.said.acked, shot.said.attempts) for shot in shots] == [(0.0, 1)] * 3
