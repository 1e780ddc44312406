"""RESP2, the wire format of Valkey and Redis: https://valkey.io/topics/protocol/."""

_INCOMPLETE = object()


class ReplyError(Exception):
    """The server answered with an error; its text begins with a code such as `NOSCRIPT`."""


class NotResp(Exception):
    """What came is no reply of this protocol."""


Reply = bytes | int | None | ReplyError | list["Reply"]


def command(*parts: bytes) -> bytes:
    """A command as an array of bulk strings."""
    return b"*%d\r\n" % len(parts) + b"".join([bulk(part) for part in parts])


def bulk(part: bytes) -> bytes:
    """One bulk string."""
    return b"$%d\r\n%b\r\n" % (len(part), part)


class Reader:
    """Takes bytes as they come, gives the replies that are complete."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def feed(self, data: bytes) -> list[Reply]:
        """All replies that `data` completes.

        Raises:
            NotResp: The peer speaks something else; nothing it sends can be trusted any more.
        """
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0
        replies: list[Reply] = []
        while True:
            start = self._at
            reply = self._next()
            if reply is _INCOMPLETE:
                self._at = start
                return replies
            replies.append(reply)  # pyright: ignore[reportArgumentType]

    def _next(self) -> object:
        data, at = self._data, self._at
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > 65_536:
                raise NotResp("Valkey sent a line without an end.")
            return _INCOMPLETE
        kind = data[at : at + 1]
        self._at = end + 2
        if kind == b"$":
            return self._bulk(_number(data[at + 1 : end]))
        if kind == b":":
            return _number(data[at + 1 : end])
        if kind == b"+":
            return data[at + 1 : end]
        if kind == b"-":
            return ReplyError(data[at + 1 : end].decode("utf-8", "replace"))
        if kind == b"*":
            return self._array(_number(data[at + 1 : end]))
        raise NotResp("Valkey sent something that is no reply.")

    def _bulk(self, length: int) -> object:
        if length < 0:
            return None
        begin = self._at
        end = begin + length
        if len(self._data) < end + 2:
            return _INCOMPLETE
        if self._data[end : end + 2] != b"\r\n":
            raise NotResp("Valkey sent a text of another length than it said.")
        self._at = end + 2
        return self._data[begin:end]

    def _array(self, length: int) -> object:
        if length < 0:
            return None
        items: list[object] = []
        for _ in range(length):
            item = self._next()
            if item is _INCOMPLETE:
                return _INCOMPLETE
            items.append(item)
        return items


def _number(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:
        raise NotResp("Valkey sent a number that is none.") from None
