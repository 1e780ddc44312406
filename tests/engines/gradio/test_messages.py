from typing import Any

import pytest

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import Progress
from aldgate.engines.endings import INTERRUPTED, OUT_OF_MEMORY
from aldgate.engines.gradio.messages import Call


def completed(output: dict[str, Any], success: bool = True) -> dict[str, Any]:
    return {"msg": "process_completed", "output": output, "success": success}


def bar(**told: Any) -> dict[str, Any]:
    return {"msg": "progress", "progress_data": [told]}


def test_values_so_far_are_whole_and_then_changes() -> None:
    call = Call("mine")
    call.take({"msg": "process_generating", "output": {"data": ["so", None, {"path": "/a"}]}})
    call.take({"msg": "process_generating", "output": {"data": [[["append", [], " far"]], [], [["replace", ["path"], "/b"]]]}})
    assert call.values == ["so far", None, {"path": "/b"}]
    call.take({"msg": "process_generating", "output": {"data": [[["replace", [], {"__type__": "update"}]], [], []]}})
    assert call.values == ["so far", None, {"path": "/b"}]
    assert not call.is_done
    call.take(completed({"data": [{"__type__": "update"}, {"__type__": "update", "value": 3}, None]}))
    assert call.values == ["so far", 3, None]
    assert call.is_done


def test_progress_never_goes_back() -> None:
    call = Call("mine")
    told = [call.take(bar(index=index, length=4, progress=None, desc="x")) for index in (1, 3, 2)]
    assert told == [Progress(0.25, 1, 4, "x"), Progress(0.75, 3, 4, "x"), Progress(0.75, 2, 4, "x")]
    assert call.take(bar(progress=0.8)) == Progress(0.8)
    assert call.take(bar(index=3, length=None)) is None
    assert call.take({"msg": "progress", "progress_data": None}) is None


def test_what_it_waits_for_and_says() -> None:
    call = Call("mine")
    assert call.take({"msg": "estimation", "rank": 2, "queue_size": 3}) == Progress(message="2 before it in the app's queue")
    assert call.take({"msg": "log", "log": "loading", "level": "info"}) == Progress(message="loading")
    assert [call.take({"msg": each}) for each in ("process_starts", "heartbeat", "process_streaming", "unheard_of")] == [None] * 4


@pytest.mark.parametrize(
    ("message", "error", "code"),
    [
        (completed({}), UpstreamError, INTERRUPTED),
        (completed({"error": "bad thing", "title": "Error"}, success=False), UpstreamError, None),
        (completed({"error": None}, success=False), UpstreamError, None),
        (completed({"error": "CUDA out of memory"}, success=False), UpstreamOverloaded, OUT_OF_MEMORY),
        (completed({"data": "x"}), UpstreamInvalid, None),
        ({"msg": "queue_full"}, UpstreamOverloaded, None),
        ({"msg": "unexpected_error", "message": "gone"}, UpstreamBroken, None),
        ({"msg": "progress", "progress_data": [{"index": "x"}]}, UpstreamInvalid, None),
        ({"msg": "progress", "progress_data": 7}, UpstreamInvalid, None),
    ],
)
def test_every_bad_end_has_its_error(message: dict[str, Any], error: type[UpstreamError], code: str | None) -> None:
    with pytest.raises(error) as raised:
        Call("mine").take(message)
    assert raised.value.upstream_code == code
    assert "`mine`" in raised.value.message
