"""Batches of values as arguments of one statement, which makes rows of them again.

Narrow rows go as one array for each field. Wide ones go as JSON: encoding twenty arrays costs the service several times
as much as one text, and PostgreSQL no less.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from bot.ports.failures import Unacceptable

_encoder: Final = msgspec.json.Encoder()


def columns(*fields: str) -> Callable[[Sequence[Any]], Sequence[Sequence[Any]]]:
    """A function that takes values apart into one sequence for each of two or more `fields`, in their order."""
    take = attrgetter(*fields)
    empty: Sequence[Sequence[Any]] = ((),) * len(fields)

    def apart(rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return list(zip(*map(take, rows), strict=True)) if rows else empty

    return apart


def as_json(rows: Sequence[Any]) -> str:
    """The rows for `json_to_recordset`; bytes become base64. Raises `Unacceptable` for a text that is not Unicode."""
    try:
        return _encoder.encode(rows).decode()
    except (UnicodeEncodeError, OverflowError) as error:
        raise Unacceptable(f"not a value for a database: {type(error).__name__}") from error


def numbered(groups: Iterable[tuple[int, Sequence[Any]]]) -> tuple[Sequence[int], Sequence[Any]]:
    """All rows of the groups, and beside them the number of the group of each."""
    numbers: list[int] = []
    rows: list[Any] = []
    for number, group in groups:
        numbers += [number] * len(group)
        rows += group
    return numbers, rows
