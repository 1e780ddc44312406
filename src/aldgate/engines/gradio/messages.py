"""What a Gradio app says while it works on a call, folded into progress and an end.

Messages: https://github.com/gradio-app/gradio/blob/main/gradio/server_messages.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import Progress
from aldgate.engines.endings import failed, interrupted
from aldgate.engines.gradio.diffs import apply_changes

MOST_WORDS = 200


class _Bar(msgspec.Struct, frozen=True):
    """One of several bars, one within the other."""

    index: float | None = None
    length: float | None = None
    progress: float | None = None
    desc: str | None = None


class Call:
    """One call, as its messages tell of it.

    Args:
        name: The engine's.

    Attributes:
        is_done: It has ended well.
        values: The outputs, so far or finally.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._fraction = 0.0
        self._sent: list[Any] = []
        self.is_done = False
        self.values: list[Any] = []

    def take(self, message: Mapping[str, Any]) -> Progress | None:
        """Take in a message. What it tells of how far the call is, if anything.

        Raises:
            UpstreamError: The call failed, or the message is none.
        """
        match message.get("msg"):
            case "estimation":
                return _waiting(message)
            case "progress":
                return self._progress(message.get("progress_data"))
            case "log":
                return Progress(message=str(message.get("log", ""))[:MOST_WORDS])
            case "process_generating":
                self._generating(_output(message))
            case "process_completed":
                self._completed(message)
            case "queue_full":
                raise UpstreamOverloaded(f"The queue of the engine `{self._name}` is full.")
            case "unexpected_error" | "server_stopped":
                raise UpstreamBroken(f"The engine `{self._name}` broke off: {str(message.get('message', ''))[:MOST_WORDS]}")
            case _:
                pass
        return None

    def _progress(self, bars: Any) -> Progress | None:
        """The outermost bar that says how far it is; `progress` of it is null where `index` and `length` are told."""
        try:
            for bar in msgspec.convert(bars or [], list[_Bar]):
                fraction = (
                    bar.index / bar.length if bar.progress is None and bar.index is not None and bar.length else bar.progress
                )
                if fraction is not None:
                    self._fraction = max(self._fraction, min(1.0, fraction))
                    step, steps = (None, None) if bar.index is None or not bar.length else (int(bar.index), int(bar.length))
                    return Progress(self._fraction, step, steps, (bar.desc or "")[:MOST_WORDS])
        except msgspec.ValidationError:
            raise UpstreamInvalid(f"The engine `{self._name}` told progress that is none.") from None
        return None

    def _generating(self, output: Mapping[str, Any]) -> None:
        """Outputs so far: whole the first time, then changes to each."""
        data = output.get("data")
        if not isinstance(data, list):
            return
        given = cast("list[Any]", data)
        if len(self._sent) == len(given) and all(_is_changes(each) for each in given):
            given = [apply_changes(old, new) for old, new in zip(self._sent, given, strict=True)]
        self._sent = given
        self._settle(given)

    def _settle(self, given: list[Any]) -> None:
        known = self.values if len(self.values) == len(given) else [None] * len(given)
        self.values = [_settled(old, new) for old, new in zip(known, given, strict=True)]

    def _completed(self, message: Mapping[str, Any]) -> None:
        output = _output(message)
        if not message.get("success", True):
            raise self._failure(output)
        data = output.get("data")
        if data is None:
            # Whoever is cancelled hears that it went well, and gets nothing.
            raise interrupted(self._name)
        if not isinstance(data, list):
            raise UpstreamInvalid(f"The engine `{self._name}` gave outputs that are no list.")
        self._settle(cast("list[Any]", data))
        self.is_done = True

    def _failure(self, output: Mapping[str, Any]) -> UpstreamError:
        reason = output.get("error")
        if not reason:
            return failed(self._name, "it does not say why; with `show_error=True` in its `launch` it does")
        return failed(self._name, str(reason))


def _waiting(message: Mapping[str, Any]) -> Progress:
    rank = message.get("rank")
    return Progress(message=f"{rank} before it in the app's queue" if isinstance(rank, int) and rank else "in the app's queue")


def _output(message: Mapping[str, Any]) -> Mapping[str, Any]:
    output = message.get("output")
    return cast("Mapping[str, Any]", output) if isinstance(output, dict) else {}


def _is_changes(value: Any) -> bool:
    try:
        msgspec.convert(value, list[tuple[Literal["append", "replace", "add", "delete"], list[str | int], Any]])
    except msgspec.ValidationError:
        return False
    return True


def _settled(old: Any, new: Any) -> Any:
    """A value; one that only changes how its component looks leaves the last one as it was."""
    if isinstance(new, dict) and cast("dict[str, Any]", new).get("__type__") == "update":
        return cast("dict[str, Any]", new).get("value", old)
    return cast("Any", new)
