"""The security page tells of every column in which something could be read."""

import re
from pathlib import Path

import asyncpg

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
COLUMN = re.compile(r"`(\w+\.\w+)`")
READABLE = """
select table_name || '.' || column_name from information_schema.columns
where table_schema = 'public' and data_type in ('bytea', 'text', 'ARRAY', 'json', 'jsonb', 'character varying')
  and (data_type <> 'ARRAY' or udt_name in ('_bytea', '_text'))
"""


def told() -> list[str]:
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition("<!-- columns -->\n")
    table, end, _ = rest.partition("<!-- /columns -->")
    assert begin, "the page has lost its table of columns"
    assert end, "the table of columns has no end"
    return COLUMN.findall(table)


async def test_every_column_that_holds_text_or_bytes_is_told_of_once(pool: asyncpg.Pool) -> None:
    columns = {row[0] for row in await pool.fetch(READABLE)}
    named = told()
    assert columns - set(named) == set(), "say in docs/security.md what these hold, and whether they are sealed"
    assert set(named) - columns == set(), "these are gone"
    assert len(named) == len(set(named))
