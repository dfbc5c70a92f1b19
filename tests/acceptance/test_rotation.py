"""The service's key is rotated while customers write; no message is lost, and all history can be read without it."""

import asyncio
import base64
import itertools
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from tests.acceptance.pair import Pair, paired
from tests.acceptance.sharing import new_phone
from tests.acceptance.test_backup import bot
from tests.acceptance.world import KEY, Service, until

NEW = f"new:{base64.b64encode(b'N' * 32).decode()}"
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
PAUSE_SECONDS = 0.15
"""Between two messages of one customer."""
UNREADABLE = "bot_sealed_unreadable_total"


class Street:
    """Customers who write all the time, each one message after the other, to whichever replica takes it."""

    def __init__(self, pair: Pair, phones: list[str]) -> None:
        self._pair = pair
        self.said: dict[str, list[str]] = {phone: [] for phone in phones}
        self._tasks = [asyncio.ensure_future(self._talk(phone)) for phone in phones]
        self._closing = False

    async def _talk(self, phone: str) -> None:
        for number in itertools.count():
            text = str(number) if number else "hello"
            await self._insist(phone, text, f"{phone}-{number}")
            self.said[phone].append(text)
            if self._closing:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _insist(self, phone: str, text: str, identity: str) -> None:
        for replica in itertools.cycle((self._pair.first, self._pair.second)):
            status, _ = await replica.say(phone, text, identity)
            if status == 200:
                return
            await asyncio.sleep(0.02)

    async def go_on(self, messages: int = 2) -> None:
        """Wait until everybody has said something more."""
        wanted = {phone: len(said) + messages for phone, said in self.said.items()}
        await until(lambda: all(len(self.said[phone]) >= count for phone, count in wanted.items()), "customers go on")

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(*self._tasks)


async def restart(pair: Pair, keys: str) -> None:
    """One replica after the other, with other keys."""
    for replica in (pair.first, pair.second):
        assert await replica.terminate() == 0
        replica.environment["ENCRYPTION_KEYS"] = keys
        await replica.start()


async def cut_off_in_the_middle(pair: Pair, url: str, environment: Mapping[str, str]) -> None:
    """`bot keys rewrap` loses its connection while it waits for a customer whom somebody has locked."""
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute("select from users order by id limit 1 for update")
        work = asyncio.ensure_future(bot(environment, "keys", "rewrap"))
        blocked = "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '-- Put wrapped%'"
        pid = await pair.holds(blocked, what="it waits for the lock")
        await pair.value("select pg_terminate_backend($1::int)", pid)
        code, said = await work
        assert code == 1, said
    await other.close()


async def transcript(replica: Service, phone: str) -> list[str]:
    status, found = await replica.api("GET", f"/conversations?q={phone}")
    assert status == 200, found
    status, shown = await replica.api("GET", f"/conversations/{found['items'][0]['id']}")
    assert status == 200, shown
    return [message["text"] for message in shown["messages"]]


async def test_the_service_goes_on_while_its_key_is_rotated(database_url: str, redis_url: str, tmp_path: Path) -> None:
    phones = [new_phone() for _ in range(3)]
    settings = {"ENCRYPTION_KEYS": f"{KEY},{NEW}", "RECIPIENT_BURST": "10000"}
    async with paired(database_url, redis_url, tmp_path, FLOWS, **settings) as pair:
        street = Street(pair, phones)
        await street.go_on()
        await restart(pair, f"{NEW},{KEY}")
        rotating = pair.first.environment
        await cut_off_in_the_middle(pair, database_url, rotating)
        code, said = await bot(rotating, "keys", "status")
        assert (code, "test: needed; run `bot keys rewrap`" in said) == (0, True), said
        code, said = await bot(rotating, "keys", "rewrap")
        assert (code, "users            3 now under new" in said) == (0, True), said
        await street.go_on()
        code, said = await bot({**rotating, "ENCRYPTION_KEYS": NEW}, "keys", "status")
        assert (code, "MISSING" in said) == (1, True), "applied events are still under the old key"
        await restart(pair, NEW)
        await street.go_on()
        await street.close()
        for phone, said_by in street.said.items():
            await pair.told(phone, f"Heard {said_by[0]}", *(f"Echo {text}" for text in said_by[1:]))
        await pair.rest()
        for phone, said_by in street.said.items():
            heard = [text for text in await transcript(pair.second, phone) if text in said_by]
            assert heard == said_by[-len(heard) :]
        assert await pair.first.metric(UNREADABLE) + await pair.second.metric(UNREADABLE) == 0
