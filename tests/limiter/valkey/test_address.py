import pytest

from aldgate.core.errors import InvalidConfiguration
from aldgate.limiter.valkey.address import Address, parse_address

NOBODY = ("", "", 0)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("valkey://cache", Address("cache", 6379, "", False, *NOBODY)),
        ("redis://127.0.0.1:7000/3", Address("127.0.0.1", 7000, "", False, "", "", 3)),
        ("rediss://u%40x:p%2Fw@[::1]:7000/", Address("::1", 7000, "", True, "u@x", "p/w", 0)),
        ("valkeys://:secret@cache", Address("cache", 6379, "", True, "", "secret", 0)),
        ("unix:///run/valkey.sock", Address("", 0, "/run/valkey.sock", False, *NOBODY)),
        ("unix://u:p@/run/valkey.sock?db=2", Address("", 0, "/run/valkey.sock", False, "u", "p", 2)),
    ],
)
def test_urls(url: str, address: Address) -> None:
    found = parse_address(url)
    assert tuple(found) == tuple(address)
    assert "secret" not in f"{found} {found!r}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "redis://cache:port",
        "redis://:secret@cache:99999",
        "redis://:secret@cache/main",
        "redis://:secret@cache/-1",
        "redis://:secret@cache?db=1",
        "unix://:secret@",
        "unix:///run/valkey.sock?db=x",
        "redis://[:secret",
    ],
)
def test_what_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        parse_address(url)
    assert "secret" not in raised.value.message and "valkey.url" in raised.value.message
