"""What a request needs of a model, read from its bytes in whatever dialect they are, only where there is a choice of models."""

from __future__ import annotations

import re

from aldgate.core.calls import Call
from aldgate.core.choice import Needs
from aldgate.core.rights import EXPECTED_OUTPUT
from aldgate.core.usage import Usage
from aldgate.gate.money.bounds import GENERATES

_MARKS: dict[str, str] = {
    "tools": "tools",
    "functions": "tools",
    "image_url": "vision",
    "input_image": "vision",
    "image": "vision",
    "images": "vision",
    "input_audio": "audio",
    "file": "documents",
    "input_file": "documents",
    "document": "documents",
    "json_schema": "json_schema",
    "responseSchema": "json_schema",
    "responseJsonSchema": "json_schema",
}
"""Keys, and values of `type`, that say what a part or a field is; the dialects agree well enough."""
_MARK = re.compile(rb'"(' + "|".join(_MARKS).encode() + rb')"\s*(?=:\s*[\[{"]|[,}])')
_MIME = re.compile(rb'"(?:mimeType|mime_type|media_type)"\s*:\s*"(image|audio|application/pdf)')
_MIMES = {b"image": "vision", b"audio": "audio", b"application/pdf": "documents"}
_MEDIA = frozenset({"vision", "audio", "documents"})


def needs_of(call: Call, favourite: str) -> Needs:
    """What the call needs. A word in its text may be taken for a field: so this puts models in order, and refuses nothing."""
    if call.operation not in GENERATES:
        return Needs(favourite=favourite)
    body = call.peek.body
    found = {_MARKS[mark.decode()] for mark in _MARK.findall(body)} | {_MIMES[kind] for kind in _MIME.findall(body)}
    output = call.peek.cap or EXPECTED_OUTPUT
    tokens = len(body) // 4
    # Bytes of media are no measure of tokens.
    total = 0 if found & _MEDIA else tokens + output
    return Needs(frozenset(found), total, Usage(input_tokens=tokens, output_tokens=output), favourite)
