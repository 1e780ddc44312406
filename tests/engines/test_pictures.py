from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.engines.pictures import check_format, mime_of, save_picture, size_of, without_words
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


async def test_what_is_no_picture_is_refused() -> None:
    for data in (b"hello", png()[:20]):
        with pytest.raises(UpstreamInvalid):
            await save_picture(RecordedRun(), data, name="fox")
        with pytest.raises(InvalidRequest):
            await size_of(data)
    with pytest.raises(InvalidRequest):
        check_format("tiff")
