"""`multipart/form-data` (RFC 7578), read as it comes: the file goes on piece by piece, only the other fields are held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from aldgate.core.errors import InvalidRequest, UnsupportedMediaType

MOST_FIELDS = 32
MOST_FIELD_BYTES = 65_536
"""Names and values of all fields but the file."""

Take = Callable[[bytes], Awaitable[None]]


class Form:
    """What has come of a form.

    Attributes:
        fields: All fields but the file.
        lists: Those whose names end in `[]`, which may stand more than once.
        filename: The file's own name; None while there is no file.
        is_complete: The last boundary has come.

    Args:
        boundary: What parts the parts.
        file_field: The field whose value is the file.
    """

    def __init__(self, boundary: bytes, file_field: str) -> None:
        self.fields: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.filename: str | None = None
        self.is_complete = False
        self._file_field = file_field
        self._headers: dict[bytes, bytes] = {}
        self._header = bytearray(), bytearray()
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._held = 0
        self._file: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_goes_on,
                "on_part_end": self._part_ends,
                "on_end": self._ends,
            },
        )

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece of the body; returns the pieces of the file in it.

        Raises:
            InvalidRequest: Not a form, or one with too much beside the file.
        """
        self._file = []
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidRequest(f"The form cannot be read: {error}.") from None
        return self._file

    def _part_begins(self) -> None:
        self._headers = {}
        self._header = bytearray(), bytearray()
        self._value = bytearray()

    def _header_ends(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise InvalidRequest("A part of the form has no name.")
        self._name = _text(options[b"name"])
        self._is_file = self._name == self._file_field and b"filename" in options
        if self._is_file and self.filename is not None:
            raise InvalidRequest(f"The form has two files (`{self._file_field}`).", param=self._file_field)
        if self._is_file:
            self.filename = _text(options[b"filename"])
        elif self._name in self.fields or len(self.fields) + sum(map(len, self.lists.values())) >= MOST_FIELDS:
            raise InvalidRequest(f"The field stands twice, or there are too many (`{self._name[:100]}`).", param=self._name[:100])

    def _part_goes_on(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._file.append(data[start:end])
            return
        self._held += end - start
        if self._held > MOST_FIELD_BYTES:
            raise InvalidRequest(f"The fields of the form have more than {MOST_FIELD_BYTES} bytes.")
        self._value += data[start:end]

    def _part_ends(self) -> None:
        if not self._is_file and self._name.endswith("[]"):
            self.lists.setdefault(self._name, []).append(_text(bytes(self._value)))
        elif not self._is_file:
            self.fields[self._name] = _text(bytes(self._value))

    def _ends(self) -> None:
        self.is_complete = True


async def read_form(headers: Mapping[bytes, bytes], pieces: AsyncIterator[bytes], file_field: str, take: Take) -> Form:
    """Read a form to its end, handing on the pieces of the file in it.

    Args:
        headers: The request's.
        pieces: Its body.
        file_field: The field whose value is the file.
        take: Takes the file's pieces; what it raises ends the reading.

    Raises:
        UnsupportedMediaType: It says that it is no form.
        InvalidRequest: It is none, or broke off.
    """
    kind, options = parse_options_header(headers.get(b"content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType("Files come as a form: send `Content-Type: multipart/form-data` with a boundary.")
    try:
        form = Form(options[b"boundary"], file_field)
    except FormParserError as error:
        raise InvalidRequest(f"The form cannot be read: {error}.") from None
    async for piece in pieces:
        for part in form.feed(piece):
            await take(part)
    if not form.is_complete:
        raise InvalidRequest("The form broke off before its end.")
    return form


def _text(value: bytes) -> str:
    """Browsers and SDKs write UTF-8 (RFC 7578, 5.1); the parser hands header values on as the bytes they were."""
    return value.decode("utf-8", "replace")
