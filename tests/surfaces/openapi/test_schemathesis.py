"""Every operation of the served document, with data it describes and data it does not: no fault of ours, no unknown answer."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio.to_thread
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, note, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from aldgate.surfaces.openapi.document import PATHS
from tests.support import ADMIN_KEY, RunningGate

TRIALS = [
    (path.path, path.method.upper(), mode)
    for path in PATHS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or not path.is_open  # what takes neither data nor a key cannot be asked wrongly
]
MODELS = {
    "/v1/chat/completions": "builtin/echo",
    "/v1/completions": "builtin/echo",
    "/v1/embeddings": "builtin/embed",
    "/v1/responses": "builtin/echo",
    "/v1/moderations": "builtin/moderate",
    "/v1/rerank": "builtin/rerank",
    "/rerank": "builtin/rerank",
    "/v2/rerank": "builtin/rerank",
    "/api/chat": "builtin/echo",
    "/api/generate": "builtin/echo",
    "/api/embed": "builtin/embed",
    "/api/embeddings": "builtin/embed",
    "/llm/generate": "builtin/echo",
}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
BOUNDED = settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
async def schema(gate: RunningGate) -> BaseSchema:
    return await anyio.to_thread.run_sync(schemathesis.openapi.from_url, f"{gate.url}/openapi.json")


@pytest.fixture(scope="module")
async def ordinary_key(gate: RunningGate) -> AsyncIterator[str]:
    yield await gate.key("ordinary")


def with_a_model_that_answers(case: Case) -> Case:
    """Random names would all be 404, and nothing behind the resolution would be tried."""
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.path in MODELS:
        body: dict[str, Any] = {**case.body, "model": MODELS[case.path]}
        case.body = body
    return case


def hammer(schema: BaseSchema, path: str, method: str, mode: GenerationMode, keys: Mapping[str, str]) -> None:
    """Send what the strategy comes up with as each of these callers, and check each answer."""
    operation = schema[path][method]
    session = requests.Session()
    session.trust_env = False

    @BOUNDED
    @given(operation.as_strategy(generation_mode=mode).map(with_a_model_that_answers))
    def send(case: Case) -> None:
        for who, key in keys.items():  # one after the other: making data up takes longer than asking twice
            note(f"asked as {who}")
            headers = {"Authorization": f"Bearer {key}"}
            reply = case.call_and_validate(session=session, headers=headers, checks=CHECKS, timeout=20)
            assert reply.status_code < 500 or reply.status_code == 503, reply.text

    with session:
        try:
            send()
        except BaseExceptionGroup as failures:  # which would end the event loop, not the test
            raise AssertionError("\n\n".join(map(str, failures.exceptions))) from failures


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "method", "mode"), TRIALS)
async def test_any_data_gets_a_documented_answer(
    schema: BaseSchema, ordinary_key: str, path: str, method: str, mode: GenerationMode
) -> None:
    keys = {"ordinary": ordinary_key, "admin": ADMIN_KEY}
    await anyio.to_thread.run_sync(hammer, schema, path, method, mode, keys)
