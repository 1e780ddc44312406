import json

import pytest

from aldgate.core.conversation import Answer, Conversation, Message, Reasoning, Refusal, Text
from aldgate.core.errors import InvalidRequest, RateLimited
from aldgate.core.usage import Usage
from aldgate.dialects.prompt.dialect import PROMPT

BODY = b'{"prompt": "Hello, world!", "temperature": 0.2, "max_tokens": 7, "provider": "groq", "model": "mixtral"}'


def test_a_prompt_is_a_chat_of_one_message():
    peek = PROMPT.peek("chat", BODY)
    assert (peek.model, peek.cap, peek.stream) == ("groq/mixtral", 7, False)
    assert PROMPT.parse("chat", peek) == Conversation(
        origin="prompt", messages=[Message("user", [Text("Hello, world!")])], max_output_tokens=7, temperature=0.2
    )


def test_what_is_left_out_is_as_documented():
    peek = PROMPT.peek("chat", b'{"prompt": ""}')
    asked = PROMPT.parse("chat", peek)
    assert (peek.model, peek.cap, asked.max_output_tokens, asked.temperature) == ("", 150, 150, 0.7)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "prompt"),
        (b'{"prompt": 1}', "prompt"),
        (b'{"prompt": "a", "temperature": 1.01}', "temperature"),
        (b'{"prompt": "a", "temperature": -1}', "temperature"),
        (b'{"prompt": "a", "max_tokens": 0}', "max_tokens"),
        (b'{"prompt": "a", "model": "a", "model": "b"}', "model"),
        (b'{"prompt": "a", "Provider": "b"}', "provider"),
        (b"[]", None),
    ],
)
def test_what_is_no_prompt_is_refused(body: bytes, param: str | None):
    with pytest.raises(InvalidRequest) as refused:
        PROMPT.peek("chat", body)
    assert refused.value.param == param


def test_the_answer_is_text_alone():
    peek = PROMPT.peek("chat", BODY)
    answer = Answer([Reasoning("hm"), Text("Hello "), Text("there!"), Refusal("")], usage=Usage(3, 9), model="mixtral-8x7b")
    assert json.loads(PROMPT.write("req-1", peek, PROMPT.parse("chat", peek), answer)) == {
        "text": "Hello there!",
        "model": "mixtral",
        "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
    }


def test_an_error_is_a_detail():
    status, headers, body = PROMPT.error(RateLimited("Wait.", retry_after_s=3), "req-1")
    assert status == 429 and dict(headers)[b"retry-after"] == b"3"
    assert json.loads(body) == {"detail": "Wait.", "code": "rate_limit_exceeded"}


def test_nothing_is_streamed_or_passed_through():
    peek = PROMPT.peek("chat", BODY)
    for refused in (lambda: PROMPT.relay("", "chat", peek), lambda: PROMPT.encoder("", peek, PROMPT.parse("chat", peek))):
        with pytest.raises(InvalidRequest):
            refused()
