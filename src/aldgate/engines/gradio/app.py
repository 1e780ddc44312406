"""What a Gradio app says of one of its functions, whichever version it is.

Sources: https://www.gradio.app/guides/querying-gradio-apps-with-curl and `Blocks.get_api_info` and `get_config_file` in
https://github.com/gradio-app/gradio/blob/main/gradio/blocks.py (3.50, 4.44, 5.50 and 6.31 read).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from aldgate.core.errors import UpstreamInvalid

Protocol = Literal["ws", "sse"]
_NOT_IN_API = {"state", "button", "downloadbutton", "uploadbutton", "set"}
"""Components of Gradio 3 that no client gives a value."""
FILES = {"image", "audio", "video", "file", "gallery", "model3d", "imageeditor", "uploadbutton"}


class Parameter(msgspec.Struct, frozen=True):
    """One input of the function.

    Attributes:
        name: The function's own word for it; empty in Gradio 3.
        label: What people see.
        component: In lower case: `textbox`, `slider`, `audio` ...
        schema: JSON schema of its values; empty where the app does not say.
        default: What it has before anybody touches it; None: nothing.
        least: Lowest number that it takes, and `most` the highest.
        choices: The only values it takes; empty: any.
    """

    name: str
    label: str
    component: str
    schema: Mapping[str, Any]
    default: Any
    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def is_file(self) -> bool:
        """It takes what was uploaded."""
        return self.component in FILES


class GradioApp(msgspec.Struct, frozen=True):
    """The app, as far as one function needs it.

    Attributes:
        version: As in `5.49.1`.
        prefix: What its paths begin with.
        protocol: Gradio 3 speaks over a WebSocket, later ones in events.
        function: Its number.
        api_name: Its name, without a slash; empty: it has none.
        is_queued: False only in Gradio 3, where such functions answer at once.
        slots: Its inputs as they go over the wire; None is a place that only the server fills.
        outputs: Its outputs' components, in lower case.
    """

    version: str
    prefix: str
    protocol: Protocol
    function: int
    api_name: str
    is_queued: bool
    slots: tuple[Parameter | None, ...]
    outputs: tuple[str, ...]

    @property
    def parameters(self) -> list[Parameter]:
        """Its inputs as people count them."""
        return [slot for slot in self.slots if slot is not None]

    def find(self, place: str | int) -> Parameter | None:
        """The parameter of that name, label or position."""
        parameters = self.parameters
        if isinstance(place, int) or place.isdecimal():
            return parameters[int(place)] if int(place) < len(parameters) else None
        named = [each for each in parameters if each.name == place]
        return next(iter(named or [each for each in parameters if each.label.lower() == place.lower()]), None)


def prefix_of(config: Mapping[str, Any]) -> str:
    """What the paths of an app begin with: `/gradio_api` from Gradio 5 on."""
    prefix = config.get("api_prefix") or ""
    return prefix if isinstance(prefix, str) else ""


def read_app(name: str, config: Any, info: Any, endpoint: str | int) -> GradioApp:
    """What the app says of its function `endpoint`.

    Args:
        name: The engine's, for messages.
        config: Its answer to `/config`.
        info: Its answer to `/info`; names of parameters stand only there. None where it has none.
        endpoint: The function's name, with or without a slash, or its number.

    Raises:
        UpstreamInvalid: It is no Gradio app, or has no such function.
    """
    try:
        told = msgspec.convert(config, _Config)
        components = {each.id: each for each in told.components}
        number, function = _function(name, told.dependencies, endpoint)
        api_name = function.name
        slots = _slots([components[each] for each in function.inputs], _named(info, api_name))
        outputs = tuple(components[each].kind for each in function.outputs)
    except (msgspec.ValidationError, KeyError):
        raise UpstreamInvalid(f"What answers as the engine `{name}` is no Gradio app.") from None
    protocol: Protocol = "ws" if (told.protocol or ("ws" if told.version.startswith("3.") else "")) == "ws" else "sse"
    is_queued = protocol == "sse" or bool(told.enable_queue if function.queue is None else function.queue)
    return GradioApp(told.version, prefix_of(config), protocol, number, api_name, is_queued, slots, outputs)


class _Component(msgspec.Struct, frozen=True):
    id: int
    type: str = ""
    props: dict[str, Any] = {}
    skip_api: bool | None = None
    api_info: Any = None

    @property
    def kind(self) -> str:
        return (self.type or str(self.props.get("name") or "")).lower()


class _Function(msgspec.Struct, frozen=True):
    id: int | None = None
    api_name: str | bool | None = None
    inputs: list[int] = []
    outputs: list[int] = []
    queue: bool | None = None

    @property
    def name(self) -> str:
        return self.api_name.strip("/") if isinstance(self.api_name, str) else ""


class _Config(msgspec.Struct, frozen=True):
    version: str
    dependencies: list[_Function]
    components: list[_Component]
    protocol: str | None = None
    enable_queue: bool | None = None


class _Told(msgspec.Struct, frozen=True):
    """A parameter in `/info`."""

    parameter_name: str | None = None
    parameter_has_default: bool = False
    parameter_default: Any = None
    label: str | None = None
    type: Any = None


def _function(name: str, functions: list[_Function], endpoint: str | int) -> tuple[int, _Function]:
    wanted = endpoint.strip("/") if isinstance(endpoint, str) else endpoint
    for at, each in enumerate(functions):
        number = at if each.id is None else each.id
        if wanted == (number if isinstance(wanted, int) else each.name):
            return number, each
    names = ", ".join(sorted(f"/{each.name}" for each in functions if each.name))
    raise UpstreamInvalid(f"The Gradio app `{name}` has no function `{endpoint}`; it has {names or 'none with a name'}.")


def _named(info: Any, api_name: str) -> list[_Told]:
    """What `/info` says of the parameters; where it says nothing they have labels and positions."""
    try:
        return msgspec.convert(info["named_endpoints"]["/" + api_name]["parameters"], list[_Told])
    except (KeyError, TypeError, msgspec.ValidationError):
        return []


def _slots(inputs: list[_Component], told: list[_Told]) -> tuple[Parameter | None, ...]:
    shown = [each for each in inputs if not (each.kind in _NOT_IN_API if each.skip_api is None else each.skip_api)]
    named = told if len(told) == len(shown) else [_Told()] * len(shown)
    parameters = {each.id: _parameter(each, said) for each, said in zip(shown, named, strict=True)}
    return tuple(parameters.get(each.id) for each in inputs)


def _parameter(component: _Component, told: _Told) -> Parameter:
    props = component.props
    schema = component.api_info or told.type
    choices = [cast("Any", each)[-1] if isinstance(each, list) else each for each in props.get("choices") or ()]
    return Parameter(
        name=told.parameter_name or "",
        label=str(props.get("label") or told.label or ""),
        component=component.kind,
        schema=cast("dict[str, Any]", schema) if isinstance(schema, dict) else {},
        default=told.parameter_default if told.parameter_has_default else props.get("value"),
        least=_number(props.get("minimum")),
        most=_number(props.get("maximum")),
        choices=() if props.get("allow_custom_value") else tuple(choices),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
