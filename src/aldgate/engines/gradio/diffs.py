"""Changes to a value, as Gradio sends them from its protocol `sse_v2` on instead of the whole value.

Each is `[operation, path, value]`; the path leads from the value inwards by keys and positions. Source: `apply_diff` in
https://github.com/gradio-app/gradio/blob/main/client/python/gradio_client/utils.py.
"""

from typing import Any, cast

from aldgate.core.errors import UpstreamInvalid


def apply_changes(value: Any, changes: Any) -> Any:
    """The value after the changes. What was given is not touched.

    Raises:
        UpstreamInvalid: They are no changes of this value.
    """
    try:
        for operation, path, new in changes:
            value = _changed(value, operation, list(path), new)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):
        raise UpstreamInvalid("The Gradio app of this engine sent a change to something that it never sent.") from None
    return value


def _changed(value: Any, operation: str, path: list[Any], new: Any) -> Any:
    if path:
        return _inside(value, operation, path, new)
    match operation:
        case "replace":
            return new
        case "append":
            return value + new
        case _:
            raise ValueError(operation)


def _inside(value: Any, operation: str, path: list[Any], new: Any) -> Any:
    at, *rest = path
    copy: Any = value.copy()
    if rest:
        copy[at] = _changed(value[at], operation, rest, new)
    elif operation == "add" and isinstance(copy, list):
        cast("list[Any]", copy).insert(int(at), new)
    elif operation == "delete":
        del copy[at]
    elif operation in ("add", "replace"):
        copy[at] = new
    else:
        copy[at] = _changed(value[at], operation, [], new)
    return cast("Any", copy)
