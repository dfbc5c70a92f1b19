"""Invented history, without a database: numbers that are nobody's, times that make sense, states that agree."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import phonenumbers
import pytest

from bot.adapters.cipher import AesVault, ServiceKeys
from bot.core.state import decode_conversation
from bot.runtime.writer import IDENTITY_CONTEXT, STATE_CONTEXT
from bot.seeding.history import History, Wanted
from bot.seeding.moments import beginnings
from bot.seeding.people import People
from bot.seeding.tables import COLUMNS, Tables
from bot.wire.msg91.failures import known_class
from bot.wire.msg91.fields import phone

NOW = datetime(2025, 6, 4, 12, 0, tzinfo=UTC).timestamp()
KEYS = ServiceKeys({"k1": b"\1" * 32})
VAULT = AesVault(KEYS, KEYS.new_key())
WANTED = Wanted(conversations=1500, days=30, now=NOW, number="919000000001")

Row = dict[str, Any]


def written(chance: int = 1, wanted: Wanted = WANTED) -> Tables:
    return History(wanted, VAULT, itertools.count(1), Random(chance)).write()


TABLES = written()


def rows(table: str, tables: Tables = TABLES) -> list[Row]:
    return [dict(zip(COLUMNS[table].split(), row, strict=True)) for row in getattr(tables, table)]


@pytest.fixture(scope="module")
def talks() -> dict[str, list[Row]]:
    """Messages by conversation, in the order in which they are written."""
    found: dict[str, list[Row]] = {}
    for message in rows("messages"):
        found.setdefault(message["conversation_id"], []).append(message)
    return found


def test_no_number_can_be_anybodys() -> None:
    people = People(Random(3), abroad=True)
    numbers = [people.another().phone for _ in range(3000)]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        assert phone(number) == number
        assert is_fictional(number), number


def is_fictional(number: str) -> bool:
    """Reserved by Ofcom, reserved by the North American plan, or no number at all by India's plan."""
    if number.startswith("44"):
        return number.startswith("447700900") and len(number) == 12
    if number.startswith("1"):
        return number[4:9] == "55501" and len(number) == 11
    return number.startswith("910") and not phonenumbers.is_valid_number(phonenumbers.parse(f"+{number}"))


def test_abroad_numbers_may_be_left_out_and_run_out() -> None:
    assert {People(Random(n), abroad=False).another().phone[:3] for n in range(200)} == {"910"}
    people = People(Random(1), abroad=True)
    abroad = sum(not people.another().phone.startswith("910") for _ in range(60_000))
    assert abroad == 1000 + 1400


def test_the_same_chance_invents_the_same_history_and_another_one_another() -> None:
    def said(tables: Tables) -> list[Any]:
        return [(row["id"], row["created_at"], row["delivery_status"]) for row in rows("messages", tables)]

    assert said(written(1)) == said(TABLES)
    assert said(written(2)) != said(TABLES)


def test_nothing_lies_in_the_future_or_before_the_period() -> None:
    now = datetime.fromtimestamp(NOW, UTC)
    first = datetime.fromtimestamp(NOW - 31 * 86_400, UTC)
    moments = ("created_at", "sent_at", "delivered_at", "read_at", "completed_at", "updated_at", "heard_at")
    for table in ("users", "identities", "conversations", "messages", "model_calls", "audit"):
        for row in rows(table):
            assert all(first <= row[name] <= now for name in moments if row.get(name) is not None), row


def test_a_message_is_sent_before_it_is_delivered_and_delivered_before_it_is_read() -> None:
    for row in rows("messages"):
        times = [row[name] for name in ("caused_at", "created_at", "sent_at", "delivered_at", "read_at")]
        told = [time for time in times if time is not None]
        assert told == sorted(told)
        assert (row["delivery_status"] == "received") == (row["direction"] == "inbound")


