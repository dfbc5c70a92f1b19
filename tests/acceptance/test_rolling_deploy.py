"""Replicas are replaced one by one under traffic, between two schemas; nothing is lost, doubled or put out of order.

Two releases are two folders of SQL: the repository's, and one that keeps the time of a reply in another column. The
old release cannot live without the column that goes at the end, nor the new one without the one that comes first.
"""

import asyncio
import itertools
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest

from bot.commands.migrate import apply, check
from bot.config import read_settings
from tests.acceptance.balancer import Balancer
from tests.acceptance.stage import echoes
from tests.acceptance.world import ROOT, SECRET, Sandbox, Service, environment, free_port, until

PHONES = [f"9198000007{number:02}" for number in range(20)]
PAUSE_SECONDS = 0.4
"""Between two messages of one customer."""
MIGRATIONS = {
    "0101_pre_reply_seconds": """
        alter table messages add column reply_seconds double precision;
        alter table users add column last_seen_at timestamptz not null default now();
        alter table conversations add column source text not null default 'whatsapp' check (source <> '');
    """,
    "0102_pre_replies": """-- no transaction
        create index concurrently messages_replies on messages (created_at) where reply_seconds is not null
    """,
    "0103_post_processing_time": """
        update messages set reply_seconds = processing_time where reply_seconds is null;
        alter table messages drop column processing_time;
    """,
}
QUERIES = {
    "outbox_note.sql": (
        "processing_time = coalesce(n.processing_time, m.processing_time)",
        "reply_seconds = coalesce(n.processing_time, m.reply_seconds)",
    ),
    "records_stats_messages.sql": ("processing_time", "reply_seconds"),
}
_LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '' or delivery_status = 'sent')
"""


def second_release(folder: Path) -> Path:
    """The SQL of the release after the repository's."""
    shutil.copytree(ROOT / "sql", folder)
    for name, sql in MIGRATIONS.items():
        (folder / "migrations" / f"{name}.sql").write_text(sql)
    for name, (old, new) in QUERIES.items():
        text = (folder / "queries" / name).read_text()
        assert old in text
        (folder / "queries" / name).write_text(text.replace(old, new))
    return folder


class Street:
    """Customers who write all the time, each one message after the other, and go on until each is acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}/webhook/msg91"
        self.said: dict[str, list[str]] = {phone: [] for phone in PHONES}
        self.closing = False

    @property
    def acknowledged(self) -> int:
        return sum(map(len, self.said.values()))

    async def talk(self, phone: str) -> None:
        for number in itertools.count():
            if self.closing:
                return
            text = str(number) if number else "hello"
            await self._insist(
                {"from": phone, "text": text, "messageId": f"{phone}-{number}", "timestamp": time.time()}
            )
            self.said[phone].append(text)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _insist(self, body: Any) -> None:
        async def acknowledged() -> bool:
            async with self._session.post(
                self._url, data=orjson.dumps(body), headers={"X-Webhook-Secret": SECRET}
            ) as answer:
                return answer.status == 200

        await until(acknowledged, f"{body} is acknowledged")

    async def more(self, count: int) -> None:
        """Return once everybody's messages together are `count` more."""
        wanted = self.acknowledged + count
        await until(lambda: self.acknowledged >= wanted, f"{count} more messages are acknowledged")


class Town:
    """The stores, the provider, the balancer, and replicas of both releases."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path, database_url: str, redis_url: str) -> None:
        self.session = session
        self.balancer = Balancer(session)
        self.sandbox = Sandbox(session, self.balancer.port, report_gap=0.01, webhook_attempts=5)
        self._folder = folder
        self._settings = environment(
            database_url, redis_url, self.sandbox, MSG91_RATE="1000", RECIPIENT_BURST="1000", DRAIN_SECONDS="5"
        )
        self.releases = {"one": ROOT / "sql", "two": second_release(folder / "sql")}
        self.replicas: dict[str, Service] = {}

    async def bring_up(self, name: str, release: str) -> Service:
        """A replica, in traffic once it says that it is ready."""
        settings = {**self._settings, "REPLICA_ID": name, "SQL_DIR": str(self.releases[release])}
        service = Service(self.session, free_port(), self._folder / f"{name}.log", **settings)
        self.replicas[name] = service
        await service.start()
        status, shown = await service.ready()
        assert status == 200, shown
        self.balancer.replicas.append(service)
        return service

    async def take_down(self, service: Service) -> None:
        """SIGTERM under traffic: the balancer learns of it from the answers."""
        assert await service.terminate() == 0
        self.balancer.replicas.remove(service)

    async def migrate(self, *options: str, release: str = "two") -> tuple[int, str]:
        return await self.run("migrate", *options, release=release)

    async def run(self, *arguments: str, release: str) -> tuple[int, str]:
        """A command of `bot` in the files of a release: exit code and everything it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", *arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._settings, "LOG_LEVEL": "error", "SQL_DIR": str(self.releases[release])},
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    def errors(self) -> list[str]:
        logs = [service.log.read_text().splitlines() for service in self.replicas.values()]
        return [line for log in logs for line in log if '"level":"error"' in line or "Traceback" in line]


