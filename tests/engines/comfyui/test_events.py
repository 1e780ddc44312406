import json
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.generation import Progress
from aldgate.engines.comfyui.events import Tracker

GRAPH: dict[str, dict[str, Any]] = {
    "4": {"class_type": "Loader", "inputs": {}},
    "3": {"class_type": "KSampler", "inputs": {"steps": 18}, "_meta": {"title": "Sampler"}},
    "9": {"class_type": "SaveImage", "inputs": {}},
}


def told(tracker: Tracker, kind: str, **data: Any) -> Progress | None:
    return tracker.text(json.dumps({"type": kind, "data": {"prompt_id": "mine", **data}}))


def test_samplers_weigh_as_much_as_their_steps() -> None:
    tracker = Tracker("mine", GRAPH)
    told(tracker, "execution_cached", nodes=["4"])
    begun = told(tracker, "executing", node="3")
    assert begun is not None
    assert (begun.message, begun.fraction) == ("Sampler", 1 / 20)
    half = told(tracker, "progress", node="3", value=9, max=18)
    assert half is not None
    assert (half.fraction, half.step, half.steps) == (10 / 20, 9, 18)
    saving = told(tracker, "executing", node="9")
    assert saving is not None
    assert (saving.fraction, saving.message) == (19 / 20, "SaveImage")
    assert not tracker.has_ended
    assert told(tracker, "executing", node=None) is None
    assert tracker.has_ended


def test_other_prompts_are_passed_over() -> None:
    tracker = Tracker("mine", GRAPH)
    assert told(tracker, "progress", prompt_id="other", node="3", value=1, max=2) is None
    assert told(tracker, "execution_interrupted", prompt_id="other") is None
    assert told(tracker, "executing", prompt_id="other", node=None) is None
    assert not tracker.has_ended


def test_a_preview_without_a_name_is_ours_while_we_run() -> None:
    tracker = Tracker("mine", GRAPH)
    frame = struct.pack(">II", 1, 1) + b"\xff\xd8jpeg"
    assert tracker.binary(frame) is None
    told(tracker, "executing", node="3")
    shown = tracker.binary(frame)
    assert shown is not None and shown.preview is not None
    assert (shown.preview.mime, shown.preview.data) == ("image/jpeg", b"\xff\xd8jpeg")
    told(tracker, "executing", prompt_id="other", node="3")
    assert tracker.binary(frame) is None


def test_a_preview_with_a_name_is_ours_if_it_says_so() -> None:
    tracker = Tracker("mine", GRAPH)
    for prompt_id, is_shown in (("mine", True), ("other", False)):
        facts = json.dumps({"prompt_id": prompt_id, "image_type": "image/png"}).encode()
        assert (tracker.binary(struct.pack(">II", 4, len(facts)) + facts + b"png") is not None) is is_shown


@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)))
def test_no_text_breaks_it(message: str) -> None:
    assert Tracker("mine", GRAPH).text(message) is None


@given(st.binary(max_size=64))
def test_no_bytes_break_it(message: bytes) -> None:
    assert Tracker("mine", GRAPH).binary(message) is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("executing"), st.fixed_dictionaries({"node": st.sampled_from(["3", "4", "9", "77"])})),
            st.tuples(
                st.just("progress"),
                st.fixed_dictionaries(
                    {"node": st.sampled_from(["3", "4"]), "value": st.integers(-3, 40), "max": st.integers(-1, 20)}
                ),
            ),
            st.tuples(st.just("execution_cached"), st.fixed_dictionaries({"nodes": st.lists(st.sampled_from(["3", "4", "9"]))})),
        )
    )
)
def test_it_never_goes_back(events: list[tuple[str, dict[str, Any]]]) -> None:
    tracker = Tracker("mine", GRAPH)
    fractions = [each.fraction for kind, data in events if (each := told(tracker, kind, **data)) is not None]
    assert all(fraction is not None and 0 <= fraction <= 1 for fraction in fractions)
    assert fractions == sorted(fractions, key=lambda each: each or 0.0)
