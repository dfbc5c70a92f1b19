"""When two events are one."""

import pytest

from bot.core.events import MessageReceived, Sender
from bot.core.messages import Text
from bot.wire.msg91.identity import dedup_key, report_key
from bot.wire.msg91.reports import DeliveryReport
from bot.wire.msg91.wamids import bare_id
from tests.wire.msg91_bodies import PLAIN, THEIRS, heard, sample


def written(**fields: object) -> MessageReceived:
    return heard({"customerNumber": THEIRS, "text": "Hi", "ts": "2026-06-30T18:28:23+05:30"} | fields)


def test_a_message_is_the_same_with_and_without_the_suffix_of_its_id() -> None:
    whole = sample("inbound-template-button-capture")
    assert dedup_key(heard(whole | {"messages": ""})) == dedup_key(heard(whole))
    assert dedup_key(heard(whole | {"uuid": "wamid.OTHER_hello"})) == dedup_key(heard(whole))


@pytest.mark.parametrize(
    ("uuid", "bare"),
    [
        ("wamid.AB12_callback", "wamid.AB12"),
        ("wamid.AB12_hello", "wamid.AB12"),
        ("wamid.AB12_other", "wamid.AB12"),
        ("wamid.AB12==", "wamid.AB12=="),
        ("0a1b_callback", "0a1b"),
        ("order_a", "order_a"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_suffix_is_taken_off(uuid: object, bare: str) -> None:
    assert bare_id(uuid) == bare


def test_plain_ids_that_end_in_a_word_are_different_messages() -> None:
    assert dedup_key(heard(PLAIN | {"messageId": "m_a"})) != dedup_key(heard(PLAIN | {"messageId": "m_b"}))


def test_the_same_id_is_the_same_message_whoever_it_names() -> None:
    one = heard(PLAIN)
    other = MessageReceived(provider_id=one.provider_id, sender=Sender(user_id="IN.26"), content=Text(text="x"))
    assert dedup_key(one) == dedup_key(other)
    assert len(dedup_key(one)) == 16


def test_without_an_id_writer_words_and_time_make_the_message() -> None:
    key = dedup_key(written())
    assert dedup_key(written(companyId="7")) == key
    assert dedup_key(written(text="Ho")) != key
    assert dedup_key(written(customerNumber="919000000003")) != key
    assert dedup_key(written(ts="2026-06-30T18:28:24+05:30")) != key


def test_without_id_and_time_the_moment_of_acceptance_tells_two_equal_texts_apart() -> None:
    event = written(ts="")
    assert dedup_key(event) == dedup_key(event)
    assert dedup_key(event, 1.0) != dedup_key(event, 2.0)
    assert dedup_key(written(), 1.0) == dedup_key(written(), 2.0)


def test_a_report_is_the_same_at_another_time_and_another_with_another_status() -> None:
    def key(**fields: object) -> bytes:
        return report_key(DeliveryReport(**({"status": "sent", "provider_id": "w"} | fields)))  # type: ignore[arg-type]

    assert key(at=1.0) == key(at=2.0)
    assert key(status="read") != key()
    assert key(provider_id="v") != key()
    assert key(message_id="m") == key()


def test_reports_without_a_wamid_are_told_apart_by_call_and_recipient_or_by_our_reference() -> None:
    def key(message_id: str, request_id: str, recipient: str) -> bytes:
        report = DeliveryReport(
            status="sent", message_id=message_id, request_id=request_id, recipient=recipient, at=None
        )
        return report_key(report)

    assert key("", "r", "1") != key("", "r", "2")
    assert key("m", "r", "") != key("n", "r", "")
    assert key("", "r", "") != key("", "s", "")  # a call whose report names no recipient is still that call
    assert len({key("m", "", ""), key("", "m", "m"), key("m", "r", "1")}) == 3
