"""Replicas of the service as processes with lives, and what each life counted before it ended."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from loadtest.chaos_run.process import Process

SCRAPE_SECONDS: Final = 0.5
SCRAPE_PATIENCE: Final = 1.0
LAST_SCRAPE_PATIENCE: Final = 0.3
"""Seconds the look right before a kill may take."""
RESTART_SECONDS: Final = 1.0
"""Seconds after which a process that ended by itself is started again, as an orchestrator does."""
STOP_SECONDS: Final = 30.0
COUNTED: Final = (
    "bot_uncertain_sends_total",
    "bot_duplicates_total",
    "bot_stale_commits_total",
    "bot_hints_total",
    "bot_swept_total",
    "bot_spooled_total",
    "bot_spool_drained_total",
    "bot_webhook_refused_total",
    "bot_sweep_failures_total",
    "bot_store_errors_total",
    "bot_step_failures_total",
)


class Counted(msgspec.Struct, frozen=True):
    """So many uncertain sends were counted between two looks, unix seconds."""

    after: float
    until: float
    sends: int


class Life(msgspec.Struct):
    """One process. Times in unix seconds; `ended` 0: it lives. `counts` is what it had counted at `scraped`, and
    `uncertain` when it did so for the sends that may be repeated.
    """

    replica: int
    began: float
    ready: float = 0.0
    ended: float = 0.0
    how: str = ""
    scraped: float = 0.0
    counts: dict[str, float] = {}
    uncertain: list[Counted] = []

    def look(self, asked: float, answered: float, counts: dict[str, float]) -> None:
        """Keep what its counters said, and what is new since the last look."""
        name = "bot_uncertain_sends_total"
        news = round(counts.get(name, 0.0) - self.counts.get(name, 0.0))
        if news:
            self.uncertain.append(Counted(max(self.scraped, self.began), answered, news))
        self.scraped, self.counts = asked, counts


class Replica:
    def __init__(
        self, index: int, port: int, environment: Mapping[str, str], folder: Path, session: aiohttp.ClientSession
    ) -> None:
        self.index = index
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.lives: list[Life] = []
        self.process = Process(
            f"replica {index}",
            [sys.executable, "-m", "bot", "serve"],
            folder / f"replica-{index}.log",
            environment={**environment, "PORT": str(port), "REPLICA_ID": f"replica-{index}"},
        )
        self._session = session
        self._wanted = False

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def launch(self) -> None:
        self._wanted = True
        self.lives.append(Life(self.index, time.time()))
        self.process.launch()

    async def kill(self) -> None:
        """SIGKILL, right after a last look at what it counted."""
        self._wanted = False
        if self.process.lives:
            await self.scrape(LAST_SCRAPE_PATIENCE)
            await self.process.kill()
            self._end("killed")

    async def terminate(self) -> bool:
        """SIGTERM, and wait; whether it ended in time and with success."""
        self._wanted = False
        if not self.process.lives:
            return True
        stopped = await self.process.stop(signal.SIGTERM, STOP_SECONDS) and self.process.code == 0
        self._end("stopped" if stopped else "did not stop")
        return stopped

    async def stands(self, seconds: float) -> bool:
        """Whether it takes webhooks within `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if await self._ready():
                self.life.ready = self.life.ready or time.time()
                return True
            await asyncio.sleep(0.05)
        return False

    async def watch(self, tell: Callable[[str], None]) -> None:
        """Until cancelled: look at what it counts, and start it again when it has ended by itself."""
        while True:
            await asyncio.sleep(SCRAPE_SECONDS)
            if self._wanted and not self.process.lives:
                how = "failed to start" if not self.life.scraped else "died by itself"
                self._end(f"{how}, code {self.process.code}")
                tell(f"replica {self.index} {self.life.how}")
                await asyncio.sleep(RESTART_SECONDS)
                self._relaunch()
            elif self.process.lives:
                await self.scrape(SCRAPE_PATIENCE)

    async def scrape(self, patience: float) -> None:
        """Keep what its counters say, if it answers in time."""
        life, asked = self.life, time.time()
        try:
            async with self._session.get(f"{self.url}/metrics", timeout=aiohttp.ClientTimeout(patience)) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return
        if not life.ended:
            life.look(asked, time.time(), sums(text))

    def _relaunch(self) -> None:
        """Unless a fault did meanwhile, or wants it dead."""
        if self._wanted and not self.process.lives:
            self.launch()

    def _end(self, how: str) -> None:
        self.life.ended, self.life.how = time.time(), how

    async def _ready(self) -> bool:
        try:
            async with self._session.get(f"{self.url}/ready", timeout=aiohttp.ClientTimeout(3.0)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def sums(text: str) -> dict[str, float]:
    """The sum over all series of each metric that is of interest, from Prometheus's text."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name = line.split("{")[0].split(" ")[0]
        if name in COUNTED:
            found[name] = found.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return found
