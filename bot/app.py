"""Builds the service, starts it in order and stops it in reverse. Decides nothing.

What starts, and stops the other way round:

1. stores: PostgreSQL (schema checked), Redis (may be away)
2. keys: the vault, with the fingerprint key from the keyring
3. rules: the flows, remembered before anybody can be pinned to them
4. engine: everything between the ports (`bot/runtime/engine.py`), its sweep last
5. web: the routes; ready

Stopping: not ready, refuse new, let the engine drain to a deadline, close.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from aiohttp import web

from bot import metrics
from bot.adapters.cipher import AesVault, ServiceKeys, parse_keys
from bot.adapters.courier import couriers
from bot.adapters.lean_http.client import LeanClient
from bot.adapters.postgres.idempotency import PostgresIdempotency
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.stores import Stores, opened
from bot.adapters.postgres.watch import SETTLE_SECONDS
from bot.adapters.redis.connection import connect as connect_redis
from bot.adapters.redis.hints import RedisHints
from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.seats import RedisSeats
from bot.adapters.redis.spool import RedisSpool
from bot.adapters.yaml_flows.loading import compile_source, load_book
from bot.adapters.yaml_flows.problems import render
from bot.config import Settings
from bot.core.book import Book, Rules
from bot.keeping import retention_of
from bot.ports.hints import Hints
from bot.ports.keys import Vault
from bot.ports.outside import Channel, Model
from bot.ports.seats import Seats
from bot.ports.spool import Spool
from bot.ports.webhooks import Courier
from bot.providers import channel_of, model_of, provider_of, session_of, show_breaker
from bot.readiness import VITAL, Readiness
from bot.runtime.clock import SystemClock
from bot.runtime.engine import WATCH_SECONDS, Engine, Ports, Sizes
from bot.runtime.lease import held_seconds
from bot.runtime.pacing import Limits
from bot.runtime.sweep import Watch
from bot.runtime.thinking import Caps
from bot.runtime.traced import traced
from bot.runtime.tracing import Tracing
from bot.tracing import tracing_of
from bot.web.api.admission import NOTED_EVERY, Admission
from bot.web.api.serve import add_api
from bot.web.errors import api_errors
from bot.web.headers import make_safe
from bot.web.health import Check, Health
from bot.web.keys import ADMISSION, AUDIT, BULK_LIMIT, DESK, ERASING, EXPORTS, IDEMPOTENCY, RECORDS, WEBHOOKS
from bot.web.rates import Rates
from bot.web.tracing import traced_api, traced_webhook
from bot.web.webhook import BODY_LIMIT, Webhook

BREAKER_FAILURES = 5
"""Failures of MSG91 in a row that open its breaker."""
BREAKER_SECONDS = 10.0
"""Seconds an open breaker waits before it lets a probe through."""
PRICES_SECONDS = 86_400.0
"""Seconds between looks at the models' prices, for what an answer cost when OpenRouter does not say."""
DEPLOY_SECONDS = 30.0
"""Seconds between looks at whether a deploy is under way."""
API_MOUNT = "/api"

log = logging.getLogger(__name__)


def rules_of(settings: Settings) -> Rules:
    """The numbers that the settings give to the rules."""
    return Rules(
        session_timeout=settings.session_timeout,
        conversation_timeout=settings.conversation_timeout,
        stale_after=settings.stale_after,
        quiet_moment=settings.quiet_moment,
    )


def read_flows(settings: Settings) -> tuple[Book | None, tuple[str, ...]]:
    """The book of `FLOWS_DIR`, or None, and the problems as lines."""
    loaded = load_book(settings.flows_dir, rules_of(settings))
    return loaded.book, tuple(render([problem]) for problem in loaded.problems)


