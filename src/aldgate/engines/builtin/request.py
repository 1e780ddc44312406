"""Decoding a request body, with the field at fault named as OpenAI names it."""

import re
from typing import TypeVar

import msgspec

from aldgate.core.errors import InvalidRequest

T = TypeVar("T")

_FAULT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a request.

    Raises:
        InvalidRequest: Not JSON, or not the shape of this operation; `param` is the field's path.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest("The body is not valid JSON.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def _invalid(fault: str) -> InvalidRequest:
    match = _FAULT.fullmatch(fault)
    what, path = (match["what"], match["path"] or "") if match else (fault, "")
    missing = _MISSING.search(what)
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    # msgspec quotes the value it found, which may be prompt text of any length.
    what = re.sub(r" ['\"].*", "", what, flags=re.DOTALL)
    return InvalidRequest(f"`{path}`: {what}." if path else f"The body is wrong: {what}.", param=path or None)
