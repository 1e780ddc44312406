import re
from typing import Any

import jsonschema_rs
import pytest

from aldgate.core import errors
from aldgate.core.errors import GatewayError
from aldgate.surfaces.openapi.document import PATHS, document
from tests.support import RunningGate

DOCUMENT = document()
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set[str]()
        return found.union(*map(references, node.values()))
    return set[str]().union(*map(references, node)) if isinstance(node, list) else set()


def test_the_document_is_openapi_3_1() -> None:
    """As https://spec.openapis.org/oas/v3.1.0 has it; schemas are checked against JSON Schema's own."""
    assert DOCUMENT["openapi"] == "3.1.0" and {"title", "version"} <= set(DOCUMENT["info"])
    ids = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) == known


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_is_described_in_full(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    assert {"summary", "tags", "operationId", "responses", "security"} <= set(operation)
    named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", path))
    for status, response in operation["responses"].items():
        assert re.fullmatch(r"[2-5]\d\d", status) and response["description"]
    for scheme in operation["security"]:
        assert set(scheme) <= set(DOCUMENT["components"]["securitySchemes"])
    takes_nothing = path.endswith(("/reload", "/cancel", "/logout", "/test", "/disable", "/enable", "/seal", "/retry"))
    assert ("requestBody" in operation) == (method in ("post", "put", "patch") and not takes_nothing)


def test_statuses_are_those_that_errors_have() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]
    known = {kind.status for kind in kinds} | {529}  # an overload in Anthropic's words
    assert {status for path in PATHS for status in path.errors} <= known


@pytest.mark.anyio
async def test_every_path_that_is_served_is_in_the_document(gate: RunningGate) -> None:
    assert (await gate.http.get("/openapi.json")).status_code == 200  # what stands behind the front is built now
    front: Any = gate.app.handlers["all"]
    rest = front._rest._handler
    served = {(path, method.lower()) for method, path in front._exact} - {("/readyz", "get"), ("/readyz", "head")}
    own = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
    served |= {(route.path, method.lower()) for route in rest.routes for method in route.methods if route.path not in own}
    under = {(prefix, method.lower()) for method, prefix, _ in front._prefixes}
    described = set(OPERATIONS)
    beneath = {
        (path, method) for path, method in described if any(path.startswith(prefix) and method == verb for prefix, verb in under)
    }
    assert served - described == set()
    assert described - served - beneath == set()
    assert {(prefix, verb) for prefix, verb in under if not any(path.startswith(prefix) for path, _ in beneath)} == set()


@pytest.mark.anyio
async def test_the_document_and_its_pages_are_served(gate: RunningGate) -> None:
    assert (await gate.http.get("/openapi.json")).json() == DOCUMENT
    for page in ("/docs", "/redoc"):
        reply = await gate.http.get(page)
        assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/html")
        assert "/openapi.json" in reply.text


@pytest.mark.anyio
async def test_the_schemas_take_what_the_gate_answers(gate: RunningGate) -> None:
    def check(name: str, answer: object) -> None:
        jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}).validate(
            answer
        )

    messages = [{"role": "user", "content": "hello"}]
    for model in ("gpt-4.1", "builtin/echo"):
        chat = await gate.http.post("/v1/chat/completions", json={"model": model, "messages": messages})
        check("ChatCompletion", chat.json())
        check("Completion", (await gate.http.post("/v1/completions", json={"model": model, "prompt": "hello"})).json())
    check("EmbeddingList", (await gate.http.post("/v1/embeddings", json={"model": "builtin/embed", "input": "hello"})).json())
    check("ModelList", (await gate.http.get("/v1/models")).json())
    check("Model", (await gate.http.get("/v1/models/gpt-4.1")).json())
    check("UsageList", (await gate.http.get("/v1/usage")).json())
    check("ErrorBody", (await gate.http.get("/v1/models/nothing")).json())
