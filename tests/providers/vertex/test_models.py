"""What publishers list on Vertex AI, and which of it the gate can call."""

from __future__ import annotations

from typing import Any

import pytest

from aldgate.core.errors import UpstreamAuth, UpstreamInvalid
from aldgate.core.principals import Operation
from aldgate.providers.vertex.models import operation_of
from aldgate.testing.upstream import FakeUpstream, Step, gemini, wire
from tests.providers.vertex.test_vertex import build


def own(**table: Any) -> dict[str, Any]:
    return {"access_token": "env:TOKEN", "project": "q", "location": "europe-west4", **table}


@pytest.mark.anyio
async def test_a_publishers_models_are_listed_page_by_page() -> None:
    async with FakeUpstream() as google:
        vertex = build(google, {"TOKEN": "ya29"}, **own())
        source = await vertex.discover()
        assert [(each.id, each.operations) for each in source.deployments] == [
            ("v/gemini-3.8-flash", {"chat"}),
            ("v/gemini-embedding-001", {"embed"}),
            ("v/text-embedding-005", {"embed"}),
        ]
        assert source.accepts_any, "a place may list less than it serves"
        assert [seen.path for seen in google.requests] == [
            "/v1beta1/publishers/google/models?pageSize=100",
            "/v1beta1/publishers/google/models?pageSize=100&pageToken=1",
            "/v1beta1/publishers/google/models?pageSize=100&pageToken=2",
        ]
        first = google.requests[0]
        assert (first.method, first.header("authorization"), first.header("x-goog-user-project")) == ("GET", "Bearer ya29", "q")
        await vertex.aclose()


@pytest.mark.anyio
async def test_claudes_are_listed_with_the_dates_of_their_versions() -> None:
    async with FakeUpstream() as google:
        vertex = build(google, {"TOKEN": "ya29"}, **own(kind="vertex-anthropic"))
        assert [each.model for each in (await vertex.discover()).deployments] == ["claude-opus-4-6", "claude-sonnet-4-5@20250929"]
        await vertex.aclose()


@pytest.mark.anyio
async def test_a_key_opens_no_list_and_the_operators_own_is_enough() -> None:
    async with FakeUpstream() as google:
        for table in ({"api_key": "env:TOKEN"}, own(models=["gemini-3.8-flash"])):
            vertex = build(google, {"TOKEN": "x"}, **table)
            await vertex.discover()
            await vertex.aclose()
        assert not google.requests


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (gemini.fault(403, "PERMISSION_DENIED"), UpstreamAuth),
        (Step("odd", lambda asked: iter([wire.whole(b"[]")])), UpstreamInvalid),
    ],
)
async def test_what_is_no_list_is_said_so(step: Step, kind: type[Exception]) -> None:
    async with FakeUpstream() as google:
        google.script(step)
        vertex = build(google, {"TOKEN": "ya29"}, **own())
        with pytest.raises(kind):
            await vertex.discover()
        await vertex.aclose()


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        ("gemini-2.5-pro", "chat"),
        ("gemini-3-pro-image-preview", "chat"),
        ("claude-haiku-4-5@20251001", "chat"),
        ("gemini-embedding-2", "embed"),
        ("text-multilingual-embedding-002", "embed"),
        ("textembedding-gecko@003", "embed"),
        ("multimodalembedding@001", None),
        ("gemini-2.5-flash-preview-tts", None),
        ("gemini-live-2.5-flash", None),
        ("veo-3.1-generate-001", None),
        ("gemma-3", None),
    ],
)
def test_names_tell_what_a_model_is_for(model: str, operation: Operation | None) -> None:
    assert operation_of(model) == operation
