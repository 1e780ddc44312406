from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.core.generation import Input
from aldgate.engines.pictures import check_format, examined, mime_of, save_picture, size_of, whitened, without_words
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun


def as_format(name: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (3, 2)).save(written, format=name)
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")]
)
async def test_a_picture_is_known_by_its_first_bytes(name: str, mime: str) -> None:
    assert mime_of(as_format(name)) == mime
    assert await size_of(as_format(name)) == (3, 2)


@given(st.integers(1, 40), st.integers(1, 40), st.text(max_size=50))
def test_words_go_and_the_picture_stays(width: int, height: int, words: str) -> None:
    assert without_words(png(width, height, words=words)) == png(width, height)


@given(st.binary(max_size=80))
def test_no_bytes_break_it(data: bytes) -> None:
    assert without_words(data) == data or data.startswith(b"\x89PNG")
    assert len(without_words(b"\x89PNG\r\n\x1a\n" + data)) <= len(data) + 8


@pytest.mark.parametrize(
    ("asked", "mime"), [(None, "image/png"), ("png", "image/png"), ("JPG", "image/jpeg"), ("webp", "image/webp")]
)
async def test_it_is_saved_in_the_wanted_format(asked: str | None, mime: str) -> None:
    run = RecordedRun()
    await save_picture(run, png(6, 4, words="hush"), name="fox", asked=asked, facts={"seed": 1})
    assert (run.mimes, mime_of(run.files[0].data)) == ([mime], mime)
    assert run.files[0].name == "fox." + mime.rpartition("/")[2].replace("jpeg", "jpg")
    assert run.files[0].facts == {"width": 6, "height": 4, "seed": 1}
    assert b"hush" not in run.files[0].data


async def test_quality_is_of_what_loses_some() -> None:
    noise = BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(noise, "PNG")
    run = RecordedRun()
    for format, quality in (("jpeg", 5), ("jpeg", 95), ("webp", 0), ("webp", 95), ("png", 5)):
        await save_picture(run, noise.getvalue(), name="fox", asked=format, quality=quality)
    sizes = [len(file.data) for file in run.files]
    assert sizes[0] < sizes[1] and sizes[2] < sizes[3] and run.files[4].data == noise.getvalue()
    await save_picture(run, run.files[1].data, name="fox", asked="jpeg", quality=5)
    assert len(run.files[5].data) < sizes[1]


@pytest.mark.parametrize(
    ("mode", "clear", "kept"), [("RGBA", (9, 9, 9, 0), (9, 9, 9, 255)), ("LA", (9, 0), (9, 255)), ("L", 255, 0)]
)
async def test_a_mask_is_white_where_it_was_clear(mode: str, clear: Any, kept: Any) -> None:
    picture = Image.new(mode, (2, 1), kept)
    picture.putpixel((0, 0), clear)
    written = BytesIO()
    picture.save(written, "PNG")
    white = await whitened(Input("mask", "image/png", written.getvalue()))
    with Image.open(BytesIO(white.data)) as told:
        assert [told.convert("L").getpixel((at, 0)) for at in (0, 1)] == [255, 0]
    with pytest.raises(InvalidRequest):
        await whitened(Input("mask", "image/png", b"hello"))


async def test_a_picture_is_read_to_its_end() -> None:
    assert await examined(png(6, 4), "image", 24) == (6, 4, False)
    for data, most in ((png(6, 4), 23), (png(60, 40)[:-30], 10_000), (b"hello", 100)):
        with pytest.raises(InvalidRequest) as refused:
            await examined(data, "mask", most)
        assert refused.value.param == "mask"


async def test_what_is_no_picture_is_refused() -> None:
    for data in (b"hello", png()[:20]):
        with pytest.raises(UpstreamInvalid):
            await save_picture(RecordedRun(), data, name="fox")
        with pytest.raises(InvalidRequest):
            await size_of(data)
    with pytest.raises(InvalidRequest):
        check_format("tiff")
