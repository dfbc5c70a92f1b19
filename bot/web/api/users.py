"""Customers, by phone number: read, and what is known of them changed."""

from bot.core.events import PreferencesChanged
from bot.records import UserRecord
from bot.web.api.asked import ByPhone, Nothing, UserAsked
from bot.web.api.conversations import accepted
from bot.web.api.reading import phone_in
from bot.web.api.route import Call, Later
from bot.web.errors import Refused, invalid

UNKNOWN = "There is no customer with this phone number."


async def read(call: Call[ByPhone, Nothing]) -> UserRecord:
    return await _user(call, phone_in(call.asked.phone, "phone"))


async def change(call: Call[ByPhone, UserAsked]) -> UserRecord | Later[UserRecord]:
    phone, body, by = phone_in(call.asked.phone, "phone"), call.body, call.body.by or call.caller
    wanted = PreferencesChanged(by=by, name=body.name, language=body.language, opted_out=body.opted_out)
    if wanted == PreferencesChanged(by=by):
        raise invalid(body="Give at least one of name, language, opted_out.")
    done = accepted(await call.desk.change(phone, wanted, key=call.key), UNKNOWN)
    user = await _user(call, phone)
    return user if done else Later(user)


async def _user(call: Call[ByPhone, Nothing] | Call[ByPhone, UserAsked], phone: str) -> UserRecord:
    user = await call.records.user(phone)
    if user is None:
        raise Refused(404, UNKNOWN)
    return user
