"""Who gets in, how fast, and what a flood of wrong tokens costs. Time is the test's own."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from bot.ports.failures import Unavailable
from bot.ports.tokens import MOST_TOKENS, SCOPES, Scope
from bot.runtime.tokens import Issued, issue
from bot.web.api.admission import Admission
from bot.web.api.roster import FRESH_SECONDS, KNOWN_SECONDS, PAUSE_SECONDS
from bot.web.attempts import FAILURES_ALLOWED
from bot.web.errors import Refused
from bot.web.keys import ADMISSION
from bot.web.rates import BUCKETS_KEPT, Rates
from bot.wire.tokens import SECRET_BYTES, written
from tests.web.api_caller import TOKEN, Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_office import MemoryTokens
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[Client]]
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


class World:
    """An admission over tokens in memory, with a clock that stands still."""

    def __init__(self, *, admin_token: str = TOKEN, rate: float = 50.0, burst: int = 100) -> None:
        self.time = 1_800_000_000.0
        self.tokens = MemoryTokens(self.now)
        self.admission = Admission(
            admin_token=admin_token,
            tokens=self.tokens,
            rates=Rates(rate=rate, burst=burst, clock=lambda: self.time),
            now=lambda: self.time,
            monotonic=lambda: self.time,
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    async def issue(self, name: str = "crm", *scopes: Scope, days: float | None = None) -> Issued:
        """A token made by another replica: this one is not told."""
        end = self.now() + timedelta(days=days) if days is not None else None
        return await issue(self.tokens, name=name, scopes=frozenset(scopes or SCOPES), expires_at=end, by="admin")

    async def recognise(self, token: str, address: str = "10.0.0.1") -> str:
        """The bearer's name, or the status of the refusal."""
        try:
            return (await self.admission.recognise(f"Bearer {token}", address)).name
        except Refused as refused:
            return str(refused.status)


@pytest.fixture
def world() -> World:
    return World()


async def call_of(aiohttp_client: StartClient, world: World) -> Caller:
    records = MemoryRecords(a_scene())
    app = application(records, MemoryDesk(records))
    app[ADMISSION] = world.admission
    return Caller(await aiohttp_client(app))


# --- which tokens ---------------------------------------------------------------------------------------------------


async def test_the_administrators_token_needs_no_database(world: World) -> None:
    world.tokens.away = True
    assert await world.recognise(TOKEN) == "admin"
    assert world.tokens.reads == 0


async def test_a_token_of_the_table_is_known_by_its_name(world: World) -> None:
    made = await world.issue("crm", "users:read")
    bearer = await world.admission.recognise(f"bearer {made.text}", "")
    assert (bearer.name, sorted(bearer.scopes)) == ("crm", ["users:read"])


async def test_a_token_made_elsewhere_is_known_a_second_after_it_was_made(world: World) -> None:
    first = await world.issue("first")
    assert await world.recognise(first.text) == "first"
    second = await world.issue("second")
    world.time += PAUSE_SECONDS
    assert await world.recognise(second.text) == "second"


async def test_what_is_made_or_revoked_here_is_known_here_at_once(world: World) -> None:
    tokens = world.admission.tokens
    assert await world.recognise((await world.issue("first")).text) == "first"
    made = await issue(tokens, name="crm", scopes=frozenset(SCOPES), expires_at=None, by="admin")
    assert await world.recognise(made.text) == "crm"
    await tokens.revoke(made.kept.id, by="admin")
    assert await world.recognise(made.text) == "401"


async def test_a_token_revoked_elsewhere_is_refused_within_the_time_promised(world: World) -> None:
    made = await world.issue()
    assert await world.recognise(made.text) == "crm"
    await world.tokens.revoke(made.kept.id, by="admin")
    world.time += FRESH_SECONDS
    assert await world.recognise(made.text) == "401"


async def test_a_token_is_refused_from_the_moment_it_expires(world: World) -> None:
    made = await world.issue(days=1)
    world.time += 86_399
    assert await world.recognise(made.text) == "crm"
    world.time += 1
    assert await world.recognise(made.text) == "401"


async def test_the_right_id_with_another_secret_is_refused(world: World) -> None:
    made = await world.issue()
    assert await world.recognise(written(made.kept.id, b"x" * SECRET_BYTES)) == "401"


async def test_without_an_administrators_token_the_api_is_open_to_the_others() -> None:
    world = World(admin_token="")
    assert await world.recognise("") == "503"
    made = await world.issue()
    world.time += FRESH_SECONDS
    assert await world.recognise(made.text) == "crm"
    assert await world.recognise("") == "401"


# --- the database is away -------------------------------------------------------------------------------------------


async def test_known_tokens_go_on_for_a_while_when_the_database_is_away(world: World) -> None:
    made, never_seen = await world.issue(), written(99, b"y" * SECRET_BYTES)
    assert await world.recognise(made.text) == "crm"
    world.tokens.away = True
    world.time += KNOWN_SECONDS - 1
    assert await world.recognise(made.text) == "crm"
    with pytest.raises(Unavailable):
        await world.recognise(never_seen)
    assert await world.recognise("nonsense") == "401"
    world.time += 1
    with pytest.raises(Unavailable):
        await world.recognise(made.text)
    world.tokens.away = False
    world.time += PAUSE_SECONDS
    assert await world.recognise(made.text) == "crm"


