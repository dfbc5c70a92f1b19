"""The order of the states of a message."""

from functools import reduce
from itertools import permutations

import pytest

from bot.core.delivery import DeliveryStatus, advance

ORDER: tuple[DeliveryStatus, ...] = ("pending", "sending", "sent", "failed", "delivered", "read")


@pytest.mark.parametrize("old", ORDER)
@pytest.mark.parametrize("new", ORDER)
def test_a_status_never_goes_back(old: DeliveryStatus, new: DeliveryStatus) -> None:
    assert ORDER.index(advance(old, new)) == max(ORDER.index(old), ORDER.index(new))


def test_reports_in_any_order_end_in_the_same_status() -> None:
    reports: tuple[DeliveryStatus, ...] = ("sent", "failed", "delivered", "read", "sent")
    start: DeliveryStatus = "pending"
    assert {reduce(advance, order, start) for order in permutations(reports)} == {"read"}


def test_a_message_fails_only_before_it_is_delivered() -> None:
    assert advance("sent", "failed") == "failed"
    assert advance("delivered", "failed") == "delivered"
    assert advance("failed", "sent") == "failed"
