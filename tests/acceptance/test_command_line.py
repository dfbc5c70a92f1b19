"""The command line as people and init systems use it: from any folder, with exit codes that mean something."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
import psutil  # type: ignore[import-untyped]
import pytest

from tests.acceptance.world import KEY, OUR_NUMBER, ROOT, SECRET, Sandbox, environment, free_port, is_free, until
from tests.conftest import Servers

KEPT = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG")
BARE = {name: os.environ[name] for name in KEPT if name in os.environ}
"""An environment that sets nothing of ours."""
FLOW = """flow_id: a
version: 1
triggers: [{type: keyword, values: [a]}]
steps:
  - {id: one, type: message, text: "One"}
"""


def free_pair() -> int:
    """A port that is free, as the next one is."""
    return next(port for port in iter(free_port, 0) if is_free(port + 1))


class Command:
    """`bot ARGUMENTS` in a folder of its own, in a session of its own, as a terminal starts it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ended(self) -> tuple[int, str]:
        """Exit code and everything that was said."""
        said, _ = await asyncio.wait_for(self.process.communicate(), 60)
        return self.process.returncode or 0, said.decode()

    async def said(self, text: str) -> str:
        """Everything up to and including the line with `text`."""
        assert self.process.stdout is not None
        lines: list[bytes] = []
        while not lines or text.encode() not in lines[-1]:
            line = await asyncio.wait_for(self.process.stdout.readline(), 60)
            assert line, b"".join(lines).decode()
            lines.append(line)
        return b"".join(lines).decode()

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends it to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)


