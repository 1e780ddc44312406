from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import GatewayError, ModelNotFound, UpstreamInvalid, UpstreamOverloaded, UpstreamRejected
from aldgate.engines.comfyui.replies import File, PromptReply, ending, files_of, refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["filename", "images", "type", "subfolder", "a"]), inner)
    ),
    max_leaves=8,
)


def reply(**fields: Any) -> PromptReply:
    return msgspec.convert(fields, PromptReply)


def node_error(kind: str, field: str, value: Any = "x") -> dict[str, Any]:
    return {"type": kind, "message": "No", "details": "", "extra_info": {"input_name": field, "received_value": value}}


def test_a_prompt_that_was_taken_is_no_refusal() -> None:
    assert refusal("mine", reply(prompt_id="1", number=3, node_errors={})) is None
    assert refusal("mine", reply(prompt_id="1", node_errors=[])) is None


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        (
            {"error": {"type": "no_prompt", "message": "No prompt provided"}, "node_errors": []},
            UpstreamRejected,
            "No prompt provided",
        ),
        ({"error": "something older"}, UpstreamRejected, "something older"),
        (
            {
                "node_errors": {
                    "4": {"errors": [node_error("value_not_in_list", "lora_name", "a.pt")], "class_type": "LoraLoader"}
                }
            },
            ModelNotFound,
            "a.pt",
        ),
        (
            {"node_errors": {"3": {"errors": [node_error("value_not_in_list", "scheduler")], "class_type": "KSampler"}}},
            UpstreamRejected,
            "KSampler.scheduler: No",
        ),
    ],
)
def test_a_refusal_says_why(fields: dict[str, Any], error: type[GatewayError], said: str) -> None:
    refused = refusal("mine", reply(**fields))
    assert type(refused) is error
    assert said in refused.message


def test_how_work_ended() -> None:
    assert ending("mine", {"status": {"status_str": "success", "messages": []}}) is None
    facts = {"exception_type": "torch.cuda.OutOfMemoryError", "exception_message": "Allocation on device"}
    assert isinstance(
        ending("mine", {"status": {"status_str": "error", "messages": [["execution_error", facts]]}}), UpstreamOverloaded
    )
    stopped = ending("mine", {"status": {"status_str": "error", "messages": [["execution_interrupted", {}]]}})
    assert getattr(stopped, "upstream_code", None) == "interrupted"
    assert ending("mine", {"status": {"status_str": "error"}}) is not None


def test_what_was_saved_comes_before_what_was_shown() -> None:
    shown, saved = {"filename": "a.png", "type": "temp"}, {"filename": "b.png", "subfolder": "x", "type": "output"}
    entry = {"outputs": {"1": {"images": [shown], "animated": [True]}, "2": {"gifs": [saved]}}}
    assert files_of("mine", entry, frozenset()) == [File("b.png", "x", "output")]
    assert files_of("mine", entry, frozenset({"1"})) == [File("a.png", "", "temp")]
    with pytest.raises(UpstreamInvalid):
        files_of("mine", entry, frozenset({"3"}))


@given(st.fixed_dictionaries({"outputs": st.dictionaries(st.text(max_size=2), JSON) | JSON, "status": JSON}))
def test_no_history_breaks_it(entry: dict[str, Any]) -> None:
    assert ending("mine", entry) is None or isinstance(ending("mine", entry), GatewayError)
    try:
        assert all(isinstance(file, File) for file in files_of("mine", entry, frozenset()))
    except UpstreamInvalid as error:
        assert "without a file" in error.message
