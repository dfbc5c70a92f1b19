"""What a customer does becomes a webhook body of the right shape, posted with the patience MSG91 has."""

from typing import Any

import orjson
import pytest

from tests.sandbox.conftest import CUSTOMER, OURS, Client, Service, Start, customer_says, send, text_to


async def heard(service: Service) -> tuple[dict[str, Any], dict[str, Any]]:
    """The next body, and the platform's message inside it."""
    body = await service.next()
    assert all(isinstance(value, str) for value in body.values()), "every value of MSG91's body is a string"
    return body, orjson.loads(body["messages"])[0]


async def test_a_text_has_the_keys_of_a_captured_body(start: Start, service: Service) -> None:
    box = await start(webhook_secret="s3cret")
    told = await customer_says(box, text="Hi", name="Asha")
    body, message = await heard(service)
    assert told["webhook"] == {"status": 200, "body": '{"status": "accepted"}', "error": "", "attempts": 1}
    assert (body["customerNumber"], body["integratedNumber"], body["customerName"]) == (CUSTOMER, OURS, "Asha")
    assert (body["text"], body["contentType"], body["button"], body["reason"]) == ("Hi", "text", "", "")
    assert body["uuid"] == f"{message['id']}_callback"
    assert message == {
        "from": CUSTOMER,
        "id": told["id"],
        "timestamp": message["timestamp"],
        "type": "text",
        "text": {"body": "Hi"},
    }
    assert body["ts"].endswith("+05:30")
    assert service.headers[0]["X-Webhook-Secret"] == "s3cret"


async def test_taps_of_each_kind(box: Client, service: Service) -> None:
    await customer_says(box, tap={"id": "b", "title": "Button"}, reply_to="wamid.OUT")
    body, message = await heard(service)
    assert orjson.loads(body["interactive"]) == {"type": "button_reply", "button_reply": {"id": "b", "title": "Button"}}
    assert message["context"] == {"from": OURS, "id": "wamid.OUT"}
    await customer_says(box, tap={"id": "r", "title": "Row", "description": "More", "kind": "list"})
    body, message = await heard(service)
    assert message["interactive"]["list_reply"] == {"id": "r", "title": "Row", "description": "More"}
    await customer_says(box, tap={"id": "p", "title": "Quick", "kind": "template"})
    body, message = await heard(service)
    assert (body["contentType"], message["button"]) == ("button", {"payload": "p", "text": "Quick"})
    await customer_says(box, tap="only-an-id")
    assert (await heard(service))[1]["interactive"]["button_reply"]["title"] == "only-an-id"


async def test_media_places_and_reactions(box: Client, service: Service) -> None:
    await customer_says(box, image={"url": "https://example.com/a.png", "caption": "Look", "filename": "a.png"})
    body, message = await heard(service)
    assert (body["url"], body["caption"], body["filename"]) == ("https://example.com/a.png", "Look", "a.png")
    assert (message["image"]["mime_type"], message["image"]["caption"]) == ("image/png", "Look")
    for kind in ("document", "audio", "video", "sticker"):
        await customer_says(box, **{kind: "https://example.com/file"})
        body, message = await heard(service)
        assert (body["contentType"], message[kind]["url"]) == (kind, "https://example.com/file")
    await customer_says(box, location={"latitude": 12.5, "longitude": 77.5, "name": "Park"})
    body, message = await heard(service)
    assert (body["latitude"], message["location"]) == ("12.5", {"latitude": 12.5, "longitude": 77.5, "name": "Park"})
    await customer_says(box, reaction="👍", reply_to="wamid.OUT")
    assert (await heard(service))[1]["reaction"] == {"message_id": "wamid.OUT", "emoji": "👍"}


async def test_who_took_a_username_comes_without_a_number(box: Client, service: Service) -> None:
    async with box.post("/sandbox/customer", json={"user_id": "IN.26", "text": "hi"}) as response:
        assert response.status == 200
    body, message = await heard(service)
    assert (body["customerNumber"], message["from"], message["from_user_id"]) == ("", "", "IN.26")