async def bot(folder: Path, *arguments: str, **settings: str) -> Command:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=folder,
        env={**BARE, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    return Command(process)


async def ran(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    return await (await bot(folder, *arguments, **settings)).ended()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because sockets lie in it; what still runs there at the end is ended."""
    made = Path(tempfile.mkdtemp(prefix="cli-"))
    yield made
    for process in running_in(made):
        process.kill()
    shutil.rmtree(made, ignore_errors=True)


def running_in(folder: Path) -> list[psutil.Process]:
    """Every process that works in `folder` or was started with it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if str(folder) in " ".join(process.cmdline()) or process.cwd().startswith(str(folder)):
                found.append(process)
    return found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def answers(session: aiohttp.ClientSession, url: str) -> Any:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(url) as answer:
            return answer.status == 200 and (await answer.read() or b"empty")
    return None


# --- settings --------------------------------------------------------------------------------------------------------


async def test_serve_names_everything_that_is_missing_or_bad_at_once(tmp_path: Path) -> None:
    code, said = await ran(
        tmp_path, "serve", PORT="high", MSG91_SENDER_ID="12", ENCRYPTION_KEYS="a:b", LOG_FORMAT="xml"
    )
    assert code == 2
    for name in (
        *("PORT", "MSG91_SENDER_ID", "ENCRYPTION_KEYS", "LOG_FORMAT"),
        *("DATABASE_URL", "REDIS_URL", "MSG91_WEBHOOK_SECRET", "MSG91_AUTH_KEY"),
    ):
        assert any(line.startswith(f"bot: {name}") for line in said.splitlines()), (name, said)
    assert "Traceback" not in said


async def test_serve_without_its_stores_says_so_in_a_line(tmp_path: Path) -> None:
    settings = {
        "ENVIRONMENT": "development",
        "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{free_port()}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    for command in ("serve", "migrate"):
        code, said = await ran(tmp_path, command, **settings)
        assert (code, said.count("\n")) == (1, 1), said
        assert said.startswith("bot: ")


# --- migrate ---------------------------------------------------------------------------------------------------------


def told(what: str) -> str:
    """A line for each migration there is."""
    return "".join(f"{what}: {file.stem}\n" for file in sorted((ROOT / "sql" / "migrations").glob("*.sql")))


async def test_migrate_tells_what_is_pending_applies_it_and_is_done(servers: Servers, tmp_path: Path) -> None:
    url = servers.new_database(template="template1")
    try:
        assert await ran(tmp_path, "migrate", "--check", DATABASE_URL=url) == (1, told("pending"))
        code, said = await ran(
            tmp_path, "serve", ENVIRONMENT="development", DATABASE_URL=url, REDIS_URL=servers.urls.redis
        )
        assert code == 1
        assert "run `bot migrate`" in said
        assert await ran(tmp_path, "migrate", DATABASE_URL=url) == (0, told("applied"))
        for arguments in (("migrate",), ("migrate", "--check")):
            assert await ran(tmp_path, *arguments, DATABASE_URL=url) == (0, "the schema is up to date\n")
    finally:
        servers.drop(url)
    code, said = await ran(tmp_path, "migrate")
    assert (code, said) == (2, "bot: DATABASE_URL is missing\n")


# --- flows check -----------------------------------------------------------------------------------------------------


async def test_flows_check_passes_the_samples_and_names_file_and_line_of_what_is_wrong(tmp_path: Path) -> None:
    assert await ran(tmp_path, "flows", "check", "--strict", str(ROOT / "flows")) == (0, "no problems\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FLOW + "  - {id: one, type: goto, target: nowhere}\n  - {id: two, type: dance}\n")
    code, said = await ran(tmp_path, "flows", "check", "wrong.yaml")
    assert code == 1
    assert "wrong.yaml:6" in said
    assert "wrong.yaml:7" in said
    assert said.splitlines()[-1].endswith("problems")
    (tmp_path / "flows").mkdir()
    wrong.rename(tmp_path / "flows" / "wrong.yaml")
    code, said = await ran(tmp_path, "flows", "check")
    assert (code, "flows/wrong.yaml:6" in said) == (1, True), said
    assert (await ran(tmp_path, "flows", "check", "absent.yaml"))[0] == 2


async def test_warnings_count_only_when_strict(tmp_path: Path) -> None:
    lonely = '  - {id: end, type: end, text: "Bye"}\n  - {id: lonely, type: message, text: "Never"}\n'
    (tmp_path / "a.yaml").write_text(FLOW + lonely)
    code, said = await ran(tmp_path, "flows", "check", "a.yaml")
    assert code == 0
    assert "a.yaml:7: warning" in said
    assert (await ran(tmp_path, "flows", "check", "--strict", "a.yaml"))[0] == 1


# --- doctor ----------------------------------------------------------------------------------------------------------


async def test_doctor_is_content_when_all_is_well_and_names_each_part_that_is_not(
    database_url: str, redis_url: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    sandbox = Sandbox(session, free_port(), auth_key="key", model_key="key")
    await sandbox.start()
    try:
        well = environment(database_url, redis_url, sandbox)
        code, said = await ran(tmp_path, "doctor", **well)
        assert code == 0, said
        names = ["settings", "database", "schema", "keys", "redis", "flows", "provider", "model"]
        shown = [names[0], "descriptors", *names[1:]]
        assert [line.split(":")[0] for line in said.splitlines()] == [f"ok    {name}" for name in shown]
        nobody = f"http://127.0.0.1:{free_port()}"
        ill = {
            **well,
            "MSG91_WEBHOOK_SECRET": "",
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{free_port()}/postgres",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "FLOWS_DIR": str(tmp_path / "absent"),
            "MSG91_BASE_URL": nobody,
            "OPENROUTER_BASE_URL": nobody,
        }
        code, said = await ran(tmp_path, "doctor", **ill)
        assert code == 1
        failed = [line.split(":")[0] for line in said.splitlines() if line.startswith("FAIL")]
        assert failed == [f"FAIL  {name}" for name in names], said
        assert all(len(line.split(": ", 1)[1]) > 10 for line in said.splitlines()), said
        foreign = {
            **well,
            "MSG91_AUTH_KEY": "wrong",
            "OPENROUTER_API_KEY": "wrong",
            "ENCRYPTION_KEYS": "other:" + KEY.partition(":")[2],
        }
        code, said = await ran(tmp_path, "doctor", **foreign)
        assert code == 1
        failed = [line.split(":")[0] for line in said.splitlines() if line.startswith("FAIL")]
        assert failed == ["FAIL  database", "FAIL  keys", "FAIL  provider", "FAIL  model"], said
        code, said = await ran(tmp_path, "doctor", **{**well, "MSG91_BASE_URL": sandbox.url})
        assert (code, "MSG91_BASE_URL" in said) == (1, True), said
    finally:
        await sandbox.stop()


async def test_doctor_says_what_to_do_on_a_fresh_machine(servers: Servers, tmp_path: Path) -> None:
    url = servers.new_database(template="template1")
    try:
        code, said = await ran(tmp_path, "doctor", ENVIRONMENT="development", DATABASE_URL=url)
    finally:
        servers.drop(url)
    assert code == 1
    lines = dict(line.split(": ", 1) for line in said.splitlines())
    assert "run `bot migrate`" in lines["FAIL  schema"]
    assert lines["FAIL  settings"].startswith("REDIS_URL is missing")
    assert (lines["FAIL  redis"], lines["FAIL  provider"]) == ("REDIS_URL is missing", "MSG91_AUTH_KEY is missing")
    assert lines["ok    database"] == "answers"
    assert lines["ok    keys"].startswith("not looked at")
    assert lines["ok    model"].startswith("not configured")


# --- demo, sandbox, embedded -----------------------------------------------------------------------------------------


async def test_the_demo_plays_its_script_again_and_again_and_leaves_nothing_running(folder: Path) -> None:
    for _ in range(2):
        code, said = await ran(folder, "demo", "--script", "--data", "data")
        assert code == 0, said
        assert said.splitlines()[-1] == "4 of 4 conversations as they should be"
        assert running_in(folder) == []


async def test_the_script_fails_when_something_is_not_answered_as_it_should_be(folder: Path) -> None:
    flows = folder / "flows"
    shutil.copytree(ROOT / "flows", flows)
    welcome = (flows / "welcome.yaml").read_text()
    (flows / "welcome.yaml").write_text(welcome.replace("Hello {user_name}!", "Howdy {user_name}!"))
    code, said = await ran(folder, "demo", "--script", "--data", "data", FLOWS_DIR="flows")
    assert code == 1
    assert "FAILED: An order, by buttons and a flow: 'hello' was answered 'Howdy Asha!" in said
    assert said.splitlines()[-1] == "1 of 4 conversations as they should be"
    assert running_in(folder) == []


async def test_the_demo_survives_a_kill_and_ends_at_ctrl_c(folder: Path, session: aiohttp.ClientSession) -> None:
    port = free_pair()
    first = await bot(folder, "demo", "--port", str(port), "--data", "data")
    welcome = await first.said("Ctrl-C")
    assert f"http://127.0.0.1:{port + 1}/phone" in welcome
    token = msgspec.json.decode((folder / "data" / "secrets.json").read_bytes())["admin_token"]
    assert token in welcome
    body = {"from": "919000000077", "text": "hello", "name": "Asha"}
    async with session.post(f"http://127.0.0.1:{port + 1}/sandbox/customer", json=body) as answer:
        assert answer.status == 200
    first.process.kill()
    await first.process.wait()
    assert running_in(folder), "the stores outlive a killed process"

    second = await bot(folder, "demo", "--port", str(port), "--data", "data")
    await second.said("Ctrl-C")
    url = f"http://127.0.0.1:{port}/api/v1/conversations?q=919000000077"

    async def found() -> Any:
        async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            return orjson.loads(await answer.read())["items"]

    (kept,) = await until(found, "the conversation of before the kill is there")
    assert kept["name"] == "Asha"
    second.interrupt()
    code, said = await second.ended()
    assert code == 0, said
    assert "Stopped." in said
    assert running_in(folder) == []


async def test_a_port_that_is_taken_is_said_in_a_line_and_leaves_nothing_running(folder: Path) -> None:
    port = free_pair()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    code, said = await ran(folder, "demo", "--port", str(port), "--data", "data")
    taken.close()
    assert code == 1
    assert "Traceback" not in said
    assert str(port) in said.splitlines()[-1]
    assert running_in(folder) == []


async def test_serve_brings_its_own_stores_and_stops_them_at_sigterm(
    folder: Path, session: aiohttp.ClientSession
) -> None:
    port = free_port()
    settings = {"ENVIRONMENT": "development", "PORT": str(port), "FLOWS_DIR": str(ROOT / "flows"), "HOST": "127.0.0.1"}
    service = await bot(folder, "serve", "--embedded", "stores", **settings)
    await service.said('"ready"')
    assert orjson.loads(await answers(session, f"http://127.0.0.1:{port}/ready"))["status"] == "ready"
    service.process.terminate()
    code, said = await service.ended()
    assert code == 0, said
    assert running_in(folder) == []


async def test_the_sandbox_runs_alone(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    port = free_port()
    sandbox = await bot(tmp_path, "sandbox", "--port", str(port), "--webhook", "", "--secret", SECRET)
    await sandbox.said(f"http://127.0.0.1:{port}/phone")
    page = await until(lambda: answers(session, f"http://127.0.0.1:{port}/phone"), "the phone is shown")
    assert b"<html" in page
    body = {"integrated_number": OUR_NUMBER, "recipient_number": "919000000002", "content_type": "text", "text": "Hi"}
    sends = f"http://127.0.0.1:{port}/api/v5/whatsapp/whatsapp-outbound-message/"
    async with session.post(sends, json=body, headers={"authkey": "k"}) as answer:
        assert answer.status == 200
    assert b'"Hi"' in await answers(session, f"http://127.0.0.1:{port}/sandbox/messages?to=919000000002")
    sandbox.interrupt()
    code, said = await sandbox.ended()
    assert code == 130
    assert "Traceback" not in said
