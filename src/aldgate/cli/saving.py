"""Saving what was made: never over something that is there, unless that is said."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aldgate.cli.errors import CliError

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/aac": ".aac",
    "model/gltf-binary": ".glb",
    "model/obj": ".obj",
    "model/ply": ".ply",
    "model/stl": ".stl",
}
"""By media type, what files are usually called."""
FORMATS = {suffix[1:]: suffix[1:] for suffix in SUFFIXES.values()} | {"jpg": "jpeg", "jpeg": "jpeg", "opus": "opus", "pcm": "pcm"}
"""By a file's suffix, the format to ask for."""


def places(output: Path | None, count: int, name: str, kinds: Sequence[str]) -> list[Path]:
    """Where so many files go: `out.png`, or `out-1.png`, `out-2.png`; in a folder, or where nothing is said, after `name`.

    Args:
        output: A file, a folder that is there, or nothing: this one.
        count: How many.
        name: What files are called if nothing is said.
        kinds: Their media types, as far as known.
    """
    folder = Path() if output is None else output if output.is_dir() else None
    found: list[Path] = []
    for number in range(count):
        kind = kinds[number] if number < len(kinds) else ""
        file = (folder / f"{name}{SUFFIXES.get(kind, '.bin')}") if folder is not None else output
        assert file is not None
        found.append(file if count == 1 else file.with_name(f"{file.stem}-{number + 1}{file.suffix}"))
    return found


def check_free(files: Iterable[Path], *, force: bool) -> None:
    """Refuse to write over what is there.

    Raises:
        CliError: Something is there, or the folder is not.
    """
    for file in files:
        if not file.parent.is_dir():
            raise CliError(f"there is no folder {file.parent}", hint="make it, or name another file with -o")
        if not force and os.path.lexists(file):
            raise CliError(f"{file} is there already", hint="name another file with -o, or say --force")


def save(pieces: Iterable[bytes], file: Path, *, force: bool) -> None:
    """Write a file, whole or not at all.

    Raises:
        CliError: It could not be written, or something came to be there meanwhile.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with open(aside, "xb") as out:
            for piece in pieces:
                out.write(piece)
        check_free([file], force=force)
        os.replace(aside, file)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror or error}", hint="what was made is kept at the gate") from None
    finally:
        aside.unlink(missing_ok=True)


def odd_suffix(file: Path, made: dict[str, Any]) -> str:
    """A remark where a file is called as if it were something else."""
    wanted, is_really = FORMATS.get(file.suffix[1:].lower()), SUFFIXES.get(made["mime"])
    if wanted is None or is_really is None or wanted == FORMATS[is_really[1:]]:
        return ""
    return f"{file} is {made['mime']}, whatever it is called"
