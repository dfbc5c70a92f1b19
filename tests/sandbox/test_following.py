"""Keeping up with what the service sends: what followed a message; and a model that names what it answers."""

import pytest

from bot.sandbox.model import reply
from bot.sandbox.records import Shelf
from tests.sandbox.conftest import CUSTOMER, Client, Start, send, text_to


async def after(box: Client, identity: str) -> list[dict[str, str]]:
    async with box.get("/sandbox/messages", params={"after": identity}) as response:
        return list(await response.json())


async def test_what_followed_a_message_is_listed_in_order(box: Client) -> None:
    for text in ("one", "two", "three"):
        await send(box, text_to(text=text))
    everything = await after(box, "")
    assert [one["text"] for one in everything] == ["one", "two", "three"]
    assert [one["text"] for one in await after(box, everything[0]["id"])] == ["two", "three"]
    assert await after(box, everything[-1]["id"]) == []


async def test_what_followed_a_message_that_is_kept_no_longer_is_everything(start: Start) -> None:
    box = await start(kept=2)
    await send(box, text_to(text="one"))
    (first,) = await after(box, "")
    for text in ("two", "three", "four"):
        await send(box, text_to(to=CUSTOMER, text=text))
    assert [one["text"] for one in await after(box, first["id"])] == ["three", "four"]


def test_an_empty_shelf_has_nothing_after_anything() -> None:
    assert Shelf(3).since("x") == []


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("Where is parcel #12?", "#12 Please tell me your order number"),
        ("When #7?\nAnd #8, and #7?", "#7 #8 "),
        ("What are your hours?", "We are open"),
        ("#3 नमस्ते", "#3 नमस्ते!"),
    ],
)
def test_the_stand_in_model_names_the_numbers_it_was_asked_about(asked: str, named: str) -> None:
    assert reply([{"role": "user", "content": asked}]).startswith(named)
