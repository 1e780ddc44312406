import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.upstream.pool import Origin


@pytest.mark.parametrize(
    ("url", "origin", "host_header"),
    [
        ("https://api.example.com/v1", Origin("api.example.com", 443, True), "api.example.com"),
        ("http://127.0.0.1:11434/v1", Origin("127.0.0.1", 11434, False), "127.0.0.1:11434"),
        ("HTTP://Example.COM:80", Origin("example.com", 80, False), "example.com"),
        ("https://h:80/", Origin("h", 80, True), "h:80"),
        ("http://[::1]:8080/", Origin("::1", 8080, False), "[::1]:8080"),
        ("https://[2001:db8::1]", Origin("2001:db8::1", 443, True), "[2001:db8::1]"),
    ],
)
def test_an_origin_is_read_from_a_url(url: str, origin: Origin, host_header: str) -> None:
    assert (Origin.of(url), Origin.of(url).host_header) == (origin, host_header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://h/",
        "http://",
        "http:///v1",
        "//h/v1",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://[::1/",
    ]
    + ["http://user@h/", "http://user:pw@h/", "http://@h/", "http://h/ v1", "http://h/\r\nx: y", "http://h\t/", "http://h/\x7f"]
    + ["http://h/v1?key=1", "http://h/v1#x", "http://\u4f8b/", "http://h/\u00e9", "http://a..b/", f"http://{'a' * 64}.com/"],
)
def test_anything_else_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ValueError):
        Origin.of(url)


@given(st.text(max_size=20) | st.text("http:/[]@.#?%1 \n", max_size=20), st.booleans())
def test_no_text_breaks_it_or_smuggles_a_line(text: str, is_url: bool) -> None:
    try:
        origin = Origin.of(f"http://{text}" if is_url else text)
    except ValueError:
        return
    assert origin.host_header.isascii() and origin.host_header.isprintable() and " " not in origin.host_header
    assert 0 < origin.port < 65_536
