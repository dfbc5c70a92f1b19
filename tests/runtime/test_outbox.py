"""Lanes: one message of a customer at a time, in order, whatever the provider, the store and other replicas do."""

import asyncio

import pytest

from bot.core.ids import MessageId
from bot.ports.failures import Unacceptable
from bot.runtime.gate import HELD_STEP, NUMBER_PAUSE
from bot.runtime.proofs import UNCERTAIN_WAIT
from bot.wire.msg91.deliveries import Reported
from bot.wire.msg91.outcomes import Deferred, Rejected
from bot.wire.msg91.reports import DeliveryReport, ReportStatus
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.outside import BUSY, DOWN, LOST, REFUSED
from tests.runtime.replica import NUMBER, PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

OTHER = "919000000009"


@pytest.fixture
def world() -> World:
    return World(echo_book())


def statuses(world: World, phone: str = PHONE) -> list[str]:
    return [message.status for message in world.tables.outbound(world.customer(phone))]


def claims(world: World, phone: str = PHONE) -> list[str]:
    return [message.claimed_by for message in world.tables.outbound(world.customer(phone))]


def message_ids(world: World) -> list[MessageId]:
    return [message.row.id for message in world.tables.outbound(world.customer())]


async def report(replica: Replica, message: MessageId, status: ReportStatus = "sent") -> None:
    await replica.intake.accept([Reported(report=DeliveryReport(status=status, message_id=message, reason="gone"))])
    await replica.clock.settled()


async def test_messages_of_a_customer_go_out_one_at_a_time_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.gate = asyncio.Event()
    await replica.hear("thrice a")
    await replica.hear("say b")
    await clock.settled()
    assert world.channel.texts == ["1 thrice a"]
    assert statuses(world) == ["sending", "pending", "pending", "pending"]
    world.channel.gate.set()
    await clock.settled()
    assert world.channel.texts == ["1 thrice a", "2 thrice a", "3 thrice a", "1 say b"]
    assert world.channel.most_under_way == 1
    assert statuses(world) == ["sent"] * 4
    assert claims(world) == [""] * 4
    assert len(replica.delivery) == 0


