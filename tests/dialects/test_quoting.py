from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamAuth, UpstreamError
from aldgate.dialects.anthropic import errors as anthropic
from aldgate.dialects.cohere import errors as cohere
from aldgate.dialects.converse import errors as converse
from aldgate.dialects.gemini import errors as gemini
from aldgate.dialects.ollama import errors as ollama
from aldgate.dialects.openai import errors as openai
from aldgate.dialects.quoting import MOST_CHARACTERS, quoted, saying
from aldgate.dialects.responses import errors as responses


def test_a_plain_failure_tells_the_providers_words() -> None:
    bare = "The provider failed with status 502."
    assert saying(UpstreamError(bare), "CUDA out of memory").message == "The provider failed: CUDA out of memory"
    assert saying(UpstreamError(bare), " \n").message == saying(UpstreamError(bare), None).message == bare
    assert saying(UpstreamAuth("ask its operator"), "bad key").message == "ask its operator"


FAILING: list[Callable[[str], UpstreamError]] = [
    lambda said: openai.error_in_reply(openai.ErrorBody(said, "server_error", code="server_error")),
    lambda said: anthropic.error_in_reply(anthropic.ErrorBody("api_error", said)),
    lambda said: gemini.error_in_reply(gemini.Status(500, said, "INTERNAL")),
    lambda said: responses.failure_of(openai.ErrorBody(said, code="server_error")),
    lambda said: converse.error_in_stream("modelStreamErrorException", said),
    lambda said: ollama.error_in_stream(msgspec.json.encode({"error": said})) or UpstreamError(""),
    cohere.gave_up,
]


@pytest.mark.parametrize("failing", FAILING)
def test_every_dialect_tells_what_was_said_in_the_middle(failing: Callable[[str], UpstreamError]) -> None:
    error = failing("GPU 3 fell off the bus, sk-S3CRETS3CRET")
    assert "GPU 3 fell off the bus, ***" in error.message


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect key sk-proj-S3CRETS3CRET given",
        "sent Authorization: Bearer S3CRETS3CRET",
        "key=AIzaS3CRETS3CRETS3CRET",
        "GET https://u:S3CRET@host/v1?api_key=S3CRET&x=1 failed",
        "token eyJS3CRETS3CRETS3CRET.abc.def is stale",
    ],
)
def test_credentials_are_hidden(said: str) -> None:
    assert "S3CRET" not in quoted(said) and "***" in quoted(said)


def test_ids_and_numbers_that_help_stay() -> None:
    assert quoted("request req_011CSHoEeqs5C35K2UUqR7Fy took 30.5 s") == "request req_011CSHoEeqs5C35K2UUqR7Fy took 30.5 s"


@given(st.text(max_size=2_000))
def test_it_is_one_short_line(said: str) -> None:
    words = quoted(said)
    assert len(words) <= MOST_CHARACTERS and len(words.splitlines()) <= 1
