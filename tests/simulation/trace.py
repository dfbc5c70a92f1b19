"""What happened, in order: a digest that two runs of one seed must share, and the lines when somebody wants to read."""

import sys
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b


class Trace:
    """`now` gives simulated seconds. `counts` says how often each kind of thing happened; `faults`: what fate did."""

    def __init__(self, now: Callable[[], float], *, printing: bool = False) -> None:
        self._now = now
        self._digest = blake2b(digest_size=8)
        self._printing = printing
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.lines: list[str] = []

    def note(self, kind: str, text: str = "") -> None:
        """Something happened: it is counted under `kind`, and its line is part of the digest."""
        self.counts[kind] += 1
        line = f"{self._now():10.4f} {kind}: {text}"
        self._digest.update(line.encode())
        self.lines.append(line)
        if self._printing:
            sys.stdout.write(f"{line}\n")

    def fault(self, kind: str, text: str = "") -> None:
        """Fate struck."""
        self.faults[kind] += 1
        self.note(kind, text)

    def detail(self, text: str) -> None:
        """Something for readers only."""
        if self._printing:
            sys.stdout.write(f"{self._now():10.4f}     {text}\n")

    def digest(self) -> str:
        return self._digest.hexdigest()
