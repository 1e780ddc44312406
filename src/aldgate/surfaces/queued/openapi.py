"""The paths of the job queue, as the OpenAPI document tells of them."""

from __future__ import annotations

from aldgate.surfaces.http.envelope import Envelope
from aldgate.surfaces.http.openapi import CALL_ERRORS, LOOK_ERRORS, Path
from aldgate.surfaces.queued.face import MAKES
from aldgate.surfaces.queued.requests import TextWanted

_SUMMARIES = ("Begin a picture", "Begin a film", "Begin a sound", "Begin music", "Begin speech")

PATHS = (
    *(
        Path("post", path, summary, kind, Envelope, errors=CALL_ERRORS, tag="queue")
        for (path, kind), summary in zip(MAKES, _SUMMARIES, strict=True)
    ),
    Path("post", "/llm/generate", "Begin an answer to a prompt", TextWanted, Envelope, errors=CALL_ERRORS, tag="queue"),
    Path("get", "/llm/models", "List models that write", None, Envelope, errors=LOOK_ERRORS, tag="queue"),
    Path("get", "/jobs", "List jobs", None, Envelope, errors=LOOK_ERRORS, query=("skip", "limit"), tag="queue"),
    Path("get", "/jobs/{id}", "Show a job", None, Envelope, errors=LOOK_ERRORS, tag="queue"),
    Path("delete", "/jobs/{id}", "Have a job stopped", None, Envelope, errors=LOOK_ERRORS, tag="queue"),
)
