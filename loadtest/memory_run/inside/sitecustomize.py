"""Read by the measured process when it starts: on SIGUSR1 it writes down which lines hold its memory.

`loadtest.memory --traced` puts this folder first in `PYTHONPATH` and switches `tracemalloc` on; the service itself
knows nothing of it. The file that `MEMORY_TRACE` names gets a line for each place: bytes, pieces, where.
"""

import gc
import os
import signal
import tracemalloc
from pathlib import Path


def _write(*_: object) -> None:
    gc.collect()
    found = tracemalloc.take_snapshot().statistics("lineno")
    lines = [f"{one.size} {one.count} {one.traceback[0].filename}:{one.traceback[0].lineno}" for one in found]
    target = Path(os.environ["MEMORY_TRACE"])
    draft = target.with_suffix(".draft")
    draft.write_text("\n".join(lines))
    draft.rename(target)


signal.signal(signal.SIGUSR1, _write)
