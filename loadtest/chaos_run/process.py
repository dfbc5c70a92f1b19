"""A server as a process that can be killed, paused and started again, together with the processes it has made."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
GONE_SECONDS: Final = 5.0
"""How long a killed tree may take to vanish."""
DEAD: Final = ("", "Z", "X")
"""States of a process that is gone or only waits to be buried."""


class Process:
    """One command. Its output is appended to `log`, over all its lives."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives, and before it was launched."""
        return self._process.poll() if self._process is not None else None

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                user=self._user,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        if self.lives:
            os.kill(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP for all of them, the parent first: it makes no new ones meanwhile."""
        self.send(signal.SIGSTOP)
        for pid in self._tree():
            _send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self._tree()):
            _send(pid, signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL for all of them at once, and wait until they are gone."""
        self.send(signal.SIGSTOP)
        tree = self._tree()
        for pid in tree:
            _send(pid, signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        await holds(lambda: not any(_state(pid) not in DEAD for pid in tree), GONE_SECONDS)

    async def stop(self, number: signal.Signals, seconds: float) -> bool:
        """Ask it to end; whether it did within `seconds`. If not it is killed."""
        self.send(number)
        if await holds(lambda: not self.lives, seconds):
            return True
        await self.kill()
        return False

    def cpu_seconds(self) -> float:
        """Time on a processor of the whole tree, as far as it lives; what ended meanwhile is missing."""
        return sum(map(_cpu, self._tree()))

    def _tree(self) -> list[int]:
        """The process and all its descendants, parents first."""
        if not self.lives:
            return []
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                children.setdefault(_parent(int(folder.name)), []).append(int(folder.name))
        tree = [self.pid]
        for pid in tree:
            tree += children.get(pid, [])
        return tree


async def holds(condition: Callable[[], bool], seconds: float, every: float = 0.02) -> bool:
    """Whether the condition comes true within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if condition():
            return True
        if time.monotonic() > end:
            return False
        await asyncio.sleep(every)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _status(pid: int) -> list[str]:
    """What `/proc/PID/stat` says after the name: state, parent, and so on; nothing for who is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return next(iter(_status(pid)), "")


def _parent(pid: int) -> int:
    status = _status(pid)
    return int(status[1]) if status else 0


def _cpu(pid: int) -> float:
    """From the kernel's scheduler, which counts in nanoseconds."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return 0.0
