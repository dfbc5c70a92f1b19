"""Where Redis is: a `REDIS_URL` taken apart, for a single server, behind Sentinel or as a cluster.

redis-py reads URLs of one server. For the others each server gets such a URL of its own from here, with the same login,
TLS, database and options. No message repeats what stands in the URL: there may be a password in it.
"""

import re
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

Address = tuple[str, int]
"""Host and port."""
Kind = Literal["server", "sentinel", "cluster"]

FORMS: Final = (
    "redis://, rediss:// or unix:// for one server, redis+sentinel://host:port,host:port/service/db or "
    "redis+cluster://host:port,host:port"
)
_MANY: Final = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)"
    r"(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\[\]:,]+)(?::(?P<port>\d{1,5}))?")
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_HIGHEST_PORT: Final = 65535


class RedisAt(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses` are where to ask first: the sentinels, or nodes of the cluster. One server has just its `url`."""

    kind: Kind
    url: str
    addresses: tuple[Address, ...] = ()
    service: str = ""
    scheme: str = "redis"
    login: str = ""
    sentinel_login: str = ""
    database: int = 0
    options: str = ""

    def server_url(self, address: Address) -> str:
        """One server of those that hold the keys, as redis-py wants it."""
        return self._url(self.login, address, f"/{self.database}")

    def sentinel_url(self, address: Address) -> str:
        return self._url(self.sentinel_login, address, "")

    def _url(self, login: str, address: Address, path: str) -> str:
        host, port = address
        host = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{login and f'{login}@'}{host}:{port}{path}{self.options and f'?{self.options}'}"


def parse(url: str) -> RedisAt:
    """Raises `ValueError` with a sentence that says what is wrong and how to write it."""
    if "+" in url.partition("://")[0]:
        return _many(url)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(f"it must begin with {FORMS}")
    parts = urlsplit(url)
    if "," in parts.netloc:
        raise ValueError("several addresses need redis+sentinel:// or redis+cluster://")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("unix:// needs the path of a socket")
    elif not _is_address(parts.netloc.rpartition("@")[2]):
        raise ValueError("the address must be host:port")
    return RedisAt(kind="server", url=url)


def _many(url: str) -> RedisAt:
    found = _MANY.fullmatch(url)
    if found is None:
        raise ValueError(f"it must be {FORMS}; a password with / ? # or @ is written with %")
    kind: Kind = "sentinel" if found["kind"] == "sentinel" else "cluster"
    service, database = _place(kind, found["path"] or "")
    options = dict(parse_qsl(found["query"] or ""))
    user, password = options.pop("sentinel_username", ""), options.pop("sentinel_password", "")
    return RedisAt(
        kind=kind,
        url=url,
        addresses=_addresses(found["hosts"], _PORTS[kind]),
        service=service,
        scheme=found["scheme"],
        login=found["login"] or "",
        sentinel_login=f"{quote(user, safe='')}:{quote(password, safe='')}" if user or password else "",
        database=database,
        options=urlencode(options),
    )


def _place(kind: Kind, path: str) -> tuple[str, int]:
    """The service and the number of the database."""
    if kind == "cluster":
        if path not in {"", "0"}:
            raise ValueError("a cluster has database 0 only: end the URL behind the addresses")
        return "", 0
    service, _, database = path.partition("/")
    if not service:
        raise ValueError(
            "the service that the sentinels watch is missing: redis+sentinel://host:port,host:port/service"
        )
    if database and not database.isdecimal():
        raise ValueError("behind the service there may be the number of a database and nothing else")
    return service, int(database or 0)


def _addresses(hosts: str, port: int) -> tuple[Address, ...]:
    addresses = []
    for place, part in enumerate(hosts.split(","), 1):
        found = _HOST.fullmatch(part.strip())
        if found is None or int(found["port"] or port) > _HIGHEST_PORT:
            raise ValueError(f"address {place} is not host:port")
        addresses.append((found["host"].strip("[]"), int(found["port"] or port)))
    return tuple(addresses)


def _is_address(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= _HIGHEST_PORT
