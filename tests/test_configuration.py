"""Every setting: named and defaulted as promised to the outside, refused all at once, described in the docs."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bot.config import Misconfigured, Settings, demands_of_service, read_settings, shipped
from bot.config_page import page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"
KEY = base64.b64encode(b"k" * 32).decode()

PROMISED: dict[str, object] = {
    "HOST": "0.0.0.0",
    "PORT": 8000,
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "MSG91_AUTH_KEY": "",
    "MSG91_SENDER_ID": "",
    "MSG91_BASE_URL": "https://control.msg91.com/api/v5",
    "MSG91_DIALECT": "v5",
    "MSG91_RATE": 80,
    "RECIPIENT_BURST": 45,
    "RECIPIENT_INTERVAL": 6,
    "MSG91_WEBHOOK_SECRET": "",
    "OPENROUTER_API_KEY": "",
    "OPENROUTER_BASE_URL": "https://openrouter.ai/api/v1",
    "OPENROUTER_PRIMARY_MODEL": "",
    "OPENROUTER_FALLBACK_MODEL": "",
    "OPENROUTER_MAX_TOKENS": 500,
    "OPENROUTER_TIMEOUT": 30,
    "SESSION_TIMEOUT": 3600,
    "CONVERSATION_TIMEOUT": 86400,
    "LEASE_SECONDS": 10,
    "UNANSWERED_AFTER": 60,
    "STALE_AFTER": 3600,
    "DELIVERY_GIVE_UP": 3600,
    "QUIET_MOMENT": 1,
    "FLOWS_DIR": Path("flows"),
    "SQL_DIR": Path("sql"),
    "ENCRYPTION_KEYS": "",
    "ADMIN_TOKEN": "",
    "REPLICA_ID": "",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "info",
}
"""What operators rely on: names and defaults that do not change without them."""


def problems_of(**environment: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        read_settings(environment, dotenv=None)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def read(**environment: str) -> Settings:
    return read_settings(environment, dotenv=None)


def test_names_and_defaults_are_as_promised() -> None:
    given = {name.upper(): value for name, value in msgspec.structs.asdict(Settings()).items()}
    assert {name: given.get(name, "is missing") for name in PROMISED} == PROMISED


def test_the_page_of_settings_is_current() -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m bot.config_page > docs/configuration.md`"
    assert all(f"| `{name.upper()}` |" in page() for name in Settings.__struct_fields__)


def test_nothing_set_gives_the_defaults_and_the_statements_that_came_along() -> None:
    settings = read(PORT="", LOG_LEVEL="  ")
    assert settings == msgspec.structs.replace(Settings(), sql_dir=shipped("sql"))
    assert (settings.sql_dir / "queries").is_dir()
    assert read(SQL_DIR="elsewhere").sql_dir == Path("elsewhere")


def test_values_are_read_by_their_kind() -> None:
    settings = read(
        PORT=" 9000 ",
        QUIET_MOMENT="0",
        MSG91_RATE="2.5",
        FLOWS_DIR="/etc/flows",
        MSG91_SENDER_ID="919000000001, 919000000002 ,",
        OPENROUTER_PRIMARY_MODEL="a/b",
        OPENROUTER_FALLBACK_MODEL="c/d, e/f",
    )
    assert (settings.port, settings.quiet_moment, settings.msg91_rate) == (9000, 0.0, 2.5)
    assert settings.flows_dir == Path("/etc/flows")
    assert settings.numbers == ("919000000001", "919000000002")
    assert settings.models == ("a/b", "c/d", "e/f")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "high"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("ENVIRONMENT", "staging"),
        ("LOG_FORMAT", "xml"),
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "nan"),
        ("LEASE_SECONDS", "inf"),
        ("QUIET_MOMENT", "-1"),
        ("BATCH_LIMIT", "0"),
        ("DATABASE_URL", "mysql://x"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis+sentinel://one:26379,two:26379"),
        ("REDIS_URL", "redis+cluster://one:7000/1"),
        ("MSG91_SENDER_ID", "+919000000001"),
        ("MSG91_SENDER_ID", "12345"),
        ("MSG91_SENDER_ID", "٩١٩٠٠٠٠٠٠٠٠١"),
        ("CONVERSATION_TIMEOUT", "60"),
        ("ENCRYPTION_KEYS", "nothing"),
        ("ENCRYPTION_KEYS", f":{KEY}"),
        ("ENCRYPTION_KEYS", f"a b:{KEY}"),
        ("ENCRYPTION_KEYS", "a:c2hvcnQ="),
        ("ENCRYPTION_KEYS", f"a:{KEY},b:?"),
        ("ENCRYPTION_KEYS", f"a:{KEY},a:{KEY}"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    (problem,) = problems_of(**{name: value})
    assert problem.startswith(f"{name}: ")
    assert KEY not in problem


def test_all_problems_come_at_once_with_what_the_command_misses() -> None:
    environment = {"PORT": "x", "LOG_LEVEL": "loud", "OPENROUTER_API_KEY": "k"}
    with pytest.raises(Misconfigured) as caught:
        read_settings(environment, dotenv=None, demands=demands_of_service)
    names = {problem.split(":")[0].split(" ")[0] for problem in caught.value.problems}
    assert names == {
        *("PORT", "LOG_LEVEL", "OPENROUTER_PRIMARY_MODEL", "DATABASE_URL", "REDIS_URL"),
        *("ENCRYPTION_KEYS", "MSG91_WEBHOOK_SECRET", "MSG91_AUTH_KEY", "MSG91_SENDER_ID"),
    }


def test_a_development_machine_needs_its_stores_and_nothing_with_embedded_ones() -> None:
    settings = read(ENVIRONMENT="development")
    assert [line.split(" ")[0] for line in demands_of_service(settings)] == ["DATABASE_URL", "REDIS_URL"]
    assert demands_of_service(settings, embedded=True) == ()


def test_a_dotenv_file_counts_in_development_only_and_the_environment_counts_more(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=9001\nADMIN_TOKEN=from-file\nHOST\n")
    in_development = read_settings({"ENVIRONMENT": "development", "PORT": "9002"}, dotenv=file)
    assert (in_development.port, in_development.admin_token, in_development.host) == (9002, "from-file", "0.0.0.0")
    assert read_settings({}, dotenv=file).port == 8000
    assert read_settings({"ENVIRONMENT": "development"}, dotenv=tmp_path / "absent").port == 8000


def test_a_replica_keeps_its_name_and_has_another_at_every_start() -> None:
    script = "import os; from bot.config import read_settings; print(read_settings(os.environ).replica)"
    starts = [
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "REPLICA_ID": "blue"}, capture_output=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert starts[0].startswith(b"blue-")
    assert starts[0] != starts[1]
    assert read().replica == read().replica


def test_traces_without_their_packages_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(TRACING="otlp").tracing == "otlp"
    monkeypatch.setattr(sys, "path", [])
    wanted = "TRACING: `otlp` needs packages that are not installed: pip install 'whatsapp-support-desk[tracing]'"
    assert problems_of(TRACING="otlp", PORT="x")[-1] == wanted
    assert read(TRACING="off").tracing == "off"
