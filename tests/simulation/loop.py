"""An event loop on simulated time whose handles belong to processes: one can be killed or stopped at any await.

Every task and every callback runs in a context, and the context names the process in which it was made. Each process
has a queue of its own: within it things run in the order in which they became ready, as asyncio and uvloop promise and
the runtime may rely on; which process runs next is drawn by the seed, because nothing orders two machines. When nobody
can run, time jumps to the next call that is due.

A process that is killed never runs again: its handles are dropped, also those that become ready later. One that is
paused (SIGSTOP) keeps them until it is resumed. Tasks of the dead stay referenced to the end, so that no `finally` of
theirs runs while the others live; `dispose` closes them when nothing can come of it any more.
"""

import asyncio
import contextlib
import heapq
import itertools
import random
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

STEPS_MOST = 50_000
"""Steps within one moment of simulated time: more is something that runs in circles."""


STEPS_ALL = 150_000
"""Steps of a whole run, many times what one needs."""


class Stuck(Exception):
    """Nothing will ever happen again, or something runs in circles without time passing."""


class Process:
    """What a handle belongs to. `doom` is the step after which the process is killed; -1: none is planned."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.ready: deque[asyncio.Handle] = deque()
        self.steps = 0
        self.doom = -1
        self.tasks: list[asyncio.Task[Any]] = []
        self.at_death: list[Callable[[], None]] = []
        self.at_call: dict[str, Callable[[], None]] = {}
        """What strikes at the instant in which the next call of this name takes effect."""
        self.context = Context()
        self.context.run(OWNER.set, self)

    def struck(self, call: str) -> None:
        """A call of this process takes effect."""
        strike = self.at_call.pop(call, None)
        if strike is not None and self.alive:
            strike()


OWNER: ContextVar[Process] = ContextVar("owner")


class SimulatedLoop(base_events.BaseEventLoop):
    """`outside` is the process of everything that is not a replica: networks, stores, customers, the hand of fate."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.outside = Process("outside")
        self.problems: list[str] = []
        self.steps = 0
        self._chance = chance
        self._elapsed = 0.0
        self._moment_steps = 0
        self._runnable: list[Process] = []
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []
        self._disposing = False
        self.set_exception_handler(self._note_problem)

    # --- processes ---------------------------------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        """From this instant nothing of `process` runs any more."""
        process.alive = False
        process.ready.clear()
        if process in self._runnable:
            self._runnable.remove(process)
        for told in process.at_death:
            told()
        process.at_death.clear()

    def pause(self, process: Process) -> None:
        process.paused = True
        if process in self._runnable:
            self._runnable.remove(process)

    def resume(self, process: Process) -> None:
        process.paused = False
        if process.ready and process.alive:
            self._runnable.append(process)

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Begin `work` inside `process`."""
        return process.context.copy().run(self.create_task, work, name=name)

    def begin(self, process: Process, work: Coroutine[Any, Any, Any], name: str) -> None:
        """As `spawn`, for work that nobody waits for: if it fails, that is a problem of the run."""
        _ = self.spawn(process, work, name)

    # --- what asyncio calls ------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._elapsed

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.append(task)
        return task

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context or copy_context())
        heapq.heappush(self._due, (when, next(self._numbers), handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._elapsed + max(0.0, delay), callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """There are no threads here: the work is done at once, its result comes like any other."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            done.set_exception(error)
        return done

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled handle is skipped when its time comes."""

    def _process_events(self, event_list: Any) -> None:
        """There are no descriptors."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""

    def _run_once(self) -> None:
        while not self._runnable:
            self._let_time_pass()
        count = len(self._runnable)
        place = int(self._chance.random() * count) if count > 1 else 0
        process = self._runnable[place]
        handle = process.ready.popleft()
        if not process.ready:
            self._runnable[place] = self._runnable[-1]
            self._runnable.pop()
        if handle.cancelled():
            return
        self._count(process)
        handle._run()
        if process.steps == process.doom and process.alive:
            self.kill(process)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _count(self, process: Process) -> None:
        process.steps += 1
        self.steps += 1
        self._moment_steps += 1
        if self._moment_steps > STEPS_MOST:
            raise Stuck(f"{process.name} runs in circles without waiting")
        if self.steps > STEPS_ALL:
            raise Stuck("there is always something more to do")

    def _enqueue(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(OWNER, self.outside)  # type: ignore[attr-defined]
        if self._disposing or not process.alive:
            return
        if not process.ready and not process.paused:
            self._runnable.append(process)
        process.ready.append(handle)

    def _let_time_pass(self) -> None:
        while self._due:
            when, _, handle = heapq.heappop(self._due)
            if handle.cancelled():
                continue
            if when > self._elapsed:
                self._elapsed, self._moment_steps = when, 0
            self._enqueue(handle)
            if self._runnable:
                return
        raise Stuck("nothing will ever happen again")

    def _note_problem(self, _: Any, context: dict[str, Any]) -> None:
        if self._disposing:
            return  # what a dead process was about to look at is nobody's any more
        error = context.get("exception")
        self.problems.append(f"{context.get('message')}: {error!r}")

    def dispose(self) -> None:
        """Let go of every task there ever was; the failures nobody looked at are problems."""
        self._disposing = True
        for task in self._tasks:
            if not task.done():
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
            elif not task.cancelled() and task._log_traceback:
                self.problems.append(f"the task {task.get_name()} failed: {task.exception()!r}")
        self._tasks.clear()
        self._due.clear()
        self.close()
