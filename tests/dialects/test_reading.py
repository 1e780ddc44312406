import msgspec
import pytest

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.reading import read_body


def complaint(body: bytes) -> str:
    with pytest.raises(InvalidRequest) as refused:
        read_body(body, (), msgspec.json.decode)
    return refused.value.message


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (rb'{"a":"\ud800"}', "near the end"),
        (rb'{"a":["\uD9aFx"]} ', "near the end"),
        (rb'{"a":"\ud800 and a good deal more"}', "byte 12"),
        (rb'{"a":"\udc00 and a good deal more"}', "byte 12"),
        (rb'{"a":"\ud800\ud800 and a good deal more"}', "byte 18"),
    ],
)
def test_half_a_character_is_called_so(body: bytes, place: str) -> None:
    said = complaint(body)
    assert "`\\ud800` is half a character" in said and said.endswith(f"({place}).") and "truncated" not in said


@pytest.mark.parametrize("body", [rb'{"a":"\ud83d\ude00', b'{"a":', rb'{"a":"\ud800'])
def test_a_body_that_is_cut_off_is_called_so(body: bytes) -> None:
    assert "truncated" in complaint(body)


def test_a_whole_pair_is_a_character() -> None:
    assert read_body(rb'{"a":"\ud83d\ude00"}', (), msgspec.json.decode) == {"a": "\N{GRINNING FACE}"}
