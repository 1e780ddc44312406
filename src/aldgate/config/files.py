"""The files that settings come from, and how to see that one has changed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aldgate.config.loader import DEFAULT_FILE
from aldgate.config.settings import Settings

Stamp = tuple[int, int, int]

_CERTIFICATES = ("ca_bundle", "client_cert")


def files_of(settings: Settings) -> list[Path]:
    """The files that these settings were read from, and those that hold the secrets and certificates of providers."""
    reading = settings.reading
    own = [reading.file or reading.directory / DEFAULT_FILE, reading.directory / ".env"] if reading is not None else []
    return [*own, *upstream_files(settings), *files_named_in(settings.providers)]


def upstream_files(settings: Settings) -> list[Path]:
    """The certificates of `[upstream]`."""
    upstream = settings.upstream
    return list(files_named_in({"ca_bundle": upstream.ca_bundle, "client_cert": upstream.client_cert}))


def files_named_in(value: Any) -> Iterator[Path]:
    """The files that a provider's table refers to: `file:` references anywhere, and certificates."""
    if isinstance(value, Mapping):
        for name, item in cast(Mapping[str, Any], value).items():
            if name in _CERTIFICATES and isinstance(item, str):
                yield from (Path(part.strip()) for part in item.split(",") if part)
            else:
                yield from files_named_in(item)
    elif isinstance(value, str):
        if value.startswith("file:"):
            yield Path(value.removeprefix("file:"))
    elif isinstance(value, Sequence):
        for item in cast(Sequence[Any], value):
            yield from files_named_in(item)


def stamp(path: Path) -> Stamp | None:
    """What tells one state of a file from another; None while there is none. Links are followed: mounted secrets are some."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
