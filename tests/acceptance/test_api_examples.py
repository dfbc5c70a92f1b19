"""Every `curl` of `docs/api.md`, run by a shell as it stands there, against the service.

Only what a reader would replace is replaced: the page's ids and Priya's number, by those of a customer who has just
asked for a person. A command fails the test when it ends with an error, is answered 400 or more, uses a name that the
page does not explain, or when its answer lacks a field that the page shows.
"""

import asyncio
import itertools
import os
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import orjson
import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import Stage
from tests.acceptance.world import ROOT
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
TAG = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PRIYA = r"919876543210|\+91 98765 43210"
OTHER = "919812345678"
CURL = r"""
set -euo pipefail
curl() {
  command curl --silent --show-error --fail-with-body --max-time 30 --connect-to "localhost:8000:127.0.0.1:$PORT" "$@"
}
"""
PARK = """
with event as (
  update journal set consumed_at = null
  where seq = (select max(j.seq) from journal j join conversations c on c.user_id = j.user_id where c.id = $1)
  returning user_id, seq
)
insert into parked (user_id, journal_seq, error, attempts, parked_at)
select user_id, seq, 'ValueError: no such operation', 3, now() from event
returning id
"""
PATIENCE = 60.0
_keys = itertools.count(1)


class Command(msgspec.Struct, frozen=True):
    """A command of the page, and the fields of the answer that is shown beneath it; none where there is no answer."""

    text: str
    fields: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Its method and path, short enough for the name of a test."""
        method = re.search(r"-X (\w+)", self.text)
        path = re.search(r"/api/v1(/[^\s\"'?]*)", self.text)
        return f"{method[1] if method else 'GET'} {re.sub(TAG, '{id}', path[1]) if path else self.text[:60]}"


def is_whole(text: str) -> bool:
    """Whether a shell would run this, or wait for the rest."""
    try:
        shlex.split(text)
    except ValueError:
        return False
    return not text.endswith("\\")


def commands_of(block: str) -> Iterator[str]:
    """The calls in a block, without the prompt that nobody copies."""
    text = ""
    for line in block.splitlines():
        text = f"{text}\n{line}" if text else line.removeprefix("$ ")
        if not text.startswith("curl "):
            text = ""
        elif is_whole(text):
            yield text
            text = ""


def fields_of(answer: str) -> frozenset[str]:
    try:
        document = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return frozenset()
    return frozenset(document) if isinstance(document, dict) else frozenset()


def examples(page: str) -> Iterator[Command]:
    """Every command; a block of JSON that follows at once is the answer to the one before it."""
    blocks = [*BLOCK.finditer(page)]
    for block, after in itertools.zip_longest(blocks, blocks[1:]):
        *others, last = [*commands_of(block[2])] or [""]
        yield from (Command(text) for text in others)
        follows = after is not None and after[1] == "json" and not page[block.end() : after.start()].strip()
        if last:
            yield Command(last, fields_of(after[2]) if follows else frozenset())


EXAMPLES = [*examples(PAGE)]


class Desk:
    """What the page's ids stand for at this service."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def filled(self, text: str) -> str:
        """The command with what a reader would have put in."""
        if re.search(rf"{PRIYA}|/conversations/|conversation=|/messages/|/parked/", text):
            text = await self._of_a_customer(text)
        if "/webhooks/" in text:
            endpoint, delivery = await self._endpoint()
            text = re.sub(rf"(/webhooks/){TAG}", rf"\g<1>{endpoint}", text)
            text = re.sub(r"(/webhooks/deliveries/)\d+", rf"\g<1>{delivery}", text)
        if "/tokens/" in text:
            text = re.sub(r"(/tokens/)\d+", rf"\g<1>{await self._token()}", text)
        return text

    async def _of_a_customer(self, text: str) -> str:
        """With the ids of somebody who has just asked for a person."""
        phone = new_phone()
        await self._stage.hear("agent", phone)
        await self._stage.reached(1, phone)
        talk = await self._stage.conversation(phone)
        text = re.sub(PRIYA, phone, text)
        text = re.sub(rf"(/conversations/|[?&]conversation=){TAG}", rf"\g<1>{talk['id']}", text)
        text = re.sub(rf"(/messages/){TAG}", rf"\g<1>{talk['messages'][-1]['id']}", text)
        if "/parked/" in text:
            text = re.sub(r"(/parked/)\d+", rf"\g<1>{await self._parked(talk['id'])}", text)
        return text

    async def _made(self, path: str, body: Any) -> Any:
        status, made = await self._stage.service.api("POST", path, body)
        assert status < 300, made
        return made

    async def _endpoint(self) -> tuple[str, int]:
        """An endpoint, and a delivery to it."""
        made = await self._made(
            "/webhooks", {"url": "https://crm.example.com/desk", "events": ["conversation.resolved"]}
        )
        ping = await self._made(f"/webhooks/{made['id']}/ping", None)
        return made["id"], ping["id"]

    async def _token(self) -> int:
        made = await self._made("/tokens", {"name": f"t{uuid4().hex[:8]}", "scopes": ["users:read"]})
        return int(made["id"])

    async def _parked(self, talk: str) -> int:
        """The customer of this conversation, parked at an event that is there and was not applied."""
        return int(await self._stage.database.fetchval(PARK, talk))


async def run(stage: Stage, text: str, folder: Path) -> tuple[int, bytes]:
    """The exit code and what was printed."""
    here = f"http://127.0.0.1:{stage.service.port}"
    names = {"DESK": here, "TOKEN": "admin", "ADMIN_TOKEN": "admin", "KEY": f"example-{next(_keys)}"}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        CURL + text,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PORT": str(stage.service.port), **names},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, printed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with shared_stage(servers, tmp_path_factory.mktemp("examples"), FLOWS_DIR=str(ROOT / "flows")) as stage:
        await stage.hear("hello", OTHER)
        yield stage


@pytest.mark.parametrize("command", EXAMPLES, ids=[command.title for command in EXAMPLES])
async def test_a_command_of_the_page_does_what_it_shows(stage: Stage, tmp_path: Path, command: Command) -> None:
    status, printed = await run(stage, await Desk(stage).filled(command.text), tmp_path)
    assert status == 0, printed.decode()
    assert command.fields - fields_of(printed.decode()) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        'curl "$DESK/api/v1/conversations"',
        'curl -H "Authorization: Bearer $TOKEN" "$DESK/api/v1/nothing"',
        'curl "$DESK/$NOBODY_SET_THIS"',
    ],
)
async def test_a_command_that_does_not_hold_is_found_out(stage: Stage, tmp_path: Path, wrong: str) -> None:
    status, printed = await run(stage, wrong, tmp_path)
    assert status != 0, printed.decode()


async def test_the_answer_that_belongs_to_a_command_is_read() -> None:
    calls = "```sh\n$ curl one\n$ curl -d '{\n  \"a\": 1}' \\\n  two\n```\n"
    page = calls + '\n```json\n{"id": 1}\n```\n\nand another\n\n```json\n{}\n```\n'
    assert [*examples(page)] == [
        Command("curl one"),
        Command("curl -d '{\n  \"a\": 1}' \\\n  two", frozenset({"id"})),
    ]
