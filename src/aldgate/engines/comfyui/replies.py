"""What ComfyUI's replies mean: refused prompts, ended ones, and the files they left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from aldgate.core.errors import GatewayError, ModelNotFound, UpstreamInvalid, UpstreamRejected
from aldgate.engines.endings import failed, interrupted

_KEPT = ("output", "temp")
"""Where files lie; what is only shown in the editor (`temp`) counts where nothing was saved."""


class File(msgspec.Struct, frozen=True):
    """A file that a prompt left, as `/view` wants it named."""

    filename: str
    subfolder: str = ""
    type: str = "output"


class NodeError(msgspec.Struct, frozen=True):
    """What is wrong with one input of a node."""

    type: str = ""
    message: str = ""
    details: str = ""
    extra_info: dict[str, Any] = {}


class FaultyNode(msgspec.Struct, frozen=True):
    """A node that did not pass."""

    errors: list[NodeError] = []
    class_type: str = ""


class PromptReply(msgspec.Struct, frozen=True):
    """The reply to `POST /prompt`, whether it took it or not.

    Attributes:
        node_errors: Also in a reply that took the prompt: parts of it were dropped.
    """

    prompt_id: str = ""
    error: NodeError | str | None = None
    node_errors: dict[str, FaultyNode] = {}


def refusal(name: str, reply: PromptReply) -> GatewayError | None:
    """Why a prompt was not taken, or not wholly; None: it was. Of what the caller sent only names of files are repeated."""
    errors = [(node, error) for node in reply.node_errors.values() for error in node.errors]
    for _, error in errors:
        field = str(error.extra_info.get("input_name", ""))
        if error.type == "value_not_in_list" and field.endswith("_name"):
            return ModelNotFound(
                f"The engine `{name}` has no `{error.extra_info.get('received_value')}` ({field}).", param="model"
            )
    if errors:
        said = "; ".join(
            f"{node.class_type}.{error.extra_info.get('input_name', '')}: {error.message}" for node, error in errors[:5]
        )
        return UpstreamRejected(
            f"The engine `{name}` refused the workflow: {said}", upstream_status=400, upstream_code=errors[0][1].type
        )
    if reply.error:
        error = NodeError(message=reply.error) if isinstance(reply.error, str) else reply.error
        said = f"The engine `{name}` refused the workflow: {error.message or error.type}"
        return UpstreamRejected(said, upstream_status=400, upstream_code=error.type or None)
    return None


def ending(name: str, entry: dict[str, Any]) -> GatewayError | None:
    """How a prompt ended that is in the history; None: well."""
    status: dict[str, Any] = entry.get("status") or {}
    if status.get("status_str", "success") == "success":
        return None
    for kind, facts in _messages(status):
        if kind == "execution_interrupted":
            return interrupted(name)
        if kind == "execution_error":
            return failed(name, str(facts.get("exception_message", "")), kind=str(facts.get("exception_type", "")))
    return failed(name, "")


def files_of(name: str, entry: dict[str, Any], outputs: frozenset[str]) -> list[File]:
    """The files that a prompt left, in the order of its nodes.

    Raises:
        UpstreamInvalid: It left none.
    """
    found = list(_files(entry.get("outputs"), outputs))
    for kind in _KEPT:
        if of_kind := [file for file in found if file.type == kind]:
            return of_kind
    raise UpstreamInvalid(f"The engine `{name}` finished without a file.")


def _messages(status: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for message in status.get("messages") or ():
        if isinstance(message, list) and len(cast("list[Any]", message)) == 2:
            kind, facts = cast("list[Any]", message)
            if isinstance(facts, dict):
                yield str(kind), cast("dict[str, Any]", facts)


def _files(nodes: Any, outputs: frozenset[str]) -> Iterator[File]:
    if not isinstance(nodes, dict):
        return
    for node, content in cast("dict[str, Any]", nodes).items():
        if (not outputs or node in outputs) and isinstance(content, dict):
            for entries in cast("dict[str, Any]", content).values():
                yield from _listed(entries)


def _listed(entries: Any) -> Iterator[File]:
    if isinstance(entries, list):
        for entry in cast("list[Any]", entries):
            if isinstance(entry, dict) and isinstance(cast("dict[str, Any]", entry).get("filename"), str):
                yield msgspec.convert(entry, File)
