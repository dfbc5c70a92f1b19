"""Every setting: its name in the environment, meaning, unit and default. Read once, at start; all problems at once.

`docs/configuration.md` is generated from here. A field's name in upper case is the variable's name.
"""

import base64
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from dotenv import dotenv_values

from bot import PACKAGE
from bot.wire.redis_url import parse as parse_redis_url

MOST = 1e9
"""No number of seconds, messages or dollars is larger: infinity is none."""
Positive = Annotated[float, msgspec.Meta(gt=0, lt=MOST)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Days = Annotated[int, msgspec.Meta(ge=0, le=36500)]

DATABASE_SCHEMES = ("postgresql://", "postgres://")
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
INCARNATION = token_hex(4)
"""The random end of this process's name."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process. The string under each field is its meaning."""

    # The service and its stores
    host: str = "0.0.0.0"  # noqa: S104 - a service in a container listens everywhere
    """Listen address."""
    port: Port = 8000
    """Listen port; 0 lets the system choose."""
    environment: Literal["production", "development"] = "production"
    """`development` reads a `.env` file and does without `ENCRYPTION_KEYS`, `MSG91_WEBHOOK_SECRET` and the provider's
    keys."""
    database_url: str = ""
    """PostgreSQL 13 or newer: `postgresql://user:password@host:port/name`."""
    redis_url: str = ""
    """Redis 6 or newer: `redis://`, `rediss://` (TLS) or `unix://`; behind Sentinel
    `redis+sentinel://user:password@host:port,host:port/service/db`; a cluster
    `redis+cluster://user:password@host:port,host:port`; both with TLS as `rediss+sentinel://` and `rediss+cluster://`."""
    database_pool: Count = 8
    """Connections to PostgreSQL of this process."""
    database_timeout: Positive = 10.0
    """Seconds a statement may take."""
    accept_timeout: Positive = 1.0
    """Seconds PostgreSQL has to take webhooks before they go to the spool in Redis."""
    redis_timeout: Positive = 0.5
    """Seconds a Redis command may take before Redis counts as away."""

    # MSG91
    msg91_auth_key: str = ""
    """The account's authkey."""
    msg91_sender_id: str = ""
    """Our WhatsApp number or numbers (MSG91: integrated numbers): digits with country code, comma separated."""
    msg91_base_url: str = "https://control.msg91.com/api/v5"
    """Where MSG91's API is."""
    msg91_dialect: Literal["v5", "simple"] = "v5"
    """`v5`: MSG91's own session and bulk API; `simple`: `POST {base}/whatsapp/send`."""
    msg91_rate: Positive = 80.0
    """Messages per second of our number (Meta's default limit counts both directions)."""
    msg91_timeout: Positive = 10.0
    """Seconds one call of MSG91 may take."""
    recipient_burst: Count = 45
    """Messages to one recipient at once."""
    recipient_interval: Positive = 6.0
    """Seconds per message to one recipient after a burst."""
    msg91_webhook_secret: str = ""
    """The secret that webhooks carry: header `X-Webhook-Secret`, query `token`, or the key of an HMAC signature."""
    delivery_give_up: Positive = 3600.0
    """Seconds after which a message that could not be sent has failed."""

    # Models
    openrouter_api_key: str = ""
    """OpenRouter's key; without one no model is asked and a person is offered instead."""
    openrouter_base_url: str = "https://openrouter.ai/api/v1"
    """Where OpenRouter's API is."""
    openrouter_primary_model: str = ""
    """The model that is asked first, such as `openai/gpt-5-mini`."""
    openrouter_fallback_model: str = ""
    """Models asked in order when the first fails, comma separated."""
    openrouter_max_tokens: Count = 500
    """Tokens one answer may have."""
    openrouter_timeout: Positive = 30.0
    """Seconds for the whole chain of models."""
    model_day_cap: Positive = 20.0
    """US dollars all models may cost in a day (UTC), over all replicas; then a person is offered."""
    model_conversation_cap: Positive = 0.5
    """US dollars models may cost in one conversation; then a person is offered."""

    # Times
    session_timeout: Positive = 3600.0
    """Seconds without a message after which the flow a customer is in ends."""
    conversation_timeout: Positive = 86400.0
    """Seconds without a message after which a conversation is closed, unless a person has it."""
    lease_seconds: Positive = 10.0
    """Seconds within which others go on with all that a dead replica had."""
    unanswered_after: Positive = 60.0
    """Seconds after which a customer without a reply counts as unanswered."""
    stale_after: Positive = 3600.0
    """Seconds; a message older than this on arrival is shown to agents and not answered by the bot."""
    quiet_moment: Annotated[float, msgspec.Meta(ge=0, lt=MOST)] = 1.0
    """Seconds of silence after which what a customer wrote is put to a model as one question."""

    # Files, keys and logs
    flows_dir: Path = Path("flows")
    """Folder of the flow files and `rules.yaml`; unset and without a folder `flows`, the samples of the package."""
    sql_dir: Path = Path("sql")
    """Folder of migrations and queries; unless set, the one that came with the package."""
    encryption_keys: str = ""
    """`id:base64(32 bytes)`, comma separated; the first encrypts, all decrypt."""
    admin_token: str = ""
    """The first bearer token of `/api/v1`, with every scope; `bot tokens add` makes more. With none, the API is 503."""
    api_rate: Positive = 50.0
    """Calls of `/api/v1` a second that each token may make, at each replica."""
    api_burst: Count = 100
    """Calls of `/api/v1` that a token may make at once, after a pause."""
    replica_id: str = ""
    """Name of this replica; the host name and a random end when it is empty."""
    log_format: Literal["json", "text"] = "json"
    """`json`: one object a line; `text`: for eyes."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged."""
    tracing: Literal["off", "otlp"] = "off"
    """`otlp`: traces go to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names (docs/operations.md, Traces)."""

    # How long things are kept
    messages_kept_days: Days = 365
    """Days messages are kept, in both directions; 0 keeps them for ever."""
    conversations_kept_days: Days = 730
    """Days conversations are kept after their end; 0 for ever, else not less than their messages."""
    model_calls_kept_days: Days = 365
    """Days what each question to a model cost is kept; 0 for ever."""
    audit_kept_days: Days = 730
    """Days lines of the audit log are kept; 0 for ever."""
    journal_kept_days: Days = 3
    """Days applied events are kept, so that a webhook that comes again is known (docs/operations.md); 0 for ever."""
    effects_kept_days: Days = 3
    """Days answered questions to models are kept; 0 for ever."""
    reports_kept_days: Days = 7
    """Days delivery reports are kept whose message was not known when they came; 0 for ever."""
    quarantine_kept_days: Days = 30
    """Days webhook bodies are kept that could not be used; 0 for ever."""
    flow_versions_kept_days: Days = 90
    """Days a flow version is kept that no replica has in force any more; 0 for ever."""

    # Outgoing webhooks
    webhook_allow_private: bool = False
    """`true` lets outgoing webhooks go to `http` and into private networks; `ENVIRONMENT=development` does, too."""
    webhook_kept_days: Days = 30
    """Days deliveries of outgoing webhooks are kept, whatever became of them; 0 for ever."""

    idempotency_seconds: Positive = 86_400.0
    """Seconds the answer to a call with an Idempotency-Key is kept; later the same key is a new call."""

    # Bounds
    connection_limit: Count = 4096
    """Connections that may be open at once; of more, those are closed that have kept the service waiting longest."""
    read_timeout: Positive = 30.0
    """Seconds a request may take to arrive, its head and its body each, and an answer to be read."""
    intake_limit: Count = 5000
    """Webhook events that may wait to be made durable; more are refused with 503."""
    spool_limit: Count = 200_000
    """Webhook events that may wait in Redis for PostgreSQL, over all replicas; more are refused with 503."""
    mailbox_limit: Count = 64
    """Events in one conversation's mailbox; more wait in the journal."""
    batch_limit: Count = 256
    """Events or conversations in one statement."""
    outbox_limit: Count = 20000
    """Outgoing messages held in memory; more wait in the database."""
    delivery_workers: Count = 64
    """Messages being sent at once."""
    model_workers: Count = 16
    """Questions put to models at once."""
    model_waiting: Count = 1000
    """Questions that may wait for a worker; more are answered with an apology and the offer of a person."""
    actor_idle: Positive = 60.0
    """Seconds after which an idle conversation leaves memory."""
    bulk_limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    """Recipients of one bulk send; the body may have 64 KiB and 2 KiB for each."""
    drain_seconds: Positive = 20.0
    """Seconds a stopping process takes to finish what it has."""

    def __repr__(self) -> str:
        """Names and no values: keys and passwords are among them, and this gets into tracebacks."""
        changed = [name for name in self.__struct_fields__ if getattr(self, name) != getattr(_DEFAULTS, name)]
        return f"Settings({', '.join(changed)})"

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.msg91_sender_id.split(",") if part.strip())

    @property
    def models(self) -> tuple[str, ...]:
        named = (self.openrouter_primary_model, *self.openrouter_fallback_model.split(","))
        return tuple(name.strip() for name in named if name.strip())

    @property
    def private_webhooks(self) -> bool:
        return self.webhook_allow_private or self.environment == "development"

    @property
    def replica(self) -> str:
        """Another in every process: who was killed must not be taken for who started after it."""
        return f"{self.replica_id or socket.gethostname()}-{INCARNATION}"


