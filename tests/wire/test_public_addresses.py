"""Which addresses and URLs are of the public internet: everything that leads inside is refused, however it is spelt."""

import pytest

from bot.wire.public_addresses import LONGEST_URL, is_public, problem_of


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "localhost",
        "2130706433",
        "127.1",
        "",
    ],
)
def test_what_leads_inside_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hooks",
        "https://example.com:8443/hooks?tenant=1",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/hooks",
        "https://xn--bcher-kva.example/",
    ],
)
def test_an_https_address_of_the_internet_can_be_an_endpoint(url: str) -> None:
    assert problem_of(url, private=False) == ""


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("https://", "such as"),
        ("https://example.com:0/", "such as"),
        ("https://example.com:99999/", "such as"),
        ("https://[::1/", "such as"),
        ("nonsense", "such as"),
        ("https://user:secret@example.com/", "user and password"),
        ("https://example.com/#part", "#"),
        ("https://example.com/a b", "blanks"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com/\n", "ASCII"),
        ("https://example.com/" + "x" * LONGEST_URL, "characters"),
        ("https://localhost/", "public internet"),
        ("https://127.0.0.1/", "public internet"),
        ("https://127.1/", "public internet"),
        ("https://2130706433/", "public internet"),
        ("https://[::1]/", "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
    ],
)
def test_what_cannot_be_an_endpoint_says_why(url: str, problem: str) -> None:
    assert problem in problem_of(url, private=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/hooks", "http://crm.internal/", "https://10.0.0.1/"])
def test_where_private_addresses_are_allowed_so_is_http(url: str) -> None:
    assert problem_of(url, private=True) == ""
    assert problem_of(url, private=False) != ""


def test_a_password_is_refused_everywhere() -> None:
    assert "user and password" in problem_of("http://a:b@127.0.0.1/", private=True)
