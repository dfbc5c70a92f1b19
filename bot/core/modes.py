"""Who holds a conversation, and what moves it: one table. The drawing in `docs/architecture.md` is generated from it.

Only the holder speaks. What was asked for under an older holder is void when its outcome comes back.
"""

from collections.abc import Mapping
from typing import Literal

Mode = Literal["bot", "model", "queue", "agent", "closed"]
"""`bot`: flows. `model`: no flow is active, a model answers. `queue`: waits for a person. `agent`: a person has it."""

Move = Literal["message", "flow", "ask", "escalate", "assign", "return", "resolve", "expire"]
"""`message`: the customer writes; `flow`: a flow starts; `ask`: a model is asked; `expire`: idle for
`CONVERSATION_TIMEOUT`."""

TABLE: Mapping[tuple[Mode, Move], Mode] = {
    ("closed", "message"): "bot",
    ("closed", "escalate"): "queue",
    ("closed", "assign"): "agent",
    ("bot", "flow"): "bot",
    ("bot", "ask"): "model",
    ("bot", "escalate"): "queue",
    ("bot", "assign"): "agent",
    ("bot", "resolve"): "closed",
    ("bot", "expire"): "closed",
    ("model", "flow"): "bot",
    ("model", "ask"): "model",
    ("model", "escalate"): "queue",
    ("model", "assign"): "agent",
    ("model", "resolve"): "closed",
    ("model", "expire"): "closed",
    ("queue", "escalate"): "queue",
    ("queue", "assign"): "agent",
    ("queue", "return"): "bot",
    ("queue", "resolve"): "closed",
    ("agent", "escalate"): "queue",
    ("agent", "assign"): "agent",
    ("agent", "return"): "bot",
    ("agent", "resolve"): "closed",
}
"""A pair that is absent is refused. A conversation that waits for a person never expires."""


def moved(mode: Mode, move: Move) -> Mode | None:
    """The mode after `move`, or None when the table refuses it."""
    return TABLE.get((mode, move))


def held_by_person(mode: Mode) -> bool:
    return mode in {"queue", "agent"}


def drawing() -> str:
    """The table as a Mermaid state diagram, one edge for each pair of modes."""
    edges: dict[tuple[Mode, Mode], list[str]] = {}
    for (source, move), target in TABLE.items():
        edges.setdefault((source, target), []).append(move)
    lines = [f"    {source} --> {target}: {', '.join(moves)}" for (source, target), moves in edges.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> closed", *lines])
