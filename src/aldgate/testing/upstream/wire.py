"""HTTP/1.1 framing of replies: heads, lengths and chunks, as bytes."""

from collections.abc import Iterable

Header = tuple[str, str]

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Site Overloaded",
}
JSON: Header = ("Content-Type", "application/json")
EVENTS: Header = ("Content-Type", "text/event-stream; charset=utf-8")
CHUNKED: Header = ("Transfer-Encoding", "chunked")
LAST_CHUNK = b"0\r\n\r\n"


def head(headers: Iterable[Header], *, status: int = 200, version: str = "HTTP/1.1") -> bytes:
    """A reply's head, with the request id every real provider adds."""
    lines = [f"{version} {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in (("x-request-id", "req_upstream"), *headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def length(body: bytes) -> Header:
    """The `Content-Length` of `body`."""
    return ("Content-Length", str(len(body)))


def whole(body: bytes, *, status: int = 200, headers: Iterable[Header] = (JSON,)) -> bytes:
    """A complete reply of known length."""
    return head([*headers, length(body)], status=status) + body


def chunk(data: bytes, extension: str = "") -> bytes:
    """One chunk of the chunked coding; `extension` goes after its size, with its semicolon."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension.encode("latin-1"), data)
