"""What a statement of `sql/queries` does on a filled database, as the service would plan it: once, for any arguments.

A statement is prepared, and `explain (analyze, buffers)` runs it with the arguments of a case, in a transaction that is
rolled back. Its plan breaks the rule when it scans a large table from end to end, or when its scans together read more
rows than the case allows: that catches a sort of all rows and an index that is read whole.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

CASES: Final = Path(__file__).parent / "cases.yaml"
WAITING: Final = Path(__file__).parent / "waiting.sql"
SMALL: Final = frozenset(
    {
        "schema_migrations",
        "keyring",
        "replicas",
        "parked",
        "flow_versions",
        "looks",
        "message_days",
        "api_tokens",
        "webhook_endpoints",
        "erasures",
    }
)
"""Tables that stay small whatever is stored; every other one counts as large."""
ROWS: Final = 1_000
"""Rows that a statement may read unless its case says otherwise."""
_SCANS: Final = frozenset({"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan"})
_BY_INDEX: Final = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})

_DEFINES: Final = re.compile(r"^create ", re.MULTILINE)
"""A statement that makes a table has no plan."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`with_`: an SQL expression for each argument, evaluated beforehand.

    The scans may read `rows`, and as many more as there are messages in `days` days.
    """

    what: str
    with_: tuple[str, ...] = msgspec.field(name="with", default=())
    rows: int = ROWS
    days: float = 0.0


Node = Mapping[str, Any]
Entry = Sequence[Case] | Literal["planned", "offline"]
"""`planned`: the plan alone is looked at, because the arguments are made by the service and nothing else. `offline`: it
reads everything on purpose, in a command that nobody waits for.
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` and `rows` are 0 of a statement that was only planned; `buffers` are pages of 8 KiB."""

    statement: str
    what: str
    plan: str
    rows: int = 0
    buffers: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


def load_cases(file: Path = CASES) -> Mapping[str, Entry]:
    """What is to be tried, by statement. Raises `msgspec.ValidationError`."""
    import yaml

    return msgspec.convert(yaml.safe_load(file.read_text()), dict[str, list[Case] | Literal["planned", "offline"]])


@asynccontextmanager
async def busy(connection: Any) -> AsyncIterator[None]:
    """Inside, things wait as `waiting.sql` says; afterwards all is as it was."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(WAITING.read_text(), timeout=None)
        yield
    finally:
        await transaction.rollback()


async def examine(
    connection: Any, name: str, statement: str, entry: Entry, *, rows_a_day: int = 0
) -> Sequence[Finding]:
    """A finding for each case, or one of the plan alone. The connection is one of `bot.adapters.postgres.pool`.

    `rows_a_day`: messages of a day of the database.
    """
    if entry == "offline" or _DEFINES.search(statement):
        return []
    types = [type_.name for type_ in (await connection.prepare(statement)).get_parameters()]
    await connection.execute(f"prepare examined as {statement}")
    try:
        if entry == "planned":
            return [await _planned(connection, name, len(types))]
        return [await _run(connection, name, types, case, rows_a_day) for case in entry]
    finally:
        await connection.execute("deallocate examined")


async def _run(connection: Any, name: str, types: Sequence[str], case: Case, rows_a_day: int) -> Finding:
    arguments = [await _literal(connection, given, type_) for given, type_ in zip(case.with_, types, strict=True)]
    transaction = connection.transaction()
    await transaction.start()
    try:
        plan = await _explained(connection, "analyze, buffers, format json", arguments)
    finally:
        await transaction.rollback()
    nodes = list(_nodes(plan["Plan"]))
    rows = sum(_rows_read(node) for node in nodes)
    allowed = case.rows + round(case.days * rows_a_day)
    problems = [*_scanned_whole(nodes), *([f"reads {rows} rows, allowed {allowed}"] if rows > allowed else [])]
    return Finding(
        statement=name,
        what=case.what,
        plan=_shown(nodes),
        rows=rows,
        buffers=plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"],
        seconds=plan["Execution Time"] / 1000,
        problems=tuple(problems),
    )


async def _planned(connection: Any, name: str, parameters: int) -> Finding:
    plan = await _explained(connection, "format json", ["null"] * parameters)
    nodes = list(_nodes(plan["Plan"]))
    partial = {row["name"] for row in await connection.fetch(PARTIAL)}
    whole = [
        f"reads the index {node['Index Name']} whole"
        for node in nodes
        if node["Node Type"] in _BY_INDEX
        and "Index Cond" not in node
        and node["Index Name"] not in partial
        and node.get("Relation Name") not in SMALL
    ]
    return Finding(statement=name, what="planned", plan=_shown(nodes), problems=(*_scanned_whole(nodes), *whole))


PARTIAL = "select indexrelid::regclass::text as name from pg_index where indpred is not null"


async def _explained(connection: Any, options: str, arguments: Sequence[str]) -> Any:
    given = f"({', '.join(arguments)})" if arguments else ""
    return json.loads(await connection.fetchval(f"explain ({options}) execute examined{given}", timeout=None))[0]


async def _literal(connection: Any, expression: str, type_: str) -> str:
    literal: str = await connection.fetchval(f"select quote_nullable(({expression})::{type_}::text)", timeout=None)
    return literal


def _nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _scanned_whole(nodes: Sequence[Node]) -> list[str]:
    return [
        f"scans {node['Relation Name']} from end to end"
        for node in nodes
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL
    ]


def _rows_read(node: Node) -> int:
    if node["Node Type"] not in _SCANS:
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    read: float = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return round(read)


def _shown(nodes: Sequence[Node]) -> str:
    """What the plan reads, in short: each index or table once, in order of the plan."""
    read = [node.get("Index Name") or node.get("Relation Name", "") for node in nodes if node["Node Type"] in _SCANS]
    sorts = ["sort"] if any(node["Node Type"] == "Sort" for node in nodes) else []
    return re.sub(r"\s+", " ", " ".join([*dict.fromkeys(filter(None, read)), *sorts]))