_DEFAULTS = Settings()


class Misconfigured(Exception):
    """Settings are bad or missing; `problems` has a sentence for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


Demands = Callable[["Settings"], Sequence[str]]
"""What a command misses in settings that are well formed, a sentence each."""


def read_settings(
    environment: Mapping[str, str], *, dotenv: Path | None = Path(".env"), demands: Demands = lambda _: ()
) -> Settings:
    """The settings in `environment`; in development a `.env` file fills what is not there.

    Raises:
        Misconfigured: with every problem of every setting, and what `demands` finds missing.
    """
    given = dict(environment)
    if dotenv is not None and given.get("ENVIRONMENT") == "development" and dotenv.is_file():
        given = {**{key: value or "" for key, value in dotenv_values(dotenv).items()}, **given}
    values: dict[str, Any] = {"sql_dir": shipped("sql"), "flows_dir": usual_flows()}
    problems: list[str] = []
    for name, wanted in get_type_hints(Settings, include_extras=True).items():
        text = given.get(name.upper(), "").strip()
        if not text:
            continue
        try:
            values[name] = Path(text) if wanted is Path else msgspec.convert(text, wanted, strict=False)
        except msgspec.ValidationError as problem:
            problems.append(f"{name.upper()}: {problem}")
    settings = Settings(**values)
    problems += [*_bad_forms(settings), *demands(settings)]
    if problems:
        raise Misconfigured(tuple(problems))
    return settings


def shipped(name: str) -> Path:
    """The folder `name` that came with the package: within it where it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    within = package / "shipped" / name
    return within if within.is_dir() else package.parent / name


