"""The figures of a run for a reader, and the lines that hold the memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtest.chaos_run.process import ROOT

LINES_SHOWN: Final = 30


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the service held when it had `begun`, with the `first` conversations, and with `conversations` more; bytes
    of resident memory.
    """

    first: int
    conversations: int
    begun: int
    before: int
    after: int

    @property
    def more(self) -> float:
        """Bytes for one of those that came later; what was free by then has been used again."""
        return (self.after - self.before) / self.conversations

    @property
    def each(self) -> float:
        """Bytes for one of all, with everything that the service holds since its start."""
        return (self.after - self.begun) / (self.first + self.conversations)


class Line(msgspec.Struct, frozen=True):
    """A line of the source, the bytes of what it made and that still lives, and the number of pieces."""

    where: str
    bytes: int
    pieces: int


def told(held: Held, bound: float) -> str:
    """`bound`: bytes for a conversation."""
    verdict = "kept" if held.each <= bound else "MISSED"
    return (
        f"resident: {held.begun / 2**20:.1f} MiB at the start, {held.before / 2**20:.1f} with {held.first} idle "
        f"conversations, {held.after / 2**20:.1f} with {held.conversations} more.\n"
        f"A conversation: {held.each:.0f} bytes of all since the start, {held.more:.0f} for one more; "
        f"bound {bound:.0f}: {verdict}"
    )


def lines(trace: Path) -> dict[str, Line]:
    """What `inside/sitecustomize.py` wrote, by place."""
    found = {}
    for text in trace.read_text().splitlines():
        size, count, where = text.split(" ", 2)
        where = where.removeprefix(f"{ROOT}/")
        found[where] = Line(where, int(size), int(count))
    return found


def grown(before: dict[str, Line], after: dict[str, Line], conversations: int) -> list[str]:
    """The lines that hold more than before, the heaviest first, in bytes and pieces for a conversation."""
    nothing = Line("", 0, 0)
    rows: Sequence[tuple[float, float, str]] = [
        (
            (one.bytes - before.get(where, nothing).bytes) / conversations,
            (one.pieces - before.get(where, nothing).pieces) / conversations,
            where,
        )
        for where, one in after.items()
    ]
    total = sum(row[0] for row in rows)
    most = sorted(rows, reverse=True)[:LINES_SHOWN]
    return [f"traced: {total:.0f} bytes each", *(f"{size:9.0f} {pieces:7.2f}  {where}" for size, pieces, where in most)]
