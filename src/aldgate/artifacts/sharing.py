"""Whether several processes keep artifacts in one and the same folder: each folder has a name of its own in it."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from pathlib import Path

from aldgate.artifacts.local import private
from aldgate.storage import Store

NAME_BYTES = 16
PATIENCE_S, PAUSE_S = 2.0, 0.02


async def why_unshared(store: Store, root: Path) -> str:
    """Why others who share the database do not find what is kept in the folder; empty if they do.

    The folder of whoever asked first is the one.
    """
    try:
        mine = await asyncio.to_thread(_name_of, root)
    except OSError as error:
        return f"{root} cannot be used: {error.strerror or error}"
    first, _ = await store.secret("artifacts_folder", mine)
    return "" if first == mine else f"{root} is not the folder in which the other processes of this database keep artifacts"


def _name_of(root: Path) -> bytes:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = root / ".folder"
    with suppress(FileExistsError), open(path, "xb", opener=private) as file:
        file.write(secrets.token_hex(NAME_BYTES).encode())
    until = time.monotonic() + PATIENCE_S
    while len(found := path.read_bytes()) < 2 * NAME_BYTES and time.monotonic() < until:
        time.sleep(PAUSE_S)  # another process has made it this moment, and is about to write
    return found