class Service:
    """The parts of a running service that commands and tests reach for: an engine over real stores, with its routes."""

    def __init__(
        self,
        *,
        me: str,
        settings: Settings,
        stores: Stores,
        vault: Vault,
        seats: Seats,
        hints: Hints,
        redis: Keyspace,
        session: aiohttp.ClientSession,
        provider: LeanClient,
        courier: Courier,
        tracing: Tracing | None,
    ) -> None:
        self.settings = settings
        self._tracing = tracing
        self.stores = stores
        self.model = model_of(session, settings)
        self._redis = redis
        self.idempotency = PostgresIdempotency(
            stores.base.database.impatient(), vault, seconds=settings.idempotency_seconds
        )
        self.admission = Admission(
            admin_token=settings.admin_token,
            tokens=stores.tokens,
            rates=Rates(rate=settings.api_rate, burst=settings.api_burst),
        )
        ports = ports_of(
            stores,
            channel=channel_of(provider, settings, tracing),
            model=self.model,
            seats=seats,
            hints=hints,
            spool=RedisSpool(redis),
            vault=vault,
            courier=courier,
        )
        self.engine = Engine(
            me=me,
            ports=ports if tracing is None else traced(ports, tracing),
            sizes=sizes_of(settings),
            clock=SystemClock(),
            load=lambda: read_flows(settings),
            compile_source=compile_source,
            default_number=settings.numbers[0] if settings.numbers else "",
            on_breaker=show_breaker,
            private_webhooks=settings.private_webhooks,
            tracing=tracing,
            watches=(
                Watch(every=WATCH_SECONDS, look=self._look_at_store),
                Watch(every=SETTLE_SECONDS, look=self.stores.watch.settle_day),
                Watch(every=NOTED_EVERY, look=self.admission.note_uses),
                Watch(every=DEPLOY_SECONDS, look=self._look_at_deploy),
                Watch(every=PRICES_SECONDS, look=self._look_at_prices),
            ),
        )
        self._show_breakers()
        metrics.model_day_cap_usd.set(settings.model_day_cap)
        self.webhook = Webhook(
            intake=self.engine.intake,
            secret=settings.msg91_webhook_secret,
            numbers=settings.numbers,
            read_seconds=settings.read_timeout,
            traced=traced_webhook(tracing),
        )
        self.health = Health(checks=self._checks(), vital=VITAL)

    def web(self) -> web.Application:
        """Every route. The API is an application of its own, so that the webhook passes no middleware."""
        api = web.Application(middlewares=[*traced_api(self._tracing), api_errors], client_max_size=BODY_LIMIT)
        api[RECORDS] = self.stores.records
        api[DESK] = self.engine.desk
        api[AUDIT] = self.stores.audit
        api[EXPORTS] = self.stores.exports
        api[ERASING] = self.engine.erasing
        api[IDEMPOTENCY] = self.idempotency
        api[BULK_LIMIT] = self.settings.bulk_limit
        api[ADMISSION] = self.admission
        api[WEBHOOKS] = self.engine.endpoints
        add_api(api, mount=API_MOUNT)
        app = web.Application(client_max_size=BODY_LIMIT)
        app.on_response_prepare.append(make_safe)
        app.router.add_post("/webhook/msg91", self.webhook.receive)
        app.router.add_get("/webhook/msg91", self.webhook.ping)
        self.health.add_to(app)
        app.add_subapp(API_MOUNT, api)
        return app

    async def stop(self) -> None:
        """Refuse new, then let the engine drain to the deadline. Safe to call twice."""
        if self.health.stopping:
            return
        self.health.stopping = True
        self.webhook.accepting = False
        await self.engine.stop(self.settings.drain_seconds)
        if self.model is not None:
            await self.model.close()

    def _show_breakers(self) -> None:
        """From the start, because what only appears once it is open looks as if it had always been."""
        models = self.model.breakers() if self.model is not None else {}
        for name, breaker in {"msg91": self.engine.breaker, **models}.items():
            show_breaker(name, breaker.state)

    def _checks(self) -> dict[str, Check]:
        return Readiness(
            stores=self.stores,
            redis=self._redis,
            shelf=self.engine.shelf,
            breaker=self.engine.breaker,
            model=self.model,
            models=self.settings.models,
            intake=self.engine.intake,
            spooling=self.engine.spooling,
        ).checks()

    async def _look_at_prices(self) -> None:
        """In the background: the sweep does not wait for OpenRouter."""
        if self.model is not None:
            self.engine.tasks.spawn(self.model.refresh_prices(), "prices")

    async def _look_at_deploy(self) -> None:
        schema = await self.stores.base.standing()
        metrics.deploy_unfinished.set(bool(schema.outgrown() or schema.unfinished()))

    async def _look_at_store(self) -> None:
        watch = self.stores.watch
        backlog = await self.stores.journal.backlog()
        metrics.journal_backlog.set(backlog.count)
        metrics.journal_oldest_seconds.set(backlog.oldest_seconds)
        metrics.parked_conversations.set(await watch.parked())
        metrics.timers_late_seconds.set(await watch.timers_late())
        older_than = self.engine.clock.now() - self.settings.unanswered_after
        metrics.unanswered_customers.set(await watch.unanswered(older_than, at_most_old=WATCH_SECONDS * 0.9))


