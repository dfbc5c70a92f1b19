"""Bulk sends over REST: a result for each recipient, and what is wrong with one is no other's concern."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bot.core.messages import Template, TemplatePart, Text
from bot.web.api.bulk import DUPLICATE, MOST_RECIPIENTS, UNTAKEN, body_limit
from bot.web.keys import AUDIT, BULK_LIMIT
from tests.web.api_caller import Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_office import Line, MemoryAudit
from tests.web.api_world import MemoryRecords, a_scene, id_at
from tests.web.test_api import JONAS, PRIYA, application

LIMIT = 20
NEW = "918000000001"
TEMPLATE = {"name": "order_update", "language": "en", "variables": {"body_1": "you"}}

StartClient = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk(MemoryRecords(a_scene()))


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
async def call(aiohttp_client: StartClient, desk: MemoryDesk, audit: MemoryAudit) -> Caller:
    app = application(MemoryRecords(a_scene()), desk)
    app[BULK_LIMIT], app[AUDIT] = LIMIT, audit
    return Caller(await aiohttp_client(app))


async def send(call: Caller, *recipients: Any, status: int = 200, **fields: Any) -> list[dict[str, Any]]:
    answer = await call("POST", "/messages/bulk", json={"recipients": recipients, **fields})
    assert answer.status == status, answer.body
    results: list[dict[str, Any]] = answer.body["results"]
    assert [result["phone_number"] for result in results] == [one["phone_number"] for one in recipients]
    return results


async def test_each_recipient_has_a_result_in_the_order_of_the_request(call: Caller, desk: MemoryDesk) -> None:
    results = await send(
        call,
        {"phone_number": "+91 98765 43210", "message": "Hi Priya"},
        {"phone_number": "12", "message": "Hi"},
        {"phone_number": JONAS, "message": "Hi Jonas"},
        {"phone_number": NEW, "message": "Hi"},
    )
    sent = {"success": True, "status": "done", "message_id": id_at(60)}
    assert results[0] == {"phone_number": "+91 98765 43210", **sent}
    assert results[3] == {"phone_number": NEW, **sent}
    assert [(result["success"], result["status"]) for result in results[1:3]] == [(False, "refused")] * 2
    assert results[1]["error"].startswith("phone_number: Write a phone number")
    assert results[2]["error"] == "The customer opted out."
    assert desk.done == [Text(text="Hi Priya"), Text(text="Hi")]


async def test_what_is_said_to_all_goes_to_who_has_nothing_of_their_own(call: Caller, desk: MemoryDesk) -> None:
    await send(call, {"phone_number": PRIYA}, {"phone_number": NEW, "message": "For you"}, message="For all")
    assert desk.done == [Text(text="For all"), Text(text="For you")]


def template(**variables: str) -> Template:
    parts = tuple(TemplatePart(key=key, value=value) for key, value in variables.items())
    return Template(name="order_update", language="en", parts=parts)


async def test_variables_fill_the_template_of_all_for_each_recipient(call: Caller, desk: MemoryDesk) -> None:
    await send(
        call,
        {"phone_number": PRIYA, "variables": {"body_2": "42"}},
        {"phone_number": NEW, "variables": ["Anil"]},
        {"phone_number": "918000000002"},
        {"phone_number": "918000000003", "template": {"name": "order_update", "variables": ["own"]}},
        template=TEMPLATE,
    )
    assert desk.done == [
        template(body_1="you", body_2="42"),
        template(body_1="Anil"),
        template(body_1="you"),
        template(body_1="own"),
    ]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({}, "message: Give either `message` or `template`, here or for all."),
        ({"message": ""}, "message: Expected `str` of length >= 1"),
        ({"message": "a\0b"}, "message: Write a text that is not blank and has no NUL character."),
        ({"message": "x", "template": {"name": "t"}}, "message: Give either `message` or `template`."),
        ({"template": {"name": ""}}, "template.name: "),
        ({"template": {"name": "t", "language": "English"}}, "template.language: "),
        ({"template": {"name": "t", "variables": {"first": "x"}}}, "template.variables: Name variables header_1"),
        ({"template": {"name": "t", "variables": [" "]}}, "template.variables[0]: Write a text"),
        ({"variables": ["x"]}, "variables: These fill the template of the request"),
    ],
)
async def test_what_is_wrong_with_one_is_that_ones_error(
    call: Caller, desk: MemoryDesk, entry: dict[str, Any], error: str
) -> None:
    bad, good = await send(call, {"phone_number": PRIYA, **entry}, {"phone_number": NEW, "message": "Hi"})
    assert (bad["success"], bad["status"], good["success"]) == (False, "refused", True)
    assert bad["error"].replace("`", "").startswith(error.replace("`", ""))
    assert desk.done == [Text(text="Hi")]


async def test_a_number_may_have_several_messages_but_none_of_them_twice(call: Caller, desk: MemoryDesk) -> None:
    results = await send(
        call,
        {"phone_number": PRIYA, "message": "one"},
        {"phone_number": PRIYA, "message": "two"},
        {"phone_number": "+91-98765-43210", "message": "one"},
    )
    assert [result["status"] for result in results] == ["done", "done", "duplicate"]
    assert results[2]["error"] == DUPLICATE
    assert len(desk.done) == 2


async def test_what_takes_longer_is_pending_and_the_whole_is_not_finished(call: Caller, desk: MemoryDesk) -> None:
    desk.slow = True
    (result,) = await send(call, {"phone_number": PRIYA, "message": "Hi"}, status=202)
    assert result == {"phone_number": PRIYA, "success": False, "status": "pending"}


async def test_what_was_not_taken_says_to_ask_again(call: Caller, desk: MemoryDesk) -> None:
    desk.taken = 1
    done, untaken = await send(
        call, {"phone_number": PRIYA, "message": "Hi"}, {"phone_number": NEW, "message": "Hi"}, status=202
    )
    assert done["status"] == "done"
    assert (untaken["status"], untaken["error"]) == ("untaken", UNTAKEN)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "recipients"),
        ({"recipients": []}, "recipients"),
        ({"recipients": [{"phone_number": str(number)} for number in range(LIMIT + 1)]}, "recipients"),
        ({"recipients": [{"phone_number": 5}]}, "recipients[0].phone_number"),
        ({"recipients": [{"phone_number": PRIYA, "text": "x"}]}, "recipients[0].text"),
        ({"recipients": [{"phone_number": PRIYA}], "message": " "}, "message"),
        ({"recipients": [{"phone_number": PRIYA}], "message": "x", "template": {"name": "t"}}, "message"),
    ],
)
async def test_what_is_wrong_with_the_request_refuses_the_whole(
    call: Caller, desk: MemoryDesk, body: dict[str, Any], field: str
) -> None:
    answer = await call("POST", "/messages/bulk", json=body)
    assert (answer.status, list(answer.fields)) == (400, [field])
    assert desk.done == []


async def test_the_body_grows_with_the_recipients_that_are_allowed(call: Caller) -> None:
    recipients = [{"phone_number": PRIYA, "message": "x" * 5000} for _ in range(LIMIT)]
    assert len(await send(call, *recipients)) == LIMIT
    answer = await call("POST", "/messages/bulk", data=b" " * (body_limit(LIMIT) + 1))
    assert (answer.status, answer.body["error"]["code"]) == (413, "too_large")
    assert body_limit(MOST_RECIPIENTS) < 32 * 1024 * 1024


async def test_a_bulk_send_is_one_line_of_the_audit_log_with_counts_and_no_words(
    call: Caller, audit: MemoryAudit
) -> None:
    recipients = [{"phone_number": PRIYA}, {"phone_number": JONAS}, {"phone_number": "12"}, {"phone_number": NEW}]
    await send(call, *recipients, message="For all", by="campaigns")
    assert audit.lines == [Line(action="bulk_sent", by="campaigns", detail="2 of 4 recipients")]


async def test_a_bulk_send_that_reaches_nobody_leaves_no_line(call: Caller, audit: MemoryAudit) -> None:
    await send(call, {"phone_number": "12"}, {"phone_number": JONAS}, message="For all")
    assert audit.lines == []


async def test_what_is_safely_written_down_counts_and_what_was_not_taken_does_not(
    call: Caller, desk: MemoryDesk, audit: MemoryAudit
) -> None:
    desk.slow, desk.taken = True, 1
    await send(call, {"phone_number": PRIYA}, {"phone_number": NEW}, message="For all", status=202)
    assert audit.lines == [Line(action="bulk_sent", by="admin", detail="1 of 2 recipients")]
