"""An example as people read it: the curl command that makes the call, and JSON laid out for eyes."""

import json
import shlex
from typing import Any, Final

from bot.web.api.examples import EXAMPLES, Example
from bot.web.api.route import AnyRoute

WIDTH: Final = 110
"""Characters of a line of JSON, where it can be broken."""
STEP: Final = 2


def example_of(route: AnyRoute) -> Example | None:
    return EXAMPLES.get(f"{route.method} {route.path}")


def curl(route: AnyRoute, example: Example, prefix: str) -> str:
    """Ready for a shell that knows `DESK` (where the service is), `TOKEN` and, for calls that are done once, `KEY`."""
    parts = [
        f'curl {"" if route.method == "GET" else f"-X {route.method} "}"$DESK{prefix}{example.path}"',
        '-H "Authorization: Bearer $TOKEN"',
    ]
    if route.may_wait:
        parts.append('-H "Idempotency-Key: $KEY"')
    if example.body is not None:
        parts.append(f"-d {shlex.quote(laid_out(example.body))}")
    return " \\\n  ".join(parts)


def laid_out(value: Any, indent: int = 0) -> str:
    """On one line where it fits, else as many fields on a line as fit."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or indent + len(flat) <= WIDTH:
        return flat
    inside = indent + STEP
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {laid_out(item, inside)}" for name, item in value.items()]
    else:
        parts = [laid_out(item, inside) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    pad = "\n" + " " * inside
    return f"{begin}{pad}{f',{pad}'.join(_filled(parts, WIDTH - inside))}\n{' ' * indent}{end}"


def _filled(parts: list[str], width: int) -> list[str]:
    """Short neighbours share a line."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}, {part}" if lines else ""
        if lines and "\n" not in joined and len(joined) < width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
