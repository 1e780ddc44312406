"""A ComfyUI workflow in API format whose inputs have names: read from a file, filled for one generation."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest
from aldgate.core.levels import OPERATIONS, Operation
from aldgate.engines.comfyui.inference import Graph, Place, inferred_inputs, inferred_operation, is_link

_EXPORT = "in ComfyUI use Workflow > Export (API), not Save"
_KEYS = {"workflow", "operation", "inputs", "outputs"}
Value = str | int | float | bool


class Workflow(msgspec.Struct, frozen=True):
    """A graph and where its named inputs go.

    Attributes:
        graph: Node id -> `{class_type, inputs, _meta?}`.
        inputs: Name -> every place that takes its value.
        outputs: Nodes whose files count; empty: all.
    """

    name: str
    operation: Operation
    graph: Graph
    inputs: Mapping[str, tuple[Place, ...]]
    outputs: frozenset[str] = frozenset()

    @property
    def needs_image(self) -> bool:
        """It begins with a picture."""
        return "image" in self.inputs

    def check(self, values: Mapping[str, Any]) -> None:
        """See that it has an input for each value.

        Raises:
            InvalidRequest: It has none of that name, or the value is no text, number or truth value.
        """
        for name, value in values.items():
            if name not in self.inputs:
                known = ", ".join(sorted(self.inputs))
                raise InvalidRequest(f"The workflow `{self.name}` has no input `{name}`; it has {known}.", param=name)
            if not isinstance(value, Value):
                raise InvalidRequest(f"`{name}` must be a text, a number or a truth value.", param=name)

    def filled(self, values: Mapping[str, Value], tag: str) -> Graph:
        """The graph with these values, and `tag` in the names of its files, so that no run is answered with an older one's."""
        graph = copy.deepcopy(self.graph)
        for name, value in values.items():
            for node, field in self.inputs[name]:
                graph[node]["inputs"][field] = value
        for node in graph.values():
            prefix = node["inputs"].get("filename_prefix")
            if isinstance(prefix, str):
                node["inputs"]["filename_prefix"] = f"{prefix or 'aldgate'}-{tag}"
        return graph


def read_workflow(name: str, text: bytes) -> Workflow:
    """A workflow from its file: ComfyUI's API export as it is, or `{workflow, operation?, inputs?, outputs?}` around one.

    Of a bare export the inputs are found by what nodes are and how they are titled; `inputs` says them where that is not enough,
    as `name: "node id or title.input"`, a list of these, or null for an input that is not to be had.

    Raises:
        ConfigError: It is something else, such as what the editor saves.
    """
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"the workflow `{name}` is no JSON: {error}", hint=_EXPORT) from None
    if not isinstance(document, dict):
        raise ConfigError(f"the workflow `{name}` is no object", hint=_EXPORT)
    fields = cast("dict[str, Any]", document)
    is_wrapped = isinstance(fields.get("workflow"), dict) and "class_type" not in fields["workflow"]
    if is_wrapped and (unknown := sorted(fields.keys() - _KEYS)):
        raise ConfigError(
            f"the workflow `{name}` has an unknown key `{unknown[0]}`", hint=f"it may have {', '.join(sorted(_KEYS))}"
        )
    graph = _graph(name, fields["workflow"] if is_wrapped else fields)
    return _workflow(name, graph, fields if is_wrapped else {})


def _workflow(name: str, graph: Graph, said: Mapping[str, Any]) -> Workflow:
    operation = said.get("operation") or inferred_operation(graph)
    if operation not in OPERATIONS:
        raise ConfigError(f"the workflow `{name}` makes `{operation}`", hint=f"operations are {', '.join(sorted(OPERATIONS))}")
    inputs = dict(inferred_inputs(graph))
    for wanted, places in cast("dict[str, Any]", said.get("inputs") or {}).items():
        if places is None:
            inputs.pop(wanted, None)
        else:
            inputs[wanted] = tuple(_place(name, graph, each) for each in ([places] if isinstance(places, str) else places))
    outputs = frozenset(_node(name, graph, str(each)) for each in said.get("outputs") or ())
    return Workflow(name, operation, graph, inputs, outputs)


def _graph(name: str, value: Any) -> Graph:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"the workflow `{name}` has no nodes", hint=_EXPORT)
    graph = cast("dict[str, Any]", value)
    if isinstance(graph.get("nodes"), list):
        raise ConfigError(f"the workflow `{name}` is what the editor saves, which cannot be run", hint=_EXPORT)
    for node, content in graph.items():
        if not _is_node(content):
            raise ConfigError(f"the workflow `{name}`: `{node}` is no node of the API format", hint=_EXPORT)
    return graph


def _is_node(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    fields = cast("dict[str, Any]", content)
    return isinstance(fields.get("class_type"), str) and isinstance(fields.get("inputs"), dict)


def _place(name: str, graph: Graph, text: Any) -> Place:
    node, dot, field = str(text).rpartition(".")
    if not dot:
        raise ConfigError(f"the workflow `{name}`: `{text}` names no input", hint="write `node id or title.input`")
    found = _node(name, graph, node)
    inputs = graph[found]["inputs"]
    if field not in inputs or is_link(inputs[field]):
        free = ", ".join(sorted(key for key, value in inputs.items() if not is_link(value)))
        raise ConfigError(f"the workflow `{name}`: `{node}` has no free input `{field}`", hint=f"it has {free or 'none'}")
    return found, field


def _node(name: str, graph: Graph, wanted: str) -> str:
    if wanted in graph:
        return wanted
    titled = list(_titled(graph, wanted))
    if len(titled) != 1:
        count = "no node" if not titled else f"{len(titled)} nodes"
        raise ConfigError(f"the workflow `{name}`: {count} with the id or title `{wanted}`", hint="titles are in `_meta.title`")
    return titled[0]


def _titled(graph: Graph, title: str) -> Iterator[str]:
    return (node for node, content in graph.items() if content.get("_meta", {}).get("title") == title)