def usual_flows() -> Path:
    """Where flows are looked for while `FLOWS_DIR` is not set."""
    own = Settings().flows_dir
    return own if own.is_dir() else shipped("flows")


def demands_of_service(settings: Settings, *, embedded: bool = False) -> tuple[str, ...]:
    """What is missing to serve; nothing is demanded of a development machine but stores that are not `embedded`."""
    missing = []
    if not settings.database_url and not embedded:
        missing.append("DATABASE_URL is missing: set it, or start with --embedded DIR")
    if not settings.redis_url and not embedded:
        missing.append("REDIS_URL is missing: set it, or start with --embedded DIR")
    if settings.environment == "development":
        return tuple(missing)
    if not settings.encryption_keys:
        missing.append('ENCRYPTION_KEYS is missing: set it to "k1:" and the output of `openssl rand -base64 32`')
    for name, why in (
        ("msg91_webhook_secret", "webhooks cannot be told from forgeries without it"),
        ("msg91_auth_key", "nothing can be sent without it"),
        ("msg91_sender_id", "it says which WhatsApp numbers are ours"),
    ):
        if not getattr(settings, name):
            missing.append(f"{name.upper()} is missing: {why}")
    return tuple(missing)


def demands_of_database(settings: Settings) -> tuple[str, ...]:
    """What is missing to work on the stored data without serving."""
    missing = () if settings.database_url else ("DATABASE_URL is missing",)
    if settings.encryption_keys or settings.environment == "development":
        return missing
    return (*missing, "ENCRYPTION_KEYS is missing: it must hold every key that is in use")


def _bad_forms(settings: Settings) -> list[str]:
    problems = []
    if settings.database_url and not settings.database_url.startswith(DATABASE_SCHEMES):
        problems.append("DATABASE_URL: it must begin with postgresql://")
    problems += _bad_redis(settings.redis_url)
    problems += [
        f"MSG91_SENDER_ID: {number!r} is not a number with country code, digits only"
        for number in settings.numbers
        if not (number.isascii() and number.isdigit() and 10 <= len(number) <= 15)
    ]
    if settings.openrouter_api_key and not settings.models:
        problems.append("OPENROUTER_PRIMARY_MODEL is missing: name a model, or remove OPENROUTER_API_KEY")
    if settings.conversation_timeout < settings.session_timeout:
        problems.append("CONVERSATION_TIMEOUT: it must not be shorter than SESSION_TIMEOUT")
    problems += _bad_keys(settings.encryption_keys)
    if settings.tracing == "otlp" and not _installed("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk"):
        problems.append(f"TRACING: `otlp` needs packages that are not installed: pip install '{PACKAGE}[tracing]'")
    messages, conversations = settings.messages_kept_days, settings.conversations_kept_days
    if conversations and (not messages or conversations < messages):
        problems.append("CONVERSATIONS_KEPT_DAYS: it must be 0 or at least MESSAGES_KEPT_DAYS")
    return problems


def _installed(*packages: str) -> bool:
    try:
        return all(map(version, packages))
    except PackageNotFoundError:
        return False


def _bad_redis(url: str) -> list[str]:
    if not url:
        return []
    try:
        parse_redis_url(url)
    except ValueError as problem:
        return [f"REDIS_URL: {problem}"]
    return []


def _bad_keys(keys: str) -> list[str]:
    problems = []
    names: set[str] = set()
    for place, part in enumerate(filter(None, (key.strip() for key in keys.split(","))), 1):
        name, _, encoded = part.partition(":")
        try:
            right = bool(KEY_ID.fullmatch(name)) and len(base64.b64decode(encoded, validate=True)) == 32
        except ValueError:
            right = False
        if not right:
            problems.append(f"ENCRYPTION_KEYS: key {place} is not `id:base64(32 bytes)`")
        elif name in names:
            problems.append(f"ENCRYPTION_KEYS: key {place} has the id of another")
        names.add(name)
    return problems
