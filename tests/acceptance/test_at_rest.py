"""What lies on disk, in Redis and in the logs says nothing about anybody, and keys can be changed."""

import base64
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from bot.adapters.embedded import Embedded, EmbeddedUrls
from bot.adapters.postgres.stores import opened
from tests.acceptance.sharing import new_phone, new_user_id
from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import KEY, ROOT, SECRET, until

NAME = "Zebulon Quuxworth"
TEXT = "marmalade-behind-the-wardrobe"
REASON = "purple-refrigerator-exploded"
REPLY = "condolences-about-the-fridge"
NOTE = "voucher-for-new-refrigerator"
ODD = "unusable-but-kept-walrus"
QUESTION = "When are you open, says the albatross?"
FLOW = """
flow_id: care
version: 1
triggers: [{type: keyword, values: [hello]}]
steps:
  - {id: why, type: input, variable: why, text: "What happened, {user_name}?"}
  - {id: person, type: escalate, department: delivery, reason: "{why}"}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because sockets lie in it."""
    made = Path(tempfile.mkdtemp(prefix="rest-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[EmbeddedUrls]:
    async with Embedded(folder) as urls:
        async with opened(urls.database, sql_dir=ROOT / "sql", size=1) as base:
            await base.migrate()
        yield urls


async def _traffic(stage: Stage, phone: str, user_id: str) -> None:
    async def say(text: str, **fields: Any) -> None:
        assert (await stage.service.post({**stage.message(phone, text), "name": NAME, **fields}))[0] == 200

    await say("hello")
    await stage.reached(1, phone)
    await say(f"{REASON} {TEXT}", user_id=user_id)
    await until(lambda: _is_held(stage, phone), "a person is wanted")
    conversation = (await stage.conversation(phone))["id"]
    for deed, body in (
        ("reply", {"message": REPLY, "agent": "Ann"}),
        ("resolve", {"by": "Ann", "note": NOTE}),
    ):
        status, answer = await stage.service.api("POST", f"/conversations/{conversation}/{deed}", body)
        assert status == 200, answer
    await say(QUESTION)
    await until(lambda: _has_model_answer(stage, phone), "the model answers")
    await stage.service.api("PATCH", f"/users/{phone}", {"name": f"{NAME} Jr."})
    assert (await stage.service.post({"integratedNumber": "919000000001", "text": ODD}))[1]["quarantined"] == 1
    await stage.service.post({"from": "123", "text": TEXT, "name": NAME})
    await stage.rest()


async def _is_held(stage: Stage, phone: str) -> bool:
    return bool((await stage.conversation(phone))["status"] == "queue")


async def _has_model_answer(stage: Stage, phone: str) -> bool:
    return "simulated" in (await stage.replies(phone))[-1]


def _found(data: bytes, secrets: Mapping[str, str]) -> set[str]:
    found = set()
    for what, plain in secrets.items():
        forms = {plain.encode(), plain.encode("utf-16-le"), plain.encode("utf-16-be"), base64.b64encode(plain.encode())}
        if any(form in data for form in forms):
            found.add(what)
    return found


async def test_nothing_about_anybody_is_readable_at_rest_or_in_the_logs(folder: Path) -> None:
    phone, user_id = new_phone(), new_user_id()
    personal = {
        "name": NAME,
        "first name": "Zebulon",
        "name, folded": "zebulon",
        "number": phone,
        "user id": user_id,
        "text": TEXT,
        "reason": REASON,
        "reply": REPLY,
        "note": NOTE,
        "odd": ODD,
        "question": "albatross",
        "answer": "(simulated)",
    }
    keys = {"secret": SECRET, "key": KEY.partition(":")[2], "token": "token-of-the-admin", "authkey": "key-of-msg91"}
    flows = folder / "flows"
    flows.mkdir()
    (flows / "care.yaml").write_text(FLOW)
    async with stores(folder) as urls:
        settings: dict[str, Any] = {
            "LOG_LEVEL": "debug",
            "FLOWS_DIR": str(flows),
            "ADMIN_TOKEN": "admin",
            "MSG91_AUTH_KEY": keys["authkey"],
            "OPENROUTER_API_KEY": "key-of-openrouter",
        }
        async with staged(urls.database, urls.redis, folder, **settings) as stage:
            await _traffic(stage, phone, user_id)
            await stage.service.terminate()
            log = stage.service.log.read_bytes()
            await stage.database.execute("checkpoint")
            redis = Redis.from_url(urls.redis)
            await redis.config_set("rdbcompression", "no")
            await redis.save()
            await redis.aclose()
        files = [path for path in (folder / "postgres").rglob("*") if path.is_file()]
        files += [folder / "redis" / "dump.rdb"]
        readable = {path.name: found for path in files if (found := _found(path.read_bytes(), personal | keys))}
    assert readable == {}
    assert b'"stopped"' in log
    assert _found(log, {**personal, **keys, "openrouter": "key-of-openrouter"}) == set()


async def test_the_scan_itself_finds_what_is_written_in_the_open(folder: Path) -> None:
    async with stores(folder) as urls:
        connection = await asyncpg.connect(urls.database)
        await connection.execute("insert into audit (action, by_whom, created_at) values ($1, '', now())", TEXT)
        await connection.execute("checkpoint")
        await connection.close()
        files = [path for path in (folder / "postgres").rglob("*") if path.is_file()]
        assert any(_found(path.read_bytes(), {"text": TEXT}) for path in files)


def _key(name: str) -> str:
    return f"{name}:{base64.b64encode(name.encode() * 32).decode()}"


async def test_keys_are_rotated_and_without_the_old_key_the_service_does_not_begin_anew(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phone, other = new_phone(), new_phone()
    async with staged(database_url, redis_url, tmp_path, ENCRYPTION_KEYS=_key("a")) as stage:
        await stage.hear("hello", phone=phone)
        await stage.told("Heard hello", phone=phone)
        assert await stage.service.terminate() == 0

        stage.service.environment["ENCRYPTION_KEYS"] = f"{_key('b')},{_key('a')}"
        await stage.service.start()
        await stage.hear("1", phone=phone)
        await stage.hear("hello", phone=other)
        await stage.told("Heard hello", "Echo 1", phone=phone)
        await stage.told("Heard hello", phone=other)
        assert await stage.service.terminate() == 0

        stage.service.environment["ENCRYPTION_KEYS"] = _key("b")
        await stage.service.launch()
        assert await stage.service.ended() == 1
        said = stage.service.log.read_text().splitlines()[-1]
        assert said.startswith("bot: ENCRYPTION_KEYS lacks the key")


async def test_a_snapshot_that_cannot_be_opened_costs_nothing_but_a_moment(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phone = new_phone()
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.hear("hello", phone=phone)
        await stage.told("Heard hello", phone=phone)
        assert await stage.service.terminate() == 0
        redis = Redis.from_url(redis_url)
        seats = await redis.keys("seat:*")
        assert seats
        for seat in seats:
            await redis.hset(seat, "state", "damaged")
        await redis.aclose()
        await stage.service.start()
        await stage.hear("1", phone=phone)
        await stage.told("Heard hello", "Echo 1", phone=phone)
