import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from aldgate.surfaces.openapi.document import document
from aldgate.surfaces.openapi.page import CONTENT_SECURITY_POLICY, reference_page
from tests.support import RunningGate

PAGE = reference_page(document()).decode()
VOID = {"meta"}


class Reader(HTMLParser):
    """Sees that tags are balanced; keeps ids, links and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        given = dict(attrs)
        assert not {"src", "style"} & given.keys() and not any(name.startswith("on") for name in given)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links |= {given["href"] or ""} if "href" in given else set()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_every_operation_and_schema_is_on_the_page() -> None:
    reader = read(PAGE)
    paths = document()["paths"]
    operations = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    schemas = [f"schema-{name}" for name in document()["components"]["schemas"]]
    assert reader.ids == operations + schemas
    assert all(f"<code>{path}</code>" in PAGE for path in paths)
    for schema in document()["components"]["schemas"].values():
        assert all(f"<th>{field}</th>" in PAGE for field in schema.get("properties", ()))


def test_it_leads_nowhere_else_and_runs_nothing() -> None:
    reader = read(PAGE)
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert reader.links <= {"/openapi.json", *(f"#{each}" for each in reader.ids)}
    assert "http://" not in PAGE and "https://" not in PAGE and "url(" not in PAGE and "@import" not in PAGE


def test_the_policy_lets_only_its_own_style_through() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert CONTENT_SECURITY_POLICY.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")


def test_texts_are_texts() -> None:
    evil = "<script>alert(1)</script>\"'&"
    schema: dict[str, Any] = {
        "description": evil,
        "properties": {evil: {"enum": [evil]}, "b": {"default": evil, "type": "string"}},
    }
    operation = {
        "summary": evil,
        "operationId": "x",
        "security": [],
        "parameters": [{"name": evil, "in": "query", "schema": {"type": "string", "pattern": evil}}],
        "responses": {"200": {"description": evil, "content": {evil: {"schema": {"const": evil}}}}},
    }
    info = {"title": evil, "version": "1", "description": evil}
    page = {"info": info, "paths": {"/" + evil: {"get": operation}}, "components": {"schemas": {"A": schema}}}
    assert "script" not in read(reference_page(page).decode()).tags


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_it_is_served_to_everybody(gate: RunningGate, path: str) -> None:
    reply = await gate.http.get(path, headers={"authorization": ""})
    assert (reply.status_code, reply.text) == (200, PAGE)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
