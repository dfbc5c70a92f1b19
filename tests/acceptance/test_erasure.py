"""A customer who was erased is nowhere: not in a table, not in Redis, not in a log, not in an answer. Then they write
again, and are greeted.
"""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import orjson
from redis.asyncio import Redis

from bot.adapters.cipher import ServiceKeys, parse_keys
from bot.runtime.intake import QUARANTINE_CONTEXT
from bot.web.api.customer_data import CustomerExport
from tests.acceptance.pair import paired
from tests.acceptance.sharing import new_phone, new_user_id
from tests.acceptance.stage import PHONE, Stage, staged
from tests.acceptance.world import KEY, ROOT, until

NAME = "Zebulon Quuxworth"
WORDS = ("marmalade-wardrobe", "purple-refrigerator", "condolences-fridge", "voucher-walrus", "albatross")
FLOW = """
flow_id: care
version: 1
triggers: [{type: keyword, values: [hello]}]
steps:
  - {id: why, type: input, variable: why, text: "What happened, {user_name}?"}
  - {id: person, type: escalate, department: delivery, reason: "{why}"}
"""


async def _conversation(stage: Stage, phone: str, user_id: str) -> None:
    """A customer who says and is told known words, in every way there is."""

    async def say(text: str, **fields: Any) -> None:
        sent = {**stage.message(phone, text, _wamid(phone)), "name": NAME, **fields}
        assert (await stage.service.post(sent))[0] == 200

    await say("hello")
    await stage.reached(1, phone)
    await say("purple-refrigerator marmalade-wardrobe", user_id=user_id)
    await until(lambda: stage.has_status("queue", phone), "a person is wanted")
    conversation = (await stage.conversation(phone))["id"]
    for deed, body in (
        ("reply", {"message": "condolences-fridge", "agent": "Ann"}),
        ("resolve", {"by": "Ann", "note": "voucher-walrus"}),
    ):
        headers = {"Idempotency-Key": f"{deed}-key"}
        assert (await stage.service.api("POST", f"/conversations/{conversation}/{deed}", body, **headers))[0] == 200
    await say("Where is the albatross?")
    await until(lambda: _has_model_answer(stage, phone), "the model answers")
    quarantined = {
        "integratedNumber": "919000000001",
        "text": f"+{phone[:2]} {phone[2:7]}-{phone[7:]} marmalade-wardrobe",
    }
    assert (await stage.service.post(quarantined))[1]["quarantined"] == 1
    late = {"messageId": _wamid(phone), "status": "delivered", "timestamp": "1700000000"}
    await stage.service.post(late)
    await stage.service.api("PATCH", f"/users/{phone}", {"name": f"{NAME} Jr."}, **{"Idempotency-Key": "name"})
    await stage.rest()


async def _has_model_answer(stage: Stage, phone: str) -> bool:
    return "simulated" in (await stage.replies(phone))[-1]


def _wamid(phone: str) -> str:
    """As WhatsApp makes them: the number is inside, in base64."""
    return "wamid." + base64.b64encode(b"\x1d\x04\x18\x0c" + phone.encode() + os.urandom(12)).decode()


# --- looking everywhere ----------------------------------------------------------------------------------------------


def _traces(data: bytes, secrets: Sequence[str]) -> set[str]:
    forms = {secret: _forms(secret.encode()) for secret in secrets}
    return {secret for secret, ways in forms.items() if any(way in data for way in ways)}


def _forms(secret: bytes) -> set[bytes]:
    """As it is, and inside base64 at any of the three offsets."""
    shifted = (base64.b64encode(b"." * offset + secret) for offset in range(3))
    return {secret, *(code[4 if offset else 0 : -4] for offset, code in enumerate(shifted))}