def ports_of(
    stores: Stores,
    *,
    channel: Channel,
    model: Model | None,
    seats: Seats,
    hints: Hints,
    spool: Spool,
    vault: Vault,
    courier: Courier,
) -> Ports:
    """The adapters, each behind its port."""
    return Ports(
        store=stores.store,
        journal=stores.journal,
        directory=stores.directory,
        quarantine=stores.quarantine,
        parking=stores.parking,
        past=stores.past,
        outbox=stores.outbox,
        effects=stores.effects,
        erasures=stores.erasures,
        timers=stores.timers,
        replicas=stores.replicas,
        flow_versions=stores.flow_versions,
        seats=seats,
        hints=hints,
        spool=spool,
        channel=channel,
        model=model,
        vault=vault,
        webhooks=stores.webhooks,
        courier=courier,
    )


def sizes_of(settings: Settings) -> Sizes:
    return Sizes(
        lease_seconds=settings.lease_seconds,
        actor_idle=settings.actor_idle,
        mailbox_limit=settings.mailbox_limit,
        batch_limit=settings.batch_limit,
        intake_limit=settings.intake_limit,
        spool_limit=settings.spool_limit,
        accept_timeout=settings.accept_timeout,
        breaker_failures=BREAKER_FAILURES,
        breaker_seconds=BREAKER_SECONDS,
        sending=Limits(
            rate=settings.msg91_rate,
            burst=settings.recipient_burst,
            interval=settings.recipient_interval,
            give_up=settings.delivery_give_up,
            parcels=settings.outbox_limit,
            workers=settings.delivery_workers,
        ),
        thinking=Caps(
            conversation_usd=settings.model_conversation_cap,
            day_usd=settings.model_day_cap,
            waiting=settings.model_waiting,
            workers=settings.model_workers,
        ),
    )


class NotReady(Exception):
    """The service cannot start; the message says what to do."""


DEVELOPMENT_KEY = "development:" + "A" * 43 + "="
"""Stands in for `ENCRYPTION_KEYS` where `ENVIRONMENT=development` and nothing has to be secret."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """A service that works, without its web server. Raises `NotReady` and `bot.ports.failures.Unavailable`."""
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(
            opened(
                settings.database_url,
                sql_dir=settings.sql_dir,
                size=settings.database_pool,
                statement_timeout_s=settings.database_timeout,
            )
        )
        schema = await base.standing()
        if hindrance := schema.hindrance() or schema.outgrown():
            raise NotReady(hindrance)
        vault = await unlocked(settings, base.keyring)
        tracing = await stack.enter_async_context(tracing_of(settings, vault))
        redis = connect_redis(settings.redis_url, timeout_s=settings.redis_timeout)
        stack.push_async_callback(redis.aclose)
        me = settings.replica
        seats = RedisSeats(
            redis,
            me=me,
            lease_s=held_seconds(settings.lease_seconds),
            session_s=settings.session_timeout,
        )
        session = await stack.enter_async_context(session_of(settings))
        provider = provider_of(settings)
        stack.push_async_callback(provider.close)
        service = Service(
            me=me,
            settings=settings,
            stores=Stores(base, vault),
            vault=vault,
            seats=seats,
            hints=RedisHints(redis, me=me),
            redis=redis,
            session=session,
            provider=provider,
            courier=await stack.enter_async_context(couriers(private=settings.private_webhooks)),
            tracing=tracing,
        )
        problems = await service.engine.shelf.reload()
        if problems:
            raise NotReady("the flows are broken:\n" + "\n".join(problems))
        await service.engine.start()
        service.engine.tasks.spawn(retention_of(settings, service.stores, service.engine).run(), "retention")
        stack.push_async_callback(service.stop)
        yield service


async def unlocked(settings: Settings, keyring: PostgresKeyring) -> AesVault:
    """The vault of the settings' keys. The key of fingerprints is made at the very first start.

    Raises:
        NotReady: the database was begun with a key that is not among them.
    """
    keys = ServiceKeys(parse_keys(settings.encryption_keys or DEVELOPMENT_KEY))
    wrapped = await keyring.obtain("fingerprint", keys.new_key())
    try:
        return AesVault(keys, wrapped)
    except ValueError:
        raise NotReady(
            "ENCRYPTION_KEYS lacks the key this database was begun with: put the old key behind the new one"
        ) from None