async def test_customers_do_not_wait_for_each_other(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(delivery_workers=3)
    world.channel.gate = asyncio.Event()
    for number in range(5):
        await replica.hear("say x", phone=f"91900000000{number}")
    await clock.settled()
    assert world.channel.most_under_way == 3
    world.channel.gate.set()
    await clock.settled()
    assert len(world.channel.sent) == 5


async def test_the_store_knows_of_each_message_before_it_goes_out(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    plain = world.channel.send
    seen: list[str] = []

    async def looking(*args, reference, **kwargs):  # type: ignore[no-untyped-def]
        seen.append(world.tables.messages[reference].status)
        return await plain(*args, reference=reference, **kwargs)

    world.channel.send = looking  # type: ignore[method-assign]
    world.channel.outcomes.extend([BUSY, DOWN, LOST])
    await replica.say("thrice a")
    await replica.say("say b")
    await clock.advance(60)
    assert len(seen) == 7
    assert set(seen) == {"sending"}


async def test_the_answer_of_the_provider_is_kept(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    await replica.say("say a")
    (message,) = world.tables.outbound()
    assert (message.provider_id, message.request_id, message.attempts) == ("wamid.1", "request-1", 1)
    assert world.channel.sent[0].recipient == PHONE
    assert world.channel.sent[0].number == NUMBER


# --- failures --------------------------------------------------------------------------------------------------------


async def test_a_refused_message_fails_at_once_and_the_next_goes_out(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    alarming = Rejected(reason="the key is wrong", code=401, alert=True, opt_out=False)
    world.channel.outcomes.extend([REFUSED, alarming])
    await replica.say("thrice a")
    assert statuses(world)[:3] == ["failed", "failed", "sent"]
    first = world.tables.outbound()[0]
    assert (first.reason, first.code) == ("no such number", 131026)
    assert world.conversation().mode == "queue"


async def test_a_transient_failure_is_tried_again_before_anything_else(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.outcomes.extend([BUSY, BUSY])
    await replica.say("twice a")
    assert world.channel.texts == ["1 twice a"]
    assert statuses(world) == ["pending", "pending"]
    await clock.advance(10)
    assert world.channel.texts == ["1 twice a"] * 3 + ["2 twice a"]
    assert statuses(world) == ["sent", "sent"]


async def test_the_wait_that_the_provider_names_is_never_undercut(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.outcomes.append(Deferred(reason="", code=0, retry_after=30.0, scope="message", uncertain=False))
    await replica.say("say a")
    await clock.advance(29)
    assert len(world.channel.sent) == 1
    await clock.advance(2)
    assert len(world.channel.sent) == 2


async def test_what_cannot_be_delivered_in_time_has_failed(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(give_up=60.0)
    world.channel.outcomes.extend([BUSY] * 100)
    await replica.say("say a")
    await clock.advance(200)
    assert statuses(world)[0] == "failed"
    assert len(replica.delivery) == 0
    assert world.conversation().mode == "queue"


async def test_what_waited_too_long_for_the_breaker_has_failed_without_a_try(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(give_up=5.0, fail_max=1)
    world.channel.outcomes.append(DOWN)
    await replica.say("say a")
    await replica.say("say b", OTHER)
    await clock.advance(30)
    assert statuses(world) == ["failed"]
    assert statuses(world, OTHER) == ["failed"]
    assert world.channel.texts == ["1 say a"]


async def test_a_send_that_raises_is_tried_again(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    world.channel.outcomes.append(RuntimeError("a bug"))
    await replica.say("say a")
    await clock.advance(5)
    assert statuses(world) == ["sent"]
    assert replica.breaker.admit()


# --- lost answers ----------------------------------------------------------------------------------------------------


async def test_a_lost_answer_waits_for_proof_and_is_then_sent_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.outcomes.append(LOST)
    await replica.say("say a")
    await clock.advance(UNCERTAIN_WAIT - 0.1)
    assert len(world.channel.sent) == 1
    assert statuses(world) == ["sending"]
    await clock.advance(3)
    assert world.channel.texts == ["1 say a"] * 2


async def test_a_report_proves_that_a_lost_answer_was_a_yes(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.outcomes.append(LOST)
    await replica.say("twice a")
    await report(replica, message_ids(world)[0])
    assert world.channel.texts == ["1 twice a", "2 twice a"]
    await clock.advance(60)
    assert len(world.channel.sent) == 2
    assert statuses(world) == ["sent", "sent"]


async def test_a_report_that_comes_before_the_answer_is_lost_proves_as_much(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.gate = asyncio.Event()
    world.channel.outcomes.append(LOST)
    await replica.say("twice a")
    await report(replica, message_ids(world)[0], "delivered")
    world.channel.gate.set()
    await clock.advance(60)
    assert world.channel.texts == ["1 twice a", "2 twice a"]
    assert statuses(world) == ["delivered", "sent"]


async def test_a_report_that_comes_while_a_repetition_waits_spares_it(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.outcomes.append(
        Deferred(reason="", code=0, retry_after=30.0, scope="message", uncertain=True),
    )
    await replica.say("twice a")
    await clock.advance(UNCERTAIN_WAIT + 1)
    await report(replica, message_ids(world)[0])
    await clock.advance(60)
    assert world.channel.texts == ["1 twice a", "2 twice a"]


async def test_reports_of_messages_that_are_not_on_their_way_change_nothing(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("say a")
    await report(replica, message_ids(world)[0], "read")
    replica.delivery.proofs.reported(message_ids(world)[0])
    assert statuses(world) == ["read"]
    assert len(world.channel.sent) == 1


async def test_a_report_of_failure_becomes_an_event(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    await replica.say("say a")
    await report(replica, message_ids(world)[0], "failed")
    assert world.conversation().mode == "queue"
    assert statuses(world) == ["failed"]


async def test_a_report_that_overtook_the_answer_is_applied_with_the_note(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.channel.gate = asyncio.Event()
    await replica.say("say a")
    early = DeliveryReport(status="failed", provider_id="wamid.1", reason="gone", code=131026)
    await replica.intake.accept([Reported(report=early)])
    world.channel.gate.set()
    await clock.settled()
    assert statuses(world) == ["failed"]
    assert world.conversation().mode == "queue"


# --- pace, breaker, pauses -------------------------------------------------------------------------------------------


async def test_after_a_burst_one_recipient_gets_one_message_per_interval(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(burst=2, interval=6.0)
    await replica.say("thrice a")
    await replica.say("say b")
    await replica.say("say c", OTHER)
    assert world.channel.texts == ["1 thrice a", "2 thrice a", "1 say c"]
    await clock.advance(6.1)
    assert world.channel.texts[3:] == ["3 thrice a"]
    await clock.advance(6.1)
    assert world.channel.texts[4:] == ["1 say b"]


async def test_an_open_breaker_holds_everybody_and_lets_one_try(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(fail_max=3)
    world.channel.outcomes.extend([DOWN] * 4)
    for number in range(6):
        await replica.say("say a", phone=f"91900000000{number}")
    assert replica.breaker.state == "open"
    before = len(world.channel.sent)
    await clock.advance(9)
    assert len(world.channel.sent) == before == 3
    await clock.advance(2)
    assert len(world.channel.sent) == 4
    assert replica.breaker.state == "open"
    await clock.advance(60)
    assert [statuses(world, f"91900000000{number}") for number in range(6)] == [["sent"]] * 6


async def test_a_half_open_breaker_lets_the_rest_go_after_a_good_probe(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(fail_max=1, delivery_workers=4)
    world.channel.outcomes.append(DOWN)
    for number in range(4):
        await replica.say("say a", phone=f"91900000000{number}")
    assert len(world.channel.sent) == 1
    world.channel.gate = asyncio.Event()
    await clock.advance(12)
    assert world.channel.under_way == 1
    world.channel.gate.set()
    await clock.advance(HELD_STEP * 2)
    assert len(world.channel.sent) == 5


async def test_a_pause_of_our_number_holds_everybody(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    world.channel.outcomes.append(Deferred(reason="slow", code=0, retry_after=None, scope="number", uncertain=False))
    await replica.say("say a")
    await replica.say("say b", OTHER)
    await clock.advance(NUMBER_PAUSE - 0.1)
    assert len(world.channel.sent) == 1
    await clock.advance(1)
    assert sorted(world.channel.texts) == ["1 say a", "1 say a", "1 say b"]


# --- notes -----------------------------------------------------------------------------------------------------------


async def test_notes_wait_for_the_store(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(sweeping=False)
    world.channel.gate = asyncio.Event()
    await replica.say("twice a")
    replica.database.fail("outbox.note", times=3)
    world.channel.gate.set()
    await clock.settled()
    assert statuses(world) == ["sending", "pending"]
    await clock.advance(2)
    assert statuses(world) == ["sent", "sent"]
    assert world.channel.texts == ["1 twice a", "2 twice a"]


async def test_a_note_that_the_store_refuses_does_not_stop_the_lane(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    replica.database.fail("outbox.note", error=Unacceptable("no"))
    await replica.say("twice a")
    assert world.channel.texts == ["1 twice a", "2 twice a"]
