"""Reminders and timeouts fire once, within a second or two of their time, whichever replica is alive, and promptly
after none was.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from tests.acceptance.pair import Pair, paired

ASKED, QUEUED, SILENT = "919800000021", "919800000022", "919800000023"
LATE_SECONDS = 2.5
"""How long after its time a timer may have had its effect, on a machine that is busy with other tests."""
SESSION_SECONDS = 7
FLOWS: Mapping[str, str] = {
    "ask": """
flow_id: ask
triggers: [{type: keyword, values: [ask]}]
steps:
  - {id: which, type: input, variable: which, text: "Which one?", remind: {after: 2, text: "Still there?"}}
  - {id: thanks, type: end, text: "Thank you."}
""",
    "wait": """
flow_id: wait
triggers: [{type: keyword, values: [wait]}]
steps:
  - {id: what, type: input, variable: what, text: "For what?", remind: none}
""",
    "rules": """
languages: [en]
no_agent: {after: 2, text: "Nobody is free yet."}
""",
}
HANDED_OVER = "Thank you. A colleague will answer you here as soon as possible."
FIRED = """
select count(*) from journal j where j.user_id = $1 and j.kind = 'timer_fired' and j.consumed_at is not null
"""
LATE = """
select extract(epoch from max(greatest(j.accepted_at, m.sent_at)) - $2)::float
from journal j
left join messages m on m.user_id = j.user_id and m.direction = 'outbound' and m.created_at >= j.accepted_at
where j.user_id = $1 and j.kind = 'timer_fired'
"""


class Clients:
    """Three customers: one lets a session end, one does not answer a question, one waits for an agent in vain."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.ids: dict[str, int] = {}
        self.due: dict[str, datetime] = {}

    async def begin(self) -> None:
        """The session of one is halfway over when the others begin to wait. All of them wrote to the first replica."""
        pair = self.pair
        await self._wait(SILENT, "wait", "session", "For what?")
        halfway = "select due_at - now() < make_interval(secs => $2) from timers where user_id = $1"
        await pair.holds(halfway, self.ids[SILENT], SESSION_SECONDS - 4.5)
        await self._wait(ASKED, "ask", "reminder", "Which one?")
        await self._wait(QUEUED, "agent", "no_agent", HANDED_OVER)
        await pair.rest()  # who dies between a send and its note may double that message

    async def _wait(self, phone: str, text: str, kind: str, answer: str) -> None:
        await self.pair.hear(self.pair.first, phone, text)
        await self.pair.told(phone, answer)
        self.ids[phone] = await self.pair.customer(phone)
        due = "select due_at from timers where user_id = $1 and kind = $2"
        self.due[phone] = await self.pair.holds(due, self.ids[phone], kind)

    async def all_fired(self) -> None:
        """Each of the three had its effect, and nothing is under way."""
        for phone in (SILENT, ASKED, QUEUED):
            await self.pair.holds(FIRED, self.ids[phone], what=f"the timer of {phone} fires")
        await self.pair.rest()

    async def late(self, phone: str, since: datetime | None = None) -> float:
        """Seconds from when the timer was due, or from `since`, until it fired and what came of it was sent."""
        return float(await self.pair.value(LATE, self.ids[phone], since or self.due[phone]))

    async def heard_once(self) -> None:
        pair = self.pair
        await pair.told(ASKED, "Which one?", "Still there?")
        await pair.told(QUEUED, HANDED_OVER, "Nobody is free yet.")
        await pair.told(SILENT, "For what?")
        noted = "select count(*) from audit where user_id = $1 and action = 'no_agent_in_time'"
        assert await pair.value(noted, self.ids[QUEUED]) == 1
        over = "select current_flow = '' from conversations where user_id = $1"
        assert await pair.value(over, self.ids[SILENT])
        for phone in (ASKED, QUEUED, SILENT):
            assert await pair.value(FIRED, self.ids[phone]) == 1
        assert await pair.value("select count(*) from parked") == 0


@pytest.mark.parametrize("killed", [False, True], ids=["both live", "the one that started them was killed"])
async def test_each_timer_fires_once_and_in_time(
    database_url: str, redis_url: str, tmp_path: Path, killed: bool
) -> None:
    async with paired(database_url, redis_url, tmp_path, FLOWS, SESSION_TIMEOUT=str(SESSION_SECONDS)) as pair:
        clients = Clients(pair)
        await clients.begin()
        if killed:
            await pair.first.kill()
        await clients.all_fired()
        for phone in (ASKED, QUEUED, SILENT):
            assert -0.5 < await clients.late(phone) < LATE_SECONDS
        await clients.heard_once()


async def test_a_database_that_is_slow_to_commit_makes_no_timer_fire_twice(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Both replicas see the same timers due in one round after the other, and can apply none of them."""
    async with paired(database_url, redis_url, tmp_path, FLOWS, SESSION_TIMEOUT=str(SESSION_SECONDS)) as pair:
        clients = Clients(pair)
        await clients.begin()
        async with pair.database.transaction():
            await pair.database.execute("select from users for update")
            last = max(clients.due.values())
            await pair.holds(
                "select clock_timestamp() > $1::timestamptz + interval '2 s'", last, what="all are long due"
            )
            assert await pair.value("select count(*) from timers where due_at < clock_timestamp()") == 3
        released = await pair.value("select now()")
        await clients.all_fired()
        for phone in (ASKED, QUEUED, SILENT):
            assert await clients.late(phone, released) < LATE_SECONDS
        await clients.heard_once()


async def test_timers_that_were_due_while_no_replica_lived_fire_once_soon_after_one_starts(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with paired(database_url, redis_url, tmp_path, FLOWS, SESSION_TIMEOUT=str(SESSION_SECONDS)) as pair:
        clients = Clients(pair)
        await clients.begin()
        await pair.kill()
        waiting = "select count(*) = 3 from timers where kind in ('session', 'reminder', 'no_agent') and due_at < now()"
        await pair.holds(waiting, what="all three are due")
        await pair.second.start()
        started = await pair.value("select now()")
        await clients.all_fired()
        for phone in (ASKED, QUEUED, SILENT):
            assert await clients.late(phone, started) < LATE_SECONDS
        await clients.heard_once()
