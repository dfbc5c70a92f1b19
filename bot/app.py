"""Builds the service, starts it in order and stops it in reverse. Decides nothing.

What starts, and stops the other way round:

1. stores: PostgreSQL (schema checked), Redis (may be away)
2. keys: the vault, with the fingerprint key from the keyring
3. rules: the flows, remembered before anybody can be pinned to them
4. middle: reports, delivery, models, timers, registry, intake, desk
5. sweep: heartbeat and everything that was forgotten
6. web: the routes; ready

Stopping: not ready, refuse new, drain mailboxes and the outbox to a deadline, leave every seat, last notes, close.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from aiohttp import web
from redis.asyncio import Redis

from bot import metrics
from bot.adapters.cipher import AesVault, ServiceKeys, parse_keys
from bot.adapters.msg91 import Msg91Channel
from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.stores import Stores, opened
from bot.adapters.redis.connection import connect as connect_redis
from bot.adapters.redis.seats import RedisSeats
from bot.adapters.yaml_flows.loading import compile_source, load_book
from bot.adapters.yaml_flows.problems import render
from bot.config import Settings
from bot.core.book import Book, Rules
from bot.core.events import SendFailed, TimerFired
from bot.core.ids import CustomerId
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.readiness import VITAL, Readiness
from bot.runtime.breaker import Breaker, BreakerState
from bot.runtime.clock import SystemClock
from bot.runtime.delivery_reports import Reports
from bot.runtime.desk import Acting
from bot.runtime.dispatch import Dispatch
from bot.runtime.flows import Bookshelf
from bot.runtime.intake import Intake
from bot.runtime.letters import event_key
from bot.runtime.outbox import Delivery, Limits
from bot.runtime.registry import Around, Registry
from bot.runtime.sweep import Sweep, Watch
from bot.runtime.tasks import Tasks
from bot.runtime.thinking import Caps, Outcome, Thinking
from bot.runtime.timers import TimerWheel
from bot.web.api.serve import add_api
from bot.web.errors import api_errors
from bot.web.health import Check, Health
from bot.web.keys import ADMIN_TOKEN, DESK, RECORDS
from bot.web.webhook import BODY_LIMIT, Webhook

BREAKER_FAILURES = 5
"""Failures of MSG91 in a row that open its breaker."""
BREAKER_SECONDS = 10.0
"""Seconds an open breaker waits before it lets a probe through."""
STATES: dict[BreakerState, int] = {"closed": 0, "half_open": 1, "open": 2}
KEEPALIVE_SECONDS = 15.0
"""Seconds an idle connection to a provider is kept; one that was closed over there makes a send uncertain."""
PRICES_SECONDS = 86_400.0
"""Seconds between looks at the models' prices, for what an answer cost when OpenRouter does not say."""
API_MOUNT = "/api"
WATCH_SECONDS = 5.0
"""Seconds between looks at what only the store can count."""

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
    """The parts of a running service that commands and tests reach for."""

    def __init__(
        self, *, me: str, settings: Settings, stores: Stores, vault: Vault, seats: RedisSeats, redis: Redis
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.vault = vault
        self.me = me
        self.clock = SystemClock()
        self.tasks = Tasks()
        self.shelf = Bookshelf(
            load=lambda: read_flows(settings),
            compile_source=compile_source,
            versions=stores.flow_versions,
            clock=self.clock,
            tasks=self.tasks,
        )
        self.breaker = Breaker(
            "msg91",
            fail_max=BREAKER_FAILURES,
            reset_timeout=BREAKER_SECONDS,
            clock=self.clock.monotonic,
            on_change=show_breaker,
        )
        show_breaker("msg91", "closed")
        self.reports = Reports(outbox=stores.outbox, clock=self.clock, most=settings.batch_limit)
        self.wheel = TimerWheel(clock=self.clock, fire=self._timer_fired)
        self._seats = seats
        self._redis = redis

    def connect(self, session: aiohttp.ClientSession) -> None:
        """Build what needs the outside."""
        settings, stores = self.settings, self.stores
        self.delivery = Delivery(
            channel=Msg91Channel(
                session,
                base_url=settings.msg91_base_url,
                auth_key=settings.msg91_auth_key,
                dialect=settings.msg91_dialect,
                timeout=settings.msg91_timeout,
            ),
            outbox=stores.outbox,
            clock=self.clock,
            breaker=self.breaker,
            limits=Limits(
                rate=settings.msg91_rate,
                burst=settings.recipient_burst,
                interval=settings.recipient_interval,
                give_up=settings.delivery_give_up,
                parcels=settings.outbox_limit,
                workers=settings.delivery_workers,
            ),
            failed=self._send_failed,
            default_number=settings.numbers[0] if settings.numbers else "",
            me=self.me,
            most=settings.batch_limit,
        )
        self.model = self._model(session)
        self.thinking = Thinking(
            model=self.model,
            effects=stores.effects,
            clock=self.clock,
            caps=Caps(
                conversation_usd=settings.model_conversation_cap,
                day_usd=settings.model_day_cap,
                waiting=settings.model_waiting,
                workers=settings.model_workers,
            ),
            customer_hash=lambda customer: self.vault.fingerprint("model_user", str(customer)).hex(),
            answered=self._answered,
        )
        dispatch = Dispatch(me=self.me, delivery=self.delivery, thinking=self.thinking, wheel=self.wheel)
        self.registry = Registry(
            store=stores.store,
            journal=stores.journal,
            seats=self._seats,
            directory=stores.directory,
            parking=stores.parking,
            vault=self.vault,
            clock=self.clock,
            tasks=self.tasks,
            around=Around(
                book=self.shelf.book,
                claims=dispatch.claims,
                publish=dispatch.publish,
                merged=self._forget_identities,
                fetch_flow=self.shelf.fetch,
                taken_over=self.delivery.spilled.line_up,
            ),
            lease_seconds=settings.lease_seconds,
            mailbox_limit=settings.mailbox_limit,
            commit_most=settings.batch_limit,
        )
        self.intake = Intake(
            journal=stores.journal,
            directory=stores.directory,
            quarantine=stores.quarantine,
            reports=self.reports,
            vault=self.vault,
            tell=self.registry.tell,
            clock=self.clock,
            limit=settings.intake_limit,
            most=settings.batch_limit,
        )
        self.reports.connect(failed=self.delivery.reported_failed, proven=self.delivery.proofs.reported)
        self.desk = Acting(
            intake=self.intake,
            registry=self.registry,
            directory=stores.directory,
            parking=stores.parking,
            shelf=self.shelf,
            clock=self.clock,
        )
        self.sweep = Sweep(
            me=self.me,
            lease_seconds=settings.lease_seconds,
            idle_seconds=settings.actor_idle,
            journal=stores.journal,
            outbox=stores.outbox,
            effects=stores.effects,
            timers=stores.timers,
            replicas=stores.replicas,
            vault=self.vault,
            registry=self.registry,
            delivery=self.delivery,
            thinking=self.thinking,
            wheel=self.wheel,
            clock=self.clock,
            watches=(
                Watch(every=WATCH_SECONDS, look=self._look_at_store),
                Watch(every=WATCH_SECONDS, look=self.thinking.refresh),
                Watch(every=PRICES_SECONDS, look=self._look_at_prices),
            ),
        )
        self.webhook = Webhook(intake=self.intake, secret=settings.msg91_webhook_secret, numbers=settings.numbers)
        self.health = Health(checks=self._checks(), vital=VITAL)

    def web(self) -> web.Application:
        """Every route. The API is an application of its own, so that the webhook passes no middleware."""
        api = web.Application(middlewares=[api_errors], client_max_size=BODY_LIMIT)
        api[RECORDS] = self.stores.records
        api[DESK] = self.desk
        api[ADMIN_TOKEN] = self.settings.admin_token
        add_api(api, mount=API_MOUNT)
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/webhook/msg91", self.webhook.receive)
        app.router.add_get("/webhook/msg91", self.webhook.ping)
        self.health.add_to(app)
        app.add_subapp(API_MOUNT, api)
        return app

    async def start(self) -> None:
        """The first sweep, and from then on one a second."""
        await self.sweep.round()
        self.delivery.start()
        self.thinking.start()
        self.tasks.spawn(self.sweep.run(), "sweep")

    async def stop(self) -> None:
        """Drain to the deadline; what is left is in the store for whoever sweeps. Safe to call twice."""
        if self.health.stopping:
            return
        self.health.stopping = True
        self.webhook.accepting = False
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self.intake.drained()
                await self.reports.drained()
                await self.registry.drained()
                await self.delivery.stop(self.settings.drain_seconds / 2)
                await self.delivery.drained()
                await self.intake.drained()  # sends that failed meanwhile are events
                await self.registry.drained()
        except TimeoutError:
            log.warning(
                "not everything was finished in time",
                extra={"letters": self.registry.letters, "outgoing": len(self.delivery)},
            )
        self.wheel.close()
        await self.thinking.stop()
        await self.registry.leave()
        await self.tasks.cancel()
        if self.model is not None:
            await self.model.close()
        with contextlib.suppress(Unavailable):
            await self.stores.replicas.leave(self.me)

    # --- between the parts -------------------------------------------------------------------------------------------

    def _checks(self) -> dict[str, Check]:
        return Readiness(
            stores=self.stores,
            redis=self._redis,
            shelf=self.shelf,
            breaker=self.breaker,
            model=self.model,
            models=self.settings.models,
            intake=self.intake,
        ).checks()

    def _model(self, session: aiohttp.ClientSession) -> OpenRouter | None:
        settings = self.settings
        if not settings.openrouter_api_key:
            return None
        return OpenRouter(
            session,
            base_url=settings.openrouter_base_url,
            api_key=settings.openrouter_api_key,
            models=settings.models,
            max_tokens=settings.openrouter_max_tokens,
            timeout=settings.openrouter_timeout,
            on_change=show_breaker,
        )

    def _forget_identities(self) -> None:
        self.intake.forget()

    def _timer_fired(self, customer: CustomerId, event: TimerFired, key: bytes) -> None:
        self.intake.post(customer, event, key=key)

    def _answered(self, customer: CustomerId, outcome: Outcome) -> None:
        self.intake.post(customer, outcome, key=event_key("ask", outcome.ask_id))

    async def _send_failed(self, customer: CustomerId, event: SendFailed) -> None:
        await self.intake.tell(customer, event, key=event_key("failed", event.message_id))

    async def _look_at_prices(self) -> None:
        """In the background: the sweep does not wait for OpenRouter."""
        if self.model is not None:
            self.tasks.spawn(self.model.refresh_prices(), "prices")

    async def _look_at_store(self) -> None:
        watch = self.stores.watch
        backlog = await self.stores.journal.backlog()
        metrics.journal_backlog.set(backlog.count)
        metrics.journal_oldest_seconds.set(backlog.oldest_seconds)
        metrics.parked_conversations.set(await watch.parked())
        older_than = self.clock.now() - self.settings.unanswered_after
        metrics.unanswered_customers.set(await watch.unanswered(older_than))


def show_breaker(name: str, state: BreakerState) -> None:
    metrics.breaker_state.labels(name).set(STATES[state])
    if state != "closed":
        log.warning("a breaker moved", extra={"breaker": name, "state": state})


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
        pending = await base.pending_migrations()
        if pending:
            raise NotReady(f"migrations are pending: {', '.join(pending)}; run `bot migrate`")
        vault = await unlocked(settings, base.keyring)
        redis = connect_redis(settings.redis_url, timeout_s=None)
        stack.push_async_callback(redis.aclose)
        me = settings.replica
        seats = RedisSeats(
            redis,
            me=me,
            lease_s=settings.lease_seconds,
            session_s=settings.session_timeout,
            timeout_s=settings.redis_timeout,
        )
        service = Service(me=me, settings=settings, stores=Stores(base, vault), vault=vault, seats=seats, redis=redis)
        problems = await service.shelf.reload()
        if problems:
            raise NotReady("the flows are broken:\n" + "\n".join(problems))
        service.connect(await stack.enter_async_context(_session(settings)))
        await service.start()
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


def _session(settings: Settings) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=settings.delivery_workers + settings.model_workers, keepalive_timeout=KEEPALIVE_SECONDS
    )
    return aiohttp.ClientSession(connector=connector)
