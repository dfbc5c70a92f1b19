import pytest

from bot.wire.redis_url import RedisAt, parse

SECRET = "Tr0ub4dor"


@pytest.mark.parametrize(
    "url",
    [
        *("redis://cache", "redis://cache:6379/0", "rediss://user:password@cache:6380/1?ssl_cert_reqs=none"),
        *("redis://[::1]:6379", "redis://:password@10.0.0.1", "unix:///run/redis.sock?db=0"),
    ],
)
def test_the_url_of_one_server_stays_as_it_is(url: str) -> None:
    assert parse(url) == RedisAt(kind="server", url=url)


def test_sentinels_a_service_and_a_database() -> None:
    at = parse("redis+sentinel://user:pass%40word@one:1,10.0.0.2,[::1]:3/main/2?socket_keepalive=yes")
    assert (at.kind, at.service) == ("sentinel", "main")
    assert at.addresses == (("one", 1), ("10.0.0.2", 26379), ("::1", 3))
    assert at.server_url(("fe80::1", 6379)) == "redis://user:pass%40word@[fe80::1]:6379/2?socket_keepalive=yes"
    assert at.sentinel_url(("one", 1)) == "redis://one:1?socket_keepalive=yes"


def test_sentinels_may_have_a_login_of_their_own_and_tls() -> None:
    at = parse("rediss+sentinel://:p@one/main?sentinel_password=a%2Fb&sentinel_username=u")
    assert at.sentinel_url(("one", 26379)) == "rediss://u:a%2Fb@one:26379"
    assert at.server_url(("two", 6379)) == "rediss://:p@two:6379/0"


@pytest.mark.parametrize("end", ["", "/", "/0"])
def test_a_cluster_is_some_of_its_nodes(end: str) -> None:
    at = parse(f"rediss+cluster://user:password@one:7000,two{end}")
    assert (at.kind, at.addresses) == ("cluster", (("one", 7000), ("two", 6379)))
    assert at.server_url(at.addresses[0]) == "rediss://user:password@one:7000/0"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:6379", "begin with redis://"),
        ("http://cache", "begin with redis://"),
        ("redis+proxy://cache", "it must be redis://"),
        ("redis://", "host:port"),
        (f"redis://:{SECRET}@cache:port", "host:port"),
        ("redis://cache:65536", "host:port"),
        ("redis://one:1,two:2", r"redis\+sentinel:// or redis\+cluster://"),
        ("unix://", "path of a socket"),
        ("redis+sentinel://one:1,two:2", "the service"),
        ("redis+sentinel://one:1,two:2/", "the service"),
        (f"redis+sentinel://one/main/{SECRET}", "the number of a database"),
        ("redis+sentinel://one,/main", "address 2 is not host:port"),
        ("redis+sentinel://one:99999/main", "address 1 is not host:port"),
        (f"redis+sentinel://u:{SECRET}/x@one/main", "the number of a database"),
        (f"redis+sentinel://u:{SECRET}#x@one/main", "written with %"),
        ("redis+cluster://one/3", "database 0 only"),
        ("redis+cluster://", "address 1 is not host:port"),
    ],
)
def test_what_is_wrong_is_told_without_what_may_be_a_password(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        parse(url)
    assert SECRET not in str(caught.value)
