"""Secrets of the settings are told nowhere: not by their representation, not by complaints about them, not by `bot
doctor`, which tries every one of them.
"""

import logging

import msgspec
import pytest

from bot.adapters.cipher import AesVault, ServiceKeys, parse_keys
from bot.commands.doctor import examine
from bot.config import Misconfigured, Settings, read_settings

MARK = "S3cr3tM4rk"
KEY = "k1:" + "QUFB" * 10 + "QUE="
SECRETS = {
    "ADMIN_TOKEN": MARK,
    "DATABASE_URL": f"postgresql://user:{MARK}@127.0.0.1:1/name",
    "ENCRYPTION_KEYS": KEY,
    "MSG91_AUTH_KEY": MARK,
    "MSG91_WEBHOOK_SECRET": MARK,
    "OPENROUTER_API_KEY": MARK,
    "REDIS_URL": f"redis://user:{MARK}@127.0.0.1:1/0",
}
OTHERS = {
    "MSG91_BASE_URL": "http://127.0.0.1:1",
    "MSG91_SENDER_ID": "919000000001",
    "OPENROUTER_BASE_URL": "http://127.0.0.1:1",
    "OPENROUTER_PRIMARY_MODEL": "a/b",
}


def settings() -> Settings:
    return read_settings({**SECRETS, **OTHERS}, dotenv=None)


def tells(text: str) -> bool:
    return MARK in text or KEY[3:] in text


def test_settings_show_names_and_no_values() -> None:
    shown = f"{settings()!r} {settings()} {[settings()]}"
    assert not tells(shown)
    assert "admin_token" in shown
    assert repr(Settings()) == "Settings()"


def test_every_secret_is_looked_after_here() -> None:
    """A setting whose name says that it is one has to be among those above."""
    named = [name.upper() for name in Settings.__struct_fields__]
    telling = [name for name in named if name.endswith(("_KEY", "_KEYS", "_SECRET", "_URL")) or "TOKEN" in name]
    assert set(telling) - SECRETS.keys() - OTHERS.keys() <= {"OPENROUTER_MAX_TOKENS"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://user:{MARK}@host"),
        ("REDIS_URL", f"redis+sentinel://user:{MARK}@host"),
        ("REDIS_URL", f"ftp://{MARK}@host"),
        ("REDIS_URL", f"redis+cluster://user:{MARK}@host:port"),
        ("ENCRYPTION_KEYS", MARK),
        ("ENCRYPTION_KEYS", f"{MARK}!:{KEY[3:]}"),
        ("ENCRYPTION_KEYS", f"{KEY},{KEY}"),
    ],
)
def test_a_complaint_about_a_secret_does_not_quote_it(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_settings({**SECRETS, **OTHERS, name: value}, dotenv=None)
    assert not tells(str(caught.value))


async def test_the_doctor_finds_everything_away_and_tells_no_secret(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "bot"):
        assert not await examine(settings())
    said = capsys.readouterr()
    assert said.out.count("FAIL") >= 4
    assert not tells(said.out + said.err + caplog.text)


def test_what_holds_keys_does_not_show_them() -> None:
    keys = ServiceKeys(parse_keys(KEY))
    vault = AesVault(keys, keys.new_key())
    assert not tells(f"{keys!r} {vault!r} {vars(keys) if hasattr(keys, '__dict__') else ''}")
    assert msgspec.structs.asdict(settings())["admin_token"] == MARK
