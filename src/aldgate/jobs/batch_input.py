"""Reading a batch's input file: every line is checked before any is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from aldgate.core.batches import MOST_ERRORS, BatchLine, LineError, read_line

ENVELOPE_BYTES = 65_536
"""What a line may have beside its request."""


class Input(msgspec.Struct):
    """What an input file holds.

    Attributes:
        model: The one model that all lines name; None if they name several.
    """

    lines: list[BatchLine]
    errors: list[LineError]
    model: str | None


def read_input(path: Path, endpoint: str, *, most_lines: int, most_bytes: int) -> Input:
    """Read and check the whole file. Blocks; meant for a thread.

    Args:
        path: The file.
        endpoint: The path that every line must ask for.
        most_lines: The most lines a batch may have.
        most_bytes: The longest request a line may hold.
    """
    lines: list[BatchLine] = []
    errors: list[LineError] = []
    seen: dict[str, int] = {}
    models: set[str] = set()
    with path.open("rb") as file:
        for number, offset, length, raw in _lines(file, most_bytes + ENVELOPE_BYTES):
            if length > len(raw):
                found = LineError("line_too_long", f"The request of a line has at most {most_bytes} bytes.", number)
            else:
                found = read_line(raw, number, endpoint)
            if isinstance(found, LineError):
                errors.append(found)
            elif found[0] in seen:
                message = f"The custom_id of this line stands in line {seen[found[0]]} already."
                errors.append(LineError("duplicate_custom_id", message, number, "custom_id"))
            elif len(lines) >= most_lines:
                errors.append(LineError("too_many_tasks", f"A batch has at most {most_lines} lines.", number))
                break
            else:
                seen[found[0]] = number
                models.add(found[1])
                lines.append(BatchLine(number, found[0], offset, length))
            if len(errors) >= MOST_ERRORS:
                break
    if not lines and not errors:
        errors.append(LineError("empty_file", "The input file is empty."))
    return Input(lines, errors, (models.pop() or None) if len(models) == 1 else None)


def _lines(file: BinaryIO, most: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Number, offset, length and bytes of each line that is not blank; of one over `most` bytes, no more than these."""
    number = offset = 0
    while raw := file.readline(most):
        number += 1
        length = len(raw)
        rest = raw
        while not rest.endswith(b"\n") and (rest := file.readline(1 << 20)):
            length += len(rest)
        if raw.strip():
            yield number, offset, length, raw
        offset += length


def read_raw(path: Path, line: BatchLine) -> bytes:
    """The bytes of a line. Blocks; meant for a thread."""
    with path.open("rb") as file:
        file.seek(line.offset)
        return file.read(line.length)
