"""The paths of responses, as the OpenAPI document tells of them."""

from __future__ import annotations

from aldgate.dialects.responses import types as response_types
from aldgate.surfaces.http.openapi import CALL_ERRORS, LOOK_ERRORS, Path

PATHS = (
    Path(
        "post",
        "/v1/responses",
        "Answer a conversation, and keep it",
        response_types.ResponseRequest,
        response_types.ResponseObject,
        errors=CALL_ERRORS,
    ),
    Path(
        "get",
        "/v1/responses/{response_id}",
        "Show a kept response",
        None,
        response_types.ResponseObject,
        errors=LOOK_ERRORS,
        query=("stream", "starting_after"),
    ),
    Path(
        "delete",
        "/v1/responses/{response_id}",
        "Delete a kept response",
        None,
        response_types.DeletedResponse,
        errors=LOOK_ERRORS,
    ),
    Path(
        "get",
        "/v1/responses/{response_id}/input_items",
        "List what a response was made from",
        None,
        response_types.ItemList,
        errors=LOOK_ERRORS,
        query=("limit", "order", "after"),
    ),
    Path(
        "post",
        "/v1/responses/{response_id}/cancel",
        "Cancel a response that runs in the background",
        None,
        response_types.ResponseObject,
        errors=LOOK_ERRORS,
    ),
    Path(
        "post",
        "/v1/responses/compact",
        "Compact a conversation",
        response_types.CompactionRequest,
        response_types.CompactionObject,
        errors=CALL_ERRORS,
    ),
    Path(
        "post",
        "/v1/responses/input_tokens",
        "Estimate the tokens of an input",
        response_types.InputTokensRequest,
        response_types.InputTokens,
        errors=(*LOOK_ERRORS, 413, 415),
    ),
)
