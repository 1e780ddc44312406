"""A request as the positional list that a function of a Gradio app takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamInvalid
from aldgate.core.generation import Generation, Input
from aldgate.engines.gradio.app import GradioApp, Parameter
from aldgate.engines.gradio.section import GradioSection, Place

FIELDS = tuple(field for field in Generation.__struct_fields__ if field not in ("operation", "options", "hints", "inputs"))
ROLES = ("image", "mask", "audio", "video", "mesh", "file")
MOST_SEED = 2**32 - 1
"""The highest that NumPy's generators take, which most apps seed with it."""


def check_section(name: str, section: GradioSection) -> None:
    """See that the table can be used.

    Raises:
        ConfigError: Something is missing, or goes nowhere.
    """
    if not section.operations or section.endpoint == "":
        raise ConfigError(f"[engines.{name}] names no operation or no endpoint", hint="set `operations` and `endpoint`")
    for field in section.arguments:
        if field not in (*FIELDS, *ROLES):
            raise ConfigError(
                f"[engines.{name}] arguments: `{field}` is nothing a request has", hint=", ".join((*FIELDS, *ROLES))
            )


class Filled(msgspec.Struct):
    """Values by the parameters' positions, and the files that go where a value is still to be uploaded.

    Attributes:
        values: As they go over the wire, once each of `files` has taken its place.
        files: By place in `values`.
        seed: The one that is used, where the function takes one.
    """

    values: list[Any]
    files: dict[int, Input]
    seed: int | None


def fill(app: GradioApp, section: GradioSection, asked: Generation, seed: int) -> Filled:
    """What the function is to be called with.

    Args:
        app: See `GradioApp`.
        section: What goes where.
        asked: The request.
        seed: Used where the request has none and the function takes one.

    Raises:
        InvalidRequest: The request has what the function does not take.
        ModelNotFound: It asks for a model that is none of its choices.
        UpstreamInvalid: The app is another than the table was written for.
    """
    given = dict(_given(asked, section))
    if "seed" in section.arguments:
        given.setdefault("seed", seed)
    values: dict[int, Any] = {}
    files: dict[int, Input] = {}
    for place, value in section.constants.items():
        values[_slot(app, place)] = value
    for place, value in _options(asked, section):
        at = _slot(app, place)
        values[at] = _fitting(_at(app, at), value, f"options.{place}")
    for field, value in given.items():
        at = _slot(app, section.arguments[field])
        if isinstance(value, Input):
            files[at] = value
        else:
            values[at] = _fitting(_at(app, at), value, field)
    filled = [_value(at, slot, values, files) for at, slot in enumerate(app.slots)]
    return Filled(filled, files, given.get("seed"))


def _at(app: GradioApp, at: int) -> Parameter:
    parameter = app.slots[at]
    assert parameter is not None
    return parameter


def _given(asked: Generation, section: GradioSection) -> Iterator[tuple[str, Any]]:
    """What the request has, each of it taken somewhere."""
    for field in FIELDS:
        value = getattr(asked, field)
        if value in (None, "") or (field == "count" and value == 1 and field not in section.arguments):
            continue
        if field in section.arguments:
            yield field, value
        elif field == "model" and value in (section.models or ()):
            continue
        elif field == "model":
            raise ModelNotFound(f"This engine has no model `{value}`.", param="model")
        elif not (field == "format" and section.makes and str(value).lower() == section.makes.lower()):
            raise InvalidRequest(f"This engine does not take `{field}`.", param=field)
    for each in asked.inputs:
        if each.role not in section.arguments:
            raise InvalidRequest(f"This engine takes no input `{each.role}`.", param=each.role)
        yield each.role, each
    roles = [each.role for each in asked.inputs]
    if len(set(roles)) < len(roles):
        raise InvalidRequest("This engine takes one input of each kind.", param=roles[0])


def _options(asked: Generation, section: GradioSection) -> Iterator[tuple[str, Any]]:
    for name, value in asked.options.items():
        if name not in section.options:
            raise InvalidRequest(f"This engine has no option `{name}`.", param=f"options.{name}")
        if not isinstance(value, str | int | float | bool | None):  # an object could name a file of the server
            raise InvalidRequest(f"`options.{name}` must be a text, a number or a truth value.", param=f"options.{name}")
        yield name, value


def _slot(app: GradioApp, place: Place) -> int:
    parameter = app.find(place)
    if parameter is None:
        known = ", ".join(each.name or each.label for each in app.parameters)
        raise UpstreamInvalid(f"The function `{app.api_name or app.function}` has no parameter `{place}`; it has {known}.")
    return next(at for at, slot in enumerate(app.slots) if slot is parameter)


def _fitting(parameter: Parameter, value: Any, field: str) -> Any:
    """The value in the type that the parameter takes."""
    match parameter.schema.get("type"):
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            value = f"{value:g}" if isinstance(value, float) else str(value)
        case "integer" | "number" if isinstance(value, float) and value.is_integer():
            value = int(value)
        case _:
            pass
    if parameter.choices and value not in parameter.choices:
        kind = ModelNotFound if field == "model" else InvalidRequest
        raise kind(f"`{field}` must be one of {', '.join(map(str, parameter.choices))}.", param=field)
    if isinstance(value, int | float) and not isinstance(value, bool) and field != "seed":
        _check_range(parameter, value, field)
    return value


def _check_range(parameter: Parameter, value: float, field: str) -> None:
    for bound, is_over, word in (
        (parameter.least, parameter.least is not None and value < parameter.least, "at least"),
        (parameter.most, parameter.most is not None and value > parameter.most, "at most"),
    ):
        if is_over:
            raise InvalidRequest(f"`{field}` must be {word} {bound:g} here.", param=field)


def _value(at: int, slot: Parameter | None, values: Mapping[int, Any], files: Mapping[int, Input]) -> Any:
    if slot is None or at in files:
        return None
    if at in values:
        return values[at]
    if slot.default is not None or slot.is_file:
        return slot.default
    match slot.schema.get("type"):
        case "string":
            return ""
        case "boolean":
            return False
        case "array":
            return []
        case _ if slot.component == "textbox":
            return ""
        case _ if slot.component in ("dropdown", "radio"):
            return None
        case _:
            what = slot.name or slot.label or at
            raise UpstreamInvalid(f"The function wants `{what}`, which the engine's `arguments` and `constants` do not have.")
