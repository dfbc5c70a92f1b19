"""Signatures as the specification's own library verifies them."""

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bot.wire.standard_webhooks import secret_of, signed_headers

BODY = '{"text":"नमस्ते"}'.encode()
KEY, OLD = b"k" * 32, b"o" * 24


def test_the_reference_library_verifies_what_is_signed() -> None:
    headers = dict(signed_headers([KEY], event_id="e1", at=time.time(), body=BODY))
    assert Webhook(secret_of(KEY)).verify(BODY, headers) == {"text": "नमस्ते"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(KEY)).verify(BODY + b" ", headers)


def test_while_a_secret_is_being_replaced_both_verify_and_no_other_does() -> None:
    headers = dict(signed_headers([KEY, OLD], event_id="e1", at=time.time(), body=BODY))
    for key in (KEY, OLD):
        assert Webhook(secret_of(key)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(b"x" * 32)).verify(BODY, headers)


def test_the_timestamp_is_whole_seconds_of_the_attempt() -> None:
    headers = signed_headers([KEY], event_id="e1", at=1_750_000_000.9, body=BODY)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("e1", "1750000000")


def test_an_example_that_was_computed_elsewhere() -> None:
    """By the reference library's `sign` for the same secret, id, time and body."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    library = Webhook(secret)
    key = library._whsecret
    headers = signed_headers(
        [key], event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1_614_265_330.0, body=b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert secret_of(key) == secret
