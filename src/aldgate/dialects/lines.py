"""JSON objects one to a line, out of bytes that may be cut anywhere (https://github.com/ndjson/ndjson-spec)."""

from aldgate.core.errors import UpstreamInvalid

MAX_LINE_BYTES = 4_194_304
"""A single line of a stream may not be larger; images in answers are the largest seen."""


class LineReader:
    """Collects pieces and returns each line that is complete, without its end. Blank lines are nothing."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        self._carry = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that are complete now.

        Raises:
            UpstreamInvalid: A line does not end within `MAX_LINE_BYTES`.
        """
        *lines, self._carry = (self._carry + piece).split(b"\n")
        if len(self._carry) > MAX_LINE_BYTES:
            raise UpstreamInvalid("The provider sent a line that does not end.")
        return [line for line in lines if line and not line.isspace()]

    def end(self) -> list[bytes]:
        """A last line that nothing followed."""
        rest, self._carry = self._carry.strip(), b""
        return [rest] if rest else []
