"""Which addresses a request may go to whose host somebody else chose (SSRF): those of the public internet.

What decides is the address that is connected to, at the moment it is (`bot/adapters/courier.py`); what an address of an
endpoint looks like is checked as well, so that mistakes are told early.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are an IPv4 address."""
REFUSED: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (
    ipaddress.IPv4Network("168.63.129.16/32"),
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
)
"""Public by their numbers only: Azure's platform address, IETF protocol assignments (where Oracle's metadata service
is), and NAT64 of a network's own (RFC 8215)."""


LONGEST_URL = 2048


def problem_of(url: str, *, private: bool) -> str:
    """Why `url` cannot be an endpoint, as a sentence; empty when it can. `private` allows http and any address."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"Write an address of at most {LONGEST_URL} ASCII characters without blanks."
    parts = _parts(url)
    if parts is None:
        return "Write an address such as https://example.com/hooks."
    return _form(parts) or ("" if private else _reach(parts))


def _parts(url: str) -> SplitResult | None:
    """None for what names no host, or no port that there is."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _form(parts: SplitResult) -> str:
    if parts.scheme not in {"https", "http"}:
        return "The address must begin with https://."
    if parts.username is not None or parts.password is not None:
        return "Leave user and password out: what comes from here is known by its signature."
    if parts.fragment:
        return "Leave out what follows #: it is never sent."
    return ""


def _reach(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if parts.scheme != "https":
        return "The address must begin with https:// (WEBHOOK_ALLOW_PRIVATE allows http)."
    numeric = ":" in host or host.replace(".", "").isdigit()
    if host == "localhost" or (numeric and not is_public(host)):
        return "The address is not one of the public internet (WEBHOOK_ALLOW_PRIVATE allows others)."
    return ""


def is_public(text: str) -> bool:
    """Whether `text` is an address of the public internet; what is no address is not."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(one) for one in (address, *_inside(address)))


def _is_public(address: Address) -> bool:
    refused = any(address in network for network in REFUSED)
    return address.is_global and not address.is_multicast and not refused


def _inside(address: Address) -> tuple[Address, ...]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    teredo = address.teredo or ()
    translated = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in TRANSLATED else None
    found = (address.ipv4_mapped, address.sixtofour, translated, *teredo)
    return tuple(one for one in found if one is not None)
