"""Values of every kind a type allows: each struct of a union, each word of a literal, each field once filled.

A struct has as many samples as its most varied field, the others take turns. So a new kind, word or field gives a new
sample without anybody writing one.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)


def samples(kind: Any) -> Sequence[Any]:
    """Samples of a type, always the same."""
    return _of(type_info(kind), "")


def _of(kind: Type, name: str) -> Sequence[Any]:
    match kind:
        case StructType(cls=cls, fields=fields):
            return _structs(cls, fields)
        case UnionType(types=types):
            return [sample for one in types for sample in _of(one, name)]
        case LiteralType(values=values):
            return values
        case VarTupleType(item_type=item):
            return [tuple(_of(item, name))]
        case DictType(key_type=key, value_type=value):
            return [dict(zip(_of(key, name), itertools.cycle(_of(value, name)), strict=False))]
        case _:
            return [_plain(kind, name)]


def _structs(cls: type, fields: Sequence[Field]) -> Sequence[Any]:
    filled = {field.name: _of(field.type, field.name) for field in fields}
    count = max(map(len, filled.values()), default=1)
    return [cls(**{name: some[turn % len(some)] for name, some in filled.items()}) for turn in range(count)]


def _plain(kind: Type, name: str) -> object:
    match kind:
        case StrType():
            return f"{name} ä"
        case BoolType():
            return True
        case IntType():
            return 7
        case FloatType():
            return 1.5
        case NoneType():
            return None
        case _:
            raise TypeError(f"no sample of {kind}")
