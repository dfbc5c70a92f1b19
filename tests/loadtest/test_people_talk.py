"""What the crowd says, and what it takes for the right answer, against the real core and the flow of the load test."""

import random
from collections import Counter

import msgspec
import pytest

from bot.wire.msg91.callbacks import read_webhook
from loadtest.driver import OUR_NUMBER
from loadtest.people_run.count import judged
from loadtest.people_run.said import Option
from loadtest.people_run.talk import Talk
from loadtest.people_run.webhook import body_of, identity_of, image_part, signed, tap_part, text_part
from tests.loadtest.playing_people import Play

PHONE = "917000000001"


@pytest.mark.parametrize("seed", range(40))
def test_the_core_answers_a_customer_of_the_crowd_exactly_as_the_crowd_expects(seed: int) -> None:
    verdict = judged(Play(seed).story)
    assert verdict.broken == ()
    assert verdict.came == verdict.wanted > 0


def test_in_many_lives_everything_that_people_do_is_done() -> None:
    said = [one for seed in range(60) for one in Play(seed).said]
    words = Counter(one.text.partition(" ")[0] for one in said)
    assert {"hello", "word", "STOP", "START", "waiting", "agent", "human", "Delivery", "Offers", "Tea", ""} <= set(
        words
    )
    assert words["Talk"] > 0, "nobody tapped on a person"
    assert words["Main"] > 0, "nobody tapped on the menu"
    assert Counter(one.kind for one in said).keys() == {"flow", "model", "agent"}


def test_turns_are_bursts_silences_and_departures_too() -> None:
    talk, turns = Talk(random.Random(3)), []
    for _ in range(3000):
        turns.append(talk.turn())
        if turns[-1].silence:
            talk.silent()
        if talk.state == "person":
            talk.returned(resolved=True)
    assert max(len(turn.lines) for turn in turns) == 4
    assert any(turn.silence for turn in turns)
    assert any(turn.leaves for turn in turns)


def test_the_same_seed_says_the_same() -> None:
    assert [one.text for one in Play(5).said] == [one.text for one in Play(5).said]


@pytest.mark.parametrize(
    ("part", "kind", "shown"),
    [
        (text_part("hello 1"), "text", "hello 1"),
        (image_part(""), "media", ""),
        (image_part("Is #3 broken?"), "media", "Is #3 broken?"),
        (tap_part(Option("people:menu:1", "Delivery"), row=False), "tap", "Delivery"),
        (tap_part(Option("people:offers:1", "Tea"), row=True), "tap", "Tea"),
    ],
)
def test_the_service_reads_the_crowds_webhooks_as_they_are_meant(
    part: dict[str, object], kind: str, shown: str
) -> None:
    body = body_of(PHONE, identity_of(PHONE, 1), part)
    delivery = read_webhook(body, our_numbers=frozenset({OUR_NUMBER}), content_type="application/json")
    assert delivery.problem is None
    (item,) = delivery.items
    text = msgspec.json.encode(item).decode()
    assert f'"{kind}"' in text
    assert shown in text


def test_every_message_has_an_id_of_its_own_and_a_signature() -> None:
    assert identity_of(PHONE, 1) != identity_of(PHONE, 2)
    assert signed(b"{}", "secret")["X-Hub-Signature-256"].startswith("sha256=")
