"""The paths of files, artifacts and batches, as the OpenAPI document tells of them."""

from __future__ import annotations

from aldgate.dialects.generate.replies import GenerateReply
from aldgate.dialects.generate.requests import GenerateRequest
from aldgate.surfaces.http.openapi import CALL_ERRORS, CHANGE_ERRORS, LOOK_ERRORS, Path
from aldgate.surfaces.jobs.batches import BatchRequest
from aldgate.surfaces.jobs.files import FileForm
from aldgate.surfaces.jobs.image_answers import ImageReply
from aldgate.surfaces.jobs.image_requests import EditForm, EditRequest, ImageRequest, VariationForm
from aldgate.surfaces.jobs.native import JobRequest
from aldgate.surfaces.jobs.speech import SpeechRequest
from aldgate.surfaces.jobs.transcription_form import TranscriptionForm, TranslationForm
from aldgate.surfaces.jobs.video_requests import RemixRequest, VideoForm, VideoRequest
from aldgate.surfaces.jobs.webhooks import WebhookSecret

PATHS = (
    Path(
        "post",
        "/v1/files",
        "Keep a file",
        FileForm,
        errors=(400, 401, 403, 413, 415, 503),
        tag="batches",
        content="multipart/form-data",
    ),
    Path("get", "/v1/files", "List files", errors=LOOK_ERRORS, query=("purpose", "limit", "order", "after"), tag="batches"),
    Path("get", "/v1/files/{id}", "Show a file", errors=LOOK_ERRORS, tag="batches"),
    Path("delete", "/v1/files/{id}", "Delete a file", errors=LOOK_ERRORS, tag="batches"),
    Path("get", "/v1/files/{id}/content", "Read a file", errors=LOOK_ERRORS, tag="batches"),
    Path(
        "post",
        "/v1/artifacts",
        "Keep a picture, film, sound or mesh",
        bytes,
        status=201,
        errors=(400, 401, 403, 413, 415, 503),
        query=("name",),
        tag="artifacts",
        content="application/octet-stream",
    ),
    Path("get", "/v1/artifacts", "List artifacts", errors=LOOK_ERRORS, query=("limit", "after"), tag="artifacts"),
    Path(
        "get",
        "/v1/artifacts/{id}",
        "Read an artifact, or parts of it",
        errors=(*LOOK_ERRORS, 416),
        query=("expires", "signature", "download"),
        tag="artifacts",
    ),
    Path("head", "/v1/artifacts/{id}", "What reading it would give", errors=LOOK_ERRORS, tag="artifacts"),
    Path("delete", "/v1/artifacts/{id}", "Delete an artifact", errors=(*LOOK_ERRORS, 409), tag="artifacts"),
    Path("get", "/v1/artifacts/{id}/metadata", "Show what is known of an artifact", errors=LOOK_ERRORS, tag="artifacts"),
    Path(
        "post",
        "/v1/generate",
        "Make a text, a picture or a mesh",
        GenerateRequest,
        GenerateReply,
        errors=CALL_ERRORS,
        tag="generate",
    ),
    Path("post", "/v1/images/generations", "Make pictures", ImageRequest, ImageReply, errors=CALL_ERRORS, tag="jobs"),
    Path(
        "post",
        "/v1/images/edits",
        "Make pictures of other pictures",
        EditForm,
        ImageReply,
        errors=CALL_ERRORS,
        tag="jobs",
        content="multipart/form-data",
        as_json=EditRequest,
    ),
    Path(
        "post",
        "/v1/images/variations",
        "Make pictures like another",
        VariationForm,
        ImageReply,
        errors=CALL_ERRORS,
        tag="jobs",
        content="multipart/form-data",
    ),
    Path(
        "get",
        "/ui/images/{name}",
        "Read a picture by its link",
        errors=(403, 404),
        query=("expires", "signature"),
        is_open=True,
        tag="people",
    ),
    Path("post", "/v1/audio/speech", "Say something", SpeechRequest, errors=CALL_ERRORS, tag="jobs"),
    Path(
        "get",
        "/v1/jobs",
        "List jobs",
        errors=LOOK_ERRORS,
        query=("state", "operation", "engine", "parent", "limit", "after"),
        tag="jobs",
    ),
    Path("post", "/v1/jobs", "Have something made", JobRequest, status=202, errors=CALL_ERRORS, tag="jobs"),
    *(
        Path("post", f"/v1/audio/{name}", summary, form, errors=CALL_ERRORS, tag="jobs", content="multipart/form-data")
        for name, summary, form in (
            ("transcriptions", "Write down what is said", TranscriptionForm),
            ("translations", "Write down in English what is said", TranslationForm),
        )
    ),
    Path(
        "post",
        "/v1/videos",
        "Make a film",
        VideoForm,
        errors=CALL_ERRORS,
        tag="jobs",
        content="multipart/form-data",
        as_json=VideoRequest,
    ),
    Path("get", "/v1/videos", "List films", errors=LOOK_ERRORS, query=("limit", "after", "order"), tag="jobs"),
    Path("get", "/v1/videos/{id}", "Show a film", errors=LOOK_ERRORS, tag="jobs"),
    Path("delete", "/v1/videos/{id}", "Delete a film", errors=(*LOOK_ERRORS, 409), tag="jobs"),
    Path(
        "get",
        "/v1/videos/{id}/content",
        "Read a film, or parts of it",
        errors=(*LOOK_ERRORS, 409, 416, 500, 502),
        query=("variant",),
        tag="jobs",
    ),
    Path("post", "/v1/videos/{id}/remix", "Make a film once more", RemixRequest, errors=CALL_ERRORS, tag="jobs"),
    Path("get", "/v1/jobs/{id}", "Show a job, or wait for its end", errors=LOOK_ERRORS, query=("wait",), tag="jobs"),
    Path("delete", "/v1/jobs/{id}", "Have a job stopped", errors=LOOK_ERRORS, tag="jobs"),
    Path("get", "/v1/jobs/{id}/events", "Follow a job as server-sent events", errors=LOOK_ERRORS, query=("after",), tag="jobs"),
    Path("get", "/v1/webhooks/secret", "What your webhooks are signed with", None, WebhookSecret, errors=LOOK_ERRORS, tag="jobs"),
    Path("get", "/v1/jobs/{id}/preview", "The last picture of a job under way", errors=LOOK_ERRORS, tag="jobs"),
    Path("post", "/v1/jobs/{id}/retry", "Make a job once more", status=202, errors=CALL_ERRORS, tag="jobs"),
    Path("post", "/v1/batches", "Make the calls of a file", BatchRequest, errors=(*CHANGE_ERRORS, 409, 429), tag="batches"),
    Path("get", "/v1/batches", "List batches", errors=LOOK_ERRORS, query=("limit", "after"), tag="batches"),
    Path("get", "/v1/batches/{id}", "Show a batch", errors=LOOK_ERRORS, tag="batches"),
    Path("post", "/v1/batches/{id}/cancel", "Begin no more of its calls", errors=(*LOOK_ERRORS, 409), tag="batches"),
)
