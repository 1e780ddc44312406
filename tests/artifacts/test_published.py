import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from aldgate.artifacts.links import Links
from aldgate.artifacts.published import Published
from aldgate.core.errors import LinkInvalid, NotFound, StoreUnavailable

pytestmark = pytest.mark.anyio
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def parts(path: str) -> tuple[str, str, str]:
    address = urlsplit(path)
    query = parse_qs(address.query)
    return address.path.rpartition("/")[2], query["expires"][0], query["signature"][0]


async def test_a_picture_is_there_as_long_as_its_link(tmp_path: Path) -> None:
    clock = Clock()
    published = Published(tmp_path / "ui", Links(b"secret"), 900.0, clock)
    path = await published.publish(SVG, "image/svg+xml", clock.now + 10_000)
    name, expires, signature = parts(path)
    assert path.startswith("/ui/images/1800000000_") and name.endswith(".svg") and int(expires) == 1_800_000_900
    os.utime(tmp_path / "ui" / name, (clock.now, clock.now))
    found = await published.find(name, expires, signature)
    assert found.path.read_bytes() == SVG and (found.mime, found.size) == ("image/svg+xml", len(SVG))
    for changed in (
        (name, expires, signature + "x"),
        (name, "9" * 11, signature),
        (name.replace("svg", "png"), expires, signature),
    ):
        with pytest.raises(LinkInvalid):
            await published.find(*changed)
    clock.now += 900
    with pytest.raises(LinkInvalid):
        await published.find(name, expires, signature)


async def test_what_is_old_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    clock = Clock()
    published = Published(tmp_path, Links(b"secret"), 900.0, clock)
    first = parts(await published.publish(b"one", "image/png", clock.now + 5))
    (tmp_path / "notes.txt").write_text("mine")
    for each in (tmp_path / first[0], tmp_path / "notes.txt"):
        os.utime(each, (clock.now, clock.now))
    assert int(first[1]) == clock.now + 5  # the artifact ends before the file does
    clock.now += 901
    second = parts(await published.publish(b"two", "image/jpeg", clock.now + 5))
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([second[0], "notes.txt"])
    (tmp_path / second[0]).unlink()
    with pytest.raises(NotFound):
        await published.find(*second)


async def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        await Published(tmp_path / "file", Links(b"secret"), 900.0).publish(b"one", "image/png", 1.0)
