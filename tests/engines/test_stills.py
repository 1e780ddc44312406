from io import BytesIO

import av
import pytest
from PIL import Image

from aldgate.core.errors import UpstreamInvalid
from aldgate.engines.stills import spritesheet, thumbnail


def film(frames: int, side: int = 64) -> BytesIO:
    """So many frames, from black to white."""
    written = BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = Image.new("RGB", (side, side), (255 * number // max(1, frames - 1),) * 3)
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    written.seek(0)
    return written


def greys(sheet: bytes, side: int) -> list[int]:
    with Image.open(BytesIO(sheet)) as image:
        size = image.size
        return [
            image.convert("L").getpixel((x + side // 2, y + side // 2))  # pyright: ignore[reportReturnType]
            for y in range(0, size[1], side)
            for x in range(0, size[0], side)
        ]


def test_a_sheet_goes_from_the_beginning_to_the_end() -> None:
    found = greys(spritesheet(film(48)), 64)
    assert len(found) == 12 and found == sorted(found) and found[0] < 10 and found[-1] > 200


def test_a_short_film_leaves_places_empty() -> None:
    found = greys(spritesheet(film(2)), 64)
    assert found[1] > 200 and max(found[2:]) < 10


def test_a_thumbnail_is_small() -> None:
    with Image.open(BytesIO(thumbnail(film(3, 1_024)))) as image:
        assert (image.format, image.size) == ("WEBP", (640, 640))


@pytest.mark.parametrize("data", [b"", b"no film"])
def test_what_is_no_film_is_the_engines_fault(data: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        thumbnail(BytesIO(data))
