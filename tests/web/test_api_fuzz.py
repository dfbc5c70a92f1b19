"""No answer outside the OpenAPI document, whatever is asked: schemathesis against the service over real stores.

Requests are made from the document: such as it allows, each limit once, and such as it forbids. The service runs in a
thread of its own, with PostgreSQL, Redis, the engine and every route of the table; MSG91 cannot be reached from it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, settings
from schemathesis import CheckContext, GenerationMode, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bot.app import running
from bot.config import Settings
from bot.web import attempts
from bot.web.api.openapi import document
from bot.web.api.table import ROUTES
from tests.conftest import SQL_DIR, Servers

Case = schemathesis.Case[Any]
TOKEN = "fuzz-token"
EXAMPLES = 12
"""Requests for each operation beside those that try its limits."""
NOWHERE = "http://127.0.0.1:9"
FLOWS = SQL_DIR.parent / "tests" / "acceptance" / "flows"

CONFIG = SchemathesisConfig.from_dict(
    {"generation": {"deterministic": True, "database": "none", "with-security-parameters": False}}
)
SCHEMA = schemathesis.openapi.from_dict(document(ROUTES), config=CONFIG)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    async with running(settings) as service:
        runner = web.AppRunner(service.web(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


async def serve(settings: Settings, begun: "Future[str]", over: asyncio.Event) -> None:
    try:
        async with serving(settings) as url:
            begun.set_result(url)
            await over.wait()
    except BaseException as problem:
        if not begun.done():
            begun.set_exception(problem)
        raise


@pytest.fixture(scope="module")
def url(servers: Servers) -> Iterator[str]:
    servers.flush_redis()
    database = servers.new_database()
    asked = Settings(
        environment="development",
        database_url=database,
        redis_url=servers.urls.redis,
        msg91_base_url=NOWHERE,
        msg91_sender_id="919000000001",
        admin_token=TOKEN,
        api_rate=1e6,
        api_burst=1_000_000,
        flows_dir=FLOWS,
        sql_dir=SQL_DIR,
        drain_seconds=0.5,
        recipient_interval=0.1,
        msg91_timeout=0.5,
    )
    patched = pytest.MonkeyPatch()
    patched.setattr(attempts, "FAILURES_ALLOWED", 1_000_000)
    begun: Future[str] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(asked, begun, over)))
    thread.start()
    yield begun.result(timeout=60)
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()
    patched.undo()
    servers.drop(database)


SAID_IN_WORDS = {
    "body": "at least one of several fields",
    "cursor": "what an answer before gave",
    "expires_in_days": "a whole number written without a fraction",
    "from": "a time that there is",
    "message": "either a message or a template",
    "phone": "a phone number",
    "phone_number": "a phone number",
    "since": "a time that there is",
    "to": "a time that there is",
    "url": "an address that may be called",
}
"""Fields with a rule that no schema says; the document says it in words."""


def refused_only_for_what_no_schema_says(_: CheckContext, response: Response, case: Case) -> None:
    """A request that fits the schemas is refused with 400 only for a rule that stands in the words beside them."""
    meta = case.meta
    if response.status_code == 400 and meta is not None and meta.generation.mode is GenerationMode.POSITIVE:
        assert set(response.json()["error"]["fields"]) <= SAID_IN_WORDS.keys(), response.text


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_in_the_document(url: str, case: Case) -> None:
    case.call_and_validate(
        base_url=url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        additional_checks=[refused_only_for_what_no_schema_says],
        excluded_checks=[positive_data_acceptance],
    )