async def test_nobody_is_told_that_the_api_is_closed_while_that_cannot_be_known() -> None:
    world = World(admin_token="")
    world.tokens.away = True
    with pytest.raises(Unavailable):
        await world.recognise("anything")


async def test_a_database_that_is_silent_is_asked_once_a_second(world: World) -> None:
    world.tokens.away = True
    for _ in range(100):
        with pytest.raises(Unavailable):
            await world.recognise(written(5, b"z" * SECRET_BYTES))
    assert world.tokens.reads == 1
    world.time += PAUSE_SECONDS
    with pytest.raises(Unavailable):
        await world.recognise(written(5, b"z" * SECRET_BYTES))
    assert world.tokens.reads == 2


async def test_those_who_come_while_tokens_are_read_share_the_read(world: World) -> None:
    made = await world.issue()
    assert await asyncio.gather(*(world.recognise(made.text) for _ in range(50))) == ["crm"] * 50
    assert world.tokens.reads == 1


# --- guessing -------------------------------------------------------------------------------------------------------


async def test_ten_thousand_wrong_tokens_cost_next_to_no_query_and_hold_nobody_up(world: World) -> None:
    made = await world.issue()
    for number in range(10_000):
        secret = number.to_bytes(SECRET_BYTES)
        guess = (f"guess-{number}", written(made.kept.id, secret), written(number + 2, secret))[number % 3]
        expected = "401" if number < FAILURES_ALLOWED else "429"
        assert await world.recognise(guess) == expected
    assert world.tokens.reads == 1
    assert await world.recognise(made.text) == "crm"
    assert await world.recognise(TOKEN) == "admin"
    assert await world.recognise("wrong", "10.0.0.2") == "401"


# --- scopes and speed, over a real server ---------------------------------------------------------------------------


async def test_a_missing_scope_is_named(aiohttp_client: StartClient, world: World) -> None:
    call = await call_of(aiohttp_client, world)
    made = await world.issue("reader", "operations:read")
    assert (await call("GET", "/flows", token=made.text)).status == 200
    answer = await call("POST", "/flows/reload", token=made.text)
    assert (answer.status, answer.body["error"]["code"]) == (403, "forbidden")
    assert "operations:write" in answer.body["error"]["message"]


async def test_every_answer_to_a_known_token_tells_what_is_left_to_it(aiohttp_client: StartClient) -> None:
    world = World(rate=2, burst=5)
    call = await call_of(aiohttp_client, world)
    statuses, left = [], []
    for method, path in (("GET", "/flows"), ("GET", "/users/1"), ("GET", "/users/919999999999"), ("POST", "/messages")):
        answer = await call(method, path)
        statuses.append(answer.status)
        left.append(tuple(answer.headers[name] for name in RATE_HEADERS))
    assert statuses == [200, 400, 404, 400]
    assert left == [("5", "4", "1"), ("5", "3", "1"), ("5", "2", "2"), ("5", "1", "2")]
    assert not set(RATE_HEADERS) & (await call("GET", "/flows", token="wrong")).headers.keys()


async def test_a_token_that_asks_too_fast_waits_and_the_others_do_not(aiohttp_client: StartClient) -> None:
    world = World(rate=0.25, burst=2)
    call = await call_of(aiohttp_client, world)
    made = await world.issue()
    answers = [await call("GET", "/flows", token=made.text) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[2].headers["Retry-After"] == "4"
    assert [answers[3].headers[name] for name in RATE_HEADERS] == ["2", "0", "8"]
    assert (await call("GET", "/flows")).status == 200
    world.time += 4
    assert (await call("GET", "/flows", token=made.text)).status == 200


def test_buckets_are_bounded_and_a_full_one_holds_no_more_than_the_burst() -> None:
    time = 0.0
    rates = Rates(rate=10, burst=3, clock=lambda: time)
    assert BUCKETS_KEPT > MOST_TOKENS
    rates.take(0)
    for token in range(1, BUCKETS_KEPT + 1):
        rates.take(token)
    assert rates.take(0).remaining == 2
    assert rates.take(BUCKETS_KEPT).remaining == 1
    time = 1000.0
    assert (rates.take(0).remaining, rates.take(0).reset) == (2, 1)


# --- when a token was used ------------------------------------------------------------------------------------------


async def test_uses_are_noted_together_and_told_again_when_the_store_was_away(world: World) -> None:
    made = await world.issue()
    await world.recognise(made.text)
    world.time += 10
    await world.recognise(made.text)
    await world.recognise(TOKEN)
    world.tokens.away = True
    with pytest.raises(Unavailable):
        await world.admission.note_uses()
    world.tokens.away = False
    await world.admission.note_uses()
    await world.admission.note_uses()
    assert world.tokens.uses == [(made.kept.id, world.time)]
