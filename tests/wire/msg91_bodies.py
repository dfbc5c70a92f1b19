"""Bodies for the tests of MSG91's wire: the sample files, and short ways to make and read others."""

import json
from pathlib import Path
from typing import Any

from bot.core.events import MessageReceived
from bot.wire.msg91.callbacks import read_webhook
from bot.wire.msg91.deliveries import Delivery, Item, Received, Reported
from bot.wire.msg91.reports import DeliveryReport

SAMPLES = Path(__file__).parent / "samples"
OURS = "919000000001"
THEIRS = "919000000002"
PLAIN = {"from": THEIRS, "text": "Hi", "timestamp": 1714510003, "messageId": "m-1", "type": "text"}


def sample(name: str) -> dict[str, Any]:
    value = json.loads((SAMPLES / f"{name}.json").read_bytes())
    assert isinstance(value, dict)
    return value


def read(value: object) -> Delivery:
    return read_webhook(json.dumps(value).encode(), our_numbers=frozenset({OURS}))


def only(value: object) -> Item:
    delivery = read(value)
    assert delivery.problem is None
    (item,) = delivery.items
    return item


def heard(value: object) -> MessageReceived:
    item = only(value)
    assert isinstance(item, Received), item
    return item.event


def reported(value: object) -> DeliveryReport:
    item = only(value)
    assert isinstance(item, Reported), item
    return item.report


def refused(value: object) -> str:
    delivery = read(value)
    assert delivery.problem is not None, delivery
    assert delivery.items == ()
    return delivery.problem.message
