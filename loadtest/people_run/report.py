"""The figures of a run, as text for a reader and as a document for a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import orjson

from loadtest.people_run.count import Verdict
from loadtest.people_run.said import Story
from loadtest.people_run.talk import Kind

KEPT: Final = "Every promise was kept."


class Spread(msgspec.Struct, frozen=True):
    """Of `count` durations in seconds: percentiles by nearest rank, and the longest."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Rates (messages a second), latencies, `late` and `busy` are of the time in which all customers were there.

    `late`: how late the load generator came to what it had planned; `busy`: its share of a processor.
    """

    people: int
    seconds: float
    said: int
    acknowledged: int
    rate: float
    replies: int
    reply_rate: float
    wanted: int
    came: int
    unanswered: int
    apologies: int
    repeats: int
    uncertain: int
    repeated: int
    refused: int
    compared: int
    ack: Spread
    ends: dict[str, Spread]
    late: Spread
    busy: float


def figures(story: Story, verdict: Verdict) -> Figures:
    """Everything that is reported but the broken promises."""
    said = [one for one in story.said if story.counts(one.sent)]
    waits = [one for one in verdict.waits if story.counts(one.said)]
    acks = [one.ack_seconds for one in said if one.acked and one.kind != "agent"]
    ends = {kind: spread([one.seconds for one in waits if one.kind == kind]) for kind in get_args(Kind)}
    return Figures(
        people=len({one.phone for one in story.said}),
        seconds=story.seconds,
        said=len(story.said),
        acknowledged=verdict.acknowledged,
        rate=len(said) / story.seconds,
        replies=len(story.heard),
        reply_rate=sum(story.counts(one.at) for one in story.heard) / story.seconds,
        wanted=verdict.wanted,
        came=verdict.came,
        unanswered=verdict.unanswered,
        apologies=verdict.apologies,
        repeats=verdict.repeats,
        uncertain=story.uncertain,
        repeated=story.repeated,
        refused=story.refused,
        compared=story.compared,
        ack=spread(acks),
        ends=ends,
        late=spread(story.late),
        busy=story.busy,
    )


def spread(seconds: Sequence[float]) -> Spread:
    values = sorted(seconds)
    if not values:
        return Spread(0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (values[max(0, -(-len(values) * percent // 100) - 1)] for percent in (50, 95, 99))
    return Spread(len(values), p50, p95, p99, values[-1])


def text(found: Figures, verdict: Verdict) -> str:
    """For a reader."""
    lines = [
        f"{found.people} customers took part; rates and times are of the {found.seconds:.0f} s with all at once",
        f"messages said           {found.said} ({found.rate:.1f} a second), acknowledged {found.acknowledged}",
        f"replies wanted          {found.wanted}; came exactly once {found.came}; "
        f"messages without an answer {found.unanswered}; apologies {found.apologies}",
        f"taken by the provider   {found.replies} ({found.reply_rate:.1f} a second); sent twice {found.repeats}, "
        f"counted as uncertain {found.uncertain}",
        f"webhooks                {found.repeated} delivered twice on purpose, {found.refused} refused or broken",
        f"transcripts compared    {found.compared}",
        "",
        f"{'':24}{'number':>8}{'p50':>12}{'p95':>12}{'p99':>12}{'most':>12}",
        _row("acknowledged after", found.ack),
        *(_row(f"answered after, {kind}", one) for kind, one in found.ends.items() if one.count),
        _row("load generator late by", found.late),
        f"the load generator used {found.busy:.0%} of a processor",
        "",
    ]
    return "\n".join([*lines, *told(verdict)])


def told(verdict: Verdict) -> list[str]:
    """The promises: that all were kept, or each that was not with its first cases."""
    if not verdict.broken:
        return [KEPT]
    lines = []
    for broken in verdict.broken:
        lines += [f"BROKEN: {broken.count} x {broken.promise}", *(f"  {case}" for case in broken.cases)]
    return lines


def document(found: Figures, verdict: Verdict) -> dict[str, Any]:
    """The figures and what was broken, for `--json`."""
    return {"figures": msgspec.to_builtins(found), "broken": msgspec.to_builtins(verdict.broken)}


def write(path: str | None, shown: dict[str, Any]) -> None:
    """Keep a document, if a file is named for it."""
    if path:
        Path(path).write_bytes(orjson.dumps(shown, option=orjson.OPT_INDENT_2))


def _row(name: str, one: Spread) -> str:
    cells = "".join(f"{value * 1000:9.1f} ms" for value in (one.p50, one.p95, one.p99, one.most))
    return f"{name:24}{one.count:8}{cells}"
