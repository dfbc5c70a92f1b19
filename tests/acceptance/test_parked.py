"""What cannot be applied waits for an operator with everything that comes after it, on whichever replica that comes;
nobody else waits, and nothing else is lost.

A step is made to fail from outside: the database refuses what a customer says, or holds a state that no key opens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.runtime.setbacks import TRIES
from tests.acceptance.pair import Pair, paired
from tests.acceptance.world import Service, until

PHONE, OTHER, OPTED_OUT = "919800000031", "919800000032", "919800000033"
FLOWS: Mapping[str, str] = {
    "count": """
flow_id: count
triggers: [{type: keyword, values: [hello]}]
steps:
  - {id: ask, type: input, variable: said, text: "Heard {message}"}
  - {id: more, type: input, variable: said, text: "Echo {said}"}
  - {id: loop, type: goto, target: more}
""",
    "rules": "languages: [en]",
}
OUT = "You will get no more messages from us. Write START to hear from us again."
FIRED = "select count(*) from journal where user_id = $1 and kind = 'timer_fired' and consumed_at is not null"


async def refuse(pair: Pair, customer: int) -> None:
    """From now on the database takes no message of this customer."""
    sql = f"alter table messages add constraint refused check (user_id <> {customer}) not valid"
    await pair.database.execute(sql)


async def repair(pair: Pair) -> None:
    await pair.database.execute("alter table messages drop constraint refused")


async def listed(replica: Service) -> list[dict[str, Any]]:
    status, found = await replica.api("GET", "/parked")
    assert status == 200, found
    return list(found["items"])


async def parked(pair: Pair) -> dict[str, Any]:
    """The one customer who is parked, as both replicas show it."""
    (one,) = await until(lambda: listed(pair.first), "a customer is parked")
    assert await listed(pair.second) == [one]
    return dict(one)


async def release(replica: Service, number: int, how: str) -> None:
    status, answer = await replica.api("POST", f"/parked/{number}/{how}")
    assert (status, answer) == (200, {"status": "done", "id": number})
    status, answer = await replica.api("POST", f"/parked/{number}/{how}")
    assert status == 404, answer


async def shows(replica: Service, metric: str, value: float) -> None:
    async def shown() -> bool:
        return await replica.metric(metric) == value

    await until(shown, f"{metric} is {value}")


def parkings(pair: Pair) -> int:
    """How often any replica said that it parks a conversation."""
    return sum(replica.log.read_text().count("a conversation is parked") for replica in (pair.first, pair.second))


async def waiting(pair: Pair, customer: int, count: int) -> None:
    unread = (
        "select count(*) = $2 from journal where user_id = $1 and consumed_at is null and kind = 'message_received'"
    )
    await pair.holds(unread, customer, count, what=f"{count} messages wait")


async def test_an_event_that_cannot_be_applied_holds_up_its_customer_and_nobody_else(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = {"SESSION_TIMEOUT": "6", "UNANSWERED_AFTER": "0.5"}
    async with paired(database_url, redis_url, tmp_path, FLOWS, **settings) as pair:
        first, second = pair.first, pair.second
        await pair.hear(first, PHONE, "hello")
        await pair.told(PHONE, "Heard hello")
        await pair.rest()
        customer = await pair.customer(PHONE)
        due = await pair.value("select due_at from timers where user_id = $1 and kind = 'session'", customer)
        await refuse(pair, customer)
        await pair.hear(first, PHONE, "one")
        one = await parked(pair)
        await pair.hear(second, PHONE, "two")
        await repair(pair)
        await release(second, one["id"], "discard")
        await pair.told(PHONE, "Heard hello", "Echo two")
        noted = "select count(*) from audit where user_id = $1 and action = 'event_discarded' and by_whom = 'admin'"
        assert await pair.value(noted, customer) == 1
        await pair.rest()

        await refuse(pair, customer)
        await pair.hear(second, PHONE, "three")
        three = await parked(pair)
        assert (three["phone_number"], three["event"], three["attempts"]) == (PHONE, "message_received", TRIES)
        await pair.hear(first, PHONE, "four")
        await pair.hear(second, PHONE, "five")
        await pair.hear(second, OTHER, "hello")
        await pair.told(OTHER, "Heard hello")
        await pair.hear(first, OTHER, "there")
        await pair.told(OTHER, "Heard hello", "Echo there")
        for replica in (first, second):
            await shows(replica, "bot_parked_conversations", 1)
            await shows(replica, "bot_unanswered_customers", 1)
        await pair.holds("select now() > $1::timestamptz + interval '1.5 s'", due, what="a timer is due as well")
        assert await pair.value(FIRED, customer) == 0
        assert await parked(pair) == three
        assert parkings(pair) == 2
        await waiting(pair, customer, 3)
        await repair(pair)
        await release(first, three["id"], "retry")
        await pair.told(PHONE, "Heard hello", "Echo two", "Echo three", "Echo four", "Echo five")
        await pair.holds(FIRED, customer, what="the timer fires after all")
        for replica in (first, second):
            await shows(replica, "bot_parked_conversations", 0)
            await shows(replica, "bot_unanswered_customers", 0)


async def test_a_state_that_no_key_opens_is_given_up_only_when_an_operator_says_so_and_costs_no_message(
    servers: Any, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with paired(database_url, redis_url, tmp_path, FLOWS) as pair:
        first, second = pair.first, pair.second
        await pair.hear(first, OPTED_OUT, "STOP")
        await pair.told(OPTED_OUT, OUT)
        gone = await pair.customer(OPTED_OUT)
        await pair.hear(first, PHONE, "hello")
        await pair.told(PHONE, "Heard hello")
        customer = await pair.customer(PHONE)
        await pair.rest()
        await pair.kill()
        servers.flush_redis()
        await pair.value("update users set state = 'scribble' where id = any ($1)", [gone, customer])
        await pair.start()

        await pair.hear(first, PHONE, "hello")
        one = await parked(pair)
        assert (one["event"], one["error"]) == ("", "the state cannot be opened")
        await pair.hear(second, PHONE, "again")
        await release(second, one["id"], "retry")
        await until(lambda: listed(first), "the customer is parked again")
        again = await parked(pair)
        assert await pair.value("select state = 'scribble' from users where id = $1", customer)
        await waiting(pair, customer, 2)
        await release(first, again["id"], "discard")
        await pair.told(PHONE, "Heard hello", "Heard hello", "Echo again")
        await pair.rest()
        ended = "select count(*) filter (where completed_at is null), count(*) from conversations where user_id = $1"
        assert tuple(await pair.database.fetchrow(ended, customer)) == (1, 2)
        noted = "select detail from audit where user_id = $1 and action = 'conversation_begun_anew'"
        assert await pair.value(noted, customer) == "the state cannot be opened; it was held by: bot"

        await pair.hear(second, OPTED_OUT, "hello")
        await release(second, (await parked(pair))["id"], "discard")
        await pair.rest()
        await pair.told(OPTED_OUT, OUT)
        assert await pair.value("select count(*) from parked") == 0
