import pytest

from aldgate.core.conversation import Media
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.converse.media import media_block

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"


@pytest.mark.parametrize(
    ("media", "form"),
    [
        (Media("image", "image/jpeg", "/9j/4AAQ"), "jpeg"),
        (Media("image", "image/jpg", "/9j/4AAQ"), "jpeg"),
        (Media("image", "IMAGE/PNG; x=1", PNG), "png"),
        (Media("image", None, PNG), "png"),
        (Media("image", "application/octet-stream", "R0lGODlh"), "gif"),
        (Media("video", "video/3gpp", "AAAA"), "three_gp"),
        (Media("video", None, "AAAA", name="clip.mp4"), "mp4"),
        (Media("audio", "audio/wav", "UklGRg"), "wav"),
    ],
)
def test_bytes_go_under_the_formats_name(media: Media, form: str) -> None:
    assert media_block(media, "messages", set()) == {media.kind: {"format": form, "source": {"bytes": media.data}}}


def test_an_object_in_s3_goes_by_its_address() -> None:
    said = media_block(Media("image", url="s3://bucket/cat.jpg"), "messages", set())
    assert said == {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/cat.jpg"}}}}


def test_documents_have_names_of_their_own_that_bedrock_takes() -> None:
    taken: set[str] = set()
    names = ["Q3_report (final).v2.pdf", "Q3 report (final) v2.pdf", None, None, "\u4f8b\u5b50.pdf", "x" * 300]
    documents = [Media("document", "application/pdf", "JVBERi0", name=name) for name in names]
    said = [media_block(each, "messages", taken)["document"]["name"] for each in documents]
    assert said == ["Q3 report (final) v2", "Q3 report (final) v2 2", "document", "document 2", "document 3", "x" * 190]


@pytest.mark.parametrize(
    ("media", "message"),
    [
        (Media("image", "image/tiff", "SUkq"), "gif, jpeg, png, webp, not as `image/tiff`"),
        (Media("image", None, "SUkq"), "not as `an unnamed type`"),
        (Media("document", "application/zip", "UEsD", name="a.pdf"), "not as `application/zip`"),
        (Media("image", "image/png", url="https://example.com/a.png"), "reads no image from a URL"),
        (Media("document", "application/pdf", file_id="file-1"), "reads no document from a file of another provider"),
    ],
)
def test_what_it_cannot_read_is_refused_by_name(media: Media, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        media_block(media, "messages", set())
    assert message in raised.value.message and raised.value.param == "messages"
