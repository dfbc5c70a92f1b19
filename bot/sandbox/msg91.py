"""MSG91's part: the three send calls and the list of our numbers. Strict about keys, form and limits, in MSG91's words.

Refusals are `{"status":"fail","hasError":true,...}`, a wrong path is `Route Missing`, a wrong key is 401 with
`apiError` 201. The body of a 401 is JSON under `text/html`, as the real one is.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import web

from bot.sandbox.behaviour import pick
from bot.sandbox.box import BOX, Box
from bot.sandbox.faults import Answer, answer, perform
from bot.sandbox.limits import Refused, require
from bot.sandbox.sends import Order, bulk_orders, decode, session_order, simple_orders

OUTBOUND: Final = "/api/v5/whatsapp/whatsapp-outbound-message/"
BULK: Final = OUTBOUND + "bulk/"
SIMPLE: Final = "/api/v5/whatsapp/send"
NUMBERS: Final = "/api/v5/whatsapp/whatsapp-activation/"
UNAUTHORIZED: Final[dict[str, Any]] = {
    "status": "fail",
    "hasError": True,
    "errors": "Unauthorized",
    "code": "401",
    "apiError": "201",
}
CLOSED: Final = "(#131047) Re-engagement message: more than 24 hours have passed since the customer last replied"

Parse = Callable[[web.Request, Box, bytes], tuple[Order, ...]]
Success = Callable[[Box, tuple[Order, ...]], dict[str, Any]]


class Msg91Errors:
    """MSG91's error bodies by status."""

    def error(self, status: int) -> dict[str, Any]:
        if status == 401:
            return UNAUTHORIZED
        if status == 200:
            return {"status": "fail", "hasError": True, "data": "Invalid parameter", "errors": "Something went wrong"}
        return {"status": "fail", "hasError": True, "data": None, "errors": "Something went wrong"}


ERRORS: Final = Msg91Errors()


def routes() -> list[web.RouteDef]:
    """The calls; their trailing slashes are part of the path."""
    return [
        web.post(OUTBOUND, session),
        web.post(BULK, bulk),
        web.post(SIMPLE, simple),
        web.get(NUMBERS, numbers),
    ]


async def session(request: web.Request) -> web.StreamResponse:
    """A free-form message: flat JSON body, query, or both."""
    return await _send(request, _parse_session, _session_success)


async def bulk(request: web.Request) -> web.StreamResponse:
    """A template to one or many."""
    return await _send(request, _parse_bulk, _bulk_success)


async def simple(request: web.Request) -> web.StreamResponse:
    """The plain dialect."""
    return await _send(request, _parse_simple, _simple_success)


async def numbers(request: web.Request) -> web.StreamResponse:
    """Our own numbers, for whoever wants to know whether the key is right."""
    box = request.app[BOX]
    if not _key_holds(request, box):
        return _unauthorized(box)
    ours = [{"integrated_number": number} for number in box.settings.integrated_numbers]
    return answer(200, {"status": "success", "hasError": False, "data": ours, "errors": None})


async def _send(request: web.Request, parse: Parse, success: Success) -> web.StreamResponse:
    box = request.app[BOX]
    raw = await request.read()
    box.records.counters["sends"] += 1
    if not _key_holds(request, box):
        return _unauthorized(box)
    try:
        orders = parse(request, box, raw)
    except Refused as refused:
        return _refusal(box, str(refused))
    rules = box.behaviours.msg91
    active = pick(rules, {order.to for order in orders}) if rules else None
    if active is None:
        return answer(200, success(box, orders))
    return await perform(request, active, ERRORS, lambda: _worked(success(box, orders)))


def _worked(body: dict[str, Any]) -> Answer:
    return 200, body


def _key_holds(request: web.Request, box: Box) -> bool:
    given = request.headers.get("authkey", "")
    return given == box.settings.auth_key if box.settings.auth_key else bool(given)


def _unauthorized(box: Box) -> web.Response:
    box.records.counters["unauthorized"] += 1
    return web.Response(status=401, body=orjson.dumps(UNAUTHORIZED), content_type="text/html")


def _refusal(box: Box, problem: str) -> web.Response:
    box.records.counters["refused"] += 1
    return answer(
        box.settings.refusal_status,
        {"status": "fail", "hasError": True, "data": "Invalid parameter", "errors": problem},
    )


def _parse_session(request: web.Request, box: Box, raw: bytes) -> tuple[Order, ...]:
    fields = {**request.query, **decode(raw)} if request.query_string else decode(raw)
    order = session_order(fields, box.settings.integrated_numbers)
    _check_window(box, order)
    return (order,)


def _parse_bulk(_request: web.Request, box: Box, raw: bytes) -> tuple[Order, ...]:
    return bulk_orders(decode(raw), box.settings.integrated_numbers)


def _parse_simple(_request: web.Request, box: Box, raw: bytes) -> tuple[Order, ...]:
    orders = simple_orders(decode(raw), box.settings.integrated_numbers)
    for order in orders:
        _check_window(box, order)
    return orders


def _check_window(box: Box, order: Order) -> None:
    require(not box.settings.session_window or box.records.window_open(order.to), CLOSED)


def _session_success(box: Box, orders: tuple[Order, ...]) -> dict[str, Any]:
    message = box.accept(orders[0], box.records.next_request_id())
    data = {"message_uuid": message.id, "status": "message submitted successfully"}
    return {"status": "success", "hasError": False, "data": data, "errors": None}


def _bulk_success(box: Box, orders: tuple[Order, ...]) -> dict[str, Any]:
    request_id = box.records.next_request_id()
    for order in orders:
        box.accept(order, request_id)
    data = "Your request is in process, check delivery reports for status"
    return {"status": "success", "hasError": False, "data": data, "errors": None, "request_id": request_id}


def _simple_success(box: Box, orders: tuple[Order, ...]) -> dict[str, Any]:
    """The dialect's own answer is not documented: MSG91's, with the id of each recipient's message beside it."""
    request_id = box.records.next_request_id()
    messages = [box.accept(order, request_id) for order in orders]
    data = {"message_uuid": messages[0].id, "status": "message submitted successfully"}
    listed = [{"phone": message.to, "messageId": message.id} for message in messages]
    head = {"status": "success", "hasError": False, "data": data, "errors": None}
    return {**head, "request_id": request_id, "messageId": messages[0].id, "messages": listed}
