"""The paths of models, as the OpenAPI document tells of them."""

from __future__ import annotations

from aldgate.dialects.openai import types
from aldgate.surfaces.http.openapi import Path

PATHS = (
    Path(
        "get",
        "/v1/models",
        "List models",
        None,
        types.ModelList,
        errors=(400, 401, 403, 429, 503),
        query=("modality", "limit", "cursor"),
    ),
    Path("get", "/v1/models/{model}", "Show one model; ids may contain slashes", None, types.Model, errors=(401, 403, 404, 503)),
)
