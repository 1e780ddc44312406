from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from aldgate.core.addresses import address_of, is_loopback, parsed

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY = st.ip_addresses(network="10.0.0.0/8").map(str) | st.ip_addresses(network="fd00::/8").map(str)
STRANGER = st.ip_addresses(network="203.0.113.0/24").map(str) | st.ip_addresses(network="2001:db8::/32").map(str)


def forwarded_for(*hops: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", ", ".join(hops).encode())]


@given(STRANGER, st.lists(STRANGER | PROXY | st.text(max_size=8)))
def test_nobody_believes_a_stranger(peer: str, claimed: list[str]) -> None:
    headers = [(b"x-forwarded-for", ", ".join(claimed).encode("utf-8", "replace"))]
    assert address_of(peer, headers, PROXIES) == peer
    assert address_of("10.0.0.1", headers, ()) == "10.0.0.1"


@st.composite
def told(draw: DrawFn) -> tuple[str, list[str], str, list[str]]:
    """Who sits in front, what the caller made up, who the caller is, and the proxies between."""
    return draw(PROXY), draw(st.lists(STRANGER | PROXY, max_size=4)), draw(STRANGER), draw(st.lists(PROXY, max_size=4))


@given(told())
def test_what_stands_left_of_the_caller_changes_nothing(case: tuple[str, list[str], str, list[str]]) -> None:
    peer, made_up, caller, between = case
    assert address_of(peer, forwarded_for(*made_up, caller, *between), PROXIES) == caller
    one_by_one = [(b"x-forwarded-for", hop.encode()) for hop in (*made_up, caller, *between)]
    assert address_of(peer, one_by_one, PROXIES) == caller
    quoted = [f'for="[{hop}]:4711"' if ":" in hop else f"For={hop};proto=https" for hop in (*made_up, caller, *between)]
    assert address_of(peer, [(b"forwarded", ", ".join(quoted).encode())], PROXIES) == caller


@given(told(), STRANGER)
def test_two_headers_that_disagree_are_believed_neither(case: tuple[str, list[str], str, list[str]], other: str) -> None:
    peer, _, caller, between = case
    headers = [*forwarded_for(caller, *between), (b"forwarded", f'for="[{other}]"'.encode())]
    assert address_of(peer, headers, PROXIES) == (caller if other == caller else "")


@pytest.mark.parametrize("hop", ["unknown", "_hidden", "", "10.0.0.1.2", "1.2.3.4:x:y"])
def test_an_address_that_is_none_is_nobodys(hop: str) -> None:
    assert address_of("10.0.0.1", forwarded_for("203.0.113.9", hop), PROXIES) == ""


def test_all_proxies_and_no_header() -> None:
    assert address_of("10.0.0.1", forwarded_for("10.0.0.3", "10.0.0.2"), PROXIES) == "10.0.0.3"
    assert address_of("::ffff:10.0.0.1", [], PROXIES) == "10.0.0.1"
    assert address_of("", [], PROXIES) == ""
    assert address_of("testclient", [], PROXIES) == "testclient"


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.9.9.9:80", "::1", "[::1]:8000", "localhost", "LOCALHOST.", "::ffff:127.0.0.1"]
)
def test_loopback(text: str) -> None:
    assert is_loopback(text)


@pytest.mark.parametrize("text", ["", "0.0.0.0", "10.0.0.1", "localhost.example", "127.0.0.1.nip.io", "[::]:80", "2130706433"])
def test_no_loopback(text: str) -> None:
    assert not is_loopback(text)
    assert parsed("1.2.3.4:5") == parsed("1.2.3.4")
