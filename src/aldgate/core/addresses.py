"""Who a request comes from, when it came through proxies. Only the word of those that the operator named is believed.

Each proxy appends whom it heard from: the right-most address that is no trusted proxy's is the last that anybody vouched for, and
what stands left of it whoever sent the request may have written. See RFC 7239, 7.4 and 8.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052."""
_FORWARDING = frozenset({"forwarded", "via", "x-host", "cdn-loop", "proxy-connection", "x-amzn-trace-id"})
_FORWARDING_BEGIN = ("x-forward", "x-original-", "x-real-", "x-proxy", "x-envoy-", "x-azure-", "x-arr-", "x-amz-cf-", "cf-")
_FORWARDING_END = ("-ip", "-addr", "-address")
"""Names of headers that proxies, balancers and CDNs write, such as `X-Original-Forwarded-For` and `True-Client-IP`."""
_FOR = re.compile(r"(?:^|[;,])\s*for\s*=\s*(\"[^\"]*\"|[^;,\s]*)", re.IGNORECASE)


def parsed(text: str) -> Address | None:
    """An address, perhaps with a port or in brackets; None if it is none. `::ffff:10.0.0.1` is `10.0.0.1`."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def address_of(peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]) -> str:
    """The caller's address; empty if it cannot be told, which no rule on networks lets through.

    Args:
        peer: Who connected.
        headers: The request's, in order.
        trusted: Networks of proxies that say truly whom they heard from.
    """
    found = parsed(peer)
    if found is None or not _is_within(found, trusted):
        return peer if found is None else str(found)
    listed: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in (b"x-forwarded-for", b"forwarded"):
            text = value.decode("latin-1")
            listed.setdefault(name, []).extend(text.split(",") if name == b"x-forwarded-for" else _FOR.findall(text))
    if not listed:
        return str(found)
    told = {_last(addresses, trusted) for addresses in listed.values()}
    return told.pop() if len(told) == 1 else ""  # a proxy writes one of the two, the caller may have written the other


def is_forwarding(name: bytes) -> bool:
    """Whether a header of this name, in lower case, is one that proxies, balancers and CDNs write."""
    text = name.decode("latin-1").replace("_", "-")
    return text in _FORWARDING or text.startswith(_FORWARDING_BEGIN) or text.endswith(_FORWARDING_END)


def is_loopback(text: str) -> bool:
    """Whether an address, or a host's name, is of this machine itself."""
    found = parsed(text)
    return text.rstrip(".").lower() == "localhost" if found is None else found.is_loopback


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet, also where another is carried within it (NAT64, 6to4, Teredo)."""
    found = parsed(text)
    if found is None or not found.is_global or found.is_multicast:
        return False
    if isinstance(found, IPv4Address):
        return True
    carried = found.sixtofour or (found.teredo[1] if found.teredo else None)
    if found in _NAT64:
        carried = IPv4Address(int(found) & 0xFFFFFFFF)
    return carried is None or is_public(str(carried))


def _last(addresses: Sequence[str], trusted: Sequence[Network]) -> str:
    """The right-most address that is no proxy's, or the first of all if they all are; empty if one on the way is no address."""
    found: Address | None = None
    for text in reversed(addresses):
        found = parsed(text)
        if found is None:
            return ""
        if not _is_within(found, trusted):
            break
    return "" if found is None else str(found)


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
