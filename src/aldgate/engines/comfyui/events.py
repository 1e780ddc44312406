"""What ComfyUI tells over its socket of one prompt: https://github.com/comfyanonymous/ComfyUI, `server.py` and `protocol.py`."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from aldgate.core.generation import Preview, Progress
from aldgate.engines.comfyui.inference import Graph

FIRST_WORDS = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}'
"""Must be the first message on the socket: from then on previews name the prompt they are of."""
_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_PICTURES = {1: "image/jpeg", 2: "image/png"}
_ENDS = {"execution_error", "execution_interrupted", "execution_success"}


class Tracker:
    """How far a prompt is, from what the socket says. What it says of other prompts is passed over.

    Attributes:
        has_ended: The prompt has left the queue.
    """

    def __init__(self, prompt_id: str, graph: Graph) -> None:
        self.prompt_id = prompt_id
        self.has_ended = False
        self._titles = {node: _title(content) for node, content in graph.items()}
        self._weights = {node: _weight(content) for node, content in graph.items()}
        self._done: set[str] = set()
        self._node: str | None = None
        self._part = 0.0
        self._fraction = 0.0
        self._is_ours = False

    def text(self, message: str) -> Progress | None:
        """Take in a text frame; the progress it tells of, if any."""
        try:
            event = msgspec.json.decode(message)
        except msgspec.DecodeError:
            return None
        if not isinstance(event, dict):
            return None
        kind, data = cast("dict[str, Any]", event).get("type"), cast("dict[str, Any]", event).get("data")
        if not isinstance(data, dict):
            return None
        return self._told(str(kind), cast("dict[str, Any]", data))

    def binary(self, message: bytes) -> Progress | None:
        """Take in a binary frame; the preview it holds, if it is of this prompt."""
        if len(message) < 8:
            return None
        kind, second = int.from_bytes(message[:4], "big"), int.from_bytes(message[4:8], "big")
        if kind == _PREVIEW and self._is_ours and second in _PICTURES:
            return self._progress(preview=Preview(_PICTURES[second], message[8:]))
        if kind == _PREVIEW_WITH_METADATA:
            return self._described(message[8 : 8 + second], message[8 + second :])
        return None

    def _described(self, described: bytes, picture: bytes) -> Progress | None:
        try:
            facts = msgspec.json.decode(described, type=dict[str, Any])
        except msgspec.MsgspecError:
            return None
        if facts.get("prompt_id") != self.prompt_id:
            return None
        return self._progress(preview=Preview(str(facts.get("image_type", "image/jpeg")), picture))

    def _told(self, kind: str, data: dict[str, Any]) -> Progress | None:
        if data.get("prompt_id") != self.prompt_id:
            self._is_ours = self._is_ours and kind != "executing"
            return None
        if kind in _ENDS or (kind == "executing" and data.get("node") is None):
            self.has_ended = True
            return None
        if kind == "execution_cached":
            self._done |= {str(node) for node in data.get("nodes") or ()}
            return self._progress()
        if kind == "executing":
            return self._begun(str(data["node"]))
        if kind == "progress":
            return self._stepped(data)
        return None

    def _begun(self, node: str) -> Progress:
        if self._node is not None and self._node != node:
            self._done.add(self._node)
        self._node, self._part, self._is_ours = node, 0.0, True
        return self._progress(message=self._titles.get(node, ""))

    def _stepped(self, data: dict[str, Any]) -> Progress | None:
        value, most = data.get("value"), data.get("max")
        if not isinstance(value, int | float) or not isinstance(most, int | float) or most <= 0:
            return None
        node = str(data.get("node") or self._node)
        if node != self._node:
            self._begun(node)
        self._part = min(max(value / most, 0.0), 1.0)
        return self._progress(step=int(value), steps=int(most), message=self._titles.get(node, ""))

    def _progress(
        self, *, step: int | None = None, steps: int | None = None, message: str = "", preview: Preview | None = None
    ) -> Progress:
        total = sum(self._weights.values()) or 1.0
        done = sum(self._weights.get(node, 0.0) for node in self._done - {self._node})
        under_way = self._weights.get(self._node or "", 0.0) * self._part
        self._fraction = min(max(self._fraction, (done + under_way) / total), 1.0)
        return Progress(fraction=self._fraction, step=step, steps=steps, message=message, preview=preview)


def _title(node: dict[str, Any]) -> str:
    return str(node.get("_meta", {}).get("title") or node["class_type"])


def _weight(node: dict[str, Any]) -> float:
    """What a node counts in the whole: samplers as much as their steps, everything else as one."""
    steps = node["inputs"].get("steps")
    return float(steps) if isinstance(steps, int) and steps > 0 else 1.0
