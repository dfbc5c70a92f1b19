"""`bot tokens` as an operator uses it, and what it makes as the running service takes it."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.app import NotReady
from bot.commands import tokens as command
from bot.config import Settings
from bot.ports.tokens import GROUPS, SCOPES
from bot.wire.tokens import read
from tests.acceptance.world import ROOT, Sandbox, Service, environment, free_port, until
from tests.conftest import Servers


async def bot(*arguments: str, database_url: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of `bot tokens ARGUMENTS`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "tokens", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database_url},
    )
    out, complaints = await process.communicate()
    return process.returncode or 0, out.decode(), complaints.decode()


async def test_a_token_of_the_command_line_opens_the_api_of_a_running_service(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession() as session:
        port = free_port()
        sandbox = Sandbox(session, port)
        environ = environment(database_url, redis_url, sandbox, ADMIN_TOKEN="")
        service = Service(session, port, tmp_path / "log", **environ)
        await sandbox.start()
        await service.start()
        assert (await service.api("GET", "/flows", token="admin"))[0] == 503
        code, out, _ = await bot("add", "crm", "--scopes", "operations:read", database_url=database_url)
        token = out.strip()
        assert (code, read(token) is not None) == (0, True)

        async def answers(status: int) -> bool:
            return (await service.api("GET", "/flows", token=token))[0] == status

        await until(lambda: answers(200), "the new token opens the API")
        assert (await service.api("POST", "/flows/reload", token=token))[0] == 403
        assert token not in service.log.read_text()
        await service.terminate()
        await sandbox.stop()


async def test_scopes_that_do_not_exist_are_named_beside_those_that_do(database_url: str) -> None:
    code, _, complaints = await bot("add", "crm", "--scopes", "read,moon", database_url=database_url)
    assert code == 2
    assert "unknown: moon; there are read, all" in " ".join(complaints.split())


def test_scopes_are_read_with_names_of_groups() -> None:
    assert command.scopes_in("users:erase, read") == GROUPS["read"] | {"users:erase"}
    assert command.scopes_in("all") == set(SCOPES)
    with pytest.raises(command.BadScopes, match="none given"):
        command.scopes_in(" ,")


async def test_tokens_are_listed_with_their_state_and_revoked_by_name_or_id(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    settings = Settings(database_url=database_url, sql_dir=ROOT / "sql")
    assert await command.add(settings, "crm", frozenset(SCOPES), None)
    assert not await command.add(settings, "crm", GROUPS["read"], None)
    assert not await command.add(settings, "7", GROUPS["read"], None)
    assert await command.add(settings, "export", frozenset({"users:read"}), 30)
    assert await command.add(settings, "old", frozenset({"users:read"}), -1)
    assert await command.add(settings, "new", frozenset({"users:read"}), None)
    assert await command.add(settings, "short", frozenset({"users:read"}), 1)
    capsys.readouterr()
    assert await command.revoke(settings, "crm")
    assert await command.revoke(settings, "2") is False
    assert await command.revoke(settings, "3")
    assert not await command.revoke(settings, "nobody")
    capsys.readouterr()
    assert await command.show(settings)
    heading, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert heading == ["id", "name", "state", "last used", "made by", "scopes"]
    assert [line[1] for line in lines] == ["short", "new", "old", "export", "crm"]
    assert [line[2].split()[0] for line in lines] == ["until", "in", "expired", "revoked", "revoked"]
    assert lines[-1][3:] == ["never", "command_line", "all"]
    assert lines[-2][3:] == ["never", "command_line", "users:read"]


async def test_a_database_without_the_schema_is_said_to_need_it(servers: Servers) -> None:
    url = servers.new_database("template1")
    with pytest.raises(NotReady, match="bot migrate"):
        await command.show(Settings(database_url=url, sql_dir=ROOT / "sql"))
    servers.drop(url)