@asynccontextmanager
async def town(folder: Path, database_url: str, redis_url: str) -> AsyncIterator[Town]:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        town = Town(session, folder, database_url, redis_url)
        await town.balancer.start()
        await town.sandbox.start()
        try:
            yield town
        finally:
            for service in town.replicas.values():
                await service.kill()
            await town.sandbox.stop()
            await town.balancer.stop()


async def test_a_rolling_deploy_between_two_schemas_loses_doubles_and_reorders_nothing(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """On the way one replica of the release before is killed and starts again, on a schema that is past its files."""
    database = await asyncpg.connect(database_url)
    async with town(tmp_path, database_url, redis_url) as here:
        old, other = await asyncio.gather(here.bring_up("old", "one"), here.bring_up("other", "one"))
        street = Street(here.session, here.balancer.port)
        talking = asyncio.gather(*map(street.talk, PHONES))
        await street.more(60)

        code, said = await here.migrate("--pre")
        assert (code, said.splitlines()) == (
            0,
            ["applied: 0101_pre_reply_seconds", "applied: 0102_pre_replies", "pending: 0103_post_processing_time"],
        )
        await street.more(60)

        await old.kill()
        uncertain = await database.fetchval(
            "select count(*) from messages where claimed_by like 'old-%' and delivery_status = 'sending'"
        )
        first, _ = await asyncio.gather(here.bring_up("first", "two"), old.start())
        status, shown = await first.ready()
        assert (status, shown["degraded"]) == (200, ["deploy"])
        assert "0103_post_processing_time" in shown["checks"]["deploy"]["detail"]
        await until(lambda: first.metric("bot_deploy_unfinished"), "the alert is told of it")
        await here.take_down(old)
        code, said = await here.migrate("--post")
        assert code == 1
        assert "0103_post_processing_time has to wait: replica other-" in said
        await street.more(60)
        await here.bring_up("second", "two")
        await here.take_down(other)

        assert await here.migrate("--post") == (0, "applied: 0103_post_processing_time\n")
        assert (await first.ready())[1]["degraded"] == []
        await street.more(100)
        code, said = await here.run("serve", release="one")
        assert (code, said) == (
            1,
            "bot: the database is past this release, which knows nothing of 0103_post_processing_time\n",
        )
        street.closing = True
        await talking

        await until(lambda: _is(database, _LEFT, 0), "everything is worked off and reported")
        doubles = 0
        for phone, texts in street.said.items():
            came = await here.sandbox.replies(phone)
            assert [text for text, _ in itertools.groupby(came)] == echoes(texts)
            doubles += len(came) - len(texts)
        assert doubles <= uncertain
        assert here.balancer.turned_away == 0
        assert here.errors() == []
        assert await _is(database, "select count(*) from parked", 0)
        untimed = "select count(*) from messages where direction = 'outbound' and reply_seconds is null"
        assert await database.fetchval(untimed) <= uncertain
    await database.close()


async def test_each_side_of_a_deploy_is_looked_at_by_itself(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"DATABASE_URL": database_url, "SQL_DIR": str(second_release(tmp_path / "sql"))}
    settings = read_settings(environ)
    assert [await check(settings, only) for only in (None, "pre", "post")] == [False, False, False]
    assert not await apply(settings, "post")
    told = capsys.readouterr()
    assert told.out.splitlines() == [f"pending: {name}" for name in MIGRATIONS] * 4
    assert told.err.startswith("bot: 0103_post_processing_time comes after 0101_pre_reply_seconds: run")
    assert await apply(settings, "pre")
    assert [await check(settings, only) for only in (None, "pre", "post")] == [False, True, False]
    assert await apply(settings, None)
    capsys.readouterr()
    assert await check(read_settings(environ | {"SQL_DIR": str(ROOT / "sql")}), None)
    assert capsys.readouterr().out.splitlines() == [
        *(f"of a newer release: {name}" for name in MIGRATIONS),
        "the schema is up to date",
    ]


async def _is(database: asyncpg.Connection, sql: str, count: int) -> bool:
    return bool(await database.fetchval(sql) == count)
