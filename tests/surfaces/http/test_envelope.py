"""The envelope: every error of the gate has a word there, and the status that the word means."""

import json
from collections.abc import Iterator

import pytest

from aldgate.core.errors import GatewayError, NotFound
from aldgate.surfaces.http.envelope import PLACES, is_enveloped, refused


def errors(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from errors(below)


@pytest.mark.parametrize("kind", sorted(set(errors()), key=lambda kind: kind.__name__))
def test_every_error_has_a_word_and_its_status(kind: type[GatewayError]) -> None:
    status, headers, body = refused("/tts", kind("It failed.", param="text", retry_after_s=7), "req-1")
    said = json.loads(body)
    assert said["success"] is False and said["data"] is None and said["job_id"] is None and said["timestamp"]
    assert said["error"] == {"code": said["error"]["code"], "message": "It failed.", "param": "text"}
    meant = {"SERVICE_UNAVAILABLE": {503}, "JOB_TIMEOUT": {504}, "INVALID_API_KEY": {401}, "INTERNAL_ERROR": {500}}
    assert status in meant.get(said["error"]["code"], {kind.status})
    assert (status == 401) == (said["error"]["code"] == "INVALID_API_KEY")
    named = dict(headers)
    assert named[b"x-request-id"] == b"req-1" and int(named[b"content-length"]) == len(body)
    if status == 429:
        assert (named[b"x-ratelimit-remaining"], named[b"x-ratelimit-reset"]) == (b"0", b"7")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/jobs/x", "JOB_NOT_FOUND"), ("/jobs/ws/jobs/x", "JOB_NOT_FOUND"), ("/ws/jobs/x", "JOB_NOT_FOUND")]
    + [("/generate/x", "HTTP_ERROR"), ("/auth/keys/x", "NOT_FOUND")],
)
def test_what_is_not_there_is_a_job_where_jobs_are(path: str, code: str) -> None:
    status, _, body = refused(path, NotFound("It is not there."), "")
    assert (status, json.loads(body)["error"]["code"]) == (404, code)


def test_only_these_places_are_enveloped() -> None:
    assert all(is_enveloped(place) and is_enveloped(f"{place}/x") and not is_enveloped(f"{place}x") for place in PLACES)
    assert not any(map(is_enveloped, ("/", "/v1/jobs/x", "/v1/generate", "/health")))
