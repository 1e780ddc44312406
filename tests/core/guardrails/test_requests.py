import base64

import pytest

from aldgate.core.conversation import Conversation, Media, Message, Opaque, Reasoning, Refusal, Text, Tool, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.core.guardrails.requests import rewrite, texts_of
from aldgate.core.operations import CompletionRequest, EmbedRequest, ModerationRequest, RerankRequest


def document(text: str, media_type: str = "text/plain") -> Media:
    return Media("document", media_type, base64.b64encode(text.encode()).decode())


def conversation() -> Conversation:
    signed = Reasoning("t6", "signature", None, "anthropic")
    return Conversation(
        "openai",
        [
            Message("system", [Text("t0")]),
            Message("user", [Text("t1"), document("t2"), document("%PDF", "application/pdf"), Media("image", url="https://h/t")]),
            Message("assistant", [Reasoning("t3"), Refusal("t4"), ToolCall("id", "look", '{"k":"t5"}'), signed]),
            Message("assistant", [ToolCall("id2", "write", "t7", is_custom=True)]),
            Message("tool", [ToolResult("id", [Text("t8"), document("t9")])]),
            Message("user", [Opaque("openai", "item", {"type": "ta", "more": ["tb", 1, None]})]),
        ],
        tools=[Tool("look", "tc", {"description": "not looked at"})],
        user="td",
        metadata={"name": "te"},
        others={"prediction": {"content": "tf"}},
    )


def test_every_text_of_a_conversation_is_seen() -> None:
    seen = texts_of(conversation())
    assert seen == ["t0", "t1", "t2", "t3", "t4", "k", "t5", "t6", "t7", "t8", "t9", "ta", "tb", "tc", "td", "te", "tf"]


def test_every_text_can_be_changed() -> None:
    asked = conversation()
    rewrite(asked, str.upper)
    changed = conversation()
    rewrite(changed, lambda text: text)
    assert texts_of(asked) == [text.upper() for text in texts_of(changed) if text != "t6"]
    assert asked.messages[2].parts[-1] == ToolCall("id", "look", '{"K":"T5"}'), "a signed thought that changed is left out"
    assert asked.messages[1].parts[2:] == conversation().messages[1].parts[2:]


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        (EmbedRequest("openai", ["a", "b"], user="c"), ["a", "b", "c"]),
        (RerankRequest("rerank", "a", ["b", "c"]), ["a", "b", "c"]),
        (CompletionRequest("openai", "a", "b", None, {"user": "c"}), ["a", "b", "c"]),
        (
            ModerationRequest("openai", ["a", {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "d"}}]),
            ["a", "b"],
        ),
    ],
)
def test_every_text_of_other_requests_is_seen_and_can_be_changed(asked: EmbedRequest, texts: list[str]) -> None:
    assert texts_of(asked) == texts
    rewrite(asked, str.upper)
    assert texts_of(asked) == [text.upper() for text in texts]


def test_token_ids_cannot_be_read() -> None:
    with pytest.raises(InvalidRequest, match="token ids"):
        texts_of(EmbedRequest("openai", [[1, 2]]))


def test_a_document_that_is_no_text_after_all_is_left() -> None:
    broken = Media("document", "text/plain", "no base64!")
    assert texts_of(Conversation("openai", [Message("user", [broken])])) == []
