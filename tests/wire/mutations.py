"""Documents that went wrong on their way: real ones with parts deleted, doubled, renamed, wrapped, swapped, nonsense.

Values are a little more than JSON: an object is a list of pairs, so that a key may stand twice; `Raw` is written as it
is; what was JSON in a string is opened to a `Quoted`, so that mutations reach into it, and is closed again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st


class Raw(msgspec.Struct, frozen=True):
    """Characters that stand in the body as they are."""

    token: str


class Quoted(msgspec.Struct):
    """JSON in a string."""

    inside: Any


class Pairs(msgspec.Struct):
    """An object, a key of which may stand twice."""

    items: list[list[Any]]


def opened(value: Any) -> Any:
    """A JSON value in the form that can be mutated."""
    if isinstance(value, dict):
        return Pairs([[key, opened(inside)] for key, inside in value.items()])
    if isinstance(value, list):
        return [opened(inside) for inside in value]
    return _unquoted(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


def _unquoted(text: str) -> Any:
    try:
        return Quoted(opened(json.loads(text)))
    except ValueError:
        return text


def written(value: Any) -> str:
    """The body."""
    match value:
        case Raw(token):
            return token
        case Quoted(inside):
            return json.dumps(written(inside))
        case Pairs(items):
            return "{" + ",".join(f"{json.dumps(key)}:{written(inside)}" for key, inside in items) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def places(value: Any) -> Iterator[tuple[list[Any], int]]:
    """Where a value stands: the list that holds it and its index there."""
    match value:
        case Quoted(inside):
            yield from places(inside)
        case Pairs(items):
            for item in items:
                yield item, 1
                yield from places(item[1])
        case list():
            for index, inside in enumerate(value):
                yield value, index
                yield from places(inside)
        case _:
            return


def objects(value: Any) -> Iterator[Pairs]:
    found = [value, *(holder[index] for holder, index in places(value))]
    for one in found:
        inside = one.inside if isinstance(one, Quoted) else one
        if isinstance(inside, Pairs) and inside.items:
            yield inside


NONSENSE = (
    *("null", "true", "-0", "1e400", "-1e400", "NaN", "Infinity", "9223372036854775808", "1.5", "-1", "9" * 5000),
    *('""', '" "', "[]", "{}", "[[]]", '"[]"', '"{"', '"[{}]"', '"null"', '"{\\"a\\":1}"', '"' + "x" * 5000 + '"'),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"\\u202e"',
        '"\\ufeff"',
        '"a\nb"',
        '"\x7f"',
        "\ufffe",
        "undefined",
    ),
    *("[" * 2000 + "]" * 2000, '{"data":' * 60 + "[]" + "}" * 60, "[" * 60 + "{}" + "]" * 60, '"' + "[" * 3000 + '"'),
    *(
        '"2024-05-01T02:16:43+05:30"',
        '"9999-99-99"',
        "1e18",
        '"1714510003000"',
        '"0"',
        '"919000000002"',
        "919000000002",
    ),
    *('"IN.2600000000000001"', '"wamid.OUT"', '"919000000001"', '"{name} {{phone}}"', '"STOP"', '"menu"', '"1"'),
)
NAMES = (
    "messages",
    "text",
    "from",
    "data",
    "entry",
    "statuses",
    "status",
    "uuid",
    "contacts",
    "type",
    "",
    "\ud800",
    "a",
)


def bodies_in(folder: Path) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


@st.composite
def mutated(
    draw: st.DrawFn, bodies: list[Any], nonsense: tuple[str, ...] = NONSENSE, names: tuple[str, ...] = NAMES
) -> str:
    """One of `bodies`, with a few things wrong, written as JSON but for what is put in out of `nonsense`."""
    body = [opened(draw(st.sampled_from(bodies)))]
    for _ in range(draw(st.integers(1, 5))):
        other = opened(draw(st.sampled_from(bodies)))
        _mutate(draw, body, other, st.sampled_from(nonsense).map(Raw), st.sampled_from(names))
    return written(body[0])


def _mutate(
    draw: st.DrawFn, body: list[Any], other: Any, nonsense: st.SearchStrategy[Raw], names: st.SearchStrategy[str]
) -> None:
    holder, index = draw(st.sampled_from(list(places(body))))
    among = list(objects(body)) or [Pairs([["a", 1]])]
    pairs = draw(st.sampled_from(among)).items
    match draw(st.sampled_from(("delete", "double", "rename", "replace", "quote", "wrap", "data", "swap", "say"))):
        case "delete":
            pairs.pop(draw(st.integers(0, len(pairs) - 1)))
        case "double":
            pairs.append([draw(st.sampled_from(pairs))[0], draw(nonsense)])
        case "rename":
            draw(st.sampled_from(pairs))[0] = draw(names | st.text(max_size=5))
        case "replace":
            holder[index] = draw(nonsense)
        case "quote":
            holder[index] = Quoted(holder[index])
        case "wrap":
            holder[index] = [holder[index]] * draw(st.integers(0, 3))
        case "data":
            holder[index] = Pairs([["data", holder[index]]])
        case "swap":
            holder[index] = draw(st.sampled_from([there[place] for there, place in places(other)]))
        case _:
            holder[index] = draw(st.text(max_size=20))
