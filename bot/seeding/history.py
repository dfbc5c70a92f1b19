"""A history: conversations of invented customers as rows, sealed under keys of their own as the service seals them.

The same chance gives the same people, talks and times; what is sealed differs each time, as every sealing does.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Final

import msgspec

from bot.core.effects import Turn
from bot.core.ids import ConversationId, TimerId, new_id
from bot.core.messages import encode_content, spoken
from bot.core.search import search_words
from bot.core.state import Conversation, Customer, encode_conversation
from bot.ports.keys import Sealer, Vault
from bot.runtime.writer import IDENTITY_CONTEXT, NAME_CONTEXT, REASON_CONTEXT, STATE_CONTEXT, message_context
from bot.seeding.deliveries import delivery
from bot.seeding.moments import DAY, beginnings
from bot.seeding.people import People, Person
from bot.seeding.tables import Tables
from bot.seeding.talks import Line, Talk, farewell, talk
from bot.seeding.told import Told, tell

MODEL: Final = "openai/gpt-4o-mini"
_PROMPT_PRICE, _ANSWER_PRICE = Decimal("0.00000015"), Decimal("0.0000006")
"""US dollars for a token."""
_AGAIN_SHARE: Final = 0.4
"""Of the conversations those of somebody who has written before."""
_TURNS_KEPT: Final = 10


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How much, until when (unix seconds), over how many days; `number` is ours.

    `abroad`: whether some customers are of other countries.
    """

    conversations: int
    days: int
    now: float
    number: str
    abroad: bool = True


class _Known(msgspec.Struct, kw_only=True):
    """A customer so far. `free_at`: when the conversation they have ends, infinite while it is open."""

    person: Person
    id: int
    data_key: bytes
    sealer: Sealer
    theirs: bytes
    ours: bytes
    began: float
    free_at: float = 0.0
    state: Conversation = Conversation()
    updated: float = 0.0


class History:
    """Fills `tables`. `ids` are free numbers for customers, as many as there are conversations."""

    def __init__(self, wanted: Wanted, vault: Vault, ids: Iterator[int], chance: Random) -> None:
        self.tables = Tables()
        self._wanted = wanted
        self._vault = vault
        self._ids = ids
        self._chance = chance
        self._people = People(chance, abroad=wanted.abroad)
        self._known: list[_Known] = []
        self._writing: list[_Known] = []

    def write(self) -> Tables:
        """Everything that is wanted."""
        wanted = self._wanted
        for began in beginnings(self._chance, wanted.conversations, now=wanted.now, days=wanted.days):
            self._converse(began)
        for known in self._known:
            self._keep(known)
        return self.tables

    def _converse(self, began: float) -> None:
        customer = self._who(began)
        person = customer.person
        said = farewell(self._chance, person.language) if person.opted_out else talk(self._chance, person.language)
        told = tell(said, began, self._wanted.now)
        if told is None:
            return
        if not customer.updated:
            self._known.append(customer)
            if not person.opted_out:
                self._writing.append(customer)
        _Rows(self._wanted, self.tables, customer, self._chance).add(said, told)

    def _who(self, began: float) -> _Known:
        if self._writing and self._chance.random() < _AGAIN_SHARE:
            again = self._chance.choice(self._writing)
            if again.free_at < began:
                return again
        return self._meet(self._people.another(), began)

    def _meet(self, person: Person, began: float) -> _Known:
        key = self._vault.new_customer_key()
        sealer = self._vault.customer(key)
        return _Known(
            person=person,
            id=next(self._ids),
            data_key=key,
            sealer=sealer,
            theirs=sealer.seal(person.phone.encode(), IDENTITY_CONTEXT),
            ours=sealer.seal(self._wanted.number.encode(), IDENTITY_CONTEXT),
            began=began,
        )

    def _keep(self, known: _Known) -> None:
        person, vault = known.person, self._vault
        search = [vault.fingerprint("search", word) for word in search_words(person.phone, person.name)]
        state = known.sealer.seal(encode_conversation(known.state), STATE_CONTEXT)
        name = known.sealer.seal(person.name.encode(), NAME_CONTEXT)
        began, updated = moment(known.began), moment(known.updated)
        self.tables.users.append(
            (known.id, known.data_key, 1, state, name, person.language, person.opted_out, search, began, updated)
        )
        fingerprint = vault.fingerprint("phone", person.phone)
        self.tables.identities.append((fingerprint, known.id, "phone", known.theirs, began))