class Searcher:
    """Opens everything that any key still opens: the service's, and every data key that is left."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = secrets
        self.keys = ServiceKeys(parse_keys(KEY))
        self.found: dict[str, set[str]] = {}

    def look(self, where: str, data: bytes, contexts: Sequence[bytes] = ()) -> None:
        for plain in (data, *self._opened(data, contexts)):
            if traces := _traces(plain, self.secrets):
                self.found.setdefault(where, set()).update(traces)

    def _opened(self, data: bytes, contexts: Sequence[bytes]) -> list[bytes]:
        opened = []
        for context in (b"", QUARANTINE_CONTEXT, b"key", b"erasure", b"spool", b"idempotency", *contexts):
            try:
                opened.append(self.keys.open(data, context))
            except ValueError:
                continue
        return opened

    async def tables(self, database: asyncpg.Connection) -> None:
        """Every column of every row of every table, as text and as bytes."""
        tables = await database.fetch("select tablename as name from pg_tables where schemaname = 'public'")
        for table in tables:
            for row in await database.fetch(f"select * from {table['name']}"):
                sealed = [value for value in row.values() if isinstance(value, bytes)]
                for column, value in row.items():
                    data = value if isinstance(value, bytes) else str(value).encode()
                    self.look(f"{table['name']}.{column}", data, sealed)

    async def redis(self, url: str) -> None:
        redis = Redis.from_url(url)
        async for key in redis.scan_iter("*"):
            self.look(f"redis {key!r}", key)
            for value in await _values(redis, key):
                self.look(f"redis {key!r}", value)
        await redis.aclose()


async def _values(redis: Any, key: bytes) -> Sequence[bytes]:
    match await redis.type(key):
        case b"hash":
            return [part for pair in (await redis.hgetall(key)).items() for part in pair]
        case b"list":
            return list(await redis.lrange(key, 0, -1))
        case b"stream":
            return [part for _, fields in await redis.xrange(key) for pair in fields.items() for part in pair]
        case _:
            return [await redis.get(key)]


async def _told(stage: Stage, conversations: Sequence[str]) -> bytes:
    """All that the API and the metrics say."""
    paths = ["/conversations", "/quarantine", "/parked", "/audit", *(f"/conversations/{id_}" for id_ in conversations)]
    answers = [orjson.dumps((await stage.service.api("GET", path))[1]) for path in paths]
    async with stage.session.get(f"{stage.service.url}/metrics") as answer:
        return b"\n".join([*answers, await answer.read()])


async def test_an_erased_customer_is_nowhere_and_a_stranger_when_they_write_again(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phone, user_id, other = new_phone(), new_user_id(), new_phone()
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "care.yaml").write_text(FLOW)
    secrets = (phone, user_id, "Zebulon", "zebulon", *WORDS)
    async with staged(database_url, redis_url, tmp_path, LOG_LEVEL="debug", FLOWS_DIR=str(flows)) as stage:
        await _conversation(stage, phone, user_id)
        await stage.hear("hello", phone=other)
        await stage.reached(1, other)
        await _exported(stage, phone, secrets)
        before = Searcher(secrets)
        await before.tables(stage.database)
        assert before.found != {}

        conversations = [str(row["id"]) for row in await stage.database.fetch("select id from conversations")]
        erase = {"Idempotency-Key": "erase"}
        status, answer = await stage.service.api("DELETE", f"/users/{phone}", **erase)
        assert (status, answer["status"], answer["quarantined"]) == (200, "done", 1)
        assert await stage.service.api("DELETE", f"/users/{phone}", **erase) == (status, answer)
        assert (await stage.service.api("DELETE", f"/users/{phone}"))[0] == 404
        assert (await stage.service.api("GET", f"/users/{phone}"))[0] == 404

        searcher = Searcher(secrets)
        await searcher.tables(stage.database)
        await searcher.redis(redis_url)
        searcher.look("answers", await _told(stage, conversations))
        searcher.look("log", stage.service.log.read_bytes())
        assert searcher.found == {}
        shown = [(await stage.service.api("GET", f"/conversations/{id_}"))[1] for id_ in conversations]
        assert sorted(talk["erased"] for talk in shown) == [False, *[True] * (len(shown) - 1)]

        heard = len(await stage.replies(phone))
        await stage.service.post({**stage.message(phone, "hello"), "name": "Somebody"})
        assert (await stage.reached(heard + 1, phone))[-1] == "What happened, Somebody?"
        assert await stage.replies(other) == ["What happened, ?"]


async def _exported(stage: Stage, phone: str, secrets: Sequence[str]) -> None:
    """Before: everything is in the export, and the export has the form that is documented."""
    status, document = await stage.service.api("GET", f"/users/{phone}/export")
    assert status == 200
    export = msgspec.convert(document, CustomerExport)
    assert export.complete
    assert _traces(orjson.dumps(document), secrets) == set(secrets) - {"zebulon"}
    kinds = (export.identities, export.conversations, export.messages, export.model_calls, export.audit, export.events)
    assert all(kinds)
    assert export.customer.state is not None


async def _command(stage: Stage, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env={**os.environ, **stage.service.environment},
    )  # fmt: skip
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


async def test_an_operator_exports_and_erases_at_the_machine_while_the_service_runs(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        file = tmp_path / "export.json"
        assert await _command(stage, "export", PHONE, "--output", str(file)) == (0, "")
        assert msgspec.json.decode(file.read_bytes(), type=CustomerExport).identities[0].value == PHONE
        assert file.stat().st_mode & 0o777 == 0o600
        assert (await _command(stage, "export", PHONE, "--output", str(file)))[0] == 1
        status, told = await _command(stage, "erase", PHONE, "--yes")
        assert (status, told.partition(":")[0]) == (0, "done")
        assert (await _command(stage, "erase", f"+{PHONE}", "--yes"))[0] == 1
        await stage.hear("1")
        assert (await stage.reached(2))[1:] != ["Echo 1"]


async def test_an_erasure_whose_replica_is_killed_is_ended_by_the_other(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phone, flows = new_phone(), {"care": FLOW}
    async with paired(database_url, redis_url, tmp_path, flows, LEASE_SECONDS="1.5") as pair:
        await pair.hear(pair.first, phone, "hello marmalade-wardrobe")
        await pair.told(phone, "What happened, ?")
        async with _locked(pair.database, "quarantine"):
            erasing = asyncio.ensure_future(pair.first.api("DELETE", f"/users/{phone}"))
            await pair.holds("select exists (select from erasures)")
            await pair.first.kill()
            await asyncio.gather(erasing, return_exceptions=True)
        await pair.value("update erasures set worked_at = now() - interval '1 minute'")
        await pair.holds("select bool_and(finished_at <> 'infinity') from erasures")
        searcher = Searcher((phone, *WORDS))
        await searcher.tables(pair.database)
        for replica in (pair.first, pair.second):
            searcher.look("log", replica.log.read_bytes())
        assert searcher.found == {}
        await pair.hear(pair.second, phone, "hello")
        await pair.told(phone, "What happened, ?", "What happened, ?")


@asynccontextmanager
async def _locked(database: asyncpg.Connection, table: str) -> AsyncIterator[None]:
    """Nobody gets at the table: an erasure stops there."""
    async with database.transaction():
        await database.execute(f"lock table {table} in access exclusive mode")
        yield
