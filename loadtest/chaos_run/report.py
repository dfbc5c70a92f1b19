"""The figures of a run, as text for a reader and as a document for a machine."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from loadtest.chaos_run.count import reply_to
from loadtest.chaos_run.faults import Done
from loadtest.chaos_run.play import Run
from loadtest.chaos_run.schedule import KINDS

AFTERMATH_LEASES: Final = 1.0
"""Leases for which a fault goes on to be felt: claims of the dead run out, seats become free."""


class Wait(msgspec.Struct, frozen=True):
    """One message: tried, acknowledged, answered (unix seconds; 0: never)."""

    tried: float
    acked: float
    answered: float

    @property
    def reply(self) -> float:
        """Seconds from the acknowledgement; an answer may overtake it when the webhook had to be repeated."""
        return max(0.0, self.answered - self.acked)


class Latency(msgspec.Struct, frozen=True):
    """Seconds."""

    count: int
    p50: float
    p99: float
    most: float


class Kind(msgspec.Struct, frozen=True):
    """What a kind of fault did to the messages that were under way during it, whatever else went on. `went_on`: the
    longest that a customer whose message was acknowledged by its end still waited from the fault on, or from the
    acknowledgement if that was later; of the faults that stood `alone`.
    """

    kind: str
    times: int
    seconds: float
    ack: Latency
    reply: Latency
    went_on: float
    alone: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    messages: int
    acknowledged: int
    answered: int
    rate: float
    repeated: int
    attempts: dict[str, int]
    ack: Latency
    ack_quiet: Latency
    reply: Latency
    reply_quiet: Latency
    kinds: list[Kind]
    lives: dict[str, int]
    counters: dict[str, float]
    doubles: int
    uncertain: int
    unseen: int
    rested: float


def figures(run: Run) -> Figures:
    """Everything that is reported but the broken promises."""
    waits = _waits(run)
    acked = [wait for wait in waits if wait.acked]
    reach = AFTERMATH_LEASES * run.plan.lease
    quiet = [wait for wait in acked if not any(_meets(wait, done, reach) for done in run.done)]
    counters: Counter[str] = Counter()
    for life in run.lives:
        counters.update(life.counts)
    return Figures(
        messages=len(waits),
        acknowledged=run.verdict.acknowledged,
        answered=run.verdict.answered,
        rate=len(waits) / run.plan.seconds,
        repeated=run.repeated,
        attempts=run.attempts,
        ack=latency(wait.acked - wait.tried for wait in acked),
        ack_quiet=latency(wait.acked - wait.tried for wait in quiet),
        reply=latency(wait.reply for wait in acked if wait.answered),
        reply_quiet=latency(wait.reply for wait in quiet if wait.answered),
        kinds=[_kind(kind, run.done, acked, reach) for kind in KINDS if any(done.kind == kind for done in run.done)],
        lives=dict(Counter(life.how or "lives" for life in run.lives)),
        counters=dict(counters),
        doubles=run.verdict.doubles,
        uncertain=run.verdict.counted,
        unseen=run.verdict.unseen,
        rested=run.rested,
    )


def latency(seconds: Iterable[float]) -> Latency:
    values = sorted(seconds)
    if len(values) < 2:
        return Latency(len(values), *(values * 3 or (0.0, 0.0, 0.0)))
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    return Latency(len(values), hundredths[49], hundredths[98], values[-1])


def document(run: Run) -> dict[str, Any]:
    """The run without its messages, for `--json`."""
    return {
        "plan": msgspec.to_builtins(run.plan),
        "figures": msgspec.to_builtins(figures(run)),
        "faults": [
            {**msgspec.to_builtins(done), "began": done.began - run.began, "ended": done.ended - run.began}
            for done in run.done
        ],
        "broken": [msgspec.to_builtins(one) for one in run.broken],
    }


def history(run: Run) -> dict[str, Any]:
    """Everything that was written and everything that reached the provider, to look for what went wrong."""
    return {
        "faults": msgspec.to_builtins(run.done),
        "lives": msgspec.to_builtins(run.lives),
        "asked": msgspec.to_builtins(run.asked),
        "arrived": msgspec.to_builtins(run.arrived),
    }


def text(run: Run) -> str:
    """For a reader."""
    found, plan = figures(run), run.plan
    lines = [
        f"{plan.replicas} replicas, {plan.customers} customers, {plan.seconds:.0f} s, seed {plan.seed}, "
        f"lease {plan.lease:g} s",
        f"messages written       {found.messages} ({found.rate:.1f} a second)",
        f"acknowledged           {found.acknowledged}",
        f"answered exactly once  {found.answered}",
        f"webhooks               {_listed(found.attempts)}; {found.repeated} of them repeated what was acknowledged",
        f"processes              {_listed(found.lives)}",
        f"sent twice             {found.doubles}; counted as uncertain {found.uncertain}, "
        f"in moments nobody could look {found.unseen}",
        f"at rest                {found.rested:.1f} s after the end of the traffic",
        f"counted by replicas    {_listed(found.counters)}",
        "",
        f"{'':18}{'times':>6}{'seconds':>9}   {'acknowledged after (p50, p99, most)':38}"
        f"{'answered after (p50, p99, most)':38}{'went on after':>14}",
        f"{'all':18}{'':15}   {_shown(found.ack):38}{_shown(found.reply):38}",
        f"{'without a fault':18}{'':15}   {_shown(found.ack_quiet):38}{_shown(found.reply_quiet):38}",
    ]
    lines += [
        f"{kind.kind:18}{kind.times:6}{kind.seconds:9.1f}   {_shown(kind.ack):38}{_shown(kind.reply):38}"
        f"{_went_on(kind)}"
        for kind in found.kinds
    ]
    return "\n".join([*lines, "", *_verdict(run)])


def _went_on(kind: Kind) -> str:
    return f"{kind.went_on:12.1f} s (of {kind.alone})" if kind.alone else f"{'-':>12}"


def _verdict(run: Run) -> list[str]:
    if not run.broken:
        return ["Every promise was kept."]
    lines = []
    for broken in run.broken:
        lines += [f"BROKEN: {broken.count} x {broken.promise}", *(f"  {case}" for case in broken.cases)]
    return lines


def _waits(run: Run) -> list[Wait]:
    first: dict[tuple[str, str], float] = {}
    for reply in run.arrived:
        first.setdefault((reply.phone, reply.text), reply.at)
    return [Wait(one.tried, one.acked, first.get((one.phone, reply_to(one)), 0.0)) for one in run.asked]


def _kind(kind: str, done: Sequence[Done], waits: Sequence[Wait], reach: float) -> Kind:
    mine = [one for one in done if one.kind == kind]
    met = [wait for wait in waits if any(_meets(wait, one, 0.0) for one in mine)]
    alone = [one for one in mine if not any(_felt(other, one, reach) for other in done if other is not one)]
    went_on = [
        wait.answered - max(wait.acked, one.began)
        for one in alone
        for wait in met
        if wait.acked <= one.ended and wait.answered > one.began
    ]
    return Kind(
        kind,
        len(mine),
        sum(one.ended - one.began for one in mine),
        latency(wait.acked - wait.tried for wait in met),
        latency(wait.reply for wait in met if wait.answered),
        max(went_on, default=0.0),
        len(alone),
    )


def _felt(other: Done, one: Done, reach: float) -> bool:
    """Whether another fault may be felt while customers wait for the end of this one."""
    return other.began <= one.ended + reach and other.ended + reach >= one.began


def _meets(wait: Wait, done: Done, reach: float) -> bool:
    """Whether the message was under way at any moment of the fault, or of the `reach` seconds after it."""
    return wait.tried <= done.ended + reach and max(wait.acked, wait.answered) >= done.began


def _shown(found: Latency) -> str:
    return f"{found.p50 * 1000:7.0f} ms {found.p99 * 1000:8.0f} ms {found.most * 1000:8.0f} ms"


def _listed(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:.0f}" for name, count in sorted(counts.items())) or "none"
