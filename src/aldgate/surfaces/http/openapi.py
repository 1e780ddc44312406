"""What tells the OpenAPI document of a path. The tables of them stand beside the handlers, as `openapi.py` in each folder."""

from __future__ import annotations

from typing import NamedTuple


class Path(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    summary: str
    request: type | None = None
    reply: type | None = None
    status: int = 200
    errors: tuple[int, ...] = (401, 403, 429, 503)
    query: tuple[str, ...] = ()
    is_open: bool = False
    tag: str = "openai"
    content: str = "application/json"
    """Type of the request's body."""
    as_json: type | None = None
    """What the body may be instead, in JSON."""


CALL_ERRORS = (400, 401, 402, 403, 404, 409, 413, 415, 429, 500, 502, 503, 504)
LOOK_ERRORS = (400, 401, 403, 404, 503)
"""Of what looks something up and takes no body."""
CHANGE_ERRORS = (400, 401, 403, 404, 413, 415, 503)
"""Of what takes a body."""
CONFLICT_ERRORS = (*CHANGE_ERRORS, 409)
"""Of what takes a body that another may have been quicker with."""