async def test_the_simple_shape(start: Start, service: Service) -> None:
    box = await start(webhook_shape="simple")
    told = await customer_says(box, text="Hi", at=1_714_510_003.0)
    assert await service.next() == {
        "from": CUSTOMER,
        "name": "Customer",
        "text": "Hi",
        "timestamp": 1_714_510_003,
        "messageId": told["id"],
        "type": "text",
    }
    await customer_says(box, tap={"id": "yes", "title": "Yes"})
    body = await service.next()
    assert (body["type"], body["payload"], body["text"]) == ("button", "yes", "Yes")
    await customer_says(box, image="https://example.com/a.png")
    assert (await service.next())["url"] == "https://example.com/a.png"
    await customer_says(box, location={"latitude": 1, "longitude": 2})
    assert (await service.next())["latitude"] == 1


async def test_a_5xx_is_tried_again_and_a_4xx_is_not(box: Client, service: Service) -> None:
    service.statuses = [503, 500]
    told = await customer_says(box, text="Hi")
    assert (told["webhook"]["status"], told["webhook"]["attempts"]) == (200, 3)
    first, second = await service.next(), await service.next()
    assert first == second
    service.statuses = [401]
    told = await customer_says(box, text="Hi")
    assert (told["webhook"]["status"], told["webhook"]["attempts"]) == (401, 1)


async def test_patience_ends(box: Client, service: Service) -> None:
    service.statuses = [500] * 9
    told = await customer_says(box, text="Hi")
    assert (told["webhook"]["status"], told["webhook"]["attempts"]) == (500, 5)


async def test_nobody_there_is_said(start: Start, unused_tcp_port: int) -> None:
    box = await start(webhook_url=f"http://127.0.0.1:{unused_tcp_port}/hook", webhook_attempts=2)
    told = await customer_says(box, text="Hi")
    assert (told["webhook"]["status"], told["webhook"]["attempts"]) == (0, 2)
    assert told["webhook"]["error"]
    told = await customer_says(await start(webhook_url=""), text="Hi")
    assert told["webhook"]["error"] == "no webhook_url is set"


async def test_a_message_may_come_twice_under_one_id(start: Start, service: Service) -> None:
    box = await start(webhook_copies=2)
    await customer_says(box, text="Hi", id="wamid.SAME")
    await customer_says(box, text="Hi", id="wamid.SAME", copies=1)
    bodies = [await service.next() for _ in range(3)]
    assert {body["uuid"] for body in bodies} == {"wamid.SAME_callback"}
    assert service.bodies.empty()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"text": "hi"}, "one of from and user_id is needed"),
        ({"from": CUSTOMER}, "exactly one of text, tap"),
        ({"from": CUSTOMER, "text": "hi", "tap": "x"}, "exactly one of text, tap"),
        ({"from": "+91 90", "text": "hi"}, "$.from"),
        ({"from": CUSTOMER, "text": 7}, "$.text"),
        ({"from": CUSTOMER, "image": "file:///etc/passwd"}, "$.image"),
        ({"from": CUSTOMER, "location": {"latitude": 99, "longitude": 1}}, "$.location.latitude"),
        ({"from": CUSTOMER, "txt": "hi"}, "txt"),
    ],
)
async def test_a_bad_document_is_refused_with_the_name_of_the_field(
    box: Client, document: dict[str, Any], named: str
) -> None:
    async with box.post("/sandbox/customer", json=document) as response:
        assert response.status == 400
        assert named in (await response.json())["error"]["message"]


async def test_a_conversation_is_streamed_to_its_phone_page(box: Client) -> None:
    await customer_says(box, text="Hi")
    async with box.get("/phone/events", params={"number": CUSTOMER}) as stream:
        chat = await stream.content.readuntil(b"\n\n")
        assert b"event: chat" in chat
        assert b'"text":"Hi"' in chat
        assert await stream.content.readuntil(b"\n\n") == b'event: service\ndata: {"up":true}\n\n'
        await send(box, text_to(text="Hello"))
        while b'"text":"Hello"' not in await stream.content.readuntil(b"\n\n"):
            pass


@pytest.mark.parametrize("alive", ["nobody", "nowhere"])
async def test_a_phone_page_is_told_that_no_service_is_there(start: Start, unused_tcp_port: int, alive: str) -> None:
    box = await start(webhook_url=f"http://127.0.0.1:{unused_tcp_port}/hook" if alive == "nobody" else "")
    async with box.get("/phone/events", params={"number": CUSTOMER}) as stream:
        await stream.content.readuntil(b"\n\n")
        for _ in range(2):
            assert await stream.content.readuntil(b"\n\n") == b'event: service\ndata: {"up":false}\n\n'