def test_failures_have_codes_that_the_platform_gives_for_good() -> None:
    codes = Counter(row["failure_code"] for row in rows("messages") if row["delivery_status"] == "failed")
    assert codes.most_common(1)[0][0] == 131026
    for code in codes:
        failure = known_class(code)
        assert failure is not None
        assert failure.permanent


def test_a_customer_has_one_conversation_at_a_time() -> None:
    theirs: dict[int, list[Row]] = {}
    for row in rows("conversations"):
        theirs.setdefault(row["user_id"], []).append(row)
    for conversations in theirs.values():
        for before, after in itertools.pairwise(conversations):
            assert before["completed_at"] is not None
            assert before["completed_at"] <= after["created_at"]


def test_nobody_waits_for_the_bot(talks: dict[str, list[Row]]) -> None:
    for conversation in rows("conversations"):
        if conversation["status"] in {"bot", "model"}:
            assert talks[conversation["id"]][-1]["direction"] == "outbound"


def test_the_stored_state_agrees_with_the_open_conversation_and_its_timer() -> None:
    open_ones = {row["user_id"]: row for row in rows("conversations") if row["completed_at"] is None}
    timers = {row["id"]: row for row in rows("timers")}
    for user in rows("users"):
        state = decode_conversation(VAULT.customer(user["data_key"]).open(user["state"], STATE_CONTEXT))
        conversation = open_ones.get(user["id"])
        assert state.mode == (conversation["status"] if conversation else "closed")
        assert state.customer.opted_out == user["opted_out"]
        if conversation:
            assert state.id == conversation["id"]
            assert all(timers[timer]["user_id"] == user["id"] for timer in state.timers.values())
            assert bool(state.timers) == (state.mode in {"bot", "model"})
    assert {row["status"] for row in open_ones.values()} >= {"bot", "model"}


def test_a_person_is_asked_for_taken_on_and_resolves_in_that_order() -> None:
    deeds: dict[str, list[str]] = {}
    for line in rows("audit"):
        deeds.setdefault(line["conversation_id"], []).append(line["action"])
    orders = {tuple(actions) for actions in deeds.values()}
    assert ("escalated", "assigned", "resolved") in orders
    assert ("opted_out",) in orders
    assert all(order[0] in {"escalated", "opted_out"} for order in orders)
    resolved = [row for row in rows("conversations") if row["resolution_time"] is not None]
    assert resolved
    assert all(row["department"] for row in resolved)


def test_every_kind_of_thing_happens() -> None:
    kinds = Counter(row["kind"] for row in rows("messages"))
    assert kinds.keys() == {"customer", "flow", "model", "system", "agent"}
    assert Counter(row["language"] for row in rows("users")).keys() == {"en", "hi"}
    statuses = {row["delivery_status"] for row in rows("messages")}
    assert statuses == {"received", "sent", "delivered", "read", "failed"}
    spent = sum(row["cost_usd"] for row in rows("model_calls"))
    assert spent == sum(row["llm_cost"] for row in rows("messages") if row["llm_cost"] is not None)


def test_numbers_are_found_by_their_fingerprints_and_opened_by_their_keys() -> None:
    keys = {user["id"]: user["data_key"] for user in rows("users")}
    for identity in rows("identities"):
        number = VAULT.customer(keys[identity["user_id"]]).open(identity["sealed"], IDENTITY_CONTEXT).decode()
        assert identity["hash"] == VAULT.fingerprint("phone", number)


def test_customers_write_by_day_more_than_by_night_and_less_on_sundays() -> None:
    moments = [datetime.fromtimestamp(at + 19_800, UTC) for at in beginnings(Random(5), 20_000, now=NOW, days=70)]
    hours, weekdays = Counter(at.hour for at in moments), Counter(at.weekday() for at in moments)
    assert sum(hours[hour] for hour in range(9, 21)) > 0.7 * len(moments)
    assert weekdays[6] < 0.6 * weekdays[0]
