"""A backup is brought back, and whoever was erased after it was made cannot be read in it, nor comes to life again."""

import asyncio
import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from tests.acceptance.plain import places_of
from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import KEY, ROOT, until
from tests.conftest import Servers

WORDS = ("marzipan", "Annabella")
"""What the customer who is erased says, and her name."""


async def bot(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """`bot ARGUMENTS`; exit code and everything that was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode()


def wamid(phone: str) -> str:
    """A message id as WhatsApp makes them: the number is in it."""
    return f"wamid.{base64.b64encode(phone.encode()).decode()}"


async def customer_of(stage: Stage, text: str, phone: str, identity: str = "") -> int:
    """Have somebody new say something; their id."""
    before = await stage.count("select coalesce(max(id), 0) from users")
    body = {**stage.message(phone, text, identity), "name": WORDS[1]}
    await stage.insist(body)
    return int(await until(lambda: stage.database.fetchval("select id from users where id > $1", before), "is there"))


async def readable(url: str, *words: str) -> set[str]:
    database = await asyncpg.connect(url)
    try:
        return await places_of(database, KEY, words)
    finally:
        await database.close()


async def test_an_old_backup_with_the_newest_keys_brings_back_all_but_who_was_erased(
    servers: Servers, tmp_path: Path
) -> None:
    anna, boris, clara = new_phone(), new_phone(), new_phone()
    folder = tmp_path / "backups"
    async with shared_stage(servers, tmp_path) as stage:
        settings = stage.service.environment
        erased = await customer_of(stage, "hello", anna, wamid(anna))
        await customer_of(stage, "hello", boris)
        parked = [erased, await customer_of(stage, "hello", clara)]
        await stage.hear(WORDS[0], anna)
        await stage.hear("one", boris)
        await stage.told("Heard hello", "Echo one", phone=boris)
        await stage.told("Heard hello", f"Echo {WORDS[0]}", phone=anna)
        rule = f"check (user_id not in {tuple(parked)} or content = '')"
        refused = f"alter table messages add constraint refused {rule} not valid"
        await stage.database.execute(refused)
        await stage.hear(f"{WORDS[0]} again", anna)
        await stage.hear("two", clara)
        await until(lambda: stage.database.fetchval("select count(*) = 2 from parked"), "both are parked")
        code, said = await bot(settings, "backup", str(folder))
        assert code == 0, said
        (dump,) = folder.glob("*Z")
        assert await readable(settings["DATABASE_URL"], WORDS[0]) >= {"messages.content", "journal.sealed"}
        status, answer = await stage.service.api("DELETE", f"/users/{anna}")
        assert status in {200, 202}, answer
        gone = "select data_key is null from users where id = $1"
        await until(lambda: stage.database.fetchval(gone, erased), "the key is destroyed")
        await stage.hear("after the backup", boris)
        code, said = await bot(settings, "backup", "--keys", str(folder))
        assert code == 0, said
        code, said = await bot(settings, "restore", str(dump))
        assert (code, "not empty" in said) == (1, True)
        await stage.service.terminate()

    url = servers.new_database(template="template1")
    code, said = await bot({**settings, "DATABASE_URL": url}, "restore", str(dump))
    assert code == 0, said
    assert "customers: 2; erased: 1; events that wait: 1" in said
    named = base64.b64encode(anna.encode()).decode()
    assert await readable(url, anna, named, WORDS[0]) == set()
    servers.flush_redis()
    async with staged(url, servers.urls.redis, tmp_path) as stage:
        await stage.database.execute("alter table messages drop constraint refused")
        await stage.database.execute("delete from parked")
        await stage.told("Echo two", phone=clara)
        await stage.insist(stage.message(boris, "three", "three"))
        await stage.told("Echo three", phone=boris)
        assert await customer_of(stage, "hello", anna, "new") > max(parked)
        await stage.told("Heard hello", phone=anna)
        assert await stage.count("select count(*) from messages where delivery_status = 'failed'") == 0
    servers.drop(url)
