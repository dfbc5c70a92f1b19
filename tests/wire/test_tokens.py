import re

import pytest

from bot.wire.tokens import SECRET_BYTES, Presented, hashed, read, written

SECRET = bytes(range(SECRET_BYTES))
TOKEN = written(17, SECRET)


@pytest.mark.parametrize("number", [1, 17, 2**63 - 1])
@pytest.mark.parametrize("secret", [SECRET, b"\0" * SECRET_BYTES, b"\xff" * SECRET_BYTES])
def test_what_was_written_is_read(number: int, secret: bytes) -> None:
    assert read(written(number, secret)) == Presented(id=number, secret=secret)


def test_a_token_has_the_form_that_secret_scanners_are_told() -> None:
    assert re.fullmatch(r"wsd_[0-9]{1,19}_[0-9A-Za-z]{49}", TOKEN)
    assert TOKEN == "wsd_17_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0cPBH5"


def test_one_wrong_letter_anywhere_is_noticed() -> None:
    for place, letter in enumerate(TOKEN):
        other = "8" if letter != "8" else "9"
        assert read(TOKEN[:place] + other + TOKEN[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wsd",
        "wsd_17_",
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.upper(),
        "wsd_é_" + "0" * 49,
        "\udce9",
    ],
)
def test_what_is_no_token_is_none(text: str) -> None:
    assert read(text) is None


def test_a_right_checksum_does_not_make_a_token_of_numbers_that_are_too_large() -> None:
    assert read(written(2**63, SECRET)) is None
    assert read(written(1, (62**43 - 1).to_bytes(SECRET_BYTES + 1))) is None


def test_what_is_kept_of_a_secret_is_its_sha_256() -> None:
    assert hashed(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