class _Rows:
    """The rows of one conversation."""

    def __init__(self, wanted: Wanted, tables: Tables, customer: _Known, chance: Random) -> None:
        self._wanted = wanted
        self._tables = tables
        self._customer = customer
        self._chance = chance
        self._now = moment(wanted.now)
        self._spent = Decimal(0)
        self._made = 0
        self._id = ""

    def add(self, talk: Talk, told: Told) -> None:
        began = told.times[0]
        self._id = self._fresh(began)
        caused_at = began
        for place, (line, at) in enumerate(zip(told.lines, told.times, strict=True)):
            if line.by == "customer":
                caused_at = at
                self._received(line, at, held=0 <= talk.escalated < place)
            else:
                self._sent(line, at, caused_at, talk.agent, may_fail=told.mode not in {"bot", "model"})
        self._deeds(talk, told)
        self._conversation(talk, told)

    def _fresh(self, at: float) -> str:
        self._made += 1
        return new_id(at, self._chance.getrandbits(62), self._made)

    def _received(self, line: Line, at: float, *, held: bool) -> None:
        id_, customer, when = self._fresh(at), self._customer, moment(at)
        self._tables.messages.append(
            (
                id_, self._id, customer.id, "inbound", _type_of(line), "customer", self._sealed(id_, line),
                customer.theirs, customer.ours, self._wanted.number, self._provider_id(), None, "received", "", 0, 0, 0,
                "", "person" if held else "", False, "", None, None, when, when, None, None, None,
            )
        )  # fmt: skip

    def _sent(self, line: Line, at: float, caused_at: float, agent: str, *, may_fail: bool) -> None:
        """`may_fail`: whether somebody without this reply would not seem to wait for it still."""
        id_, customer, when = self._fresh(at), self._customer, moment(at)
        went = delivery(self._chance, when, self._now, may_fail=may_fail)
        by_model = line.by == "model"
        cost = self._model_call(at, line.pause) if by_model else None
        self._tables.messages.append(
            (
                id_, self._id, customer.id, "outbound", _type_of(line), line.by, self._sealed(id_, line),
                customer.ours, customer.theirs, self._wanted.number, self._provider_id(), self._request_id(),
                went.status, went.reason, went.code, 1, went.reported, agent if line.by == "agent" else "", "",
                by_model, MODEL if by_model else "", cost, None if line.by == "agent" else at - caused_at,
                moment(caused_at), when, went.sent_at, went.delivered_at, went.read_at,
            )
        )  # fmt: skip

    def _model_call(self, at: float, seconds: float) -> Decimal:
        asked, answered = self._chance.randrange(420, 1600), self._chance.randrange(25, 150)
        cost = asked * _PROMPT_PRICE + answered * _ANSWER_PRICE
        self._spent += cost
        generation = f"gen-{self._chance.getrandbits(64):016x}"
        self._tables.model_calls.append(
            (
                self._fresh(at), self._customer.id, self._id, "answered", MODEL, asked, answered, cost, False, 1,
                seconds, generation, moment(at),
            )
        )  # fmt: skip
        return cost

    def _deeds(self, talk: Talk, told: Told) -> None:
        """The lines of the audit log."""
        if self._customer.person.opted_out:
            self._deed("opted_out", "customer", "", told.times[-1])
        if not 0 <= talk.escalated < len(told.lines):
            return
        self._deed("escalated", "bot", talk.department, told.times[talk.escalated])
        if talk.agent and len(told.lines) > talk.escalated + 1:
            self._deed("assigned", talk.agent, talk.agent, told.times[talk.escalated + 1])
        if told.completed_at is not None:
            self._deed("resolved", talk.agent or "asha", "", told.completed_at)

    def _deed(self, action: str, by: str, detail: str, at: float) -> None:
        self._tables.audit.append((action, by, self._customer.id, self._id, detail, moment(at)))

    def _conversation(self, talk: Talk, told: Told) -> None:
        customer, began, ended = self._customer, told.times[0], told.completed_at
        escalated = 0 <= talk.escalated < len(told.lines)
        agent = talk.agent if escalated and len(told.lines) > talk.escalated + 1 else ""
        reason = customer.sealer.seal(talk.reason.encode(), REASON_CONTEXT) if escalated else b""
        session = self._fresh(began)
        updated = ended if ended is not None else told.times[-1]
        self._tables.conversations.append(
            (
                self._id, session, customer.id, told.mode, customer.person.language, reason,
                talk.department if escalated else "", agent, self._wanted.number,
                ended - began if ended is not None and told.by_person else None,
                talk.score if ended is not None else None,
                moment(began), moment(updated), moment(told.heard_at), moment(ended) if ended is not None else None,
            )
        )  # fmt: skip
        self._state(talk, told, session, agent, updated)

    def _state(self, talk: Talk, told: Told, session: str, agent: str, updated: float) -> None:
        customer, person = self._customer, self._customer.person
        customer.updated = updated
        customer.free_at = told.completed_at if told.completed_at is not None else float("inf")
        known = Customer(
            phone=person.phone, name=person.name, language=person.language, opted_out=person.opted_out
        )  # fmt: skip
        if told.completed_at is not None:
            customer.state = Conversation(customer=known)
            return
        held = told.mode in {"queue", "agent"}
        customer.state = Conversation(
            mode=told.mode,
            customer=known,
            id=ConversationId(self._id),
            number=self._wanted.number,
            started_at=told.times[0],
            session=session,
            session_started_at=told.times[0],
            heard_at=told.heard_at,
            turns=tuple(_turn(line) for line in told.lines[-_TURNS_KEPT:]),
            timers={} if held else {"conversation": self._timer(told.heard_at + DAY)},
            department=talk.department if held else "",
            reason=talk.reason if held else "",
            agent=agent,
            spent_usd=float(self._spent),
        )

    def _timer(self, due: float) -> TimerId:
        timer = TimerId(self._fresh(self._wanted.now))
        self._tables.timers.append((timer, self._customer.id, "conversation", moment(due)))
        return timer

    def _sealed(self, id_: str, line: Line) -> bytes:
        return self._customer.sealer.seal(encode_content(line.content), message_context(id_))

    def _request_id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"

    def _provider_id(self) -> str:
        return f"wamid.HBgM{self._chance.getrandbits(144):036X}"


def moment(seconds: float) -> datetime:
    """Unix seconds as PostgreSQL's driver takes a time."""
    return datetime.fromtimestamp(seconds, UTC)


def _type_of(line: Line) -> str:
    return type(line.content).__name__.lower()


def _turn(line: Line) -> Turn:
    return Turn(role="user" if line.by == "customer" else "assistant", text=spoken(line.content))
