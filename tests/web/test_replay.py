"""A finished call is answered once: its repeat gets the same answer, another request under its key is refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bot.web.keys import IDEMPOTENCY
from tests.web.api_caller import Answer, Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_memory import MemoryIdempotency
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import DONE, HELD, JONAS, NOWHERE, PRIYA, application

KEY = {"Idempotency-Key": "k1"}
REPLAYED = "Idempotency-Replayed"
HI = {"phone_number": PRIYA, "message": "Hi"}

StartClient = Callable[[web.Application], Awaitable[Client]]


class Pair:
    """Two replicas that share what is kept and what is done, but no memory."""

    def __init__(self, desks: tuple[MemoryDesk, MemoryDesk], callers: tuple[Caller, Caller]) -> None:
        self.desk, self.other_desk = desks
        self.call, self.other = callers

    async def twice(self, method: str, path: str, **arguments: Any) -> tuple[Answer, Answer]:
        return (
            await self.call(method, path, headers=KEY, **arguments),
            await self.other(method, path, headers=KEY, **arguments),
        )


@pytest.fixture
def memory() -> MemoryIdempotency:
    return MemoryIdempotency()


@pytest.fixture
async def pair(aiohttp_client: StartClient, memory: MemoryIdempotency) -> Pair:
    records = MemoryRecords(a_scene())
    desks = MemoryDesk(records), MemoryDesk(records)
    callers = []
    for desk in desks:
        app = application(records, desk)
        app[IDEMPOTENCY] = memory
        callers.append(Caller(await aiohttp_client(app)))
    return Pair(desks, (callers[0], callers[1]))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/messages", HI, 201),
        ("POST", f"/conversations/{HELD}/reply", {"message": "Hi"}, 200),
        ("POST", f"/conversations/{HELD}/resolve", None, 200),
        ("PATCH", f"/users/{PRIYA}", {"name": "P"}, 200),
        ("POST", "/messages/bulk", {"recipients": [HI, {"phone_number": "12"}]}, 200),
        ("POST", f"/conversations/{DONE}/resolve", {}, 409),
    ],
)
async def test_a_repeat_has_the_same_status_and_body_at_any_replica(
    pair: Pair, method: str, path: str, body: Any, status: int
) -> None:
    first, again = await pair.twice(method, path, json=body)
    assert first.status == again.status == status
    assert first.body == again.body
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert pair.other_desk.done == []


async def test_another_request_under_the_same_key_is_refused(pair: Pair) -> None:
    await pair.call("POST", "/messages", json=HI, headers=KEY)
    answer = await pair.other("POST", "/messages", json=HI | {"message": "Ho"}, headers=KEY)
    assert (answer.status, answer.body["error"]["code"]) == (422, "idempotency_mismatch")
    assert list(answer.fields) == ["Idempotency-Key"]
    assert pair.other_desk.done == []


async def test_the_same_request_may_be_written_in_another_way(pair: Pair) -> None:
    await pair.call("POST", "/messages", json=HI, headers=KEY)
    again = await pair.other(
        "POST", "/messages", data=b'{ "message": "Hi", "phone_number": "919876543210", "by": null }', headers=KEY
    )
    assert again.headers[REPLAYED] == "true"


async def test_a_key_counts_for_one_address(pair: Pair) -> None:
    await pair.call("POST", f"/conversations/{HELD}/reply", json={"message": "Hi"}, headers=KEY)
    answer = await pair.call("POST", f"/conversations/{HELD}/resolve", json={}, headers=KEY)
    assert (answer.status, REPLAYED in answer.headers) == (200, False)


async def test_without_a_key_nothing_is_kept(pair: Pair, memory: MemoryIdempotency) -> None:
    await pair.call("POST", "/messages", json=HI)
    assert memory.kept == {}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"/conversations/{NOWHERE}/resolve", {}, 404),
        ("/messages", {"phone_number": "12", "message": "Hi"}, 400),
    ],
)
async def test_what_came_to_nothing_is_not_kept(
    pair: Pair, memory: MemoryIdempotency, path: str, body: dict[str, str], status: int
) -> None:
    first, again = await pair.twice("POST", path, json=body)
    assert first.status == again.status == status
    assert memory.kept == {}


async def test_what_is_not_finished_is_not_kept(pair: Pair, memory: MemoryIdempotency) -> None:
    pair.desk.slow = True
    assert (await pair.call("POST", "/messages", json=HI, headers=KEY)).status == 202
    assert memory.kept == {}
    assert (await pair.other("POST", "/messages", json=HI, headers=KEY)).status == 201


async def test_a_store_that_keeps_nothing_changes_no_answer(
    pair: Pair, memory: MemoryIdempotency, caplog: pytest.LogCaptureFixture
) -> None:
    memory.full = True
    assert (await pair.call("POST", "/messages", json=HI, headers=KEY)).status == 201
    assert "could not be kept" in caplog.text


async def test_what_is_kept_says_whose_numbers_it_holds(pair: Pair, memory: MemoryIdempotency) -> None:
    recipients = [{"phone_number": number} for number in ("+91 98765 43210", JONAS, "12")]
    await pair.call("POST", "/messages/bulk", json={"recipients": recipients, "message": "Hi"}, headers=KEY)
    await pair.call("PATCH", f"/users/{PRIYA}", json={"name": "P"}, headers=KEY)
    await pair.call("POST", "/messages", json=HI, headers=KEY)
    assert [kept.phones for kept in memory.kept.values()] == [{PRIYA, JONAS}, {PRIYA}, frozenset()]
