"""Everything that whoever has a database and some keys can read in it, whatever the context a value was sealed in.

AES-GCM without its tag is a stream cipher: who holds the key reads without asking whether the value is authentic.
"""

import json
from collections.abc import Iterator, Sequence

import asyncpg
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from bot.adapters.cipher import parse_keys

NONCE_BYTES, TAG_BYTES = 12, 16
FIRST_COUNTER = b"\0\0\0\2"
COLUMNS = """
select table_name, column_name, data_type from information_schema.columns
where table_schema = 'public' and data_type in ('bytea', 'text', 'ARRAY', 'json', 'jsonb', 'character varying')
"""


def read(sealed: bytes, key: bytes) -> bytes:
    """What `key` makes of a sealed value; rubbish when it is another one's."""
    body = sealed[2 + sealed[1] :] if len(sealed) > 1 and sealed[0] == 1 else b""
    if len(body) < NONCE_BYTES + TAG_BYTES:
        return b""
    decryptor = Cipher(AES(key), CTR(body[:NONCE_BYTES] + FIRST_COUNTER)).decryptor()
    return decryptor.update(body[NONCE_BYTES:-TAG_BYTES])


async def all_keys(database: asyncpg.Connection, setting: str) -> Sequence[bytes]:
    """The service's keys, and every key that they unwrap."""
    service = list(parse_keys(setting).values())
    wrapped = [row[0] for row in await database.fetch("select data_key from users where data_key is not null")]
    return [*service, *(key for one in wrapped for own in service if len(key := read(one, own)) == 32)]


async def everything(database: asyncpg.Connection, setting: str) -> Sequence[tuple[str, bytes]]:
    """Every value of every table, as it is and under every key, with its table and column."""
    keys = await all_keys(database, setting)
    found: list[tuple[str, bytes]] = []
    for table, column, _ in await database.fetch(COLUMNS):
        for (value,) in await database.fetch(f'select "{column}" from "{table}" where "{column}" is not null'):
            found += [(f"{table}.{column}", plain) for plain in _plain(value, keys)]
    return found


def _plain(value: object, keys: Sequence[bytes]) -> Iterator[bytes]:
    if isinstance(value, list):
        for one in value:
            yield from _plain(one, keys)
    elif isinstance(value, bytes):
        yield value
        yield from (read(value, key) for key in keys)
    else:
        yield (value if isinstance(value, str) else json.dumps(value)).encode()


async def places_of(database: asyncpg.Connection, setting: str, words: Sequence[str]) -> set[str]:
    """The columns in which one of the words can be read."""
    sought = [word.encode() for word in words]
    return {place for place, plain in await everything(database, setting) if any(word in plain for word in sought)}
