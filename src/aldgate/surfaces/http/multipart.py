"""`multipart/form-data` (RFC 7578), read as it comes: files go on piece by piece, only the other fields are held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from aldgate.core.errors import InvalidRequest, UnsupportedMediaType

MOST_FIELDS = 32
MOST_FIELD_BYTES = 65_536
"""Names and values of all fields but the file."""

Take = Callable[[bytes], Awaitable[None]]


class FilePart(msgspec.Struct, frozen=True, eq=False):
    """A file in a form: the field that it is the value of, and its own name. Two of the same name are two."""

    field: str
    filename: str


TakeOf = Callable[[FilePart, bytes], Awaitable[None]]
"""Takes a piece of one of several files."""


class Form:
    """What has come of a form.

    Attributes:
        fields: All fields but files.
        lists: Those whose names end in `[]`, which may stand more than once.
        files: In the order in which they came.
        is_complete: The last boundary has come.

    Args:
        boundary: What parts the parts.
        most: The fields whose values are files, and how many each may have.
    """

    def __init__(self, boundary: bytes, most: Mapping[str, int]) -> None:
        self.fields: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.files: list[FilePart] = []
        self.is_complete = False
        self._most = most
        self._headers: dict[bytes, bytes] = {}
        self._header = bytearray(), bytearray()
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._held = 0
        self._pieces: list[tuple[FilePart, bytes]] = []
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

    @property
    def filename(self) -> str | None:
        """The first file's own name; None while there is no file."""
        return self.files[0].filename if self.files else None

    def feed(self, piece: bytes) -> list[tuple[FilePart, bytes]]:
        """Take a piece of the body; returns the pieces of files in it.

        Raises:
            InvalidRequest: Not a form, or one with too much beside its files.
        """
        self._pieces = []
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidRequest(f"The form cannot be read: {error}.") from None
        return self._pieces

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
        self._is_file = self._name in self._most and b"filename" in options
        if self._is_file:
            self._file_begins(_text(options[b"filename"]))
        elif self._name in self.fields or len(self.fields) + sum(map(len, self.lists.values())) >= MOST_FIELDS:
            raise InvalidRequest(f"The field stands twice, or there are too many (`{self._name[:100]}`).", param=self._name[:100])

    def _file_begins(self, filename: str) -> None:
        most = self._most[self._name]
        if sum(file.field == self._name for file in self.files) >= most:
            many = "two files" if most == 1 else f"more than {most} files"
            raise InvalidRequest(f"The form has {many} (`{self._name}`).", param=self._name)
        self.files.append(FilePart(self._name, filename))

    def _part_goes_on(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append((self.files[-1], data[start:end]))
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
    """Read a form to its end, handing on the pieces of the one file in it.

    Args:
        headers: The request's.
        pieces: Its body.
        file_field: The field whose value is the file.
        take: Takes the file's pieces; what it raises ends the reading.

    Raises:
        UnsupportedMediaType: It says that it is no form.
        InvalidRequest: It is none, or broke off.
    """
    return await read_files(headers, pieces, {file_field: 1}, lambda _, piece: take(piece))


async def read_files(headers: Mapping[bytes, bytes], pieces: AsyncIterator[bytes], most: Mapping[str, int], take: TakeOf) -> Form:
    """As `read_form`, with several files: `most` says which fields are files, and how many each may have."""
    kind, options = parse_options_header(headers.get(b"content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType("Files come as a form: send `Content-Type: multipart/form-data` with a boundary.")
    try:
        form = Form(options[b"boundary"], most)
    except FormParserError as error:
        raise InvalidRequest(f"The form cannot be read: {error}.") from None
    async for piece in pieces:
        for file, part in form.feed(piece):
            await take(file, part)
    if not form.is_complete:
        raise InvalidRequest("The form broke off before its end.")
    return form


def _text(value: bytes) -> str:
    """Browsers and SDKs write UTF-8 (RFC 7578, 5.1); the parser hands header values on as the bytes they were."""
    return value.decode("utf-8", "replace")
