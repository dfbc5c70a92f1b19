"""The sandbox's own calls, for tests and scripts: what was seen, how to behave, and playing a customer."""

import msgspec
from aiohttp import web

from bot.sandbox.box import BOX
from bot.sandbox.customers import Customer, answered, speak
from bot.sandbox.faults import answer


def routes() -> list[web.RouteDef]:
    return [
        web.get("/sandbox/messages", messages),
        web.get("/sandbox/model_calls", model_calls),
        web.get("/sandbox/counters", counters),
        web.post("/sandbox/reset", reset),
        web.get("/sandbox/behaviour", behaviour),
        web.post("/sandbox/behaviour", behave),
        web.post("/sandbox/customer", customer),
        web.post("/sandbox/read", read),
    ]


class Reader(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /sandbox/read`."""

    number: str


async def messages(request: web.Request) -> web.Response:
    """The messages the service sent, oldest first; to one number with `?to=`, those that followed one: `?after=`."""
    sent = request.app[BOX].records.sent
    number, last = request.query.get("to"), request.query.get("after")
    if last is not None:
        return _listed(sent.since(last))
    return _listed(sent.every() if number is None else sent.of(number))


async def model_calls(request: web.Request) -> web.Response:
    """The answered calls of the model's API, oldest first."""
    return _listed(list(request.app[BOX].records.calls))


async def counters(request: web.Request) -> web.Response:
    """How much there was of each thing since the last reset; not bounded, unlike the lists."""
    box = request.app[BOX]
    return answer(200, {**box.records.counters, "kept": len(box.records.sent), "phones": len(box.phones)})


async def reset(request: web.Request) -> web.Response:
    """Forget everything and behave well."""
    request.app[BOX].reset()
    return answer(200, {"status": "reset"})


async def behaviour(request: web.Request) -> web.Response:
    """The rules in force."""
    return answer(200, request.app[BOX].behaviours.shown())


async def behave(request: web.Request) -> web.Response:
    """Put rules in force for the APIs the document names."""
    try:
        request.app[BOX].behaviours.apply(await request.read())
    except msgspec.DecodeError as error:
        return _bad(error)
    return await behaviour(request)


async def customer(request: web.Request) -> web.Response:
    """A customer writes; answers when the service has taken the message, or has not after all attempts."""
    box = request.app[BOX]
    try:
        said = msgspec.json.decode(await request.read(), type=Customer)
    except msgspec.DecodeError as error:
        return _bad(error)
    return answer(200, answered(*await speak(box, said)))


async def read(request: web.Request) -> web.Response:
    """A customer looks at the chat: every message not yet read is reported as read."""
    box = request.app[BOX]
    try:
        reader = msgspec.json.decode(await request.read(), type=Reader)
    except msgspec.DecodeError as error:
        return _bad(error)
    unread = [message for message in box.records.sent.of(reader.number) if message.see()]
    for message in unread:
        box.reports.read(message)
    return answer(200, {"read": len(unread)})


def _listed(items: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(items), content_type="application/json")


def _bad(error: msgspec.DecodeError) -> web.Response:
    return answer(400, {"error": {"code": "bad_document", "message": str(error)}})
