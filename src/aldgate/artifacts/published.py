"""Pictures as files in a directory of the operator's, for as long as their links last.

Names and lifetime are those of the Local AI Gateway: `<Unix time>_<beginning of its SHA-256>.<ending>`. There an allowlist of
addresses guarded them; here the link does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from aldgate.artifacts.links import Links
from aldgate.core.errors import NotFound, StoreUnavailable

PREFIX = "/ui/images/"
ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/svg+xml": "svg"}
MIMES = {ending: mime for mime, ending in ENDINGS.items()}
NAME = re.compile(r"[0-9]{1,12}_[0-9a-f]{16}\.(png|jpg|webp|gif|svg)")
SWEEP_S = 60.0


class PublishedFile(NamedTuple):
    """A file that is there."""

    path: Path
    mime: str
    size: int


class Published:
    """See above.

    Args:
        directory: Where the files are; made when the first one comes.
        links: Signs links to them.
        lives_s: Seconds that a file is there.
        now: Unix seconds.
    """

    def __init__(self, directory: Path, links: Links, lives_s: float, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._links = links
        self._lives_s = lives_s
        self._now = now
        self._swept_at = 0.0

    async def publish(self, data: bytes, mime: str, until: float) -> str:
        """Write a picture; the path of a link to it, good for as long as the file is there, and not after `until`.

        Raises:
            StoreUnavailable: The disk did not take it.
        """
        name = f"{int(self._now())}_{sha256(data).hexdigest()[:16]}.{ENDINGS.get(mime, 'png')}"
        try:
            await asyncio.to_thread(self._write, name, data)
        except OSError as error:
            raise StoreUnavailable(f"The disk did not take the picture: {error.strerror or error}.") from error
        return f"{PREFIX}{name}?{self._links.query(_signed(name), min(until, self._now() + self._lives_s))}"

    async def find(self, name: str, expires: str, signature: str) -> PublishedFile:
        """The file that a link leads to.

        Raises:
            LinkInvalid: The link has expired, or was not made here.
            NotFound: The file is not there any more.
        """
        self._links.check(_signed(name), expires, signature, self._now())
        found = NAME.fullmatch(name)
        path = self._directory / name
        try:
            if found is None or await asyncio.to_thread(self._is_old, path):
                raise FileNotFoundError
            return PublishedFile(path, MIMES[found[1]], path.stat().st_size)
        except OSError:
            raise NotFound("There is no such picture, or not any more.", param="name") from None

    def _write(self, name: str, data: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._now() - self._swept_at >= SWEEP_S:
            self._swept_at = self._now()
            self._sweep()
        beside = self._directory / f".{uuid4().hex}"
        try:
            beside.write_bytes(data)
            beside.replace(self._directory / name)
        finally:
            beside.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove files of ours that nobody may have any more; whatever else is in the directory stays."""
        for path in self._directory.iterdir():
            with suppress(OSError):  # another process was quicker
                if NAME.fullmatch(path.name) and self._is_old(path):
                    path.unlink()

    def _is_old(self, path: Path) -> bool:
        return path.stat().st_mtime + self._lives_s <= self._now()


def _signed(name: str) -> str:
    return f"ui/images/{name}"
