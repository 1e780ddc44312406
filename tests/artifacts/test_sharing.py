"""Whether several processes keep artifacts in the same folder."""

import asyncio
from pathlib import Path

from aldgate.artifacts.sharing import why_unshared
from aldgate.store.stores import open_url


async def test_the_folder_of_who_came_first_is_the_one(tmp_path: Path) -> None:
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "one")
    await store.open()
    first, second = tmp_path / "first" / "artifacts", tmp_path / "second"
    assert await asyncio.gather(*(why_unshared(store, first) for _ in range(5))) == [""] * 5
    assert (first / ".folder").stat().st_mode & 0o077 == 0
    assert "is not the folder" in await why_unshared(store, second)
    second.rename(tmp_path / "third")
    (tmp_path / "mounted").symlink_to(first)
    assert await why_unshared(store, tmp_path / "mounted") == ""
    (tmp_path / "file").touch()
    assert "cannot be used" in await why_unshared(store, tmp_path / "file")
    await store.aclose()
