"""What was done once is answered once: a repeat under the same Idempotency-Key gets the answer of the first call.

As the IETF draft "The Idempotency-Key HTTP Header Field" has it: the same status and body, on any replica and after a
restart, marked `Idempotency-Replayed: true`; another request under a key that was used is refused with 422. The answer
is kept after the deed and by a statement of its own. A crash between the two, or a store that does not take it, loses
only the note: the key in the journal still keeps the deed from being done twice. A call that is not finished (202) is
not kept, so that who asks again hears how it went on.
"""

import logging
from typing import Any, Final

import msgspec
from aiohttp import web

from bot.ports.failures import Unacceptable, Unavailable
from bot.ports.idempotency import Idempotency, Remembered
from bot.records import UserRecord
from bot.web.api.bulk import BulkSent
from bot.web.api.reading import KEY_HEADER
from bot.web.api.route import AnyRoute, Call, Later
from bot.web.errors import MISMATCH, ErrorAnswer, Refused
from bot.web.keys import IDEMPOTENCY
from bot.wire.msg91.fields import phone

REPLAYED: Final = "Idempotency-Replayed"
KEPT_REFUSAL: Final = 409
"""The refusal that is kept: a state decided it, and no other state decides again under the same key."""

log = logging.getLogger(__name__)


async def finished(route: AnyRoute, request: web.Request, call: Call[Any, Any]) -> web.Response:
    """The answer to a call: the kept one, or the handler's, which is kept when the caller named a key."""
    memory = request.app.get(IDEMPOTENCY)
    if memory is None or not route.may_wait or KEY_HEADER not in request.headers:
        return _response(*await _performed(route, call))
    wanted = msgspec.json.encode(call.body, order="deterministic").decode()
    known = await memory.recall(call.key, wanted)
    if known is not None:
        return _replayed(known)
    try:
        answer, status = await _performed(route, call)
    except Refused as refused:
        if refused.status == KEPT_REFUSAL:
            await _keep(memory, call.key, wanted, ErrorAnswer(error=refused.detail), KEPT_REFUSAL)
        raise
    if status != 202:
        await _keep(memory, call.key, wanted, answer, status)
    return _response(answer, status)


async def _performed(route: AnyRoute, call: Call[Any, Any]) -> tuple[msgspec.Struct, int]:
    answer = await route.handler(call)
    return (answer.answer, 202) if isinstance(answer, Later) else (answer, route.status)


async def _keep(memory: Idempotency, call: str, wanted: str, answer: msgspec.Struct, status: int) -> None:
    """What was done is done: a store that does not take the note is no reason to tell the caller otherwise."""
    try:
        await memory.remember(call, wanted, status, msgspec.json.encode(answer), phones_in(answer))
    except (Unavailable, Unacceptable) as problem:
        log.warning("an answer could not be kept for a repeat of the call", extra={"error": str(problem)})


def phones_in(answer: msgspec.Struct) -> tuple[str, ...]:
    """Whose numbers an answer holds, digits only: with one of them erased it may not be kept any longer."""
    match answer:
        case BulkSent(results=results):
            return tuple({digits for result in results if (digits := phone(result.phone_number))})
        case UserRecord(phone_number=str(number)):
            return (number,)
        case _:
            return ()


def _replayed(known: Remembered) -> web.Response:
    if not known.same:
        raise Refused(422, code=MISMATCH, fields={KEY_HEADER: "Use a new key for a new request."})
    response = _raw(known.answer, known.status)
    response.headers[REPLAYED] = "true"
    return response


def _response(answer: msgspec.Struct, status: int) -> web.Response:
    return _raw(msgspec.json.encode(answer), status)


def _raw(body: bytes, status: int) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
