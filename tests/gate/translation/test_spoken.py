"""Models that are to be had in some of what their provider speaks."""

from pathlib import Path

import pytest

from tests.surfaces.responses.lab import responses_lab

CONFIG = '[models."native/gpt-4.1"]\nresponses = "{}"\n'
FACES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("wanted", "path"), [("only", "/v1/responses"), ("no", "/v1/chat/completions")])
async def test_every_face_reaches_a_model_where_it_is_to_be_had(tmp_path: Path, wanted: str, path: str, face: str):
    async with responses_lab(tmp_path, config=CONFIG.format(wanted)) as here:
        for stream in (False, True):
            reply = await here.gate.http.post(face, json={"model": "native/gpt-4.1", "stream": stream, **FACES[face]})
            assert reply.status_code == 200, reply.text
            assert here.upstream.requests[-1].path == path


async def test_others_of_the_provider_are_left_as_they_are(tmp_path: Path):
    config = '[models."native/other"]\nresponses = "only"\n'
    async with responses_lab(tmp_path, config=config) as here:
        await here.gate.http.post("/v1/chat/completions", json={"model": "native/gpt-4.1", **FACES["/v1/chat/completions"]})
        assert here.upstream.requests[-1].path == "/v1/chat/completions"


async def test_what_the_provider_does_not_speak_cannot_be_had(tmp_path: Path):
    config = '[models."lab/gpt-4.1"]\nresponses = "only"\n'
    async with responses_lab(tmp_path, config=config) as here:
        reply = await here.gate.http.post("/v1/responses", json={"model": "lab/gpt-4.1", "input": "Hi"})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
        assert not here.upstream.requests
